//! Splits the frames of a dataset into training and validation frames.
//!
//! The frames of a burst are near-duplicates: a model that was trained on some of them has almost seen the others, and the measured
//! accuracy would be too high. The split therefore holds out whole groups, as found by [`super::bursts`]. If a label has only one
//! group, or no suitable one, the split cuts a group into segments and reports that.

mod leakage;
mod summary;
mod units;

use super::bursts::{FrameFile, LabelGroups};
use leakage::Exclusion;
pub use summary::SplitSummary;
use units::{Plan, Unit};

/// Number of segments that a group is cut into for a split with a single fold.
const SEGMENTS: usize = 5;

/// Frame indices of one fold, sorted; every frame is in exactly one of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// Indices of the frames to train on.
    pub train: Vec<usize>,
    /// Indices of the held-out frames.
    pub validation: Vec<usize>,
    /// Frames that are neither trained nor validated on, because they are too similar to validation frames.
    ///
    /// The final model, which is not the one that is measured, may be trained on them.
    pub left_out: Vec<usize>,
}

/// The folds of a training, and how they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// One fold, or several that validate each frame once.
    pub folds: Vec<Fold>,
    /// One per label, sorted by label.
    pub summaries: Vec<SplitSummary>,
}

/// Holds out about a fifth of each label's frames, and at most a third if there are small enough groups.
///
/// `groups` must be the result of [`super::bursts::group_frames`] for `frames`. The same files and the same seed give the same split,
/// regardless of the location of the dataset and of the order of `frames`. The split of one label does not depend on other labels.
///
/// Holds out whole groups if some of them together have between a tenth and a half of the label's frames. Otherwise cuts the largest
/// group into segments of consecutive frames and holds out one of them. The frame of a label with a single frame is trained on.
///
/// # Panics
/// `groups` do not belong to `frames`.
pub fn hold_out(frames: &[FrameFile], groups: &[LabelGroups], seed: u64) -> Split {
    split(frames, groups, 1, |label| units::hold_out(label, SEGMENTS, seed))
}

/// Makes a stratified k-fold split by groups: validates each frame in one fold and trains on it in the others.
///
/// `groups` must be the result of [`super::bursts::group_frames`] for `frames`. As with [`hold_out`], the split does not depend on
/// the location of the dataset or the order of `frames`. The number of folds is at least 2, at most `k`, and at most what the label
/// with the most groups can fill, so that other labels may change it.
///
/// A label with fewer groups than folds is not validated in some folds. A group that is the only one of its label, or has more than
/// 60 % of the label's frames, is cut into segments of consecutive frames. The frame of a label with a single frame is trained on in
/// every fold.
///
/// # Panics
/// `groups` do not belong to `frames`.
pub fn k_folds(frames: &[FrameFile], groups: &[LabelGroups], k: usize, seed: u64) -> Split {
    let k = k.clamp(2, frames.len().max(2));
    let max_units = groups.iter().map(|label| units::count(label, k)).max();
    let folds = max_units.unwrap_or_default().min(k).max(1);
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
        summaries: Vec::new(),
    };
    for label in groups {
        let plan = plan_of(label);
        let mut has_leakage = false;
        for (number, fold) in split.folds.iter_mut().enumerate() {
            has_leakage |= add_label(fold, number, frames, &plan);
        }
        split
            .summaries
            .push(SplitSummary::new(label, &plan, folds, has_leakage));
    }
    for fold in &mut split.folds {
        fold.train.sort_unstable();
        fold.validation.sort_unstable();
        fold.left_out.sort_unstable();
    }
    split
}

/// Adds the frames of a label to a fold. Returns whether near-duplicates remain on both sides.
fn add_label(fold: &mut Fold, number: usize, frames: &[FrameFile], plan: &Plan) -> bool {
    let is_held_out = |unit: &&Unit| unit.fold == Some(number);
    let (held_out, train): (Vec<&Unit>, Vec<&Unit>) = plan.units.iter().partition(is_held_out);
    let frames_of = |units: &[&Unit]| -> Vec<usize> {
        let frames = units.iter().flat_map(|unit| unit.frames);
        frames.copied().collect()
    };
    let validation = frames_of(&held_out);
    let exclusion = match plan.cut {
        Some(group) => leakage::exclude(frames, &group.frames, &validation.iter().copied().collect()),
        None => Exclusion::default(),
    };
    let train = frames_of(&train).into_iter();
    fold.train
        .extend(train.filter(|frame| !exclusion.left_out.contains(frame)));
    fold.validation.extend(validation);
    fold.left_out.extend(exclusion.left_out);
    exclusion.remaining > 0
}

#[cfg(test)]
mod tests;
