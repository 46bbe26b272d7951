//! Hands with curled fingers, seen from the side of the fingers: thumb up, closed fist, pointing finger.

use rand::RngExt;

use super::{Hand, Part};
use crate::drawn_hand::shapes::Limb;

/// A fist with the thumb extended up.
pub(in crate::drawn_hand) fn thumb_up(rng: &mut impl RngExt) -> Hand {
    let lean = rng.random_range(-0.16..0.12);
    let length = rng.random_range(0.92..1.10);
    let thickness = rng.random_range(0.92..1.08);
    let thumb = Limb::new(&[
        [-0.40, 0.02, 0.24],
        [-0.24, -0.34, 0.215 * thickness],
        [-0.13 + 0.3 * lean, -0.34 - 0.36 * length, 0.165 * thickness],
        [-0.10 + 0.8 * lean, -0.34 - 0.66 * length, 0.165 * thickness],
        [-0.13 + 1.1 * lean, -0.34 - 0.84 * length, 0.135 * thickness],
    ]);
    let mut parts = vec![fist_body(), Part::Body(thumb.clone())];
    parts.extend(thumb_details(&thumb));
    parts.push(heel());
    parts.extend(curled_fingers(rng, 0..4));
    fist(parts, rng)
}

fn fist(parts: Vec<Part>, rng: &mut impl RngExt) -> Hand {
    Hand {
        parts,
        wrist: [-0.56, 0.06, 0.31],
        arm_degrees: rng.random_range(138.0..195.0),
        turn_degrees: 0.0,
    }
}

fn fist_body() -> Part {
    Part::Palm(vec![
        [-0.80, -0.20],
        [-0.50, -0.38],
        [-0.10, -0.44],
        [0.38, -0.48],
        [0.62, -0.30],
        [0.60, 0.20],
        [0.50, 0.62],
        [0.05, 0.60],
        [-0.40, 0.56],
        [-0.80, 0.36],
    ])
}

/// Light on the ball of the thumb and the heel of the hand.
fn heel() -> Part {
    Part::Glow(Limb::new(&[[-0.42, 0.10, 0.20], [-0.22, 0.36, 0.15]]))
}

/// Fingers curled into the palm, seen from their second joints; 0 is the index finger.
fn curled_fingers(rng: &mut impl RngExt, which: std::ops::Range<usize>) -> Vec<Part> {
    let reach = rng.random_range(-0.05..0.05);
    let fingers = [
        [0.50, -0.30, -0.02, -0.235, 0.135],
        [0.545, -0.055, -0.06, -0.01, 0.135],
        [0.515, 0.19, -0.05, 0.215, 0.128],
        [0.43, 0.415, 0.0, 0.415, 0.112],
    ];
    let mut parts = vec![];
    // From the little finger to the index finger: each is painted over the one below.
    for [right, y, left, y_left, radius] in fingers[which].iter().rev() {
        let left = left + reach;
        let finger = Limb::new(&[
            [right - 0.02, *y, radius * 1.02],
            [(right + left) / 2.0, (y + y_left) / 2.0 - 0.006, radius * 0.98],
            [left, *y_left, radius * 0.90],
        ]);
        parts.push(Part::Over(finger.clone()));
        parts.push(Part::Crease(finger.across(0.30, 0.55, -0.25)));
        parts.push(Part::Crease(finger.across(0.72, 0.42, -0.20)));
    }
    parts
}

/// The nail and the joint lines of an extended thumb.
fn thumb_details(thumb: &Limb) -> Vec<Part> {
    let (tip, along, radius) = thumb.at(0.90);
    let side = [-along[1], along[0]];
    let nail = |step: f32| {
        [
            tip[0] + along[0] * step * radius - side[0] * 0.42 * radius,
            tip[1] + along[1] * step * radius - side[1] * 0.42 * radius,
            radius * 0.44,
        ]
    };
    vec![
        Part::Nail(Limb::new(&[nail(-0.30), nail(0.62)])),
        Part::Crease(thumb.across(0.56, 0.50, 0.22)),
        Part::Crease(thumb.across(0.61, 0.36, 0.22)),
    ]
}

/// A thumb folded over the curled fingers.
fn folded_thumb() -> Vec<Part> {
    let thumb = Limb::new(&[
        [-0.46, 0.06, 0.20],
        [-0.22, -0.20, 0.18],
        [0.06, -0.14, 0.145],
        [0.26, 0.02, 0.12],
    ]);
    vec![
        Part::Over(thumb.clone()),
        Part::Cover(Limb::new(&[[-0.52, 0.10, 0.22], [-0.38, 0.08, 0.215]])),
        heel(),
        Part::Crease(thumb.across(0.62, 0.5, 0.2)),
        Part::Nail(Limb::new(&[[0.17, -0.075, 0.06], [0.25, -0.005, 0.055]])),
    ]
}

/// A fist with the thumb folded over the fingers.
pub(super) fn closed_fist(rng: &mut impl RngExt) -> Hand {
    let mut parts = vec![fist_body(), heel()];
    parts.extend(curled_fingers(rng, 0..4));
    parts.extend(folded_thumb());
    fist(parts, rng)
}

/// A fist with the index finger extended away from the arm.
pub(super) fn pointing(rng: &mut impl RngExt) -> Hand {
    let tip = rng.random_range(1.05..1.25);
    let index = Limb::new(&[
        [0.05, -0.26, 0.16],
        [0.45, -0.31, 0.145],
        [0.80, -0.31, 0.128],
        [tip, -0.29, 0.10],
    ]);
    let mut parts = vec![fist_body(), Part::Body(index.clone()), heel()];
    parts.push(Part::Crease(index.across(0.42, 0.6, 0.2)));
    parts.push(Part::Crease(index.across(0.70, 0.5, 0.2)));
    parts.extend(curled_fingers(rng, 1..4));
    parts.extend(folded_thumb());
    fist(parts, rng)
}
