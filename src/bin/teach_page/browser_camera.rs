//! The camera of a visitor's device, whose pictures become the camera of the gesture node.

use std::sync::{Arc, Mutex};

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

/// Publishes the pictures of one visitor at a time.
pub(crate) struct BrowserCamera {
    publisher: Arc<Mutex<Publisher<CompressedImage>>>,
    in_use: Arc<tokio::sync::Mutex<()>>,
}

/// The right to publish pictures, until it is dropped.
#[derive(Clone)]
pub(crate) struct CameraUse {
    publisher: Arc<Mutex<Publisher<CompressedImage>>>,
    _in_use: Arc<tokio::sync::OwnedMutexGuard<()>>,
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
            in_use: Arc::default(),
        })
    }

    /// # Errors
    /// Another visitor's camera is in use.
    pub(crate) fn take(&self) -> Result<CameraUse, String> {
        let in_use = self.in_use.clone().try_lock_owned();
        let in_use = in_use.map_err(|_| "the camera of another device is in use; stop it there")?;
        Ok(CameraUse {
            publisher: self.publisher.clone(),
            _in_use: Arc::new(in_use),
        })
    }
}

impl CameraUse {
    /// Publishes a JPEG, stamped with the current time.
    ///
    /// # Errors
    /// It is not a valid JPEG, or cannot be published.
    pub(crate) async fn publish(self, context: &NodeContext, jpeg: Bytes) -> Result<(), String> {
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
