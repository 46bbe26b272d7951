//! Clocks that jump, stand still or are missing, and cameras that freeze.

use proptest::prelude::*;

use super::*;

const SETTINGS: DecisionSettings = DecisionSettings {
    threshold: 0.6,
    margin: 0.2,
    hysteresis: 0.0,
    smoothing_secs: 0.0,
    hold_secs: 0.5,
    stale_secs: 1.0,
    detect_frozen_camera: true,
};
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
        ros_now_ns: Some(EPOCH + time_ns),
        repeats_pixels: false,
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
            "has not changed by a single bit for 1.",
            frames(60, |index, frame| {
                if after(index) {
                    frame.stamp_ns = still;
                    frame.repeats_pixels = true;
                }
            }),
        ),
        (
            "has not changed by a single bit for 1.",
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

/// Where a step of time may go wrong, nanoseconds.
fn any_step() -> impl Strategy<Value = i64> {
    prop_oneof![
        60 => Just(PERIOD),
        20 => 0..=100 * MS,
        1 => Just(0_i64),
        1 => 0..=3 * SECOND,
        1 => -SECOND..0,
        1 => Just(HOUR),
        1 => Just(-HOUR),
    ]
}

/// A frame as steps from the previous one, and its probabilities.
#[derive(Clone, Debug)]
struct AnyFrame {
    stamp_step: i64,
    /// Replaces the stamp.
    stamp: Option<i64>,
    arrival_step: i64,
    age: i64,
    has_ros_time: bool,
    repeats_pixels: bool,
    probabilities: [f32; 2],
}

fn any_frame() -> impl Strategy<Value = AnyFrame> {
    let stamp = prop_oneof![
        60 => Just(None),
        2 => Just(Some(0)),
        1 => Just(Some(i64::from(i32::MIN) * SECOND)),
        1 => Just(Some(i64::from(i32::MAX) * SECOND + i64::from(u32::MAX))),
    ];
    let age = prop_oneof![60 => 0..=200 * MS, 1 => -2 * SECOND..=2 * SECOND, 1 => Just(HOUR)];
    let up =
        prop_oneof![40 => Just(0.9_f32), 1 => 0.0..=1.0_f32, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY)];
    let flags = (prop::bool::weighted(0.9), prop::bool::weighted(0.2));
    (any_step(), stamp, any_step(), age, flags, up).prop_map(
        |(stamp_step, stamp, arrival_step, age, (has_ros_time, repeats_pixels), up)| AnyFrame {
            stamp_step,
            stamp,
            // Half of the frames are in step with the arrivals.
            arrival_step: if age % 2 == 0 { stamp_step } else { arrival_step },
            age,
            has_ros_time,
            repeats_pixels,
            probabilities: [up, 1.0 - up],
        },
    )
}

/// The frames, on any two clocks, with the decision for each.
fn run(any_frames: &[AnyFrame]) -> Vec<(FrameInfo, Decision)> {
    let mut filter = GestureFilter::default();
    let (mut stamp_ns, mut arrival_ns, mut steady_ns) = (EPOCH, 0_i64, 0_i64);
    let decide = |any: &AnyFrame| {
        stamp_ns += any.stamp_step;
        arrival_ns += any.arrival_step;
        // Only the simulated clock may go back.
        steady_ns += any.arrival_step.max(0);
        let frame = FrameInfo {
            stamp_ns: any.stamp.unwrap_or(stamp_ns),
            arrival_ns,
            steady_ns,
            ros_now_ns: any.has_ros_time.then_some(stamp_ns + any.age),
            repeats_pixels: any.repeats_pixels,
        };
        (frame, filter.update(&SETTINGS, &any.probabilities, &frame))
    };
    any_frames.iter().map(decide).collect()
}

/// Whether a frame is fresh by its own stamp.
fn has_fresh_stamp(frame: &FrameInfo) -> bool {
    let age = frame
        .ros_now_ns
        .map(|now_ns| now_ns.saturating_sub(frame.stamp_ns));
    frame.stamp_ns == 0 || age.is_none_or(|age| age.abs() <= SECOND)
}

