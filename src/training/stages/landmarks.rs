//! Stage beside those of the network: the classifier of landmarks that is fitted to the hands in the frames.
//!
//! With the recognizer `auto`, it decides on frames with a certain hand, and the network on the others.

use tch::Tensor;

use super::cross_validation::HeldOutFrame;
use super::found_hands::Hands;
use super::linear::ridge;
use super::prepare::PreparedDataset;
use crate::dataset::split::Fold;
use crate::gesture::Gesture;
use crate::hand::Hand;
use crate::hand::features::FEATURES;
use crate::hand::taught::{Examples, LandmarkClassifier, are_thumbs};
use crate::probability::argmax;
use crate::training::error::TrainingError;

/// Minimum number of frames with a hand of each label that shows a gesture.
pub(super) const MIN_FRAMES: usize = 3;
/// Maximum share of the held-out frames with a hand by which the network may be better.
const MAX_LOSS: f64 = 0.05;

/// The classifier of landmarks of the new model.
pub(super) struct TaughtLandmarks {
    pub(super) classifier: LandmarkClassifier,
    /// Number of frames in which a hand was found.
    pub(super) frames: usize,
    /// The probabilities of the labels for each frame, by the classifier; `None` without a certain hand.
    pub(super) learned: Vec<Option<Vec<f32>>>,
    /// The same by classifiers that were not taught the frame; `None` also if it was never held out.
    pub(super) held_out: Vec<Option<Vec<f32>>>,
}

/// Fits the classifier to all hands, and one for each fold, and compares these with the network on the held-out frames. The inner error says
/// why the model gets none: too few frames show a hand, or the network is clearly better.
///
/// # Errors
/// libtorch reported an error.
pub(super) fn fit_landmarks(
    prepared: &PreparedDataset,
    all_hands: &Hands,
    held_out_frames: &[HeldOutFrame],
) -> Result<Result<TaughtLandmarks, String>, TrainingError> {
    let hands = &all_hands.upright;
    let gestures = gestures(prepared);
    let labels = &prepared.label_indices;
    if let Some(label) = lacking_label(hands, labels, &gestures) {
        let label = &prepared.labels[label];
        return Ok(Err(format!(
            "fewer than {MIN_FRAMES} frames of {label} show a hand"
        )));
    }
    let Some(classifier) = fit(hands, &prepared.all_frames(), labels, &gestures)? else {
        return Ok(Err("no frame shows a hand".to_owned()));
    };
    let held_out = held_out_by_hand(prepared, all_hands, &prepared.split.folds)?;
    let by_hand = |hand: &Option<Hand>| probabilities(&classifier, hand.as_ref());
    let taught = TaughtLandmarks {
        frames: hands.iter().flatten().count(),
        learned: hands.iter().map(by_hand).collect(),
        held_out,
        classifier,
    };
    Ok(match taught.objection(held_out_frames, labels) {
        Some(objection) => Err(objection),
        None => Ok(taught),
    })
}

/// The probabilities of the frames that the folds hold out, each by a classifier that was fitted to the training frames of its fold; `None`
/// without a certain hand, and for frames that no fold holds out.
///
/// # Errors
/// libtorch reported an error.
pub(super) fn held_out_by_hand(
    prepared: &PreparedDataset,
    Hands { upright: hands, .. }: &Hands,
    folds: &[Fold],
) -> Result<Vec<Option<Vec<f32>>>, TrainingError> {
    let gestures = gestures(prepared);
    let mut held_out = vec![None; prepared.len()];
    for fold in folds {
        let Some(classifier) = fit(hands, &fold.train, &prepared.label_indices, &gestures)? else {
            continue;
        };
        for &frame in &fold.validation {
            held_out[frame] = probabilities(&classifier, hands[frame].as_ref());
        }
    }
    Ok(held_out)
}

fn gestures(prepared: &PreparedDataset) -> Vec<Gesture> {
    let labels = prepared.labels.iter();
    labels.map(|label| Gesture::from_label(label.as_str())).collect()
}

