//! Removal of everything that shows people: the photos of a dataset, what a store has cached of them, and reports with pictures.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dataset::{Dataset, DatasetError, SkippedFile, TRASH_DIRECTORY, abandoned};
use crate::file_kind::FileKind;
use crate::model_store::{MODELS_DIRECTORY, ModelStore};
use crate::training::{CACHE_DIRECTORY, REPORT_PAGE};

/// Files that are removed together.
#[derive(Debug, Serialize)]
pub struct Part {
    /// Such as `frames of thumbs_up`.
    pub name: String,
    /// Where the files are.
    pub directory: PathBuf,
    /// Number of files.
    pub files: usize,
    /// Length of all files.
    pub bytes: u64,
    #[serde(skip)]
    paths: Vec<PathBuf>,
}

/// What is removed, and what is not.
#[derive(Debug, Default, Serialize)]
pub struct Purge {
    /// Parts with at least one file.
    pub parts: Vec<Part>,
    /// Files of the dataset that are kept, because it does not use them, or because they are behind a link: they may show people, too.
    pub kept: Vec<PathBuf>,
    /// Directories that are removed with everything below if no file is in them, such as one of a label.
    #[serde(skip)]
    emptied: Vec<PathBuf>,
}

/// Why not everything was found or removed.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The directory is not a dataset.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Most files in the directory are something else.
    #[error(
        "{root} has {frames} frames, but {others} other files; it is no dataset, so nothing in it is deleted"
    )]
    NotADataset {
        /// The directory.
        root: PathBuf,
        /// Number of images that would be deleted.
        frames: usize,
        /// Number of files that would be kept.
        others: usize,
    },
    /// A file cannot be examined or deleted.
    #[error("{path}: {cause}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
}

impl Purge {
    /// Adds the images of a dataset. Those behind a link that leads out of it are kept.
    ///
    /// # Errors
    /// The directory is not a dataset, most files in it are something else, or it cannot be read.
    pub fn add_dataset(&mut self, root: &Path) -> Result<(), PurgeError> {
        let dataset = Dataset::read(root)?;
        let trash = root.join(TRASH_DIRECTORY);
        // A desktop's trash has other names in it.
        let is_own = is_own_trash(&trash);
        let deleted = if is_own { own_files(&trash)? } else { Vec::new() };
        // Such as the photos of a phone, which the dataset cannot decode; but not those that are in no label.
        let is_image = |skipped: &&SkippedFile| {
            FileKind::of_file(Path::new(&skipped.file)).is_ok_and(FileKind::is_image)
        };
        let of_labels = dataset.labels.iter().flat_map(|frames| &frames.skipped);
        let others = dataset.skipped.len() + of_labels.filter(|skipped| !is_image(skipped)).count();
        let frames = dataset.frame_count() + deleted.len();
        if others > frames {
            let root = root.to_owned();
            return Err(PurgeError::NotADataset { root, frames, others });
        }
        let real_root = fs::canonicalize(root).map_err(io_error(root))?;
        let mut kept: BTreeSet<PathBuf> = files_below(root)?.into_iter().collect();
        for frames in &dataset.labels {
            let is_inside = |file: &&PathBuf| matches!(fs::canonicalize(file), Ok(target) if target.starts_with(&real_root));
            let (inside, outside): (Vec<&PathBuf>, Vec<&PathBuf>) = frames.files.iter().partition(is_inside);
            for file in &inside {
                kept.remove(*file);
            }
            kept.extend(outside.into_iter().cloned());
            let directory = root.join(frames.label.as_str());
            let inside = inside.into_iter().cloned().collect();
            self.add_part(format!("frames of {}", frames.label), &directory, inside);
            self.emptied.push(directory);
        }
        let mut interrupted = Vec::new();
        for draft in abandoned(root) {
            if draft.is_dir() {
                interrupted.extend(files_below(&draft)?);
                self.emptied.push(draft);
            } else {
                interrupted.push(draft);
            }
        }
        for file in deleted.iter().chain(&interrupted) {
            kept.remove(file);
        }
        self.add_part("left by interrupted commands".to_owned(), root, interrupted);
        self.add_part("trash".to_owned(), &trash, deleted);
        self.emptied.extend(is_own.then_some(trash));
        self.kept.extend(kept);
        Ok(())
    }

    /// Adds the cached features of frames and the reports with pictures of a store. Models are kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn add_store(&mut self, store: &ModelStore) -> Result<(), PurgeError> {
        let cache = store.root().join(CACHE_DIRECTORY);
        if cache.is_symlink() {
            self.kept.push(cache.clone());
        }
        self.add_part("features of frames".to_owned(), &cache, own_files(&cache)?);
        self.emptied.push(cache);
        let models = store.root().join(MODELS_DIRECTORY);
        let mut reports = files_below(&models)?;
        reports.retain(|file| file.ends_with(REPORT_PAGE));
        self.add_part("reports with pictures".to_owned(), &models, reports);
        Ok(())
    }

    fn add_part(&mut self, name: String, directory: &Path, paths: Vec<PathBuf>) {
        let mut bytes = 0;
        for path in &paths {
            // A file that another process has just removed has no length.
            bytes += fs::symlink_metadata(path).map_or(0, |metadata| metadata.len());
        }
        if !paths.is_empty() {
            self.parts.push(Part {
                name,
                directory: directory.to_owned(),
                files: paths.len(),
                bytes,
                paths,
            });
        }
    }

    /// Deletes the files, and the directories that are empty then, even if an interrupted purge has emptied them; returns the errors.
    pub fn delete(&self) -> Vec<PurgeError> {
        let mut errors = Vec::new();
        for path in self.parts.iter().flat_map(|part| &part.paths) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => errors.push(io_error(path)(error)),
                // Otherwise another process was faster.
                _ => {}
            }
        }
        for directory in &self.emptied {
            remove_empty(directory);
        }
        errors
    }
}

/// Removes a directory and those below it, except those with files in them. Links are not followed.
fn remove_empty(directory: &Path) {
    if !fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir()) {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    drop(fs::remove_dir(directory));
}

/// Whether each entry of a trash is a numbered edit of a dataset.
fn is_own_trash(trash: &Path) -> bool {
    let entries = fs::read_dir(trash).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).all(|name| {
        let name = name.as_encoded_bytes();
        name.starts_with(b".") || name.iter().all(u8::is_ascii_digit)
    })
}

/// As [`files_below`]; none if the directory is a link, behind which are the files of something else.
fn own_files(directory: &Path) -> Result<Vec<PathBuf>, PurgeError> {
    if directory.is_symlink() {
        return Ok(Vec::new());
    }
    files_below(directory)
}

/// All files below a directory, which may be missing. Links in it are not followed.
fn files_below(directory: &Path) -> Result<Vec<PathBuf>, PurgeError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error(directory))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error(directory))?;
        let path = entry.path();
        if entry.file_type().map_err(io_error(&path))?.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> PurgeError {
    move |cause| PurgeError::Io {
        path: path.to_owned(),
        cause,
    }
}
