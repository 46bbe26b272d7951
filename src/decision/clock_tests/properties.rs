//! The guarantees of `docs/concepts/decision.md`, for arbitrary clocks.

use proptest::prelude::*;

use super::*;

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
    waited: i64,
    has_ros_time: bool,
    repeats_pixels: bool,
    is_familiar: bool,
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
    let waited = prop_oneof![60 => 0..=50 * MS, 1 => 0..=3 * SECOND];
    let up =
        prop_oneof![40 => Just(0.9_f32), 1 => 0.0..=1.0_f32, 1 => Just(f32::NAN), 1 => Just(f32::INFINITY)];
    let flags = (
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.95),
    );
    (any_step(), stamp, any_step(), (age, waited), flags, up).prop_map(
        |(
            stamp_step,
            stamp,
            arrival_step,
            (age, waited),
            (has_ros_time, repeats_pixels, is_familiar),
            up,
        )| AnyFrame {
            stamp_step,
            stamp,
            // Half of the frames are in step with the arrivals.
            arrival_step: if age % 2 == 0 { stamp_step } else { arrival_step },
            age,
            waited,
            has_ros_time,
            repeats_pixels,
            is_familiar,
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
            waited_ns: any.waited,
            ros_now_ns: any.has_ros_time.then_some(stamp_ns + any.age),
            repeats_pixels: any.repeats_pixels,
            is_familiar: any.is_familiar,
        };
        (frame, filter.update(&SETTINGS, &any.probabilities, &frame))
    };
    any_frames.iter().map(decide).collect()
}

/// Whether a frame is fresh by its own stamp, and by the time that it has waited.
fn is_fresh(frame: &FrameInfo) -> bool {
    let age = frame
        .ros_now_ns
        .map(|now_ns| now_ns.saturating_sub(frame.stamp_ns));
    frame.waited_ns <= SECOND && (frame.stamp_ns == 0 || age.is_none_or(|age| age.abs() <= SECOND))
}

proptest! {
    /// Robots rely on this: whatever the clocks do, stable means that `hold_secs` have passed on each of them, and that each frame since
    /// then had this gesture, was fresh and familiar.
    #[test]
    fn stable_gesture_was_held_on_both_clocks(any_frames in prop::collection::vec(any_frame(), 1..80)) {
        let run = run(&any_frames);
        for (index, (last, decision)) in run.iter().enumerate() {
            if !decision.is_stable {
                continue;
            }
            let hold = (SETTINGS.hold_secs * 1e9) as i64;
            let is_same = |(frame, earlier): &&(FrameInfo, Decision)| {
                let is_same = (earlier.label, earlier.unknown_reason) == (decision.label, None);
                is_same && frame.is_familiar && is_fresh(frame)
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
                waited_ns: 0,
                ros_now_ns: Some(EPOCH + now_ns),
                repeats_pixels: pixels_freeze,
                is_familiar: true,
            });
            let is_frozen = (stamp_freezes || pixels_freeze) && now_ns - last.steady_ns > SECOND;
            if is_frozen || (is_old && !stamp_freezes) {
                prop_assert_eq!(decision.unknown_reason.map(UnknownReason::reason), Some("stale"));
            }
        }
    }

    /// Frames that are unfamiliar have no weight: the others are decided as if these were missing, except that the hold begins anew.
    #[test]
    fn unfamiliar_frames_only_begin_the_hold_anew(
        are_familiar in prop::collection::vec(prop::bool::weighted(0.8), 1..60),
        ups in prop::collection::vec(0.0..=1.0_f32, 60),
        smoothing_secs in prop_oneof![Just(0.0), 0.01..2.0_f64],
    ) {
        let settings = DecisionSettings { smoothing_secs, hysteresis: 0.0, ..SETTINGS };
        let (mut filter, mut without_unfamiliar) = (GestureFilter::default(), GestureFilter::default());
        let mut last_unfamiliar = None;
        for (index, is_familiar) in are_familiar.into_iter().enumerate() {
            let probabilities = [ups[index], 1.0 - ups[index]];
            let found = filter.update(&settings, &probabilities, &FrameInfo { is_familiar, ..frame(index) });
            if !is_familiar {
                last_unfamiliar = Some(frame(index));
                prop_assert_eq!((found.unknown_reason, found.is_stable), (Some(UnknownReason::Unfamiliar), false));
                continue;
            }
            let expected = without_unfamiliar.update(&settings, &probabilities, &frame(index));
            prop_assert_eq!((found.label, found.unknown_reason), (expected.label, expected.unknown_reason));
            prop_assert!((found.confidence - expected.confidence).abs() < 1e-5);
            let was_held = last_unfamiliar.is_none_or(|last| frame(index).held_secs(&last) > settings.hold_secs);
            prop_assert!(!found.is_stable || (expected.is_stable && was_held));
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
