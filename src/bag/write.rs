//! Writes a bag with images: an MCAP file with zstd-compressed chunks, and the `metadata.yaml` that `ros2 bag` needs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use image::RgbImage;
use mcap::records::MessageHeader;
use mcap::{Compression, McapError, WriteOptions, Writer};

use super::image::IMAGE;
use super::metadata;
use crate::disk::{self, DraftDirectory};

/// The message definition, for tools that have no ROS messages installed.
const DEFINITION: &str = "\
std_msgs/Header header
uint32 height
uint32 width
string encoding
uint8 is_bigendian
uint32 step
uint8[] data
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
";
/// The type hash of `sensor_msgs/msg/Image` by REP-2011.
const TYPE_HASH: &str = "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47";

/// Why a bag was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The bag's directory exists.
    #[error("{} exists; choose another path or remove it", .0.display())]
    Exists(PathBuf),
    /// The file system reported an error.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The bag's directory.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The MCAP library reported an error.
    #[error("{}: {cause}", path.display())]
    Mcap {
        /// The bag's directory.
        path: PathBuf,
        /// The error of the library.
        cause: McapError,
    },
}

/// Writes a bag with one topic. The bag appears under its path when it is complete; an unfinished one is removed.
pub struct BagWriter {
    bag: PathBuf,
    /// A directory next to `bag`, which it is renamed to.
    unfinished: DraftDirectory,
    writer: Writer<BufWriter<File>>,
    channel: u16,
    topic: String,
    file_name: String,
    messages: u32,
    /// Times of the first and the last message, nanoseconds since the epoch.
    span: Option<(u64, u64)>,
}

impl BagWriter {
    /// Starts a bag with one image topic. Removes what killed processes left of others next to it.
    ///
    /// # Errors
    /// The path exists, or files cannot be created next to it.
    pub fn create(bag: &Path, topic: &str) -> Result<BagWriter, WriteError> {
        let io_error = |cause| WriteError::Io {
            path: bag.to_owned(),
            cause,
        };
        if bag.exists() {
            return Err(WriteError::Exists(bag.to_owned()));
        }
        let unfinished = DraftDirectory::private_beside(bag).map_err(io_error)?;
        let name = bag.file_name().unwrap_or(bag.as_os_str()).to_string_lossy();
        let file_name = format!("{name}_0.mcap");
        let file = disk::create_file(&unfinished.path().join(&file_name)).map_err(io_error)?;
        let create_writer = || -> Result<(Writer<BufWriter<File>>, u16), McapError> {
            let options = WriteOptions::new()
                .profile("ros2")
                .compression(Some(Compression::Zstd));
            let mut writer = options.create(BufWriter::new(file))?;
            let schema = writer.add_schema(IMAGE, "ros2msg", DEFINITION.as_bytes())?;
            let qos = BTreeMap::from([("offered_qos_profiles".to_owned(), String::new())]);
            let channel = writer.add_channel(schema, topic, "cdr", &qos)?;
            Ok((writer, channel))
        };
        let (writer, channel) = create_writer().map_err(|cause| WriteError::Mcap {
            path: bag.to_owned(),
            cause,
        })?;
        Ok(BagWriter {
            bag: bag.to_owned(),
            unfinished,
            writer,
            channel,
            topic: topic.to_owned(),
            file_name,
            messages: 0,
            span: None,
        })
    }

    /// Writes an image; `time_ns` is both its stamp and its time of recording, nanoseconds since the epoch.
    ///
    /// # Errors
    /// The file cannot be written, for example because the disk is full.
    pub fn write(&mut self, time_ns: u64, frame_id: &str, image: &RgbImage) -> Result<(), WriteError> {
        let header = MessageHeader {
            channel_id: self.channel,
            sequence: self.messages,
            log_time: time_ns,
            publish_time: time_ns,
        };
        let message = image_message(time_ns, frame_id, image);
        self.writer
            .write_to_known_channel(&header, &message)
            .map_err(|cause| self.mcap_error(cause))?;
        self.messages += 1;
        let first = self.span.map_or(time_ns, |(first, _)| first);
        self.span = Some((first, time_ns));
        Ok(())
    }

    /// Completes the bag and moves it to its path.
    ///
    /// # Errors
    /// The file system reported an error; the bag does not exist then.
    pub fn finish(mut self) -> Result<(), WriteError> {
        let io_error = |cause| WriteError::Io {
            path: self.bag.clone(),
            cause,
        };
        let summary = self.writer.finish();
        summary.map_err(|cause| self.mcap_error(cause))?;
        let metadata = self.unfinished.path().join(metadata::FILE_NAME);
        disk::write_file(&metadata, self.metadata().as_bytes()).map_err(io_error)?;
        for file in [self.unfinished.path().join(&self.file_name), metadata] {
            File::open(file)
                .and_then(|file| file.sync_all())
                .map_err(io_error)?;
        }
        self.unfinished.publish(&self.bag).map_err(io_error)
    }

