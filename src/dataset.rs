//! The dataset on disk: one directory per label with one image file per frame, the layout of JetBot and of torchvision's
//! `ImageFolder`.
//!
//! [`list_images`] finds the images below a directory. `capture` saves frames. `bursts` groups frames that were captured together or
//! look alike, as `fingerprint` measures it. `scenes` finds the groups that were captured in one place. `split` divides the groups into
//! training and validation frames. [`augment`] makes augmented copies of a frame.

pub mod augment;
mod background;
pub mod bursts;
pub(crate) mod capture;
mod disjoint_sets;
#[cfg(feature = "ros")]
pub(crate) mod edits;
mod error;
pub mod fingerprint;
mod label;
mod layout;
mod listing;
pub mod merge;
pub mod sample;
pub mod scenes;
mod skipped_file;
mod spelling;
pub mod split;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::{self, WRITING_PREFIX};
use crate::file_kind::FileKind;
use listing::{Entry, Lister};

pub use error::DatasetError;
pub use label::{Label, LabelError};
pub use listing::{Listing, list_images};
pub use skipped_file::{SkippedFile, summarize};
pub use spelling::{check_spellings, existing_spelling};

/// Directory of deleted frames in a dataset. Hidden, so that they belong to no label.
pub(crate) const TRASH_DIRECTORY: &str = ".trash";

/// The files of a dataset, listed by label.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The directory that holds one directory per label.
    pub root: PathBuf,
    /// Sorted by label. A label without images has no files.
    pub labels: Vec<LabeledFrames>,
    /// Images that belong to none of `labels`, and files of labels that are left out.
    pub skipped: Vec<SkippedFile>,
}

/// The files of one label.
#[derive(Clone, Debug)]
pub struct LabeledFrames {
    /// The label, which is also the name of the directory.
    pub label: Label,
    /// Paths of the images, in the directory and in its subdirectories.
    pub files: Vec<PathBuf>,
    /// Files that cannot be used.
    pub skipped: Vec<SkippedFile>,
}

/// Reads a dataset again and again, and opens only new and changed files.
#[derive(Default)]
pub(crate) struct DatasetReader {
    lister: Lister,
}

impl Dataset {
    /// Lists the images below `root`. Reads no more of a file than is needed to tell what it is. Ignores hidden entries and other files
    /// of desktop systems.
    ///
    /// # Errors
    /// A directory does not exist or cannot be read, its layout is another one, or the name of a directory is not a valid label.
    pub fn read(root: &Path) -> Result<Dataset, DatasetError> {
        DatasetReader::default().read(root)
    }

    /// Number of frames with any label.
    pub fn frame_count(&self) -> usize {
        self.labels.iter().map(|frames| frames.files.len()).sum()
    }

    /// What cannot be used and why, for people: one sentence for each label and reason.
    pub fn warnings(&self) -> Vec<String> {
        let of_label = |frames: &LabeledFrames| match frames.files.as_slice() {
            [] => vec![frames.describe_empty(&self.root)],
            _ => summarize(Some(&frames.label), &frames.skipped),
        };
        let mut warnings = summarize(None, &self.skipped);
        warnings.extend(self.labels.iter().flat_map(of_label));
        warnings
    }

    /// Leaves out the labels without images if that is wanted.
    ///
    /// # Errors
    /// There are such labels, and they must not be left out.
    pub fn without_empty_labels(mut self, skip_empty_labels: bool) -> Result<Dataset, DatasetError> {
        let is_empty = |frames: &mut LabeledFrames| frames.files.is_empty();
        let empty: Vec<LabeledFrames> = self.labels.extract_if(.., is_empty).collect();
        if !empty.is_empty() && !skip_empty_labels {
            let labels: Vec<String> = empty
                .iter()
                .map(|frames| frames.describe_empty(&self.root))
                .collect();
            return Err(DatasetError::EmptyLabels {
                labels: labels.join("; "),
            });
        }
        self.skipped
            .extend(empty.into_iter().flat_map(|frames| frames.skipped));
        Ok(self)
    }

    /// Names of the directories below a label's that hold all of its images; empty if the label's own has some.
    pub(crate) fn directories_in_label(&self, frames: &LabeledFrames) -> Vec<String> {
        let directory = self.root.join(frames.label.as_str());
        let files = frames.files.iter().map(PathBuf::as_path);
        let names = layout::subdirectories(&directory, files).into_iter();
        names.map(|name| name.display().to_string()).collect()
    }

