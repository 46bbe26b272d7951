//! One camera's gestures: the filter over its frames, and its topics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::Node;
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::thumb_gesture::msg::{ModelInfo, ThumbGesture};

use crate::decision::{Decision, DecisionSettings, FrameInfo, GestureFilter, UnknownReason};
use crate::frame::RecentFrames;
use crate::gesture::{Gesture, UNKNOWN};
use crate::hand::Hand;
use crate::node::pipeline::camera::{Arrival, Camera, CameraFrame};
use crate::node::pipeline::overlay_thread::{OverlayJob, OverlaySender};
use crate::node::pipeline::vision_msgs::ClassificationTopic;
use crate::node::ros::context::NodeContext;
use crate::node::ros::messages::{duration_message, nanos_of};
use crate::node::ros::topic::Topic;
use crate::node::throttle::Throttle;
use crate::recognizer::Prediction;

/// The topics that a camera's results are published on.
pub(crate) struct GestureTopics {
    /// `thumb_gesture`.
    pub(crate) gesture: Topic<ThumbGesture>,
    /// `~/classification`.
    pub(crate) classification: ClassificationTopic,
    /// `~/overlay/compressed`.
    pub(crate) overlay: Arc<Topic<CompressedImage>>,
}

impl GestureTopics {
    /// Removes the publishers from the ROS graph.
    pub(crate) fn close(&self, node: &mut Node) {
        self.gesture.close(node);
        self.classification.close(node);
        self.overlay.close(node);
    }
}

/// Publishes one camera's gestures.
pub(crate) struct GestureOutput {
    context: NodeContext,
    camera: Arc<Camera>,
    topics: GestureTopics,
    /// Whether the hold time is measured on ROS time, so that it does not depend on the speed of a simulation or of a played bag.
    use_sim_time: bool,
    /// Zero of the steady clock.
    start: Instant,
    filter: GestureFilter,
    /// With which the next frame is compared.
    recent_frames: RecentFrames,
    /// For warnings of stale frames.
    throttle: Throttle,
    /// The last gesture, whose buffers the next one reuses: with the same model and frame id, nothing is allocated per frame.
    gesture: ThumbGesture,
    /// The hands in the last frame, for the overlay.
    hands: Vec<Hand>,
    /// When the frame of `gesture` was received.
    received: Option<Instant>,
    /// When `gesture` was published; `None` before the first frame, and after a deactivation.
    published: Option<Instant>,
}

impl GestureOutput {
    pub(crate) fn new(
        context: NodeContext,
        camera: Arc<Camera>,
        topics: GestureTopics,
        use_sim_time: bool,
    ) -> GestureOutput {
        GestureOutput {
            context,
            camera,
            topics,
            use_sim_time,
            start: Instant::now(),
            filter: GestureFilter::default(),
            recent_frames: RecentFrames::default(),
            throttle: Throttle::default(),
            gesture: ThumbGesture::default(),
            hands: Vec::new(),
            received: None,
            published: None,
        }
    }

    pub(super) fn camera(&self) -> &Camera {
        &self.camera
    }

    pub(crate) fn into_topics(self) -> GestureTopics {
        self.topics
    }

    /// Discards the gesture of another model.
    pub(super) fn forget_gesture(&mut self) {
        self.filter.forget_gesture();
    }

    /// Decides on the gesture for a frame, and publishes it.
    pub(super) fn publish_gesture(
        &mut self,
        frame: &Arc<CameraFrame>,
        model: &ModelInfo,
        prediction: &Prediction,
        settings: &DecisionSettings,
    ) -> Decision {
        let ros_now = self.context.now();
        let repeats_pixels = settings.detect_frozen_camera && self.recent_frames.repeats(&frame.frame);
        let info = FrameInfo {
            is_familiar: prediction.is_familiar,
            ..self.frame_info(frame, ros_now, repeats_pixels)
        };
        let decision = self.filter.update(settings, prediction.probabilities, &info);
        self.report_freshness(&decision);
        if !decision.is_continuous {
            self.camera.counters.jumps.add_one();
        }
        let label = &model.labels[decision.label];
        let gesture = &mut self.gesture;
        gesture.header.stamp.clone_from(&frame.header.stamp);
        gesture.header.frame_id.clone_from(&frame.header.frame_id);
        gesture.gesture = gesture_constant(label, &decision);
        gesture.label.clone_from(label);
        gesture.confidence = decision.confidence;
        let reason = decision.unknown_reason.map_or("", UnknownReason::reason);
        reason.clone_into(&mut gesture.reason);
        gesture.labels.clone_from(&model.labels);
        prediction.probabilities.clone_into(&mut gesture.probabilities);
        <&str>::from(prediction.basis).clone_into(&mut gesture.recognizer);
        gesture.familiarity = prediction.familiarity.unwrap_or(f32::NAN);
        gesture.stable = decision.is_stable;
        gesture.model_id.clone_from(&model.model_id);
        gesture.backend.clone_from(&model.backend);
        gesture.preprocess_time = duration_message(prediction.preprocess_time);
        gesture.inference_time = duration_message(prediction.inference_time);
        self.received = Some(frame.arrival.steady);
        self.publish(ros_now);
        prediction.hands.clone_into(&mut self.hands);
        decision
    }

