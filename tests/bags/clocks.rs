//! Stamps that jump or are missing, and cameras that stand still.

use serde_json::Value;
use thumb_gesture::drawn_hand;
use thumb_gesture::gesture::Gesture;

use crate::evaluation::{evaluate, trained};
use crate::support::{self, json, usage_error};
use crate::writing::*;

/// The predictions for a bag that was recorded at 30 Hz and always shows the same gesture. `message` makes a frame's stamp and image.
fn evaluate_frames(
    count: usize,
    message: impl Fn(usize, image::RgbImage) -> (u64, image::RgbImage),
    more: &[&str],
) -> Vec<Value> {
    let hand = drawn_hand::draw(Gesture::ThumbsUp, 5, 0, 160, 120);
    let messages: Vec<Vec<u8>> = (0..count)
        .map(|index| {
            let mut noisy = hand.clone();
            noisy.get_pixel_mut(0, 0).0[0] ^= index as u8;
            let (stamp_ns, image) = message(index, noisy);
            image_message(stamp_ns, &image)
        })
        .collect();
    let (_directory, file) = write_bag(&messages, &LIKE_ROSBAG2);
    let mut command = support::program();
    command
        .args(["bag", "evaluate", "--json", "--threshold", "0", "--margin", "0"])
        .arg(&file)
        .arg("--store")
        .arg(trained().0.path().join("store"))
        .args(more);
    let report = json(&command.output().expect("starts"));
    report["frames"].as_array().expect("an array").clone()
}

/// Index of the first frame of which `is_met` holds.
fn first(frames: &[Value], is_met: impl Fn(&Value) -> bool) -> Option<usize> {
    frames.iter().position(is_met)
}

fn first_stable(frames: &[Value]) -> Option<usize> {
    first(frames, |frame| frame["stable"] == true)
}

/// At 30 Hz, 16 steps are more than the hold time of 0.5 s, and 31 steps are more than the stale timeout of 1 s.
pub(crate) fn stamps_that_jump_or_are_missing_do_not_make_a_gesture_stable_earlier() {
    const SIMULATED_NS: u64 = 1_234_000_000_000;
    let stamp = |start_ns: u64, index: usize| start_ns + index as u64 * STEP_NS;
    let good = evaluate_frames(40, |index, image| (stamp(START_NS, index), image), &[]);
    assert_eq!(first_stable(&good), Some(16));

    let jump = |index: usize| if index < 2 { 0 } else { 3_600_000_000_000 };
    let jumped = evaluate_frames(
        40,
        |index, image| (stamp(START_NS, index) + jump(index), image),
        &[],
    );
    assert_eq!(first_stable(&jumped), Some(18));

    for (zero, expected) in [(0, 17), (2, 16), (16, 17)] {
        let stamp_or_zero = |index| {
            if index == zero {
                0
            } else {
                stamp(SIMULATED_NS, index)
            }
        };
        let frames = evaluate_frames(40, |index, image| (stamp_or_zero(index), image), &[]);
        assert_eq!(first_stable(&frames), Some(expected), "zero at {zero}");
        for (index, frame) in frames.iter().enumerate() {
            assert_eq!(frame["time_ns"], stamp(SIMULATED_NS, index), "zero at {zero}");
        }
    }

    let unstamped = evaluate_frames(40, |_, image| (0, image), &[]);
    assert_eq!(first_stable(&unstamped), Some(16));
    assert_eq!(
        unstamped[1]["time_ns"],
        stamp(START_NS, 1),
        "the time of recording"
    );
}

pub(crate) fn frozen_camera_of_a_bag_is_stale() {
    let is_stale = |frame: &Value| frame["reason"] == "stale";
    let same_stamp = evaluate_frames(40, |_, image| (START_NS, image), &[]);
    assert_eq!(
        (first_stable(&same_stamp), first(&same_stamp, is_stale)),
        (None, Some(31))
    );

    let same_pixels = |index: usize, mut image: image::RgbImage| {
        image.put_pixel(0, 0, image::Rgb([0; 3]));
        (START_NS + index as u64 * STEP_NS, image)
    };
    let frozen = evaluate_frames(40, same_pixels, &[]);
    assert_eq!(
        (first_stable(&frozen), first(&frozen, is_stale)),
        (Some(16), Some(31))
    );
    // A frozen driver repeats its last four buffers in turn.
    let four_in_turn = |index: usize, mut image: image::RgbImage| {
        let shown = if index < 8 { index } else { 4 + index % 4 };
        image.put_pixel(0, 0, image::Rgb([shown as u8; 3]));
        (START_NS + index as u64 * STEP_NS, image)
    };
    let in_turn = evaluate_frames(48, four_in_turn, &[]);
    assert_eq!(
        (first_stable(&in_turn), first(&in_turn, is_stale)),
        (Some(16), Some(7 + 31))
    );
    let short = evaluate_frames(40, same_pixels, &["--stale-timeout", "0.1"]);
    assert_eq!((first_stable(&short), first(&short, is_stale)), (None, Some(4)));
    let simulated = evaluate_frames(40, same_pixels, &["--detect-frozen-camera", "false"]);
    assert_eq!(first(&simulated, is_stale), None);
    assert!(usage_error(&evaluate(&["--stale-timeout", "0"])).contains("must be 0.05 to 60"));
}
