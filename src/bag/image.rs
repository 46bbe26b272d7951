//! The image topics and image messages of a bag: `sensor_msgs/Image` and `sensor_msgs/CompressedImage` -> [`Frame`].

use super::cdr::{CdrError, CdrReader};
use super::file::ROS1_FIX;
use super::{Bag, BagError, Topic};
use crate::frame::{Frame, FrameError, fix_of_video};

/// The message type of images.
pub const IMAGE: &str = "sensor_msgs/msg/Image";
/// The message type of compressed images.
pub const COMPRESSED_IMAGE: &str = "sensor_msgs/msg/CompressedImage";

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
    /// The topic was recorded in another serialization format, or has another message type.
    #[error("{0} cannot be read; supported: {IMAGE} and {COMPRESSED_IMAGE}, in cdr")]
    Topic(String),
}

/// Finds the topic to take images from: the requested one, or else the only one with images.
///
/// `metadata.yaml` saves reading the whole bag if its answer is confirmed by a message; otherwise the data decides.
///
/// # Errors
/// The requested topic does not exist or has no images; without a request, no topic or several topics have images.
pub fn image_topic(bag: &Bag, requested: Option<&str>) -> Result<Topic, BagError> {
    if let Ok(listed) = choose(bag.listed_topics(), requested)
        && let Some(topic) = bag.first_topic(&|found| is_image_topic(found, &listed))?
    {
        return Ok(topic);
    }
    let contents = bag.contents()?;
    let topics = contents.topics.into_iter().map(|contents| contents.topic);
    choose(topics.collect(), requested).map_err(|error| error.with_losses(&contents.losses))
}

/// Whether a topic found in a file has the name of the chosen one, and images. Other types on the same name are not read; the type may
/// change between images and compressed images.
pub fn is_image_topic(found: &Topic, chosen: &Topic) -> bool {
    found.name == chosen.name && has_images(found)
}

fn choose(mut topics: Vec<Topic>, requested: Option<&str>) -> Result<Topic, BagError> {
    let known = list_topics(&topics);
    if let Some(name) = requested {
        topics.retain(|topic| topic.name == name);
        if topics.is_empty() {
            let topic = name.to_owned();
            return Err(BagError::UnknownTopic { topic, known });
        }
    }
    let mut images: Vec<Topic> = topics.iter().filter(|topic| has_images(topic)).cloned().collect();
    images.dedup_by(|one, other| one.name == other.name);
    match (images.as_slice(), requested) {
        ([topic], _) => Ok(topic.clone()),
        ([], Some(_)) => Err(BagError::NotAnImageTopic {
            topic: list_topics(&topics),
            hint: hint(&topics),
            known,
        }),
        ([], None) => Err(BagError::NoImageTopic {
            known,
            hint: hint(&topics),
        }),
        (several, _) => Err(BagError::AmbiguousImageTopic(list_topics(several))),
    }
}

/// What may help if none of these topics has images that can be read.
fn hint(topics: &[Topic]) -> String {
    let is_image = |topic: &&Topic| ImageType::named(&topic.message_type).is_some();
    if let Some(topic) = topics.iter().find(is_image) {
        return if topic.encoding == "ros1" {
            format!("; it was recorded with ROS 1: {ROS1_FIX}")
        } else {
            format!("; images can be read in cdr, not in {:?}", topic.encoding)
        };
    }
    let video = topics.iter().find_map(|topic| fix_of_video(&topic.message_type));
    if let Some(fix) = video {
        return format!("; {fix}");
    }
    match topics.iter().find(|topic| topic.message_type.is_empty()) {
        Some(topic) => format!(
            "; the recording does not say the type of {:?}: if it holds images, give it with --topic and --type {IMAGE} or {COMPRESSED_IMAGE}",
            topic.name
        ),
        None => String::new(),
    }
}

fn has_images(topic: &Topic) -> bool {
    is_cdr(topic) && ImageType::named(&topic.message_type).is_some()
}

/// A topic without a serialization format is taken for CDR; each message is checked.
fn is_cdr(topic: &Topic) -> bool {
    ["", "cdr"].contains(&topic.encoding.as_str())
}

fn list_topics(topics: &[Topic]) -> String {
    if topics.is_empty() {
        return "no messages".to_owned();
    }
    let names: Vec<String> = topics.iter().map(Topic::to_string).collect();
    names.join(", ")
}

#[derive(Clone, Copy)]
enum ImageType {
    Raw,
    Compressed,
}

