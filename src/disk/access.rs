//! Who else may read what is written. Datasets, caches and reports show people: a new dataset or store is accessible to its owner alone, and
//! what is written into a directory is accessible to those to whom the directory is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::parent;

/// The permissions of a directory that only its owner may use.
pub(super) const PRIVATE: u32 = 0o700;

/// Creates a directory that only its owner may use, and its missing parents; does nothing if it exists.
///
/// # Errors
/// The directory cannot be created.
pub fn create_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(path)
}

/// Creates a directory, and its missing parents, with the permissions of the first parent that exists; does nothing if it exists.
///
/// # Errors
/// The directory cannot be created.
pub(crate) fn create_directory_inside(path: &Path) -> io::Result<()> {
    let existing = path.ancestors().skip(1).find(|ancestor| ancestor.is_dir());
    let mode = mode_of(existing.unwrap_or(Path::new(".")))?;
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Creates or replaces a file.
///
/// # Errors
/// The file cannot be created.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    let mode = file_mode(parent(path))?;
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
}

/// Creates or replaces a file with this content.
///
/// # Errors
/// The file cannot be created or written, for example because the disk is full.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    create_file(path)?.write_all(content)
}

/// The permissions of files in a directory, before the umask is applied.
pub(super) fn file_mode(directory: &Path) -> io::Result<u32> {
    Ok(mode_of(directory)? & 0o666)
}

/// The permissions of a directory, as far as those below it may have them.
pub(super) fn mode_of(directory: &Path) -> io::Result<u32> {
    Ok(fs::metadata(directory)?.permissions().mode() & 0o777 | PRIVATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("exists").permissions().mode() & 0o777
    }

    #[test]
    fn new_directory_is_private_and_what_is_inside_has_its_permissions() {
        let root = tempfile::tempdir().expect("a directory");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("sets");
        let dataset = root.path().join("data/dataset");
        create_private_directory(&dataset).expect("creates");
        assert_eq!((mode(&dataset), mode(&root.path().join("data"))), (0o700, 0o700));

        // Other users' tests run with another umask.
        fs::create_dir(root.path().join("reference")).expect("creates");
        let umask = !mode(&root.path().join("reference")) & 0o777;
        for (of_directory, of_file) in [(0o700, 0o600), (0o750, 0o640), (0o755, 0o644)] {
            fs::set_permissions(&dataset, fs::Permissions::from_mode(of_directory)).expect("sets");
            let inside = dataset.join(format!("{of_directory:o}"));
            create_directory_inside(&inside.join("below")).expect("creates");
            drop(create_file(&inside.join("file")).expect("creates"));
            assert_eq!(
                (mode(&inside), mode(&inside.join("below"))),
                (of_directory & !umask, of_directory & !umask)
            );
            assert_eq!(mode(&inside.join("file")), of_file & !umask);
        }
    }
}
