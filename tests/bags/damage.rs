//! Damage is reported, and everything else is read with bounded memory.

use std::fs;
use std::path::Path;

use thumb_gesture::bag::{Bag, BagError, DataLoss};

use crate::support::{thumb_gesture, usage_error};
use crate::writing::*;

pub(crate) fn truncated_file_is_read_to_its_end() {
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

pub(crate) fn damaged_chunk_loses_only_its_own_messages_and_they_are_counted() {
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
        assert!(loss.reason.contains("damaged chunk"), "{loss:?}");
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

pub(crate) fn announced_sizes_are_not_allocated_before_they_are_checked() {
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

pub(crate) fn random_changes_to_a_file_never_panic() {
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
            Err(error) => assert!(matches!(error, BagError::NotABag { .. }), "{error}"),
        }
    }
}

pub(crate) fn damaged_database_is_read_except_for_its_damaged_pages() {
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

pub(crate) fn view_in_place_of_a_table_is_rejected() {
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
        losses[0]
            .reason
            .contains("cannot be opened as a database of rosbag2"),
        "{losses:?}"
    );
}

/// Each file of the corpus is read as far as possible or rejected, and losses are reported.
pub(crate) fn corpus_of_damaged_files_is_read_with_bounded_memory() {
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
