//! The camera's topic, drained on a thread of its own: every frame is counted and checked, only the newest is kept.
//!
//! r2r's queue holds ten messages and drops the newest when it is full. So it is emptied at once here, and what piled up behind the
//! newest is dropped and counted: latency never queues up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::{FutureExt, Stream, StreamExt};
use r2r::sensor_msgs::msg::{CompressedImage, Image};
use r2r::std_msgs::msg::Header;
use tokio::sync::mpsc;

use super::handle::{NodeHandle, Throttle, lock};
use crate::frame::{Frame, FrameError};

/// A checked frame with what came along.
pub struct CameraFrame {
    /// As the camera stamped it.
    pub header: Header,
    /// The picture.
    pub frame: Frame,
}

/// What has come in so far.
#[derive(Default)]
pub struct CameraCounters {
    /// Messages taken from the topic.
    pub received: AtomicU64,
    /// Messages that were no picture.
    pub bad: AtomicU64,
    /// Messages that a newer one overtook before they were looked at.
    pub dropped: AtomicU64,
}

/// Where frames go besides the classifier: the capture that is running, if one is.
#[derive(Default)]
pub struct CaptureTap {
    sender: Mutex<Option<mpsc::Sender<Arc<CameraFrame>>>>,
}

/// A message that holds a picture.
pub trait ImageMessage: Send + 'static {
    /// Checks the message and takes it apart.
    ///
    /// # Errors
    /// What [`Frame`] says of it.
    fn into_camera_frame(self) -> Result<CameraFrame, FrameError>;
}

/// Runs until the topic ends; `deliver` gets each frame that the classifier should see.
pub struct Camera {
    /// The node.
    pub handle: NodeHandle,
    /// What has come in.
    pub counters: Arc<CameraCounters>,
    /// The running capture.
    pub tap: Arc<CaptureTap>,
}

impl Camera {
    /// Drains the stream until it ends, which it does with the node.
    pub async fn drain<M: ImageMessage>(
        self,
        mut messages: impl Stream<Item = M> + Unpin,
        deliver: impl Fn(Arc<CameraFrame>),
    ) {
        let mut throttle = Throttle::default();
        while let Some(mut message) = messages.next().await {
            self.count(&self.counters.received);
            while let Some(Some(newer)) = messages.next().now_or_never() {
                self.count(&self.counters.received);
                self.count(&self.counters.dropped);
                message = newer;
            }
            match message.into_camera_frame() {
                Ok(frame) => {
                    let frame = Arc::new(frame);
                    self.tap.send(&frame);
                    deliver(frame);
                }
                Err(error) => {
                    self.count(&self.counters.bad);
                    self.warn_of(&error, &mut throttle);
                }
            }
        }
    }

    fn count(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn warn_of(&self, error: &FrameError, throttle: &mut Throttle) {
        match throttle.pass() {
            None => {}
            Some(0) => self.handle.warn(&format!("bad frame: {error}")),
            Some(held_back) => self
                .handle
                .warn(&format!("bad frame: {error} ({held_back} more before it)")),
        }
    }
}

impl CaptureTap {
    /// Opens the tap: frames come from now on, as many as fit into the channel.
    pub fn open(&self, capacity: usize) -> mpsc::Receiver<Arc<CameraFrame>> {
        let (sender, receiver) = mpsc::channel(capacity);
        *lock(&self.sender) = Some(sender);
        receiver
    }

    /// Closes the tap.
    pub fn close(&self) {
        *lock(&self.sender) = None;
    }

    /// A capture that cannot keep up, with a slow disk, takes fewer of the frames; the camera never waits for it.
    fn send(&self, frame: &Arc<CameraFrame>) {
        if let Some(sender) = &*lock(&self.sender) {
            let _full_or_closed = sender.try_send(frame.clone());
        }
    }
}

impl ImageMessage for Image {
    fn into_camera_frame(self) -> Result<CameraFrame, FrameError> {
        Ok(CameraFrame {
            frame: Frame::from_raw(&self.encoding, self.width, self.height, self.step, self.data)?,
            header: self.header,
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
