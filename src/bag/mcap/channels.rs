//! The schemas and channels of an MCAP file: which topic a message is on.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use mcap::records::{Record, op};

use super::super::sink::MessageSink;
use super::super::{BagError, MAX_NAME_BYTES, Topic};
use super::records::for_each_record;

/// The schemas and channels announced so far.
pub(super) struct Channels<'a> {
    file: &'a Path,
    /// Fills in what the file does not say about a topic.
    complete: &'a dyn Fn(Topic) -> Topic,
    /// Message types by schema id.
    schemas: HashMap<u16, String>,
    /// Topics by channel id.
    topics: HashMap<u16, Topic>,
    /// Whether [`Channels::complete_from_summary`] has scanned the whole file.
    are_complete: bool,
}

/// A message that waits for the end of its chunk.
pub(super) struct PendingMessage {
    channel: u16,
    pub(super) time_ns: i64,
    data: Vec<u8>,
}

impl<'a> Channels<'a> {
    pub(super) fn new(file: &'a Path, complete: &'a dyn Fn(Topic) -> Topic) -> Channels<'a> {
        Channels {
            file,
            complete,
            schemas: HashMap::new(),
            topics: HashMap::new(),
            are_complete: false,
        }
    }

    /// Stores a schema or channel; returns the message of a message record.
    pub(super) fn process(&mut self, record: Record) -> Option<PendingMessage> {
        match record {
            Record::Schema { header, .. } => {
                self.schemas.insert(header.id, short_name(header.name));
            }
            Record::Channel(channel) => {
                if channel.schema_id != 0 && !self.schemas.contains_key(&channel.schema_id) {
                    // A damaged chunk may have announced it. An error recurs where the file is read on.
                    self.complete_from_summary().ok();
                }
                // rosbag2 writes no schema if it does not find the message's definition.
                let message_type = self.schemas.get(&channel.schema_id).cloned();
                let topic = Topic {
                    name: short_name(channel.topic),
                    message_type: message_type.unwrap_or_default(),
                    encoding: short_name(channel.message_encoding),
                };
                self.topics.insert(channel.id, (self.complete)(topic));
            }
            Record::Message { header, data } => {
                let times = [header.log_time, header.publish_time];
                let time_ns = times.into_iter().find(|time_ns| *time_ns != 0);
                return Some(PendingMessage {
                    channel: header.channel_id,
                    time_ns: i64::try_from(time_ns.unwrap_or_default()).unwrap_or(i64::MAX),
                    data: data.into_owned(),
                });
            }
            _ => {}
        }
        None
    }

    /// Whether an unparsed message record is on a selected topic, or on an unknown one.
    pub(super) fn may_be_selected(&self, message: &[u8], sink: &MessageSink) -> bool {
        let channel = message.first_chunk().map(|id| u16::from_le_bytes(*id));
        let topic = channel.and_then(|channel| self.topics.get(&channel));
        topic.is_none_or(|topic| (sink.is_selected)(topic))
    }

    pub(super) fn deliver(
        &mut self,
        sink: &mut MessageSink,
        message: &PendingMessage,
    ) -> Result<(), BagError> {
        if !self.topics.contains_key(&message.channel) {
            // A damaged chunk may have announced it.
            self.complete_from_summary()?;
        }
        match self.topics.get(&message.channel) {
            Some(topic) => sink.deliver(topic, message.time_ns, &message.data),
            None => {
                let reason = format!("messages on the unknown channel {}", message.channel);
                sink.record_loss(Some(1), reason);
                Ok(())
            }
        }
    }

    /// Adds the schemas and channels that the file announces outside its chunks; a finished file repeats all of them in its summary. Only
    /// the first call scans the file.
    fn complete_from_summary(&mut self) -> Result<(), BagError> {
        if std::mem::replace(&mut self.are_complete, true) {
            return Ok(());
        }
        let mut found = Channels {
            are_complete: true,
            ..Channels::new(self.file, self.complete)
        };
        for_each_record(self.file, |record| {
            if matches!(record.opcode, op::SCHEMA | op::CHANNEL)
                && let Ok(record) = mcap::parse_record(record.opcode, record.data)
            {
                found.process(record);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for (id, name) in found.schemas {
            self.schemas.entry(id).or_insert(name);
        }
        for (id, topic) in found.topics {
            self.topics.entry(id).or_insert(topic);
        }
        Ok(())
    }
}

/// At most [`MAX_NAME_BYTES`] of a name.
fn short_name(mut name: String) -> String {
    name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
    name.shrink_to_fit();
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_name_is_cut_off_between_characters_and_takes_no_more_memory() {
        let name = short_name(format!("/{}", "é".repeat(1 << 20)));
        assert_eq!(name.len(), MAX_NAME_BYTES - 1);
        assert!(name.capacity() < 2 * MAX_NAME_BYTES);
        assert_eq!(short_name("/camera".to_owned()), "/camera");
    }
}
