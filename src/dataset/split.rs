//! Which frames are trained on, and which are held out to say how good the model is.
//!
//! Frames of a burst are near-duplicates, and a model that has seen one knows the others: a burst stands whole on one side,
//! or the accuracy flatters. What belongs together is found by [`super::bursts`]. Where a label has no two
//! bursts to choose from, its only one is cut, and the split says so.

mod guard;
mod note;
mod units;

use std::collections::HashSet;

use super::bursts::{FrameFile, LabelGroups};
pub use note::{How, SplitNote};
use units::{Plan, Unit};

/// Runs that a group is cut in for a single fold.
const RUNS: usize = 5;

/// Indices of frames, each list sorted; every frame is in one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// To train on.
    pub train: Vec<usize>,
    /// To validate on.
    pub validation: Vec<usize>,
    /// Too near to frames that are validated on: neither, or the accuracy would flatter. The final model, which is not the one
    /// that is measured, may be trained on them.
    pub left_out: Vec<usize>,
}

/// One or more ways to part the frames, and how it was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// One fold, or several that validate each frame once.
    pub folds: Vec<Fold>,
    /// How each label was split, for whoever reads the accuracy; sorted by label.
    pub notes: Vec<SplitNote>,
}

/// Holds out about a fifth of each label's frames, in whole groups, at most a third where there are groups small enough.
///
/// `groups` are [`super::bursts::group_frames`] of these very frames. The same frames and seed give the same split, wherever
/// they lie and in whatever order; a label does not change how another is split. Whole groups are held out where some have
/// between a tenth and a half of the frames together; else the largest is cut in runs of neighbours. A label of a single
/// frame is trained on.
///
/// # Panics
/// If `groups` are those of other frames.
pub fn hold_out(frames: &[FrameFile], groups: &[LabelGroups], seed: u64) -> Split {
    split(frames, groups, 1, |label| units::hold_out(label, RUNS, seed))
}

/// Validates each frame in one of `k` folds and trains on it in the others, whole groups in one fold, each label spread evenly.
///
/// `groups` and the promises are those of [`hold_out`], but for the number of folds: at least 2, and no more than the label with
/// the most groups can fill, so that another label may change it. A label with fewer groups than folds is not validated in
/// some. The only group of a label, or one with more than 60 % of its frames, is cut in runs of neighbours. A label
/// of a single frame is trained on in every fold.
///
/// # Panics
/// If `groups` are those of other frames.
pub fn k_folds(frames: &[FrameFile], groups: &[LabelGroups], k: usize, seed: u64) -> Split {
    let k = k.clamp(2, frames.len().max(2));
    let most_units = groups.iter().map(|label| units::count(label, k)).max();
    let folds = most_units.unwrap_or_default().min(k).max(1);
    split(frames, groups, folds, |label| {
        units::k_folds(label, k, folds, seed)
    })
}

fn split<'a>(
    frames: &[FrameFile],
    groups: &'a [LabelGroups],
    folds: usize,
    plan_of: impl Fn(&'a LabelGroups) -> Plan<'a>,
) -> Split {
    let mut split = Split {
        folds: vec![Fold::default(); folds],
        notes: Vec::new(),
    };
    for label in groups {
        let plan = plan_of(label);
        let mut is_guarded = true;
        for (number, fold) in split.folds.iter_mut().enumerate() {
            is_guarded &= fill(fold, number, frames, &plan);
        }
        split.notes.push(SplitNote::new(label, &plan, folds, is_guarded));
    }
    for fold in &mut split.folds {
        fold.train.sort_unstable();
        fold.validation.sort_unstable();
        fold.left_out.sort_unstable();
    }
    split
}

/// Adds the frames of a label to a fold; false where near-duplicates had to stay on both sides.
fn fill(fold: &mut Fold, number: usize, frames: &[FrameFile], plan: &Plan) -> bool {
    let is_held = |unit: &Unit| unit.fold == Some(number);
    let frames_of = |unit: &Unit| unit.frames.to_vec();
    let held: Vec<usize> = plan
        .units
        .iter()
        .filter(|unit| is_held(unit))
        .flat_map(frames_of)
        .collect();
    let train = plan
        .units
        .iter()
        .filter(|unit| !is_held(unit))
        .flat_map(frames_of);
    let guard = match plan.cut {
        Some(group) => guard::around(frames, &group.frames, &held.iter().copied().collect()),
        None => guard::Guard::default(),
    };
    let left_out: HashSet<usize> = guard.left_out.iter().copied().collect();
    fold.train.extend(train.filter(|frame| !left_out.contains(frame)));
    fold.validation.extend(held);
    fold.left_out.extend(guard.left_out);
    guard.unguarded == 0
}

#[cfg(test)]
mod photo_tests;
#[cfg(test)]
mod tests;