impl TaughtLandmarks {
    /// The logits of which a softmax at this temperature gives the probabilities of a held-out frame; `None` without a certain hand.
    pub(super) fn held_out_logits(&self, frame: usize, temperature: f64) -> Option<Vec<f32>> {
        let logit = |probability: &f32| {
            let positive = probability.max(f32::MIN_POSITIVE);
            (temperature * f64::from(positive).ln()) as f32
        };
        Some(self.held_out[frame].as_ref()?.iter().map(logit).collect())
    }

    /// Why the classifier must not decide: on the held-out frames with a hand it is clearly worse than the network, as on drawn hands, whose
    /// landmarks are wrong. It may be a little worse, because it depends less on the person and the room, which held-out frames share with
    /// the others.
    fn objection(&self, held_out: &[HeldOutFrame], labels: &[usize]) -> Option<String> {
        let compared = held_out.iter().filter_map(|frame| {
            let label = labels[frame.frame];
            let by_hand = self.held_out[frame.frame].as_ref()?;
            Some([argmax(by_hand) == label, argmax(&frame.logits) == label])
        });
        let compared: Vec<[bool; 2]> = compared.collect();
        let correct = |index: usize| compared.iter().filter(|correct| correct[index]).count();
        let (frames, by_hand, by_image) = (compared.len(), correct(0), correct(1));
        let is_worse = by_image > by_hand && (by_image - by_hand) as f64 > MAX_LOSS * frames as f64;
        is_worse.then(|| {
            format!(
                "{by_hand} of {frames} held-out frames with a hand are correct by landmarks, {by_image} by the whole image"
            )
        })
    }
}

/// The label that the recognizer `auto` gives a frame: by its hand if it is certain, otherwise by the logits of the network.
pub(super) fn prediction(by_hand: Option<&[f32]>, logits: &[f32]) -> usize {
    argmax(by_hand.unwrap_or(logits))
}

/// The first label of which too few hands are known; those without a gesture are simulated if the others are thumbs. `labels` are the
/// indices of the frames' labels.
fn lacking_label(hands: &[Option<Hand>], labels: &[usize], gestures: &[Gesture]) -> Option<usize> {
    let count = |label: usize| {
        let frames = hands.iter().zip(labels);
        frames
            .filter(|(hand, index)| hand.is_some() && **index == label)
            .count()
    };
    let is_simulated = |gesture: Gesture| gesture == Gesture::None && are_thumbs(gestures);
    let mut gestures = gestures.iter().enumerate();
    let (label, _) =
        gestures.find(|(label, gesture)| !is_simulated(**gesture) && count(*label) < MIN_FRAMES)?;
    Some(label)
}

/// A classifier that is taught the hands in some frames; `None` if there are none to teach.
fn fit(
    hands: &[Option<Hand>],
    frames: &[usize],
    labels: &[usize],
    gestures: &[Gesture],
) -> Result<Option<LandmarkClassifier>, TrainingError> {
    let taught = |frame: &usize| Some((hands[*frame].as_ref()?.landmarks, labels[*frame]));
    let taught: Vec<_> = frames.iter().filter_map(taught).collect();
    let examples = Examples::new(&taught, gestures);
    if examples.labels.is_empty() {
        return Ok(None);
    }
    let rows = Tensor::f_from_slice(&examples.rows)?.f_reshape([-1, FEATURES as i64])?;
    let [weight, bias] = ridge(&rows, &examples.labels, &examples.weights, gestures.len())?;
    Ok(Some(LandmarkClassifier::new(
        Vec::try_from(weight.f_flatten(0, -1)?)?,
        Vec::try_from(bias)?,
        gestures.to_vec(),
    )))
}

