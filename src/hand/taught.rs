//! A linear classifier of landmarks that is taught with examples.
//!
//! Examples of one person show few poses from few sides. Therefore they are completed by their mirror images and, if the labels are none,
//! thumbs up and thumbs down, by simulated hands, and the classifier decides together with the rule.

use std::path::Path;

use super::features::{FEATURES, PALM, SIDES, features};
use super::rule::classify;
use super::simulated::simulated_hands;
use super::{Hand, LANDMARKS, Point};
use crate::dataset::Label;
use crate::gesture::Gesture;
use crate::network::onnx::landmarks::LandmarkGraph;
use crate::network::onnx::{Batch, ExportError};
use crate::probability::softmax;
use crate::weights::{Initialization, ParameterSpec, Tensor, Weights, WeightsError};

/// Views of each simulated pose.
const SIMULATED_VIEWS: usize = 60;
/// Weight of the simulated hands of a label relative to the taught ones.
const SIMULATED_WEIGHT: f64 = 0.3;
/// The rule's share of the probabilities: more than half, so that it decides if both are certain of different gestures.
pub(crate) const RULE_SHARE: f32 = 0.55;
/// Names of the tensors.
const WEIGHT: &str = "landmarks.weight";
const BIAS: &str = "landmarks.bias";

/// The examples of a ridge regression.
pub struct Examples {
    /// [`FEATURES`] values of each example, concatenated.
    pub rows: Vec<f32>,
    /// Index of each example's label.
    pub labels: Vec<i64>,
    /// All labels have the same weight in total.
    pub weights: Vec<f64>,
}

/// Weights of a classifier, and what its labels mean.
pub struct LandmarkClassifier {
    /// [`FEATURES`] values for each label, concatenated.
    weight: Vec<f32>,
    bias: Vec<f32>,
    gestures: Vec<Gesture>,
}

impl Examples {
    /// The examples for hands, as an upright camera sees them, with the indices of their labels.
    pub fn new(hands: &[([Point; LANDMARKS], usize)], gestures: &[Gesture]) -> Examples {
        let mut examples = Examples {
            rows: Vec::new(),
            labels: Vec::new(),
            weights: Vec::new(),
        };
        let mirrored = |landmarks: &[Point; LANDMARKS]| landmarks.map(|[x, y, z]| [-x, y, z]);
        let both = hands
            .iter()
            .flat_map(|(landmarks, label)| [(*landmarks, *label), (mirrored(landmarks), *label)]);
        examples.add(both.collect(), gestures.len(), 1.0);
        if are_thumbs(gestures) {
            let label = |gesture: Gesture| gestures.iter().position(|other| *other == gesture);
            let simulated = simulated_hands(SIMULATED_VIEWS, 0).into_iter();
            let simulated = simulated.filter_map(|hand| Some((hand.landmarks, label(hand.gesture)?)));
            examples.add(simulated.collect(), gestures.len(), SIMULATED_WEIGHT);
        }
        examples
    }

    fn add(&mut self, hands: Vec<([Point; LANDMARKS], usize)>, labels: usize, weight: f64) {
        let mut counts = vec![0.0; labels];
        hands.iter().for_each(|(_, label)| counts[*label] += 1.0);
        for (landmarks, label) in hands {
            self.rows.extend(features(&landmarks));
            self.labels.push(label as i64);
            self.weights.push(weight / counts[label]);
        }
    }
}

impl LandmarkClassifier {
    /// A classifier with the weights of a regression.
    ///
    /// # Panics
    /// The number of weights does not match that of the labels.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, gestures: Vec<Gesture>) -> LandmarkClassifier {
        assert_eq!(weight.len(), FEATURES * gestures.len());
        assert_eq!(bias.len(), gestures.len());
        LandmarkClassifier {
            weight,
            bias,
            gestures,
        }
    }

    /// The classifier that [`LandmarkClassifier::to_weights`] has saved; `labels` are those of the model.
    ///
    /// # Errors
    /// A tensor is missing or has the wrong shape.
    pub fn from_weights(weights: &Weights, labels: &[Label]) -> Result<LandmarkClassifier, WeightsError> {
        let values = |parameter: ParameterSpec| Ok(weights.get(&parameter)?.values.clone());
        Ok(LandmarkClassifier::new(
            values(parameter(WEIGHT, vec![labels.len(), FEATURES]))?,
            values(parameter(BIAS, vec![labels.len()]))?,
            labels
                .iter()
                .map(|label| Gesture::from_label(label.as_str()))
                .collect(),
        ))
    }

    /// The tensors of the classifier.
    pub fn to_weights(&self) -> Weights {
        let labels = self.gestures.len();
        let mut weights = Weights::default();
        for (name, shape, values) in [
            (WEIGHT, vec![labels, FEATURES], &self.weight),
            (BIAS, vec![labels], &self.bias),
        ] {
            let values = values.clone();
            weights.insert(name.to_owned(), Tensor { shape, values });
        }
        weights
    }

    /// Writes the classifier as an ONNX file that computes the probabilities from landmarks in a frame. The rule, which has a share of
    /// [`RULE_SHARE`] in [`LandmarkClassifier::probabilities`] if the labels are thumbs, is not part of it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_onnx(
        &self,
        path: &Path,
        batch: Batch,
        metadata: &[(&str, String)],
    ) -> Result<(), ExportError> {
        let graph = LandmarkGraph {
            landmarks: LANDMARKS,
            palm: &PALM,
            sides: &SIDES,
            weight: &self.weight,
            bias: &self.bias,
        };
        graph.write(path, batch, metadata)
    }

    /// What the labels mean, in the order of the probabilities.
    pub fn gestures(&self) -> &[Gesture] {
        &self.gestures
    }

    /// The probability of each label for a hand; see [`classify`] for the camera's roll.
    pub fn probabilities(&self, hand: &Hand, camera_roll: f32) -> Vec<f32> {
        let features = features(&hand.upright(camera_roll).landmarks);
        let rows = self.weight.chunks_exact(FEATURES).zip(&self.bias);
        let logit =
            |(row, bias): (&[f32], &f32)| bias + row.iter().zip(&features).map(|(a, b)| a * b).sum::<f32>();
        let mut probabilities: Vec<f32> = rows.map(logit).collect();
        softmax(&mut probabilities, 1.0);
        if are_thumbs(&self.gestures) {
            let thumb = classify(hand, camera_roll);
            for (probability, gesture) in probabilities.iter_mut().zip(&self.gestures) {
                *probability += RULE_SHARE * (thumb.probability(*gesture) - *probability);
            }
        }
        probabilities
    }
}

