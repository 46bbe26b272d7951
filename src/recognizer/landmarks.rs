//! Classifies frames by the landmarks of the hands in them, with the [`rule`] that needs no training.

use std::time::{Duration, Instant};

use super::settings::HandSettings;
use super::{Results, Source};
use crate::classifier::ClassifierError;
use crate::frame::Frame;
use crate::gesture::Gesture;
use crate::hand::finder::{Followed, HandFinder};
use crate::hand::{Hand, HandNetworks, rule};

/// The gestures that the rule distinguishes, in the order of its probabilities, which is that of a dataset's labels.
pub(super) const GESTURES: [Gesture; 3] = [Gesture::None, Gesture::ThumbsDown, Gesture::ThumbsUp];

/// Finds hands, and follows those of streams.
pub(super) struct LandmarkRecognizer {
    finder: HandFinder,
    /// Radians, clockwise.
    camera_roll: f32,
    /// One for each stream so far.
    followed: Vec<Followed>,
}

impl LandmarkRecognizer {
    pub(super) const BACKEND: &'static str = "onnx/cpu/fp32";

    /// Loads the installed networks for hands, and runs them once.
    ///
    /// # Errors
    /// A network is not installed, or the runtime failed.
    pub(super) fn load(settings: &HandSettings) -> Result<LandmarkRecognizer, ClassifierError> {
        let mut finder = HandFinder::new(HandNetworks::installed()?, settings.max_hands);
        finder.warm_up()?;
        Ok(LandmarkRecognizer {
            finder,
            camera_roll: settings.camera_roll_deg.to_radians(),
            followed: Vec::new(),
        })
    }

    pub(super) fn labels(&self) -> usize {
        GESTURES.len()
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
            let probabilities = probabilities(&hands, self.camera_roll);
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
                self.finder.follow(frame, &mut self.followed[stream])
            }
        }
    }

    pub(super) fn forget_streams(&mut self) {
        self.followed.clear();
    }
}

/// The probabilities of [`GESTURES`], by the surest thumb; a frame without a hand has no gesture.
fn probabilities(hands: &[Hand], camera_roll: f32) -> [f32; GESTURES.len()] {
    let thumb = rule::surest(hands, camera_roll);
    GESTURES.map(|gesture| match thumb {
        Some(thumb) if gesture == thumb.gesture => thumb.confidence,
        Some(thumb) if gesture == Gesture::None => 1.0 - thumb.confidence,
        None if gesture == Gesture::None => 1.0,
        _ => 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand::Region;
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
            let found = probabilities(&[hand], 0.0);
            let index = GESTURES.iter().position(|gesture| *gesture == thumb.gesture);
            assert_eq!(found[index.expect("a thumb")], thumb.confidence);
            assert!((found.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn surest_thumb_decides() {
        let hands = hands();
        let surest = rule::surest(&hands, 0.0).expect("hands");
        let [none, ..] = probabilities(&hands, 0.0);
        assert_eq!(none, 1.0 - surest.confidence);
    }

    #[test]
    fn frame_without_a_hand_has_no_gesture() {
        assert_eq!(probabilities(&[], 0.0), [1.0, 0.0, 0.0]);
    }
}
