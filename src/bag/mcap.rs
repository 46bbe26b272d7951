//! Reads the messages of an MCAP file.
//!
//! The file is read sequentially and not through its index, because an unfinished file has none. Each chunk is unpacked separately, so that
//! a damaged chunk affects only its own messages. Messages are sorted by time within a chunk; chunks keep the order of the file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use mcap::McapError;
use mcap::records::{Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::sink::{MAX_MESSAGE_BYTES, MessageSink};
use super::{BagError, Topic};

/// Maximum size of an unpacked chunk, as a multiple of its packed size. A higher ratio indicates a decompression bomb.
const MAX_CHUNK_EXPANSION: u64 = 1000;
/// Chunks up to this unpacked size in bytes are exempt from [`MAX_CHUNK_EXPANSION`]: a single-color 4K image compresses even better.
const SMALL_CHUNK_BYTES: u64 = 60 << 20;

/// The schemas and channels announced so far.
#[derive(Default)]
struct Channels {
    /// Message types by schema id.
    schemas: HashMap<u16, String>,
    /// Topics by channel id.
    topics: HashMap<u16, Topic>,
    /// Whether [`Channels::complete_from`] has scanned the whole file.
    are_complete: bool,
}

struct PendingMessage {
    channel: u16,
    time_ns: i64,
    data: Vec<u8>,
}

/// A chunk that could not be read to its end.
struct DamagedChunk {
    reason: String,
    /// The number of messages read before the damage.
    read: u64,
    /// The number of messages according to the index records that follow the chunk.
    indexed: u64,
}

/// Reads a file. Damage is recorded as a loss and is not an error.
pub(super) fn read(sink: &mut MessageSink, file: &Path) -> Result<(), BagError> {
    let mut channels = Channels::default();
    let mut damaged_chunk: Option<DamagedChunk> = None;
    let mut is_finished = false;
    let end = for_each_record(file, |opcode, data| {
        if opcode == op::MESSAGE_INDEX {
            if let (Some(damaged), Ok(Record::MessageIndex(index))) =
                (&mut damaged_chunk, mcap::parse_record(opcode, data))
            {
                damaged.indexed += index.records.len() as u64;
            }
            return Ok(ControlFlow::Continue(()));
        }
        if let Some(damaged) = damaged_chunk.take() {
            damaged.record_loss(sink);
        }
        match opcode {
            op::CHUNK => damaged_chunk = read_chunk(data, &mut channels, sink, file)?,
            op::SCHEMA | op::CHANNEL | op::MESSAGE => match mcap::parse_record(opcode, data) {
                Ok(record) => {
                    if let Some(message) = channels.process(record) {
                        channels.deliver(sink, &message)?;
                    }
                }
                Err(error) => sink.record_loss(None, format!("invalid record: {error}")),
            },
            op::FOOTER => {
                is_finished = true;
                return Ok(ControlFlow::Break(()));
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(damaged) = damaged_chunk {
        damaged.record_loss(sink);
    }
    if let Err(error) = end {
        sink.record_loss(None, format!("the rest of the file is damaged: {error}"));
    } else if !is_finished {
        sink.record_loss(
            None,
            "the file was not finished; messages after its end are missing".to_owned(),
        );
    }
    Ok(())
}

/// Calls `on_record` with each record of a file, without unpacking chunks, until it returns `Break`.
///
/// # Errors
/// Outer result: the file cannot be read, or `on_record` failed. Inner result: a record is not valid MCAP, and the file cannot be read
/// beyond it.
fn for_each_record(
    file: &Path,
    mut on_record: impl FnMut(u8, &[u8]) -> Result<ControlFlow<()>, BagError>,
) -> Result<Result<(), McapError>, BagError> {
    let io_error = |cause| BagError::Io {
        path: file.to_owned(),
        cause,
    };
    let opened = File::open(file).map_err(io_error)?;
    let mut bytes_left = opened.metadata().map_err(io_error)?.len();
    let mut input = BufReader::new(opened);
    let options = LinearReaderOptions::default()
        .with_emit_chunks(true)
        .with_skip_end_magic(true)
        .with_record_length_limit(usize::try_from(MAX_MESSAGE_BYTES).unwrap_or(usize::MAX));
    let mut reader = LinearReader::new_with_options(options);
    while let Some(event) = reader.next_event() {
        match event {
            // The requested length comes from the file: allocate at most the bytes that are left.
            Ok(LinearReadEvent::ReadRequest(needed)) => {
                let length = usize::try_from(bytes_left).map_or(needed, |left| needed.min(left));
                if length == 0 {
                    return Ok(Ok(()));
                }
                input.read_exact(reader.insert(length)).map_err(io_error)?;
                reader.notify_read(length);
                bytes_left -= length as u64;
            }
            Ok(LinearReadEvent::Record { opcode, data }) => {
                if on_record(opcode, data)?.is_break() {
                    return Ok(Ok(()));
                }
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

/// Delivers the messages of a chunk, as far as it can be read, sorted by time. Returns its damage, if any.
fn read_chunk(
    chunk: &[u8],
    channels: &mut Channels,
    sink: &mut MessageSink,
    file: &Path,
) -> Result<Option<DamagedChunk>, BagError> {
    let (mut messages, mut read) = (Vec::new(), 0);
    let unpacked = unpack_chunk(chunk, channels, sink, &mut messages, &mut read);
    if unpacked.is_err() {
        // The chunk may have announced channels; a finished file repeats them in its summary.
        channels.complete_from(file)?;
    }
    messages.sort_by_key(|message| message.time_ns);
    for message in messages {
        channels.deliver(sink, &message)?;
    }
    let damage = |error: McapError| DamagedChunk {
        reason: format!("damaged chunk: {error}"),
        read,
        indexed: 0,
    };
    Ok(unpacked.err().map(damage))
}

/// Appends the selected messages of a chunk to `messages` and adds the number of all its messages to `read`. If it fails, both hold what
/// comes before the damage.
fn unpack_chunk(
    chunk: &[u8],
    channels: &mut Channels,
    sink: &MessageSink,
    messages: &mut Vec<PendingMessage>,
    read: &mut u64,
) -> Result<(), McapError> {
    // The MCAP reader allocates the unpacked size that the chunk announces, up to this limit.
    let max_bytes = (chunk.len() as u64).saturating_mul(MAX_CHUNK_EXPANSION);
    let max_bytes = max_bytes.clamp(SMALL_CHUNK_BYTES, MAX_MESSAGE_BYTES);
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(usize::try_from(max_bytes).unwrap_or(usize::MAX));
    let mut reader = LinearReader::new_with_options(options);
    let mut head = vec![op::CHUNK];
    head.extend_from_slice(&(chunk.len() as u64).to_le_bytes());
    let mut record = head.chain(chunk);
    let mut bytes_left = head.len() + chunk.len();
    while let Some(event) = reader.next_event() {
        match event? {
            LinearReadEvent::ReadRequest(needed) => {
                // At the end the length is 0; the reader then decides whether the data was complete.
                let length = needed.min(bytes_left);
                record.read_exact(reader.insert(length))?;
                reader.notify_read(length);
                bytes_left -= length;
            }
            LinearReadEvent::Record { opcode, data } => {
                match opcode {
                    op::MESSAGE if !channels.may_be_selected(data, sink) => {}
                    op::SCHEMA | op::CHANNEL | op::MESSAGE => {
                        messages.extend(channels.process(mcap::parse_record(opcode, data)?));
                    }
                    _ => {}
                }
                *read += u64::from(opcode == op::MESSAGE);
            }
        }
    }
    Ok(())
}

impl DamagedChunk {
    fn record_loss(self, sink: &mut MessageSink) {
        let lost = self.indexed.checked_sub(self.read).filter(|lost| *lost > 0);
        sink.record_loss(lost, self.reason);
    }
}

impl Channels {
    /// Stores a schema or channel; returns the message of a message record.
    fn process(&mut self, record: Record) -> Option<PendingMessage> {
        match record {
            Record::Schema { header, .. } => {
                self.schemas.insert(header.id, header.name);
            }
            Record::Channel(channel) => {
                let message_type = self.schemas.get(&channel.schema_id).cloned();
                let topic = Topic {
                    name: channel.topic,
                    message_type: message_type.unwrap_or_default(),
                    encoding: channel.message_encoding,
                };
                self.topics.insert(channel.id, topic);
            }
            Record::Message { header, data } => {
                return Some(PendingMessage {
                    channel: header.channel_id,
                    time_ns: i64::try_from(header.log_time).unwrap_or(i64::MAX),
                    data: data.into_owned(),
                });
            }
            _ => {}
        }
        None
    }

    /// Adds the channels that the file announces outside its chunks. Only the first call scans the file.
    fn complete_from(&mut self, file: &Path) -> Result<(), BagError> {
        if std::mem::replace(&mut self.are_complete, true) {
            return Ok(());
        }
        let mut found = Channels::default();
        let end = for_each_record(file, |opcode, data| {
            if matches!(opcode, op::SCHEMA | op::CHANNEL)
                && let Ok(record) = mcap::parse_record(opcode, data)
            {
                found.process(record);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        // The caller scans the same file and records where it is damaged.
        end.ok();
        for (id, topic) in found.topics {
            self.topics.entry(id).or_insert(topic);
        }
        Ok(())
    }

    /// Whether an unparsed message record is on a selected topic, or on an unknown one.
    fn may_be_selected(&self, message: &[u8], sink: &MessageSink) -> bool {
        let channel = message.first_chunk().map(|id| u16::from_le_bytes(*id));
        let topic = channel.and_then(|channel| self.topics.get(&channel));
        topic.is_none_or(|topic| (sink.is_selected)(topic))
    }

    fn deliver(&self, sink: &mut MessageSink, message: &PendingMessage) -> Result<(), BagError> {
        let Some(topic) = self.topics.get(&message.channel) else {
            sink.record_loss(
                Some(1),
                format!("messages on the unknown channel {}", message.channel),
            );
            return Ok(());
        };
        sink.deliver(topic, message.time_ns, &message.data)
    }
}
