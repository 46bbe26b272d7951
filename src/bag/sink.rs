//! Receives the messages and losses of one file, for the readers of both file formats.

use std::path::Path;

use super::{BagError, DataLoss, Message, OnMessage, Topic, zstd};
use crate::frame::MAX_SIDE_PX;

/// Maximum length of a record or message, bytes: a 16-bit RGBA image with the maximum sides, and its header.
pub(super) const MAX_MESSAGE_BYTES: u64 = 8 * (MAX_SIDE_PX as u64) * (MAX_SIDE_PX as u64) + (1 << 20);
/// Maximum number of different losses recorded.
const MAX_LOSSES: usize = 1000;
/// Number of latest losses that a new one is compared with, to merge equal ones.
const MERGED_LOSSES: usize = 8;

/// Forwards the selected messages of a file to the callback and records what could not be read.
pub(super) struct MessageSink<'a, 'b> {
    /// The file of the bag, for losses.
    pub(super) file: &'a Path,
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
                    let reason = format!("cannot decompress messages on {}: {error}", topic.name);
                    self.record_loss(Some(1), reason);
                    return Ok(());
                }
            }
        }
        (self.on_message)(Message { topic, time_ns, data }).map_err(BagError::Stopped)
    }

    /// Records a loss, or adds it to a recent one with the same file and reason.
    pub(super) fn record_loss(&mut self, messages: Option<u64>, reason: String) {
        let file = self.file.display().to_string();
        let mut recent = self.losses.iter_mut().rev().take(MERGED_LOSSES);
        if let Some(same) = recent.find(|loss| loss.reason == reason && loss.file == file) {
            same.messages = same.messages.zip(messages).map(|(before, more)| before + more);
        } else if self.losses.len() < MAX_LOSSES {
            self.losses.push(DataLoss {
                file,
                messages,
                reason,
            });
        }
    }
}
