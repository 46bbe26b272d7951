//! Channels of MCAP files that do not say everything, and files whose summary, times and other records are unusual.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;

use thumb_gesture::bag::{Bag, DataLoss};

use crate::support::{self, failure, json};
use crate::writing::*;

const WITHOUT_TYPE: WriteOptions = WriteOptions {
    message_type: "",
    ..LIKE_ROSBAG2
};

pub(crate) fn channel_without_schema_gets_its_type_from_metadata_or_from_the_user() {
    let text = metadata(&["bag_0.mcap"], TOPIC, "sensor_msgs/msg/Image", 3);
    for encoding in ["cdr", ""] {
        let options = WriteOptions {
            encoding,
            ..WITHOUT_TYPE
        };
        let directory = write_directory(&hands(1), &options, &text);
        assert_eq!(images_of(directory.path()), (3, 0, vec![]), "{encoding:?}");
        assert_eq!(
            images_of(&directory.path().join("bag_0.mcap")),
            (3, 0, vec![]),
            "one file of the bag"
        );
        let contents = Bag::open(directory.path())
            .expect("a bag")
            .contents()
            .expect("readable");
        let described = contents.topics[0].topic.to_string();
        assert_eq!(described, format!("{TOPIC} (sensor_msgs/msg/Image, cdr)"));
    }

    let (directory, file) = write_bag(&hands(1), &WITHOUT_TYPE);
    let import = |more: &[&str]| {
        let mut command = support::program();
        command.args(["bag", "import", "--json", "--label", "none", "--dataset"]);
        command
            .arg(directory.path().join("dataset"))
            .arg(&file)
            .args(more);
        command.output().expect("starts")
    };
    let message = failure(&import(&[]));
    assert!(
        message.contains("(type not recorded, cdr); the recording does not say the type of"),
        "{message}"
    );
    assert!(message.contains("--type sensor_msgs/msg/Image or"), "{message}");
    assert!(failure(&import(&["--topic", TOPIC])).contains("does not say the type"));
    let given = import(&["--topic", TOPIC, "--type", "sensor_msgs/msg/Image"]);
    assert_eq!(json(&given)["saved"], 3);
    assert_eq!(
        import(&["--type", "sensor_msgs/msg/Image"]).status.code(),
        Some(2),
        "without --topic"
    );
}

pub(crate) fn other_encodings_are_named_and_old_type_names_are_images() {
    for message_type in ["sensor_msgs/Image", "sensor_msgs::msg::dds_::Image_"] {
        let (_directory, file) = write_bag(
            &hands(1),
            &WriteOptions {
                message_type,
                ..LIKE_ROSBAG2
            },
        );
        assert_eq!(images_of(&file), (3, 0, vec![]), "{message_type}");
    }
    let hints = [
        (
            "ros1",
            "recorded with ROS 1: convert the .bag file to ROS 2 with `rosbags-convert",
        ),
        ("json", "images can be read in cdr, not in \"json\""),
        ("protobuf", "not in \"protobuf\""),
    ];
    for (encoding, hint) in hints {
        let options = WriteOptions {
            encoding,
            message_type: "sensor_msgs/Image",
            ..LIKE_ROSBAG2
        };
        let (_directory, file) = write_bag(&hands(1), &options);
        let bag = Bag::open(&file).expect("a bag");
        for topic in [None, Some(TOPIC)] {
            let error = read_images(&bag, topic).expect_err("no images").to_string();
            assert!(
                error.contains(&format!("(sensor_msgs/Image, {encoding})")),
                "{error}"
            );
            assert!(error.contains(hint), "{error}");
        }
        let output = support::thumb_gesture(["bag".as_ref(), "info".as_ref(), file.as_os_str()]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && printed.contains(&format!("(sensor_msgs/Image, {encoding})")),
            "{printed}"
        );
    }
}

