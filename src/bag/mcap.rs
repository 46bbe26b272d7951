//! Reads the messages of an MCAP file.
//!
//! The file is read sequentially and not through its index, because an unfinished file has none and the index may be wrong. Each chunk is
//! unpacked separately, so that a damaged chunk affects only its own messages. Messages are sorted by time within a chunk; chunks keep the
//! order of the file.

mod channels;
mod records;

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use mcap::McapError;
use mcap::records::{Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::BagError;
use super::sink::{MAX_MESSAGE_BYTES, MessageSink};
use channels::{Channels, PendingMessage};
use records::{End, RawRecord, for_each_record};

/// Maximum size of an unpacked chunk, as a multiple of its packed size. A higher ratio indicates a decompression bomb.
const MAX_CHUNK_EXPANSION: u64 = 1000;
/// Chunks up to this unpacked size in bytes are exempt from [`MAX_CHUNK_EXPANSION`]: a single-color 4K image compresses even better.
const SMALL_CHUNK_BYTES: u64 = 60 << 20;

/// A chunk that could not be read to its end.
struct DamagedChunk {
    reason: String,
    /// The number of messages read before the damage.
    read: u64,
    /// The number of messages according to the index records that follow the chunk.
    indexed: u64,
}

/// The state of reading a file.
struct FileReader<'a, 's, 'm> {
    sink: &'a mut MessageSink<'s, 'm>,
    channels: Channels<'a>,
    /// Waits for the index records that follow the chunk.
    damaged_chunk: Option<DamagedChunk>,
    /// The number of messages found on all topics.
    found: u64,
    /// The number of messages according to the summary of the file.
    counted: u64,
    is_finished: bool,
}

/// Reads a file. Damage is recorded as a loss and is not an error.
pub(super) fn read(sink: &mut MessageSink, file: &Path) -> Result<(), BagError> {
    let losses_before = sink.losses.len();
    let mut reader = FileReader {
        channels: Channels::new(file, sink.complete),
        sink,
        damaged_chunk: None,
        found: 0,
        counted: 0,
        is_finished: false,
    };
    let end = for_each_record(file, |record| reader.process(&record))?;
    reader.record_damaged_chunk();
    reader.record_losses_at_end(&end, losses_before);
    Ok(())
}

