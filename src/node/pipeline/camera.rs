//! The cameras' topics: every message is checked as it comes; the newest goes to the classifier, all go to a running capture.
//!
//! r2r's queue holds ten messages and drops the newest when it is full. So it is emptied at once here, and what piled up behind the
//! newest is dropped and counted: latency never queues up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::std_msgs::msg::Header;
use tokio::sync::mpsc;

use crate::frame::{Frame, FrameError};
use crate::node::pipeline::classifier_thread::Inbox;
use crate::node::ros::context::NodeContext;
use crate::node::ros::ffi::ImageInPlace;
use crate::node::ros::qos::ImageTransport;
use crate::node::sync::{Throttle, lock};

/// A checked frame with what came along.
pub struct CameraFrame {
    /// As the camera stamped it.
    pub header: Header,
    /// The image.
    pub frame: Frame,
}

/// What the parts of the node know of one camera.
pub struct Camera {
    /// As the parameter `cameras` has it; empty for a node's only one.
    pub name: String,
    /// The topic of its images, as messages name it.
    pub topic: String,
    /// What has become of its frames.
    pub counters: Counters,
    /// Where its frames go besides the classifier: the capture that is running, if one is.
    pub tap: Tap,
}

/// What has become of a camera's frames so far.
#[derive(Default)]
pub struct Counters {
    /// Messages taken from the topic.
    pub received: Counter,
    /// Messages that were no image.
    pub bad: Counter,
    /// Frames that a newer one overtook before they were looked at.
    pub dropped: Counter,
    /// Frames classified.
    pub classified: Counter,
    /// Frames on which the runtime failed.
    pub failed: Counter,
    last_age_ns: AtomicU64,
}

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

/// The way of a camera's frames to a capture.
#[derive(Default)]
pub struct Tap {
    sender: Mutex<Option<TapSender>>,
}

/// Where a capture hears of frames, each with the number that the capture has given to its camera.
pub type TapSender = (usize, mpsc::Sender<(usize, Arc<CameraFrame>)>);

/// A message that holds an image.
pub trait ImageMessage: Send + 'static {
    /// Checks the message and takes it apart.
    ///
    /// # Errors
    /// What [`Frame`] says of it.
    fn into_camera_frame(self) -> Result<CameraFrame, FrameError>;
}

/// Takes what comes on a camera's topic.
pub struct Drain {
    /// The node.
    pub handle: NodeContext,
    /// The camera.
    pub camera: Arc<Camera>,
    /// Its place in the inbox.
    pub lane: usize,
    /// Where its frames wait for the classifier.
    pub inbox: Arc<Inbox>,
}

impl Camera {
    /// Where its images come: in its own namespace, which is `camera` for the one without a name.
    pub fn image_topic(name: &str, transport: ImageTransport) -> String {
        let namespace = if name.is_empty() { "camera" } else { name };
        match transport {
            ImageTransport::Compressed => format!("{namespace}/image_raw/compressed"),
            ImageTransport::Raw => format!("{namespace}/image_raw"),
        }
    }

    /// Where its gestures go out.
    pub fn gesture_topic(&self) -> String {
        match self.name.as_str() {
            "" => "thumb_gesture".to_owned(),
            name => format!("{name}/thumb_gesture"),
        }
    }

    /// Where its images go out with their gestures drawn on them.
    pub fn overlay_topic(&self) -> String {
        match self.name.as_str() {
            "" => "~/overlay/compressed".to_owned(),
            name => format!("~/{name}/overlay/compressed"),
        }
    }
}

impl Drain {
    /// Drains the stream until it ends, which it does with the node, or when the camera is left.
    pub async fn run<M: ImageMessage>(self, mut messages: impl Stream<Item = M> + Unpin) {
        let counters = &self.camera.counters;
        let mut throttle = Throttle::default();
        while let Some(mut message) = messages.next().await {
            counters.received.add_one();
            while let Some(Some(newer)) = messages.next().now_or_never() {
                counters.received.add_one();
                counters.dropped.add_one();
                message = newer;
            }
            match message.into_camera_frame() {
                Ok(frame) => self.deliver(Arc::new(frame)),
                Err(error) => {
                    counters.bad.add_one();
                    self.warn_of(&error, &mut throttle);
                }
            }
        }
    }

    fn deliver(&self, frame: Arc<CameraFrame>) {
        self.camera.tap.send(&frame);
        if self.inbox.put_frame(self.lane, frame).is_some() {
            self.camera.counters.dropped.add_one();
        }
    }

    fn warn_of(&self, error: &FrameError, throttle: &mut Throttle) {
        let topic = &self.camera.topic;
        match throttle.pass() {
            None => {}
            Some(0) => self.handle.warn(&format!("bad frame on {topic}: {error}")),
            Some(held_back) => self.handle.warn(&format!(
                "bad frame on {topic}: {error} ({held_back} more before it)"
            )),
        }
    }
}

impl Counters {
    /// Age of the last gesture when it was published.
    pub fn last_age(&self) -> Duration {
        Duration::from_nanos(self.last_age_ns.load(Ordering::Relaxed))
    }

    /// A gesture was published.
    pub fn set_last_age(&self, age: Duration) {
        let age_ns = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        self.last_age_ns.store(age_ns, Ordering::Relaxed);
    }
}

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tap {
    /// Opens the tap: frames come from now on, as many as fit into the channel.
    pub fn open(&self, sender: TapSender) {
        *lock(&self.sender) = Some(sender);
    }

    /// Closes the tap.
    pub fn close(&self) {
        *lock(&self.sender) = None;
    }

    /// A capture that cannot keep up, with a slow disk, takes fewer of the frames; the camera never waits for it.
    fn send(&self, frame: &Arc<CameraFrame>) {
        if let Some((number, sender)) = &*lock(&self.sender) {
            let _full_or_closed = sender.try_send((*number, frame.clone()));
        }
    }
}

impl ImageMessage for ImageInPlace {
    fn into_camera_frame(self) -> Result<CameraFrame, FrameError> {
        let ImageInPlace { fields, pixels } = self;
        let (sides, is_bigendian) = ([fields.width, fields.height], fields.is_bigendian != 0);
        Ok(CameraFrame {
            frame: Frame::from_message(&fields.encoding, sides, fields.step, pixels, is_bigendian)?,
            header: fields.header,
        })
    }
}

impl ImageMessage for CompressedImage {
    fn into_camera_frame(self) -> Result<CameraFrame, FrameError> {
        Ok(CameraFrame {
            frame: Frame::from_compressed(&self.format, &self.data)?,
            header: self.header,
        })
    }
}