pub(crate) fn topic_with_several_channels_and_types_is_one_topic() {
    let directory = tempfile::tempdir().expect("a directory");
    let messages = hands(1);
    let write = |name: &str, message_type, first| {
        let options = WriteOptions {
            message_type,
            first,
            ..LIKE_ROSBAG2
        };
        write_mcap(&directory.path().join(name), &messages, &options);
    };
    write("bag_0.mcap", "sensor_msgs/msg/Image", 0);
    write("bag_1.mcap", "sensor_msgs/Image", 3);
    write("bag_2.mcap", "std_msgs/msg/String", 6);
    let files = ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"];
    let text = metadata(&files, TOPIC, "sensor_msgs/msg/Image", 6);
    fs::write(directory.path().join("metadata.yaml"), text).expect("writes");
    assert_eq!(
        images_of(directory.path()),
        (6, 0, vec![]),
        "strings on the same topic are not images"
    );
}

/// The position of the first record of a type outside chunks.
fn record(file: &[u8], opcode: u8) -> usize {
    let mut position = mcap::MAGIC.len();
    while file[position] != opcode {
        let length = file[position + 1..position + 9].try_into().expect("eight bytes");
        position += 9 + u64::from_le_bytes(length) as usize;
    }
    position
}

pub(crate) fn summary_that_contradicts_the_data_is_not_believed() {
    let (_directory, file) = write_bag(&hands(2), &LIKE_ROSBAG2);
    let whole = fs::read(&file).expect("reads");
    let count = record(&whole, mcap::records::op::STATISTICS) + 9;
    for (counted, missing) in [(0_u64, None), (1, None), (10, Some(4))] {
        let mut bytes = whole.clone();
        bytes[count..count + 8].copy_from_slice(&counted.to_le_bytes());
        fs::write(&file, bytes).expect("writes");
        let (images, _, losses) = images_of(&file);
        assert_eq!(images, 6);
        assert_eq!(
            losses.first().map(|loss| loss.messages),
            missing.map(Some),
            "{losses:?}"
        );
    }
    // A chunk that became a private record, which readers skip.
    let mut bytes = whole.clone();
    bytes[record(&whole, mcap::records::op::CHUNK)] = 0x90;
    fs::write(&file, bytes).expect("writes");
    let (images, _, losses) = images_of(&file);
    assert!(
        images < 6 && losses[0].messages == Some(6 - images as u64),
        "{images} {losses:?}"
    );

    let without_magic = &whole[..whole.len() - mcap::MAGIC.len()];
    fs::write(&file, without_magic).expect("writes");
    assert_eq!(images_of(&file), (6, 0, vec![]));
    fs::write(&file, [&whole[..], &whole[..]].concat()).expect("writes");
    let (images, _, losses) = images_of(&file);
    assert_eq!(images, 6);
    assert!(losses[0].reason.contains("data after the end"), "{losses:?}");
}

pub(crate) fn schema_in_a_damaged_chunk_is_found_in_the_summary() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.mcap");
    let options = mcap::WriteOptions::new().chunk_size(Some(100_000));
    let mut writer = options
        .create(fs::File::create(&file).expect("a file"))
        .expect("starts");
    let schema = writer
        .add_schema("sensor_msgs/msg/Image", "ros2msg", b"")
        .expect("a schema");
    // The second camera starts later, in another chunk than the schema.
    for topic in ["/left", "/right"] {
        let channel = writer
            .add_channel(schema, topic, "cdr", &BTreeMap::new())
            .expect("a channel");
        for message in hands(2) {
            let header = mcap::records::MessageHeader {
                channel_id: channel,
                sequence: 0,
                log_time: START_NS,
                publish_time: START_NS,
            };
            writer.write_to_known_channel(&header, &message).expect("writes");
        }
    }
    writer.finish().expect("finishes");
    let mut bytes = fs::read(&file).expect("reads");
    let chunk = record(&bytes, mcap::records::op::CHUNK);
    bytes[chunk + 200..chunk + 264].fill(0x55);
    fs::write(&file, bytes).expect("writes");
    let (images, _, losses) = read_images(&Bag::open(&file).expect("a bag"), Some("/right")).expect("images");
    assert_eq!((images, losses.len()), (6, 1), "{losses:?}");
    assert!(losses[0].reason.contains("damaged chunk"), "{losses:?}");
}