fn probabilities(classifier: &LandmarkClassifier, hand: Option<&Hand>) -> Option<Vec<f32>> {
    hand.map(|hand| classifier.probabilities(hand, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand::simulated::{SimulatedHand, simulated_hands};
    use crate::probability::softmax;

    const GESTURES: [Gesture; 3] = [Gesture::None, Gesture::ThumbsDown, Gesture::ThumbsUp];

    /// Hands in all poses, with the indices of their labels.
    fn simulated(views: usize) -> (Vec<Option<Hand>>, Vec<usize>) {
        let hand = |simulated: SimulatedHand| {
            let mut values: Vec<f32> = vec![1.0, 1.0, 0.5];
            values.extend(simulated.landmarks.as_flattened());
            values.extend(simulated.world.as_flattened());
            let label = GESTURES.iter().position(|gesture| *gesture == simulated.gesture);
            (Hand::from_values(&values), label.expect("a gesture"))
        };
        simulated_hands(views, 7).into_iter().map(hand).unzip()
    }

    #[test]
    fn classifier_is_taught_the_hands_of_its_frames() {
        let (hands, labels) = simulated(6);
        let (even, odd): (Vec<usize>, Vec<usize>) = (0..hands.len()).partition(|frame| frame % 2 == 0);
        let classifier = fit(&hands, &even, &labels, &GESTURES)
            .expect("fits")
            .expect("hands");
        let is_right = |frame: &&usize| {
            let found = probabilities(&classifier, hands[**frame].as_ref());
            argmax(&found.expect("a hand")) == labels[**frame]
        };
        let right = odd.iter().filter(is_right).count();
        assert!(right * 100 >= 80 * odd.len(), "{right} of {}", odd.len());
    }

    #[test]
    fn logits_of_a_held_out_frame_give_its_probabilities_at_any_temperature() {
        let taught = TaughtLandmarks {
            classifier: LandmarkClassifier::new(
                vec![0.0; 2 * FEATURES],
                vec![0.0; 2],
                GESTURES[1..].to_vec(),
            ),
            frames: 1,
            learned: vec![None],
            held_out: vec![Some(vec![0.2, 0.8]), None],
        };
        for temperature in [1.0, 2.5] {
            let mut found = taught.held_out_logits(0, temperature).expect("a hand");
            softmax(&mut found, temperature as f32);
            assert!((found[0] - 0.2).abs() < 1e-5, "{found:?}");
        }
        assert_eq!(taught.held_out_logits(1, 1.0), None);
    }

    #[test]
    fn classifier_that_is_clearly_worse_than_the_network_is_objected_to() {
        let labels = [0; 20];
        let objection = |wrong_by_hand: usize, wrong_by_image: usize| {
            let row = |is_wrong: bool| if is_wrong { vec![0.0, 1.0] } else { vec![1.0, 0.0] };
            let by_hand: Vec<_> = (0..20).map(|frame| Some(row(frame < wrong_by_hand))).collect();
            let taught = TaughtLandmarks {
                classifier: LandmarkClassifier::new(
                    vec![0.0; 2 * FEATURES],
                    vec![0.0; 2],
                    GESTURES[1..].to_vec(),
                ),
                frames: 20,
                learned: by_hand.clone(),
                held_out: by_hand,
            };
            let held_out = (0..20).map(|frame| HeldOutFrame {
                frame,
                logits: row(frame < wrong_by_image),
            });
            taught.objection(&held_out.collect::<Vec<_>>(), &labels)
        };
        assert_eq!(objection(1, 0), None, "one frame is not clear");
        assert_eq!(objection(0, 9), None);
        let reason = objection(4, 1).expect("an objection");
        assert!(
            reason.contains("16 of 20") && reason.contains("19 by the whole image"),
            "{reason}"
        );
    }

    #[test]
    fn hands_of_each_gesture_are_needed_but_none_of_other_hands_if_the_gestures_are_thumbs() {
        let (hands, labels) = simulated(1);
        let thumb = |label: usize| labels.iter().position(|other| *other == label).expect("a thumb");
        let frames = [vec![thumb(1); MIN_FRAMES], vec![thumb(2); MIN_FRAMES]].concat();
        let (hands, labels): (Vec<_>, Vec<_>) = frames
            .iter()
            .map(|&frame| (hands[frame].clone(), labels[frame]))
            .unzip();
        assert_eq!(lacking_label(&hands, &labels, &GESTURES), None);
        let two_down = lacking_label(&hands[1..], &labels[1..], &GESTURES);
        assert_eq!(two_down, Some(1));
        let others = [Gesture::None, Gesture::Other, Gesture::ThumbsUp];
        assert_eq!(
            lacking_label(&hands, &labels, &others),
            Some(0),
            "nobody simulates them"
        );
        assert_eq!(
            lacking_label(&vec![None; hands.len()], &labels, &GESTURES),
            Some(1)
        );
    }
}
