//! Receives the messages and losses of one file, for the readers of both file formats.

use std::path::Path;

use super::{BagError, DataLoss, Message, OnMessage, Topic, zstd};
use crate::frame::MAX_SIDE_PX;

/// Maximum length of a record or message, bytes: a 16-bit RGBA image with the maximum sides, and its header.
pub(super) const MAX_MESSAGE_BYTES: u64 = 8 * (MAX_SIDE_PX as u64) * (MAX_SIDE_PX as u64) + (1 << 20);
/// Maximum number of different losses recorded; further ones are merged.
const MAX_LOSSES: usize = 200;

/// Forwards the selected messages of a file to the callback and records what could not be read.
pub(super) struct MessageSink<'a, 'b> {
    /// The file of the bag, for losses.
    pub(super) file: &'a Path,
    /// Fills in what the file does not say about a topic.
    pub(super) complete: &'a dyn Fn(Topic) -> Topic,
    pub(super) is_selected: &'a dyn Fn(&Topic) -> bool,
    pub(super) losses: &'a mut Vec<DataLoss>,
    pub(super) on_message: &'a mut OnMessage<'b>,
}

impl MessageSink<'_, '_> {
    /// Decompresses a message if necessary and calls `on_message`, if the topic is selected.
    pub(super) fn deliver(&mut self, topic: &Topic, time_ns: i64, data: &[u8]) -> Result<(), BagError> {
        if !(self.is_selected)(topic) {
            return Ok(());
        }
        let decompressed;
        let mut data = data;
        // With compression_mode MESSAGE rosbag2 compresses each message. Uncompressed CDR begins with 0, never with zstd's magic number.
        if data.starts_with(&zstd::MAGIC) {
            match zstd::decompress(data, MAX_MESSAGE_BYTES) {
                Ok(bytes) => {
                    decompressed = bytes;
                    data = &decompressed;
                }
                Err(error) => {
                    let reason = format!("cannot decompress messages on {topic}: {error}");
                    self.record_loss(Some(1), reason);
                    return Ok(());
                }
            }
        }
        (self.on_message)(Message { topic, time_ns, data }).map_err(BagError::Stopped)
    }

    /// Records a loss, or adds it to the one with the same file and reason.
    pub(super) fn record_loss(&mut self, messages: Option<u64>, reason: String) {
        let file = self.file.display().to_string();
        let is_full = self.losses.len() >= MAX_LOSSES;
        let same = |loss: &&mut DataLoss| loss.reason == reason && loss.file == file;
        if let Some(same) = self.losses.iter_mut().find(same) {
            same.messages = same.messages.zip(messages).map(|(before, more)| before + more);
        } else if is_full {
            let reason = "further losses for other reasons".to_owned();
            if self.losses.last().is_none_or(|last| last.reason != reason) {
                self.losses.push(DataLoss {
                    file,
                    messages: None,
                    reason,
                });
            }
        } else {
            self.losses.push(DataLoss {
                file,
                messages,
                reason,
            });
        }
    }
}