pub(crate) fn chunk_cut_off_by_the_end_of_the_file_is_read_up_to_there() {
    let messages = hands(2);
    for compression in [None, Some(mcap::Compression::Zstd), Some(mcap::Compression::Lz4)] {
        let (_directory, file) = write_bag(
            &messages,
            &WriteOptions {
                compression,
                ..LIKE_ROSBAG2
            },
        );
        let whole = fs::read(&file).expect("reads");
        let chunk = record(&whole, mcap::records::op::CHUNK);
        let length = u64::from_le_bytes(whole[chunk + 1..chunk + 9].try_into().expect("eight bytes"));
        fs::write(&file, &whole[..chunk + 9 + length as usize - 100]).expect("writes");
        let (found, losses) = digests(&file);
        if compression.is_none() {
            assert_eq!(found.len(), 1, "of two messages");
        }
        assert_eq!(losses.len(), 1, "{losses:?}");
        assert!(losses[0].reason.contains("not finished"), "{losses:?}");
    }
}

pub(crate) fn unknown_compression_is_named_once_with_the_number_of_messages() {
    let (_directory, file) = write_bag(&hands(8), &LIKE_ROSBAG2);
    let mut bytes = fs::read(&file).expect("reads");
    let places: Vec<usize> = (0..bytes.len() - 4)
        .filter(|place| &bytes[*place..place + 4] == b"zstd")
        .collect();
    for place in places {
        bytes[place..place + 4].copy_from_slice(b"lzma");
    }
    fs::write(&file, bytes).expect("writes");
    let (found, losses) = digests(&file);
    assert!(found.is_empty());
    let expected = DataLoss {
        file: file.display().to_string(),
        messages: Some(24),
        reason: "chunks are compressed by \"lzma\"; supported: lz4 and zstd".to_owned(),
    };
    assert_eq!(losses, [expected]);
}

pub(crate) fn unusual_times_and_other_records_do_not_hide_messages() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("odd.mcap");
    let mut writer = mcap::Writer::new(fs::File::create(&file).expect("a file")).expect("starts");
    let attachment = mcap::Attachment {
        log_time: 1,
        create_time: 1,
        name: "map.pgm".to_owned(),
        media_type: "image/x-portable-graymap".to_owned(),
        data: Cow::Owned(vec![7; 100_000]),
    };
    writer.attach(&attachment).expect("writes");
    writer
        .write_private_record(0x80, b"private", Default::default())
        .expect("writes");
    let empty = Bag::open(&file).expect("a file").contents().expect("readable");
    assert_eq!(empty.messages, 0, "attachments only");

    let schema = writer
        .add_schema("sensor_msgs/msg/Image", "", b"")
        .expect("a schema");
    let channel = writer
        .add_channel(schema, TOPIC, "cdr", &BTreeMap::new())
        .expect("a channel");
    let second = writer.add_channel(schema, TOPIC, "cdr", &BTreeMap::from([("id".into(), "2".into())]));
    let channels = [channel, second.expect("a channel")];
    for (index, message) in hands(1).iter().enumerate() {
        let header = mcap::records::MessageHeader {
            channel_id: channels[index % 2],
            sequence: 0,
            log_time: 0,
            publish_time: START_NS + (3 - index as u64),
        };
        writer.write_to_known_channel(&header, message).expect("writes");
    }
    writer.finish().expect("finishes");
    assert_eq!(images_of(&file), (3, 0, vec![]));
    let (found, _) = digests(&file);
    let times: Vec<u64> = found.iter().map(|message| message.2.cast_unsigned()).collect();
    assert_eq!(
        times,
        [START_NS + 1, START_NS + 2, START_NS + 3],
        "when they were published"
    );
}
