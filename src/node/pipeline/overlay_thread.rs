//! The thread that draws gestures on their frames for viewers. Drawing takes longer than classifying, and must not delay the next
//! frame.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use r2r::sensor_msgs::msg::CompressedImage;
use r2r::thumb_gesture::msg::ThumbGesture;

use crate::gesture::UNKNOWN;
use crate::hand::Hand;
use crate::node::pipeline::camera::CameraFrame;
use crate::node::ros::topic::Topic;
use crate::overlay::{self, Caption};

/// Sends frames to the overlay thread, which ends when this is dropped.
pub(crate) struct OverlaySender(SyncSender<OverlayJob>);

pub(super) struct OverlayJob {
    pub(super) frame: Arc<CameraFrame>,
    pub(super) gesture: ThumbGesture,
    pub(super) hands: Vec<Hand>,
    pub(super) topic: Arc<Topic<CompressedImage>>,
}

/// Creates the sender, and the function that the thread runs. One frame per camera may wait.
pub(crate) fn create_overlay_thread(cameras: usize) -> (OverlaySender, impl FnOnce() + Send + 'static) {
    let (sender, jobs) = sync_channel(cameras);
    (OverlaySender(sender), move || run(&jobs))
}

impl OverlaySender {
    /// Queues a frame to be drawn and published; discards it if the queue is full.
    pub(super) fn send(&self, job: OverlayJob) {
        self.0.try_send(job).ok();
    }
}

fn run(jobs: &Receiver<OverlayJob>) {
    for OverlayJob {
        frame,
        gesture,
        hands,
        topic,
    } in jobs
    {
        let labels = gesture.labels.iter().map(String::as_str);
        let caption = Caption {
            title: match gesture.gesture {
                UNKNOWN => format!("unknown ({})", gesture.reason),
                _ => format!("{} {:.0} %", gesture.label, gesture.confidence * 100.0),
            },
            is_stable: gesture.stable,
            bars: labels.zip(gesture.probabilities.iter().copied()).collect(),
            familiarity: (!gesture.familiarity.is_nan()).then_some(gesture.familiarity),
            age: Duration::new(u64::try_from(gesture.age.sec).unwrap_or(0), gesture.age.nanosec),
        };
        topic.publish(&CompressedImage {
            header: gesture.header.clone(),
            format: "jpeg".to_owned(),
            data: overlay::draw_jpeg(frame.frame.to_rgb_image(), &hands, &caption),
        });
    }
}
