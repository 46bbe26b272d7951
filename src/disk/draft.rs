//! Temporary files and directories, and removal of those that killed processes left.
//!
//! The process that fills one holds a lock (`flock`) on it, which ends with the process. Unlike a process id, it is valid in all containers
//! that share a file system.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{NamedTempFile, TempDir};

use super::access::{PRIVATE, file_mode, mode_of};
use super::parent;

/// Prefix of the name of a file or directory that is being written, also in directories that other programs use.
pub(crate) const WRITING_PREFIX: &str = ".thumb_gesture-writing-";

/// Those who hold a lock for long have been stopped: they rename, delete or write small files meanwhile.
const MAX_LOCK_WAIT: Duration = Duration::from_secs(30);
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// A directory that is being filled, and that [`sweep`] leaves alone. Removed on drop unless it is published.
pub(crate) struct DraftDirectory {
    // Dropped first, so that the directory is removed while it is locked.
    directory: TempDir,
    _lock: File,
}

impl DraftDirectory {
    /// Creates a directory whose name begins with `prefix`, with the permissions of `parent`.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub(crate) fn create(parent: &Path, prefix: &str) -> io::Result<DraftDirectory> {
        DraftDirectory::create_with(parent, prefix, mode_of(parent)?)
    }

    fn create_with(parent: &Path, prefix: &str, mode: u32) -> io::Result<DraftDirectory> {
        loop {
            let directory = tempfile::Builder::new()
                .prefix(prefix)
                .permissions(Permissions::from_mode(mode))
                .tempdir_in(parent)?;
            match lock_directory(directory.path()) {
                Ok(lock) if directory.path().exists() => {
                    return Ok(DraftDirectory {
                        directory,
                        _lock: lock,
                    });
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // Another process removed it before it was locked.
                _ => {}
            }
        }
    }

    /// Creates a directory next to the path that it is published as, and removes those that killed processes left there.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub(crate) fn beside(path: &Path) -> io::Result<DraftDirectory> {
        sweep(parent(path), WRITING_PREFIX);
        DraftDirectory::create(parent(path), WRITING_PREFIX)
    }

    /// As [`DraftDirectory::beside`], for what shows people: only the owner may use the directory.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub(crate) fn private_beside(path: &Path) -> io::Result<DraftDirectory> {
        sweep(parent(path), WRITING_PREFIX);
        DraftDirectory::create_with(parent(path), WRITING_PREFIX, PRIVATE)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Renames the directory.
    ///
    /// # Errors
    /// The file system reported an error, for example because `path` is a directory with files. The draft is removed then.
    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        fs::rename(self.path(), path)?;
        // Disarms the guard, which would delete the old path.
        drop(self.directory.keep());
        Ok(())
    }
}

/// Creates a file that is being written, and that [`sweep`] leaves alone. Removed on drop unless it is persisted.
///
/// # Errors
/// The file cannot be created.
pub(crate) fn draft_file(directory: &Path) -> io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new()
            .prefix(WRITING_PREFIX)
            .permissions(Permissions::from_mode(file_mode(directory)?))
            .tempfile_in(directory)?;
        lock(file.as_file(), MAX_LOCK_WAIT)?;
        // Otherwise another process removed it before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Waits for the lock of a directory, and holds it until the file is dropped.
///
/// # Errors
/// The directory cannot be opened, or another process, which may have been stopped, holds the lock for [`MAX_LOCK_WAIT`].
pub(crate) fn lock_directory(directory: &Path) -> io::Result<File> {
    let file = File::open(directory)?;
    lock(&file, MAX_LOCK_WAIT)?;
    Ok(file)
}

/// A file system without locks is no error: only other processes at the same time are a risk there, and [`sweep`] removes nothing.
fn lock(file: &File, max_wait: Duration) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if start.elapsed() >= max_wait => {
                let message = format!("another process has kept it locked for {max_wait:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_INTERVAL),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => {
                tracing::debug!("the file system does not support locks: {error}");
                return Ok(());
            }
        }
    }
}

/// Removes the files and directories whose names begin with `prefix` and that no process has locked. What cannot be removed is a warning,
/// because it is in nobody's way; other processes may do the same at the same time.
pub(crate) fn sweep(directory: &Path, prefix: &str) {
    for path in drafts(directory, prefix) {
        match remove_unlocked(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => tracing::warn!(
                "cannot delete {}, which an interrupted command may have left: {error}",
                path.display()
            ),
            _ => {}
        }
    }
}

