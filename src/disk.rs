//! How this package writes: files that appear whole or not at all, under names that sort by time.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Less what the umask takes away; a temporary file would else be its owner's alone.
const MODE: u32 = 0o666;

/// What a file's name begins with while it is written; behind it stands the id of the process that writes.
pub const WRITING_PREFIX: &str = ".writing-";

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
        .prefix(&own(WRITING_PREFIX))
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

/// A prefix with the id of this process.
pub fn own(prefix: &str) -> String {
    format!("{prefix}{}-", std::process::id())
}

/// Removes what processes that were killed left in a directory under names that begin with [`own`] of this prefix. A directory that is
/// not there holds nothing.
///
/// # Errors
/// What the file system says.
pub fn sweep(directory: &Path, prefix: &str) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix)?.split('-').next());
        if process.is_none_or(|process| Path::new("/proc").join(process).exists()) {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Bytes as a file's name or a manifest has them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A directory's name for what is given by some texts and bytes: another one gives another name.
pub fn key(parts: &[&[u8]]) -> String {
    const KEY_BYTES: usize = 16;
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize()[..KEY_BYTES])
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
    fn what_the_dead_left_is_swept_and_what_the_living_write_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        // Linux gives no process a number as high.
        let left = path(".writing-4194305-abc");
        let own = path(&format!("{}abc", own(WRITING_PREFIX)));
        for file in [&left, &own, &path("frame.jpg")] {
            fs::write(file, b"x").expect("writes");
        }
        sweep(directory.path(), WRITING_PREFIX).expect("sweeps");
        assert!(!left.exists() && own.exists() && path("frame.jpg").exists());
        sweep(&path("nowhere"), WRITING_PREFIX).expect("nothing to sweep");
    }

    #[test]
    fn keys_tell_their_parts_apart() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_eq!(key(&[b"ab"]).len(), 32);
    }
}
