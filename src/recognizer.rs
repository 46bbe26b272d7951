//! From frames to probabilities, for one frame or a batch: by the landmarks or crops of hands, by the whole image, or by several of these.
//!
//! The node, bags, the command line and the training all classify frames with a [`Recognizer`], so that the same frame gets the same
//! probabilities everywhere.

mod auto;
mod fallback;
mod hand;
mod image;
mod landmarks;
pub mod model;
pub mod settings;
mod tracker;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use strum::IntoStaticStr;

use crate::classifier::candidates::Runtime;
use crate::classifier::{Classifier, ClassifierError};
use crate::frame::{Frame, FrameError};
use crate::hand::Hand;
use crate::model_store::Manifest;
use auto::AutoRecognizer;
use fallback::LoadOnCpu;
use hand::HandRecognizer;
use image::ImageRecognizer;
use landmarks::LandmarkRecognizer;
use settings::Method;

/// A loaded model with its preprocessing and buffers. It belongs to one thread.
pub struct Recognizer {
    method: LoadedMethod,
    labels: usize,
    results: Results,
    /// What to do if a GPU fails; `None` on a CPU, or if a GPU is required.
    load_on_cpu: Option<LoadOnCpu>,
    fallback_reason: Option<String>,
}

/// What the probabilities of a frame were computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, Serialize)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The landmarks of a hand, or that there is none.
    Landmarks,
    /// The crop of a hand, or that there is none.
    Hand,
    /// The whole image.
    Image,
}

/// What a method needs.
enum LoadedMethod {
    Image(Box<ImageRecognizer>),
    Hand(Box<HandRecognizer>),
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
    /// One for each frame.
    bases: Vec<Basis>,
    /// See [`Prediction::familiarity`].
    familiarity: Vec<Option<f32>>,
    /// One for each frame; see [`Prediction::is_familiar`].
    is_familiar: Vec<bool>,
}

