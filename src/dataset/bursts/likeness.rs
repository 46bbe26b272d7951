//! Groups that share a near-duplicate are one.

use super::{FrameFile, Group};
use crate::dataset::fingerprint::NEAR_DUPLICATE;

/// Joins the groups of a label that look alike, directly or by way of others; the frames keep the order of the groups.
pub(super) fn join(frames: &[FrameFile], groups: Vec<Group>) -> Vec<Group> {
    let mut parents = parents_of(frames, &groups);
    let mut joined: Vec<Option<Group>> = Vec::new();
    for (index, group) in groups.into_iter().enumerate() {
        let root = root_of(&mut parents, index);
        joined.push(None);
        match &mut joined[root] {
            Some(first) => absorb(first, group),
            vacant => *vacant = Some(group),
        }
    }
    joined.into_iter().flatten().collect()
}

/// For each group the index of one that it is joined to, which is never a later one, or its own.
fn parents_of(frames: &[FrameFile], groups: &[Group]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..groups.len()).collect();
    let members = groups.iter().enumerate();
    let mut looks: Vec<_> = members
        .flat_map(|(group, members)| members.frames.iter().map(move |&frame| (group, frame)))
        .map(|(group, frame)| (&frames[frame].fingerprint.thumbnail, group))
        .map(|(thumbnail, group)| (thumbnail.mean(), thumbnail, group))
        .collect();
    looks.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    for (index, (mean, thumbnail, group)) in looks.iter().enumerate() {
        // Frames whose mean levels differ by more than the threshold cannot be near-duplicates.
        let candidates = looks[index + 1..].iter();
        for (_, other, its_group) in candidates.take_while(|(other, ..)| other - mean <= NEAR_DUPLICATE) {
            let roots = [root_of(&mut parents, *group), root_of(&mut parents, *its_group)];
            if roots[0] != roots[1] && thumbnail.is_near(other) {
                parents[roots[0].max(roots[1])] = roots[0].min(roots[1]);
            }
        }
    }
    parents
}

/// The first of the groups that this one is joined to; halves the way there for the next time.
fn root_of(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

fn absorb(first: &mut Group, group: Group) {
    first.frames.extend(group.frames);
    first.joined += group.joined;
    first.identity = first.identity.min(group.identity);
}
