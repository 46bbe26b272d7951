//! The thread that draws gestures on their frames for viewers. Drawing takes longer than classifying, and must not delay the next
//! frame.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use r2r::sensor_msgs::msg::CompressedImage;
use r2r::thumb_gesture::msg::ThumbGesture;

use crate::gesture::UNKNOWN;
use crate::hand::Hand;
use crate::node::pipeline::camera::{CameraFrame, MAX_CAMERAS};
use crate::node::ros::topic::Topic;
use crate::overlay::{self, Caption};
use crate::sync::lock;

/// Sends frames to the overlay thread, which ends when this is dropped.
pub(crate) struct OverlaySender(Arc<Queue>);

/// The newest frame of each camera. All cameras get the same share of the thread's time.
struct Queue {
    content: Mutex<Content>,
    changed: Condvar,
}

struct Content {
    jobs: Turns<OverlayJob>,
    is_closed: bool,
}

/// At most one value of each camera. The cameras take turns.
struct Turns<T> {
    /// By the index of the camera.
    values: Vec<Option<T>>,
    /// The camera whose turn it is.
    next: usize,
}

pub(super) struct OverlayJob {
    pub(super) frame: Arc<CameraFrame>,
    pub(super) gesture: ThumbGesture,
    pub(super) hands: Vec<Hand>,
    pub(super) topic: Arc<Topic<CompressedImage>>,
}

/// Creates the sender, and the function that the thread runs.
pub(crate) fn create_overlay_thread() -> (OverlaySender, impl FnOnce() + Send + 'static) {
    let queue = Arc::new(Queue::new());
    (OverlaySender(queue.clone()), move || run(&queue))
}

impl OverlaySender {
    /// Queues a camera's frame to be drawn and published, in place of one that still waits.
    pub(super) fn send(&self, camera_index: usize, job: OverlayJob) {
        lock(&self.0.content).jobs.values[camera_index] = Some(job);
        self.0.changed.notify_one();
    }
}

impl Drop for OverlaySender {
    fn drop(&mut self) {
        lock(&self.0.content).is_closed = true;
        self.0.changed.notify_one();
    }
}

impl Queue {
    fn new() -> Queue {
        Queue {
            content: Mutex::new(Content {
                jobs: Turns::new(MAX_CAMERAS),
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Waits for the next frame; `None` once the sender was dropped.
    fn next(&self) -> Option<OverlayJob> {
        let mut content = lock(&self.content);
        while !content.is_closed {
            if let Some(job) = content.jobs.take() {
                return Some(job);
            }
            content = self.changed.wait(content).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

impl<T> Turns<T> {
    fn new(cameras: usize) -> Turns<T> {
        Turns {
            values: (0..cameras).map(|_| None).collect(),
            next: 0,
        }
    }

    /// The value of the first camera that has one, from the one whose turn it is.
    fn take(&mut self) -> Option<T> {
        let cameras = self.values.len();
        let mut turns = (0..cameras).map(|offset| (self.next + offset) % cameras);
        let camera_index = turns.find(|index| self.values[*index].is_some())?;
        self.next = (camera_index + 1) % cameras;
        self.values[camera_index].take()
    }
}

fn run(queue: &Queue) {
    while let Some(OverlayJob {
        frame,
        gesture,
        hands,
        topic,
    }) = queue.next()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_take_turns_although_all_have_a_new_frame_each_time() {
        let mut turns = Turns::new(3);
        let mut drawn = Vec::new();
        for frame in 0..6 {
            (0..3).for_each(|camera| turns.values[camera] = Some((camera, frame)));
            drawn.extend(turns.take());
        }
        assert_eq!(drawn, [(0, 0), (1, 1), (2, 2), (0, 3), (1, 4), (2, 5)]);
    }

    #[test]
    fn cameras_without_a_frame_are_passed_over() {
        let mut turns = Turns::new(3);
        turns.values[2] = Some("rear");
        assert_eq!((turns.take(), turns.take()), (Some("rear"), None));
    }
}
