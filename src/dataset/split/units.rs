//! Assigns units, which are groups or segments of a group that was cut, to folds.

use std::cmp::Reverse;

use super::cells::Cell;
use super::random::random_number;
use crate::dataset::bursts::Group;

/// Share of a cell's frames to hold out.
const TARGET_SHARE: f64 = 1.0 / 5.0;
/// The search for a selection stops at a share in this range.
const GOOD_SHARE: std::ops::RangeInclusive<f64> = 0.15..=0.25;
/// Maximum share of several groups; a single group may have more.
const MAX_SHARE: f64 = 1.0 / 3.0;
/// If whole groups have a share in this range, no group is cut.
const ACCEPTABLE_SHARE: std::ops::RangeInclusive<f64> = 0.1..=0.5;
/// Number of random orders of the groups that are tried.
const MAX_ATTEMPTS: u64 = 16;
/// With several folds, a group with more than this share of its cell's frames is cut. Otherwise the fold that validates it would
/// train on so few frames that its accuracy would be far too low.
const MAX_WHOLE_SHARE: f64 = 0.6;

/// Frames that are held out together.
#[derive(Clone, Debug)]
pub(super) struct Unit<'a> {
    /// Frame indices.
    pub(super) frames: &'a [usize],
    /// The fold that validates on them; `None` if all folds train on them.
    pub(super) fold: Option<usize>,
    /// As in [`Group::content_id`].
    content_id: [u8; 32],
    /// Index of the segment; 0 for a whole group.
    segment: usize,
}

/// The assignment of one cell's frames to folds.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    /// Every frame of the cell is in exactly one unit.
    pub(super) units: Vec<Unit<'a>>,
    /// The group that was cut, if any.
    pub(super) cut: Option<&'a Group>,
}

/// Assigns about a fifth of the cell's frames to fold 0.
pub(super) fn hold_out<'a>(cell: &Cell<'a>, segments: usize, seed: u64) -> Plan<'a> {
    if let Some(place) = cell.whole_scene {
        return Plan::in_fold(cell, (place % segments == 0).then_some(0));
    }
    let mut plan = Plan::whole(cell);
    let total = cell.frame_count();
    if total < 2 {
        return plan;
    }
    let mut held_out = select(&plan.units, total, seed);
    if held_out.is_empty() {
        plan = Plan::cut(cell, segments);
        let segments = (0..plan.units.len()).filter(|&unit| plan.is_segment(unit));
        held_out = Vec::from_iter(segments.min_by_key(|&unit| plan.units[unit].random_number(seed, 0)));
    }
    for unit in held_out {
        plan.units[unit].fold = Some(0);
    }
    plan
}

/// Assigns each unit of the cell, largest first, to the fold with the fewest frames of the cell, and among those of the label.
/// `frame_counts` has the number of the label's frames in each fold.
pub(super) fn k_folds<'a>(
    cell: &Cell<'a>,
    segments: usize,
    frame_counts: &mut [usize],
    seed: u64,
) -> Plan<'a> {
    let folds = frame_counts.len();
    if let Some(place) = cell.whole_scene {
        return Plan::in_fold(cell, Some(place % folds));
    }
    let mut plan = Plan::for_folds(cell, segments);
    if plan.units.len() < 2 {
        return plan;
    }
    let mut of_cell = vec![0; folds];
    plan.units
        .sort_by_key(|unit| (Reverse(unit.frames.len()), unit.random_number(seed, 0)));
    for unit in &mut plan.units {
        let key = |&fold: &usize| {
            let random_number = unit.random_number(seed, 1 + fold as u64);
            (of_cell[fold], frame_counts[fold], random_number)
        };
        let fold = (0..folds).min_by_key(key).expect("at least one fold");
        of_cell[fold] += unit.frames.len();
        frame_counts[fold] += unit.frames.len();
        unit.fold = Some(fold);
    }
    plan
}

/// Number of units of the cell, which is also the maximum number of folds that validate on it.
pub(super) fn count(cell: &Cell, segments: usize) -> usize {
    Plan::for_folds(cell, segments).units.len()
}

