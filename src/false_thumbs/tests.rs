use proptest::prelude::*;

use super::*;

fn frames(count: usize, thumbs: &[f32]) -> ThumblessFrames {
    ThumblessFrames {
        frames: count,
        thumbs: thumbs.to_vec(),
    }
}

fn threshold(frames: &ThumblessFrames, max_per_minute: f64) -> RateThreshold {
    frames.threshold_for(max_per_minute, &DecisionSettings::default())
}

/// Where the exact sum of the binomial or Poisson probabilities is 5 %.
#[test]
fn bounds_are_those_of_the_exact_distributions() {
    let shares = [
        (0, 10, 0.258_866),
        (0, 300, 0.009_936),
        (1, 20, 0.216_106),
        (5, 50, 0.198_833),
        (9, 10, 0.994_884),
    ];
    for (found, frames, expected) in shares {
        let bound = max_share(found, frames);
        assert!((bound - expected).abs() < 1e-5, "{found} of {frames}: {bound}");
    }
    assert_eq!((max_share(0, 0), max_share(7, 7)), (1.0, 1.0));
    for (found, expected) in [(0, 2.995_732), (1, 4.743_865), (10, 16.962_219)] {
        let bound = max_expected(found);
        assert!((bound - expected).abs() < 1e-5, "{found}: {bound}");
    }
}

#[test]
fn threshold_is_the_lowest_that_keeps_the_rate() {
    // A share of 1 % for 0.5 s of hold is 1.2 per minute.
    let clean = frames(300, &[]);
    let kept = threshold(&clean, 1.2);
    assert_eq!((kept.threshold, kept.needed_frames), (0.5, None));
    let disturbed = frames(300, &[0.62]);
    let raised = threshold(&disturbed, 1.2);
    assert_eq!(
        (raised.threshold, raised.needed_frames),
        (0.68, None),
        "above the false thumb, also with hysteresis"
    );
    assert!(raised.max_per_minute <= 1.2);
    assert_eq!(
        threshold(&disturbed, 5.0).threshold,
        0.5,
        "one of 300 is tolerated"
    );
}

#[test]
fn strictest_threshold_is_used_where_the_frames_are_too_few() {
    let few = frames(50, &[0.7, 0.55]);
    let found = threshold(&few, 0.1);
    assert_eq!(found.threshold, 0.76);
    assert!(found.max_per_minute > 0.1);
    let needed = found.needed_frames.expect("too few");
    assert_eq!(needed, 3594);
    assert_eq!(threshold(&frames(needed as usize, &[]), 0.1).needed_frames, None);
    let none = threshold(&frames(0, &[]), 1.0);
    assert_eq!((none.threshold, none.max_per_minute), (0.5, 120.0));
    assert_eq!(threshold(&few, 0.0).needed_frames, Some(u64::MAX));
}

#[test]
fn hopeless_false_thumbs_do_not_mute_every_gesture() {
    let found = threshold(&frames(20, &[1.0, 0.6]), 0.0);
    assert_eq!(found.threshold, 0.66, "no threshold excludes a probability of 1");
}

#[test]
fn frames_are_those_without_a_thumb() {
    let labels = ["none", "thumbsup", "wave"].map(|name| Label::new(name).expect(name));
    let frames: [(usize, &[f32]); 4] = [
        (0, &[0.2, 0.7, 0.1]),
        (1, &[0.1, 0.8, 0.1]),
        (2, &[0.1, 0.9, 0.0]),
        (0, &[0.6, 0.4, 0.0]),
    ];
    let found = ThumblessFrames::new(&labels, frames.into_iter());
    assert_eq!((found.frames, found.thumbs), (3, vec![0.7, 0.9]));
}

proptest! {
    #[test]
    fn threshold_rises_as_the_rate_falls_and_is_never_below_that_of_the_settings(
        confidences in prop::collection::vec(0.34_f32..=1.0, 0..40),
        others in 0_usize..2000,
        lowest in 0.0_f32..=1.0,
        rates in prop::array::uniform2(0.0_f64..20.0),
    ) {
        let frames = frames(confidences.len() + others, &confidences);
        let settings = DecisionSettings { threshold: lowest, ..DecisionSettings::default() };
        let [low, high] = if rates[0] <= rates[1] { rates } else { [rates[1], rates[0]] };
        let [strict, loose] = [low, high].map(|rate| frames.threshold_for(rate, &settings));
        prop_assert!(strict.threshold >= loose.threshold && loose.threshold >= lowest);
        prop_assert!(strict.max_per_minute <= loose.max_per_minute);
        prop_assert_eq!(strict.needed_frames.is_none(), strict.max_per_minute <= low);
    }

    #[test]
    fn bound_of_a_share_is_above_it_and_falls_with_more_frames(found in 0_usize..50, others in 1_usize..500) {
        let frames = found + others;
        let bound = max_share(found, frames);
        prop_assert!(bound > found as f64 / frames as f64 && bound <= 1.0);
        prop_assert!(max_share(found, 2 * frames) < bound);
        prop_assert!(max_share(found + 1, frames) > bound || found + 1 == frames);
        prop_assert!(max_expected(found) > found as f64);
    }
}
