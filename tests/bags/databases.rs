//! SQLite3 files of old and of killed recorders, and databases that are something else.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use thumb_gesture::bag::Bag;

use crate::writing::*;

const TOPICS: &str = "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL);
    INSERT INTO topics VALUES (1, '/jetbot/camera/image_raw', 'sensor_msgs/msg/Image', 'cdr', '');";
const MESSAGES: &str = "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE INDEX timestamp_idx ON messages (timestamp ASC);";

fn create(file: &Path, statements: &str) -> Connection {
    let database = Connection::open(file).expect("opens");
    database.execute_batch(statements).expect("creates tables");
    database
}

fn insert(database: &Connection, topic: i64, messages: &[Vec<u8>]) {
    for (index, message) in messages.iter().enumerate() {
        let time_ns = START_NS.cast_signed() + index as i64;
        let insert = "INSERT INTO messages (topic_id, timestamp, data) VALUES (?1, ?2, ?3)";
        database
            .execute(insert, (topic, time_ns, message))
            .expect("writes");
    }
}

pub(crate) fn messages_in_the_journal_of_a_killed_recorder_are_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let recorded = directory.path().join("recorded.db3");
    let journal = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;";
    let database = create(&recorded, &format!("{journal} {TOPICS} {MESSAGES}"));
    insert(&database, 1, &hands(1));
    // The files as a killed recorder leaves them.
    let file = directory.path().join("bag_0.db3");
    fs::copy(&recorded, &file).expect("copies");
    fs::copy(
        directory.path().join("recorded.db3-wal"),
        directory.path().join("bag_0.db3-wal"),
    )
    .expect("copies");
    assert_eq!(images_of(&file), (3, 0, vec![]));
    // A directory that SQLite cannot write to.
    let shared_memory = directory.path().join("bag_0.db3-shm");
    fs::remove_file(&shared_memory).ok();
    fs::create_dir(shared_memory).expect("creates");
    assert_eq!(images_of(&file), (3, 0, vec![]));
}

pub(crate) fn locked_database_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.db3");
    let database = create(&file, &format!("{TOPICS} {MESSAGES}"));
    insert(&database, 1, &hands(1));
    database.execute_batch("BEGIN EXCLUSIVE").expect("locks");
    assert_eq!(images_of(&file), (3, 0, vec![]));
}

pub(crate) fn database_that_cannot_be_opened_is_named_where_no_topic_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.db3");
    fs::write(&file, b"SQLite format 3\0 and nothing else").expect("writes");
    for topic in [None, Some(TOPIC)] {
        let error = read_images(&Bag::open(&file).expect("a file"), topic).expect_err("no images");
        let error = error.to_string();
        assert!(
            error.contains("not read: ") && error.contains("cannot be opened as a database of rosbag2"),
            "{error}"
        );
    }
}

pub(crate) fn message_above_the_maximum_length_is_lost_and_the_others_are_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.db3");
    let database = create(&file, &format!("{TOPICS} {MESSAGES}"));
    insert(&database, 1, &hands(1));
    let generated = "ALTER TABLE messages RENAME COLUMN data TO image;
        ALTER TABLE messages ADD COLUMN data BLOB AS (CASE id WHEN 2 THEN zeroblob(600000000) ELSE image END);";
    database.execute_batch(generated).expect("alters the table");
    let (images, others, losses) = images_of(&file);
    assert_eq!((images, others, losses.len()), (2, 0, 1), "{losses:?}");
    assert!(losses[0].reason.contains("too big"), "{losses:?}");
}

pub(crate) fn topics_without_columns_and_messages_without_topics() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bag_0.db3");
    let old = "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT);
        INSERT INTO topics VALUES (1, '/jetbot/camera/image_raw', 'sensor_msgs/msg/Image'), (2, '/other', NULL);
        CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);";
    let database = create(&file, &format!("{old} {MESSAGES}"));
    insert(&database, 1, &hands(1));
    insert(&database, 2, &[vec![0; 8]]);
    insert(&database, 7, &hands(1));
    let as_text = "UPDATE messages SET data = CAST(data AS TEXT) WHERE id = 1";
    database.execute_batch(as_text).expect("writes");
    let (images, _, losses) = images_of(&file);
    assert_eq!((images, losses.len()), (3, 1), "{losses:?}");
    assert_eq!(losses[0].messages, Some(3), "{losses:?}");
    assert!(losses[0].reason.contains("unknown topic id 7"), "{losses:?}");
    database.execute_batch("DROP TABLE topics").expect("drops");
    let contents = Bag::open(&file).expect("a bag").contents().expect("readable");
    assert_eq!(
        (contents.messages, contents.losses.len()),
        (0, 3),
        "{:?}",
        contents.losses
    );
}

pub(crate) fn other_database_is_rejected_with_its_tables() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("contacts.db3");
    drop(create(
        &file,
        "CREATE TABLE people(name TEXT); CREATE TABLE photos(data BLOB);",
    ));
    let error = Bag::open(&file)
        .expect("a file")
        .contents()
        .expect_err("no bag")
        .to_string();
    assert!(
        error.contains("not a bag; it is an SQLite database, but without"),
        "{error}"
    );
    assert!(error.contains("[\"people\", \"photos\"]"), "{error}");
}
