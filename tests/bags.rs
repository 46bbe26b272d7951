//! Bags are read as the Python library rosbags reads them, classified reproducibly, and damage is reported while the rest is read.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{failure, json, thumb_gesture, usage_error};
use thumb_gesture::bag::image::BagImage;
use thumb_gesture::bag::{Bag, BagError, DataLoss};
use thumb_gesture::drawn_hand;
use thumb_gesture::gesture::Gesture;

/// Topic, type, time in nanoseconds and SHA-256 of a message.
type MessageDigest = (String, String, i64, String);

const TOPIC: &str = "/jetbot/camera/image_raw";
const START_NS: u64 = 1_700_000_000_000_000_000;
const STEP_NS: u64 = 33_333_333;

fn messages_are_the_same_as_read_by_rosbags() {
    let directory = support::reference("bags/reference.py", &[], |_| {});
    let cases = fs::read(directory.path().join("cases.json")).expect("exists");
    let cases: BTreeMap<String, Vec<MessageDigest>> = serde_json::from_slice(&cases).expect("JSON");
    assert_eq!(
        cases.len(),
        8,
        "SQLite3 and MCAP, uncompressed and with file, message and (MCAP) storage compression; big-endian"
    );
    for (name, expected) in cases {
        let (mut found, losses) = digests(&directory.path().join(&name));
        assert_eq!(losses, [], "{name}");
        assert_eq!(found.len(), expected.len(), "{name}");
        // Messages with equal times may come in any order.
        let sort = |digests: &mut Vec<MessageDigest>| digests.sort_by(|a, b| (a.2, &a.0).cmp(&(b.2, &b.0)));
        let mut expected = expected;
        assert!(
            found.is_sorted_by_key(|message| message.2),
            "{name} is sorted by time"
        );
        sort(&mut found);
        sort(&mut expected);
        assert_eq!(found, expected, "{name}");
        assert_eq!(
            count_frames(&directory.path().join(&name)),
            40,
            "{name} has images"
        );
    }
}

