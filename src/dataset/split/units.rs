//! What is held out as a whole, and in which fold: groups, or the runs that a group was cut in.
//!
//! Chance is a hash of the seed and of a group's content, so that neither paths nor the order of files nor other labels have
//! a say, and a new burst changes little.

use sha2::{Digest, Sha256};

use crate::dataset::bursts::{Group, LabelGroups};

/// The share of a label's frames that is to be held out.
const HELD_OUT: f64 = 1.0 / 5.0;
/// A share that needs no better one.
const GOOD_SHARE: std::ops::RangeInclusive<f64> = 0.15..=0.25;
/// The greatest share, where smaller groups can be had.
const MOST_HELD_OUT: f64 = 1.0 / 3.0;
/// A share of whole groups that says more than runs of a larger one.
const SENSIBLE_SHARE: std::ops::RangeInclusive<f64> = 0.1..=0.5;
/// How often the groups are put in another order to come nearer to the share.
const ATTEMPTS: u64 = 16;
/// A group of a greater share of its label's frames is cut for several folds: trained on the little that is left, a model would be
/// measured far too low.
const MOST_WHOLE: f64 = 0.6;

/// Frames that are held out together.
#[derive(Clone, Debug)]
pub(super) struct Unit<'a> {
    /// Indices of the frames.
    pub frames: &'a [usize],
    /// The fold that validates them; none where they are always trained on.
    pub fold: Option<usize>,
    identity: [u8; 32],
    /// The number of the run; 0 for a whole group.
    run: usize,
}

/// The units of a label.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    /// Every frame of the label is in one of them.
    pub units: Vec<Unit<'a>>,
    /// The group that was cut.
    pub cut: Option<&'a Group>,
}

/// About a fifth of the label's frames go into fold 0.
pub(super) fn hold_out(label: &LabelGroups, runs: usize, seed: u64) -> Plan<'_> {
    let mut plan = Plan::whole(label);
    let total = label.frames();
    if total < 2 {
        return plan;
    }
    let mut held = chosen(&plan.units, total, seed);
    if held.is_empty() {
        plan = Plan::cut(label, runs);
        let runs = (0..plan.units.len()).filter(|&unit| plan.is_run(unit));
        held = Vec::from_iter(runs.min_by_key(|&unit| plan.units[unit].chance(seed, 0)));
    }
    for unit in held {
        plan.units[unit].fold = Some(0);
    }
    plan
}

/// The label's units, the largest first, each into the fold with the fewest of the label's frames.
pub(super) fn k_folds(label: &LabelGroups, runs: usize, folds: usize, seed: u64) -> Plan<'_> {
    let mut plan = Plan::for_folds(label, runs);
    if plan.units.len() < 2 {
        return plan;
    }
    let mut loads = vec![0; folds];
    plan.units
        .sort_by_key(|unit| (std::cmp::Reverse(unit.frames.len()), unit.chance(seed, 0)));
    for unit in &mut plan.units {
        let fold = (0..folds).min_by_key(|&fold| (loads[fold], unit.chance(seed, 1 + fold as u64)));
        let fold = fold.expect("there is a fold");
        loads[fold] += unit.frames.len();
        unit.fold = Some(fold);
    }
    plan
}

/// How many units of the label can be validated, one after the other.
pub(super) fn count(label: &LabelGroups, runs: usize) -> usize {
    Plan::for_folds(label, runs).units.len()
}

