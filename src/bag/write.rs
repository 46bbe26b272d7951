//! Images into a bag: MCAP with zstd in chunks, and the `metadata.yaml` with which `ros2 bag` plays it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use image::RgbImage;
use mcap::records::MessageHeader;
use mcap::{Compression, McapError, WriteOptions, Writer};

use super::metadata;

/// The message, and those inside it, as tools read it that know nothing of ROS.
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
const TYPE: &str = "sensor_msgs/msg/Image";
/// Of `sensor_msgs/msg/Image`, by REP-2011.
const TYPE_HASH: &str = "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47";

/// Why a bag was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The system's word.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's word.
        cause: io::Error,
    },
    /// The format's.
    #[error("{}: {cause}", path.display())]
    Mcap {
        /// The file.
        path: PathBuf,
        /// The library's word.
        cause: McapError,
    },
}

/// A bag that is being written, beside the place where it will be: it appears there whole, or not at all.
pub struct BagWriter {
    bag: PathBuf,
    unfinished: tempfile::TempDir,
    writer: Writer<BufWriter<File>>,
    channel: u16,
    topic: String,
    file_name: String,
    messages: u32,
    /// Times of the first and the last message.
    span: Option<(u64, u64)>,
}

impl BagWriter {
    /// Begins a bag of one topic.
    ///
    /// # Errors
    /// There is something in its place already, and what the file system says.
    pub fn create(bag: &Path, topic: &str) -> Result<BagWriter, WriteError> {
        let io = |cause| WriteError::Io {
            path: bag.to_owned(),
            cause,
        };
        if bag.exists() {
            return Err(io(io::ErrorKind::AlreadyExists.into()));
        }
        let parent = match bag.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let unfinished = tempfile::Builder::new()
            .prefix(".bag")
            .tempdir_in(parent)
            .map_err(io)?;
        let name = bag.file_name().unwrap_or(bag.as_os_str()).to_string_lossy();
        let file_name = format!("{name}_0.mcap");
        let file = File::create(unfinished.path().join(&file_name)).map_err(io)?;
        let begin = || -> Result<(Writer<BufWriter<File>>, u16), McapError> {
            let options = WriteOptions::new()
                .profile("ros2")
                .compression(Some(Compression::Zstd));
            let mut writer = options.create(BufWriter::new(file))?;
            let schema = writer.add_schema(TYPE, "ros2msg", DEFINITION.as_bytes())?;
            let qos = BTreeMap::from([("offered_qos_profiles".to_owned(), String::new())]);
            let channel = writer.add_channel(schema, topic, "cdr", &qos)?;
            Ok((writer, channel))
        };
        let (writer, channel) = begin().map_err(|cause| WriteError::Mcap {
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

    /// Adds an image, taken and recorded at a time in nanoseconds since the epoch.
    ///
    /// # Errors
    /// What the file system says, such as a full disk.
    pub fn add(&mut self, time_ns: u64, frame_id: &str, image: &RgbImage) -> Result<(), WriteError> {
        let header = MessageHeader {
            channel_id: self.channel,
            sequence: self.messages,
            log_time: time_ns,
            publish_time: time_ns,
        };
        let message = image_message(time_ns, frame_id, image);
        self.writer
            .write_to_known_channel(&header, &message)
            .map_err(|cause| self.failed(cause))?;
        self.messages += 1;
        let first = self.span.map_or(time_ns, |(first, _)| first);
        self.span = Some((first, time_ns));
        Ok(())
    }

    /// Ends the bag: it is in its place now.
    ///
    /// # Errors
    /// What the file system says; then there is no bag.
    pub fn finish(mut self) -> Result<(), WriteError> {
        let io = |cause| WriteError::Io {
            path: self.bag.clone(),
            cause,
        };
        let finished = self.writer.finish().map(drop);
        finished.map_err(|cause| self.failed(cause))?;
        let metadata = self.unfinished.path().join(metadata::FILE);
        std::fs::write(&metadata, self.metadata()).map_err(io)?;
        for file in [self.unfinished.path().join(&self.file_name), metadata] {
            File::open(file).and_then(|file| file.sync_all()).map_err(io)?;
        }
        std::fs::rename(self.unfinished.path(), &self.bag).map_err(io)?;
        let _moved_away = self.unfinished.keep();
        Ok(())
    }

    fn failed(&self, cause: McapError) -> WriteError {
        WriteError::Mcap {
            path: self.bag.clone(),
            cause,
        }
    }

    /// As rosbag2 of Jazzy writes it.
    fn metadata(&self) -> String {
        let (first, last) = self.span.unwrap_or_default();
        // What JSON quotes, YAML reads.
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
        type: {TYPE}
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

/// An image as `sensor_msgs/Image` in rgb8, little-endian CDR.
fn image_message(stamp_ns: u64, frame_id: &str, image: &RgbImage) -> Vec<u8> {
    let pixels = image.as_raw();
    let mut message = Vec::with_capacity(pixels.len() + frame_id.len() + 64);
    message.extend_from_slice(&[0, 1, 0, 0]);
    // Seconds fit until 2106; the message itself ends in 2038.
    put_u32(&mut message, (stamp_ns / 1_000_000_000) as u32);
    put_u32(&mut message, (stamp_ns % 1_000_000_000) as u32);
    put_text(&mut message, frame_id);
    put_u32(&mut message, image.height());
    put_u32(&mut message, image.width());
    put_text(&mut message, "rgb8");
    message.push(0);
    put_u32(&mut message, image.width() * 3);
    put_u32(&mut message, pixels.len() as u32);
    message.extend_from_slice(pixels);
    message
}

/// On a multiple of four, as CDR has it: the four bytes at the beginning are one too.
fn put_u32(message: &mut Vec<u8>, value: u32) {
    message.resize(message.len().next_multiple_of(4), 0);
    message.extend_from_slice(&value.to_le_bytes());
}

fn put_text(message: &mut Vec<u8>, text: &str) {
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
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a \"take\"");
        let mut writer = BagWriter::create(&path, "/camera/image_raw").expect("begins");
        for (index, width) in [5, 6, 7].into_iter().enumerate() {
            let frame_id = "frame".repeat(index);
            writer
                .add(TIME_NS + index as u64, &frame_id, &image(width))
                .expect("is added");
        }
        writer.finish().expect("ends");
        let bag = Bag::open(&path).expect("a bag");
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
        assert_eq!(losses.expect("is read"), []);
        let expected = [(0, "", 5), (1, "frame", 6), (2, "frameframe", 7)];
        let expected = expected.map(|(time_ns, id, width)| (time_ns, id.to_owned(), image(width)));
        assert!(found == expected);
    }

    #[test]
    fn what_is_there_already_is_not_overwritten_and_what_is_not_finished_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("takes");
        drop(BagWriter::create(&path, "/camera").expect("begins"));
        assert_eq!(std::fs::read_dir(directory.path()).expect("lists").count(), 0);
        BagWriter::create(&path, "/camera")
            .expect("begins")
            .finish()
            .expect("ends, empty");
        let error = BagWriter::create(&path, "/camera").err().expect("is there");
        assert!(error.to_string().contains("exists"), "{error}");
    }
}
