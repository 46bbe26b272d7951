//! Classifies frames with a certain hand by its landmarks, and the others by the whole image if they are familiar. What is neither shows no
//! gesture.

use super::image::ImageRecognizer;
use super::landmarks::LandmarkRecognizer;
use super::{Basis, Results, Source};
use crate::classifier::ClassifierError;
use crate::frame::Frame;
use crate::hand::Hand;

/// The network takes its share of the time while no hand is seen, so that only every second frame is searched then.
pub(super) const FRAMES_PER_SEARCH: usize = 2;

/// Both recognizers of a model, which have the same labels.
pub(super) struct AutoRecognizer {
    pub(super) landmarks: LandmarkRecognizer,
    pub(super) image: ImageRecognizer,
    /// For the frames without a certain hand.
    image_results: Results,
}

impl AutoRecognizer {
    pub(super) fn new(landmarks: LandmarkRecognizer, image: ImageRecognizer) -> AutoRecognizer {
        AutoRecognizer {
            landmarks,
            image,
            image_results: Results::default(),
        }
    }

    /// Searches all frames for hands, then classifies those without a certain hand by the image, in one batch, which decides on the familiar
    /// ones.
    pub(super) fn classify<'f>(
        &mut self,
        frames: impl ExactSizeIterator<Item = (Source, &'f Frame)> + Clone,
        results: &mut Results,
    ) -> Result<(), ClassifierError> {
        self.landmarks.classify(frames.clone(), results)?;
        let frames = frames.zip(&results.hands).enumerate();
        let for_image = frames.filter(|(_, (_, hands))| !hands.iter().any(Hand::is_certain));
        let (indices, frames): (Vec<usize>, Vec<&Frame>) =
            for_image.map(|(index, ((_, frame), _))| (index, frame)).unzip();
        if frames.is_empty() {
            return Ok(());
        }
        self.image.classify(frames.into_iter(), &mut self.image_results)?;
        let (labels, by_image) = (self.image.labels, &self.image_results);
        let rows = by_image.probabilities.chunks_exact(labels);
        for (from, (to, row)) in indices.into_iter().zip(rows).enumerate() {
            results.preprocess_times[to] += by_image.preprocess_times[from];
            results.familiarity[to] = by_image.familiarity[from];
            if by_image.is_familiar[from] {
                results.probabilities[to * labels..][..labels].copy_from_slice(row);
                results.bases[to] = Basis::Image;
            }
        }
        results.inference_time += by_image.inference_time;
        Ok(())
    }

    pub(super) fn forget_streams(&mut self) {
        self.landmarks.forget_streams();
    }
}
