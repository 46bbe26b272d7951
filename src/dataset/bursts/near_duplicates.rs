//! Merges groups that contain near-duplicates of each other, with a disjoint-set forest.

use super::{FrameFile, Group};
use crate::dataset::fingerprint::MAX_NEAR_DUPLICATE_DISTANCE;

/// Merges the groups of one label that are connected by near-duplicates, directly or through other groups. Frames stay in the order
/// of the groups.
pub(super) fn merge(frames: &[FrameFile], groups: Vec<Group>) -> Vec<Group> {
    let mut parents = connect(frames, &groups);
    let mut merged: Vec<Option<Group>> = Vec::new();
    for (index, group) in groups.into_iter().enumerate() {
        let root = find_root(&mut parents, index);
        merged.push(None);
        match &mut merged[root] {
            Some(first) => absorb(first, group),
            vacant => *vacant = Some(group),
        }
    }
    merged.into_iter().flatten().collect()
}

/// Returns the forest: for each group the index of its parent, or its own index for a root. A parent comes before its children.
fn connect(frames: &[FrameFile], groups: &[Group]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..groups.len()).collect();
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
            let roots = [
                find_root(&mut parents, *group),
                find_root(&mut parents, *other_group),
            ];
            if roots[0] != roots[1] && thumbnail.is_near_duplicate(other) {
                parents[roots[0].max(roots[1])] = roots[0].min(roots[1]);
            }
        }
    }
    parents
}

/// Returns the root of a group's tree, and shortens the path to it (path halving).
fn find_root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

fn absorb(first: &mut Group, group: Group) {
    first.frames.extend(group.frames);
    first.merged_count += group.merged_count;
    first.content_id = first.content_id.min(group.content_id);
}
