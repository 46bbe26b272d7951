//! Measures a model on image files whose true label is known.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::classifier::ClassifierError;
use crate::dataset::Label;
use crate::metrics::Confusion;
use crate::probability::argmax;
use crate::recognizer::{ClassifyFileError, Recognizer};

/// A file that was left out because it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The path of the file.
    pub file: String,
    /// Why it cannot be read.
    pub reason: String,
}

/// The result of [`evaluate`].
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// The labels, in the model's order.
    pub labels: Vec<Label>,
    /// Frames classified.
    pub frames: usize,
    /// Frames whose predicted label is the true one.
    pub correct: usize,
    /// `correct` / `frames`; `None` without frames.
    pub accuracy: Option<f64>,
    /// Counts of true and predicted label.
    pub confusion: Confusion,
    /// Files that were left out.
    pub skipped: Vec<Skipped>,
}

impl Skipped {
    /// A file, and why it was left out.
    pub fn new(file: &Path, reason: &impl ToString) -> Skipped {
        Skipped {
            file: file.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Classifies files, each with the index of its true label in `labels`, and counts the predictions.
///
/// `progress` is called after each file with the number of files done. A file that is not a valid image is skipped.
///
/// # Errors
/// The runtime failed.
pub fn evaluate(
    recognizer: &mut Recognizer,
    labels: &[Label],
    files: &[(PathBuf, usize)],
    mut progress: impl FnMut(usize),
) -> Result<Evaluation, ClassifierError> {
    let mut confusion = Confusion::new(labels.len());
    let mut skipped = Vec::new();
    for (index, (file, truth)) in files.iter().enumerate() {
        match recognizer.probabilities_of_file(file) {
            Ok(probabilities) => confusion.count(*truth, argmax(probabilities)),
            Err(ClassifyFileError::Frame(error)) => skipped.push(Skipped::new(file, &error)),
            Err(ClassifyFileError::Classifier(error)) => return Err(error),
        }
        progress(index + 1);
    }
    Ok(Evaluation {
        labels: labels.to_vec(),
        frames: confusion.frames(),
        correct: confusion.correct(),
        accuracy: confusion.accuracy(),
        confusion,
        skipped,
    })
}
