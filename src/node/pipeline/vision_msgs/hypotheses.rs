//! The hypotheses of a gesture, and the versions of their ids.

use r2r::thumb_gesture::msg::ThumbGesture;

/// The reasons for `UNKNOWN` with which the probabilities still describe the present: the model has classified the frame, but is not sure
/// enough.
const UNSURE: [&str; 2] = ["threshold", "margin"];

/// The index and probability of each label, the highest probability first. Empty if the probabilities say nothing about what is before the
/// camera now: readers of `vision_msgs` know no `UNKNOWN`, and would act on the highest one.
pub(super) fn hypotheses(gesture: &ThumbGesture) -> Vec<(u16, f32)> {
    let reason = gesture.reason.as_str();
    if !reason.is_empty() && !UNSURE.contains(&reason) {
        return Vec::new();
    }
    let mut hypotheses: Vec<(u16, f32)> = (0..).zip(gesture.probabilities.iter().copied()).collect();
    // Stable: in a tie the first label leads, as in a gesture.
    hypotheses.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    hypotheses
}

/// The labels that the ids stand for, with a number that counts their changes.
#[derive(Default)]
pub(super) struct LabelMap {
    labels: Vec<String>,
    version: i32,
}

impl LabelMap {
    /// Takes over the labels of a model; returns the version of the map, from 1.
    pub(super) fn update(&mut self, labels: &[String]) -> i32 {
        if self.version == 0 || self.labels != labels {
            self.labels = labels.to_vec();
            self.version = self.version.saturating_add(1);
        }
        self.version
    }

    /// Each label with its id.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u16, &String)> {
        (0..).zip(&self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gesture(reason: &str, probabilities: &[f32]) -> ThumbGesture {
        ThumbGesture {
            reason: reason.to_owned(),
            probabilities: probabilities.to_vec(),
            ..ThumbGesture::default()
        }
    }

    #[test]
    fn highest_probability_comes_first_and_the_first_label_in_a_tie() {
        let expected = vec![(2, 0.5), (0, 0.25), (1, 0.25)];
        for reason in ["", "threshold", "margin"] {
            let found = hypotheses(&gesture(reason, &[0.25, 0.25, 0.5]));
            assert_eq!(found, expected, "reason {reason:?}");
        }
    }

    #[test]
    fn there_are_no_hypotheses_if_the_probabilities_do_not_describe_the_present() {
        for reason in ["unfamiliar", "stale", "inactive", "not_finite"] {
            assert!(hypotheses(&gesture(reason, &[0.1, 0.9])).is_empty(), "{reason}");
        }
    }

    #[test]
    fn version_counts_the_changes_of_the_labels() {
        let labels = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut map = LabelMap::default();
        assert_eq!(map.update(&labels(&["none", "thumbs_up"])), 1);
        assert_eq!(map.update(&labels(&["none", "thumbs_up"])), 1);
        assert_eq!(map.update(&labels(&["none", "fist", "thumbs_up"])), 2);
        let entries: Vec<_> = map.entries().map(|(id, label)| (id, label.as_str())).collect();
        assert_eq!(entries, [(0, "none"), (1, "fist"), (2, "thumbs_up")]);
    }
}
