//! Reads the messages of a SQLite3 file with the schema of rosbag2_storage_sqlite3.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Params};

use super::sink::MessageSink;
use super::{BagError, Topic};

/// Ordered by time; messages with equal times keep the order of recording.
const QUERY_BY_TIME: &str = "SELECT topic_id, timestamp, data, id FROM messages ORDER BY timestamp, id";
/// For a damaged file: from an id on, in the order of the table, without an index.
const QUERY_BY_ID: &str =
    "SELECT topic_id, timestamp, data, id FROM messages NOT INDEXED WHERE id >= ?1 ORDER BY id";
/// Recovery stops after this many consecutive ids that cannot be read.
const MAX_GAP: u32 = 1000;

/// Time and id of a message, which the messages are ordered by.
type OrderKey = (i64, i64);

/// Reads a file. Damage is recorded as a loss and is not an error.
pub(super) fn read(sink: &mut MessageSink, file: &Path) -> Result<(), BagError> {
    let (connection, topics) = match open(file) {
        Ok(opened) => opened,
        Err(error) => {
            sink.record_loss(None, format!("not a database of rosbag2: {error}"));
            return Ok(());
        }
    };
    let mut last = None;
    let result = deliver_rows(sink, &connection, &topics, QUERY_BY_TIME, [], &mut |key| {
        last = Some(key);
        true
    });
    match result {
        Ok(outcome) => outcome,
        Err(error) => {
            let reason = format!("the database is damaged; its readable messages were recovered: {error}");
            sink.record_loss(None, reason);
            recover_rows(sink, &connection, &topics, last)
        }
    }
}

fn open(file: &Path) -> rusqlite::Result<(Connection, HashMap<i64, Topic>)> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // A view in place of a table could return rows endlessly.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    // With this pragma SQLite also opens truncated files.
    connection.pragma_update(None, "writable_schema", true)?;
    let topics = read_topics(&connection)?;
    Ok((connection, topics))
}

/// Delivers the messages after `last`, the last one delivered in time order, and skips ids that cannot be read.
fn recover_rows(
    sink: &mut MessageSink,
    connection: &Connection,
    topics: &HashMap<i64, Topic>,
    last: Option<OrderKey>,
) -> Result<(), BagError> {
    let (mut from, mut gap) = (1, 0);
    while gap < MAX_GAP && from < i64::MAX {
        let mut reached = 0;
        let result = deliver_rows(sink, connection, topics, QUERY_BY_ID, [from], &mut |key| {
            reached = key.1;
            Some(key) > last
        });
        match result {
            Ok(outcome) => return outcome,
            Err(_) if reached >= from => (from, gap) = (reached.saturating_add(1), 0),
            Err(_) => (from, gap) = (from + 1, gap + 1),
        }
    }
    Ok(())
}

/// Delivers the messages of a query for which `is_accepted`.
///
/// # Errors
/// Outer result: the database cannot be read further. Inner result: the callback for messages failed.
fn deliver_rows(
    sink: &mut MessageSink,
    connection: &Connection,
    topics: &HashMap<i64, Topic>,
    query: &str,
    parameters: impl Params,
    is_accepted: &mut dyn FnMut(OrderKey) -> bool,
) -> rusqlite::Result<Result<(), BagError>> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        let time_ns: rusqlite::Result<i64> = row.get(1);
        if !is_accepted((*time_ns.as_ref().unwrap_or(&i64::MIN), row.get(3)?)) {
            continue;
        }
        let (Ok(id), Ok(time_ns)) = (row.get::<_, i64>(0), time_ns) else {
            sink.record_loss(Some(1), "messages without a topic or a timestamp".to_owned());
            continue;
        };
        let Some(topic) = topics.get(&id) else {
            sink.record_loss(Some(1), format!("messages on the unknown topic id {id}"));
            continue;
        };
        if !(sink.is_selected)(topic) {
            continue;
        }
        let Ok(data) = row.get_ref(2)?.as_blob() else {
            sink.record_loss(Some(1), format!("messages on {} are not binary data", topic.name));
            continue;
        };
        if let Err(error) = sink.deliver(topic, time_ns, data) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// The topics by id.
fn read_topics(connection: &Connection) -> rusqlite::Result<HashMap<i64, Topic>> {
    let mut statement = connection.prepare("SELECT id, name, type, serialization_format FROM topics")?;
    let topics = statement.query_map([], |row| {
        let topic = Topic {
            name: row.get(1)?,
            message_type: row.get(2)?,
            encoding: row.get(3)?,
        };
        Ok((row.get(0)?, topic))
    })?;
    topics.collect()
}
