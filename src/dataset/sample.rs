//! Evenly spaced samples, for steps that would take too long on all frames of a dataset.

/// At most `max` of the items, at equal distances from the first one on, in their order; `max` must be at least 1.
pub fn evenly_spaced<T>(items: &[T], max: usize) -> Vec<&T> {
    let step = items.len().div_ceil(max).max(1);
    items.iter().step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_covers_all_items_and_does_not_exceed_the_maximum() {
        assert_eq!(evenly_spaced(&[0, 1, 2, 3, 4, 5, 6], 3), [&0, &3, &6]);
        assert_eq!(evenly_spaced(&[0, 1, 2], 3), [&0, &1, &2]);
        assert!(evenly_spaced::<u8>(&[], 3).is_empty());
    }
}
