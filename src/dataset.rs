//! The dataset on disk: one directory per label with one image file per frame, the layout of JetBot and of torchvision's
//! `ImageFolder`.
//!
//! [`list_images`] finds the images below a directory. `capture` saves frames. `bursts` groups frames that were captured together or
//! look alike, as `fingerprint` measures it. `split` divides the groups into training and validation frames. [`augment`] makes
//! augmented copies of a frame.

pub mod augment;
pub mod bursts;
pub(crate) mod capture;
pub mod fingerprint;
mod label;
mod layout;
mod listing;
pub mod sample;
mod skipped_file;
mod spelling;
pub mod split;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{self, WRITING_PREFIX};
use crate::file_kind::FileKind;
use listing::{Entry, Lister};

pub use label::{Label, LabelError};
pub use listing::{Listing, list_images};
pub use skipped_file::{SkippedFile, summarize};
pub use spelling::{check_spellings, existing_spelling};

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
    /// Paths of the images, in the directory and in its sub-directories.
    pub files: Vec<PathBuf>,
    /// Files that cannot be used.
    pub skipped: Vec<SkippedFile>,
}

/// Why a dataset cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The operating system reported an error.
    #[error("{path}: {cause}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The dataset is a file.
    #[error("{path} is {kind}, must be a directory with one directory of images per label{fix}")]
    File {
        /// The file.
        path: PathBuf,
        /// What it is, a noun phrase.
        kind: &'static str,
        /// What to do, after a semicolon; empty if unknown.
        fix: String,
    },
    /// The name of a directory is not a valid label.
    #[error(
        "cannot use the directory {path} as a label: {cause}; rename it{example} or move it out of the dataset"
    )]
    Label {
        /// The directory.
        path: PathBuf,
        /// The rule that the name breaks.
        cause: LabelError,
        /// A command that renames it, such as ` (mv 'd/thumbs up' d/thumbs_up)`; empty if there is no obvious name.
        example: String,
    },
    /// The directory is above or below the one that is meant.
    #[error("{root} holds {found} instead of one directory of images per label; use {fix}")]
    Layout {
        /// The directory.
        root: PathBuf,
        /// What it holds, such as `train, val and test`.
        found: String,
        /// Which directory to use.
        fix: String,
    },
    /// Directories of labels have no usable image.
    #[error(
        "{labels}; or leave the label out with --skip-empty-labels, which is skip_empty_labels in a call of ~/retrain"
    )]
    EmptyLabels {
        /// The labels, what was found in their directories, and how to fix it.
        labels: String,
    },
    /// Directories of labels mean the same.
    #[error("{names} are spellings of one label; merge them: {command}")]
    Spellings {
        /// The names, such as `thumbs_up and thumbsup`.
        names: String,
        /// The command that merges the directories.
        command: String,
    },
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

    /// Number of frames with this label.
    pub fn frame_count_of(&self, label: &Label) -> usize {
        let found = self.labels.iter().find(|frames| frames.label == *label);
        found.map_or(0, |frames| frames.files.len())
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

/// Paths of the entries of a dataset that are neither hidden nor junk, sorted by name.
fn entries(root: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let path = root.to_owned();
    listing::entries(root).map_err(|cause| match FileKind::of_file(root) {
        Ok(kind) if cause.kind() == io::ErrorKind::NotADirectory => DatasetError::File {
            path,
            kind: kind.name(),
            fix: kind.fix().map_or(String::new(), |fix| format!("; {fix}")),
        },
        _ => DatasetError::Io { path, cause },
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
mod tests {
    use super::*;

    fn directory_with(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("creates");
            std::fs::write(path, b"\xff\xd8\xff\xe0").expect("writes");
        }
        root
    }

    fn error(root: &Path) -> String {
        Dataset::read(root).expect_err("is rejected").to_string()
    }

    #[test]
    fn labels_and_files_are_sorted_without_hidden_entries() {
        let root = directory_with(&[
            "thumbsup/b.jpg",
            "thumbsup/a.PNG",
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
    fn label_without_usable_images_is_an_error_unless_it_is_left_out() {
        let root = directory_with(&["thumbs_up/a.jpg"]);
        std::fs::create_dir(root.path().join("empty")).expect("creates");
        std::os::unix::fs::symlink("/nowhere/none", root.path().join("none")).expect("links");
        let heic = root.path().join("thumbs_down/IMG_1.jpg");
        std::fs::create_dir(heic.parent().expect("a parent")).expect("creates");
        std::fs::write(&heic, b"\0\0\0\x18ftypheic\0\0\0\0").expect("writes");
        let dataset = Dataset::read(root.path()).expect("reads");
        assert_eq!(dataset.frame_count(), 1);
        let warnings = dataset.warnings();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        let error = dataset
            .clone()
            .without_empty_labels(false)
            .expect_err("empty")
            .to_string();
        for part in [
            "label empty has no usable image",
            "label none has no usable image",
            "symbolic link",
            "label thumbs_down has no usable image",
            "IMG_1.jpg is skipped: a HEIF image (HEIC); convert it to JPEG",
            "--skip-empty-labels",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let rest = dataset.without_empty_labels(true).expect("left out");
        assert_eq!(rest.labels.len(), 1);
        assert_eq!(rest.all_skipped().count(), 2, "the files stay in the report");
    }

    #[test]
    fn images_beside_the_labels_are_reported() {
        let root = directory_with(&["none/a.jpg", "b.jpg"]);
        std::fs::write(root.path().join("readme.txt"), "text").expect("writes");
        let warnings = Dataset::read(root.path()).expect("reads").warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains("b.jpg is skipped: belongs to no label"),
            "{warnings:?}"
        );
    }

    #[test]
    fn divided_datasets_are_named_with_the_directories_to_use() {
        let root = directory_with(&[
            "train/thumbs_up/a.jpg",
            "train/none/a.jpg",
            "train/_classes.csv",
            "val/wave/a.jpg",
            "test/none/a.jpg",
        ]);
        let path = root.path().display();
        assert_eq!(
            error(root.path()),
            format!(
                "{path} holds train, val and test instead of one directory of images per label; \
                 use --dataset {path}/train, and {path}/test for evaluate"
            )
        );
        let labels = directory_with(&["test/a.jpg", "train/b.jpg"]);
        let dataset = Dataset::read(labels.path()).expect("directories with images are labels");
        assert_eq!(dataset.labels.len(), 2);
    }

    #[test]
    fn directory_above_or_below_the_dataset_is_rejected_with_the_right_one() {
        let root = directory_with(&[
            "data/thumbs_up/a.jpg",
            "data/thumbs_down/s1/a.jpg",
            "data/none/a.jpg",
        ]);
        let path = root.path().display();
        let above = error(root.path());
        assert!(above.ends_with(&format!("use --dataset {path}/data")), "{above}");
        let below = error(&root.path().join("data/thumbs_up"));
        assert!(
            below.contains("holds images") && below.contains(&format!("--dataset {path}/data if")),
            "{below}"
        );
        let days = directory_with(&[
            "day1/none/a.jpg",
            "day1/thumbs_up/a.jpg",
            "day2/none/b.jpg",
            "day2/thumbsup/a.jpg",
        ]);
        assert!(error(days.path()).contains("holds day1 and day2"));
    }

    #[test]
    fn file_instead_of_a_directory_is_named_as_what_it_is() {
        let root = directory_with(&["data.zip"]);
        let file = root.path().join("data.zip");
        std::fs::write(&file, b"\x1f\x8b\x08\0").expect("writes");
        let error = error(&file);
        assert!(
            error.contains("is a gzip file") && error.contains("unpack it"),
            "{error}"
        );
    }

    #[test]
    fn directory_with_an_invalid_label_is_rejected_with_its_path() {
        let root = directory_with(&["thumbs up/a.jpg"]);
        let error = Dataset::read(root.path()).expect_err("labels have no spaces");
        let path = root.path().display();
        let command = format!("(mv '{path}/thumbs up' {path}/thumbs_up)");
        assert!(error.to_string().contains(&command), "{error}");
    }

    #[test]
    fn missing_directory_is_rejected_with_its_path() {
        let error = Dataset::read(Path::new("/no/such/directory")).expect_err("does not exist");
        assert!(error.to_string().contains("/no/such/directory"), "{error}");
    }
}
