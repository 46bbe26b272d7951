//! The messages of a SQLite file, as rosbag2_storage_sqlite3 lays them out.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Params};

use super::{BagError, Reading, Topic};

/// In the order of their time, and of their coming where that is the same.
const IN_TIME: &str = "SELECT topic_id, timestamp, data, id FROM messages ORDER BY timestamp, id";
/// For a damaged file: from one on in the order in which they lie there, without asking an index.
const AS_THEY_LIE: &str =
    "SELECT topic_id, timestamp, data, id FROM messages NOT INDEXED WHERE id >= ?1 ORDER BY id";
/// After so many in a row that cannot be read, no more are looked for.
const LONGEST_GAP: u32 = 1000;

/// Time and id of a message.
type Place = (i64, i64);

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
    let in_time = messages(reading, &connection, &topics, IN_TIME, [], &mut |place| {
        last = Some(place);
        true
    });
    match in_time {
        Ok(result) => result,
        Err(error) => {
            reading.lose(
                None,
                format!("the database is damaged, and what is left of it was read: {error}"),
            );
            salvage(reading, &connection, &topics, last)
        }
    }
}

/// Delivers what comes after the last message that was delivered in the order of time, over all gaps.
fn salvage(
    reading: &mut Reading,
    connection: &Connection,
    topics: &HashMap<i64, Topic>,
    last: Option<Place>,
) -> Result<(), BagError> {
    let (mut from, mut gap) = (1, 0);
    while gap < LONGEST_GAP && from < i64::MAX {
        let mut reached = 0;
        let rest = messages(reading, connection, topics, AS_THEY_LIE, [from], &mut |place| {
            reached = place.1;
            Some(place) > last
        });
        match rest {
            Ok(result) => return result,
            Err(_) if reached >= from => (from, gap) = (reached.saturating_add(1), 0),
            Err(_) => (from, gap) = (from + 1, gap + 1),
        }
    }
    Ok(())
}

/// Delivers the messages that are taken; on the outside is the database's error, inside that of whoever takes them.
fn messages(
    reading: &mut Reading,
    connection: &Connection,
    topics: &HashMap<i64, Topic>,
    query: &str,
    parameters: impl Params,
    is_taken: &mut dyn FnMut(Place) -> bool,
) -> rusqlite::Result<Result<(), BagError>> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        let time_ns: rusqlite::Result<i64> = row.get(1);
        if !is_taken((*time_ns.as_ref().unwrap_or(&i64::MIN), row.get(3)?)) {
            continue;
        }
        let (Ok(id), Ok(time_ns)) = (row.get::<_, i64>(0), time_ns) else {
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
