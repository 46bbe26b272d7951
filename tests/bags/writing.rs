//! Writes recordings and reads them back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thumb_gesture::bag::image::{BagImage, image_topic, is_image_topic};
use thumb_gesture::bag::{Bag, BagError, DataLoss};
use thumb_gesture::drawn_hand;
use thumb_gesture::gesture::Gesture;

/// Topic, type, time in nanoseconds and SHA-256 of a message.
pub(crate) type MessageDigest = (String, String, i64, String);

pub(crate) const TOPIC: &str = "/jetbot/camera/image_raw";

pub(crate) const START_NS: u64 = 1_700_000_000_000_000_000;

pub(crate) const STEP_NS: u64 = 33_333_333;

/// Reads all messages of a bag and what could not be read.
pub(crate) fn digests(bag: &Path) -> (Vec<MessageDigest>, Vec<DataLoss>) {
    let mut digests = Vec::new();
    let losses = Bag::open(bag).expect("a bag").read(&|_| true, &mut |message| {
        let digest: String = Sha256::digest(message.data)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        digests.push((
            message.topic.name.clone(),
            message.topic.message_type.clone(),
            message.time_ns,
            digest,
        ));
        Ok(())
    });
    (digests, losses.expect("a readable bag"))
}

/// Counts the messages on the camera's topic, which must all be valid images.
pub(crate) fn count_frames(bag: &Path) -> usize {
    let mut frames = 0;
    let bag = Bag::open(bag).expect("a bag");
    let read = bag.read(&|topic| topic.name == TOPIC, &mut |message| {
        let image = BagImage::read(message.topic, message.data);
        let image = image.map_err(|error| error.to_string())?;
        assert!(image.frame_id.starts_with("camera"));
        frames += 1;
        Ok(())
    });
    read.expect("a readable bag");
    frames
}

/// Serializes a `sensor_msgs/Image` with encoding rgb8.
pub(crate) fn image_message(stamp_ns: u64, image: &image::RgbImage) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0];
    let put_u32 = |bytes: &mut Vec<u8>, value: u32| {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(&value.to_le_bytes());
    };
    let put_string = |bytes: &mut Vec<u8>, value: &str| {
        put_u32(bytes, value.len() as u32 + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    };
    put_u32(&mut bytes, (stamp_ns / 1_000_000_000) as u32);
    put_u32(&mut bytes, (stamp_ns % 1_000_000_000) as u32);
    put_string(&mut bytes, "camera");
    put_u32(&mut bytes, image.height());
    put_u32(&mut bytes, image.width());
    put_string(&mut bytes, "rgb8");
    bytes.push(0);
    put_u32(&mut bytes, image.width() * 3);
    put_u32(&mut bytes, image.as_raw().len() as u32);
    bytes.extend_from_slice(image.as_raw());
    bytes
}

pub(crate) struct WriteOptions {
    pub(crate) compression: Option<mcap::Compression>,
    /// Without it the channel has no schema.
    pub(crate) message_type: &'static str,
    pub(crate) encoding: &'static str,
    pub(crate) topic: &'static str,
    /// Index of the first message, which its time follows from.
    pub(crate) first: usize,
}

pub(crate) const LIKE_ROSBAG2: WriteOptions = WriteOptions {
    compression: Some(mcap::Compression::Zstd),
    message_type: "sensor_msgs/msg/Image",
    encoding: "cdr",
    topic: TOPIC,
    first: 0,
};

/// Writes an MCAP file with messages at 30 Hz and chunks of about three messages.
pub(crate) fn write_mcap(file: &Path, messages: &[Vec<u8>], write_options: &WriteOptions) {
    let mcap_options = mcap::WriteOptions::new()
        .profile("ros2")
        .chunk_size(Some(100_000));
    let output = fs::File::create(file).expect("a file");
    let mut writer = mcap_options
        .compression(write_options.compression)
        .create(output)
        .expect("starts");
    let schema = match write_options.message_type {
        "" => 0,
        message_type => writer.add_schema(message_type, "ros2msg", b"").expect("a schema"),
    };
    let (topic, encoding) = (write_options.topic, write_options.encoding);
    let channel = writer
        .add_channel(schema, topic, encoding, &BTreeMap::new())
        .expect("a channel");
    for (index, message) in (write_options.first..).zip(messages) {
        let time_ns = START_NS + index as u64 * STEP_NS;
        let header = mcap::records::MessageHeader {
            channel_id: channel,
            sequence: index as u32,
            log_time: time_ns,
            publish_time: time_ns,
        };
        writer.write_to_known_channel(&header, message).expect("writes");
    }
    writer.finish().expect("finishes");
}

/// Image messages with drawn hands, gesture after gesture.
pub(crate) fn hands(per_gesture: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for gesture in Gesture::ALL {
        for scene in 0..per_gesture {
            let stamp_ns = START_NS + messages.len() as u64 * STEP_NS;
            messages.push(image_message(
                stamp_ns,
                &drawn_hand::draw(gesture, 5, scene as u64, 160, 120),
            ));
        }
    }
    messages
}

pub(crate) fn write_bag(messages: &[Vec<u8>], options: &WriteOptions) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.mcap");
    write_mcap(&file, messages, options);
    (directory, file)
}

/// The text of metadata.yaml for one topic, as rosbag2 writes it.
pub(crate) fn metadata(files: &[&str], topic: &str, message_type: &str, messages: u64) -> String {
    format!(
        "rosbag2_bagfile_information:\n  version: 5\n  storage_identifier: mcap\n  duration: {{nanoseconds: 0}}\n  starting_time: {{nanoseconds_since_epoch: {START_NS}}}\n  message_count: {messages}\n  topics_with_message_count:\n    - topic_metadata: {{name: {topic}, type: {message_type}, serialization_format: cdr, offered_qos_profiles: \"\"}}\n      message_count: {messages}\n  compression_format: \"\"\n  compression_mode: \"\"\n  relative_file_paths: {files:?}\n"
    )
}

/// Writes a directory with `bag_0.mcap` and a `metadata.yaml`.
pub(crate) fn write_directory(
    messages: &[Vec<u8>],
    options: &WriteOptions,
    metadata: &str,
) -> tempfile::TempDir {
    let (directory, _) = write_bag(messages, options);
    fs::write(directory.path().join("metadata.yaml"), metadata).expect("writes");
    directory
}

/// The number of images on a topic and of messages that are not images, and the losses, as `bag import` and `bag evaluate` read them.
pub(crate) fn read_images(bag: &Bag, topic: Option<&str>) -> Result<(usize, usize, Vec<DataLoss>), BagError> {
    let topic = image_topic(bag, topic)?;
    let (mut images, mut others) = (0, 0);
    let losses = bag.read(&|found| is_image_topic(found, &topic), &mut |message| {
        match BagImage::read(message.topic, message.data) {
            Ok(_) => images += 1,
            Err(_) => others += 1,
        }
        Ok(())
    })?;
    Ok((images, others, losses))
}

/// Opens a bag and reads its images.
pub(crate) fn images_of(bag: &Path) -> (usize, usize, Vec<DataLoss>) {
    read_images(&Bag::open(bag).expect("a bag"), None).expect("a topic with images")
}
