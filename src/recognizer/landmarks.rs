//! Classifies frames by the landmarks of the hands in them.

use std::time::{Duration, Instant};

use super::settings::HandSettings;
use super::{Results, Source};
use crate::classifier::ClassifierError;
use crate::classifier::candidates::Runtime;
use crate::frame::Frame;
use crate::gesture::Gesture;
use crate::hand::finder::{Followed, HandFinder};
use crate::hand::taught::LandmarkClassifier;
use crate::hand::{Hand, HandNetworks, rule};

/// The gestures that the rule distinguishes, in the order of its probabilities, which is that of a dataset's labels.
pub(super) const GESTURES: [Gesture; 3] = [Gesture::None, Gesture::ThumbsDown, Gesture::ThumbsUp];

/// Finds hands, follows those of streams, and classifies them.
pub(super) struct LandmarkRecognizer {
    finder: HandFinder,
    /// What runs the landmark network.
    pub(super) backend: String,
    classifier: HandClassifier,
    /// Radians, clockwise.
    camera_roll: f32,
    /// One of this number of frames of a stream is searched while no sure hand is followed.
    frames_per_search: usize,
    /// One for each stream so far.
    followed: Vec<Followed>,
}

/// What classifies the landmarks of a hand.
pub(super) enum HandClassifier {
    /// The [`rule`], which needs no training, for [`GESTURES`].
    Rule,
    /// What a model was taught.
    Taught(LandmarkClassifier),
}

impl LandmarkRecognizer {
    /// Loads the installed networks for hands, and runs them once.
    ///
    /// # Errors
    /// A network is not installed, or the runtime failed.
    pub(super) fn load(
        classifier: HandClassifier,
        settings: &HandSettings,
    ) -> Result<LandmarkRecognizer, ClassifierError> {
        let networks = HandNetworks::installed()?;
        let backend = format!("{}/{}", Runtime::OnnxCpu, networks.precision());
        let mut finder = HandFinder::new(networks, settings.max_hands);
        finder.warm_up()?;
        Ok(LandmarkRecognizer {
            finder,
            backend,
            classifier,
            camera_roll: settings.camera_roll_deg.to_radians(),
            frames_per_search: 1,
            followed: Vec::new(),
        })
    }

    /// Searches only one of `frames` frames of a stream.
    pub(super) fn searching_one_of(self, frames: usize) -> LandmarkRecognizer {
        LandmarkRecognizer {
            frames_per_search: frames,
            ..self
        }
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
            let hands = self.hands(source, frame)?;
            let probabilities = self.classifier.probabilities(&hands, self.camera_roll);
            results.probabilities.extend(probabilities);
            results.preprocess_times.push(self.finder.take_sampling_time());
            results.hands.push(hands);
        }
        let preprocess_time: Duration = results.preprocess_times.iter().sum();
        results.inference_time = start.elapsed().saturating_sub(preprocess_time);
        Ok(())
    }

    fn hands(&mut self, source: Source, frame: &Frame) -> Result<Vec<Hand>, ClassifierError> {
        match source {
            Source::Still => self.finder.search(frame),
            Source::Stream(stream) => {
                if self.followed.len() <= stream {
                    self.followed.resize_with(stream + 1, Followed::default);
                }
                let followed = &mut self.followed[stream];
                self.finder.follow(frame, followed, self.frames_per_search)
            }
        }
    }

    pub(super) fn forget_streams(&mut self) {
        self.followed.clear();
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

    /// The probability of each label for a frame: those of the hand whose gesture is the most probable one.
    ///
    /// A frame without a hand shows no gesture. If there is no label for that, no label is more probable than another.
    fn probabilities(&self, hands: &[Hand], camera_roll: f32) -> Vec<f32> {
        let gestures = self.gestures();
        let of_gestures = |row: &Vec<f32>| {
            let gestures = row.iter().zip(gestures);
            let gestures = gestures.filter(|(_, gesture)| **gesture != Gesture::None);
            gestures.map(|(probability, _)| *probability).fold(0.0, f32::max)
        };
        let rows = hands
            .iter()
            .map(|hand| self.probabilities_of_hand(hand, camera_roll));
        rows.max_by(|a, b| of_gestures(a).total_cmp(&of_gestures(b)))
            .unwrap_or_else(|| {
                let none = gestures.iter().position(|gesture| *gesture == Gesture::None);
                let without_hand = |index| match none {
                    Some(none) => f32::from(u8::from(index == none)),
                    None => 1.0 / gestures.len() as f32,
                };
                (0..gestures.len()).map(without_hand).collect()
            })
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
