//! Classifies frames with a certain hand by its landmarks, and the others by the whole image if they are familiar. What is neither shows no
//! gesture.

use super::image::ImageRecognizer;
use super::landmarks::LandmarkRecognizer;
use super::{Results, Source};
use crate::classifier::ClassifierError;
use crate::dataset::fingerprint::Thumbnail;
use crate::familiarity::Familiarity;
use crate::frame::Frame;
use crate::hand::Hand;
use crate::preprocess::Preprocessor;

/// The network takes its share of the time while no hand is seen, so that only every second frame is searched then.
pub(super) const FRAMES_PER_SEARCH: usize = 2;

/// Both recognizers of a model, which have the same labels.
pub(super) struct AutoRecognizer {
    landmarks: LandmarkRecognizer,
    familiarity: Familiarity,
    /// For thumbnails.
    preprocessor: Preprocessor,
    pub(super) image: ImageRecognizer,
    /// For the familiar frames without a certain hand.
    image_results: Results,
}

impl AutoRecognizer {
    pub(super) fn new(
        landmarks: LandmarkRecognizer,
        familiarity: Familiarity,
        image: ImageRecognizer,
    ) -> AutoRecognizer {
        AutoRecognizer {
            landmarks,
            familiarity,
            preprocessor: Preprocessor::new(),
            image,
            image_results: Results::default(),
        }
    }

    /// Searches all frames for hands, then classifies the familiar ones without a certain hand by the image, in one batch.
    pub(super) fn classify<'f>(
        &mut self,
        frames: impl ExactSizeIterator<Item = (Source, &'f Frame)> + Clone,
        results: &mut Results,
    ) -> Result<(), ClassifierError> {
        self.landmarks.classify(frames.clone(), results)?;
        let (familiarity, preprocessor) = (&self.familiarity, &mut self.preprocessor);
        let mut is_familiar = |frame: &Frame| {
            let square = preprocessor.square_from_frame(frame);
            familiarity.includes(&Thumbnail::from_square(&square))
        };
        let frames = frames.zip(&results.hands).enumerate();
        let for_image = frames
            .filter(|(_, ((_, frame), hands))| !hands.iter().any(Hand::is_certain) && is_familiar(frame));
        let (indices, frames): (Vec<usize>, Vec<&Frame>) =
            for_image.map(|(index, ((_, frame), _))| (index, frame)).unzip();
        if frames.is_empty() {
            return Ok(());
        }
        self.image.classify(frames.into_iter(), &mut self.image_results)?;
        let labels = self.image.labels;
        let rows = self.image_results.probabilities.chunks_exact(labels);
        for ((index, row), time) in indices
            .into_iter()
            .zip(rows)
            .zip(&self.image_results.preprocess_times)
        {
            results.probabilities[index * labels..][..labels].copy_from_slice(row);
            results.preprocess_times[index] += *time;
        }
        results.inference_time += self.image_results.inference_time;
        Ok(())
    }

    pub(super) fn forget_streams(&mut self) {
        self.landmarks.forget_streams();
    }
}
