//! Splits the frames of a dataset into training and validation frames.
//!
//! The frames of a burst are near-duplicates: a model that was trained on some of them has almost seen the others, and the measured
//! accuracy would be too high. The split therefore holds out whole groups, as found by [`super::bursts`]. If a label has only one
//! group in a scene, or no suitable one, the split cuts a group into segments and reports that.
//!
//! [`hold_out`] and [`k_folds`] measure the accuracy in the scenes of the dataset: every training has seen all labels of a scene, or none
//! ([`cells`] says why). [`hold_out_scenes`] measures it in other scenes.

mod cells;
mod leakage;
mod new_scenes;
mod random;
mod summary;
mod units;

use super::bursts::{FrameFile, LabelGroups};
use super::scenes::Scene;
use cells::{Cell, Cells};
use leakage::Exclusion;
pub use new_scenes::hold_out_scenes;
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
/// `groups` must be the result of [`super::bursts::group_frames`] for `frames`, and `scenes` that of [`super::scenes::find_scenes`]. The
/// same files and the same seed give the same split, regardless of the location of the dataset and of the order of `frames`. The split of
/// one label depends on other labels only by the scenes that it shares with them.
///
/// Each scene with several labels is split on its own, and for each label all other scenes together. Holds out whole groups if some of
/// them together have between a tenth and a half of these frames. Otherwise cuts the largest group into segments of consecutive frames and
/// holds out one of them. A single frame is trained on. Scenes with one frame of each of several labels are held out whole.
///
/// # Panics
/// `groups` or `scenes` do not belong to `frames`.
pub fn hold_out(frames: &[FrameFile], groups: &[LabelGroups], scenes: &[Scene], seed: u64) -> Split {
    let cells = Cells::new(frames, scenes, seed);
    split(frames, groups, &cells, 1, |cells| {
        let plan = |cell| units::hold_out(cell, SEGMENTS, seed);
        cells.iter().map(plan).collect()
    })
}

/// Makes a stratified k-fold split by groups: validates each frame in one fold and trains on it in the others.
///
/// The arguments are those of [`hold_out`], and as there the split does not depend on the location of the dataset or the order of
/// `frames`. The number of folds is at least 2, at most `k`, and at most what the scene and label with the most groups can fill, so that
/// other labels may change it.
///
/// Scenes are split one by one as by [`hold_out`]. A label with fewer groups than folds is not validated in some folds. A group that is
/// the only one of its label in a scene, or has more than 60 % of its frames there, is cut into segments of consecutive frames. A single
/// frame is trained on in every fold.
///
/// # Panics
/// `groups` or `scenes` do not belong to `frames`.
pub fn k_folds(frames: &[FrameFile], groups: &[LabelGroups], scenes: &[Scene], k: usize, seed: u64) -> Split {
    let k = k.clamp(2, frames.len().max(2));
    let cells = Cells::new(frames, scenes, seed);
    let counts = groups.iter().flat_map(|label| cells.of_label(label));
    let counts = counts.map(|cell| units::count(&cell, k));
    let max_units = counts.chain([cells.whole_scenes()]).max();
    let folds = max_units.unwrap_or_default().min(k).max(1);
    split(frames, groups, &cells, folds, |cells| {
        let mut frame_counts = vec![0; folds];
        let plan = |cell| units::k_folds(cell, k, &mut frame_counts, seed);
        cells.iter().map(plan).collect()
    })
}

fn split<'a>(
    frames: &[FrameFile],
    groups: &'a [LabelGroups],
    cells: &Cells,
    folds: usize,
    plans_of: impl Fn(&[Cell<'a>]) -> Vec<Plan<'a>>,
) -> Split {
    let mut split = Split {
        folds: vec![Fold::default(); folds],
        summaries: Vec::new(),
    };
    for label in groups {
        let plans = plans_of(&cells.of_label(label));
        let mut has_leakage = false;
        for plan in &plans {
            for (number, fold) in split.folds.iter_mut().enumerate() {
                has_leakage |= add_cell(fold, number, frames, plan);
            }
        }
        split
            .summaries
            .push(SplitSummary::new(label, &plans, folds, has_leakage));
    }
    for fold in &mut split.folds {
        fold.train.sort_unstable();
        fold.validation.sort_unstable();
        fold.left_out.sort_unstable();
    }
    split
}

/// Adds the frames of a cell to a fold. Returns whether near-duplicates remain on both sides.
fn add_cell(fold: &mut Fold, number: usize, frames: &[FrameFile], plan: &Plan) -> bool {
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
