//! Reads one file of a bag: detects its format and decompresses it if it was compressed as a whole.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::sink::MessageSink;
use super::{BagError, mcap, sqlite, zstd};

/// Maximum size of a decompressed file, as a multiple of its compressed size. A higher ratio indicates a decompression bomb.
const MAX_FILE_EXPANSION: u64 = 1000;
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
const MCAP_MAGIC: &[u8] = b"\x89MCAP0\r\n";
/// Length of the longest magic number, bytes.
const MAX_MAGIC_LEN: u64 = SQLITE_MAGIC.len() as u64;

enum FileFormat {
    Mcap,
    Sqlite,
    /// An MCAP or SQLite3 file that was compressed as a whole.
    Zstd,
    Unknown,
}

/// Delivers the messages of the sink's file. Damage is recorded as a loss and is not an error.
///
/// # Errors
/// The file cannot be read or is not a bag file, or the callback failed.
pub(super) fn read(sink: &mut MessageSink) -> Result<(), BagError> {
    let file = sink.file;
    let io_error = |cause| BagError::Io {
        path: file.to_owned(),
        cause,
    };
    match detect_format(file).map_err(io_error)? {
        FileFormat::Zstd => {
            let decompressed = decompress(sink).map_err(io_error)?;
            let format = detect_format(decompressed.path()).map_err(io_error)?;
            read_uncompressed(sink, &format, decompressed.path())
        }
        format => read_uncompressed(sink, &format, file),
    }
}

fn read_uncompressed(sink: &mut MessageSink, format: &FileFormat, file: &Path) -> Result<(), BagError> {
    match format {
        FileFormat::Mcap => mcap::read(sink, file),
        FileFormat::Sqlite => sqlite::read(sink, file),
        FileFormat::Zstd | FileFormat::Unknown => Err(BagError::NotABag(sink.file.to_owned())),
    }
}

/// Decompresses the sink's file into a temporary file, as far as possible. Damage is recorded as a loss and is not an error.
fn decompress(sink: &mut MessageSink) -> std::io::Result<tempfile::NamedTempFile> {
    let mut decompressed = tempfile::NamedTempFile::new()?;
    let file = File::open(sink.file)?;
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
                sink.record_loss(None, reason);
                break;
            }
            Ok(length) => {
                decompressed.write_all(&buffer[..length])?;
                bytes_left -= length as u64;
            }
            Err(error) => {
                sink.record_loss(None, format!("cannot be decompressed to its end: {error}"));
                break;
            }
        }
    }
    decompressed.flush()?;
    Ok(decompressed)
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
