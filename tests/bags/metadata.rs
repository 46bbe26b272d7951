//! `metadata.yaml` that does not match the files beside it.

use std::fs;
use std::process::Command;

use thumb_gesture::bag::Bag;
use thumb_gesture::bag::image::image_topic;

use crate::support::thumb_gesture;
use crate::writing::*;

pub(crate) fn split_bag_is_read_in_order_and_missing_files_are_reported() {
    let directory = tempfile::tempdir().expect("a directory");
    let messages = hands(4);
    let write = |name: &str, range: std::ops::Range<usize>| {
        let first = range.start;
        write_mcap(
            &directory.path().join(name),
            &messages[range],
            &WriteOptions {
                first,
                ..LIKE_ROSBAG2
            },
        );
    };
    write("bag_10.mcap", 8..12);
    write("bag_2.mcap", 0..8);
    let (found, losses) = digests(directory.path());
    assert_eq!(found.len(), 12);
    assert!(found.is_sorted_by_key(|message| message.2));
    assert!(
        losses.len() == 1 && losses[0].file.ends_with("metadata.yaml"),
        "{losses:?}"
    );

    fs::write(directory.path().join("bag_11.mcap"), "").expect("writes");
    let (found, losses) = digests(directory.path());
    assert_eq!(
        (found.len(), losses.len()),
        (12, 2),
        "an empty file, as left by a power failure: {losses:?}"
    );

    fs::remove_file(directory.path().join("bag_11.mcap")).expect("removes");
    let metadata = "rosbag2_bagfile_information:\n  version: 9\n  relative_file_paths: [bag_2.mcap, bag_3.mcap, bag_10.mcap]\n";
    fs::write(directory.path().join("metadata.yaml"), metadata).expect("writes");
    let (found, losses) = digests(directory.path());
    assert_eq!(found.len(), 12);
    assert!(
        losses.len() == 1 && losses[0].file.ends_with("bag_3.mcap"),
        "{losses:?}"
    );

    let counted = format!(
        "{metadata}  topics_with_message_count:\n  - topic_metadata: {{name: {TOPIC}, type: sensor_msgs/msg/Image, serialization_format: cdr}}\n    message_count: 20\n"
    );
    fs::write(directory.path().join("metadata.yaml"), counted).expect("writes");
    let bag = Bag::open(directory.path()).expect("a bag");
    let loss_reason = |is_selected: bool| {
        let losses = bag.read(&|_| is_selected, &mut |_| Ok(())).expect("reads");
        losses.last().expect("a loss for the missing file").reason.clone()
    };
    assert_eq!(loss_reason(true), "lists 20 messages, but only 12 were found");
    assert!(!loss_reason(false).contains("lists"), "no topic is selected");
}

pub(crate) fn metadata_of_any_version_and_machine_is_matched_without_losses() {
    let messages = hands(1);
    let prefixes = [
        "",
        "bag_before_it_was_renamed/",
        "/home/robot/bags/tuesday/",
        "C:\\bags\\tuesday\\",
    ];
    for prefix in prefixes {
        let text = metadata(
            &[&format!("{prefix}bag_0.mcap")],
            TOPIC,
            "sensor_msgs/msg/Image",
            3,
        );
        for version in 1..=10 {
            let text = text.replace("version: 5", &format!("version: {version}"));
            let directory = write_directory(&messages, &LIKE_ROSBAG2, &text);
            assert_eq!(images_of(directory.path()), (3, 0, vec![]), "{version} {prefix}");
            let file = directory.path().join("metadata.yaml");
            assert_eq!(images_of(&file), (3, 0, vec![]), "the file itself as the bag");
        }
    }
    let text = metadata(&["bag_0.mcap"], TOPIC, "sensor_msgs/msg/Image", 3);
    let renamed = write_directory(&messages, &LIKE_ROSBAG2, &text);
    let [from, to] = ["bag_0.mcap", "wednesday.mcap"].map(|name| renamed.path().join(name));
    fs::rename(&from, &to).expect("renames");
    assert_eq!(images_of(renamed.path()), (3, 0, vec![]), "a renamed file");
    fs::remove_file(to).expect("removes");
    let error = Bag::open(renamed.path()).expect_err("no bag file").to_string();
    assert!(
        error.contains("lists bag_0.mcap, but it has no bag files"),
        "{error}"
    );
}

