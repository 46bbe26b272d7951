//! Classifies frames by the crops of the hands in them: a network of the model sees each hand alone, and nothing of the room.

use std::time::{Duration, Instant};

use super::tracker::{HandTracker, of_surest_hand};
use super::{Basis, Results, Source};
use crate::classifier::{Classifier, ClassifierError};
use crate::frame::Frame;
use crate::gesture::Gesture;
use crate::hand::Hand;
use crate::hand::crop::write_crop;
use crate::model_store::{Manifest, manifest::HandNetwork};
use crate::preprocess::{INPUT_LEN, normalize};
use crate::probability::softmax;

/// A network for crops of hands with its buffers, which keep the size of the largest batch so far.
pub(super) struct HandRecognizer {
    pub(super) tracker: HandTracker,
    pub(super) classifier: Box<dyn Classifier>,
    gestures: Vec<Gesture>,
    temperature: f32,
    /// The network inputs of all hands, concatenated.
    inputs: Vec<f32>,
    /// For each hand the index of its frame, in ascending order.
    frames: Vec<usize>,
    /// One row for each hand.
    probabilities: Vec<f32>,
}

impl HandRecognizer {
    pub(super) fn new(
        tracker: HandTracker,
        classifier: Box<dyn Classifier>,
        manifest: &Manifest,
        network: &HandNetwork,
    ) -> HandRecognizer {
        let labels = manifest.labels.iter();
        HandRecognizer {
            tracker,
            classifier,
            gestures: labels.map(|label| Gesture::from_label(label.as_str())).collect(),
            temperature: network.temperature as f32,
            inputs: Vec::new(),
            frames: Vec::new(),
            probabilities: Vec::new(),
        }
    }

    /// Classifies all certain hands of all frames in one batch.
    pub(super) fn classify<'f>(
        &mut self,
        frames: impl Iterator<Item = (Source, &'f Frame)>,
        results: &mut Results,
    ) -> Result<(), ClassifierError> {
        results.clear();
        let start = Instant::now();
        self.frames.clear();
        for (index, (source, frame)) in frames.enumerate() {
            let hands = self.tracker.hands(source, frame)?;
            let crop_start = Instant::now();
            for hand in hands.iter().filter(|hand| hand.is_certain()) {
                self.add_crop(index, frame, hand);
            }
            let preprocess_time = self.tracker.take_sampling_time() + crop_start.elapsed();
            results.preprocess_times.push(preprocess_time);
            results.hands.push(hands);
        }
        self.run_network()?;
        let labels = self.gestures.len();
        for frame in 0..results.hands.len() {
            let rows = self.frames.iter().zip(self.probabilities.chunks_exact(labels));
            let of_frame = rows.filter(|(owner, _)| **owner == frame);
            let of_frame = of_frame.map(|(_, row)| row.to_vec());
            let row = of_surest_hand(of_frame, &self.gestures);
            results.probabilities.extend(row);
        }
        results.set_hand_basis(Basis::Hand);
        let preprocess_time: Duration = results.preprocess_times.iter().sum();
        results.inference_time = start.elapsed().saturating_sub(preprocess_time);
        Ok(())
    }

    fn add_crop(&mut self, index: usize, frame: &Frame, hand: &Hand) {
        let begin = self.frames.len() * INPUT_LEN;
        if self.inputs.len() < begin + INPUT_LEN {
            self.inputs.resize(begin + INPUT_LEN, 0.0);
        }
        let input = &mut self.inputs[begin..][..INPUT_LEN];
        write_crop(frame, hand.crop(self.tracker.camera_roll), input);
        normalize(input);
        self.frames.push(index);
    }

    fn run_network(&mut self) -> Result<(), ClassifierError> {
        let (hands, labels) = (self.frames.len(), self.gestures.len());
        self.probabilities.resize(hands * labels, 0.0);
        if hands > 0 {
            let inputs = &self.inputs[..hands * INPUT_LEN];
            self.classifier.logits(inputs, &mut self.probabilities)?;
        }
        for logits in self.probabilities.chunks_exact_mut(labels) {
            softmax(logits, self.temperature);
        }
        Ok(())
    }

    pub(super) fn forget_streams(&mut self) {
        self.tracker.forget_streams();
    }
}
