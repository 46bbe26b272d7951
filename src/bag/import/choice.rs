//! Which of many frames are saved: few, evenly spread, and no two alike.

use std::collections::BTreeSet;

use super::Candidate;

/// At most `count` of the candidates, as positions in the list. They are evenly spread over it; near-duplicates of a chosen one are replaced
/// by others, and none are left where all others are near-duplicates.
pub(super) fn choose(candidates: &[Candidate], count: usize) -> BTreeSet<usize> {
    let steps = count.min(candidates.len());
    let even = (0..steps).map(|step| step * candidates.len() / steps);
    let mut chosen = BTreeSet::new();
    for position in even.chain(halving(candidates.len())) {
        if chosen.len() == count {
            break;
        }
        let thumbnail = &candidates[position].thumbnail;
        let is_new = |other: &usize| !candidates[*other].thumbnail.is_near_duplicate(thumbnail);
        if chosen.iter().all(is_new) {
            chosen.insert(position);
        }
    }
    chosen
}

/// The numbers below `count`, so that each part of the sequence is evenly spread (van der Corput 1935): 0, 4, 2, 6, 1, 5, 3, 7.
fn halving(count: usize) -> impl Iterator<Item = usize> {
    let bits = count.next_power_of_two().trailing_zeros();
    let reversed = move |step: usize| step.reverse_bits().checked_shr(usize::BITS - bits).unwrap_or(0);
    (0..1_usize << bits)
        .map(reversed)
        .filter(move |number| *number < count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::fingerprint::{PIXELS, Thumbnail};

    fn candidates(levels: &[u8]) -> Vec<Candidate> {
        let candidate = |(index, level): (usize, &u8)| Candidate {
            index,
            thumbnail: Thumbnail {
                levels: [*level; PIXELS],
            },
            reason: None,
        };
        levels.iter().enumerate().map(candidate).collect()
    }

    #[test]
    fn different_frames_are_spread_evenly() {
        let levels: Vec<u8> = (0..60).map(|level| level * 4).collect();
        let chosen: Vec<usize> = choose(&candidates(&levels), 4).into_iter().collect();
        assert_eq!(chosen, [0, 15, 30, 45]);
    }

    #[test]
    fn near_duplicates_are_replaced_by_other_frames() {
        let mut levels = vec![100; 50];
        levels[7] = 150;
        levels[33] = 200;
        let chosen: Vec<usize> = choose(&candidates(&levels), 4).into_iter().collect();
        assert_eq!(chosen, [0, 7, 33], "a robot that stood still");
        assert!(choose(&[], 4).is_empty() && choose(&candidates(&levels), 0).is_empty());
    }

    proptest! {
        #[test]
        fn as_many_as_wanted_are_chosen_if_they_differ(
            levels in prop::collection::vec(any::<u8>(), 0..80),
            count in 0_usize..20,
        ) {
            let candidates = candidates(&levels);
            let chosen = choose(&candidates, count);
            let is_like = |a: usize, b: usize| candidates[a].thumbnail.is_near_duplicate(&candidates[b].thumbnail);
            for &a in &chosen {
                prop_assert!(chosen.iter().all(|&b| a == b || !is_like(a, b)));
            }
            prop_assert!(chosen.len() <= count);
            if chosen.len() < count {
                prop_assert!((0..levels.len()).all(|a| chosen.iter().any(|&b| is_like(a, b))));
            }
        }

        #[test]
        fn each_number_occurs_once(count in 0_usize..200) {
            let mut numbers: Vec<usize> = halving(count).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        }
    }
}
