//! The messages of a SQLite file, as rosbag2_storage_sqlite3 lays them out.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{BagError, Reading, Topic};

/// In the order of their time, and of their coming where that is the same.
const MESSAGES: &str = "SELECT topic_id, timestamp, data FROM messages ORDER BY timestamp, id";

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
    let wanted = |id: &i64| topics.get(id).filter(|topic| (reading.is_wanted)(topic));
    if !topics.keys().any(|id| wanted(id).is_some()) {
        return Ok(());
    }
    let read = || -> rusqlite::Result<Result<(), BagError>> {
        let mut statement = connection.prepare(MESSAGES)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Some(topic) = topics.get(&row.get(0)?) else {
                continue;
            };
            let data = row.get_ref(2)?;
            let Ok(data) = data.as_blob() else {
                reading.lose(Some(1), format!("a message on {} is no bytes", topic.name));
                continue;
            };
            if let Err(error) = reading.deliver(topic, row.get(1)?, data) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    };
    let mut read = read;
    match read() {
        Ok(result) => result,
        Err(error) => {
            reading.lose(None, format!("the rest of the database cannot be read: {error}"));
            Ok(())
        }
    }
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
