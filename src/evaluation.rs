//! Measures a model on image files whose true label is known.

use std::path::PathBuf;

use serde::Serialize;

use crate::classifier::ClassifierError;
use crate::dataset::{Label, SkippedFile};
use crate::metrics::ConfusionMatrix;
use crate::probability::argmax;
use crate::recognizer::{ClassifyFileError, Recognizer};

/// The result of [`evaluate`].
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// In the order of the model's outputs.
    pub labels: Vec<Label>,
    /// Number of frames classified.
    pub frames: usize,
    /// Number of frames whose predicted label is the true one.
    pub correct: usize,
    /// `correct` / `frames`; `None` without frames.
    pub accuracy: Option<f64>,
    /// Number of frames that are unfamiliar to the model, which the node does not take for a gesture. They count in the other figures too.
    pub unfamiliar: usize,
    /// Accuracy on the other frames; `None` if all frames are unfamiliar.
    pub familiar_accuracy: Option<f64>,
    /// Counts of true and predicted label.
    pub confusion: ConfusionMatrix,
    /// Files that cannot be used.
    pub skipped: Vec<SkippedFile>,
}

impl Evaluation {
    /// Number of frames classified whose true label has this index.
    pub fn frames_of(&self, label: usize) -> usize {
        self.confusion.rows()[label].iter().sum()
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
    let mut confusion = ConfusionMatrix::new(labels.len());
    let mut familiar = ConfusionMatrix::new(labels.len());
    let mut skipped = Vec::new();
    for (index, (file, truth)) in files.iter().enumerate() {
        match recognizer.classify_file(file) {
            Ok(prediction) => {
                let label = argmax(prediction.probabilities);
                confusion.count(*truth, label);
                if prediction.is_familiar {
                    familiar.count(*truth, label);
                }
            }
            Err(ClassifyFileError::Frame(error)) => skipped.push(SkippedFile::new(file, &error)),
            Err(ClassifyFileError::Classifier(error)) => return Err(error),
        }
        progress(index + 1);
    }
    Ok(Evaluation {
        labels: labels.to_vec(),
        frames: confusion.frames(),
        correct: confusion.correct(),
        accuracy: confusion.accuracy(),
        unfamiliar: confusion.frames() - familiar.frames(),
        familiar_accuracy: familiar.accuracy(),
        confusion,
        skipped,
    })
}
