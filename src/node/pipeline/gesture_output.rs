//! One camera's gestures: the filter over its frames, and its topics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::builtin_interfaces::msg::Time;
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::thumb_gesture::msg::ThumbGesture;

use crate::decision::{Decision, DecisionSettings, GestureFilter, UnknownReason};
use crate::gesture::{Gesture, UNKNOWN};
use crate::node::pipeline::camera::{Camera, CameraFrame};
use crate::node::pipeline::inbox::ModelDescription;
use crate::node::pipeline::overlay_thread::{OverlayJob, OverlaySender};
use crate::node::ros::context::NodeContext;
use crate::node::ros::messages::{duration_message, secs_of};
use crate::node::ros::topic::Topic;
use crate::recognizer::Prediction;

/// The topics that a camera's results are published on.
pub(crate) struct GestureTopics {
    /// `thumb_gesture`.
    pub(crate) gesture: Topic<ThumbGesture>,
    /// `~/overlay/compressed`.
    pub(crate) overlay: Arc<Topic<CompressedImage>>,
}

/// Publishes one camera's gestures.
pub(crate) struct GestureOutput {
    context: NodeContext,
    camera: Arc<Camera>,
    topics: GestureTopics,
    filter: GestureFilter,
    /// The last gesture, whose buffers the next one reuses: with the same model and frame id, nothing is allocated per frame.
    gesture: ThumbGesture,
    /// When `gesture` was published; `None` before the first frame, and after a deactivation.
    published: Option<Instant>,
}

impl GestureOutput {
    pub(crate) fn new(context: NodeContext, camera: Arc<Camera>, topics: GestureTopics) -> GestureOutput {
        GestureOutput {
            context,
            camera,
            topics,
            filter: GestureFilter::default(),
            gesture: ThumbGesture::default(),
            published: None,
        }
    }

    pub(super) fn camera(&self) -> &Camera {
        &self.camera
    }

    /// Discards the state of the filter, which depends on another model.
    pub(super) fn reset(&mut self) {
        self.filter.reset();
    }

    /// Decides on the gesture for a frame, and publishes it.
    pub(super) fn publish_gesture(
        &mut self,
        frame: &CameraFrame,
        model: &ModelDescription,
        prediction: &Prediction,
        settings: &DecisionSettings,
    ) -> Decision {
        let stamp_secs = match secs_of(&frame.header.stamp) {
            0.0 => self.context.now().as_secs_f64(),
            stamp_secs => stamp_secs,
        };
        let decision = self.filter.update(settings, prediction.probabilities, stamp_secs);
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
        gesture.stable = decision.is_stable;
        gesture.model_id.clone_from(&model.manifest.id);
        gesture.backend.clone_from(&model.backend);
        gesture.preprocess_time = duration_message(prediction.preprocess_time);
        gesture.inference_time = duration_message(prediction.inference_time);
        self.publish();
        decision
    }

    /// When the last gesture becomes stale; `None` if none was published since the activation.
    pub(super) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        self.published.map(|published| published + timeout)
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
    }

    fn publish_unknown(&mut self, reason: &str) {
        self.filter.reset();
        self.gesture.gesture = UNKNOWN;
        reason.clone_into(&mut self.gesture.reason);
        self.gesture.stable = false;
        self.gesture.preprocess_time = duration_message(Duration::ZERO);
        self.gesture.inference_time = duration_message(Duration::ZERO);
        self.publish();
    }

    fn publish(&mut self) {
        let age = age_of(&self.gesture.header.stamp, self.context.now());
        self.gesture.age = duration_message(age);
        self.camera.counters.set_last_age(age);
        self.topics.gesture.publish(&self.gesture);
        self.published = Some(Instant::now());
    }

    /// Sends the frame with the last gesture to the overlay thread, if the overlay has subscribers.
    pub(super) fn send_overlay(&self, frame: &Arc<CameraFrame>, overlay: &OverlaySender) {
        if self.topics.overlay.has_subscribers() {
            overlay.send(OverlayJob {
                frame: frame.clone(),
                gesture: self.gesture.clone(),
                topic: self.topics.overlay.clone(),
            });
        }
    }
}

fn gesture_constant(label: &str, decision: &Decision) -> u8 {
    match decision.unknown_reason {
        Some(_) => UNKNOWN,
        None => Gesture::from_label(label) as u8,
    }
}

/// The age of a frame. Zero without a stamp or a clock, and for a stamp in the future.
fn age_of(stamp: &Time, now: Duration) -> Duration {
    let stamp = Duration::new(u64::try_from(stamp.sec).unwrap_or(0), stamp.nanosec);
    if stamp.is_zero() {
        return Duration::ZERO;
    }
    now.saturating_sub(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_zero_without_a_stamp_or_a_clock_and_never_negative() {
        let stamp = |sec| Time { sec, nanosec: 0 };
        assert_eq!(
            age_of(&stamp(10), Duration::from_secs(12)),
            Duration::from_secs(2)
        );
        assert_eq!(age_of(&stamp(10), Duration::from_secs(3)), Duration::ZERO);
        assert_eq!(age_of(&stamp(0), Duration::from_secs(3)), Duration::ZERO);
        assert_eq!(age_of(&stamp(10), Duration::ZERO), Duration::ZERO);
    }
}
