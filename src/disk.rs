//! How this package writes: files that appear whole or not at all, under names that sort by time.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Less what the umask takes away; a temporary file would else be its owner's alone.
const MODE: u32 = 0o666;

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It gives way.
    Replace,
    /// It stays, and writing fails.
    Keep,
}

/// Writes a file under a hidden temporary name beside it, brings it to the disk, and only then gives it its name.
///
/// # Errors
/// What `write` or the file system says, such as a full disk; then there is no new file.
pub fn write_whole(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
    let mut writer = BufWriter::new(file.as_file_mut());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    match existing {
        Existing::Replace => file.persist(path)?,
        Existing::Keep => file.persist_noclobber(path)?,
    };
    Ok(())
}

/// Writes a file whose long runs of zeros take no room on the disk and no time to bring there.
///
/// # Errors
/// What the file system says, such as a full disk.
pub fn write_sparse(path: &Path, bytes: &[u8]) -> io::Result<()> {
    const BLOCK: usize = 1 << 16;
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    let mut file = File::create(path)?;
    for block in bytes.chunks(BLOCK) {
        match *block == ZEROS[..block.len()] {
            true => drop(file.seek_relative(block.len() as i64)?),
            false => file.write_all(block)?,
        }
    }
    file.set_len(bytes.len() as u64)
}

/// A time as part of a file's name, such as `20260304T050607.089Z`: UTC, to the millisecond.
pub fn time_in_name(time: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:3]Z");
    time.to_offset(UtcOffset::UTC)
        .format(&format)
        .expect("a date has these parts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_with_holes_is_read_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        for (length, value) in [(0, 0), (10, 1), (200_000, 0)] {
            let mut bytes = vec![0; length];
            bytes.extend([value, 7]);
            bytes.resize(length * 2, 0);
            write_sparse(&path, &bytes).expect("writes");
            assert_eq!(std::fs::read(&path).expect("reads"), bytes);
        }
    }
}
