//! Finds the frames of a bag that a model should learn from: those that it does not recognize, or only just.

use std::collections::BTreeMap;

use super::{Candidate, Found, Selection, Selector, Thumbnails};
use crate::bag::predictions::{ClassifyBagError, FramePrediction, classify_bag};
use crate::bag::{Bag, Topic};
use crate::dataset::Label;
use crate::decision::{DecisionSettings, UnknownReason};
use crate::gesture::Gesture;
use crate::probability::argmax;
use crate::recognizer::Recognizer;

/// Why a frame is hard for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hard {
    /// It is taken for the label with this index.
    Wrong(usize),
    /// By the node's defaults its gesture is unknown, for example because of threshold or margin.
    Uncertain,
    /// The label changed with it although no hand is seen.
    Changed,
}

/// How many frames are hard, by the reason.
pub type HardCounts = BTreeMap<Hard, usize>;

/// Another gesture that the recording seems to show: it is stable, and a hand is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OtherLabel {
    /// Index of the label.
    pub label: usize,
    /// Seconds from the bag's first frame.
    pub secs: f64,
}

/// Classifies the bag as the node would by default, and finds the selected frames that are hard for the label. `labels` are the model's; if
/// the label is none of them, all frames are.
///
/// # Errors
/// The bag cannot be read, or the runtime failed.
pub fn find_hard(
    bag: &Bag,
    topic: &Topic,
    selection: &Selection,
    label: &Label,
    labels: &[Label],
    recognizer: &mut Recognizer,
    mut on_frame: impl FnMut(),
) -> Result<Found, ClassifyBagError> {
    let truth = Label::find(labels, label.as_str());
    let is_none = |label: usize| Gesture::from_label(labels[label].as_str()) == Gesture::None;
    let mut selector = Selector::new(selection, label);
    let mut thumbnails = Thumbnails::default();
    let mut previous: Option<FramePrediction> = None;
    let mut found = Found::default();
    let settings = DecisionSettings::default();
    let mut index = 0;
    let predictions = classify_bag(bag, topic, recognizer, &settings, |prediction, image| {
        on_frame();
        if selector.selects(prediction.time_ns) {
            found.frames += 1;
            let reason = Hard::of(prediction, previous.as_ref(), truth);
            let label = prediction.label;
            if prediction.stable && prediction.hand && Some(label) != truth && !is_none(label) {
                let secs = selector.secs(prediction.time_ns);
                found.other_label.get_or_insert(OtherLabel { label, secs });
            }
            if reason.is_some() {
                found.candidates.push(Candidate {
                    index,
                    thumbnail: thumbnails.of(&image.frame),
                    reason,
                });
            }
        }
        previous = Some(prediction.clone());
        index += 1;
    })?;
    Ok(Found {
        bad_reasons: predictions.bad_reasons,
        losses: predictions.losses,
        ..found
    })
}

impl Hard {
    /// Why a frame with the label `truth` is hard; `None` if it is not.
    fn of(frame: &FramePrediction, previous: Option<&FramePrediction>, truth: Option<usize>) -> Option<Hard> {
        let label = argmax(&frame.probabilities);
        if Some(label) != truth {
            return Some(Hard::Wrong(label));
        }
        let changed_without_hand = |previous: &FramePrediction| {
            !previous.hand && !frame.hand && argmax(&previous.probabilities) != label
        };
        // The other reasons say nothing about what the frame shows.
        let is_uncertain =
            !["", UnknownReason::NotFinite.reason(), UnknownReason::STALE].contains(&frame.reason);
        if is_uncertain {
            Some(Hard::Uncertain)
        } else {
            previous
                .is_some_and(changed_without_hand)
                .then_some(Hard::Changed)
        }
    }

    /// The reason, with the label that the frame is taken for.
    pub fn describe(self, labels: &[Label]) -> String {
        match self {
            Hard::Wrong(label) => format!("taken for {}", labels[label]),
            Hard::Uncertain => "uncertain".to_owned(),
            Hard::Changed => "changed without a hand".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognizer::Basis;

    fn frame(none: f32, reason: &'static str, hand: bool) -> FramePrediction {
        FramePrediction {
            time_ns: 0,
            label: 0,
            confidence: none,
            reason,
            stable: false,
            hand,
            probabilities: vec![none, 1.0 - none],
            recognizer: Basis::Landmarks,
            familiarity: None,
        }
    }

    #[test]
    fn frames_are_hard_for_the_first_reason_that_holds() {
        let reason =
            |previous: &FramePrediction, frame: &FramePrediction| Hard::of(frame, Some(previous), Some(0));
        let [sure, wrong] = [frame(0.9, "", false), frame(0.2, "", false)];
        assert_eq!(reason(&sure, &sure), None);
        assert_eq!(reason(&sure, &wrong), Some(Hard::Wrong(1)));
        assert_eq!(
            reason(&wrong, &frame(0.55, "margin", false)),
            Some(Hard::Uncertain)
        );
        assert_eq!(reason(&wrong, &sure), Some(Hard::Changed));
        assert_eq!(
            reason(&wrong, &frame(0.9, "", true)),
            None,
            "the hand has changed it"
        );
        assert_eq!(reason(&sure, &frame(0.9, "stale", false)), None);
        assert_eq!(Hard::of(&sure, None, Some(0)), None);
    }
}