/// The files and directories that [`sweep`] would remove.
pub(crate) fn abandoned(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut paths = drafts(directory, prefix);
    paths.retain(|path| matches!(lock_abandoned(path), Ok(Some(_))));
    paths
}

fn drafts(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_draft = |entry: &fs::DirEntry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(prefix.as_bytes())
    };
    entries.filter(is_draft).map(|entry| entry.path()).collect()
}

fn remove_unlocked(path: &Path) -> io::Result<()> {
    match lock_abandoned(path)? {
        Some(_lock) if path.is_dir() => fs::remove_dir_all(path),
        Some(_lock) => fs::remove_file(path),
        None => Ok(()),
    }
}

/// Locks a file or directory that nobody writes; `None` if somebody does, or if it is something else.
fn lock_abandoned(path: &Path) -> io::Result<Option<File>> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if !kind.is_dir() && !kind.is_file() {
        return Ok(None);
    }
    // NFS locks a file only if it is open for writing.
    let file = match File::options().read(true).write(kind.is_file()).open(path) {
        // Another user writes it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        opened => opened?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_writes_is_swept() {
        let root = tempfile::tempdir().expect("a directory");
        let path = |name: &str| root.path().join(name);
        let file = draft_file(root.path()).expect("creates");
        let directory = DraftDirectory::create(root.path(), WRITING_PREFIX).expect("creates");
        fs::write(directory.path().join("part"), b"x").expect("writes");
        let left: [PathBuf; 2] =
            ["left", "directory"].map(|name| root.path().join(format!("{WRITING_PREFIX}{name}")));
        fs::write(&left[0], b"x").expect("writes");
        fs::create_dir_all(left[1].join("below")).expect("creates");
        fs::write(path("frame.jpg"), b"x").expect("writes");

        let mut abandoned = abandoned(root.path(), WRITING_PREFIX);
        abandoned.sort();
        assert_eq!(abandoned, [left[1].clone(), left[0].clone()]);
        sweep(root.path(), WRITING_PREFIX);
        assert!(left.iter().all(|path| !path.exists()));
        assert!(file.path().exists() && directory.path().join("part").exists());
        assert!(path("frame.jpg").exists());
        sweep(&path("missing"), WRITING_PREFIX);
    }

    #[test]
    fn lock_is_waited_for_and_not_for_ever() {
        let root = tempfile::tempdir().expect("a directory");
        let held = lock_directory(root.path()).expect("locks");
        let other = File::open(root.path()).expect("opens");
        let error = lock(&other, Duration::from_millis(20)).expect_err("it is locked");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let waiting = thread::spawn(move || lock(&other, MAX_LOCK_WAIT));
        drop(held);
        waiting.join().expect("no panic").expect("locks");
    }

    #[test]
    fn directory_is_published_whole_or_removed() {
        let root = tempfile::tempdir().expect("a directory");
        let target = root.path().join("target");
        drop(DraftDirectory::beside(&target).expect("creates"));
        let draft = DraftDirectory::beside(&target).expect("creates");
        fs::write(draft.path().join("file"), b"x").expect("writes");
        draft.publish(&target).expect("publishes");
        let second = DraftDirectory::beside(&target).expect("creates");
        second
            .publish(&target)
            .expect_err("there is a directory with files");
        let names: Vec<_> = fs::read_dir(root.path())
            .expect("reads")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["target"]);
    }

    /// Sweeps while drafts are created and published, as many processes that start at once do.
    #[test]
    fn drafts_are_complete_although_others_sweep_all_the_time() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        let write = |writer: usize| {
            for number in 0..100 {
                let name = format!("{writer}-{number}");
                let draft = DraftDirectory::create(root, WRITING_PREFIX).expect("creates");
                fs::write(draft.path().join("file"), b"x").expect("the draft is still there");
                draft.publish(&root.join(&name)).expect("publishes");
                let file = draft_file(root).expect("creates");
                file.persist(root.join(name + ".jpg"))
                    .expect("the file is still there");
            }
        };
        std::thread::scope(|scope| {
            let writers = [0, 1, 2, 3].map(|writer| scope.spawn(move || write(writer)));
            while !writers.iter().all(|writer| writer.is_finished()) {
                sweep(root, WRITING_PREFIX);
            }
        });
        assert_eq!(fs::read_dir(root).expect("reads").count(), 800);
    }
}