    /// All files that were skipped.
    pub fn all_skipped(&self) -> impl Iterator<Item = &SkippedFile> {
        let of_labels = self.labels.iter().flat_map(|frames| &frames.skipped);
        self.skipped.iter().chain(of_labels)
    }
}

impl LabeledFrames {
    fn describe_empty(&self, root: &Path) -> String {
        let found = match summarize(None, &self.skipped).join("; ") {
            nothing if nothing.is_empty() => {
                let directory = root.join(self.label.as_str());
                format!(
                    "{} is empty; capture its frames or delete it",
                    directory.display()
                )
            }
            found => found,
        };
        format!("label {} has no usable image: {found}", self.label)
    }
}

impl DatasetReader {
    /// As [`Dataset::read`].
    pub(crate) fn read(&mut self, root: &Path) -> Result<Dataset, DatasetError> {
        let mut directories = BTreeMap::new();
        let mut images = Vec::new();
        for path in entries(root)? {
            match self.lister.examine(&path) {
                Entry::Directory => {
                    let listing = self.lister.list(&path).unwrap_or_else(|error| Listing {
                        skipped: vec![SkippedFile::new(&path, &format!("cannot be read: {error}"))],
                        ..Listing::default()
                    });
                    directories.insert(path, listing);
                }
                Entry::File(kind) if kind.is_image() => {
                    let reason = "belongs to no label; move it into the directory of its label";
                    images.push(SkippedFile::new(&path, &reason));
                }
                // A link to a directory that is not mounted, for example.
                Entry::Unusable(reason) if label_of(&path).is_ok() => {
                    let skipped = vec![SkippedFile::new(&path, &reason)];
                    let images = Vec::new();
                    directories.insert(path, Listing { images, skipped });
                }
                Entry::File(_) | Entry::Unusable(_) | Entry::Nothing => {}
            }
        }
        self.lister.forget_unseen();
        layout::check(root, &directories, &images)?;
        let labeled = |(path, listing): (PathBuf, Listing)| {
            Ok(LabeledFrames {
                label: label_of(&path)?,
                files: listing.images,
                skipped: listing.skipped,
            })
        };
        Ok(Dataset {
            root: root.to_owned(),
            labels: directories.into_iter().map(labeled).collect::<Result<_, _>>()?,
            skipped: images,
        })
    }
}

/// Removes the incomplete files that killed processes left in a dataset. What cannot be removed is a warning; a dataset that does not exist
/// has none.
pub fn sweep(root: &Path) {
    for directory in directories(root) {
        disk::sweep(&directory, WRITING_PREFIX);
    }
}

/// The files and directories that [`sweep`] would remove.
pub(crate) fn abandoned(root: &Path) -> Vec<PathBuf> {
    let directories = directories(root).into_iter();
    directories
        .flat_map(|directory| disk::abandoned(&directory, WRITING_PREFIX))
        .collect()
}

/// The directory of a dataset, those of its labels, and all below them that are not hidden. Links are not followed, except from the first.
fn directories(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(directory) = found.get(next) {
        let below = listing::entries(directory).unwrap_or_default().into_iter();
        let is_directory = |path: &PathBuf| path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        let below: Vec<PathBuf> = below.filter(is_directory).collect();
        found.extend(below);
        next += 1;
    }
    found
}

/// Paths of the entries of a dataset that are neither hidden nor junk, sorted by name.
fn entries(root: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let path = root.to_owned();
    listing::entries(root).map_err(|cause| {
        let kind = root.is_file().then(|| FileKind::of_file(root).ok()).flatten();
        match kind {
            Some(kind) => DatasetError::File {
                path,
                kind: kind.name(),
                fix: kind.fix().map_or(String::new(), |fix| format!("; {fix}")),
            },
            None => DatasetError::Io { path, cause },
        }
    })
}

fn label_of(directory: &Path) -> Result<Label, DatasetError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    Label::new(&name).map_err(|cause| DatasetError::Label {
        path: directory.to_owned(),
        cause,
        example: spelling::valid_name(&name).map_or(String::new(), |valid| {
            format!(
                " ({})",
                spelling::move_command(directory, &directory.with_file_name(valid))
            )
        }),
    })
}

#[cfg(test)]
mod tests;
