//! How good a model is on labelled frames: the count of what it got right, and what it took for what.

pub mod calibration;
pub mod metrics;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::classifier::ClassifierError;
use crate::dataset::Label;
use crate::probability::argmax;
use crate::recognizer::{ClassifyFileError, Recognizer};

/// A file that could not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// What was wrong with it.
    pub reason: String,
}

/// What was taken for what: `confusion[truth][prediction]` in frames, both in the order of the model's labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confusion(Vec<Vec<usize>>);

/// What a model made of labelled frames.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// The labels, in the model's order.
    pub labels: Vec<Label>,
    /// Frames classified.
    pub frames: usize,
    /// Frames whose likeliest label was the true one.
    pub correct: usize,
    /// `correct` / `frames`; none where there were no frames.
    pub accuracy: Option<f64>,
    /// What was taken for what.
    pub confusion: Confusion,
    /// Files that were left out.
    pub skipped: Vec<Skipped>,
}

impl Skipped {
    /// A file with what was wrong with it.
    pub fn new(file: &Path, reason: &impl ToString) -> Skipped {
        Skipped {
            file: file.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

impl Confusion {
    /// No frame yet, of so many labels.
    pub fn new(labels: usize) -> Confusion {
        Confusion(vec![vec![0; labels]; labels])
    }

    /// Counts a frame by the index of its true label, and the logits or probabilities that it got.
    pub fn count(&mut self, truth: usize, values: &[f32]) {
        self.0[truth][argmax(values)] += 1;
    }

    /// Frames counted.
    pub fn frames(&self) -> usize {
        self.0.iter().flatten().sum()
    }

    /// Frames whose likeliest label was the true one.
    pub fn correct(&self) -> usize {
        (0..self.0.len()).map(|label| self.0[label][label]).sum()
    }

    /// The share of them, 0 to 1; none where there were no frames.
    pub fn accuracy(&self) -> Option<f64> {
        (self.frames() > 0).then(|| self.correct() as f64 / self.frames() as f64)
    }

    /// One row for each true label.
    pub fn rows(&self) -> &[Vec<usize>] {
        &self.0
    }
}

/// Classifies files whose true label is known, as an index into `labels`.
///
/// `progress` is called after each file with how many are done.
///
/// # Errors
/// The runtime's word. A file that is no image is skipped and named.
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
            Ok(probabilities) => confusion.count(*truth, probabilities),
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

/// At most so many of some frames, spread over all.
pub fn spread<T>(frames: &[T], most: usize) -> Vec<&T> {
    let step = frames.len().div_ceil(most).max(1);
    frames.iter().step_by(step).collect()
}
