//! The image directory: one directory a label, one JPEG or PNG a frame, as JetBot and torchvision's `ImageFolder` have it.
//!
//! [`capture`] writes it, [`bursts`] tells what belongs together by [`fingerprint`], [`split`] parts it into training and
//! validation, [`augment`] makes more of a frame.

pub mod augment;
pub mod bursts;
pub mod capture;
pub mod fingerprint;
pub mod label;
pub mod split;

use std::path::{Path, PathBuf};

use crate::disk::{self, WRITING_PREFIX};

pub use label::{Label, LabelError};

/// The frames of an image directory, by label.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The directory.
    pub root: PathBuf,
    /// Labels with their frames, sorted by label; a directory without frames is not among them.
    pub labels: Vec<LabelledFrames>,
}

/// The frames under one label.
#[derive(Clone, Debug)]
pub struct LabelledFrames {
    /// The directory's name.
    pub label: Label,
    /// The files, sorted by name.
    pub files: Vec<PathBuf>,
}

/// Why an image directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file system's word.
    #[error("{path}: {cause}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What went wrong.
        cause: std::io::Error,
    },
    /// A directory whose name is no label.
    #[error("the directory {path} is no label: {cause}; rename it, or move it out of the dataset")]
    Label {
        /// The directory.
        path: PathBuf,
        /// The rule.
        cause: LabelError,
    },
}

impl Dataset {
    /// Lists an image directory. Hidden files and directories and files of other kinds are passed over; no image is opened.
    ///
    /// # Errors
    /// A directory that is not there or cannot be read, and a directory in it whose name is no label.
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
                labels.push(LabelledFrames { label, files });
            }
        }
        Ok(Dataset {
            root: root.to_owned(),
            labels,
        })
    }

    /// How many frames there are of a label.
    pub fn count(&self, label: &Label) -> usize {
        let found = self.labels.iter().find(|frames| frames.label == *label);
        found.map_or(0, |frames| frames.files.len())
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.labels.iter().map(|frames| frames.files.len()).sum()
    }
}

/// Removes from an image directory what killed processes left half-written.
///
/// # Errors
/// A directory that is not there or cannot be read, or a file that cannot be removed.
pub fn sweep(root: &Path) -> Result<(), DatasetError> {
    for directory in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        disk::remove_leftovers(&directory, WRITING_PREFIX).map_err(|cause| DatasetError::Io {
            path: directory.clone(),
            cause,
        })?;
    }
    Ok(())
}

/// What lies in a directory and is not hidden, sorted by name.
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
    fn labels_and_files_are_sorted_and_hidden_ones_passed_over() {
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
        assert_eq!(dataset.frames(), 3);
    }

    #[test]
    fn an_empty_directory_has_no_labels() {
        let root = directory_with(&[]);
        std::fs::create_dir(root.path().join("none")).expect("creates");
        assert!(Dataset::read(root.path()).expect("reads").labels.is_empty());
    }

    #[test]
    fn a_directory_that_is_no_label_is_named_with_the_rule() {
        let root = directory_with(&["thumbs up/a.jpg"]);
        let error = Dataset::read(root.path()).expect_err("a space");
        assert!(error.to_string().contains("thumbs up"), "{error}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Dataset::read(Path::new("/no/such/directory")).expect_err("nothing there");
        assert!(error.to_string().contains("/no/such/directory"), "{error}");
    }
}
