//! The messages of a SQLite file, as rosbag2_storage_sqlite3 lays them out.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{BagError, Reading, Topic};

/// In the order of their time, and of their coming where that is the same.
const MESSAGES: &str = "SELECT topic_id, timestamp, data FROM messages ORDER BY timestamp, id";

const TABLES: &str =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('topics', 'messages')";

/// Reads a file; what it does not give is a loss.
pub fn read(reading: &mut Reading, file: &Path) -> Result<(), BagError> {
    let opened = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let (connection, topics) = match opened.and_then(|connection| {
        let topics = topics(&connection)?;
        Ok((connection, topics))
    }) {
        Ok(opened) => opened,
        Err(error) => {
            reading.lose(None, format!("not a bag's database: {error}"));
            return Ok(());
        }
    };
    match messages(reading, &connection, &topics) {
        Ok(result) => result,
        Err(error) => {
            reading.lose(None, format!("the rest of the database cannot be read: {error}"));
            Ok(())
        }
    }
}

/// Delivers the messages; on the outside is the database's error, inside that of whoever takes them.
fn messages(
    reading: &mut Reading,
    connection: &Connection,
    topics: &HashMap<i64, Topic>,
) -> rusqlite::Result<Result<(), BagError>> {
    let mut statement = connection.prepare(MESSAGES)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (Ok(id), Ok(time_ns)) = (row.get::<_, i64>(0), row.get(1)) else {
            reading.lose(Some(1), "messages without a topic or a time".to_owned());
            continue;
        };
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
    // A view in their place could say anything, without end.
    let tables: i64 = connection.query_row(TABLES, [], |row| row.get(0))?;
    if tables != 2 {
        return Err(rusqlite::Error::InvalidQuery);
    }
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
