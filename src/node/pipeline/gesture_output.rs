//! One camera's gestures: what was decided of its frames so far, and the topics on which it goes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::builtin_interfaces::msg::Time;
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::thumb_gesture::msg::ThumbGesture;

use crate::decision::{Decision, DecisionSettings, GestureFilter, UnknownReason};
use crate::gesture::{Gesture, UNKNOWN};
use crate::node::pipeline::camera::{Camera, CameraFrame};
use crate::node::pipeline::classifier_thread::ModelDescription;
use crate::node::pipeline::overlay_thread::{Image, Painter};
use crate::node::ros::context::NodeContext;
use crate::node::ros::messages::{duration_message, secs_of};
use crate::node::ros::topic::Topic;

/// What a camera's gestures go out on.
pub struct LaneTopics {
    /// `thumb_gesture`.
    pub gesture: Topic<ThumbGesture>,
    /// `~/overlay/compressed`.
    pub overlay: Arc<Topic<CompressedImage>>,
}

/// What the classifier made of a frame.
pub struct Classified<'a> {
    /// One for each label of the model.
    pub probabilities: &'a [f32],
    /// Frame to network input.
    pub preprocess_time: Duration,
    /// Network input to probabilities, for the whole batch.
    pub inference_time: Duration,
}

/// One camera's gestures.
pub struct Lane {
    handle: NodeContext,
    camera: Arc<Camera>,
    topics: LaneTopics,
    decision: GestureFilter,
    /// The last gesture. The next one is written into it: of a frame like those before, nothing is allocated here.
    gesture: ThumbGesture,
    /// When it was published; none before the first frame, and while the camera is left.
    published: Option<Instant>,
}

impl Lane {
    /// Nothing is decided yet.
    pub fn new(handle: NodeContext, camera: Arc<Camera>, topics: LaneTopics) -> Lane {
        Lane {
            handle,
            camera,
            topics,
            decision: GestureFilter::default(),
            gesture: ThumbGesture::default(),
            published: None,
        }
    }

    /// The camera.
    pub fn camera(&self) -> &Camera {
        &self.camera
    }

    /// Another model classifies from now on; what the former one said counts no more.
    pub fn forget(&mut self) {
        self.decision.reset();
    }

    /// Decides on a frame and publishes its gesture.
    pub fn tell(
        &mut self,
        frame: &CameraFrame,
        model: &ModelDescription,
        classified: &Classified,
        settings: &DecisionSettings,
    ) -> Decision {
        let taken_secs = match secs_of(&frame.header.stamp) {
            0.0 => self.handle.now().as_secs_f64(),
            stamp_secs => stamp_secs,
        };
        let decision = self
            .decision
            .update(settings, classified.probabilities, taken_secs);
        let label = &model.labels[decision.label];
        let gesture = &mut self.gesture;
        gesture.header.stamp.clone_from(&frame.header.stamp);
        gesture.header.frame_id.clone_from(&frame.header.frame_id);
        gesture.gesture = number_of(label, &decision);
        gesture.label.clone_from(label);
        gesture.confidence = decision.confidence;
        let reason = decision.unknown_reason.map_or("", UnknownReason::reason);
        reason.clone_into(&mut gesture.reason);
        gesture.labels.clone_from(&model.labels);
        classified.probabilities.clone_into(&mut gesture.probabilities);
        gesture.stable = decision.stable;
        gesture.model_id.clone_from(&model.manifest.id);
        gesture.backend.clone_from(&model.backend);
        gesture.preprocess_time = duration_message(classified.preprocess_time);
        gesture.inference_time = duration_message(classified.inference_time);
        self.publish();
        decision
    }

    /// When the last gesture goes stale; none before the first frame.
    pub fn deadline(&self, timeout: Duration) -> Option<Instant> {
        self.published.map(|published| published + timeout)
    }

    /// The last gesture must not stand for ever in front of a robot whose camera has stopped. That is said again and again: a
    /// listener may have come since.
    pub fn tell_stale(&mut self) {
        self.tell_nothing("stale");
    }

    /// No more frames come, and that is meant so: says it once, and is silent until one comes again.
    pub fn rest(&mut self) {
        if self.published.is_some() {
            self.tell_nothing("inactive");
        }
        self.published = None;
    }

    fn tell_nothing(&mut self, reason: &str) {
        self.decision.reset();
        self.gesture.gesture = UNKNOWN;
        reason.clone_into(&mut self.gesture.reason);
        self.gesture.stable = false;
        self.gesture.preprocess_time = duration_message(Duration::ZERO);
        self.gesture.inference_time = duration_message(Duration::ZERO);
        self.publish();
    }

    fn publish(&mut self) {
        let age = age_of(&self.gesture.header.stamp, self.handle.now());
        self.gesture.age = duration_message(age);
        self.camera.counters.set_last_age(age);
        self.topics.gesture.publish(&self.gesture);
        self.published = Some(Instant::now());
    }

    /// Has the frame drawn with its gesture, the last one, where somebody looks.
    pub fn draw(&self, frame: &Arc<CameraFrame>, painter: &Painter) {
        if self.topics.overlay.has_subscribers() {
            painter.draw(Image {
                frame: frame.clone(),
                gesture: self.gesture.clone(),
                topic: self.topics.overlay.clone(),
            });
        }
    }
}

fn number_of(label: &str, decision: &Decision) -> u8 {
    match decision.unknown_reason {
        Some(_) => UNKNOWN,
        None => Gesture::from_label(label) as u8,
    }
}

/// How old a frame is; 0 where clock or stamp say nothing, or contradict each other.
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
    fn an_age_is_never_negative_or_made_up() {
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
