use proptest::prelude::*;

use super::*;

pub(super) const SETTINGS: DecisionSettings = DecisionSettings {
    threshold: 0.6,
    margin: 0.2,
    hysteresis: 0.0,
    smoothing_secs: 0.0,
    hold_secs: 0.5,
    stale_secs: 1.0,
    detect_frozen_camera: true,
};

/// A frame captured and received at that time.
fn at(secs: f64) -> FrameInfo {
    let time_ns = 1_000_000_000_000 + (secs * 1e9).round() as i64;
    FrameInfo::recorded(time_ns, time_ns, false)
}

fn decision(probabilities: &[f32]) -> Decision {
    GestureFilter::default().update(&SETTINGS, probabilities, &at(0.0))
}

#[test]
fn label_with_the_highest_probability_is_the_gesture() {
    let decision = decision(&[0.1, 0.8, 0.1]);
    assert_eq!(
        (decision.label, decision.confidence, decision.unknown_reason),
        (1, 0.8, None)
    );
}

#[test]
fn probability_that_is_not_finite_gives_unknown_and_resets_the_filter() {
    let mut filter = GestureFilter::default();
    let smoothing = DecisionSettings {
        smoothing_secs: 10.0,
        ..SETTINGS
    };
    let invalid = filter.update(&smoothing, &[f32::NAN, 0.8, 0.2], &at(0.0));
    assert_eq!(
        (invalid.unknown_reason, invalid.is_stable),
        (Some(UnknownReason::NotFinite), false)
    );
    let next = filter.update(&smoothing, &[0.0, 1.0, 0.0], &at(0.1));
    assert_eq!((next.label, next.confidence, next.unknown_reason), (1, 1.0, None));
}

#[test]
fn unfamiliar_frame_is_unknown_and_ends_the_gesture_but_does_not_count_in_the_average() {
    let settings = DecisionSettings {
        smoothing_secs: 1.0,
        ..SETTINGS
    };
    let mut filter = GestureFilter::default();
    for index in 0..10 {
        filter.update(&settings, &[0.1, 0.9], &at(0.1 * f64::from(index)));
    }
    let unfamiliar = FrameInfo {
        is_familiar: false,
        ..at(1.0)
    };
    let unknown = filter.update(&settings, &[0.99, 0.01], &unfamiliar);
    assert_eq!(unknown.unknown_reason, Some(UnknownReason::Unfamiliar));
    assert_eq!(UnknownReason::Unfamiliar.reason(), "unfamiliar");
    assert_eq!(
        (unknown.label, unknown.confidence, unknown.is_stable),
        (0, 0.99, false)
    );
    let next = filter.update(&settings, &[0.1, 0.9], &at(1.1));
    assert_eq!(
        (next.label, next.confidence, next.unknown_reason),
        (1, 0.9, None),
        "the average of the familiar frames"
    );
    assert!(!next.is_stable, "the hold begins anew");
}

#[test]
fn probability_below_the_threshold_gives_unknown() {
    assert_eq!(
        decision(&[0.55, 0.25, 0.2]).unknown_reason,
        Some(UnknownReason::Threshold)
    );
}

#[test]
fn difference_below_the_margin_gives_unknown() {
    let settings = DecisionSettings {
        threshold: 0.4,
        ..SETTINGS
    };
    let decision = GestureFilter::default().update(&settings, &[0.5, 0.45, 0.05], &at(0.0));
    assert_eq!(decision.unknown_reason, Some(UnknownReason::Margin));
}

#[test]
fn gesture_is_stable_after_the_hold_time() {
    let mut filter = GestureFilter::default();
    let stable: Vec<bool> = [0.0, 0.25, 0.5, 0.75]
        .into_iter()
        .map(|now_secs| filter.update(&SETTINGS, &[0.9, 0.1], &at(now_secs)).is_stable)
        .collect();
    assert_eq!(stable, [false, false, true, true]);
    assert!(
        !filter.update(&SETTINGS, &[0.1, 0.9], &at(1.0)).is_stable,
        "another gesture restarts the hold time"
    );
}

