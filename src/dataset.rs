//! The dataset on disk: one directory per label with one JPEG or PNG file per frame, the layout of JetBot and of torchvision's
//! `ImageFolder`.
//!
//! `capture` saves frames. `bursts` groups frames that were captured together or look alike, as `fingerprint` measures it. `split`
//! divides the groups into training and validation frames. [`augment`] makes augmented copies of a frame.

pub mod augment;
pub mod bursts;
pub(crate) mod capture;
pub mod fingerprint;
mod label;
pub mod sample;
mod skipped_file;
pub mod split;

use std::path::{Path, PathBuf};

use crate::disk::{self, WRITING_PREFIX};

pub use label::{Label, LabelError};
pub use skipped_file::SkippedFile;

/// The files of a dataset, listed by label.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The directory that holds one directory per label.
    pub root: PathBuf,
    /// Sorted by label; labels without frames are omitted.
    pub labels: Vec<LabeledFrames>,
}

/// The files of one label.
#[derive(Clone, Debug)]
pub struct LabeledFrames {
    /// The label, which is also the name of the directory.
    pub label: Label,
    /// Paths of the images, sorted by name.
    pub files: Vec<PathBuf>,
}

/// Why a dataset cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The operating system reported an error.
    #[error("{path}: {cause}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The name of a directory is not a valid label.
    #[error("cannot use the directory {path} as a label: {cause}; rename it or move it out of the dataset")]
    Label {
        /// The directory.
        path: PathBuf,
        /// The rule that the name breaks.
        cause: LabelError,
    },
}

impl Dataset {
    /// Lists the images below `root` without opening them. Skips hidden entries and files without the extension of a JPEG or PNG.
    ///
    /// # Errors
    /// A directory does not exist or cannot be read, or the name of a directory is not a valid label.
    pub fn read(root: &Path) -> Result<Dataset, DatasetError> {
        let mut labels = Vec::new();
        for directory in entries(root)? {
            if !directory.is_dir() {
                continue;
            }
            let label = label_of(&directory)?;
            let files: Vec<PathBuf> = entries(&directory)?
                .into_iter()
                .filter(|file| is_image(file))
                .collect();
            if !files.is_empty() {
                labels.push(LabeledFrames { label, files });
            }
        }
        Ok(Dataset {
            root: root.to_owned(),
            labels,
        })
    }

    /// Number of frames with this label.
    pub fn frame_count_of(&self, label: &Label) -> usize {
        let found = self.labels.iter().find(|frames| frames.label == *label);
        found.map_or(0, |frames| frames.files.len())
    }

    /// Number of frames with any label.
    pub fn frame_count(&self) -> usize {
        self.labels.iter().map(|frames| frames.files.len()).sum()
    }
}

/// Removes partially written files that killed processes left in the directories of the labels.
///
/// # Errors
/// A directory does not exist or cannot be read, or a file cannot be removed.
pub fn remove_leftovers(root: &Path) -> Result<(), DatasetError> {
    for directory in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        disk::remove_leftovers(&directory, WRITING_PREFIX).map_err(|cause| DatasetError::Io {
            path: directory.clone(),
            cause,
        })?;
    }
    Ok(())
}

/// Paths of the entries that are not hidden, sorted by name.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let io_error = |cause| DatasetError::Io {
        path: directory.to_owned(),
        cause,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn label_of(directory: &Path) -> Result<Label, DatasetError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    Label::new(&name).map_err(|cause| DatasetError::Label {
        path: directory.to_owned(),
        cause,
    })
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    ["jpg", "jpeg", "png"].iter().any(|known| extension == *known) && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_with(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("creates");
            std::fs::write(path, b"").expect("writes");
        }
        root
    }

    #[test]
    fn labels_and_files_are_sorted_without_hidden_entries() {
        let root = directory_with(&[
            "thumbsup/b.jpg",
            "thumbsup/a.PNG",
            "thumbsup/notes.txt",
            "thumbsup/.half.jpg",
            "none/c.jpeg",
            ".ipynb_checkpoints/d.jpg",
            "readme.jpg",
        ]);
        let dataset = Dataset::read(root.path()).expect("reads");
        let labels: Vec<&str> = dataset
            .labels
            .iter()
            .map(|frames| frames.label.as_str())
            .collect();
        assert_eq!(labels, ["none", "thumbsup"]);
        let names: Vec<_> = dataset.labels[1]
            .files
            .iter()
            .map(|file| file.file_name())
            .collect();
        assert_eq!(names, [Some("a.PNG".as_ref()), Some("b.jpg".as_ref())]);
        assert_eq!(dataset.frame_count(), 3);
    }

    #[test]
    fn directory_without_images_is_not_listed() {
        let root = directory_with(&[]);
        std::fs::create_dir(root.path().join("none")).expect("creates");
        assert!(Dataset::read(root.path()).expect("reads").labels.is_empty());
    }

    #[test]
    fn directory_with_an_invalid_label_is_rejected_with_its_path() {
        let root = directory_with(&["thumbs up/a.jpg"]);
        let error = Dataset::read(root.path()).expect_err("labels have no spaces");
        assert!(error.to_string().contains("thumbs up"), "{error}");
    }

    #[test]
    fn missing_directory_is_rejected_with_its_path() {
        let error = Dataset::read(Path::new("/no/such/directory")).expect_err("does not exist");
        assert!(error.to_string().contains("/no/such/directory"), "{error}");
    }
}
