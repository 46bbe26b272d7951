//! Classifies whole frames: preprocessing, network, temperature and softmax.

use std::time::Instant;

use super::settings::FAMILIARITY_THRESHOLD;
use super::{Basis, Results};
use crate::classifier::{Classifier, ClassifierError};
use crate::familiarity::Familiarity;
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
    /// `None` if the model remembers no training frames.
    familiarity: Option<Familiarity>,
    pub(super) familiarity_threshold: f32,
    /// The network inputs of all frames, concatenated.
    inputs: Vec<f32>,
    /// The features of all frames, concatenated; empty without `familiarity`.
    features: Vec<f32>,
}

impl ImageRecognizer {
    pub(super) fn new(
        classifier: Box<dyn Classifier>,
        manifest: &Manifest,
        familiarity: Option<Familiarity>,
    ) -> ImageRecognizer {
        ImageRecognizer {
            classifier,
            preprocessor: Preprocessor::with(&manifest.preprocessing),
            labels: manifest.labels.len(),
            temperature: manifest.temperature as f32,
            familiarity,
            familiarity_threshold: FAMILIARITY_THRESHOLD,
            inputs: Vec::new(),
            features: Vec::new(),
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
        self.measure_familiarity(results);
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
        let features = self.familiarity.as_ref().map_or(0, Familiarity::features);
        self.features.resize(frames * features, 0.0);
        self.classifier
            .logits_and_features(&self.inputs, &mut results.probabilities, &mut self.features)
    }

    fn measure_familiarity(&self, results: &mut Results) {
        let frames = results.preprocess_times.len();
        results.bases.resize(frames, Basis::Image);
        match &self.familiarity {
            Some(familiarity) => {
                let features = self.features.chunks_exact(familiarity.features());
                let familiarity = features.map(|features| Some(familiarity.of(features)));
                results.familiarity.extend(familiarity);
            }
            None => results.familiarity.resize(frames, None),
        }
        let threshold = self.familiarity_threshold;
        let familiarity = results.familiarity.iter();
        let is_familiar = familiarity.map(|value| value.is_none_or(|value| value >= threshold));
        results.is_familiar.extend(is_familiar);
    }
}
