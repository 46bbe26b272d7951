//! Clocks that jump, stand still or are missing, and cameras that freeze.

use super::tests::SETTINGS;
use super::*;

mod properties;

const MS: i64 = 1_000_000;
const SECOND: i64 = 1000 * MS;
const HOUR: i64 = 3600 * SECOND;
const PERIOD: i64 = 33 * MS;
/// The stamp of the first frame.
const EPOCH: i64 = 1_700_000_000 * SECOND;
const UP: [f32; 2] = [0.9, 0.1];

/// Frame `index` of a camera at 30 Hz without any delay.
fn frame(index: usize) -> FrameInfo {
    let time_ns = index as i64 * PERIOD;
    FrameInfo {
        stamp_ns: EPOCH + time_ns,
        arrival_ns: time_ns,
        steady_ns: time_ns,
        waited_ns: 0,
        ros_now_ns: Some(EPOCH + time_ns),
        repeats_pixels: false,
        is_familiar: true,
    }
}

/// The decisions for frames that all show the same gesture.
fn decisions(frames: &[FrameInfo]) -> Vec<Decision> {
    let mut filter = GestureFilter::default();
    let decide = |frame| filter.update(&SETTINGS, &UP, frame);
    frames.iter().map(decide).collect()
}

/// Index of the first stable frame.
fn first_stable(frames: &[FrameInfo]) -> Option<usize> {
    decisions(frames).iter().position(|decision| decision.is_stable)
}

/// `count` frames, changed by `change`, which gets their index.
fn frames(count: usize, change: impl Fn(usize, &mut FrameInfo)) -> Vec<FrameInfo> {
    let changed = |index| {
        let mut frame = frame(index);
        change(index, &mut frame);
        frame
    };
    (0..count).map(changed).collect()
}

/// Frame 16 is the first one that is at least 0.5 s after frame 0.
const STABLE: usize = 16;

#[test]
fn good_stream_is_stable_after_the_hold_time() {
    assert_eq!(first_stable(&frames(60, |_, _| {})), Some(STABLE));
}

/// The clock of a board without a battery is set while a hand is held up: stamps and ROS time jump by an hour.
#[test]
fn jump_of_the_stamps_begins_the_hold_anew() {
    for jump in [HOUR, -HOUR, 400 * MS, -400 * MS] {
        let jumped = frames(60, |index, frame| {
            if index >= 2 {
                frame.stamp_ns += jump;
                frame.ros_now_ns = Some(frame.stamp_ns);
            }
        });
        assert_eq!(first_stable(&jumped), Some(2 + STABLE), "{jump} ns");
    }
}

/// A step that is too small to be told from jitter does not make the gesture stable earlier, because the arrivals count as well.
#[test]
fn small_step_of_the_stamps_does_not_shorten_the_hold() {
    let stepped = frames(60, |index, frame| {
        if index >= 2 {
            frame.stamp_ns += 200 * MS;
        }
    });
    assert_eq!(first_stable(&stepped), Some(STABLE));
}

#[test]
fn stamps_without_fractions_of_a_second_are_reported_as_jumps() {
    let coarse = frames(90, |_, frame| frame.stamp_ns -= frame.stamp_ns % SECOND);
    let jumps: Vec<usize> = decisions(&coarse)
        .iter()
        .enumerate()
        .filter_map(|(index, decision)| (!decision.is_continuous).then_some(index))
        .collect();
    assert_eq!(jumps, [0, 31, 61]);
    assert_eq!(first_stable(&coarse), None);
}

#[test]
fn burst_of_arrivals_does_not_shorten_the_hold() {
    let burst = frames(STABLE + 1, |_, frame| frame.arrival_ns = 0);
    assert_eq!(first_stable(&burst), None);
}

#[test]
fn stamps_that_run_too_fast_do_not_shorten_the_hold() {
    let fast = frames(60, |index, frame| frame.stamp_ns += index as i64 * PERIOD);
    assert_eq!(first_stable(&fast[..20]), Some(STABLE));
}

#[test]
fn gap_begins_the_hold_anew() {
    let gap = frames(60, |index, frame| {
        if index >= 10 {
            let times = [&mut frame.stamp_ns, &mut frame.arrival_ns, &mut frame.steady_ns];
            times.into_iter().for_each(|time| *time += 1100 * MS);
            frame.ros_now_ns = Some(frame.stamp_ns);
        }
    });
    assert_eq!(first_stable(&gap), Some(10 + STABLE));
}

#[test]
fn zero_stamp_among_others_neither_ends_nor_shortens_the_hold() {
    for zero in 1..STABLE {
        let with_zero = frames(60, |index, frame| {
            if index == zero {
                frame.stamp_ns = 0;
            }
        });
        assert_eq!(first_stable(&with_zero), Some(STABLE), "frame {zero}");
    }
    let last_is_zero = frames(60, |index, frame| {
        if index == STABLE {
            frame.stamp_ns = 0;
        }
    });
    assert_eq!(first_stable(&last_is_zero), Some(STABLE + 1));
    let first_is_zero = frames(60, |index, frame| {
        if index == 0 {
            frame.stamp_ns = 0;
        }
    });
    assert_eq!(first_stable(&first_is_zero), Some(STABLE + 1));
}