impl<'a> Plan<'a> {
    fn whole(label: &'a LabelGroups) -> Plan<'a> {
        Plan {
            units: label.groups.iter().map(Unit::whole).collect(),
            cut: None,
        }
    }

    /// The largest group in so many runs, as far as it has frames; the others whole.
    fn cut(label: &'a LabelGroups, runs: usize) -> Plan<'a> {
        let size = |group: &&Group| (group.frames.len(), group.identity);
        let Some(largest) = label.groups.iter().max_by_key(size) else {
            return Plan::whole(label);
        };
        let others = label.groups.iter().filter(|group| !std::ptr::eq(*group, largest));
        Plan {
            units: others.map(Unit::whole).chain(runs_of(largest, runs)).collect(),
            cut: Some(largest),
        }
    }

    fn for_folds(label: &'a LabelGroups, runs: usize) -> Plan<'a> {
        let total = label.frames();
        let largest = label.groups.iter().map(|group| group.frames.len()).max();
        let is_cut = total >= 2 && largest.is_some_and(|largest| largest as f64 > MOST_WHOLE * total as f64);
        match is_cut {
            true => Plan::cut(label, runs),
            false => Plan::whole(label),
        }
    }

    fn is_run(&self, unit: usize) -> bool {
        let identity = self.units[unit].identity;
        self.cut.is_some_and(|group| group.identity == identity)
    }
}

impl<'a> Unit<'a> {
    fn whole(group: &'a Group) -> Unit<'a> {
        Unit {
            frames: &group.frames,
            fold: None,
            identity: group.identity,
            run: 0,
        }
    }

    /// A number that looks random and is the same for the same seed, draw and content.
    fn chance(&self, seed: u64, draw: u64) -> u64 {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(draw.to_le_bytes());
        hash.update((self.run as u64).to_le_bytes());
        hash.update(self.identity);
        let hash: [u8; 32] = hash.finalize().into();
        u64::from_le_bytes(std::array::from_fn(|i| hash[i]))
    }
}

/// Contiguous parts of a group that are as equal as can be.
fn runs_of(group: &Group, runs: usize) -> impl Iterator<Item = Unit<'_>> {
    let count = group.frames.len();
    let runs = runs.clamp(1, count.max(1));
    (0..runs).map(move |run| Unit {
        frames: &group.frames[run * count / runs..(run + 1) * count / runs],
        run,
        ..Unit::whole(group)
    })
}

/// Units whose frames are about a fifth of `total`; none where no choice is sensible.
///
/// The first order that chance puts them in is good enough if they are many; of few, the best of some orders is taken, and where no
/// units stay within a third, the single one that is nearest to a fifth.
fn chosen(units: &[Unit], total: usize, seed: u64) -> Vec<usize> {
    let share = |held: &[usize]| frames_of(units, held) as f64 / total as f64;
    let off = |held: &[usize]| (share(held) - HELD_OUT).abs();
    let mut best: Option<Vec<usize>> = None;
    for draw in 0..ATTEMPTS {
        let held = chosen_in_order(units, total, seed, draw);
        if GOOD_SHARE.contains(&share(&held)) {
            return held;
        }
        let is_better = best.as_ref().is_none_or(|best| off(&held) < off(best));
        if is_better && SENSIBLE_SHARE.contains(&share(&held)) {
            best = Some(held);
        }
    }
    best.unwrap_or_else(|| {
        let is_sensible = |unit: &usize| SENSIBLE_SHARE.contains(&share(&[*unit]));
        let singles = (0..units.len()).filter(is_sensible);
        let nearest = singles.min_by(|&a, &b| {
            let chance = |unit: usize| units[unit].chance(seed, 0);
            off(&[a]).total_cmp(&off(&[b])).then(chance(a).cmp(&chance(b)))
        });
        Vec::from_iter(nearest)
    })
}

/// Takes each unit, in the order of chance, that brings the share nearer to a fifth and not beyond a third.
fn chosen_in_order(units: &[Unit], total: usize, seed: u64, draw: u64) -> Vec<usize> {
    let total = total as f64;
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by_cached_key(|&unit| units[unit].chance(seed, draw));
    let (mut held, mut count) = (Vec::new(), 0);
    for unit in order {
        let with_it = count + units[unit].frames.len();
        let off = |count: usize| (count as f64 / total - HELD_OUT).abs();
        if with_it as f64 / total <= MOST_HELD_OUT && off(with_it) < off(count) {
            held.push(unit);
            count = with_it;
        }
    }
    held
}

fn frames_of(units: &[Unit], chosen: &[usize]) -> usize {
    chosen.iter().map(|&unit| units[unit].frames.len()).sum()
}
