//! Merges groups that contain near-duplicates of each other.

use super::{FrameFile, Group};
use crate::dataset::disjoint_sets::DisjointSets;
use crate::dataset::fingerprint::MAX_NEAR_DUPLICATE_DISTANCE;

/// Merges the groups of one label that are connected by near-duplicates, directly or through other groups. Frames stay in the order
/// of the groups.
pub(super) fn merge(frames: &[FrameFile], groups: Vec<Group>) -> Vec<Group> {
    let mut sets = connect(frames, &groups);
    let mut merged: Vec<Option<Group>> = Vec::new();
    for (index, group) in groups.into_iter().enumerate() {
        let root = sets.root(index);
        merged.push(None);
        match &mut merged[root] {
            Some(first) => absorb(first, group),
            vacant => *vacant = Some(group),
        }
    }
    merged.into_iter().flatten().collect()
}

/// The groups that are connected.
fn connect(frames: &[FrameFile], groups: &[Group]) -> DisjointSets {
    let mut sets = DisjointSets::new(groups.len());
    let mut thumbnails: Vec<_> = groups
        .iter()
        .enumerate()
        .flat_map(|(group, members)| members.frames.iter().map(move |&frame| (group, frame)))
        .map(|(group, frame)| (&frames[frame].fingerprint.thumbnail, group))
        .map(|(thumbnail, group)| (thumbnail.mean(), thumbnail, group))
        .collect();
    thumbnails.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    for (index, (mean, thumbnail, group)) in thumbnails.iter().enumerate() {
        // Frames whose mean levels differ by more than the maximum distance cannot be near-duplicates.
        let candidates = thumbnails[index + 1..]
            .iter()
            .take_while(|(other_mean, ..)| other_mean - mean <= MAX_NEAR_DUPLICATE_DISTANCE);
        for (_, other, other_group) in candidates {
            if !sets.are_joined(*group, *other_group) && thumbnail.is_near_duplicate(other) {
                sets.join(*group, *other_group);
            }
        }
    }
    sets
}

fn absorb(first: &mut Group, group: Group) {
    first.frames.extend(group.frames);
    first.merged_count += group.merged_count;
    first.content_id = first.content_id.min(group.content_id);
}
