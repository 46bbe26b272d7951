//! Publishes images as ROS messages.

use clap::ValueEnum;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use r2r::builtin_interfaces::msg::Time;
use r2r::sensor_msgs::msg::{CompressedImage, Image};
use r2r::std_msgs::msg::Header;
use r2r::{Node, Publisher, QosProfile};
use thumb_gesture::node::ImageTransport;

use crate::device::DeviceImage;

/// JPEG quality, 1 to 100.
const JPEG_QUALITY: u8 = 90;

/// The encoding of raw images.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    Rgb8,
    Bgr8,
    Rgba8,
    Bgra8,
    Mono8,
}

/// Publishes raw or compressed images.
pub(crate) enum ImagePublisher {
    Raw(Publisher<Image>, Encoding),
    Compressed(Publisher<CompressedImage>),
}

impl ImagePublisher {
    /// Creates the publisher, with reliable QoS so that it is compatible with reliable and best-effort subscriptions.
    pub(crate) fn new(
        node: &mut Node,
        topic: &str,
        encoding: Encoding,
        transport: ImageTransport,
    ) -> r2r::Result<ImagePublisher> {
        let qos = QosProfile::default().keep_last(5);
        Ok(match transport {
            ImageTransport::Raw => ImagePublisher::Raw(node.create_publisher(topic, qos)?, encoding),
            ImageTransport::Compressed => ImagePublisher::Compressed(node.create_publisher(topic, qos)?),
        })
    }

    /// Publishes an image of a device as it comes. It must be of the publisher's transport.
    pub(crate) fn publish_as_is(
        &self,
        image: DeviceImage,
        stamp: Time,
        frame_id: &str,
    ) -> anyhow::Result<()> {
        let frame_id = frame_id.to_owned();
        let header = Header { stamp, frame_id };
        match (self, image) {
            (ImagePublisher::Raw(publisher, _), DeviceImage::Raw(image)) => {
                publisher.publish(&Image { header, ..image })?;
            }
            (ImagePublisher::Compressed(publisher), DeviceImage::Compressed(image)) => {
                publisher.publish(&CompressedImage { header, ..image })?;
            }
            _ => anyhow::bail!("the image is not of the transport that was requested"),
        }
        Ok(())
    }

    pub(crate) fn publish(&self, image: &RgbImage, stamp: Time, frame_id: String) -> anyhow::Result<()> {
        let header = Header { stamp, frame_id };
        match self {
            ImagePublisher::Raw(publisher, encoding) => {
                publisher.publish(&raw_message(image, *encoding, header))?
            }
            ImagePublisher::Compressed(publisher) => {
                publisher.publish(&compressed_message(image, header)?)?
            }
        }
        Ok(())
    }
}

fn raw_message(image: &RgbImage, encoding: Encoding, header: Header) -> Image {
    let pixels = image.pixels().map(|pixel| pixel.0);
    let (name, data): (&str, Vec<u8>) = match encoding {
        Encoding::Rgb8 => ("rgb8", image.as_raw().clone()),
        Encoding::Bgr8 => ("bgr8", pixels.flat_map(|[r, g, b]| [b, g, r]).collect()),
        Encoding::Rgba8 => ("rgba8", pixels.flat_map(|[r, g, b]| [r, g, b, 255]).collect()),
        Encoding::Bgra8 => ("bgra8", pixels.flat_map(|[r, g, b]| [b, g, r, 255]).collect()),
        Encoding::Mono8 => ("mono8", image::imageops::grayscale(image).into_raw()),
    };
    Image {
        header,
        height: image.height(),
        width: image.width(),
        encoding: name.to_owned(),
        is_bigendian: 0,
        step: data.len() as u32 / image.height(),
        data,
    }
}

fn compressed_message(image: &RgbImage, header: Header) -> anyhow::Result<CompressedImage> {
    let mut data = Vec::new();
    JpegEncoder::new_with_quality(&mut data, JPEG_QUALITY).encode_image(image)?;
    Ok(CompressedImage {
        header,
        format: "rgb8; jpeg compressed bgr8".to_owned(),
        data,
    })
}
