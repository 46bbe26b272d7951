//! Reading of regular files, atomic writes, temporary files and directories, and names for both.

mod access;
mod draft;

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

pub use access::create_private_directory;
pub(crate) use access::{create_directory_inside, create_file, write_file};
pub(crate) use draft::{DraftDirectory, WRITING_PREFIX, abandoned, draft_file, lock_directory, sweep};

/// Opens a regular file.
///
/// # Errors
/// The file cannot be opened, or is a directory, a pipe, a socket or a device, which could block or never end.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    let name = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let message = format!("it is {name}, not a file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Reads a regular file.
///
/// # Errors
/// As [`open_file`], or the file is longer than `max_bytes`.
pub fn read_file(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = open_file(path)?;
    let length = file.metadata()?.len();
    if length > max_bytes {
        let message = format!(
            "it has {} MB, at most {} MB are supported",
            length >> 20,
            max_bytes >> 20
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(max_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file atomically: to a hidden temporary file in the same directory, which is synced to disk and then renamed.
///
/// # Errors
/// `write` or the file system reported an error, for example because the disk is full. The temporary file is removed then.
pub(crate) fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    synced_draft(path, None, write)?.persist(path)?;
    Ok(())
}

/// Writes a file atomically unless it exists with the same content, as an interrupted command leaves it. Returns whether it was written.
///
/// # Errors
/// As [`write_atomic`], or the file exists with other content.
pub(crate) fn write_once(path: &Path, content: &[u8]) -> io::Result<bool> {
    let is_present = || read_file(path, content.len() as u64).is_ok_and(|present| present == content);
    if is_present() {
        return Ok(false);
    }
    match synced_draft(path, None, |writer| writer.write_all(content))?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        // Another process was faster.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists && is_present() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn synced_draft(
    path: &Path,
    permissions: Option<Permissions>,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let mut file = draft_file(parent(path))?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    let mut writer = BufWriter::new(file.as_file_mut());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    Ok(file)
}

/// Writes a file that the user named, atomically unless it is a link, a device or a pipe, such as /dev/stdout. Removes what killed
/// processes left next to it.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_output(path: &Path, content: &[u8]) -> io::Result<()> {
    write_output_with(path, None, |writer| writer.write_all(content))
}

/// As [`write_output`], for what shows people: only the owner may read the file, unless it exists with other permissions.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_private_output(path: &Path, content: &[u8]) -> io::Result<()> {
    let permissions =
        fs::symlink_metadata(path).map_or(Permissions::from_mode(0o600), |existing| existing.permissions());
    write_output_with(path, Some(permissions), |writer| writer.write_all(content))
}

/// As [`write_output`], with what `write` writes, and with these permissions instead of those of the directory.
///
/// # Errors
/// As [`write_atomic`].
pub(crate) fn write_output_with(
    path: &Path,
    permissions: Option<Permissions>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|existing| !existing.is_file()) {
        let mut file = BufWriter::new(File::create(path)?);
        write(&mut file)?;
        return file.flush();
    }
    sweep(parent(path), WRITING_PREFIX);
    synced_draft(path, permissions, |writer| write(writer))?.persist(path)?;
    Ok(())
}

/// The directory that a path is in, which is the current one if the path is only a name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A directory name derived from `parts`, with 128 bits of their SHA-256. Each part is hashed with its length, so that different splits of
/// the same bytes give different names.
pub(crate) fn hash_key(parts: &[&[u8]]) -> String {
    const KEY_BYTES: usize = 16;
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize()[..KEY_BYTES])
}

/// A UTC time with milliseconds for file names, such as `20260304T050607.089Z`, which sorts by time.
pub(crate) fn file_timestamp(time: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:3]Z");
    time.to_offset(UtcOffset::UTC)
        .format(&format)
        .expect("each time has these components")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_up_to_a_length_are_read() {
        let root = tempfile::tempdir().expect("a directory");
        let (file, pipe) = (root.path().join("file"), root.path().join("pipe"));
        fs::write(&file, vec![1; 3 << 20]).expect("writes");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .expect("creates");
        let error = |path: &Path| read_file(path, 2 << 20).expect_err("is rejected").to_string();
        assert!(error(root.path()).contains("a directory"));
        assert!(error(&pipe).contains("a pipe"));
        assert!(error(Path::new("/dev/zero")).contains("a device"));
        assert!(error(&file).contains("3 MB, at most 2 MB"), "{}", error(&file));
        assert_eq!(read_file(&file, 3 << 20).expect("reads").len(), 3 << 20);
    }

    #[test]
    fn key_depends_on_the_split_into_parts() {
        assert_ne!(hash_key(&[b"ab", b"c"]), hash_key(&[b"a", b"bc"]));
        assert_eq!(hash_key(&[b"ab"]).len(), 32);
    }
}
