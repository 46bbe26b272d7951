//! The messages of a SQLite file, as rosbag2_storage_sqlite3 lays them out.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{BagError, Reading, Topic};

/// In the order of their time, and of their coming where that is the same.
const IN_TIME: &str = "SELECT topic_id, timestamp, data, id FROM messages ORDER BY timestamp, id";
/// For a file that breaks off: in the order in which they lie there, without asking an index that may lie beyond its end.
const AS_THEY_LIE: &str = "SELECT topic_id, timestamp, data, id FROM messages NOT INDEXED ORDER BY id";

/// Reads a file; what it does not give is a loss.
pub fn read(reading: &mut Reading, file: &Path) -> Result<(), BagError> {
    let opened = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let (connection, topics) = match opened.and_then(|connection| {
        // A view in the place of a table could say anything, without end.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        // SQLite refuses a file that is shorter than it should be, unless it is told that someone knows what they do.
        connection.pragma_update(None, "writable_schema", true)?;
        let topics = topics(&connection)?;
        Ok((connection, topics))
    }) {
        Ok(opened) => opened,
        Err(error) => {
            reading.lose(None, format!("not a bag's database: {error}"));
            return Ok(());
        }
    };
    let mut last = None;
    let result = messages(reading, &connection, &topics, IN_TIME, &mut last).or_else(|error| {
        reading.lose(
            None,
            format!("the database is damaged, and what is left of it was read: {error}"),
        );
        messages(reading, &connection, &topics, AS_THEY_LIE, &mut last)
    });
    // That they end before their time is told already.
    result.unwrap_or(Ok(()))
}

/// Delivers the messages after the last one that was delivered; on the outside is the database's error, inside that of whoever takes them.
fn messages(
    reading: &mut Reading,
    connection: &Connection,
    topics: &HashMap<i64, Topic>,
    query: &str,
    last: &mut Option<(i64, i64)>,
) -> rusqlite::Result<Result<(), BagError>> {
    let before = *last;
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (Ok(id), Ok(time_ns)) = (row.get::<_, i64>(0), row.get(1)) else {
            reading.lose(Some(1), "messages without a topic or a time".to_owned());
            continue;
        };
        let place = (time_ns, row.get(3)?);
        if before.is_some_and(|before| place <= before) {
            continue;
        }
        *last = Some(place);
        let Some(topic) = topics.get(&id) else {
            reading.lose(Some(1), format!("messages of the unknown topic {id}"));
            continue;
        };
        if !(reading.is_wanted)(topic) {
            continue;
        }
        let Ok(data) = row.get_ref(2)?.as_blob() else {
            reading.lose(Some(1), format!("messages on {} are no bytes", topic.name));
            continue;
        };
        if let Err(error) = reading.deliver(topic, time_ns, data) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

fn topics(connection: &Connection) -> rusqlite::Result<HashMap<i64, Topic>> {
    let mut statement = connection.prepare("SELECT id, name, type, serialization_format FROM topics")?;
    let topics = statement.query_map([], |row| {
        let topic = Topic {
            name: row.get(1)?,
            message: row.get(2)?,
            encoding: row.get(3)?,
        };
        Ok((row.get(0)?, topic))
    })?;
    topics.collect()
}
