//! The thread that receives and decodes the messages of one camera.
//!
//! r2r queues up to ten messages per subscription and discards new ones when the queue is full. The thread therefore empties the queue
//! at once, decodes the newest message only, and counts the others, so that no latency builds up.

use std::sync::Arc;
use std::time::Instant;

use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use r2r::builtin_interfaces::msg::Time;
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::std_msgs::msg::Header;
use r2r::{Node, QosProfile};

use crate::frame::{Frame, FrameError};
use crate::node::pipeline::camera::{Arrival, Camera, CameraFrame};
use crate::node::pipeline::inbox::Inbox;
use crate::node::ros::context::NodeContext;
use crate::node::ros::ffi::{ImageInPlace, subscribe_to_images};
use crate::node::throttle::Throttle;
use crate::text;

/// A message with an image.
pub(crate) trait ImageMessage: Sized + Send + 'static {
    /// # Errors
    /// rcl reported an error.
    fn subscribe(node: &mut Node, topic: &str, qos: QosProfile) -> r2r::Result<BoxStream<'static, Self>>;

    fn stamp(&self) -> &Time;

    /// Validates and decodes the message.
    fn into_camera_frame(self, arrival: Arrival) -> Result<CameraFrame, FrameError>;
}

/// Receives the messages of one camera.
pub(crate) struct CameraThread {
    pub(crate) context: NodeContext,
    pub(crate) camera: Arc<Camera>,
    pub(crate) inbox: Arc<Inbox>,
}

impl CameraThread {
    /// Receives messages until the stream ends, with the subscription or the node.
    pub(crate) async fn run<M: ImageMessage>(self, mut messages: impl Stream<Item = M> + Unpin) {
        let counters = &self.camera.counters;
        let mut throttle = Throttle::default();
        let receive = |message: &M| {
            counters.received.add_one();
            self.camera.stamp_gaps.add(message.stamp());
        };
        while let Some(mut message) = messages.next().await {
            receive(&message);
            while let Some(Some(newer)) = messages.next().now_or_never() {
                receive(&newer);
                counters.not_decoded.add_one();
                message = newer;
            }
            let arrival = Arrival {
                steady: Instant::now(),
                ros: self.context.now(),
            };
            match message.into_camera_frame(arrival) {
                Ok(frame) => self.deliver(Arc::new(frame)),
                Err(error) => {
                    counters.bad.add_one();
                    self.warn_of_bad_frame(&error, &mut throttle);
                }
            }
        }
    }

    fn deliver(&self, frame: Arc<CameraFrame>) {
        self.camera.capture.send(&frame);
        if self.inbox.put_frame(self.camera.index, frame).is_some() {
            self.camera.counters.not_classified.add_one();
        }
    }

    fn warn_of_bad_frame(&self, error: &FrameError, throttle: &mut Throttle) {
        let topic = &self.camera.topic;
        match throttle.pass() {
            None => {}
            Some(0) => self.context.warn(&format!("bad frame on {topic}: {error}")),
            Some(suppressed) => self.context.warn(&format!(
                "bad frame on {topic}: {error} ({suppressed} more since the last warning)"
            )),
        }
    }
}

impl ImageMessage for ImageInPlace {
    fn subscribe(node: &mut Node, topic: &str, qos: QosProfile) -> r2r::Result<BoxStream<'static, Self>> {
        Ok(subscribe_to_images(node, topic, qos)?.boxed())
    }

    fn stamp(&self) -> &Time {
        &self.fields.header.stamp
    }

    fn into_camera_frame(self, arrival: Arrival) -> Result<CameraFrame, FrameError> {
        let ImageInPlace { fields, pixels } = self;
        let (sides, is_bigendian) = ([fields.width, fields.height], fields.is_bigendian != 0);
        Ok(CameraFrame {
            frame: Frame::from_message(&fields.encoding, sides, fields.step, pixels, is_bigendian)?,
            header: printable_header(fields.header),
            arrival,
        })
    }
}

impl ImageMessage for CompressedImage {
    fn subscribe(node: &mut Node, topic: &str, qos: QosProfile) -> r2r::Result<BoxStream<'static, Self>> {
        Ok(node.subscribe(topic, qos)?.boxed())
    }

    fn stamp(&self) -> &Time {
        &self.header.stamp
    }

    fn into_camera_frame(self, arrival: Arrival) -> Result<CameraFrame, FrameError> {
        Ok(CameraFrame {
            frame: Frame::from_compressed(&self.format, &self.data)?,
            header: printable_header(self.header),
            arrival,
        })
    }
}

/// The header as it is passed on to those who receive gestures and overlays.
fn printable_header(header: Header) -> Header {
    Header {
        frame_id: text::printable_name(header.frame_id),
        ..header
    }
}
