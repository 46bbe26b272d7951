//! Classifies frames by the landmarks of the hands in them.

use std::time::{Duration, Instant};

use super::tracker::{HandTracker, of_surest_hand};
use super::{Basis, Results, Source};
use crate::classifier::ClassifierError;
use crate::frame::Frame;
use crate::gesture::Gesture;
use crate::hand::taught::LandmarkClassifier;
use crate::hand::{Hand, rule};

/// The gestures that the rule distinguishes, in the order of its probabilities, which is that of a dataset's labels.
pub(super) const GESTURES: [Gesture; 3] = [Gesture::None, Gesture::ThumbsDown, Gesture::ThumbsUp];

/// Finds hands, follows those of streams, and classifies them.
pub(super) struct LandmarkRecognizer {
    tracker: HandTracker,
    classifier: HandClassifier,
}

/// What classifies the landmarks of a hand.
pub(super) enum HandClassifier {
    /// The [`rule`], which needs no training, for [`GESTURES`].
    Rule,
    /// What a model was taught.
    Taught(LandmarkClassifier),
}

impl LandmarkRecognizer {
    pub(super) fn new(tracker: HandTracker, classifier: HandClassifier) -> LandmarkRecognizer {
        LandmarkRecognizer { tracker, classifier }
    }

    pub(super) fn backend(&self) -> &str {
        self.tracker.backend()
    }

    pub(super) fn labels(&self) -> usize {
        self.classifier.gestures().len()
    }

    /// Classifies one frame after the other.
    pub(super) fn classify<'f>(
        &mut self,
        frames: impl Iterator<Item = (Source, &'f Frame)>,
        results: &mut Results,
    ) -> Result<(), ClassifierError> {
        results.clear();
        let start = Instant::now();
        for (source, frame) in frames {
            let hands = self.tracker.hands(source, frame)?;
            let probabilities = self.classifier.probabilities(&hands, self.tracker.camera_roll);
            results.probabilities.extend(probabilities);
            results.preprocess_times.push(self.tracker.take_sampling_time());
            results.hands.push(hands);
        }
        results.set_hand_basis(Basis::Landmarks);
        let preprocess_time: Duration = results.preprocess_times.iter().sum();
        results.inference_time = start.elapsed().saturating_sub(preprocess_time);
        Ok(())
    }

    pub(super) fn forget_streams(&mut self) {
        self.tracker.forget_streams();
    }
}

impl HandClassifier {
    /// What the labels mean, in their order.
    fn gestures(&self) -> &[Gesture] {
        match self {
            HandClassifier::Rule => &GESTURES,
            HandClassifier::Taught(classifier) => classifier.gestures(),
        }
    }

    /// The probability of each label for a frame; see [`of_surest_hand`].
    fn probabilities(&self, hands: &[Hand], camera_roll: f32) -> Vec<f32> {
        let rows = hands
            .iter()
            .map(|hand| self.probabilities_of_hand(hand, camera_roll));
        of_surest_hand(rows, self.gestures())
    }

    fn probabilities_of_hand(&self, hand: &Hand, camera_roll: f32) -> Vec<f32> {
        match self {
            HandClassifier::Rule => {
                let thumb = rule::classify(hand, camera_roll);
                GESTURES.map(|gesture| thumb.probability(gesture)).to_vec()
            }
            HandClassifier::Taught(classifier) => classifier.probabilities(hand, camera_roll),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand::Region;
    use crate::hand::features::FEATURES;
    use crate::hand::simulated::simulated_hands;

    fn hands() -> Vec<Hand> {
        let simulated = simulated_hands(2, 3).into_iter();
        let hand = |simulated: crate::hand::simulated::SimulatedHand| Hand {
            landmarks: simulated.landmarks,
            world: simulated.world,
            presence: 1.0,
            visible: 1.0,
            right: 0.5,
            region: Region {
                center: [0.0; 2],
                side_px: 1.0,
                rotation: 0.0,
            },
        };
        simulated.map(hand).collect()
    }

    #[test]
    fn probabilities_of_a_hand_are_those_of_its_thumb_and_sum_to_one() {
        for hand in hands() {
            let thumb = rule::classify(&hand, 0.0);
            let found = HandClassifier::Rule.probabilities(&[hand], 0.0);
            let index = GESTURES.iter().position(|gesture| *gesture == thumb.gesture);
            assert_eq!(found[index.expect("a thumb")], thumb.confidence);
            assert!((found.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn surest_thumb_decides() {
        let hands = hands();
        let surest = rule::surest(&hands, 0.0).expect("hands");
        let found = HandClassifier::Rule.probabilities(&hands, 0.0);
        assert_eq!(found[0], 1.0 - surest.confidence);
    }

    #[test]
    fn frame_without_a_hand_has_no_gesture() {
        assert_eq!(HandClassifier::Rule.probabilities(&[], 0.0), [1.0, 0.0, 0.0]);
        let gestures = vec![Gesture::ThumbsUp, Gesture::Other];
        let taught = LandmarkClassifier::new(vec![0.0; 2 * FEATURES], vec![0.0; 2], gestures);
        let found = HandClassifier::Taught(taught).probabilities(&[], 0.0);
        assert_eq!(found, [0.5, 0.5], "no label for no gesture");
    }
}