/// The probabilities of a batch of frames.
#[derive(Clone, Copy)]
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
    /// What decided.
    pub basis: Basis,
    /// How much the frame resembles the training frames, 0 to 1; `None` if the image was not classified or the model remembers no frames.
    pub familiarity: Option<f32>,
    /// False if the image decided though the frame is unfamiliar: then the probabilities mean nothing.
    pub is_familiar: bool,
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
        Recognizer::by_image(ImageRecognizer::new(classifier, manifest, None))
    }

    fn by_image(image: ImageRecognizer) -> Recognizer {
        Recognizer::with_method(image.labels, LoadedMethod::Image(Box::new(image)))
    }

    /// The recognizer of a stored model by the landmarks of hands, and by its network for familiar frames without a hand.
    fn by_both(landmarks: LandmarkRecognizer, image: ImageRecognizer) -> Recognizer {
        let auto = AutoRecognizer::new(landmarks, image);
        Recognizer::with_method(auto.image.labels, LoadedMethod::Auto(Box::new(auto)))
    }

    fn by_hand(recognizer: HandRecognizer, manifest: &Manifest) -> Recognizer {
        Recognizer::with_method(manifest.labels.len(), LoadedMethod::Hand(Box::new(recognizer)))
    }

    fn by_landmarks(recognizer: LandmarkRecognizer) -> Recognizer {
        Recognizer::with_method(recognizer.labels(), LoadedMethod::Landmarks(Box::new(recognizer)))
    }

    fn with_method(labels: usize, method: LoadedMethod) -> Recognizer {
        Recognizer {
            method,
            labels,
            results: Results::default(),
            load_on_cpu: None,
            fallback_reason: None,
        }
    }

    /// What runs the networks, as `<runtime>/<device>/<precision>`.
    pub fn backend(&self) -> &str {
        match &self.method {
            LoadedMethod::Image(image) => image.classifier.backend(),
            LoadedMethod::Auto(auto) => auto.image.classifier.backend(),
            LoadedMethod::Hand(hand) => hand.classifier.backend(),
            LoadedMethod::Landmarks(landmarks) => landmarks.backend(),
        }
    }

    /// Whether all networks run on the CPU, with ONNX Runtime's own provider.
    fn is_on_cpu(&self) -> bool {
        let of_hands = match &self.method {
            LoadedMethod::Image(_) | LoadedMethod::Landmarks(_) => self.backend(),
            LoadedMethod::Auto(auto) => auto.landmarks.backend(),
            LoadedMethod::Hand(hand) => hand.tracker.backend(),
        };
        let cpu = format!("{}/", Runtime::OnnxCpu);
        [self.backend(), of_hands]
            .iter()
            .all(|backend| backend.starts_with(&cpu))
    }

    /// What decides: not the requested method if the networks for hands could not be loaded.
    pub fn method(&self) -> Method {
        match &self.method {
            LoadedMethod::Image(_) => Method::Image,
            LoadedMethod::Auto(_) => Method::Auto,
            LoadedMethod::Hand(_) => Method::Hand,
            LoadedMethod::Landmarks(_) => Method::Landmarks,
        }
    }

    /// Frames with a lower familiarity are unfamiliar: 0 to 1, where 0 makes no frame unfamiliar.
    pub fn set_familiarity_threshold(&mut self, threshold: f32) {
        match &mut self.method {
            LoadedMethod::Image(image) => image.familiarity_threshold = threshold,
            LoadedMethod::Auto(auto) => auto.image.familiarity_threshold = threshold,
            LoadedMethod::Hand(_) | LoadedMethod::Landmarks(_) => {}
        }
    }

    fn familiarity_threshold(&self) -> Option<f32> {
        match &self.method {
            LoadedMethod::Image(image) => Some(image.familiarity_threshold),
            LoadedMethod::Auto(auto) => Some(auto.image.familiarity_threshold),
            LoadedMethod::Hand(_) | LoadedMethod::Landmarks(_) => None,
        }
    }

    /// The probabilities of the labels for each frame. The network of a model classifies all frames in one batch. If a GPU fails, the CPU
    /// classifies them, and all later frames: see [`Recognizer::take_fallback_reason`].
    ///
    /// # Errors
    /// The runtime failed on the CPU, or on a GPU that is required.
    pub fn classify<'f>(
        &mut self,
        frames: impl ExactSizeIterator<Item = (Source, &'f Frame)> + Clone,
    ) -> Result<Predictions<'_>, ClassifierError> {
        if let Err(error) = self.run(frames.clone()) {
            self.fall_back(error)?;
            self.run(frames)?;
        }
        Ok(Predictions {
            labels: self.labels,
            inference_time: self.results.inference_time,
            results: &self.results,
        })
    }

    fn run<'f>(
        &mut self,
        frames: impl ExactSizeIterator<Item = (Source, &'f Frame)> + Clone,
    ) -> Result<(), ClassifierError> {
        match &mut self.method {
            LoadedMethod::Image(image) => image.classify(frames.map(|(_, frame)| frame), &mut self.results),
            LoadedMethod::Hand(hand) => hand.classify(frames, &mut self.results),
            LoadedMethod::Landmarks(landmarks) => landmarks.classify(frames, &mut self.results),
            LoadedMethod::Auto(auto) => auto.classify(frames, &mut self.results),
        }
    }

    /// The prediction for one frame.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn classify_frame(
        &mut self,
        source: Source,
        frame: &Frame,
    ) -> Result<Prediction<'_>, ClassifierError> {
        Ok(self.classify(std::iter::once((source, frame)))?.prediction(0))
    }

    /// The prediction for an image file.
    ///
    /// # Errors
    /// The file is not a valid image, or the runtime failed.
    pub fn classify_file(&mut self, file: &Path) -> Result<Prediction<'_>, ClassifyFileError> {
        Ok(self.classify_frame(Source::Still, &Frame::from_file(file)?)?)
    }

    /// Forgets the hands of all streams, as if the next frames were their first ones.
    pub fn forget_streams(&mut self) {
        match &mut self.method {
            LoadedMethod::Image(_) => {}
            LoadedMethod::Hand(hand) => hand.forget_streams(),
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
        self.bases.clear();
        self.familiarity.clear();
        self.is_familiar.clear();
    }

    /// Notes that all frames were classified by their hands, where familiarity is of no importance.
    fn set_hand_basis(&mut self, basis: Basis) {
        let frames = self.hands.len();
        self.bases.resize(frames, basis);
        self.familiarity.resize(frames, None);
        self.is_familiar.resize(frames, true);
    }
}

impl<'a> Predictions<'a> {
    /// The probabilities of each frame, in the order of the frames.
    pub fn iter(&self) -> impl Iterator<Item = Prediction<'a>> + use<'a> {
        let predictions = *self;
        (0..self.results.bases.len()).map(move |index| predictions.prediction(index))
    }

    /// The prediction for the frame of this index.
    fn prediction(&self, index: usize) -> Prediction<'a> {
        let results = self.results;
        Prediction {
            probabilities: &results.probabilities[index * self.labels..][..self.labels],
            hands: results.hands.get(index).map_or(&[], Vec::as_slice),
            basis: results.bases[index],
            familiarity: results.familiarity[index],
            is_familiar: results.is_familiar[index],
            preprocess_time: results.preprocess_times[index],
            inference_time: self.inference_time,
        }
    }
}