/// Reads all messages of a bag and what could not be read.
fn digests(bag: &Path) -> (Vec<MessageDigest>, Vec<DataLoss>) {
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
fn count_frames(bag: &Path) -> usize {
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
fn image_message(stamp_ns: u64, image: &image::RgbImage) -> Vec<u8> {
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

struct WriteOptions {
    compression: Option<mcap::Compression>,
    message_type: &'static str,
    /// Index of the first message, which its time follows from.
    first: usize,
}

const LIKE_ROSBAG2: WriteOptions = WriteOptions {
    compression: Some(mcap::Compression::Zstd),
    message_type: "sensor_msgs/msg/Image",
    first: 0,
};

/// Writes an MCAP file with messages at 30 Hz and chunks of about three messages.
fn write_mcap(file: &Path, messages: &[Vec<u8>], write_options: &WriteOptions) {
    let mcap_options = mcap::WriteOptions::new()
        .profile("ros2")
        .chunk_size(Some(100_000));
    let output = fs::File::create(file).expect("a file");
    let mut writer = mcap_options
        .compression(write_options.compression)
        .create(output)
        .expect("starts");
    let schema = writer
        .add_schema(write_options.message_type, "ros2msg", b"")
        .expect("a schema");
    let channel = writer
        .add_channel(schema, TOPIC, "cdr", &BTreeMap::new())
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
fn hands(per_gesture: usize) -> Vec<Vec<u8>> {
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

fn write_bag(messages: &[Vec<u8>], options: &WriteOptions) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.mcap");
    write_mcap(&file, messages, options);
    (directory, file)
}

fn chunks_of_each_compression_are_read() {
    let messages = hands(4);
    for compression in [None, Some(mcap::Compression::Lz4), Some(mcap::Compression::Zstd)] {
        let (_directory, file) = write_bag(
            &messages,
            &WriteOptions {
                compression,
                ..LIKE_ROSBAG2
            },
        );
        let (found, losses) = digests(&file);
        assert_eq!((found.len(), losses), (messages.len(), vec![]));
    }
}

fn truncated_file_is_read_to_its_end() {
    let messages = hands(8);
    for compression in [None, Some(mcap::Compression::Zstd)] {
        let (_directory, file) = write_bag(
            &messages,
            &WriteOptions {
                compression,
                ..LIKE_ROSBAG2
            },
        );
        let whole = fs::read(&file).expect("reads");
        let mut before = messages.len();
        for length in [whole.len() - 9, whole.len() / 2, whole.len() / 10, 40, 8] {
            fs::write(&file, &whole[..length]).expect("writes");
            let (found, losses) = digests(&file);
            assert!(found.len() <= before);
            before = found.len();
            if length < whole.len() - 9 {
                assert!(
                    losses.iter().any(|loss| loss.reason.contains("not finished")),
                    "{losses:?}"
                );
            }
        }
        fs::write(&file, &whole[..whole.len() / 2]).expect("writes");
        assert!(digests(&file).0.len() >= messages.len() / 3);
    }
}

fn damaged_chunk_loses_only_its_own_messages_and_they_are_counted() {
    let messages = hands(8);
    let (_directory, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let mut bytes = fs::read(&file).expect("reads");
    // Both offsets are inside the data of a chunk.
    for place in [bytes.len() / 3, 2000] {
        let mut bytes = bytes.clone();
        bytes[place..place + 64].fill(0x55);
        fs::write(&file, &bytes).expect("writes");
        let (found, losses) = digests(&file);
        let [loss] = &losses[..] else {
            panic!("expected one loss: {losses:?}");
        };
        assert!(loss.reason.contains("damaged chunk"), "{loss}");
        assert_eq!(
            found.len() as u64 + loss.messages.expect("a known number"),
            messages.len() as u64
        );
    }
    let middle = bytes.len() / 3;
    bytes[middle..middle + 64].fill(0x55);
    fs::write(&file, &bytes).expect("writes");
    let output = thumb_gesture(["bag".as_ref(), "info".as_ref(), file.as_os_str()]);
    assert!(
        usage_error(&output).contains("damaged chunk"),
        "exit status and message"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains(TOPIC));
}

fn announced_sizes_are_not_allocated_before_they_are_checked() {
    let messages = hands(2);
    let (_directory, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let whole = fs::read(&file).expect("reads");
    // The file begins with the magic, the header record and the first chunk: opcode 6, length, two times, unpacked length.
    let header = u64::from_le_bytes(whole[9..17].try_into().expect("eight bytes"));
    let chunk = 17 + header as usize;
    assert_eq!(whole[chunk], 6, "a chunk");
    for place in [chunk + 1, chunk + 9 + 16] {
        let mut bytes = whole.clone();
        bytes[place..place + 8].copy_from_slice(&0x3fff_ffff_u64.to_le_bytes());
        fs::write(&file, &bytes).expect("writes");
        let mut losses = Vec::new();
        let allocated = allocation_counter::measure(|| losses = digests(&file).1);
        assert!(!losses.is_empty(), "at {place}");
        assert!(
            allocated.bytes_max < 64 << 20,
            "{} bytes at {place}",
            allocated.bytes_max
        );
    }
}

fn random_changes_to_a_file_never_panic() {
    let (_directory, file) = write_bag(&hands(2), &LIKE_ROSBAG2);
    let whole = fs::read(&file).expect("reads");
    // A linear congruential generator, for the same numbers on each machine.
    let mut state = 1_u64;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = (state >> 33) as usize % bytes.len();
            bytes[place] = (state >> 24) as u8;
        }
        fs::write(&file, &bytes).expect("writes");
        let bag = Bag::open(&file).expect("an existing file");
        match bag.contents() {
            Ok(contents) => assert!(
                contents.messages == 6 || (contents.messages < 6 && !contents.losses.is_empty()),
                "{contents:?}"
            ),
            Err(error) => assert!(matches!(error, BagError::NotABag(_)), "{error}"),
        }
    }
}

fn split_bag_is_read_in_order_and_missing_files_are_reported() {
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

fn damaged_database_is_read_except_for_its_damaged_pages() {
    const MESSAGES: usize = 3000;
    const PAGE_BYTES: usize = 4096;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.db3");
    let mut database = rusqlite::Connection::open(&file).expect("opens");
    database
        .execute_batch(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT, offered_qos_profiles TEXT);
             CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB);
             CREATE INDEX timestamp_idx ON messages (timestamp ASC);
             INSERT INTO topics VALUES (1, '/chatter', 'std_msgs/msg/String', 'cdr', '');",
        )
        .expect("creates tables");
    let transaction = database.transaction().expect("starts");
    for index in 0..MESSAGES {
        let time_ns = (START_NS + index as u64 * STEP_NS).cast_signed();
        let message = index.to_le_bytes().repeat(370);
        transaction
            .execute(
                "INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?1, ?2)",
                (time_ns, message),
            )
            .expect("writes");
    }
    transaction.commit().expect("writes");
    drop(database);
    let (all, losses) = digests(&file);
    assert_eq!((all.len(), losses), (MESSAGES, vec![]));
    let whole = fs::read(&file).expect("reads");
    let is_reported = |losses: &[DataLoss]| {
        losses
            .iter()
            .any(|loss| loss.reason.contains("the database is damaged"))
    };

    fs::write(&file, &whole[..whole.len() / 4]).expect("writes");
    let (found, losses) = digests(&file);
    assert!(
        found.len() > MESSAGES * 24 / 100,
        "{} messages from a quarter of the file",
        found.len()
    );
    assert_eq!(found, all[..found.len()]);
    assert!(is_reported(&losses), "{losses:?}");

    for part in 2..8 {
        let mut bytes = whole.clone();
        let page = whole.len() / PAGE_BYTES * part / 9 * PAGE_BYTES;
        bytes[page..page + PAGE_BYTES].fill(0);
        fs::write(&file, bytes).expect("writes");
        let (found, losses) = digests(&file);
        let mut rest = all.iter();
        assert!(
            found.iter().all(|message| rest.any(|one| one == message)),
            "in order, without duplicates"
        );
        assert!(found.len() >= MESSAGES - 1, "{} and {losses:?}", found.len());
        assert!(is_reported(&losses) || found.len() == MESSAGES, "{losses:?}");
    }

    fs::write(&file, b"SQLite format 3\0 and nothing else").expect("writes");
    assert!(!digests(&file).1.is_empty());
}

fn view_in_place_of_a_table_is_rejected() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.db3");
    let database = rusqlite::Connection::open(&file).expect("opens");
    database
        .execute_batch(
            "CREATE VIEW topics AS SELECT 1 AS id, '/a' AS name, 'b' AS type, 'cdr' AS serialization_format;
             CREATE VIEW messages AS WITH RECURSIVE endless(id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM endless)
                 SELECT id, 1 AS topic_id, id AS timestamp, x'00' AS data FROM endless;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET type = 'table';",
        )
        .expect("creates tables");
    drop(database);
    let (found, losses) = digests(&file);
    assert!(found.is_empty(), "{} messages", found.len());
    assert!(
        losses[0].reason.contains("not a database of rosbag2"),
        "{losses:?}"
    );
}

/// Each file of the corpus is read as far as possible or rejected, and losses are reported.
fn corpus_of_damaged_files_is_read_with_bounded_memory() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bags/corpus");
    let mut files = 0;
    for entry in fs::read_dir(directory).expect("exists") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let bag = Bag::open(&path).expect("a file");
        let mut contents = None;
        let allocated = allocation_counter::measure(|| contents = Some(bag.contents()));
        assert!(
            allocated.bytes_max < 64 << 20,
            "{name}: {} bytes",
            allocated.bytes_max
        );
        match (contents.expect("the result"), name.starts_with("good")) {
            (Ok(contents), true) => assert_eq!((contents.messages, contents.losses), (3, vec![]), "{name}"),
            (Ok(contents), false) => {
                assert!(
                    contents.messages <= 3 && !contents.losses.is_empty(),
                    "{name}: {contents:?}"
                );
            }
            (Err(error), is_good) => {
                assert!(
                    !is_good && error.to_string().contains("not a bag"),
                    "{name}: {error}"
                );
            }
        }
        files += 1;
    }
    assert!(files > 15);
}

