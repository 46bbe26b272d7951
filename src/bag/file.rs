//! Reads one file of a bag: detects its format and decompresses it if it was compressed as a whole.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use super::sink::MessageSink;
use super::{BagError, mcap, sqlite, zstd};
use crate::file_kind::FileKind;

/// Maximum size of a decompressed file, as a multiple of its compressed size. A higher ratio indicates a decompression bomb.
const MAX_FILE_EXPANSION: u64 = 1000;
/// What a bag is.
pub(super) const EXPECTED: &str = "expected an MCAP or SQLite3 (.db3) file, or a directory with such files";

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
    match FileKind::of_file(file).map_err(io_error)? {
        // MCAP or SQLite3 that was compressed as a whole.
        FileKind::Zstd => {
            let decompressed = decompress(sink).map_err(io_error)?;
            let kind = FileKind::of_file(decompressed.path()).map_err(io_error)?;
            read_uncompressed(sink, kind, decompressed.path())
        }
        kind => read_uncompressed(sink, kind, file),
    }
}

fn read_uncompressed(sink: &mut MessageSink, kind: FileKind, file: &Path) -> Result<(), BagError> {
    match kind {
        FileKind::Mcap => mcap::read(sink, file),
        FileKind::Sqlite => sqlite::read(sink, file),
        FileKind::Unknown => Err(BagError::not_a_bag(sink.file, EXPECTED)),
        kind => {
            let reason = format!("it is {}; {}", kind.name(), fix(kind));
            Err(BagError::not_a_bag(sink.file, reason))
        }
    }
}

/// How to get a bag from a file that is something else.
pub(super) fn fix(kind: FileKind) -> &'static str {
    if let Some(fix) = kind.fix() {
        return fix;
    }
    match kind {
        FileKind::Ros1Bag => ROS1_FIX,
        kind if kind.is_image() => {
            "for images use `thumb_gesture evaluate` or `predict`; `thumb_gesture bag export` makes a bag of a dataset"
        }
        FileKind::Video => {
            "extract its frames as JPEG images, for example with ffmpeg, and use them as a dataset"
        }
        _ => EXPECTED,
    }
}

/// How to get a ROS 2 bag from a recording of ROS 1.
pub(super) const ROS1_FIX: &str = "convert the .bag file to ROS 2 with `rosbags-convert --src RECORDING.bag --dst DIRECTORY`, from `pip install rosbags`";

/// Decompresses the sink's file into a temporary file, as far as possible. Damage is recorded as a loss and is not an error.
fn decompress(sink: &mut MessageSink) -> io::Result<tempfile::NamedTempFile> {
    let in_temporary = |cause: io::Error| {
        let directory = std::env::temp_dir();
        let message = format!(
            "cannot decompress it to {}: {cause}; TMPDIR selects another directory",
            directory.display()
        );
        io::Error::new(cause.kind(), message)
    };
    let mut decompressed = tempfile::NamedTempFile::new().map_err(in_temporary)?;
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
                decompressed.write_all(&buffer[..length]).map_err(in_temporary)?;
                bytes_left -= length as u64;
            }
            Err(error) => {
                sink.record_loss(None, format!("cannot be decompressed to its end: {error}"));
                break;
            }
        }
    }
    Ok(decompressed)
}