    /// What the decision needs to know of a frame besides its prediction.
    fn frame_info(&self, frame: &CameraFrame, ros_now: Duration, repeats_pixels: bool) -> FrameInfo {
        let Arrival { steady, ros } = frame.arrival;
        let steady_ns = nanos(steady.saturating_duration_since(self.start));
        FrameInfo {
            stamp_ns: nanos_of(&frame.header.stamp),
            arrival_ns: if self.use_sim_time { nanos(ros) } else { steady_ns },
            steady_ns,
            waited_ns: nanos(steady.elapsed()),
            ros_now_ns: (!ros_now.is_zero()).then(|| nanos(ros_now)),
            repeats_pixels,
            is_familiar: true,
        }
    }

    /// Passes the cause of stale frames to the diagnostics, and logs it when they begin.
    fn report_freshness(&mut self, decision: &Decision) {
        let cause = match decision.unknown_reason {
            Some(UnknownReason::Stale(cause)) => Some(cause),
            _ => None,
        };
        if self.camera.freshness.set(cause)
            && let Some(cause) = cause
            && self.throttle.pass().is_some()
        {
            let topic = &self.camera.topic;
            self.context.warn(&format!("stale frames on {topic}: {cause}"));
        }
    }

    /// When the last gesture becomes stale; `None` if none was published since the activation.
    pub(super) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        self.published.map(|published| published + timeout)
    }

    /// Whether the last gesture is stale.
    pub(super) fn is_due(&self, timeout: Duration) -> bool {
        self.deadline(timeout)
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Publishes `UNKNOWN` with the reason `stale`, because no frame arrived for `stale_timeout`. Called again after each further
    /// timeout, for new subscribers.
    pub(super) fn publish_stale(&mut self) {
        self.publish_unknown("stale");
    }

    /// Publishes `UNKNOWN` with the reason `inactive`, because the node no longer classifies; then nothing until the next frame.
    pub(super) fn publish_inactive(&mut self) {
        if self.published.is_some() {
            self.publish_unknown("inactive");
        }
        self.published = None;
        self.filter = GestureFilter::default();
        self.recent_frames = RecentFrames::default();
        self.camera.freshness.set(None);
    }

    fn publish_unknown(&mut self, reason: &str) {
        self.filter.forget_gesture();
        self.gesture.gesture = UNKNOWN;
        reason.clone_into(&mut self.gesture.reason);
        self.gesture.stable = false;
        self.gesture.preprocess_time = duration_message(Duration::ZERO);
        self.gesture.inference_time = duration_message(Duration::ZERO);
        self.publish(self.context.now());
    }

    fn publish(&mut self, ros_now: Duration) {
        let waited = self
            .received
            .map_or(Duration::ZERO, |received| received.elapsed());
        let age = age_of(nanos_of(&self.gesture.header.stamp), ros_now, waited);
        self.gesture.age = duration_message(age);
        self.camera.counters.set_last_age(age);
        self.topics.gesture.publish(&self.gesture);
        self.topics.classification.publish(&self.gesture);
        self.published = Some(Instant::now());
    }

    /// Sends the frame with its gesture and hands to the overlay thread, if the overlay has subscribers.
    pub(super) fn send_overlay(&self, frame: &Arc<CameraFrame>, overlay: &OverlaySender) {
        if self.topics.overlay.has_subscribers() {
            let job = OverlayJob {
                frame: frame.clone(),
                gesture: self.gesture.clone(),
                hands: self.hands.clone(),
                topic: self.topics.overlay.clone(),
            };
            overlay.send(self.camera.index, job);
        }
    }
}

fn gesture_constant(label: &str, decision: &Decision) -> u8 {
    match decision.unknown_reason {
        Some(_) => UNKNOWN,
        None => Gesture::from_label(label) as u8,
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The age of a frame: the time since its stamp, or since it was received if it has no stamp or there is no clock. Zero for a stamp in the
/// future.
fn age_of(stamp_ns: i64, ros_now: Duration, waited: Duration) -> Duration {
    if stamp_ns == 0 || ros_now.is_zero() {
        return waited;
    }
    let age_ns = nanos(ros_now).saturating_sub(stamp_ns);
    Duration::from_nanos(u64::try_from(age_ns).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_since_the_arrival_without_a_stamp_or_a_clock_and_never_negative() {
        let (now, waited) = (Duration::from_secs(12), Duration::from_millis(5));
        let age = |stamp_secs: i64, ros_now| age_of(stamp_secs * 1_000_000_000, ros_now, waited);
        assert_eq!(age(10, now), Duration::from_secs(2));
        assert_eq!(age(20, now), Duration::ZERO);
        assert_eq!(age(0, now), waited);
        assert_eq!(age(10, Duration::ZERO), waited);
        assert_eq!(age(-3, now), Duration::from_secs(15), "a stamp before the epoch");
    }
}
