//! The image topics and image messages of a bag: `sensor_msgs/Image` and `sensor_msgs/CompressedImage` -> [`Frame`].

use super::cdr::{CdrError, CdrReader};
use super::{Bag, BagError, Topic};
use crate::frame::{Frame, FrameError};

const IMAGE: &str = "sensor_msgs/msg/Image";
const COMPRESSED_IMAGE: &str = "sensor_msgs/msg/CompressedImage";

/// A deserialized image message.
#[derive(Debug)]
pub struct BagImage {
    /// `header.stamp`, nanoseconds since the epoch.
    pub stamp_ns: i64,
    /// `header.frame_id`.
    pub frame_id: String,
    /// The image.
    pub frame: Frame,
}

/// Why a message is not a valid image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The message cannot be deserialized.
    #[error("the message {0}")]
    Cdr(#[from] CdrError),
    /// The message's fields are not a valid image.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The topic was recorded in another serialization format.
    #[error("the topic's serialization format is {0:?}, must be \"cdr\"")]
    Encoding(String),
    /// The topic has another message type.
    #[error("{0} is not an image type; supported: {IMAGE}, {COMPRESSED_IMAGE}")]
    Type(String),
}

/// Finds the topic to take images from: the requested one, or else the only one with images.
///
/// # Errors
/// The requested topic does not exist or has no images; without a request, no topic or several topics have images.
pub fn image_topic(bag: &Bag, requested: Option<&str>) -> Result<Topic, BagError> {
    let mut topics = bag.topics()?;
    let known = list_topics(&topics);
    if let Some(name) = requested {
        return match topics.into_iter().find(|topic| topic.name == name) {
            Some(topic) if has_images(&topic) => Ok(topic),
            Some(topic) => Err(BagError::NotAnImageTopic {
                topic: topic.name,
                message_type: topic.message_type,
                known,
            }),
            None => Err(BagError::UnknownTopic {
                topic: name.to_owned(),
                known,
            }),
        };
    }
    topics.retain(has_images);
    match topics.as_slice() {
        [topic] => Ok(topic.clone()),
        [] => Err(BagError::NoImageTopic(known)),
        several => Err(BagError::AmbiguousImageTopic(list_topics(several))),
    }
}

fn has_images(topic: &Topic) -> bool {
    [IMAGE, COMPRESSED_IMAGE].contains(&topic.message_type.as_str())
}

fn list_topics(topics: &[Topic]) -> String {
    if topics.is_empty() {
        return "no messages".to_owned();
    }
    let names: Vec<String> = topics
        .iter()
        .map(|topic| format!("{} ({})", topic.name, topic.message_type))
        .collect();
    names.join(", ")
}

impl BagImage {
    /// Deserializes a message.
    ///
    /// # Errors
    /// The topic does not hold images, or the message is not a valid image.
    pub fn read(topic: &Topic, data: &[u8]) -> Result<BagImage, ImageError> {
        if topic.encoding != "cdr" {
            return Err(ImageError::Encoding(topic.encoding.clone()));
        }
        let mut cdr = CdrReader::new(data)?;
        match topic.message_type.as_str() {
            IMAGE => read_image(&mut cdr),
            COMPRESSED_IMAGE => read_compressed_image(&mut cdr),
            other => Err(ImageError::Type(other.to_owned())),
        }
    }

    /// Deserializes only `header.stamp`.
    pub(super) fn read_stamp(data: &[u8]) -> Result<i64, CdrError> {
        Ok(read_header(&mut CdrReader::new(data)?)?.0)
    }
}

/// Reads the fields in the order of `Image.msg`.
fn read_image(cdr: &mut CdrReader) -> Result<BagImage, ImageError> {
    let (stamp_ns, frame_id) = read_header(cdr)?;
    let (height, width) = (cdr.u32()?, cdr.u32()?);
    let encoding = cdr.string()?;
    let is_bigendian = cdr.u8()? != 0;
    let step = cdr.u32()?;
    let data = cdr.byte_sequence()?.to_vec();
    Ok(BagImage {
        stamp_ns,
        frame_id,
        frame: Frame::from_message(encoding, [width, height], step, data, is_bigendian)?,
    })
}

/// Reads the fields in the order of `CompressedImage.msg`.
fn read_compressed_image(cdr: &mut CdrReader) -> Result<BagImage, ImageError> {
    let (stamp_ns, frame_id) = read_header(cdr)?;
    let format = cdr.string()?;
    Ok(BagImage {
        stamp_ns,
        frame_id,
        frame: Frame::from_compressed(format, cdr.byte_sequence()?)?,
    })
}

/// Reads the stamp, in nanoseconds, and the frame id, in the order of `Header.msg`.
fn read_header(cdr: &mut CdrReader) -> Result<(i64, String), CdrError> {
    let (sec, nanosec) = (cdr.i32()?, cdr.u32()?);
    let stamp_ns = i64::from(sec) * 1_000_000_000 + i64::from(nanosec);
    Ok((stamp_ns, cdr.string()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(message_type: &str) -> Topic {
        Topic {
            name: "/camera/image_raw".to_owned(),
            message_type: message_type.to_owned(),
            encoding: "cdr".to_owned(),
        }
    }

    /// A mono8 image of 2x1 pixels.
    const MESSAGE: &[u8] = b"\0\x01\0\0\x05\0\0\0\x07\0\0\0\x04\0\0\0cam\0\x01\0\0\0\x02\0\0\0\x06\0\0\0mono8\0\0\0\x02\0\0\0\x02\0\0\0\x10\x20";

    #[test]
    fn image_is_read_with_its_header() {
        let image = BagImage::read(&topic(IMAGE), MESSAGE).expect("a valid image");
        assert_eq!((image.stamp_ns, image.frame_id.as_str()), (5_000_000_007, "cam"));
        assert_eq!((image.frame.width(), image.frame.height()), (2, 1));
    }

    #[test]
    fn message_truncated_anywhere_is_rejected() {
        for length in 4..MESSAGE.len() {
            let error = BagImage::read(&topic(IMAGE), &MESSAGE[..length]).expect_err("truncated");
            assert!(error.to_string().contains("ends early"), "{length}: {error}");
        }
    }

    #[test]
    fn topics_of_video_are_named_with_what_to_do() {
        let message_type = "foxglove_msgs/msg/CompressedVideo".to_owned();
        let known = list_topics(&[topic(&message_type)]);
        let errors = [
            BagError::NoImageTopic(known.clone()),
            BagError::NotAnImageTopic {
                topic: "/camera".to_owned(),
                message_type,
                known,
            },
        ];
        for error in errors {
            assert!(
                error
                    .to_string()
                    .ends_with("`ros2 run image_transport republish`"),
                "{error}"
            );
        }
        let error = BagError::NoImageTopic(list_topics(&[topic("std_msgs/msg/String")]));
        assert!(error.to_string().ends_with("(std_msgs/msg/String)"), "{error}");
    }

    #[test]
    fn other_types_and_encodings_are_rejected_by_name() {
        let error = BagImage::read(&topic("std_msgs/msg/String"), MESSAGE).expect_err("not an image");
        assert!(
            error
                .to_string()
                .contains("std_msgs/msg/String is not an image type"),
            "{error}"
        );
        let protobuf = Topic {
            encoding: "protobuf".to_owned(),
            ..topic(IMAGE)
        };
        let error = BagImage::read(&protobuf, MESSAGE).expect_err("not CDR");
        assert!(error.to_string().contains("protobuf"), "{error}");
    }
}