/// A directory with a store that has a model of drawn hands, and a bag of other hands: eight frames of each gesture at 30 Hz.
fn trained() -> &'static (tempfile::TempDir, PathBuf) {
    static TRAINED: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let (root, _) = support::trained_on_drawn_hands();
        let bag = root.path().join("bag_0.mcap");
        write_mcap(&bag, &hands(8), &LIKE_ROSBAG2);
        (root, bag)
    })
}

fn evaluate(more: &[&str]) -> Output {
    let (root, bag) = trained();
    let mut command = support::program();
    command
        .args(["bag", "evaluate"])
        .arg(bag)
        .arg("--store")
        .arg(root.path().join("store"));
    command.args(more).output().expect("starts")
}

fn labels_file(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("labels.yaml");
    fs::write(&file, text).expect("writes");
    (directory, file.display().to_string())
}

const EXPECTED: &str = "- {from: 0.0, to: 0.25, label: none}\n- {from: 0.26, to: 0.52, label: thumbs_up}\n- {from: 0.53, to: 9, label: thumbs_down}\n";

fn same_bag_gives_identical_predictions() {
    let (_directory, labels) = labels_file(EXPECTED);
    let arguments = ["--json", "--expect", &labels, "--threshold", "0", "--margin", "0"];
    let first = evaluate(&arguments);
    let report = json(&first);
    assert_eq!(first.stdout, evaluate(&arguments).stdout);
    assert_eq!(report["frames"].as_array().map(Vec::len), Some(24));
    assert_eq!(report["topic"], TOPIC);
    let agreement = &report["agreement"];
    assert_eq!(agreement["frames"], 24);
    assert!(agreement["accuracy"].as_f64() > Some(0.6), "{agreement}");
    let rows: Vec<u64> = agreement["confusion"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            row.as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .sum()
        })
        .collect();
    assert_eq!(rows, [8, 8, 8]);
}