pub(crate) fn unreadable_metadata_is_reported_and_the_files_are_read() {
    let whole = metadata(&["bag_0.mcap"], TOPIC, "sensor_msgs/msg/Image", 3);
    let cut = whole
        .split("serialization_format")
        .next()
        .expect("the part before");
    let cases: [(&[u8], &str); 7] = [
        (b"", "is empty"),
        (b"\0\0\0\0\0\0\0\0", "not in the format of rosbag2"),
        (b"\xff\xfe\x00", "is not text in UTF-8: it is text in UTF-16"),
        (cut.as_bytes(), "not in the format of rosbag2"),
        (b"name: a web site\n", "not in the format of rosbag2"),
        (b"- a list\n", "not in the format of rosbag2"),
        (
            b"rosbag2_bagfile_information: {version: 9, relative_file_paths: []}",
            "lists no files",
        ),
    ];
    for (text, reason) in cases {
        let directory = write_directory(&hands(1), &LIKE_ROSBAG2, "");
        fs::write(directory.path().join("metadata.yaml"), text).expect("writes");
        let (images, _, losses) = images_of(directory.path());
        assert_eq!((images, losses.len()), (3, 1), "{losses:?}");
        assert!(losses[0].reason.contains(reason), "{losses:?}");
        let output = thumb_gesture(["bag".as_ref(), "info".as_ref(), directory.path().as_os_str()]);
        assert_eq!(output.status.code(), Some(2));
    }
    let lz4 = whole
        .replace("_format: \"\"", "_format: lz4")
        .replace("_mode: \"\"", "_mode: MESSAGE");
    let directory = write_directory(&hands(1), &LIKE_ROSBAG2, &lz4);
    let (images, _, losses) = images_of(directory.path());
    assert_eq!((images, losses.len()), (3, 1));
    assert!(
        losses[0].reason.contains("\"lz4\"; supported: zstd"),
        "{losses:?}"
    );
}

pub(crate) fn metadata_that_is_a_pipe_does_not_block() {
    let (directory, _) = write_bag(&hands(1), &LIKE_ROSBAG2);
    let pipe = directory.path().join("metadata.yaml");
    let status = Command::new("mkfifo").arg(pipe).status();
    assert!(status.expect("starts").success());
    let (images, _, losses) = images_of(directory.path());
    assert_eq!((images, losses.len()), (3, 1));
    assert!(
        losses[0].reason.contains("it is a pipe, not a file"),
        "{losses:?}"
    );
}

pub(crate) fn topics_and_counts_are_those_of_the_data() {
    // Another topic, another type, no topics, and too few messages.
    let cases = [
        metadata(&["bag_0.mcap"], "/front/image_raw", "sensor_msgs/msg/Image", 0),
        metadata(&["bag_0.mcap"], TOPIC, "std_msgs/msg/String", 2),
        metadata(&["bag_0.mcap"], TOPIC, "sensor_msgs/msg/CompressedImage", 1),
        "rosbag2_bagfile_information: {relative_file_paths: [bag_0.mcap]}".to_owned(),
    ];
    for text in cases {
        let directory = write_directory(&hands(1), &LIKE_ROSBAG2, &text);
        let bag = Bag::open(directory.path()).expect("a bag");
        let topic = image_topic(&bag, None).expect("a topic with images");
        assert_eq!(topic.message_type, "sensor_msgs/msg/Image", "{text}");
        assert_eq!(images_of(directory.path()), (3, 0, vec![]), "{text}");
    }
    let too_many = metadata(&["bag_0.mcap"], "/front/image_raw", "sensor_msgs/msg/Image", 7);
    let directory = write_directory(&hands(1), &LIKE_ROSBAG2, &too_many);
    let file = directory.path().join("metadata.yaml");
    for path in [directory.path(), file.as_path()] {
        let bag = Bag::open(path).expect("a bag");
        assert_eq!(image_topic(&bag, None).expect("a topic with images").name, TOPIC);
        let contents = bag.contents().expect("readable");
        assert_eq!(contents.messages, 3);
        let loss = &contents.losses[0];
        assert_eq!(loss.reason, "lists 7 messages, but only 3 were found");
        assert_eq!(loss.file, file.display().to_string());
    }
}
