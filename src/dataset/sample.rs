//! Evenly spaced samples, for steps that would take too long on all frames of a dataset.

/// At most `max` of the items in their order: the first one in each of `max` equal parts, or all of them if there are no more.
pub fn evenly_spaced<T>(items: &[T], max: usize) -> Vec<&T> {
    let total = items.len();
    let is_chosen = |index: usize| total <= max || index * max % total < max;
    let chosen = items.iter().enumerate().filter(|(index, _)| is_chosen(*index));
    chosen.map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_covers_all_items_and_does_not_exceed_the_maximum() {
        assert_eq!(evenly_spaced(&[0, 1, 2, 3, 4, 5, 6], 3), [&0, &3, &5]);
        assert_eq!(evenly_spaced(&[0, 1, 2], 5), [&0, &1, &2]);
        let thousand: Vec<usize> = (0..1000).collect();
        assert_eq!(evenly_spaced(&thousand, 400).len(), 400, "all that are allowed");
        assert!(evenly_spaced(&[1], 0).is_empty());
        assert!(evenly_spaced::<u8>(&[], 3).is_empty());
    }
}