fn csv_has_a_row_for_each_frame() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("predictions.csv");
    let output = evaluate(&["--csv", &file.display().to_string()]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let table = fs::read_to_string(&file).expect("the table");
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("bag,seconds,gesture,confidence,reason,stable,none,thumbs_down,thumbs_up")
    );
    assert_eq!(lines.clone().count(), 24);
    assert!(lines.all(|line| line.split(',').count() == 9));
}

fn accuracy_below_the_minimum_fails_with_the_accuracy() {
    let (_directory, labels) = labels_file(EXPECTED);
    assert!(
        evaluate(&["--expect", &labels, "--min-accuracy", "0.0"])
            .status
            .success()
    );
    // No probability reaches a threshold of 1.
    let output = evaluate(&["--expect", &labels, "--min-accuracy", "0.9", "--threshold", "1"]);
    let message = failure(&output);
    assert!(
        message.contains("% of the frames are correct, below the minimum of 90.0 %"),
        "{message}"
    );
    assert!(
        message.contains("0.00 to 0.25 s, none: "),
        "the interval: {message}"
    );
    let output = evaluate(&["--min-accuracy", "0.9"]);
    assert!(usage_error(&output).contains("--expect"));
    let (_directory, wrong) = labels_file("- {from: 0.0, to: 1.0, label: wave}\n");
    assert!(
        failure(&evaluate(&["--expect", &wrong]))
            .contains("the model's labels: none, thumbs_down, thumbs_up")
    );
}

fn unknown_topic_is_rejected_with_the_known_ones() {
    assert!(failure(&evaluate(&["--topic", "/camera"])).contains(TOPIC));
    let text = WriteOptions {
        message_type: "std_msgs/msg/String",
        ..LIKE_ROSBAG2
    };
    let (_directory, file) = write_bag(&[b"\0\x01\0\0\x01\0\0\0\0".to_vec()], &text);
    let store = trained().0.path().join("store");
    let command = |bag: &Path| {
        let mut command = support::program();
        command
            .args(["bag", "evaluate"])
            .arg(bag)
            .arg("--store")
            .arg(&store);
        command.output().expect("starts")
    };
    assert!(
        failure(&command(&file))
            .contains("no topic with images; it has /jetbot/camera/image_raw (std_msgs/msg/String)")
    );
    let (_directory, empty) = write_bag(&[], &LIKE_ROSBAG2);
    assert!(failure(&command(&empty)).contains("it has no messages"));
    let nothing = tempfile::tempdir().expect("a directory");
    assert!(failure(&command(nothing.path())).contains("not a bag; expected"));
    assert!(
        failure(&command(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md").as_path()
        ))
        .contains("not a bag")
    );
}

