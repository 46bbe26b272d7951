//! Why an operation on a store failed.

use std::io;
use std::path::{Path, PathBuf};

use super::MANIFEST_VERSION;
use crate::file_kind::FileKind;
use crate::names::UnknownName;
use crate::weights::WeightsError;

/// Why an operation on a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory cannot be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// A JSON file of the store is invalid.
    #[error("cannot read {path}: {cause}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        cause: serde_json::Error,
    },
    /// A file is something else than the store writes there.
    #[error("{path} {reason}")]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        reason: String,
    },
    /// The manifest has another format version than [`MANIFEST_VERSION`].
    #[error(
        "{path} has the format version {found}; this version of thumb_gesture supports {MANIFEST_VERSION}"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The format version in the file.
        found: u32,
    },
    /// The directory of a model was renamed or copied.
    #[error("{path} belongs to the model {id:?}; rename its directory to this id")]
    Renamed {
        /// The manifest.
        path: PathBuf,
        /// The id in the manifest.
        id: String,
    },
    /// The architecture of the model is unknown.
    #[error(transparent)]
    Network(#[from] UnknownName),
    /// The weights of the model cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The store has no model with this id.
    #[error("there is no model {id:?} in {store}; `thumb_gesture models --store {store}` lists the models")]
    NoSuchModel {
        /// The requested id.
        id: String,
        /// Root directory of the store.
        store: PathBuf,
    },
    /// The directory is not a store.
    #[error("{0} is not a model store; `thumb_gesture train --store {0}` creates one")]
    NotAStore(PathBuf),
    /// The directory is a part of a store.
    #[error("{directory} is inside the model store {store}; pass that")]
    InsideStore {
        /// The directory.
        directory: PathBuf,
        /// Root directory of the store.
        store: PathBuf,
    },
    /// Nothing can be written to the store.
    #[error("cannot write to the store {store}: {cause}; a training needs a writable store with free space")]
    NotWritable {
        /// Root directory of the store.
        store: PathBuf,
        /// The error of the file system.
        cause: io::Error,
    },
    /// No model has been activated yet.
    #[error("there is no active model in {0}; train one first")]
    NoActiveModel(PathBuf),
    /// There is no previously active model.
    #[error("there is no earlier model to roll back to")]
    NoEarlierModel,
    /// The active model cannot be deleted.
    #[error("{0} is the active model; activate another one first")]
    DeleteActive(String),
    /// A file of a model was truncated or changed.
    #[error(
        "{path} is damaged: its SHA-256 differs from the one in the manifest; delete the model or restore the file"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

pub(super) fn io_error(path: &Path, cause: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        cause,
    }
}

pub(super) fn json_error(path: &Path, bytes: &[u8], cause: serde_json::Error) -> StoreError {
    let path = path.to_owned();
    match FileKind::of_bytes(bytes) {
        FileKind::Json | FileKind::Text | FileKind::Unknown => StoreError::Json { path, cause },
        kind => StoreError::Kind {
            path,
            reason: kind.mismatch("JSON text", "restore it"),
        },
    }
}

/// The error of a file whose hash is wrong, which may stand for the file that is meant.
pub(super) fn damaged(path: PathBuf) -> StoreError {
    match FileKind::of_file(&path).ok() {
        Some(kind) if kind.fix().is_some() => StoreError::Kind {
            path,
            reason: kind.mismatch("the file of the model", ""),
        },
        _ => StoreError::Damaged { path },
    }
}
