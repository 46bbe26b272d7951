//! The records of an MCAP file, without unpacking chunks.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use mcap::records::op;

use super::super::BagError;
use super::super::sink::MAX_MESSAGE_BYTES;

/// Records that are needed; the others, such as attachments of any size and private records, are skipped.
const NEEDED: [u8; 7] = [
    op::SCHEMA,
    op::CHANNEL,
    op::MESSAGE,
    op::CHUNK,
    op::MESSAGE_INDEX,
    op::STATISTICS,
    op::FOOTER,
];

/// A record.
pub(super) struct RawRecord<'a> {
    pub(super) opcode: u8,
    /// The length that the record announces, bytes.
    pub(super) length: u64,
    /// The content, which is shorter than announced if the file ends before.
    pub(super) data: &'a [u8],
}

impl RawRecord<'_> {
    pub(super) fn is_whole(&self) -> bool {
        self.data.len() as u64 == self.length
    }
}

/// How reading the records of a file ended.
pub(super) struct End {
    /// Why the file cannot be read beyond a record.
    pub(super) damage: Option<String>,
    /// The number of bytes that were not read.
    pub(super) bytes_left: u64,
}

/// Calls `on_record` with each needed record of a file until it returns `Break`.
///
/// # Errors
/// The file cannot be read, or `on_record` failed.
pub(super) fn for_each_record(
    file: &Path,
    mut on_record: impl FnMut(RawRecord) -> Result<ControlFlow<()>, BagError>,
) -> Result<End, BagError> {
    let io_error = |cause| BagError::Io {
        path: file.to_owned(),
        cause,
    };
    let mut input = BufReader::new(File::open(file).map_err(io_error)?);
    let magic_bytes = mcap::MAGIC.len() as u64;
    let mut bytes_left = input.get_ref().metadata().map_err(io_error)?.len();
    bytes_left = bytes_left.saturating_sub(magic_bytes);
    input.seek(SeekFrom::Start(magic_bytes)).map_err(io_error)?;
    let mut head = [0; 9];
    let mut data = Vec::new();
    let mut damage = None;
    while bytes_left >= head.len() as u64 {
        input.read_exact(&mut head).map_err(io_error)?;
        bytes_left -= head.len() as u64;
        let [opcode, length @ ..] = head;
        let length = u64::from_le_bytes(length);
        // The length comes from the file: allocate at most the bytes that are left.
        let available = length.min(bytes_left);
        let is_needed = NEEDED.contains(&opcode);
        if opcode == 0 || is_needed && length > MAX_MESSAGE_BYTES && length <= bytes_left {
            damage = Some(format!("a record of type {opcode} with {length} bytes"));
            break;
        }
        bytes_left -= available;
        if !is_needed {
            // The position fits, because it is inside the file.
            input.seek_relative(available.cast_signed()).map_err(io_error)?;
            continue;
        }
        data.clear();
        (&mut input)
            .take(available)
            .read_to_end(&mut data)
            .map_err(io_error)?;
        let record = RawRecord {
            opcode,
            length,
            data: &data,
        };
        if on_record(record)?.is_break() {
            break;
        }
    }
    Ok(End { damage, bytes_left })
}
