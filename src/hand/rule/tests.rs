use std::f32::consts::{FRAC_PI_2, PI};

use super::*;
use crate::hand::Region;
use crate::hand::simulated::simulated_hands;

/// Positions of the knuckles relative to the wrist, for a hand with the fingers up; the first is the index finger's. The thumb is on the
/// right.
const KNUCKLES: [[f32; 2]; 4] = [[0.27, 0.93], [0.05, 1.0], [-0.16, 0.94], [-0.34, 0.82]];
const BONES: [f32; 3] = [0.45, 0.28, 0.21];
const STRAIGHT: [f32; 3] = [0.0, 5.0, 5.0];
const FOLDED: [f32; 3] = [80.0, 95.0, 45.0];

/// A simulated hand with the fingers up: the bend of each finger's joints in degrees, and the thumb's angle to the fingers.
fn hand(fingers: [[f32; 3]; 4], thumb_angle: f32) -> [Point; LANDMARKS] {
    let mut points = [[0.0; 3]; LANDMARKS];
    points[1] = [0.22, -0.2, 0.0];
    let (sin, cos) = thumb_angle.to_radians().sin_cos();
    for (index, bone) in (2..5).zip([0.42, 0.33, 0.27]) {
        let [x, y, z] = points[index - 1];
        points[index] = [x + bone * sin, y - bone * cos, z];
    }
    for (finger, (bends, [x, y])) in fingers.into_iter().zip(KNUCKLES).enumerate() {
        let knuckle = INDEX_KNUCKLE + 4 * finger;
        points[knuckle] = [x, -y, 0.0];
        let mut bend = 0.0f32;
        for (index, (joint, bone)) in (knuckle + 1..).zip(bends.into_iter().zip(BONES)) {
            bend += joint.to_radians();
            let [x, y, z] = points[index - 1];
            points[index] = [x, y - bone * bend.cos(), z - bone * bend.sin()];
        }
    }
    points
}

/// Turns the image clockwise.
fn turned(points: [Point; LANDMARKS], angle: f32) -> [Point; LANDMARKS] {
    let (sin, cos) = angle.sin_cos();
    points.map(|[x, y, z]| [x * cos - y * sin, x * sin + y * cos, z])
}

/// Turns the hand around the vertical, as if the camera went around it.
fn seen_from(points: [Point; LANDMARKS], angle: f32) -> [Point; LANDMARKS] {
    let (sin, cos) = angle.sin_cos();
    points.map(|[x, y, z]| [x * cos - z * sin, y, x * sin + z * cos])
}

fn mirrored(points: [Point; LANDMARKS]) -> [Point; LANDMARKS] {
    points.map(|[x, y, z]| [-x, y, z])
}

/// A thumb up: a fist that lies on its side, with the thumb at a right angle to the fingers.
fn thumb_up() -> [Point; LANDMARKS] {
    turned(hand([FOLDED; 4], 80.0), -FRAC_PI_2)
}

fn classified(points: [Point; LANDMARKS], camera_roll: f32) -> Thumb {
    classify(&seen(points, points), camera_roll)
}

fn seen(landmarks: [Point; LANDMARKS], world: [Point; LANDMARKS]) -> Hand {
    Hand {
        landmarks: landmarks.map(|point| point.map(|value| value * 60.0 + 200.0)),
        world: world.map(|point| point.map(|value| value * 0.09)),
        presence: 0.98,
        visible: 1.0,
        right: 0.5,
        region: Region {
            center: [200.0; 2],
            side_px: 150.0,
            rotation: 0.0,
        },
    }
}

fn assert_is(gesture: Gesture, points: [Point; LANDMARKS]) {
    let thumb = classified(points, 0.0);
    assert_eq!(thumb.gesture, gesture);
    assert!(thumb.confidence > 0.9, "{thumb:?}");
}

fn assert_is_none(points: [Point; LANDMARKS]) {
    for angle in [0.0, FRAC_PI_2, PI, -FRAC_PI_2] {
        let thumb = classified(turned(points, angle), 0.0);
        assert!(thumb.confidence < 0.1, "{thumb:?} at {angle}");
    }
}

#[test]
fn thumbs_up_and_down_of_both_hands_are_recognized_from_all_sides() {
    for hand in [thumb_up(), mirrored(thumb_up())] {
        for angle in 0..12 {
            let hand = seen_from(hand, PI / 6.0 * angle as f32);
            for tilt in [-0.6, 0.0, 0.6] {
                assert_is(Gesture::ThumbsUp, turned(hand, tilt));
                assert_is(Gesture::ThumbsDown, turned(hand, PI + tilt));
            }
        }
    }
}

#[test]
fn thumb_to_the_side_is_none() {
    for angle in [-FRAC_PI_2, FRAC_PI_2] {
        assert!(classified(turned(thumb_up(), angle), 0.0).confidence < 0.1);
    }
}

#[test]
fn other_hand_signs_are_none() {
    assert_is_none(hand([STRAIGHT; 4], 40.0));
    // An open hand on its side, with the thumb up.
    assert_is_none(hand([STRAIGHT; 4], 80.0));
    // A fist, with the thumb beside the index finger.
    assert_is_none(hand([FOLDED; 4], -10.0));
    // A pistol: index finger and thumb stretched.
    assert_is_none(hand([STRAIGHT, FOLDED, FOLDED, FOLDED], 80.0));
    // A telephone: little finger and thumb stretched.
    assert_is_none(hand([FOLDED, FOLDED, FOLDED, STRAIGHT], 80.0));
}

#[test]
fn up_follows_the_roll_of_the_camera() {
    // A camera that is turned clockwise turns the image counterclockwise.
    let seen = turned(thumb_up(), -FRAC_PI_2);
    assert!(classified(seen, 0.0).confidence < 0.1);
    let thumb = classified(seen, FRAC_PI_2);
    assert_eq!(thumb.gesture, Gesture::ThumbsUp);
    assert!(thumb.confidence > 0.9, "{thumb:?}");
}

#[test]
fn landmarks_that_coincide_are_none() {
    assert!(classified([[0.0; 3]; LANDMARKS], 0.0).confidence < 0.1);
}

/// The errors of the simulated landmarks hide some gestures, but never turn one into the other.
#[test]
fn simulated_hands_are_recognized() {
    let mut counts = [[0; 2]; 2];
    for hand in simulated_hands(50, 1) {
        let thumb = classify(&seen(hand.landmarks, hand.world), 0.0);
        let is_found = thumb.confidence >= 0.5;
        let is_gesture = hand.gesture != Gesture::None;
        assert!(
            !is_found || !is_gesture || thumb.gesture == hand.gesture,
            "{hand:?}"
        );
        counts[usize::from(is_gesture)][usize::from(is_found)] += 1;
    }
    let share = |[missed, found]: [u32; 2]| f64::from(found) / f64::from(missed + found);
    let [false_thumbs, thumbs] = counts.map(share);
    assert!(false_thumbs < 0.04, "{false_thumbs}");
    assert!(thumbs > 0.6, "{thumbs}");
}