fn truncated_messages_are_counted_and_the_others_classified() {
    let mut messages = hands(2);
    let length = messages[3].len();
    messages[3].truncate(length - 100);
    messages[4].truncate(2);
    let (_directory, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let store = trained().0.path().join("store");
    let mut command = support::program();
    command
        .args(["bag", "evaluate", "--json"])
        .arg(&file)
        .arg("--store")
        .arg(store);
    let output = command.output().expect("starts");
    assert!(usage_error(&output).contains("2 messages are not valid images: the message ends early"));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["bad_frames"], 2);
    assert_eq!(report["frames"].as_array().map(Vec::len), Some(4));
    assert!(
        report["bad_reasons"][0]
            .as_str()
            .is_some_and(|reason| reason.contains("ends early"))
    );
}

/// The predictions for a bag that was recorded at 30 Hz and always shows the same gesture. `message` makes a frame's stamp and image.
fn evaluate_frames(
    count: usize,
    message: impl Fn(usize, image::RgbImage) -> (u64, image::RgbImage),
    more: &[&str],
) -> Vec<Value> {
    let hand = drawn_hand::draw(Gesture::ThumbsUp, 5, 0, 160, 120);
    let messages: Vec<Vec<u8>> = (0..count)
        .map(|index| {
            let mut noisy = hand.clone();
            noisy.get_pixel_mut(0, 0).0[0] ^= index as u8 % 2;
            let (stamp_ns, image) = message(index, noisy);
            image_message(stamp_ns, &image)
        })
        .collect();
    let (_directory, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let mut command = support::program();
    command
        .args(["bag", "evaluate", "--json", "--threshold", "0", "--margin", "0"])
        .arg(&file)
        .arg("--store")
        .arg(trained().0.path().join("store"))
        .args(more);
    let report = json(&command.output().expect("starts"));
    report["frames"].as_array().expect("an array").clone()
}

/// Index of the first frame of which `is_met` holds.
fn first(frames: &[Value], is_met: impl Fn(&Value) -> bool) -> Option<usize> {
    frames.iter().position(is_met)
}

fn first_stable(frames: &[Value]) -> Option<usize> {
    first(frames, |frame| frame["stable"] == true)
}

/// At 30 Hz, 16 steps are more than the hold time of 0.5 s, and 31 steps are more than the stale timeout of 1 s.
fn stamps_that_jump_or_are_missing_do_not_make_a_gesture_stable_earlier() {
    const SIMULATED_NS: u64 = 1_234_000_000_000;
    let stamp = |start_ns: u64, index: usize| start_ns + index as u64 * STEP_NS;
    let good = evaluate_frames(40, |index, image| (stamp(START_NS, index), image), &[]);
    assert_eq!(first_stable(&good), Some(16));

    let jump = |index: usize| if index < 2 { 0 } else { 3_600_000_000_000 };
    let jumped = evaluate_frames(
        40,
        |index, image| (stamp(START_NS, index) + jump(index), image),
        &[],
    );
    assert_eq!(first_stable(&jumped), Some(18));

    for (zero, expected) in [(0, 17), (2, 16), (16, 17)] {
        let stamp_or_zero = |index| {
            if index == zero {
                0
            } else {
                stamp(SIMULATED_NS, index)
            }
        };
        let frames = evaluate_frames(40, |index, image| (stamp_or_zero(index), image), &[]);
        assert_eq!(first_stable(&frames), Some(expected), "zero at {zero}");
        for (index, frame) in frames.iter().enumerate() {
            assert_eq!(frame["time_ns"], stamp(SIMULATED_NS, index), "zero at {zero}");
        }
    }

    let unstamped = evaluate_frames(40, |_, image| (0, image), &[]);
    assert_eq!(first_stable(&unstamped), Some(16));
    assert_eq!(
        unstamped[1]["time_ns"],
        stamp(START_NS, 1),
        "the time of recording"
    );
}

fn frozen_camera_of_a_bag_is_stale() {
    let is_stale = |frame: &Value| frame["reason"] == "stale";
    let same_stamp = evaluate_frames(40, |_, image| (START_NS, image), &[]);
    assert_eq!(
        (first_stable(&same_stamp), first(&same_stamp, is_stale)),
        (None, Some(31))
    );

    let same_pixels = |index: usize, mut image: image::RgbImage| {
        image.put_pixel(0, 0, image::Rgb([0; 3]));
        (START_NS + index as u64 * STEP_NS, image)
    };
    let frozen = evaluate_frames(40, same_pixels, &[]);
    assert_eq!(
        (first_stable(&frozen), first(&frozen, is_stale)),
        (Some(16), Some(31))
    );
    let short = evaluate_frames(40, same_pixels, &["--stale-timeout", "0.1"]);
    assert_eq!((first_stable(&short), first(&short, is_stale)), (None, Some(4)));
    let simulated = evaluate_frames(40, same_pixels, &["--detect-frozen-camera", "false"]);
    assert_eq!(first(&simulated, is_stale), None);
    assert!(usage_error(&evaluate(&["--stale-timeout", "0"])).contains("must be 0.05 to 60"));
}

fn import_saves_one_burst_without_near_duplicates_and_rejects_a_repetition() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut messages = hands(4);
    messages.insert(1, messages[0].clone());
    let (_bag, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let import = |more: &[&str]| {
        let mut command = support::program();
        command.args(["bag", "import", "--label", "none", "--json", "--dataset"]);
        command
            .arg(directory.path().join("dataset"))
            .arg(&file)
            .args(more);
        command.output().expect("starts")
    };
    let report = json(&import(&["--to", "0.15"]));
    assert_eq!(
        (&report["saved"], &report["near_duplicates"]),
        (&5.into(), &1.into())
    );
    let files: Vec<_> = fs::read_dir(directory.path().join("dataset").join("none"))
        .expect("exists")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(files.len(), 5);
    assert!(
        files.iter().all(|name| name.starts_with("20231114T221320")),
        "{files:?}"
    );
    assert!(
        failure(&import(&["--to", "0.15"])).contains("exists"),
        "the same frames a second time"
    );
    assert!(failure(&import(&["--from", "2", "--to", "1"])).contains("--to greater than --from"));
    let every = json(&import(&["--from", "0.2", "--every", "2"]));
    assert_eq!(every["saved"], 3);
}

fn exported_dataset_is_evaluated_with_its_labels() {
    let (root, _) = trained();
    let directory = tempfile::tempdir().expect("a directory");
    let bag = directory.path().join("exported");
    let mut export = support::program();
    export
        .args(["bag", "export", "--rate", "20", "--dataset"])
        .arg(root.path().join("unseen"))
        .arg(&bag);
    assert!(export.output().expect("starts").status.success());
    assert!(failure(&export.output().expect("starts")).contains("exists"));

    let page = directory.path().join("page.html");
    let mut evaluate = support::program();
    evaluate
        .args(["bag", "evaluate", "--json"])
        .arg(&bag)
        .arg("--store")
        .arg(root.path().join("store"));
    evaluate
        .arg("--expect")
        .arg(directory.path().join("exported.labels.yaml"))
        .arg("--html")
        .arg(&page);
    let report = json(&evaluate.output().expect("starts"));
    assert_eq!(report["agreement"]["frames"], 30);
    let lengths: Vec<_> = report["agreement"]["intervals"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|interval| {
            (
                interval["label"].as_str().unwrap_or_default(),
                interval["frames"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        lengths,
        [
            ("none", Some(10)),
            ("thumbs_down", Some(10)),
            ("thumbs_up", Some(10))
        ]
    );
    let page = fs::read_to_string(&page).expect("exists");
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("expected"));
    assert!(
        !page.contains("<script") && !page.contains("://"),
        "no scripts and no external resources"
    );
}

fn compare_reports_the_frames_on_which_models_differ() {
    let (root, bag) = trained();
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    let copy = std::process::Command::new("cp")
        .arg("-r")
        .arg(root.path().join("store"))
        .arg(&store)
        .status();
    assert!(copy.expect("copies").success());
    // Trained with two labels swapped.
    let dataset = directory.path().join("dataset");
    support::draw_dataset(&dataset, 5, 20);
    fs::rename(dataset.join("thumbs_up"), dataset.join("other")).expect("renames");
    fs::rename(dataset.join("thumbs_down"), dataset.join("thumbs_up")).expect("renames");
    fs::rename(dataset.join("other"), dataset.join("thumbs_down")).expect("renames");
    let right = json(&support::models(&store, &["list", "--json"]));
    let right = right["models"][0]["id"].as_str().expect("an id").to_owned();
    let wrong = support::model_id(&json(&support::train(&dataset, &store, &["--copies", "1"])));
    let compare = |models: &str, more: &[&str]| {
        let mut command = support::program();
        command
            .args(["bag", "compare", "--json", "--models", models])
            .arg(bag)
            .arg("--store")
            .arg(&store);
        command.args(more).output().expect("starts")
    };
    let same = json(&compare(&format!("{right},{right}"), &[]));
    assert_eq!((&same["frames"], &same["differ"]), (&24.into(), &0.into()));
    let page = directory.path().join("page.html");
    let found = json(&compare(
        &format!("{right},{wrong}"),
        &["--html", &page.display().to_string()],
    ));
    assert!(found["differ"].as_u64() > Some(8), "{found}");
    let spans = found["spans"].as_array().expect("a list");
    assert!(spans.iter().all(|span| span["seen"][0] != span["seen"][1]));
    assert!(
        fs::read_to_string(page)
            .expect("exists")
            .contains("data:image/jpeg")
    );
    assert!(failure(&compare(&right, &[])).contains("--models has 1 ids, must be two"));
}

fn missing_bag_does_not_prevent_classifying_the_others() {
    let (root, bag) = trained();
    let directory = tempfile::tempdir().expect("a directory");
    let (_labels, labels) = labels_file(EXPECTED);
    let (page, table) = (
        directory.path().join("pages"),
        directory.path().join("predictions.csv"),
    );
    let mut command = support::program();
    command
        .args(["bag", "evaluate"])
        .arg(bag)
        .arg(directory.path().join("nothing"))
        .arg(bag);
    command
        .arg("--store")
        .arg(root.path().join("store"))
        .arg("--html")
        .arg(&page)
        .arg("--csv")
        .arg(&table);
    let output = command.args(["--expect", &labels]).output().expect("starts");
    assert!(failure(&output).contains("nothing"));
    assert_eq!(fs::read_to_string(table).expect("exists").lines().count(), 49);
    assert!(page.join("1_bag_0.mcap.html").exists() && page.join("3_bag_0.mcap.html").exists());
    assert!(usage_error(&evaluate(&["--threshold", "nan"])).contains("must be 0 to 1"));
}

/// Runs the commands of docs/guides/bags.md.
fn walkthrough_in_docs_works() {
    let photos = support::runner::photos();
    let page = include_str!("../docs/guides/bags.md");
    let begin = page
        .find("thumb_gesture bag export photo_bag --dataset \"$PHOTOS\"")
        .expect("the commands");
    let block = &page[begin..begin + page[begin..].find("```").expect("the end of the block")];
    let directory = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_BIN_EXE_thumb_gesture"))
        .parent()
        .expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = std::process::Command::new("bash")
        .args(["-e", "-c", block])
        .current_dir(directory.path())
        .env("PATH", format!("{}:{path}", program.display()))
        .env("PHOTOS", photos.canonicalize().expect("exists"))
        .output()
        .expect("starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        stdout.contains("frames correct: ") && stdout.contains("differ on "),
        "{stdout}"
    );
    let saved: usize = stdout.matches(" frames saved as ").count();
    assert_eq!(saved, 6, "{stdout}");
    assert!(
        directory.path().join("differences.html").exists() && directory.path().join("first.html").exists()
    );
}

support::runner::tests! {
    messages_are_the_same_as_read_by_rosbags needs Torch,
    chunks_of_each_compression_are_read,
    truncated_file_is_read_to_its_end,
    damaged_chunk_loses_only_its_own_messages_and_they_are_counted,
    announced_sizes_are_not_allocated_before_they_are_checked,
    random_changes_to_a_file_never_panic,
    split_bag_is_read_in_order_and_missing_files_are_reported,
    damaged_database_is_read_except_for_its_damaged_pages,
    view_in_place_of_a_table_is_rejected,
    corpus_of_damaged_files_is_read_with_bounded_memory,
    same_bag_gives_identical_predictions,
    csv_has_a_row_for_each_frame,
    accuracy_below_the_minimum_fails_with_the_accuracy,
    unknown_topic_is_rejected_with_the_known_ones,
    truncated_messages_are_counted_and_the_others_classified,
    stamps_that_jump_or_are_missing_do_not_make_a_gesture_stable_earlier,
    frozen_camera_of_a_bag_is_stale,
    import_saves_one_burst_without_near_duplicates_and_rejects_a_repetition,
    exported_dataset_is_evaluated_with_its_labels,
    compare_reports_the_frames_on_which_models_differ,
    missing_bag_does_not_prevent_classifying_the_others,
    walkthrough_in_docs_works needs Photos,
}