proptest! {
    /// Robots rely on this: whatever the clocks do, stable means that `hold_secs` have passed on each of them, and that each frame since
    /// then had this gesture and was fresh.
    #[test]
    fn stable_gesture_was_held_on_both_clocks(any_frames in prop::collection::vec(any_frame(), 1..80)) {
        let run = run(&any_frames);
        for (index, (last, decision)) in run.iter().enumerate() {
            if !decision.is_stable {
                continue;
            }
            let hold = (SETTINGS.hold_secs * 1e9) as i64;
            let is_same = |(frame, earlier): &&(FrameInfo, Decision)| {
                (earlier.label, earlier.unknown_reason) == (decision.label, None) && has_fresh_stamp(frame)
            };
            let held: Vec<&FrameInfo> =
                run[..=index].iter().rev().take_while(is_same).map(|(frame, _)| frame).collect();
            prop_assert!(held.iter().any(|frame| last.arrival_ns - frame.arrival_ns >= hold));
            let stamps: Vec<i64> = held.iter().map(|frame| frame.stamp_ns).filter(|stamp| *stamp != 0).collect();
            if let Some(newest) = stamps.first().filter(|_| last.stamp_ns != 0) {
                prop_assert!(stamps.iter().any(|stamp| newest - stamp >= hold));
            }
        }
    }

    /// Any single stamp in a good stream, and any step from there on, can only make the gesture stable later.
    #[test]
    fn no_stamp_makes_a_gesture_stable_earlier(
        at in 0..STABLE,
        stamp in prop_oneof![Just(0), any::<i32>().prop_map(|secs| i64::from(secs) * SECOND), EPOCH..EPOCH + SECOND],
        step in -2 * SECOND..2 * SECOND,
    ) {
        let single = frames(60, |index, frame| if index == at { frame.stamp_ns = stamp });
        prop_assert!(first_stable(&single) >= Some(STABLE));
        let stepped = frames(60, |index, frame| if index >= at { frame.stamp_ns += step });
        prop_assert!(first_stable(&stepped).is_none_or(|first| first >= STABLE));
    }

    /// Stamps, pixels or both stand still from any frame on, at any rate that is no gap, or stamps are old.
    #[test]
    fn frozen_camera_is_unknown_within_the_timeout_and_one_frame(
        good in 0..40_usize,
        freezes in (any::<bool>(), any::<bool>(), any::<bool>()),
        steps in prop::collection::vec(1..=SECOND, 1..200),
    ) {
        let (stamp_freezes, pixels_freeze, is_old) = freezes;
        let mut filter = GestureFilter::default();
        let mut last = frame(0);
        for index in 0..=good {
            last = frame(index);
            filter.update(&SETTINGS, &UP, &last);
        }
        let mut now_ns = last.steady_ns;
        for step in steps {
            now_ns += step;
            let stamp_ns = if stamp_freezes { last.stamp_ns } else { EPOCH + now_ns - if is_old { 2 * SECOND } else { 0 } };
            let decision = filter.update(&SETTINGS, &UP, &FrameInfo {
                stamp_ns,
                arrival_ns: now_ns,
                steady_ns: now_ns,
                ros_now_ns: Some(EPOCH + now_ns),
                repeats_pixels: pixels_freeze,
            });
            let is_frozen = (stamp_freezes || pixels_freeze) && now_ns - last.steady_ns > SECOND;
            if is_frozen || (is_old && !stamp_freezes) {
                prop_assert_eq!(decision.unknown_reason.map(UnknownReason::reason), Some("stale"));
            }
        }
    }

    /// Arrivals up to 50 ms late, a clock offset, and a constant latency do not disturb a good camera.
    #[test]
    fn good_stream_with_jitter_becomes_and_stays_stable(
        delays in prop::collection::vec(0..=50 * MS, 100),
        offset in -500 * MS..500 * MS,
    ) {
        let mut newest = 0;
        let jittered: Vec<FrameInfo> = delays.iter().enumerate().map(|(index, delay)| {
            let good = frame(index);
            newest = (good.arrival_ns + delay).max(newest);
            FrameInfo {
                stamp_ns: good.stamp_ns + offset,
                arrival_ns: newest,
                steady_ns: newest,
                ros_now_ns: Some(EPOCH + newest),
                ..good
            }
        }).collect();
        let decisions = decisions(&jittered);
        prop_assert!(decisions.iter().all(|decision| decision.unknown_reason.is_none()));
        prop_assert!(decisions[STABLE + 2..].iter().all(|decision| decision.is_stable));
    }
}
