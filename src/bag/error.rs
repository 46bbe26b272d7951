//! The errors of reading a bag.

use std::path::PathBuf;

use crate::frame::fix_of_video;

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
    #[error("{}: not a bag; expected an MCAP or SQLite3 (.db3) file, or a directory with such files", .0.display())]
    NotABag(PathBuf),
    /// `metadata.yaml` does not have the format of rosbag2.
    #[error("{}: {reason}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is not valid.
        reason: String,
    },
    /// The bag has no messages on the requested topic.
    #[error("the bag has no topic {topic}; it has {known}")]
    UnknownTopic {
        /// The requested topic.
        topic: String,
        /// The bag's topics with their types.
        known: String,
    },
    /// The requested topic has another message type.
    #[error("topic {topic} holds {message_type}, which is not an image; the bag has {known}{fix}", fix = fix(.message_type))]
    NotAnImageTopic {
        /// The requested topic.
        topic: String,
        /// Its message type.
        message_type: String,
        /// The bag's topics with their types.
        known: String,
    },
    /// No topic of the bag has images.
    #[error("the bag has no topic with images; it has {0}{fix}", fix = fix(.0))]
    NoImageTopic(String),
    /// Several topics have images and none was requested.
    #[error("the bag has several topics with images; choose one of them: {0}")]
    AmbiguousImageTopic(String),
    /// The callback returned an error, which stopped reading.
    #[error("{0}")]
    Stopped(String),
}

/// What to do about topics of these types, after a semicolon.
fn fix(types: &str) -> String {
    fix_of_video(types).map_or(String::new(), |fix| format!("; {fix}"))
}
