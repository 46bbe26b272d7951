//! The errors of datasets.

use std::io;
use std::path::PathBuf;

use super::LabelError;

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
