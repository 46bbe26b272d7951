//! What the frozen layers made of each frame, kept on disk: a training after twenty more frames computes twenty.
//!
//! ```text
//! <store>/features/<key>/<sha256 of the file>    the frame's look, its features and those of its copies, a checksum
//! ```
//! The key stands for all that the features depend on beside the file. What is damaged or missing is computed anew, so nothing
//! here is worth a sync, and the directory may be deleted at any time.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::dataset::fingerprint::Thumbnail;
use crate::disk::{self, WRITING_PREFIX};

/// The most that all of it may take; the oldest goes first.
const MOST_BYTES: u64 = 2 << 30;
/// On a disk with less room than this nothing more is kept: the model that is to come needs some, and so do others.
const LEAST_FREE_BYTES: u64 = 512 << 20;
const DIRECTORY: &str = "features";
const CHECKSUM_BYTES: usize = 32;

/// The features that one key stands for.
pub struct FeatureCache {
    directory: PathBuf,
    row_bytes: usize,
}

/// What is kept of a frame.
pub struct Entry {
    /// Its look.
    pub thumbnail: Thumbnail,
    /// The features of the frame, and behind them those of its copies.
    pub rows: Vec<f32>,
}

impl FeatureCache {
    /// The features in a store whose `key` is this one, of so many values a row.
    pub fn open(store: &Path, key: &str, row_values: usize) -> FeatureCache {
        FeatureCache {
            directory: store.join(DIRECTORY).join(key),
            row_bytes: row_values * size_of::<f32>(),
        }
    }

    /// The entry of a file, with its first `rows` rows; none where there is no whole one with so many.
    pub fn read(&self, sha256: &[u8; 32], rows: usize) -> Option<Entry> {
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

    /// Keeps the entry of a file.
    ///
    /// # Errors
    /// A disk that is almost full, and what the file system says: the training can go on without.
    pub fn write(&self, sha256: &[u8; 32], entry: &Entry) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let disk = rustix::fs::statvfs(&self.directory)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_FREE_BYTES {
            let free = format!("less than {} MB are free on the disk", LEAST_FREE_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::StorageFull, free));
        }
        let mut content = entry.thumbnail.levels.to_vec();
        content.extend_from_slice(bytemuck::cast_slice(&entry.rows));
        let checksum = Sha256::digest(&content);
        let mut file = tempfile::Builder::new()
            .prefix(&disk::own_prefix(WRITING_PREFIX))
            .tempfile_in(&self.directory)?;
        file.write_all(&content)?;
        file.write_all(&checksum)?;
        file.persist(self.path(sha256))?;
        Ok(())
    }

    fn path(&self, sha256: &[u8; 32]) -> PathBuf {
        self.directory.join(disk::hex(sha256))
    }
}

/// Deletes the oldest, until the rest takes no more than two gigabytes.
///
/// # Errors
/// What the file system says.
pub fn trim(store: &Path) -> io::Result<()> {
    trim_to(&store.join(DIRECTORY), MOST_BYTES)
}

fn trim_to(directory: &Path, most_bytes: u64) -> io::Result<()> {
    let mut files = files_by_age(directory)?;
    let mut bytes: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
    while bytes > most_bytes {
        let Some((_, path, length)) = files.pop() else {
            break;
        };
        fs::remove_file(path)?;
        bytes -= length;
    }
    Ok(())
}

/// Every file with its last use and its length, the oldest last.
fn files_by_age(directory: &Path) -> io::Result<Vec<(SystemTime, PathBuf, u64)>> {
    let mut files = Vec::new();
    if !directory.exists() {
        return Ok(files);
    }
    for key in fs::read_dir(directory)? {
        let key = key?.path();
        disk::remove_leftovers(&key, WRITING_PREFIX)?;
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
    fn what_was_kept_is_found_also_in_part_and_no_more_than_there_is() {
        let store = tempfile::tempdir().expect("a directory");
        let cache = FeatureCache::open(store.path(), "key", 2);
        assert!(cache.read(&FILE, 1).is_none());
        cache.write(&FILE, &entry()).expect("writes");
        assert_eq!(cache.read(&FILE, 3).expect("is there").rows, entry().rows);
        let one = cache.read(&FILE, 1).expect("is there");
        assert_eq!(one.rows, [1.0, 2.0]);
        assert_eq!(one.thumbnail, entry().thumbnail);
        assert!(cache.read(&FILE, 4).is_none());
    }

    #[test]
    fn what_is_damaged_is_not_there() {
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
    fn the_oldest_goes_first() {
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
        trim_to(&store.path().join(DIRECTORY), 400).expect("trims");
        assert!(cache.read(&[1; 32], 1).is_none());
        assert!(cache.read(&[2; 32], 1).is_some());
    }
}