fn parameter(name: &str, shape: Vec<usize>) -> ParameterSpec {
    ParameterSpec {
        name: name.to_owned(),
        shape,
        initialization: Initialization::Constant(0.0),
        is_trainable: true,
    }
}

/// Whether the labels are those that the rule knows, for which there are simulated hands.
pub(crate) fn are_thumbs(gestures: &[Gesture]) -> bool {
    gestures.len() == Gesture::ALL.len() && Gesture::ALL.iter().all(|gesture| gestures.contains(gesture))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand::Region;

    const OTHER: [Gesture; 2] = [Gesture::None, Gesture::Other];

    fn hand() -> Hand {
        let simulated = simulated_hands(1, 3).swap_remove(0);
        Hand {
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
        }
    }

    #[test]
    fn examples_are_mirrored_and_labels_have_the_same_weight() {
        let landmarks = hand().landmarks;
        let examples = Examples::new(&[(landmarks, 0), (landmarks, 1), (landmarks, 1)], &OTHER);
        assert_eq!(examples.labels, [0, 0, 1, 1, 1, 1]);
        assert_eq!(examples.weights, [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]);
        let (first, second) = (&examples.rows[..FEATURES], &examples.rows[FEATURES..2 * FEATURES]);
        let is_mirrored = |index: usize| (first[index] + second[index]).abs() < 1e-4;
        assert!((0..2 * LANDMARKS).step_by(2).all(is_mirrored));
        let is_same = |index: usize| (first[index] - second[index]).abs() < 1e-4;
        assert!((2 * LANDMARKS..FEATURES).all(is_same));
    }

    #[test]
    fn thumbs_are_completed_by_simulated_hands() {
        let gestures = [Gesture::ThumbsUp, Gesture::None, Gesture::ThumbsDown];
        let examples = Examples::new(&[(hand().landmarks, 0)], &gestures);
        assert_eq!(examples.rows.len(), FEATURES * examples.labels.len());
        for label in 0..3 {
            let weighted = examples.labels.iter().zip(&examples.weights);
            let total: f64 = weighted
                .filter(|(found, _)| **found == label)
                .map(|(_, weight)| weight)
                .sum();
            let taught = if label == 0 { 1.0 } else { 0.0 };
            assert!((total - taught - SIMULATED_WEIGHT).abs() < 1e-6, "{total}");
        }
    }

    #[test]
    fn rule_decides_only_about_thumbs() {
        let hand = hand();
        let thumb = classify(&hand, 0.0);
        let gestures = vec![thumb.gesture, Gesture::None, opposite(thumb.gesture)];
        let classifier = LandmarkClassifier::new(vec![0.0; 3 * FEATURES], vec![0.0; 3], gestures);
        let found = classifier.probabilities(&hand, 0.0);
        let expected = [thumb.confidence, 1.0 - thumb.confidence, 0.0]
            .map(|by_rule| RULE_SHARE * by_rule + (1.0 - RULE_SHARE) / 3.0);
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
            "{found:?}"
        );

        let classifier = LandmarkClassifier::new(vec![0.0; 2 * FEATURES], vec![0.0; 2], OTHER.to_vec());
        assert_eq!(classifier.probabilities(&hand, 0.0), [0.5, 0.5]);
    }

    #[test]
    fn saved_classifier_gives_the_same_probabilities() {
        let hand = hand();
        let labels = ["none", "wave"].map(|name| Label::new(name).expect(name));
        let weight = (0..2 * FEATURES)
            .map(|index| (index as f32).sin() / 50.0)
            .collect();
        let classifier = LandmarkClassifier::new(weight, vec![0.1, -0.2], OTHER.to_vec());
        let read = LandmarkClassifier::from_weights(&classifier.to_weights(), &labels).expect("reads");
        assert_eq!(read.gestures(), OTHER);
        assert_eq!(
            read.probabilities(&hand, 0.0),
            classifier.probabilities(&hand, 0.0)
        );
        let fewer = LandmarkClassifier::from_weights(&classifier.to_weights(), &labels[..1]);
        assert!(fewer.is_err(), "the number of labels differs");
    }

    fn opposite(gesture: Gesture) -> Gesture {
        match gesture {
            Gesture::ThumbsUp => Gesture::ThumbsDown,
            _ => Gesture::ThumbsUp,
        }
    }
}