    fn mcap_error(&self, cause: McapError) -> WriteError {
        WriteError::Mcap {
            path: self.bag.clone(),
            cause,
        }
    }

    /// The text of `metadata.yaml`, in the format of rosbag2 in Jazzy.
    fn metadata(&self) -> String {
        let (first, last) = self.span.unwrap_or_default();
        // A JSON string is a valid YAML string.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let (file, topic) = (quoted(&self.file_name), quoted(&self.topic));
        let (messages, duration) = (self.messages, last.saturating_sub(first));
        format!(
            "\
rosbag2_bagfile_information:
  version: 9
  storage_identifier: mcap
  duration:
    nanoseconds: {duration}
  starting_time:
    nanoseconds_since_epoch: {first}
  message_count: {messages}
  topics_with_message_count:
    - topic_metadata:
        name: {topic}
        type: {IMAGE}
        serialization_format: cdr
        offered_qos_profiles: []
        type_description_hash: {TYPE_HASH}
      message_count: {messages}
  compression_format: \"\"
  compression_mode: \"\"
  relative_file_paths:
    - {file}
  files:
    - path: {file}
      starting_time:
        nanoseconds_since_epoch: {first}
      duration:
        nanoseconds: {duration}
      message_count: {messages}
  custom_data: ~
  ros_distro: jazzy
"
        )
    }
}

/// Serializes a `sensor_msgs/Image` with encoding rgb8 as little-endian CDR.
fn image_message(stamp_ns: u64, frame_id: &str, image: &RgbImage) -> Vec<u8> {
    let pixels = image.as_raw();
    let mut message = Vec::with_capacity(pixels.len() + frame_id.len() + 64);
    message.extend_from_slice(&[0, 1, 0, 0]);
    // The cast fits until 2106; `sec` of the message is an int32 and overflows in 2038.
    put_u32(&mut message, (stamp_ns / 1_000_000_000) as u32);
    put_u32(&mut message, (stamp_ns % 1_000_000_000) as u32);
    put_string(&mut message, frame_id);
    put_u32(&mut message, image.height());
    put_u32(&mut message, image.width());
    put_string(&mut message, "rgb8");
    message.push(0);
    put_u32(&mut message, image.width() * 3);
    put_u32(&mut message, pixels.len() as u32);
    message.extend_from_slice(pixels);
    message
}

/// CDR aligns to multiples of 4 from the end of the encapsulation header, which is itself 4 bytes long.
fn put_u32(message: &mut Vec<u8>, value: u32) {
    message.resize(message.len().next_multiple_of(4), 0);
    message.extend_from_slice(&value.to_le_bytes());
}

fn put_string(message: &mut Vec<u8>, text: &str) {
    put_u32(message, text.len() as u32 + 1);
    message.extend_from_slice(text.as_bytes());
    message.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bag::Bag;
    use crate::bag::image::BagImage;

    const TIME_NS: u64 = 1_700_000_000_123_456_789;

    fn image(width: u32) -> RgbImage {
        RgbImage::from_fn(width, 3, |x, y| image::Rgb([x as u8, y as u8, 200]))
    }

    #[test]
    fn written_bag_reads_back() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a \"bag\"");
        let mut writer = BagWriter::create(&path, "/camera/image_raw").expect("a new bag");
        for (index, width) in [5, 6, 7].into_iter().enumerate() {
            let frame_id = "frame".repeat(index);
            writer
                .write(TIME_NS + index as u64, &frame_id, &image(width))
                .expect("writable");
        }
        writer.finish().expect("writable");
        let bag = Bag::open(&path).expect("a valid bag");
        let mut found = Vec::new();
        let losses = bag.read(&|_| true, &mut |message| {
            let image = BagImage::read(message.topic, message.data).map_err(|error| error.to_string())?;
            assert_eq!(image.stamp_ns, message.time_ns);
            found.push((
                message.time_ns - TIME_NS.cast_signed(),
                image.frame_id,
                image.frame.to_rgb_image(),
            ));
            Ok(())
        });
        assert_eq!(losses.expect("readable"), []);
        let expected = [(0, "", 5), (1, "frame", 6), (2, "frameframe", 7)];
        let expected = expected.map(|(time_ns, id, width)| (time_ns, id.to_owned(), image(width)));
        assert!(found == expected);
    }

    #[test]
    fn existing_bag_is_not_overwritten_and_unfinished_bag_is_removed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("bag");
        drop(BagWriter::create(&path, "/camera").expect("a new bag"));
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
        BagWriter::create(&path, "/camera")
            .expect("a new bag")
            .finish()
            .expect("an empty bag");
        let error = BagWriter::create(&path, "/camera")
            .err()
            .expect("the path exists");
        assert!(error.to_string().contains("exists"), "{error}");
    }
}
