//! One file of a bag: detects its format, decompresses files and messages, and delivers the selected messages.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::{BagError, DataLoss, Message, OnMessage, Topic, mcap, sqlite, zstd};
use crate::frame::MAX_SIDE_PX;

/// The limit for the length of a record or message in bytes: a 16-bit RGBA image with the maximum sides, and its header.
pub(super) const MAX_MESSAGE_BYTES: u64 = 8 * (MAX_SIDE_PX as u64) * (MAX_SIDE_PX as u64) + (1 << 20);
/// The limit for the size of a decompressed file, as a multiple of its compressed size. A higher ratio indicates a decompression bomb.
const MAX_FILE_EXPANSION: u64 = 1000;
/// The limit for the number of different losses recorded.
const MAX_LOSSES: usize = 1000;
/// How many of the latest losses a new one is compared with, to merge equal ones.
const MERGED_LOSSES: usize = 8;
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
const MCAP_MAGIC: &[u8] = b"\x89MCAP0\r\n";
/// The length of the longest magic number, bytes.
const MAX_MAGIC_LEN: u64 = SQLITE_MAGIC.len() as u64;

/// Reads one file of a bag.
pub(super) struct FileReader<'a, 'b> {
    pub(super) file: &'a Path,
    pub(super) is_selected: &'a dyn Fn(&Topic) -> bool,
    pub(super) losses: &'a mut Vec<DataLoss>,
    pub(super) on_message: &'a mut OnMessage<'b>,
}

enum FileFormat {
    Mcap,
    Sqlite,
    /// An MCAP or SQLite3 file that was compressed as a whole.
    Zstd,
    Unknown,
}

impl FileReader<'_, '_> {
    pub(super) fn read(&mut self) -> Result<(), BagError> {
        let file = self.file;
        let io_error = |cause| BagError::Io {
            path: file.to_owned(),
            cause,
        };
        match detect_format(file).map_err(io_error)? {
            FileFormat::Zstd => {
                let decompressed = self.decompress().map_err(io_error)?;
                let format = detect_format(decompressed.path()).map_err(io_error)?;
                self.read_uncompressed(&format, decompressed.path())
            }
            format => self.read_uncompressed(&format, file),
        }
    }

    fn read_uncompressed(&mut self, format: &FileFormat, file: &Path) -> Result<(), BagError> {
        match format {
            FileFormat::Mcap => mcap::read(self, file),
            FileFormat::Sqlite => sqlite::read(self, file),
            FileFormat::Zstd | FileFormat::Unknown => Err(BagError::NotABag(self.file.to_owned())),
        }
    }

    /// Decompresses the file into a temporary one, as far as possible. Only errors of the file system are returned; damage is recorded
    /// as a loss.
    fn decompress(&mut self) -> std::io::Result<tempfile::NamedTempFile> {
        let mut decompressed = tempfile::NamedTempFile::new()?;
        let file = File::open(self.file)?;
        let mut bytes_left = file.metadata()?.len().saturating_mul(MAX_FILE_EXPANSION);
        let mut decoder = zstd::decoder(file)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) if length as u64 > bytes_left => {
                    let reason = format!(
                        "decompresses to more than {MAX_FILE_EXPANSION} times its size; the rest is ignored"
                    );
                    self.record_loss(None, reason);
                    break;
                }
                Ok(length) => {
                    decompressed.write_all(&buffer[..length])?;
                    bytes_left -= length as u64;
                }
                Err(error) => {
                    self.record_loss(None, format!("cannot be decompressed to its end: {error}"));
                    break;
                }
            }
        }
        decompressed.flush()?;
        Ok(decompressed)
    }

    /// Calls `on_message` if the topic is selected.
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

fn detect_format(file: &Path) -> std::io::Result<FileFormat> {
    let mut head = Vec::new();
    File::open(file)?.take(MAX_MAGIC_LEN).read_to_end(&mut head)?;
    Ok(if head.starts_with(MCAP_MAGIC) {
        FileFormat::Mcap
    } else if head.starts_with(SQLITE_MAGIC) {
        FileFormat::Sqlite
    } else if head.starts_with(&zstd::MAGIC) {
        FileFormat::Zstd
    } else {
        FileFormat::Unknown
    })
}
