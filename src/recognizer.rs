//! From frames to probabilities, for one frame or a batch: by the landmarks of hands, by the network of a model, or by both.
//!
//! The node, bags, the command line and the training all classify frames with a [`Recognizer`], so that the same frame gets the same
//! probabilities everywhere.

mod auto;
mod image;
mod landmarks;
pub mod model;
pub mod settings;

use std::path::Path;
use std::time::Duration;

use crate::classifier::{Classifier, ClassifierError};
use crate::familiarity::Familiarity;
use crate::frame::{Frame, FrameError};
use crate::hand::Hand;
use crate::model_store::Manifest;
use auto::AutoRecognizer;
use image::ImageRecognizer;
use landmarks::LandmarkRecognizer;

/// A loaded model with its preprocessing and buffers. It belongs to one thread.
pub struct Recognizer {
    method: LoadedMethod,
    labels: usize,
    results: Results,
}

/// What a method needs.
enum LoadedMethod {
    Image(Box<ImageRecognizer>),
    Landmarks(Box<LandmarkRecognizer>),
    Auto(Box<AutoRecognizer>),
}

/// Where a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A single image, which is searched for hands thoroughly.
    Still,
    /// The next frame of the stream of this number: hands are followed from frame to frame, at a bounded cost per frame.
    Stream(usize),
}

/// The results for a batch. The buffers keep the size of the largest batch so far.
#[derive(Default)]
struct Results {
    /// One row for each frame.
    probabilities: Vec<f32>,
    preprocess_times: Vec<Duration>,
    inference_time: Duration,
    /// The hands in each frame; empty if the method does not look for hands.
    hands: Vec<Vec<Hand>>,
}

/// The probabilities of a batch of frames.
pub struct Predictions<'a> {
    results: &'a Results,
    labels: usize,
    /// Time of the networks and what follows for the whole batch.
    pub inference_time: Duration,
}

/// The probabilities of one frame, and what they cost.
#[derive(Clone, Copy)]
pub struct Prediction<'a> {
    /// One for each label, in the model's order; they sum to 1.
    pub probabilities: &'a [f32],
    /// The hands that were found; empty if the method does not look for hands.
    pub hands: &'a [Hand],
    /// Time to compute the network inputs.
    pub preprocess_time: Duration,
    /// Time of the networks and what follows for the whole batch.
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
    /// The recognizer of a stored model by its network, with the preprocessing, the labels and the temperature of its manifest.
    pub fn new(classifier: Box<dyn Classifier>, manifest: &Manifest) -> Recognizer {
        let image = ImageRecognizer::new(classifier, manifest);
        Recognizer::with_method(image.labels, LoadedMethod::Image(Box::new(image)))
    }

    /// The recognizer of a stored model by the landmarks of hands, and by its network for familiar frames without a hand.
    fn by_both(
        landmarks: LandmarkRecognizer,
        familiarity: Familiarity,
        classifier: Box<dyn Classifier>,
        manifest: &Manifest,
    ) -> Recognizer {
        let image = ImageRecognizer::new(classifier, manifest);
        let auto = AutoRecognizer::new(landmarks, familiarity, image);
        Recognizer::with_method(manifest.labels.len(), LoadedMethod::Auto(Box::new(auto)))
    }

    fn by_landmarks(recognizer: LandmarkRecognizer) -> Recognizer {
        Recognizer::with_method(recognizer.labels(), LoadedMethod::Landmarks(Box::new(recognizer)))
    }

    fn with_method(labels: usize, method: LoadedMethod) -> Recognizer {
        Recognizer {
            method,
            labels,
            results: Results::default(),
        }
    }

    /// What runs the networks, as `<runtime>/<device>/<precision>`.
    pub fn backend(&self) -> &str {
        match &self.method {
            LoadedMethod::Image(image) => image.classifier.backend(),
            LoadedMethod::Auto(auto) => auto.image.classifier.backend(),
            LoadedMethod::Landmarks(landmarks) => &landmarks.backend,
        }
    }

    /// The probabilities of the labels for each frame. The network of a model classifies all frames in one batch.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn classify<'f>(
        &mut self,
        frames: impl ExactSizeIterator<Item = (Source, &'f Frame)> + Clone,
    ) -> Result<Predictions<'_>, ClassifierError> {
        match &mut self.method {
            LoadedMethod::Image(image) => {
                image.classify(frames.map(|(_, frame)| frame), &mut self.results)?;
            }
            LoadedMethod::Landmarks(landmarks) => landmarks.classify(frames, &mut self.results)?,
            LoadedMethod::Auto(auto) => auto.classify(frames, &mut self.results)?,
        }
        Ok(Predictions {
            labels: self.labels,
            inference_time: self.results.inference_time,
            results: &self.results,
        })
    }

    /// The probability of each label for one frame.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn probabilities(&mut self, source: Source, frame: &Frame) -> Result<&[f32], ClassifierError> {
        self.classify(std::iter::once((source, frame)))?;
        Ok(&self.results.probabilities)
    }

    /// The probability of each label for an image file.
    ///
    /// # Errors
    /// The file is not a valid image, or the runtime failed.
    pub fn probabilities_of_file(&mut self, file: &Path) -> Result<&[f32], ClassifyFileError> {
        Ok(self.probabilities(Source::Still, &Frame::from_file(file)?)?)
    }

    /// Forgets the hands of all streams, as if the next frames were their first ones.
    pub fn forget_streams(&mut self) {
        match &mut self.method {
            LoadedMethod::Image(_) => {}
            LoadedMethod::Landmarks(landmarks) => landmarks.forget_streams(),
            LoadedMethod::Auto(auto) => auto.forget_streams(),
        }
    }
}

impl Results {
    fn clear(&mut self) {
        self.probabilities.clear();
        self.preprocess_times.clear();
        self.hands.clear();
    }
}

impl<'a> Predictions<'a> {
    /// The probabilities of each frame, in the order of the frames.
    pub fn iter(&self) -> impl Iterator<Item = Prediction<'a>> + use<'a> {
        let (results, inference_time) = (self.results, self.inference_time);
        let rows = results.probabilities.chunks_exact(self.labels);
        let rows = rows.zip(&results.preprocess_times).enumerate();
        rows.map(move |(index, (probabilities, preprocess_time))| Prediction {
            probabilities,
            hands: results.hands.get(index).map_or(&[], Vec::as_slice),
            preprocess_time: *preprocess_time,
            inference_time,
        })
    }
}
