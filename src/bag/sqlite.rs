//! Reads the messages of a SQLite3 file with the schema of rosbag2_storage_sqlite3.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row};
use tempfile::TempDir;

use super::sink::{MAX_MESSAGE_BYTES, MessageSink};
use super::{BagError, MAX_NAME_BYTES, Topic};
use crate::disk;

/// Ordered by time; messages with equal times keep the order of recording.
const QUERY_BY_TIME: &str = "SELECT topic_id, timestamp, data, id FROM messages ORDER BY timestamp, id";
/// For a damaged file: from an id on, in the order of the table, without an index.
const QUERY_BY_ID: &str =
    "SELECT topic_id, timestamp, data, id FROM messages NOT INDEXED WHERE id >= ?1 ORDER BY id";
/// Recovery stops after this many consecutive ids that cannot be read.
const MAX_GAP: u32 = 1000;

/// How long to wait for another process that is writing the database.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// Time and id of a message, which the messages are ordered by.
type OrderKey = (i64, i64);

/// An open database. The directory holds its copy, if it had to be copied.
struct Database {
    connection: Connection,
    topics: HashMap<i64, Topic>,
    _copy: Option<TempDir>,
}

/// Reads a file. Damage is recorded as a loss and is not an error.
///
/// # Errors
/// The database is not one of rosbag2, or the callback for messages failed.
pub(super) fn read(sink: &mut MessageSink, file: &Path) -> Result<(), BagError> {
    let opened = match Database::open(file, sink.complete) {
        Err(error) if is_in_use(&error) => Database::open_copy(file, sink.complete),
        opened => opened,
    };
    let database = match opened {
        Ok(database) => database,
        Err(error) => {
            sink.record_loss(
                None,
                format!("cannot be opened as a database of rosbag2: {error}"),
            );
            return Ok(());
        }
    };
    if let Some(reason) = database.describe_if_foreign() {
        return Err(BagError::not_a_bag(sink.file, reason));
    }
    let (connection, topics) = (&database.connection, &database.topics);
    let mut last = None;
    let result = deliver_rows(sink, connection, topics, QUERY_BY_TIME, [], &mut |key| {
        last = Some(key);
        true
    });
    match result {
        Ok(outcome) => outcome,
        Err(error) => {
            let reason = format!("the database is damaged; its readable messages were recovered: {error}");
            sink.record_loss(None, reason);
            recover_rows(sink, connection, topics, last)
        }
    }
}

/// Whether the database was not closed and its directory is read-only, or another process is writing it.
fn is_in_use(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::ReadOnly
        )
    )
}

impl Database {
    fn open(file: &Path, complete: &dyn Fn(Topic) -> Topic) -> rusqlite::Result<Database> {
        let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Database::new(connection, None, complete)
    }

    /// Opens a copy, with the messages in the journals that a recorder which was killed left beside the file.
    fn open_copy(file: &Path, complete: &dyn Fn(Topic) -> Topic) -> rusqlite::Result<Database> {
        let io_error = |cause: io::Error| {
            let directory = std::env::temp_dir();
            let message = format!("cannot copy it to {}: {cause}", directory.display());
            rusqlite::Error::ToSqlConversionFailure(message.into())
        };
        let directory = tempfile::tempdir().map_err(io_error)?;
        let copy = directory.path().join("copy.db3");
        let with_suffix = |path: &Path, suffix| {
            let mut path = path.as_os_str().to_owned();
            path.push(suffix);
            path
        };
        // Without the permissions of the file, which may be read-only.
        let copy_content =
            |from: &OsStr, to: &OsStr| io::copy(&mut disk::open_file(from.as_ref())?, &mut File::create(to)?);
        copy_content(file.as_os_str(), copy.as_os_str()).map_err(io_error)?;
        for suffix in ["-wal", "-journal"] {
            match copy_content(&with_suffix(file, suffix), &with_suffix(&copy, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
                _ => {}
            }
        }
        let connection = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        Database::new(connection, Some(directory), complete)
    }

    fn new(
        connection: Connection,
        copy: Option<TempDir>,
        complete: &dyn Fn(Topic) -> Topic,
    ) -> rusqlite::Result<Database> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Also for a generated column, which could compute values of any length.
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_MESSAGE_BYTES as i32)?;
        // A view in place of a table could return rows endlessly.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        // With this pragma SQLite also opens truncated files.
        connection.pragma_update(None, "writable_schema", true)?;
        let topics = if tables(&connection)?.iter().any(|table| table == "topics") {
            read_topics(&connection, complete)?
        } else {
            HashMap::new()
        };
        Ok(Database {
            connection,
            topics,
            _copy: copy,
        })
    }

    /// Says what the database is if it has no messages of rosbag2.
    fn describe_if_foreign(&self) -> Option<String> {
        let tables = tables(&self.connection).ok()?;
        let is_bag = tables.iter().any(|table| table == "messages");
        (!is_bag).then(|| {
            format!("it is an SQLite database, but without rosbag2's tables topics and messages; its tables: {tables:?}")
        })
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 20")?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
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
        let Ok(data) = row.get_ref(2)?.as_bytes() else {
            sink.record_loss(Some(1), format!("messages on {topic} have no data"));
            continue;
        };
        if let Err(error) = sink.deliver(topic, time_ns, data) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// The topics by id. The columns of types and serialization formats may be missing or NULL.
fn read_topics(
    connection: &Connection,
    complete: &dyn Fn(Topic) -> Topic,
) -> rusqlite::Result<HashMap<i64, Topic>> {
    let mut statement = connection.prepare("SELECT * FROM topics")?;
    let (id, name) = (statement.column_index("id")?, statement.column_index("name")?);
    let columns = ["type", "serialization_format"].map(|column| statement.column_index(column).ok());
    let topics = statement.query_map([], |row| {
        let [message_type, encoding] =
            columns.map(|column| column.map_or_else(String::new, |column| text(row, column)));
        let topic = Topic {
            name: text(row, name),
            message_type,
            encoding,
        };
        Ok((row.get(id)?, complete(topic)))
    })?;
    topics.collect()
}

/// The text in a column, also if it is NULL or not UTF-8; at most [`MAX_NAME_BYTES`] of it.
fn text(row: &Row, column: usize) -> String {
    let bytes = row.get_ref(column).ok().and_then(|value| value.as_bytes().ok());
    let bytes = bytes.unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_NAME_BYTES)]).into_owned()
}