/// The last stamp was before the gesture.
#[test]
fn gesture_that_begins_without_a_stamp_is_held_from_the_next_stamp() {
    let mut filter = GestureFilter::default();
    filter.update(&SETTINGS, &[0.1, 0.9], &frame(0));
    let begins_unstamped = frames(60, |index, frame| {
        if index == 1 {
            frame.stamp_ns = 0;
        }
    });
    let mut decisions = begins_unstamped[1..]
        .iter()
        .map(|frame| filter.update(&SETTINGS, &UP, frame));
    assert_eq!(
        decisions.position(|decision| decision.is_stable),
        Some(1 + STABLE)
    );
}

#[test]
fn stream_without_stamps_uses_the_arrivals() {
    let unstamped = frames(60, |_, frame| frame.stamp_ns = 0);
    assert_eq!(first_stable(&unstamped), Some(STABLE));
    let stops_stamping = frames(120, |index, frame| {
        if index > 0 {
            frame.stamp_ns = 0;
        }
    });
    // From the first frame more than 1 s after the last stamp.
    assert_eq!(first_stable(&stops_stamping), Some(31 + STABLE));
}

/// Before the first time on `/clock`, and while it stands still.
#[test]
fn hold_does_not_pass_while_simulated_time_stands_still() {
    let standing = frames(60, |_, frame| {
        frame.arrival_ns = 0;
        frame.ros_now_ns = None;
    });
    assert_eq!(first_stable(&standing), None);
}

/// The first time on `/clock` is no reason to take a frame that repeats for one that has been frozen since 1970.
#[test]
fn jump_of_simulated_time_does_not_make_a_camera_frozen() {
    let started = frames(4, |index, frame| {
        frame.repeats_pixels = true;
        frame.stamp_ns = EPOCH;
        frame.arrival_ns = if index < 2 { 0 } else { EPOCH + frame.steady_ns };
    });
    assert!(
        decisions(&started)
            .iter()
            .all(|decision| decision.unknown_reason.is_none())
    );
}

#[test]
fn zero_stamp_has_no_weight_in_the_smoothing() {
    let settings = DecisionSettings {
        smoothing_secs: 0.3,
        ..SETTINGS
    };
    let mut filter = GestureFilter::default();
    filter.update(&settings, &UP, &frame(0));
    let unstamped = FrameInfo {
        stamp_ns: 0,
        ..frame(1)
    };
    let decision = filter.update(&settings, &[0.1, 0.9], &unstamped);
    assert_eq!((decision.label, decision.confidence), (0, 0.9));
}

/// Ways in which frames do not show what is before the camera now.
fn stale_frames() -> [(&'static str, Vec<FrameInfo>); 5] {
    const LAST_FRESH: usize = 20;
    let after = |index: usize| index > LAST_FRESH;
    let still = frame(LAST_FRESH).stamp_ns;
    [
        (
            "no new image for 1.",
            frames(60, |index, frame| {
                if after(index) {
                    frame.stamp_ns = still;
                    frame.repeats_pixels = true;
                }
            }),
        ),
        (
            "no new image for 1.",
            frames(60, |index, frame| frame.repeats_pixels = after(index)),
        ),
        (
            "stamp has not changed for 1.",
            frames(60, |index, frame| {
                if after(index) {
                    frame.stamp_ns = still;
                }
            }),
        ),
        (
            "5.0 s behind ROS time",
            frames(60, |index, frame| {
                if after(index) {
                    frame.stamp_ns -= 5 * SECOND;
                }
            }),
        ),
        (
            "3600.0 s ahead of ROS time",
            frames(60, |index, frame| {
                if after(index) {
                    frame.stamp_ns += HOUR;
                }
            }),
        ),
    ]
}

#[test]
fn stale_frames_are_unknown_within_the_timeout_and_one_frame_with_the_cause() {
    for (text, frames) in stale_frames() {
        let last = &decisions(&frames)[20 + 31..];
        for decision in last {
            let reason = decision.unknown_reason;
            let Some(UnknownReason::Stale(cause)) = reason else {
                panic!("{text}: {reason:?}");
            };
            assert!(cause.to_string().contains(text), "{cause}");
            assert_eq!(
                (reason.map(UnknownReason::reason), decision.is_stable),
                (Some("stale"), false)
            );
        }
    }
}

#[test]
fn first_fresh_frame_has_a_gesture_and_begins_the_hold_anew() {
    for (text, mut stale) in stale_frames() {
        let count = stale.len();
        stale.extend((count..count + 40).map(frame));
        let after = &decisions(&stale)[count..];
        assert_eq!(after[0].unknown_reason, None, "{text}");
        let first_stable = after.iter().position(|decision| decision.is_stable);
        assert_eq!(first_stable, Some(STABLE), "{text}");
    }
}

#[test]
fn frozen_pixels_are_believed_if_their_detection_is_off() {
    let settings = DecisionSettings {
        detect_frozen_camera: false,
        ..SETTINGS
    };
    let mut filter = GestureFilter::default();
    for frame in frames(100, |_, frame| frame.repeats_pixels = true) {
        let decision = filter.update(&settings, &UP, &frame);
        assert_eq!(decision.unknown_reason, None);
    }
}

/// Another model, and a pause of the camera, do not make a frozen image fresh.
#[test]
fn forgetting_the_gesture_does_not_make_a_frozen_camera_fresh() {
    let mut filter = GestureFilter::default();
    for frame in frames(60, |_, frame| frame.repeats_pixels = true) {
        filter.forget_gesture();
        let decision = filter.update(&SETTINGS, &UP, &frame);
        assert_eq!(decision.unknown_reason.is_some(), frame.steady_ns > SECOND);
    }
}