#[test]
fn unknown_restarts_the_hold_time() {
    let mut filter = GestureFilter::default();
    filter.update(&SETTINGS, &[0.9, 0.1], &at(0.0));
    filter.update(&SETTINGS, &[0.5, 0.5], &at(0.3));
    assert!(!filter.update(&SETTINGS, &[0.9, 0.1], &at(0.6)).is_stable);
}

#[test]
fn single_outlier_does_not_change_a_smoothed_decision() {
    let settings = DecisionSettings {
        smoothing_secs: 0.3,
        ..SETTINGS
    };
    let mut filter = GestureFilter::default();
    for frame in 0..10 {
        filter.update(&settings, &[0.95, 0.05], &at(f64::from(frame) / 30.0));
    }
    assert_eq!(filter.update(&settings, &[0.05, 0.95], &at(10.0 / 30.0)).label, 0);
}

#[test]
fn clock_that_jumps_back_resets_the_filter() {
    let settings = DecisionSettings {
        smoothing_secs: 10.0,
        ..SETTINGS
    };
    let mut filter = GestureFilter::default();
    filter.update(&settings, &[1.0, 0.0], &at(100.0));
    let decision = filter.update(&settings, &[0.0, 1.0], &at(3.0));
    assert_eq!((decision.label, decision.is_stable), (1, false));
}

#[test]
fn another_number_of_labels_resets_the_filter() {
    let mut filter = GestureFilter::default();
    filter.update(&SETTINGS, &[0.9, 0.1], &at(0.0));
    assert_eq!(filter.update(&SETTINGS, &[0.0, 0.1, 0.9], &at(0.1)).label, 2);
}

const WITH_HYSTERESIS: DecisionSettings = DecisionSettings {
    hysteresis: 0.15,
    ..SETTINGS
};

#[test]
fn gesture_is_kept_down_to_threshold_minus_hysteresis() {
    let dip = [0.5, 0.3, 0.2];
    let mut filter = GestureFilter::default();
    assert!(
        filter
            .update(&WITH_HYSTERESIS, &dip, &at(0.0))
            .unknown_reason
            .is_some(),
        "below the threshold of a new gesture"
    );
    filter.update(&WITH_HYSTERESIS, &[0.8, 0.1, 0.1], &at(0.1));
    let decision = filter.update(&WITH_HYSTERESIS, &dip, &at(0.9));
    assert_eq!(
        (decision.label, decision.unknown_reason, decision.is_stable),
        (0, None, true)
    );
    let dropped = filter.update(&WITH_HYSTERESIS, &[0.44, 0.3, 0.26], &at(1.0));
    assert_eq!(
        dropped.unknown_reason,
        Some(UnknownReason::Threshold),
        "below threshold - hysteresis"
    );
    assert!(
        filter
            .update(&WITH_HYSTERESIS, &dip, &at(1.1))
            .unknown_reason
            .is_some(),
        "hysteresis does not apply to a dropped gesture"
    );
}

#[test]
fn gesture_changes_once_the_other_label_leads_by_more_than_the_hysteresis() {
    let close = DecisionSettings {
        threshold: 0.4,
        margin: 0.1,
        ..WITH_HYSTERESIS
    };
    let mut filter = GestureFilter::default();
    filter.update(&close, &[0.6, 0.4], &at(0.0));
    let decision = filter.update(&close, &[0.49, 0.51], &at(0.1));
    assert_eq!(
        (decision.label, decision.confidence, decision.unknown_reason),
        (0, 0.49, None)
    );
    let decision = filter.update(&close, &[0.4, 0.6], &at(0.2));
    assert_eq!(
        (decision.label, decision.unknown_reason, decision.is_stable),
        (1, None, false)
    );
}

