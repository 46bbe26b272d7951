//! A camera and its frames.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use r2r::std_msgs::msg::Header;
use tokio::sync::mpsc;

use crate::frame::Frame;
use crate::node::ros::image_topic::ImageTopic;
use crate::sync::lock;

/// A decoded frame with the header of its message.
pub(crate) struct CameraFrame {
    pub(crate) header: Header,
    pub(crate) frame: Frame,
}

/// Names, counters and capture of one camera, shared by all parts of the node.
pub(crate) struct Camera {
    /// As in the parameter `cameras`; empty for the only camera of a node without that parameter.
    pub(crate) name: String,
    /// The image topic's full name, after remapping.
    pub(crate) topic: String,
    /// The image topic's name for a subscription, to which rcl applies the remapping rules.
    pub(crate) requested_topic: String,
    pub(crate) counters: Counters,
    pub(crate) capture: CaptureSink,
}

/// Counts of a camera's messages and frames since the node started.
#[derive(Default)]
pub(crate) struct Counters {
    /// Messages received.
    pub(crate) received: Counter,
    /// Messages without a valid image.
    pub(crate) bad: Counter,
    /// Frames that a newer one replaced before they were classified.
    pub(crate) dropped: Counter,
    pub(crate) classified: Counter,
    /// Frames for which the runtime failed, or the model returned NaN or infinite values.
    pub(crate) failed: Counter,
    last_age_ns: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

/// Passes frames to the running capture, if there is one.
#[derive(Default)]
pub(crate) struct CaptureSink(Mutex<Option<CaptureChannel>>);

struct CaptureChannel {
    camera_index: usize,
    sender: mpsc::Sender<CapturedFrame>,
}

/// A frame, and the index of its camera among the cameras of the capture.
pub(crate) type CapturedFrame = (usize, Arc<CameraFrame>);

impl Camera {
    /// A camera without frames yet.
    pub(crate) fn new(name: String, topic: ImageTopic) -> Camera {
        Camera {
            name,
            topic: topic.full_name,
            requested_topic: topic.name,
            counters: Counters::default(),
            capture: CaptureSink::default(),
        }
    }

    /// The base topic of a camera's images, relative to the node's namespace. A camera without a name is called `camera`.
    pub(crate) fn image_topic(name: &str) -> String {
        let namespace = if name.is_empty() { "camera" } else { name };
        format!("{namespace}/image_raw")
    }

    pub(crate) fn gesture_topic(&self) -> String {
        match self.name.as_str() {
            "" => "thumb_gesture".to_owned(),
            name => format!("{name}/thumb_gesture"),
        }
    }

    /// The base topic of the overlay.
    pub(crate) fn overlay_topic(&self) -> String {
        match self.name.as_str() {
            "" => "~/overlay".to_owned(),
            name => format!("~/{name}/overlay"),
        }
    }
}

impl Counters {
    /// The age of the last gesture when it was published.
    pub(crate) fn last_age(&self) -> Duration {
        Duration::from_nanos(self.last_age_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn set_last_age(&self, age: Duration) {
        let age_ns = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        self.last_age_ns.store(age_ns, Ordering::Relaxed);
    }
}

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl CaptureSink {
    /// Sends frames to this capture from now on, instead of an earlier one.
    pub(crate) fn open(&self, camera_index: usize, sender: mpsc::Sender<CapturedFrame>) {
        *lock(&self.0) = Some(CaptureChannel { camera_index, sender });
    }

    pub(crate) fn close(&self) {
        *lock(&self.0) = None;
    }

    /// Sends a frame to the capture. Never blocks: a capture that cannot keep up, with a slow disk, misses frames.
    pub(crate) fn send(&self, frame: &Arc<CameraFrame>) {
        if let Some(channel) = &*lock(&self.0) {
            let frame = (channel.camera_index, frame.clone());
            // The channel is full, or its capture has ended.
            channel.sender.try_send(frame).ok();
        }
    }
}
