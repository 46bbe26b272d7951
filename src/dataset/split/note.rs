//! How a label was split, in words, beside the accuracy that came of it.

use std::fmt;

use super::units::{Plan, Unit};
use crate::dataset::Label;
use crate::dataset::bursts::{Group, LabelGroups, Origin};

/// How one label was split; [`fmt::Display`] says it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitNote {
    /// The label.
    pub label: Label,
    /// Frames of the label.
    pub frames: usize,
    /// Frames of the label that are validated on, in one fold or another.
    pub validated: usize,
    /// What it was split by.
    pub how: How,
}

/// What a label was split by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Whole groups.
    Whole {
        /// Groups that are validated on.
        validated: usize,
        /// Groups there are.
        groups: usize,
        /// How many folds the validated ones are spread over.
        folds: usize,
        /// What told what belongs together; none where that differs.
        origin: Option<Origin>,
    },
    /// Runs of one group, and whole groups where there are others.
    Cut {
        /// Frames of the group that was cut.
        frames: usize,
        /// How many bursts, takes or single frames were joined to it for looking alike; 1 where it is one of them.
        joined: usize,
        /// Runs.
        runs: usize,
        /// What told that they belong together.
        origin: Origin,
        /// True where no near-duplicates stand on both sides.
        is_guarded: bool,
    },
    /// A single frame, which is trained on.
    TrainedOnly,
}

impl SplitNote {
    pub(super) fn new(label: &LabelGroups, plan: &Plan, folds: usize, is_guarded: bool) -> SplitNote {
        let is_validated = |unit: &&Unit| unit.fold.is_some();
        let validated: Vec<&Unit> = plan.units.iter().filter(is_validated).collect();
        let how = match plan.cut {
            _ if validated.is_empty() => How::TrainedOnly,
            Some(group) => How::Cut {
                frames: group.frames.len(),
                joined: group.joined,
                runs: plan.units.len() - (label.groups.len() - 1),
                origin: group.origin,
                is_guarded,
            },
            None => How::Whole {
                validated: validated.len(),
                groups: plan.units.len(),
                folds: folds.min(validated.len()),
                origin: common_origin(&label.groups),
            },
        };
        SplitNote {
            label: label.label.clone(),
            frames: label.frames(),
            validated: validated.iter().map(|unit| unit.frames.len()).sum(),
            how,
        }
    }

    /// True where the accuracy on this label is better than on a burst that the model knows nothing of.
    pub fn flatters(&self) -> bool {
        matches!(self.how, How::Cut { .. })
    }
}

impl fmt::Display for SplitNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, total, validated) = (&self.label, self.frames, self.validated);
        match &self.how {
            How::Whole {
                validated: held,
                groups,
                folds,
                origin,
            } => {
                let noun = plural(*origin);
                match folds {
                    0 | 1 => write!(
                        f,
                        "{label}: {held} of {groups} {noun} held out, {validated} of {total} frames"
                    ),
                    _ => write!(
                        f,
                        "{label}: {groups} {noun} in {folds} folds, each held out in one"
                    ),
                }
            }
            How::Cut {
                frames,
                joined,
                runs,
                origin,
                is_guarded,
            } => {
                match joined {
                    1 => write!(f, "{label}: one {}", singular(*origin))?,
                    _ => write!(f, "{label}: {joined} {}s that look alike", singular(*origin))?,
                }
                let rest = match is_guarded {
                    true => "",
                    false => " and near-duplicates stand on both sides",
                };
                let advice = match joined {
                    1 => "capture another burst",
                    _ => "capture another burst with the hand and the camera elsewhere",
                };
                write!(
                    f,
                    " ({frames} of {total} frames) cut in {runs} runs{rest}, so the accuracy flatters: {advice}"
                )
            }
            How::TrainedOnly => write!(
                f,
                "{label}: nothing held out of {total} frame(s), so the accuracy says nothing of it: capture more"
            ),
        }
    }
}

fn common_origin(groups: &[Group]) -> Option<Origin> {
    let first = groups.first()?.origin;
    groups.iter().all(|group| group.origin == first).then_some(first)
}

fn plural(origin: Option<Origin>) -> &'static str {
    match origin {
        Some(Origin::Burst) => "bursts",
        Some(Origin::Take) => "takes",
        Some(Origin::Likeness) => "frames or sets of like frames",
        None => "groups",
    }
}

fn singular(origin: Origin) -> &'static str {
    match origin {
        Origin::Burst => "burst",
        Origin::Take => "take",
        Origin::Likeness => "frame",
    }
}