impl FileReader<'_, '_, '_> {
    fn process(&mut self, record: &RawRecord) -> Result<ControlFlow<()>, BagError> {
        if record.opcode != op::MESSAGE_INDEX {
            self.record_damaged_chunk();
        }
        if record.opcode == op::CHUNK {
            self.damaged_chunk = self.read_chunk(record)?;
        } else if record.is_whole() {
            match mcap::parse_record(record.opcode, record.data) {
                Ok(parsed) => return self.process_parsed(parsed),
                Err(error) => self.sink.record_loss(None, format!("invalid record: {error}")),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn process_parsed(&mut self, record: Record) -> Result<ControlFlow<()>, BagError> {
        match record {
            Record::MessageIndex(index) => {
                if let Some(damaged) = &mut self.damaged_chunk {
                    damaged.indexed += index.records.len() as u64;
                }
            }
            Record::Statistics(statistics) => self.counted = statistics.message_count,
            Record::Footer(_) => {
                self.is_finished = true;
                return Ok(ControlFlow::Break(()));
            }
            record => {
                if let Some(message) = self.channels.process(record) {
                    self.found += 1;
                    self.channels.deliver(self.sink, &message)?;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Delivers the messages of a chunk, as far as it can be read, sorted by time. Returns its damage, if any, except that the file ends
    /// inside the chunk.
    fn read_chunk(&mut self, chunk: &RawRecord) -> Result<Option<DamagedChunk>, BagError> {
        let (mut messages, mut read) = (Vec::new(), 0);
        let unpacked = unpack_chunk(chunk, &mut self.channels, self.sink, &mut messages, &mut read);
        messages.sort_by_key(|message| message.time_ns);
        for message in messages {
            self.channels.deliver(self.sink, &message)?;
        }
        self.found += read;
        let damage = |error: McapError| DamagedChunk {
            reason: match error {
                McapError::BadChunkCrc { .. } => "damaged chunk: wrong checksum".to_owned(),
                McapError::UnexpectedEof | McapError::UnexpectedEoc => {
                    "damaged chunk: it ends in the middle of a record".to_owned()
                }
                McapError::UnsupportedCompression(name) => {
                    format!("chunks are compressed by {name:?}; supported: lz4 and zstd")
                }
                error => format!("damaged chunk: {error}"),
            },
            read,
            indexed: 0,
        };
        Ok(unpacked.err().filter(|_| chunk.is_whole()).map(damage))
    }

    fn record_damaged_chunk(&mut self) {
        if let Some(damaged) = self.damaged_chunk.take() {
            let lost = damaged.indexed.checked_sub(damaged.read).filter(|lost| *lost > 0);
            self.sink.record_loss(lost, damaged.reason);
        }
    }

    fn record_losses_at_end(&mut self, end: &End, losses_before: usize) {
        let sink = &mut *self.sink;
        if let Some(damage) = &end.damage {
            sink.record_loss(None, format!("the rest of the file is damaged: {damage}"));
        } else if !self.is_finished {
            sink.record_loss(
                None,
                "the file was not finished; messages after its end are missing".to_owned(),
            );
        } else if end.bytes_left > mcap::MAGIC.len() as u64 {
            sink.record_loss(
                None,
                "data after the end of the recording is not read; if several files were joined, read each of them"
                    .to_owned(),
            );
        }
        // After other losses it is known that messages are missing.
        let missing = self
            .counted
            .checked_sub(self.found)
            .filter(|missing| *missing > 0);
        if missing.is_some() && sink.losses.len() == losses_before {
            let reason = format!(
                "its summary counts {} messages, but only {} were found",
                self.counted, self.found
            );
            sink.record_loss(missing, reason);
        }
    }
}

/// Appends the selected messages of a chunk to `messages` and adds the number of all its messages to `read`. If it fails, both hold what
/// comes before the damage. A chunk that the end of the file cut off is read without its checksum.
fn unpack_chunk(
    chunk: &RawRecord,
    channels: &mut Channels,
    sink: &MessageSink,
    messages: &mut Vec<PendingMessage>,
    read: &mut u64,
) -> Result<(), McapError> {
    // The MCAP reader allocates the unpacked size that the chunk announces, up to this limit.
    let max_bytes = (chunk.data.len() as u64).saturating_mul(MAX_CHUNK_EXPANSION);
    let max_bytes = max_bytes.clamp(SMALL_CHUNK_BYTES, MAX_MESSAGE_BYTES);
    let usable = usable_bytes(chunk.data);
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(chunk.length == usable as u64)
        .with_record_length_limit(usize::try_from(max_bytes).unwrap_or(usize::MAX));
    let mut reader = LinearReader::new_with_options(options);
    let mut head = vec![op::CHUNK];
    head.extend_from_slice(&chunk.length.to_le_bytes());
    let mut record = head.chain(&chunk.data[..usable]);
    let mut bytes_left = head.len() + usable;
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

/// The length of a chunk up to the first record that does not fit into it, if it is not compressed: the MCAP reader subtracts the lengths of
/// such records without a check (mcap 0.26.0).
fn usable_bytes(chunk: &[u8]) -> usize {
    // Two times, size and checksum.
    const COMPRESSION_AT: usize = 28;
    let number_at = |at: usize| {
        let bytes = chunk.get(at..)?.first_chunk()?;
        usize::try_from(u64::from_le_bytes(*bytes)).ok()
    };
    let is_uncompressed = chunk.get(COMPRESSION_AT..COMPRESSION_AT + 4) == Some(&[0; 4]);
    let Some(size) = number_at(COMPRESSION_AT + 4).filter(|_| is_uncompressed) else {
        return chunk.len();
    };
    let mut at = COMPRESSION_AT + 12;
    let end = at.saturating_add(size).min(chunk.len());
    while at < end {
        let next = number_at(at + 1).and_then(|length| (at + 9).checked_add(length));
        match next {
            Some(next) if next <= end => at = next,
            _ => return at,
        }
    }
    chunk.len()
}
