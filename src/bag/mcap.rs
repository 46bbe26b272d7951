//! The messages of an MCAP file: in chunks or not, compressed or not, finished or not.
//!
//! The file is read from its beginning to its end and not by its index, which an unfinished file does not have. Each chunk is read by
//! itself, so that a broken one takes nothing along but its own messages. They are handed over in the order of their time in each
//! chunk; chunks follow each other as the recorder wrote them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use mcap::McapError;
use mcap::records::{Record, op};
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::{BagError, LONGEST_MESSAGE, Reading, Topic};

/// A chunk of pictures shrinks to a thousandth at most, or claims what is not so; a small one may.
const MOST_EXPANSION: u64 = 1000;
const SMALL_CHUNK: u64 = 16 << 20;

/// What has been said of channels so far.
#[derive(Default)]
struct Channels {
    schemas: HashMap<u16, String>,
    topics: HashMap<u16, Topic>,
}

/// A message until its turn comes.
struct Waiting {
    channel: u16,
    time_ns: i64,
    data: Vec<u8>,
}

/// Reads a file; what it does not give is a loss.
pub fn read(reading: &mut Reading, file: &Path) -> Result<(), BagError> {
    let io = |cause| BagError::Io {
        path: file.to_owned(),
        cause,
    };
    let opened = File::open(file).map_err(io)?;
    let mut left = opened.metadata().map_err(io)?.len();
    let mut input = BufReader::new(opened);
    let options = LinearReaderOptions::default()
        .with_emit_chunks(true)
        .with_skip_end_magic(true);
    let mut reader = LinearReader::new_with_options(options);
    let mut channels = Channels::default();
    // After a broken chunk its index says how many messages it had.
    let mut broken: Option<(String, u64)> = None;
    let mut is_finished = false;
    while let Some(event) = reader.next_event() {
        let (opcode, data) = match event {
            Ok(LinearReadEvent::ReadRequest(needed)) => {
                // The length of a record is whatever the file says: no room is made for more than there is.
                let length = usize::try_from(left).map_or(needed, |left| needed.min(left));
                if length < needed && length == 0 {
                    break;
                }
                let buffer = reader.insert(length);
                input.read_exact(buffer).map_err(io)?;
                reader.notify_read(length);
                left -= length as u64;
                continue;
            }
            Ok(LinearReadEvent::Record { opcode, data }) => (opcode, data),
            Err(error) => {
                reading.lose(None, format!("the file is broken from here on: {error}"));
                break;
            }
        };
        if opcode != op::MESSAGE_INDEX
            && let Some((reason, messages)) = broken.take()
        {
            reading.lose((messages > 0).then_some(messages), reason);
        }
        match opcode {
            op::CHUNK => {
                let mut messages = Vec::new();
                if let Err(error) = unpack(data, &mut channels, &mut messages) {
                    broken = Some((format!("a broken chunk: {error}"), 0));
                }
                messages.sort_by_key(|message| message.time_ns);
                for message in messages {
                    channels.deliver(reading, &message)?;
                }
            }
            op::MESSAGE_INDEX => {
                if let (Some((_, messages)), Ok(Record::MessageIndex(index))) =
                    (&mut broken, mcap::parse_record(opcode, data))
                {
                    *messages += index.records.len() as u64;
                }
            }
            op::FOOTER => is_finished = true,
            _ => match mcap::parse_record(opcode, data) {
                Ok(record) => {
                    if let Some(message) = channels.take_in(record) {
                        channels.deliver(reading, &message)?;
                    }
                }
                Err(error) => reading.lose(None, format!("a record that is none: {error}")),
            },
        }
    }
    if let Some((reason, messages)) = broken {
        reading.lose((messages > 0).then_some(messages), reason);
    }
    if !is_finished {
        reading.lose(
            None,
            "the file was not finished: what comes after its end is not known".to_owned(),
        );
    }
    Ok(())
}

/// The messages of a chunk; those before the place where it is broken, too.
fn unpack(chunk: &[u8], channels: &mut Channels, messages: &mut Vec<Waiting>) -> Result<(), McapError> {
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
                let length = needed.min(left);
                if length == 0 {
                    break;
                }
                record.read_exact(reader.insert(length))?;
                reader.notify_read(length);
                left -= length;
            }
            LinearReadEvent::Record { opcode, data } => {
                messages.extend(channels.take_in(mcap::parse_record(opcode, data)?));
            }
        }
    }
    Ok(())
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

    fn deliver(&self, reading: &mut Reading, message: &Waiting) -> Result<(), BagError> {
        match self.topics.get(&message.channel) {
            Some(topic) => reading.deliver(topic, message.time_ns, &message.data),
            None => {
                reading.lose(
                    Some(1),
                    format!("a message of the unknown channel {}", message.channel),
                );
                Ok(())
            }
        }
    }
}
