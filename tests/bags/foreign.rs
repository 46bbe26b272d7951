//! What is no bag, and names that are hostile to a terminal.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::evaluation::trained;
use crate::support::{self, failure, usage_error};
use crate::writing::*;

/// The outputs of each command that reads a bag.
fn each_command(bag: &Path) -> Vec<Output> {
    let (root, _) = trained();
    let (store, dataset) = (root.path().join("store"), root.path().join("from_bags"));
    let run = |name: &str, more: &[&Path]| {
        let mut command = support::program();
        command
            .args(["bag", name])
            .arg(bag)
            .args(more)
            .output()
            .expect("starts")
    };
    let model = fs::read_dir(store.join("models"))
        .expect("exists")
        .flatten()
        .next()
        .expect("a model");
    let model = model.file_name().into_string().expect("UTF-8");
    vec![
        run("info", &[]),
        run("evaluate", &["--store".as_ref(), &store]),
        run(
            "compare",
            &[
                "--store".as_ref(),
                &store,
                "--models".as_ref(),
                format!("{model},{model}").as_ref(),
            ],
        ),
        run(
            "import",
            &[
                "--label".as_ref(),
                "none".as_ref(),
                "--dataset".as_ref(),
                &dataset,
            ],
        ),
    ]
}

pub(crate) fn something_else_is_named_with_what_helps_by_each_command() {
    let cases: [(&str, &[u8], &str); 9] = [
        (
            "a.bag",
            b"#ROSBAG V2.0\n",
            "it is a ROS 1 bag; convert the .bag file to ROS 2 with `rosbags-convert --src",
        ),
        (
            "a.mcap",
            b"version https://git-lfs.github.com/spec/v1\noid",
            "a Git LFS pointer, which stands for",
        ),
        (
            "a.mcap",
            b"<!DOCTYPE html><html>",
            "it is a web page (HTML); the download",
        ),
        ("a.mcap", b"", "it is empty; copy or download it again"),
        ("a.zip", b"PK\x03\x04", "zip archive; copy or download it again"),
        (
            "a.mp4",
            b"\0\0\0\x18ftypisom\0\0\0\0",
            "it is a video; extract its frames",
        ),
        ("a.jpg", b"\xff\xd8\xff\xe0", "it is a JPEG image; for images use"),
        (
            "a.db3.lz4",
            b"\x04\x22\x4d\x18\x40",
            "it is an lz4 file; unpack it",
        ),
        ("a.txt", b"plain text", "expected an MCAP or SQLite3 (.db3) file"),
    ];
    for (name, content, expected) in cases {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join(name);
        fs::write(&file, content).expect("writes");
        for output in each_command(&file) {
            let message = failure(&output);
            assert!(
                message.contains("not a bag; ") && message.contains(expected),
                "{message}"
            );
        }
    }
}

pub(crate) fn directory_of_something_else_is_described() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let info = |path: &Path| {
        failure(&support::thumb_gesture([
            "bag".as_ref(),
            "info".as_ref(),
            path.as_os_str(),
        ]))
    };
    assert!(info(path).contains("not a bag; expected an MCAP"));
    fs::create_dir_all(path.join("dataset/thumbs_up")).expect("creates");
    fs::write(path.join("dataset/thumbs_up/1.jpg"), b"\xff\xd8\xff\xe0").expect("writes");
    assert!(info(&path.join("dataset")).contains("thumbs_up/1.jpg in it is a JPEG image; for images use"));
    fs::create_dir(path.join("ros1")).expect("creates");
    fs::write(path.join("ros1/README.md"), "Two recordings").expect("writes");
    fs::write(path.join("ros1/a.bag"), b"#ROSBAG V2.0\n").expect("writes");
    assert!(info(&path.join("ros1")).contains("a.bag in it is a ROS 1 bag; convert"));
    fs::create_dir(path.join("tuesday")).expect("creates");
    write_mcap(&path.join("tuesday/bag_0.mcap"), &hands(1), &LIKE_ROSBAG2);
    let message = info(path);
    assert!(
        message.contains("it is a directory of bags; give one of them: ") && message.contains("tuesday"),
        "{message}"
    );
    // A bag file is recognized by its content where no name says it.
    fs::rename(
        path.join("tuesday/bag_0.mcap"),
        path.join("tuesday/recording.part"),
    )
    .expect("renames");
    assert_eq!(images_of(&path.join("tuesday")).0, 3);

    let pipe = path.join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("starts")
            .success()
    );
    assert!(info(&pipe).contains("it is a pipe or device"));
}

pub(crate) fn names_from_a_file_reach_the_terminal_without_control_characters() {
    const TOPIC: &str = "/a\u{1b}]0;title\u{7}\nWarning: forged";
    for message_type in ["sensor_msgs/msg/Image", "sensor_msgs\u{9b}31m/msg/Image"] {
        let options = WriteOptions {
            topic: TOPIC,
            message_type,
            ..LIKE_ROSBAG2
        };
        let (_directory, file) = write_bag(&hands(1), &options);
        let info = support::thumb_gesture([
            "bag".as_ref(),
            "info".as_ref(),
            "--json".as_ref(),
            file.as_os_str(),
        ]);
        assert_eq!(support::json(&info)["topics"][0]["name"], TOPIC);
        for output in each_command(&file).into_iter().chain([info]) {
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8(printed).expect("UTF-8");
            let is_hostile = |letter: char| letter.is_control() && letter != '\n';
            assert!(
                !printed.contains(is_hostile) && !printed.contains("\nWarning: forged"),
                "{printed:?}"
            );
        }
    }
}

pub(crate) fn messages_in_another_representation_are_listed_once_with_their_number() {
    let mut messages = hands(2);
    messages[0][1] = 7;
    for message in &mut messages[1..] {
        message[1] = 9;
    }
    let (directory, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let mut import = support::program();
    import.args(["bag", "import", "--label", "none", "--dataset"]);
    let output = import
        .arg(directory.path().join("dataset"))
        .arg(&file)
        .output()
        .expect("starts");
    let message = usage_error(&output);
    assert_eq!(
        message.trim_end(),
        "Warning: 5 messages are not valid images: the message is serialized as D_CDR2 (delimited CDR); supported: plain CDR, version 1 or 2"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 frames saved"));
}
