//! How good a model is on labelled frames: the count of what it got right, and what it took for what.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::classifier::{Classifier, ClassifierError, softmax};
use crate::dataset::Label;
use crate::frame::Frame;
use crate::preprocess::{INPUT_LEN, Preprocessor};

/// A file that could not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The file.
    pub file: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// What a model made of labelled frames.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// The labels, in the model's order.
    pub labels: Vec<Label>,
    /// Frames judged.
    pub frames: usize,
    /// Frames whose likeliest label was the true one.
    pub correct: usize,
    /// `correct` / `frames`; none where there were no frames.
    pub accuracy: Option<f64>,
    /// `confusion[truth][verdict]` in frames, both in the order of `labels`.
    pub confusion: Vec<Vec<usize>>,
    /// Files that were left out.
    pub skipped: Vec<Skipped>,
}

/// A classifier with all that one file needs on its way through it: the node's own path, without the smoothing.
pub struct FileClassifier {
    classifier: Box<dyn Classifier>,
    preprocessor: Preprocessor,
    input: Vec<f32>,
    output: Vec<f32>,
}

/// Why a file got no verdict.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// It is no picture.
    #[error(transparent)]
    Frame(#[from] crate::frame::FrameError),
    /// The runtime failed, as it would on any other file.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
}

impl FileClassifier {
    /// Takes over a classifier with that many labels.
    pub fn new(classifier: Box<dyn Classifier>, labels: usize) -> FileClassifier {
        FileClassifier {
            classifier,
            preprocessor: Preprocessor::new(),
            input: vec![0.0; INPUT_LEN],
            output: vec![0.0; labels],
        }
    }

    /// What runs the network.
    pub fn backend(&self) -> &str {
        self.classifier.backend()
    }

    /// The network's logits for a picture in a file.
    ///
    /// # Errors
    /// A file that is no picture, and the runtime's word.
    pub fn logits(&mut self, file: &Path) -> Result<&[f32], PredictError> {
        let frame = Frame::from_file(file)?;
        self.preprocessor.tensor_from_frame(&frame, &mut self.input);
        self.classifier.logits(&self.input, &mut self.output)?;
        Ok(&self.output)
    }

    /// The probability of each label for a picture in a file.
    ///
    /// # Errors
    /// As [`FileClassifier::logits`].
    pub fn probabilities(&mut self, file: &Path) -> Result<&[f32], PredictError> {
        self.logits(file)?;
        softmax(&mut self.output);
        Ok(&self.output)
    }
}

/// Judges files whose true label is known, as an index into `labels`.
///
/// `progress` is called after each file with how many are done.
///
/// # Errors
/// The runtime's word. A file that is no picture is skipped and named.
pub fn evaluate(
    classifier: &mut FileClassifier,
    labels: &[Label],
    files: &[(PathBuf, usize)],
    mut progress: impl FnMut(usize),
) -> Result<Evaluation, ClassifierError> {
    let mut confusion = vec![vec![0; labels.len()]; labels.len()];
    let mut skipped = Vec::new();
    for (index, (file, truth)) in files.iter().enumerate() {
        match classifier.probabilities(file) {
            Ok(probabilities) => confusion[*truth][likeliest(probabilities)] += 1,
            Err(PredictError::Frame(error)) => skipped.push(Skipped {
                file: file.clone(),
                reason: error.to_string(),
            }),
            Err(PredictError::Classifier(error)) => return Err(error),
        }
        progress(index + 1);
    }
    let frames = confusion.iter().flatten().sum();
    let correct = (0..labels.len()).map(|label| confusion[label][label]).sum();
    Ok(Evaluation {
        labels: labels.to_vec(),
        frames,
        correct,
        accuracy: (frames > 0).then(|| correct as f64 / frames as f64),
        confusion,
        skipped,
    })
}

/// Index of the greatest of some logits or probabilities.
pub fn likeliest(values: &[f32]) -> usize {
    let by_value = |a: &(usize, &f32), b: &(usize, &f32)| a.1.total_cmp(b.1);
    values
        .iter()
        .enumerate()
        .max_by(by_value)
        .map_or(0, |(index, _)| index)
}
