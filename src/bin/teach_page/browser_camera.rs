//! The camera of a visitor's device, whose pictures become the camera of the gesture node.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::std_msgs::msg::Header;
use r2r::{Node, Publisher, QosProfile};
use thumb_gesture::frame::Frame;
use thumb_gesture::node::{ImageTopic, ImageTransport, NodeContext, RosArguments};
use thumb_gesture::sync::lock;

/// As the other cameras of this package call a JPEG.
const FORMAT: &str = "rgb8; jpeg compressed bgr8";
const FRAME_ID: &str = "browser_camera";
const IN_USE: &str = "the camera of another device is in use; stop it there";

/// Without a picture for this long, another device may take over: its connection may be lost without the server's knowledge.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Publishes the pictures of one visitor at a time.
pub(crate) struct BrowserCamera {
    publisher: Arc<Mutex<Publisher<CompressedImage>>>,
    owner: Arc<Mutex<Owner>>,
}

/// The device whose pictures are published.
#[derive(Default)]
struct Owner {
    /// Number of the last use; 0 before the first one.
    number: u64,
    /// Time of its last picture, or of its beginning; `None` if it has ended.
    active: Option<Instant>,
}

/// The right to publish pictures, until another device takes over.
#[derive(Clone)]
pub(crate) struct CameraUse {
    publisher: Arc<Mutex<Publisher<CompressedImage>>>,
    owner: Arc<Mutex<Owner>>,
    number: u64,
}

impl BrowserCamera {
    /// # Errors
    /// rcl reported an error.
    pub(crate) fn new(node: &mut Node, arguments: &RosArguments) -> r2r::Result<BrowserCamera> {
        let topic = ImageTopic::resolve(arguments, node, "camera/image_raw", ImageTransport::Compressed)?;
        // Reliable, so that reliable and best-effort subscriptions match.
        let publisher = node.create_publisher(&topic.name, QosProfile::default().keep_last(1))?;
        Ok(BrowserCamera {
            publisher: Arc::new(Mutex::new(publisher)),
            owner: Arc::default(),
        })
    }

    /// # Errors
    /// Another visitor's camera is in use.
    pub(crate) fn take(&self) -> Result<CameraUse, String> {
        let mut owner = lock(&self.owner);
        if owner.active.is_some_and(|active| active.elapsed() < MAX_PAUSE) {
            return Err(IN_USE.to_owned());
        }
        owner.number += 1;
        owner.active = Some(Instant::now());
        Ok(CameraUse {
            publisher: self.publisher.clone(),
            owner: self.owner.clone(),
            number: owner.number,
        })
    }
}

impl CameraUse {
    /// Lets other devices take over.
    pub(crate) fn end(&self) {
        let mut owner = lock(&self.owner);
        if owner.number == self.number {
            owner.active = None;
        }
    }

    /// Keeps other devices from taking over for a while.
    ///
    /// # Errors
    /// One has taken over.
    fn keep(&self) -> Result<(), String> {
        let mut owner = lock(&self.owner);
        if owner.number != self.number {
            return Err(IN_USE.to_owned());
        }
        owner.active = Some(Instant::now());
        Ok(())
    }

    /// Publishes a JPEG, stamped with the current time.
    ///
    /// # Errors
    /// It is not a valid JPEG, or cannot be published, or another device has taken over.
    pub(crate) async fn publish(self, context: &NodeContext, jpeg: Bytes) -> Result<(), String> {
        self.keep()?;
        let stamp = context.stamp();
        let publish = move || {
            if !jpeg.starts_with(&[0xff, 0xd8, 0xff]) {
                return Err("the picture is not a JPEG".to_owned());
            }
            Frame::from_compressed("", &jpeg)
                .map_err(|error| format!("the picture is not valid: {error}"))?;
            let message = CompressedImage {
                header: Header {
                    stamp,
                    frame_id: FRAME_ID.to_owned(),
                },
                format: FORMAT.to_owned(),
                data: jpeg.to_vec(),
            };
            let published = lock(&self.publisher).publish(&message);
            published.map_err(|error| format!("the picture cannot be published: {error}"))
        };
        tokio::task::spawn_blocking(publish)
            .await
            .unwrap_or_else(|_| Err("the picture cannot be decoded".to_owned()))
    }
}
