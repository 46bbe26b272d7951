//! From frames to probabilities: preprocessing, network, temperature and softmax, for one frame or a batch.
//!
//! The node, bags, the command line and the training all classify frames with a [`Recognizer`], so that the same frame gets the same
//! probabilities everywhere.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::classifier::{Classifier, ClassifierError};
use crate::frame::{Frame, FrameError};
use crate::model_store::Manifest;
use crate::preprocess::{INPUT_LEN, Preprocessor};
use crate::probability::softmax;

/// A loaded model with its preprocessing and buffers. It belongs to one thread.
pub struct Recognizer {
    classifier: Box<dyn Classifier>,
    preprocessor: Preprocessor,
    labels: usize,
    temperature: f32,
    /// The network inputs of all frames, concatenated.
    inputs: Vec<f32>,
    /// First the logits, then the probabilities: one row for each frame.
    outputs: Vec<f32>,
    preprocess_times: Vec<Duration>,
}

/// The probabilities of a batch of frames.
pub struct Predictions<'a> {
    outputs: &'a [f32],
    labels: usize,
    preprocess_times: &'a [Duration],
    /// Time of network and softmax for the whole batch.
    pub inference_time: Duration,
}

/// The probabilities of one frame, and what they cost.
#[derive(Clone, Copy)]
pub struct Prediction<'a> {
    /// One for each label, in the model's order; they sum to 1.
    pub probabilities: &'a [f32],
    /// Time to compute the network input.
    pub preprocess_time: Duration,
    /// Time of network and softmax for the whole batch.
    pub inference_time: Duration,
}

/// Why a file cannot be classified.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyFileError {
    /// The file is not a valid image.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The runtime failed, which does not depend on the file.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
}

impl Recognizer {
    /// The recognizer of a stored model, with the preprocessing, the labels and the temperature of its manifest.
    pub fn new(classifier: Box<dyn Classifier>, manifest: &Manifest) -> Recognizer {
        Recognizer {
            preprocessor: Preprocessor::with(&manifest.preprocessing),
            temperature: manifest.temperature as f32,
            ..Recognizer::with_labels(classifier, manifest.labels.len())
        }
    }

    /// The recognizer of a network with that number of labels, with ImageNet's preprocessing and a temperature of 1.
    pub fn with_labels(classifier: Box<dyn Classifier>, labels: usize) -> Recognizer {
        Recognizer {
            classifier,
            preprocessor: Preprocessor::new(),
            labels,
            temperature: 1.0,
            inputs: Vec::new(),
            outputs: Vec::new(),
            preprocess_times: Vec::new(),
        }
    }

    /// What runs the network, as `<runtime>/<device>/<precision>`.
    pub fn backend(&self) -> &str {
        self.classifier.backend()
    }

    /// The probabilities of the labels for each frame; the network classifies all frames in one batch.
    ///
    /// The buffers keep the size of the largest batch so far.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn classify<'f>(
        &mut self,
        frames: impl ExactSizeIterator<Item = &'f Frame>,
    ) -> Result<Predictions<'_>, ClassifierError> {
        self.preprocess(frames);
        let start = Instant::now();
        self.run_network()?;
        for logits in self.outputs.chunks_exact_mut(self.labels) {
            softmax(logits, self.temperature);
        }
        Ok(Predictions {
            outputs: &self.outputs,
            labels: self.labels,
            preprocess_times: &self.preprocess_times,
            inference_time: start.elapsed(),
        })
    }

    /// The probability of each label for one frame.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn probabilities(&mut self, frame: &Frame) -> Result<&[f32], ClassifierError> {
        Ok(self.classify(std::iter::once(frame))?.outputs)
    }

    /// The probability of each label for an image file.
    ///
    /// # Errors
    /// The file is not a valid image, or the runtime failed.
    pub fn probabilities_of_file(&mut self, file: &Path) -> Result<&[f32], ClassifyFileError> {
        Ok(self.probabilities(&Frame::from_file(file)?)?)
    }

    /// The logit of each label for one frame.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn logits(&mut self, frame: &Frame) -> Result<&[f32], ClassifierError> {
        self.preprocess(std::iter::once(frame));
        self.run_network()?;
        Ok(&self.outputs)
    }

    fn preprocess<'f>(&mut self, frames: impl ExactSizeIterator<Item = &'f Frame>) {
        self.inputs.resize(frames.len() * INPUT_LEN, 0.0);
        self.preprocess_times.clear();
        for (frame, input) in frames.zip(self.inputs.chunks_exact_mut(INPUT_LEN)) {
            let start = Instant::now();
            self.preprocessor.tensor_from_frame(frame, input);
            self.preprocess_times.push(start.elapsed());
        }
    }

    fn run_network(&mut self) -> Result<(), ClassifierError> {
        self.outputs
            .resize(self.preprocess_times.len() * self.labels, 0.0);
        self.classifier.logits(&self.inputs, &mut self.outputs)
    }
}

impl<'a> Predictions<'a> {
    /// The probabilities of each frame, in the order of the frames.
    pub fn iter(&self) -> impl Iterator<Item = Prediction<'a>> + use<'a> {
        let rows = self.outputs.chunks_exact(self.labels).zip(self.preprocess_times);
        let inference_time = self.inference_time;
        rows.map(move |(probabilities, preprocess_time)| Prediction {
            probabilities,
            preprocess_time: *preprocess_time,
            inference_time,
        })
    }
}
