//! The errors of reading a bag.

use std::path::{Path, PathBuf};

use super::DataLoss;

/// Maximum number of losses that an error names.
const NAMED_LOSSES: usize = 3;

/// Why a bag could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum BagError {
    /// The file system reported an error.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The path is neither a bag nor a file of one.
    #[error("{}: not a bag; {reason}", path.display())]
    NotABag {
        /// The file or directory.
        path: PathBuf,
        /// What it is instead, and what to do.
        reason: String,
    },
    /// The bag has no messages on the requested topic.
    #[error("the bag has no topic {topic}; it has {known}")]
    UnknownTopic {
        /// The requested topic.
        topic: String,
        /// The bag's topics with their types and encodings.
        known: String,
    },
    /// The messages on the requested topic are not images that can be read.
    #[error("topic {topic} is not an image topic{hint}; the bag has {known}")]
    NotAnImageTopic {
        /// The requested topic.
        topic: String,
        /// What could be done, or nothing.
        hint: String,
        /// The bag's topics with their types and encodings.
        known: String,
    },
    /// No topic of the bag has images that can be read.
    #[error("the bag has no topic with images; it has {known}{hint}")]
    NoImageTopic {
        /// The bag's topics with their types and encodings.
        known: String,
        /// What could be done, or nothing.
        hint: String,
    },
    /// Several topics have images and none was requested.
    #[error("the bag has several topics with images; choose one of them with --topic: {0}")]
    AmbiguousImageTopic(String),
    /// The callback returned an error, which stopped reading.
    #[error("{0}")]
    Stopped(String),
}

impl BagError {
    pub(super) fn not_a_bag(path: &Path, reason: impl Into<String>) -> BagError {
        BagError::NotABag {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// The same error with what could not be read, which may be why a topic was not found.
    pub(super) fn with_losses(mut self, losses: &[DataLoss]) -> BagError {
        let (BagError::UnknownTopic { known: end, .. }
        | BagError::NotAnImageTopic { known: end, .. }
        | BagError::NoImageTopic { hint: end, .. }) = &mut self
        else {
            return self;
        };
        for loss in DataLoss::summaries(losses).iter().take(NAMED_LOSSES) {
            *end += "; not read: ";
            *end += loss;
        }
        self
    }

    /// The message without the path, for a loss, which has the path beside its reason.
    pub(super) fn into_reason(self) -> String {
        match self {
            BagError::Io { cause, .. } => cause.to_string(),
            BagError::NotABag { reason, .. } => format!("not a bag; {reason}"),
            error => error.to_string(),
        }
    }
}
