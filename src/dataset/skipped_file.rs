//! Files of a dataset that cannot be used.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file that was skipped because it cannot be read or is not a valid image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFile {
    /// The path of the file.
    pub file: String,
    /// Why it was skipped.
    pub reason: String,
}

impl SkippedFile {
    pub(crate) fn new(path: &Path, reason: &impl ToString) -> SkippedFile {
        SkippedFile {
            file: path.display().to_string(),
            reason: reason.to_string(),
        }
    }
}