impl<'a> Plan<'a> {
    fn whole(cell: &Cell<'a>) -> Plan<'a> {
        Plan {
            units: cell.groups.iter().copied().map(Unit::whole).collect(),
            cut: None,
        }
    }

    /// Validates the whole cell in one fold, or in none.
    fn in_fold(cell: &Cell<'a>, fold: Option<usize>) -> Plan<'a> {
        let mut plan = Plan::whole(cell);
        plan.units.iter_mut().for_each(|unit| unit.fold = fold);
        plan
    }

    /// Cuts the largest group into segments, at most one per frame, and keeps the others whole.
    fn cut(cell: &Cell<'a>, segments: usize) -> Plan<'a> {
        let size = |group: &&Group| (group.frames.len(), group.content_id);
        let groups = || cell.groups.iter().copied();
        let Some(largest) = groups().max_by_key(size) else {
            return Plan::whole(cell);
        };
        let others = groups().filter(|group| !std::ptr::eq(*group, largest));
        Plan {
            units: others
                .map(Unit::whole)
                .chain(segments_of(largest, segments))
                .collect(),
            cut: Some(largest),
        }
    }

    /// Cuts the largest group if it has more than [`MAX_WHOLE_SHARE`] of the frames.
    fn for_folds(cell: &Cell<'a>, segments: usize) -> Plan<'a> {
        let total = cell.frame_count();
        let largest = cell.groups.iter().map(|group| group.frames.len()).max();
        let max_whole = MAX_WHOLE_SHARE * total as f64;
        if total >= 2 && largest.is_some_and(|largest| largest as f64 > max_whole) {
            Plan::cut(cell, segments)
        } else {
            Plan::whole(cell)
        }
    }

    /// Number of segments of the group that was cut.
    pub(super) fn segments(&self) -> usize {
        (0..self.units.len())
            .filter(|&unit| self.is_segment(unit))
            .count()
    }

    fn is_segment(&self, unit: usize) -> bool {
        let content_id = self.units[unit].content_id;
        self.cut.is_some_and(|group| group.content_id == content_id)
    }
}

impl<'a> Unit<'a> {
    fn whole(group: &'a Group) -> Unit<'a> {
        Unit {
            frames: &group.frames,
            fold: None,
            content_id: group.content_id,
            segment: 0,
        }
    }

    fn random_number(&self, seed: u64, draw: u64) -> u64 {
        random_number(seed, draw, self.segment as u64, &self.content_id)
    }
}

/// Cuts a group into segments of consecutive frames whose lengths differ by at most one.
fn segments_of(group: &Group, segments: usize) -> impl Iterator<Item = Unit<'_>> {
    let count = group.frames.len();
    let segments = segments.clamp(1, count.max(1));
    (0..segments).map(move |segment| Unit {
        frames: &group.frames[segment * count / segments..(segment + 1) * count / segments],
        segment,
        ..Unit::whole(group)
    })
}

/// Selects units that together have about [`TARGET_SHARE`] of the frames; returns none if no selection is acceptable.
///
/// Tries random orders and returns the first selection with a good share, or else the one closest to the target. If no selection
/// within [`MAX_SHARE`] is acceptable, returns the single unit that is closest to the target.
fn select(units: &[Unit], total: usize, seed: u64) -> Vec<usize> {
    let share = |selected: &[usize]| frame_count(units, selected) as f64 / total as f64;
    let deviation = |selected: &[usize]| (share(selected) - TARGET_SHARE).abs();
    let mut best: Option<Vec<usize>> = None;
    for draw in 0..MAX_ATTEMPTS {
        let selected = select_greedily(units, total, seed, draw);
        if GOOD_SHARE.contains(&share(&selected)) {
            return selected;
        }
        let is_better = best
            .as_ref()
            .is_none_or(|best| deviation(&selected) < deviation(best));
        if is_better && ACCEPTABLE_SHARE.contains(&share(&selected)) {
            best = Some(selected);
        }
    }
    best.unwrap_or_else(|| {
        let is_acceptable = |unit: &usize| ACCEPTABLE_SHARE.contains(&share(&[*unit]));
        let acceptable = (0..units.len()).filter(is_acceptable);
        let closest = acceptable.min_by(|&a, &b| {
            let random_number = |unit: usize| units[unit].random_number(seed, 0);
            let by_deviation = deviation(&[a]).total_cmp(&deviation(&[b]));
            by_deviation.then(random_number(a).cmp(&random_number(b)))
        });
        Vec::from_iter(closest)
    })
}

/// Goes through the units in random order and selects each one that brings the share closer to [`TARGET_SHARE`] without exceeding
/// [`MAX_SHARE`].
fn select_greedily(units: &[Unit], total: usize, seed: u64, draw: u64) -> Vec<usize> {
    let total = total as f64;
    let deviation = |count: usize| (count as f64 / total - TARGET_SHARE).abs();
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by_cached_key(|&unit| units[unit].random_number(seed, draw));
    let (mut selected, mut count) = (Vec::new(), 0);
    for unit in order {
        let new_count = count + units[unit].frames.len();
        if new_count as f64 / total <= MAX_SHARE && deviation(new_count) < deviation(count) {
            selected.push(unit);
            count = new_count;
        }
    }
    selected
}

fn frame_count(units: &[Unit], selected: &[usize]) -> usize {
    selected.iter().map(|&unit| units[unit].frames.len()).sum()
}
