//! Keeps the frames of a training readable while it runs, although they may be deleted, or moved to another label.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, linkat};

use crate::dataset;
use crate::disk::{DraftDirectory, WRITING_PREFIX};

/// Hard links to files of a dataset, in a hidden directory of it, which is removed on drop.
pub(super) struct Snapshot {
    /// `None` where nothing can be written.
    directory: Option<DraftDirectory>,
}

impl Snapshot {
    /// An empty snapshot. What a killed training has left in the dataset is removed.
    pub(super) fn new(dataset: &Path) -> Snapshot {
        dataset::sweep(dataset);
        Snapshot {
            directory: DraftDirectory::create(dataset, WRITING_PREFIX).ok(),
        }
    }

    /// A path at which the content of a file can be read until the snapshot is dropped; the file itself on a file system without hard links,
    /// or where nothing can be written. `number` differs for each file.
    pub(super) fn keep(&self, number: usize, file: &Path) -> PathBuf {
        let link = self.directory.as_ref().map(|directory| {
            let link = directory.path().join(number.to_string());
            // Of the file that a symbolic link leads to: a relative one would lead elsewhere from this directory.
            linkat(CWD, file, CWD, &link, AtFlags::SYMLINK_FOLLOW).map(|()| link)
        });
        match link {
            Some(Ok(link)) => link,
            _ => file.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn deleted_file_can_be_read_until_the_snapshot_is_dropped() {
        let root = tempfile::tempdir().expect("a directory");
        let file = root.path().join("frame.png");
        fs::write(&file, b"content").expect("writes");
        let snapshot = Snapshot::new(root.path());
        let kept = snapshot.keep(0, &file);
        fs::remove_file(&file).expect("deletes");
        assert_eq!(fs::read(&kept).expect("reads"), b"content");
        drop(snapshot);
        let left = fs::read_dir(root.path()).expect("reads").count();
        assert_eq!(left, 0, "nothing is left in the dataset");
    }

    #[test]
    fn relative_symbolic_link_is_followed() {
        let root = tempfile::tempdir().expect("a directory");
        let label = root.path().join("none");
        fs::create_dir(&label).expect("a directory");
        fs::write(root.path().join("original.png"), b"content").expect("writes");
        symlink("../original.png", label.join("frame.png")).expect("links");
        let snapshot = Snapshot::new(root.path());
        let kept = snapshot.keep(0, &label.join("frame.png"));
        assert_eq!(fs::read(&kept).expect("reads"), b"content");
    }

    #[test]
    fn file_itself_is_read_where_it_cannot_be_linked() {
        let root = tempfile::tempdir().expect("a directory");
        let missing = Snapshot::new(&root.path().join("missing"));
        let file = root.path().join("frame.png");
        assert_eq!(missing.keep(0, &file), file);
        let snapshot = Snapshot::new(root.path());
        assert_eq!(snapshot.keep(0, &file), file, "it does not exist");
    }
}