impl ImageType {
    /// The type of this name. Bags of Crystal and Dashing have `sensor_msgs/Image`, recorders of DDS `sensor_msgs::msg::dds_::Image_`.
    fn named(name: &str) -> Option<ImageType> {
        let name = name.replace("::", "/");
        let (namespace, name) = name.rsplit_once('/')?;
        if !["sensor_msgs", "sensor_msgs/msg", "sensor_msgs/msg/dds_"].contains(&namespace) {
            return None;
        }
        match name.strip_suffix('_').unwrap_or(name) {
            "Image" => Some(ImageType::Raw),
            "CompressedImage" => Some(ImageType::Compressed),
            _ => None,
        }
    }
}

impl BagImage {
    /// Deserializes a message.
    ///
    /// # Errors
    /// The topic does not hold images, or the message is not a valid image.
    pub fn read(topic: &Topic, data: &[u8]) -> Result<BagImage, ImageError> {
        let Some(image_type) = ImageType::named(&topic.message_type).filter(|_| is_cdr(topic)) else {
            return Err(ImageError::Topic(topic.to_string()));
        };
        let mut cdr = CdrReader::new(data)?;
        match image_type {
            ImageType::Raw => read_image(&mut cdr),
            ImageType::Compressed => read_compressed_image(&mut cdr),
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
        frame: Frame::from_message(&encoding, [width, height], step, data, is_bigendian)?,
    })
}

/// Reads the fields in the order of `CompressedImage.msg`.
fn read_compressed_image(cdr: &mut CdrReader) -> Result<BagImage, ImageError> {
    let (stamp_ns, frame_id) = read_header(cdr)?;
    let format = cdr.string()?;
    Ok(BagImage {
        stamp_ns,
        frame_id,
        frame: Frame::from_compressed(&format, cdr.byte_sequence()?)?,
    })
}

/// Reads the stamp, in nanoseconds, and the frame id, in the order of `Header.msg`.
fn read_header(cdr: &mut CdrReader) -> Result<(i64, String), CdrError> {
    let (sec, nanosec) = (cdr.i32()?, cdr.u32()?);
    let stamp_ns = i64::from(sec) * 1_000_000_000 + i64::from(nanosec);
    Ok((stamp_ns, cdr.string()?.into_owned()))
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
        let video = topic("foxglove_msgs/msg/CompressedVideo");
        for requested in [None, Some(video.name.as_str())] {
            let error = choose(vec![video.clone()], requested)
                .expect_err("no images")
                .to_string();
            assert!(error.contains("`ros2 run image_transport republish`"), "{error}");
        }
        let error = choose(vec![topic("std_msgs/msg/String")], None)
            .expect_err("no images")
            .to_string();
        assert!(!error.contains("republish"), "{error}");
    }

    #[test]
    fn other_types_and_encodings_are_rejected_by_name() {
        let cases = [
            ("std_msgs/msg/String", "cdr"),
            ("sensor_msgs/msg/Image", "protobuf"),
            ("sensor_msgs/Image", "ros1"),
            ("my_msgs/msg/Image", "cdr"),
            ("", "cdr"),
        ];
        for (message_type, encoding) in cases {
            let topic = Topic {
                encoding: encoding.to_owned(),
                ..topic(message_type)
            };
            let error = BagImage::read(&topic, MESSAGE)
                .expect_err("not an image")
                .to_string();
            assert!(
                error.contains(encoding) && error.contains(message_type),
                "{error}"
            );
        }
    }

    #[test]
    fn type_names_of_old_bags_and_of_dds_are_images() {
        for name in [
            IMAGE,
            "sensor_msgs/Image",
            "sensor_msgs::msg::dds_::Image_",
            "sensor_msgs::msg::Image",
        ] {
            assert!(BagImage::read(&topic(name), MESSAGE).is_ok(), "{name}");
        }
        let unnamed = Topic {
            encoding: String::new(),
            ..topic(IMAGE)
        };
        assert!(BagImage::read(&unnamed, MESSAGE).is_ok());
    }

    #[test]
    fn topic_is_chosen_by_name_among_several_types() {
        let compressed = topic(COMPRESSED_IMAGE);
        let topics = vec![compressed.clone(), topic(IMAGE), topic("std_msgs/msg/String")];
        assert_eq!(choose(topics, None).expect("one topic"), compressed);
        let hostile = Topic {
            name: "/a\u{1b}]0;b\n".to_owned(),
            ..topic("")
        };
        let error = choose(vec![hostile], None).expect_err("no type").to_string();
        assert!(
            error.contains("type not recorded") && error.contains("--type"),
            "{error}"
        );
        assert!(!error.contains(char::is_control), "{error}");
    }
}