/// Any settings, and any frames of three labels: seconds since the last frame, and weights that are normalized to probabilities.
fn any_run() -> impl Strategy<Value = (DecisionSettings, Vec<(f64, [f32; 3])>)> {
    let settings = (
        0.0..=1.0f32,
        0.0..=1.0f32,
        0.0..=0.5f32,
        0.0..=1.0f64,
        0.0..=1.0f64,
    )
        .prop_map(
            |(threshold, margin, hysteresis, smoothing_secs, hold_secs)| DecisionSettings {
                threshold,
                margin,
                hysteresis,
                smoothing_secs,
                hold_secs,
                ..SETTINGS
            },
        );
    let frame = (0.001..=0.5f64, prop::array::uniform3(0.001..=1.0f32));
    (settings, prop::collection::vec(frame, 1..40))
}

/// The decisions for frames that start at `start_secs`, with the time of each frame.
fn decisions(
    settings: &DecisionSettings,
    frames: &[(f64, [f32; 3])],
    start_secs: f64,
) -> Vec<(f64, Decision)> {
    let mut filter = GestureFilter::default();
    let mut now_secs = start_secs;
    let decision = |(step_secs, weights): &(f64, [f32; 3])| {
        now_secs += step_secs;
        let sum: f32 = weights.iter().sum();
        let probabilities = weights.map(|weight| weight / sum);
        (now_secs, filter.update(settings, &probabilities, &at(now_secs)))
    };
    frames.iter().map(decision).collect()
}

proptest! {
    /// Robots rely on this: stable means that each frame of the last `hold_secs` had the same gesture.
    #[test]
    fn stable_gesture_has_lasted_for_the_hold_time((settings, frames) in any_run()) {
        let run = decisions(&settings, &frames, 0.0);
        for (index, (now_secs, decision)) in run.iter().enumerate() {
            if decision.is_stable {
                let begin = run[..=index].iter().rposition(|(_, earlier)| {
                    earlier.label != decision.label || earlier.unknown_reason.is_some()
                });
                let begin = begin.map_or(0, |before| before + 1);
                prop_assert!(begin <= index && now_secs - run[begin].0 >= settings.hold_secs - 1e-6);
            }
        }
    }

    /// A new gesture reaches the threshold, and a kept one the threshold minus the hysteresis.
    #[test]
    fn confidence_of_a_gesture_reaches_the_threshold((settings, frames) in any_run()) {
        let mut before = None;
        for (_, decision) in decisions(&settings, &frames, 0.0) {
            if decision.unknown_reason.is_none() {
                let is_new = before != Some(decision.label);
                let min = settings.threshold - if is_new { 0.0 } else { settings.hysteresis };
                prop_assert!(decision.confidence >= min);
            }
            before = decision.unknown_reason.is_none().then_some(decision.label);
        }
    }

    /// A frame that has a gesture without hysteresis has one with hysteresis too.
    #[test]
    fn hysteresis_never_drops_a_gesture((settings, frames) in any_run()) {
        let without = DecisionSettings { hysteresis: 0.0, ..settings };
        let (kept, plain) = (decisions(&settings, &frames, 0.0), decisions(&without, &frames, 0.0));
        for ((_, kept), (_, plain)) in kept.iter().zip(&plain) {
            prop_assert!(plain.unknown_reason.is_some() || kept.unknown_reason.is_none());
        }
    }

    /// A bag that is played after another one with later stamps gives the same decisions as on its own.
    #[test]
    fn decisions_after_a_jump_back_do_not_depend_on_earlier_frames((settings, frames) in any_run(), (_, others) in any_run()) {
        let mut filter = GestureFilter::default();
        for (index, (_, weights)) in others.iter().enumerate() {
            let sum: f32 = weights.iter().sum();
            filter.update(&settings, &weights.map(|weight| weight / sum), &at(1e6 + index as f64));
        }
        let alone = decisions(&settings, &frames, 0.0);
        let mut now_secs = 0.0;
        for ((step_secs, weights), (_, expected)) in frames.iter().zip(&alone) {
            now_secs += step_secs;
            let sum: f32 = weights.iter().sum();
            let decision = filter.update(&settings, &weights.map(|weight| weight / sum), &at(now_secs));
            prop_assert_eq!(&decision, expected);
        }
    }
}
