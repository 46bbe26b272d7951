//! `sensor_msgs/Image` and `sensor_msgs/CompressedImage` of a bag -> [`Frame`].

use super::Topic;
use super::cdr::{Cdr, CdrError};
use crate::frame::{Frame, FrameError};

/// The types of messages that hold an image.
pub const TYPES: [&str; 2] = ["sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"];

/// An image of a bag.
#[derive(Debug)]
pub struct BagImage {
    /// The camera's stamp, nanoseconds since the epoch.
    pub stamp_ns: i64,
    /// The camera's frame of reference.
    pub frame_id: String,
    /// The image.
    pub frame: Frame,
}

/// Why a message is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is not written as its type says.
    #[error("the message {0}")]
    Cdr(#[from] CdrError),
    /// What is in it is no image.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It is written in another form than ROS 2's own.
    #[error("the topic is recorded as {0:?}, not as cdr")]
    Encoding(String),
    /// It is of another type.
    #[error("{0} holds no images; {all} do", all = TYPES.join(" and "))]
    Type(String),
}

impl BagImage {
    /// The camera's stamp; where that is zero, the time at which it was recorded.
    pub fn time_ns(&self, recorded_ns: i64) -> i64 {
        match self.stamp_ns {
            0 => recorded_ns,
            stamp_ns => stamp_ns,
        }
    }

    /// Takes a message apart.
    ///
    /// # Errors
    /// A type that holds no images, a message that is not what its type says, and what [`Frame`] says of its image.
    pub fn read(topic: &Topic, data: &[u8]) -> Result<BagImage, ImageError> {
        if topic.encoding != "cdr" {
            return Err(ImageError::Encoding(topic.encoding.clone()));
        }
        let mut cdr = Cdr::new(data)?;
        match topic.message.as_str() {
            "sensor_msgs/msg/Image" => image(&mut cdr),
            "sensor_msgs/msg/CompressedImage" => compressed_image(&mut cdr),
            other => Err(ImageError::Type(other.to_owned())),
        }
    }
}

/// In the order of `Image.msg`.
fn image(cdr: &mut Cdr) -> Result<BagImage, ImageError> {
    let (stamp_ns, frame_id) = header(cdr)?;
    let (height, width) = (cdr.u32()?, cdr.u32()?);
    let encoding = cdr.text()?;
    let is_bigendian = cdr.u8()? != 0;
    let step = cdr.u32()?;
    let data = cdr.sequence()?.to_vec();
    Ok(BagImage {
        stamp_ns,
        frame_id,
        frame: Frame::from_message(encoding, [width, height], step, data, is_bigendian)?,
    })
}

/// In the order of `CompressedImage.msg`.
fn compressed_image(cdr: &mut Cdr) -> Result<BagImage, ImageError> {
    let (stamp_ns, frame_id) = header(cdr)?;
    let format = cdr.text()?;
    Ok(BagImage {
        stamp_ns,
        frame_id,
        frame: Frame::from_compressed(format, cdr.sequence()?)?,
    })
}

/// In the order of `Header.msg`.
fn header(cdr: &mut Cdr) -> Result<(i64, String), CdrError> {
    let (sec, nanosec) = (cdr.i32()?, cdr.u32()?);
    let stamp_ns = i64::from(sec) * 1_000_000_000 + i64::from(nanosec);
    Ok((stamp_ns, cdr.text()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(message: &str) -> Topic {
        Topic {
            name: "/camera/image_raw".to_owned(),
            message: message.to_owned(),
            encoding: "cdr".to_owned(),
        }
    }

    /// A 2x1 image in mono8.
    const IMAGE: &[u8] = b"\0\x01\0\0\x05\0\0\0\x07\0\0\0\x04\0\0\0cam\0\x01\0\0\0\x02\0\0\0\x06\0\0\0mono8\0\0\0\x02\0\0\0\x02\0\0\0\x10\x20";

    #[test]
    fn an_image_is_read_with_its_header() {
        let image = BagImage::read(&topic(TYPES[0]), IMAGE).expect("an image");
        assert_eq!((image.stamp_ns, image.frame_id.as_str()), (5_000_000_007, "cam"));
        assert_eq!((image.frame.width(), image.frame.height()), (2, 1));
    }

    #[test]
    fn wherever_it_ends_early_that_is_said() {
        for length in 4..IMAGE.len() {
            let error = BagImage::read(&topic(TYPES[0]), &IMAGE[..length]).expect_err("ends early");
            assert!(error.to_string().contains("ends early"), "{length}: {error}");
        }
    }

    #[test]
    fn what_holds_no_images_is_refused_by_name() {
        let error = BagImage::read(&topic("std_msgs/msg/String"), IMAGE).expect_err("no image");
        assert!(
            error.to_string().contains("std_msgs/msg/String holds no images"),
            "{error}"
        );
        let protobuf = Topic {
            encoding: "protobuf".to_owned(),
            ..topic(TYPES[0])
        };
        let error = BagImage::read(&protobuf, IMAGE).expect_err("no CDR");
        assert!(error.to_string().contains("protobuf"), "{error}");
    }
}
