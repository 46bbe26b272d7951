//! Classifies whole frames: preprocessing, network, temperature and softmax.

use std::time::Instant;

use super::Results;
use crate::classifier::{Classifier, ClassifierError};
use crate::frame::Frame;
use crate::model_store::Manifest;
use crate::preprocess::{INPUT_LEN, Preprocessor};
use crate::probability::softmax;

/// A network with its preprocessing and buffers.
pub(super) struct ImageRecognizer {
    pub(super) classifier: Box<dyn Classifier>,
    preprocessor: Preprocessor,
    pub(super) labels: usize,
    temperature: f32,
    /// The network inputs of all frames, concatenated.
    inputs: Vec<f32>,
}

impl ImageRecognizer {
    pub(super) fn new(classifier: Box<dyn Classifier>, manifest: &Manifest) -> ImageRecognizer {
        ImageRecognizer {
            classifier,
            preprocessor: Preprocessor::with(&manifest.preprocessing),
            labels: manifest.labels.len(),
            temperature: manifest.temperature as f32,
            inputs: Vec::new(),
        }
    }

    /// Classifies all frames in one batch. The buffers keep the size of the largest batch so far.
    pub(super) fn classify<'f>(
        &mut self,
        frames: impl ExactSizeIterator<Item = &'f Frame>,
        results: &mut Results,
    ) -> Result<(), ClassifierError> {
        self.preprocess(frames, results);
        let start = Instant::now();
        self.run_network(results)?;
        for logits in results.probabilities.chunks_exact_mut(self.labels) {
            softmax(logits, self.temperature);
        }
        results.inference_time = start.elapsed();
        Ok(())
    }

    fn preprocess<'f>(&mut self, frames: impl ExactSizeIterator<Item = &'f Frame>, results: &mut Results) {
        self.inputs.resize(frames.len() * INPUT_LEN, 0.0);
        results.clear();
        for (frame, input) in frames.zip(self.inputs.chunks_exact_mut(INPUT_LEN)) {
            let start = Instant::now();
            self.preprocessor.tensor_from_frame(frame, input);
            results.preprocess_times.push(start.elapsed());
        }
    }

    fn run_network(&mut self, results: &mut Results) -> Result<(), ClassifierError> {
        let frames = results.preprocess_times.len();
        results.probabilities.resize(frames * self.labels, 0.0);
        self.classifier.logits(&self.inputs, &mut results.probabilities)
    }
}
