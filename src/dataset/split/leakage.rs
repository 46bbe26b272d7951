//! Prevents data leakage between the segments of a group that was cut: leaves out training frames that are too similar to
//! validation frames.

use std::collections::HashSet;

use crate::dataset::bursts::FrameFile;

/// Number of frames next to a validation segment that are left out even if they are not near-duplicates of its frames.
///
/// One in five pairs of consecutive frames is in motion too fast for the near-duplicate threshold, but still shows the same hand in
/// the same place.
const NEIGHBORS: usize = 2;
/// At most one in this number of the group's training frames is left out; otherwise a hand that hardly moves would leave none.
const TRAINING_FRAMES_PER_LEFT_OUT: usize = 3;

/// The frames to leave out, and whether they are enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exclusion {
    /// Frame indices.
    pub(super) left_out: HashSet<usize>,
    /// Number of near-duplicates of validation frames that remain among the training frames.
    pub(super) remaining: usize,
}

/// A training frame of the group.
struct Candidate {
    frame: usize,
    is_near_duplicate: bool,
    /// Distance to the nearest validation frame, in frames.
    distance: usize,
}

/// Leaves out near-duplicates and direct neighbors of the validation frames, up to the maximum number: near-duplicates first, and
/// those that are closest in time first.
pub(super) fn exclude(frames: &[FrameFile], group: &[usize], validation: &HashSet<usize>) -> Exclusion {
    let is_validation: Vec<bool> = group.iter().map(|frame| validation.contains(frame)).collect();
    let validation_here: Vec<usize> = group
        .iter()
        .copied()
        .filter(|frame| validation.contains(frame))
        .collect();
    let mut candidates: Vec<Candidate> = group
        .iter()
        .zip(distances(&is_validation))
        .filter(|(_, distance)| *distance > 0)
        .map(|(&frame, distance)| Candidate {
            frame,
            is_near_duplicate: is_near_duplicate_of_any(frames, frame, &validation_here),
            distance,
        })
        .collect();
    let max_left_out = candidates.len() / TRAINING_FRAMES_PER_LEFT_OUT;
    candidates.retain(|candidate| candidate.is_near_duplicate || candidate.distance <= NEIGHBORS);
    candidates.sort_by_key(|candidate| (!candidate.is_near_duplicate, candidate.distance));
    let (left_out, kept) = candidates.split_at(max_left_out.min(candidates.len()));
    Exclusion {
        left_out: left_out.iter().map(|candidate| candidate.frame).collect(),
        remaining: kept
            .iter()
            .filter(|candidate| candidate.is_near_duplicate)
            .count(),
    }
}

fn is_near_duplicate_of_any(frames: &[FrameFile], frame: usize, others: &[usize]) -> bool {
    let thumbnail = |index: usize| &frames[index].fingerprint.thumbnail;
    others
        .iter()
        .any(|&other| thumbnail(frame).is_near_duplicate(thumbnail(other)))
}

/// Distance of each position to the nearest validation frame; the length of the group if there is none.
fn distances(is_validation: &[bool]) -> Vec<usize> {
    let count = is_validation.len();
    let mut distances = vec![count; count];
    let mut pass = |positions: &mut dyn Iterator<Item = usize>| {
        let mut distance = count;
        for position in positions {
            distance = if is_validation[position] { 0 } else { distance + 1 };
            distances[position] = distances[position].min(distance);
        }
    };
    pass(&mut (0..count));
    pass(&mut (0..count).rev());
    distances
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::split::tests::frame;

    /// A group whose consecutive frames differ by this number of gray levels.
    fn movement(levels_per_frame: u8, count: u8) -> Vec<FrameFile> {
        let frame_of = |number: u8| frame("none", &format!("a_{number:03}.jpg"), levels_per_frame * number);
        (0..count).map(frame_of).collect()
    }

    /// Returns the indices that are left out, sorted, and the number of near-duplicates that remain.
    fn excluded(frames: &[FrameFile], validation: std::ops::Range<usize>) -> (Vec<usize>, usize) {
        let group: Vec<usize> = (0..frames.len()).collect();
        let exclusion = exclude(frames, &group, &validation.collect());
        let mut left_out = Vec::from_iter(exclusion.left_out);
        left_out.sort_unstable();
        (left_out, exclusion.remaining)
    }

    #[test]
    fn two_neighbors_on_each_side_are_left_out_of_a_fast_movement() {
        assert_eq!(excluded(&movement(5, 20), 8..12), (vec![6, 7, 12, 13], 0));
    }

    #[test]
    fn near_duplicates_anywhere_in_the_group_are_left_out() {
        let mut frames = movement(5, 20);
        frames[1].fingerprint = frames[9].fingerprint.clone();
        assert_eq!(excluded(&frames, 8..12).0, [1, 6, 7, 12, 13]);
    }

    #[test]
    fn two_thirds_of_a_nearly_still_hand_are_trained_on() {
        assert_eq!(excluded(&movement(0, 20), 0..5), (vec![5, 6, 7, 8, 9], 10));
    }

    #[test]
    fn without_validation_frames_nothing_is_left_out() {
        assert_eq!(excluded(&movement(0, 9), 0..0), (vec![], 0));
    }
}
