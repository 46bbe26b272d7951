//! The thread that draws frames with their gestures for people who watch: it takes longer than classifying them, and must not keep the
//! classifier from the next one.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use r2r::sensor_msgs::msg::CompressedImage;
use r2r::thumb_gesture::msg::ThumbGesture;

use crate::gesture::UNKNOWN;
use crate::node::pipeline::camera::CameraFrame;
use crate::node::ros::topic::Topic;
use crate::overlay::{self, Caption};

/// The way to the thread. It ends when this is dropped.
pub struct Painter(SyncSender<Image>);

/// What is to be drawn.
pub struct Image {
    /// The frame.
    pub frame: Arc<CameraFrame>,
    /// Its gesture.
    pub gesture: ThumbGesture,
    /// Where it goes.
    pub topic: Arc<Topic<CompressedImage>>,
}

/// A painter, and its work, for a thread. As many images may wait as there are cameras.
pub fn painter(cameras: usize) -> (Painter, impl FnOnce() + Send + 'static) {
    let (sender, images) = sync_channel(cameras);
    (Painter(sender), move || paint(&images))
}

impl Painter {
    /// Has an image drawn; not while others wait already.
    pub fn draw(&self, image: Image) {
        let _left_out = self.0.try_send(image);
    }
}

fn paint(images: &Receiver<Image>) {
    for Image {
        frame,
        gesture,
        topic,
    } in images
    {
        let labels = gesture.labels.iter().map(String::as_str);
        let caption = Caption {
            title: match gesture.gesture {
                UNKNOWN => format!("unknown ({})", gesture.reason),
                _ => format!("{} {:.0} %", gesture.label, gesture.confidence * 100.0),
            },
            is_stable: gesture.stable,
            bars: labels.zip(gesture.probabilities.iter().copied()).collect(),
            age: Duration::new(u64::try_from(gesture.age.sec).unwrap_or(0), gesture.age.nanosec),
        };
        topic.publish(&CompressedImage {
            header: gesture.header.clone(),
            format: "jpeg".to_owned(),
            data: overlay::jpeg(frame.frame.to_rgb_image(), &caption),
        });
    }
}
