//! The messages of an MCAP file: in chunks or not, compressed or not, finished or not.
//!
//! The file is read from its beginning to its end and not by its index, which an unfinished file does not have. Each chunk is read by
//! itself, so that a broken one takes nothing along but its own messages. They are handed over in the order of their time in each
//! chunk; chunks follow each other as the recorder wrote them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use mcap::McapError;
use mcap::records::{Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::{BagError, LONGEST_MESSAGE, Reading, Topic};

/// A chunk of images shrinks to a thousandth at most, or claims what is not so; a small one may, up to a flat image in 4K.
const MOST_EXPANSION: u64 = 1000;
const SMALL_CHUNK: u64 = 60 << 20;

/// What has been said of channels so far.
#[derive(Default)]
struct Channels {
    schemas: HashMap<u16, String>,
    topics: HashMap<u16, Topic>,
    /// True once the whole file was asked.
    are_complete: bool,
}

/// A message until its turn comes.
struct Waiting {
    channel: u16,
    time_ns: i64,
    data: Vec<u8>,
}

/// A chunk that could not be read to its end.
struct Broken {
    reason: String,
    /// Messages that were read of it.
    read: u64,
    /// Messages that its index, which follows it, says that it had.
    indexed: u64,
}

/// Reads a file; what it does not give is a loss.
pub fn read(reading: &mut Reading, file: &Path) -> Result<(), BagError> {
    let mut channels = Channels::default();
    let mut broken: Option<Broken> = None;
    let mut is_finished = false;
    let ended = records(file, |opcode, data| {
        if opcode == op::MESSAGE_INDEX {
            if let (Some(broken), Ok(Record::MessageIndex(index))) =
                (&mut broken, mcap::parse_record(opcode, data))
            {
                broken.indexed += index.records.len() as u64;
            }
            return Ok(ControlFlow::Continue(()));
        }
        if let Some(broken) = broken.take() {
            broken.tell(reading);
        }
        match opcode {
            op::CHUNK => {
                let (mut messages, mut read) = (Vec::new(), 0);
                let unpacked = unpack(data, &mut channels, reading, &mut messages, &mut read);
                if let Err(error) = unpacked {
                    broken = Some(Broken {
                        reason: format!("a broken chunk: {error}"),
                        read,
                        indexed: 0,
                    });
                    // What it said of channels is said again at the end of a file that was finished.
                    channels.complete_from(file)?;
                }
                messages.sort_by_key(|message| message.time_ns);
                for message in messages {
                    channels.deliver(reading, &message)?;
                }
            }
            op::SCHEMA | op::CHANNEL | op::MESSAGE => match mcap::parse_record(opcode, data) {
                Ok(record) => {
                    if let Some(message) = channels.take_in(record) {
                        channels.deliver(reading, &message)?;
                    }
                }
                Err(error) => reading.lose(None, format!("a record that is none: {error}")),
            },
            op::FOOTER => {
                is_finished = true;
                return Ok(ControlFlow::Break(()));
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(broken) = broken {
        broken.tell(reading);
    }
    if let Err(error) = ended {
        reading.lose(None, format!("the file is broken from here on: {error}"));
    } else if !is_finished {
        reading.lose(
            None,
            "the file was not finished: what comes after its end is not known".to_owned(),
        );
    }
    Ok(())
}

/// Hands over the records of a file, chunks as they are, until one says that it is enough; the format's error that ended them.
fn records(
    file: &Path,
    mut take: impl FnMut(u8, &[u8]) -> Result<ControlFlow<()>, BagError>,
) -> Result<Result<(), McapError>, BagError> {
    let io = |cause| BagError::Io {
        path: file.to_owned(),
        cause,
    };
    let opened = File::open(file).map_err(io)?;
    let mut left = opened.metadata().map_err(io)?.len();
    let mut input = BufReader::new(opened);
    let options = LinearReaderOptions::default()
        .with_emit_chunks(true)
        .with_skip_end_magic(true)
        .with_record_length_limit(usize::try_from(LONGEST_MESSAGE).unwrap_or(usize::MAX));
    let mut reader = LinearReader::new_with_options(options);
    while let Some(event) = reader.next_event() {
        match event {
            // The length of a record is whatever the file says: no room is made for more than there is.
            Ok(LinearReadEvent::ReadRequest(needed)) => {
                let length = usize::try_from(left).map_or(needed, |left| needed.min(left));
                if length == 0 {
                    return Ok(Ok(()));
                }
                input.read_exact(reader.insert(length)).map_err(io)?;
                reader.notify_read(length);
                left -= length as u64;
            }
            Ok(LinearReadEvent::Record { opcode, data }) => {
                if take(opcode, data)?.is_break() {
                    return Ok(Ok(()));
                }
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

/// The messages of a chunk that somebody wants, and how many there were; those before the place where it is broken, too.
fn unpack(
    chunk: &[u8],
    channels: &mut Channels,
    reading: &Reading,
    messages: &mut Vec<Waiting>,
    read: &mut u64,
) -> Result<(), McapError> {
    // The reader makes room for as much as the chunk says that it will be.
    let longest = (chunk.len() as u64).saturating_mul(MOST_EXPANSION);
    let longest = longest.clamp(SMALL_CHUNK, LONGEST_MESSAGE);
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(usize::try_from(longest).unwrap_or(usize::MAX));
    let mut reader = LinearReader::new_with_options(options);
    let mut head = vec![op::CHUNK];
    head.extend_from_slice(&(chunk.len() as u64).to_le_bytes());
    let mut record = head.chain(chunk);
    let mut left = head.len() + chunk.len();
    while let Some(event) = reader.next_event() {
        match event? {
            LinearReadEvent::ReadRequest(needed) => {
                // At the end the reader hears of nothing, and knows by itself whether it is one.
                let length = needed.min(left);
                record.read_exact(reader.insert(length))?;
                reader.notify_read(length);
                left -= length;
            }
            LinearReadEvent::Record { opcode, data } => {
                match opcode {
                    op::MESSAGE if !channels.is_wanted(data, reading) => {}
                    op::SCHEMA | op::CHANNEL | op::MESSAGE => {
                        messages.extend(channels.take_in(mcap::parse_record(opcode, data)?));
                    }
                    _ => {}
                }
                *read += u64::from(opcode == op::MESSAGE);
            }
        }
    }
    Ok(())
}

impl Broken {
    fn tell(self, reading: &mut Reading) {
        let lost = self.indexed.checked_sub(self.read).filter(|lost| *lost > 0);
        reading.lose(lost, self.reason);
    }
}

impl Channels {
    /// Remembers what a record says of channels; gives the message, if it is one.
    fn take_in(&mut self, record: Record) -> Option<Waiting> {
        match record {
            Record::Schema { header, .. } => drop(self.schemas.insert(header.id, header.name)),
            Record::Channel(channel) => {
                let topic = Topic {
                    name: channel.topic,
                    message: self.schemas.get(&channel.schema_id).cloned().unwrap_or_default(),
                    encoding: channel.message_encoding,
                };
                self.topics.insert(channel.id, topic);
            }
            Record::Message { header, data } => {
                return Some(Waiting {
                    channel: header.channel_id,
                    time_ns: i64::try_from(header.log_time).unwrap_or(i64::MAX),
                    data: data.into_owned(),
                });
            }
            _ => {}
        }
        None
    }

    /// Takes in what the file says of channels outside its chunks; once is enough.
    fn complete_from(&mut self, file: &Path) -> Result<(), BagError> {
        if std::mem::replace(&mut self.are_complete, true) {
            return Ok(());
        }
        let mut found = Channels::default();
        let _broken_from_there_on = records(file, |opcode, data| {
            if matches!(opcode, op::SCHEMA | op::CHANNEL)
                && let Ok(record) = mcap::parse_record(opcode, data)
            {
                found.take_in(record);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for (id, topic) in found.topics {
            self.topics.entry(id).or_insert(topic);
        }
        Ok(())
    }

    /// False for a message, still in bytes, of a topic that nobody wants.
    fn is_wanted(&self, message: &[u8], reading: &Reading) -> bool {
        let channel = message.first_chunk().map(|id| u16::from_le_bytes(*id));
        let topic = channel.and_then(|channel| self.topics.get(&channel));
        topic.is_none_or(|topic| (reading.is_wanted)(topic))
    }

    fn deliver(&self, reading: &mut Reading, message: &Waiting) -> Result<(), BagError> {
        match self.topics.get(&message.channel) {
            Some(topic) => reading.deliver(topic, message.time_ns, &message.data),
            None => {
                reading.lose(
                    Some(1),
                    format!("messages of the unknown channel {}", message.channel),
                );
                Ok(())
            }
        }
    }
}
