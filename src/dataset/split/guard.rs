//! What must not be trained on beside a held-out run of a group that was cut.

use std::collections::HashSet;

use crate::dataset::bursts::FrameFile;

/// Frames beside a held-out run that are left out whatever they look like: one in five neighbours is in motion that is too fast for the
/// near-duplicate threshold, and still the same hand in the same place.
const NEIGHBOURS: usize = 2;
/// At most one in so many of the frames to train on is left out; of a hand that hardly moves, nothing would stay.
const FRAMES_PER_LEFT_OUT: usize = 3;

/// What is left out, and whether that is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Guard {
    /// Indices of the frames that are left out.
    pub left_out: Vec<usize>,
    /// How many near-duplicates of held-out frames stay to be trained on.
    pub unguarded: usize,
}

/// A frame of the group that is not held out.
struct Candidate {
    frame: usize,
    is_near: bool,
    /// Frames from here to the nearest held-out one.
    steps: usize,
}

/// Leaves out the near-duplicates of held-out frames and the nearest neighbours, as far as the bound allows: near-duplicates
/// first, and of them those that are nearest in time.
pub(super) fn around(frames: &[FrameFile], group: &[usize], held: &HashSet<usize>) -> Guard {
    let is_held: Vec<bool> = group.iter().map(|frame| held.contains(frame)).collect();
    let held_here: Vec<usize> = group
        .iter()
        .copied()
        .filter(|frame| held.contains(frame))
        .collect();
    let mut candidates: Vec<Candidate> = group
        .iter()
        .zip(steps_to_held(&is_held))
        .filter(|(_, steps)| *steps > 0)
        .map(|(&frame, steps)| Candidate {
            frame,
            is_near: is_near_any(frames, frame, &held_here),
            steps,
        })
        .collect();
    let bound = candidates.len() / FRAMES_PER_LEFT_OUT;
    candidates.retain(|candidate| candidate.is_near || candidate.steps <= NEIGHBOURS);
    candidates.sort_by_key(|candidate| (!candidate.is_near, candidate.steps));
    let beyond = candidates.iter().skip(bound);
    Guard {
        unguarded: beyond.filter(|candidate| candidate.is_near).count(),
        left_out: candidates
            .iter()
            .take(bound)
            .map(|candidate| candidate.frame)
            .collect(),
    }
}

fn is_near_any(frames: &[FrameFile], frame: usize, held: &[usize]) -> bool {
    let look = |index: usize| &frames[index].fingerprint.thumbnail;
    held.iter().any(|&other| look(frame).is_near(look(other)))
}

/// For each place the number of places to the nearest held one; the length where there is none.
fn steps_to_held(is_held: &[bool]) -> Vec<usize> {
    let mut steps = vec![is_held.len(); is_held.len()];
    let walk = |places: &mut dyn Iterator<Item = usize>, steps: &mut [usize]| {
        let mut since_held = is_held.len();
        for place in places {
            since_held = if is_held[place] { 0 } else { since_held + 1 };
            steps[place] = steps[place].min(since_held);
        }
    };
    walk(&mut (0..is_held.len()), &mut steps);
    walk(&mut (0..is_held.len()).rev(), &mut steps);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::split::tests::frame;

    /// Frames that differ from their neighbours by so many grey levels.
    fn movement(levels_per_frame: u8, count: u8) -> Vec<FrameFile> {
        let frame_of = |number: u8| frame("none", &format!("a_{number:03}.jpg"), levels_per_frame * number);
        (0..count).map(frame_of).collect()
    }

    fn guard(frames: &[FrameFile], held: std::ops::Range<usize>) -> Guard {
        let group: Vec<usize> = (0..frames.len()).collect();
        let mut guard = around(frames, &group, &held.collect());
        guard.left_out.sort_unstable();
        guard
    }

    #[test]
    fn two_neighbours_on_each_side_are_left_out_of_a_fast_movement() {
        let guard = guard(&movement(5, 20), 8..12);
        assert_eq!(guard.left_out, [6, 7, 12, 13]);
        assert_eq!(guard.unguarded, 0);
    }

    #[test]
    fn near_duplicates_are_left_out_wherever_they_stand() {
        let mut frames = movement(5, 20);
        frames[1].fingerprint = frames[9].fingerprint.clone();
        assert_eq!(guard(&frames, 8..12).left_out, [1, 6, 7, 12, 13]);
    }

    #[test]
    fn a_hand_that_hardly_moves_leaves_two_thirds_to_train_on() {
        let guard = guard(&movement(0, 20), 0..5);
        assert_eq!(guard.left_out, [5, 6, 7, 8, 9]);
        assert_eq!(guard.unguarded, 10);
    }

    #[test]
    fn nothing_held_out_leaves_out_nothing() {
        assert_eq!(guard(&movement(0, 9), 0..0), Guard::default());
    }
}
