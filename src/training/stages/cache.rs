//! On-disk cache of the features that the frozen layers compute, so that a training computes only those of new frames.
//!
//! ```text
//! <store>/features/<key>/<sha256 of the file>    thumbnail, features of the frame and of its augmented copies, checksum
//! ```
//! The key is a hash of everything but the file that the features depend on. Damaged and missing entries are computed again:
//! files are not synced, and the directory may be deleted at any time.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::dataset::fingerprint::Thumbnail;
use crate::disk::{self, WRITING_PREFIX, draft_file};
use crate::training::CACHE_DIRECTORY;

/// Size to which [`trim`] reduces the cache.
const MAX_BYTES: u64 = 2 << 30;
/// Nothing is cached on a disk with less free space, which is left to the model and to other programs.
const MIN_FREE_BYTES: u64 = 512 << 20;
const CHECKSUM_BYTES: usize = 32;

/// The entries of one key.
pub(super) struct FeatureCache {
    directory: PathBuf,
    row_bytes: usize,
}

/// The entry of one file.
pub(super) struct Entry {
    pub(super) thumbnail: Thumbnail,
    /// The features of the frame, followed by those of its copies.
    pub(super) rows: Vec<f32>,
}

impl FeatureCache {
    /// The entries of `key` in a store; the features of a frame or copy are `row_values` numbers.
    pub(super) fn open(store: &Path, key: &str, row_values: usize) -> FeatureCache {
        FeatureCache {
            directory: store.join(CACHE_DIRECTORY).join(key),
            row_bytes: row_values * size_of::<f32>(),
        }
    }

    /// The entry of a file with its first `rows` rows; `None` if it is missing, damaged or has fewer rows.
    pub(super) fn read(&self, sha256: &[u8; 32], rows: usize) -> Option<Entry> {
        let bytes = fs::read(self.path(sha256)).ok()?;
        let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
        if Sha256::digest(content).as_slice() != checksum {
            return None;
        }
        let (levels, values) = content.split_first_chunk()?;
        let values = values.get(..rows * self.row_bytes)?;
        Some(Entry {
            thumbnail: Thumbnail { levels: *levels },
            rows: bytemuck::pod_collect_to_vec(values),
        })
    }

    /// Stores the entry of a file.
    ///
    /// # Errors
    /// The disk is almost full or the file cannot be written; the training does not depend on it.
    pub(super) fn write(&self, sha256: &[u8; 32], entry: &Entry) -> io::Result<()> {
        disk::create_directory_inside(&self.directory)?;
        let disk = rustix::fs::statvfs(&self.directory)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < MIN_FREE_BYTES {
            let message = format!("less than {} MB are free on the disk", MIN_FREE_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::StorageFull, message));
        }
        let mut content = entry.thumbnail.levels.to_vec();
        content.extend_from_slice(bytemuck::cast_slice(&entry.rows));
        let checksum = Sha256::digest(&content);
        let mut file = draft_file(&self.directory)?;
        file.write_all(&content)?;
        file.write_all(&checksum)?;
        file.persist(self.path(sha256))?;
        Ok(())
    }

    fn path(&self, sha256: &[u8; 32]) -> PathBuf {
        self.directory.join(disk::hex(sha256))
    }
}

/// Deletes the least recently written entries of a store until the cache takes at most 2 GiB.
///
/// # Errors
/// A directory cannot be read or a file cannot be deleted.
pub(super) fn trim(store: &Path) -> io::Result<()> {
    trim_to(&store.join(CACHE_DIRECTORY), MAX_BYTES)
}

fn trim_to(directory: &Path, max_bytes: u64) -> io::Result<()> {
    let mut files = files_by_age(directory)?;
    let mut bytes: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
    while bytes > max_bytes {
        let Some((_, path, length)) = files.pop() else {
            break;
        };
        fs::remove_file(path)?;
        bytes -= length;
    }
    Ok(())
}

/// Every file with its modification time and length, the oldest last.
fn files_by_age(directory: &Path) -> io::Result<Vec<(SystemTime, PathBuf, u64)>> {
    let mut files = Vec::new();
    if !directory.exists() {
        return Ok(files);
    }
    for key in fs::read_dir(directory)? {
        let key = key?.path();
        disk::sweep(&key, WRITING_PREFIX);
        for file in fs::read_dir(key)? {
            let file = file?;
            let metadata = file.metadata()?;
            files.push((metadata.modified()?, file.path(), metadata.len()));
        }
    }
    files.sort_by(|a, b| b.cmp(a));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: [u8; 32] = [7; 32];

    fn entry() -> Entry {
        Entry {
            thumbnail: Thumbnail { levels: [9; 256] },
            rows: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }
    }

    #[test]
    fn entry_is_read_whole_or_in_part_but_not_beyond_its_rows() {
        let store = tempfile::tempdir().expect("a directory");
        let cache = FeatureCache::open(store.path(), "key", 2);
        assert!(cache.read(&FILE, 1).is_none());
        cache.write(&FILE, &entry()).expect("writes");
        assert_eq!(cache.read(&FILE, 3).expect("an entry").rows, entry().rows);
        let one = cache.read(&FILE, 1).expect("an entry");
        assert_eq!(one.rows, [1.0, 2.0]);
        assert_eq!(one.thumbnail, entry().thumbnail);
        assert!(cache.read(&FILE, 4).is_none());
    }

    #[test]
    fn damaged_entry_is_ignored() {
        let store = tempfile::tempdir().expect("a directory");
        let cache = FeatureCache::open(store.path(), "key", 2);
        cache.write(&FILE, &entry()).expect("writes");
        let path = cache.path(&FILE);
        let whole = fs::read(&path).expect("reads");
        for kept in [0, 10, 300, whole.len() - 1] {
            fs::write(&path, &whole[..kept]).expect("writes");
            assert!(cache.read(&FILE, 1).is_none(), "{kept} bytes");
        }
        let mut changed = whole.clone();
        changed[270] ^= 1;
        fs::write(&path, changed).expect("writes");
        assert!(cache.read(&FILE, 1).is_none());
    }

    #[test]
    fn trim_deletes_the_oldest_entry() {
        let store = tempfile::tempdir().expect("a directory");
        let cache = FeatureCache::open(store.path(), "key", 2);
        for (file, age_secs) in [([1; 32], 20), ([2; 32], 10)] {
            cache.write(&file, &entry()).expect("writes");
            let time = SystemTime::now() - std::time::Duration::from_secs(age_secs);
            let opened = fs::File::options()
                .write(true)
                .open(cache.path(&file))
                .expect("opens");
            opened.set_modified(time).expect("sets");
        }
        trim_to(&store.path().join(CACHE_DIRECTORY), 400).expect("trims");
        assert!(cache.read(&[1; 32], 1).is_none());
        assert!(cache.read(&[2; 32], 1).is_some());
    }
}
