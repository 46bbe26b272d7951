//! Thumbs up and down from the landmarks of a hand, without any training.
//!
//! Four conditions must hold; the one that is met least determines the confidence. They do not depend on which hand it is, on its size,
//! on the side from which it is seen, or, except for the last, on its rotation in the image. Their limits are calibrated on photos of
//! one person, turned and mirrored, and on 21 poses of a simulated hand from all sides.

use super::features::palm_size;
use super::landmark::{FINGERS, INDEX_KNUCKLE, LITTLE_KNUCKLE, THUMB_KNUCKLE, THUMB_TIP};
use super::{Hand, LANDMARKS, Point};
use crate::gesture::Gesture;

/// A condition on a measurement: the value at which its confidence is 0.5, and the difference that changes its logit by 1.
struct Condition {
    limit: f32,
    scale: f32,
}

/// The tip of the thumb is farther in the direction of the gesture than every finger, by this share of the palm's size.
const PROTRUSION: Condition = Condition {
    limit: 0.25,
    scale: 0.07,
};
/// The four fingers are folded: the negative distance from knuckle to tip, as a share of the finger's length, of the straightest finger.
const FOLDING: Condition = Condition {
    limit: -0.85,
    scale: 0.03,
};
/// The thumb points from the little finger's knuckle to that of the index finger: the cosine of the angle between these directions.
const ALIGNMENT: Condition = Condition {
    limit: 0.35,
    scale: 0.12,
};
/// The gesture points up or down: the absolute cosine of its angle to the vertical.
const VERTICALITY: Condition = Condition {
    limit: 0.42,
    scale: 0.08,
};
/// Landmarks of less certain hands are often wrong.
const PRESENCE: Condition = Condition {
    limit: 0.75,
    scale: 0.05,
};

/// What the rule measures in a hand.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measurements {
    protrusion: f32,
    folding: f32,
    alignment: f32,
    /// Cosine of the angle between the gesture and up.
    up: f32,
}

/// A thumb that may be a gesture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thumb {
    /// [`Gesture::ThumbsUp`] or [`Gesture::ThumbsDown`].
    pub gesture: Gesture,
    /// Probability of this gesture; the rest is the probability of [`Gesture::None`].
    pub confidence: f32,
}

/// Judges the thumb of a hand. `camera_roll` is the camera's rotation around its optical axis in radians, clockwise as seen from behind it.
pub fn judge(hand: &Hand, camera_roll: f32) -> Thumb {
    let measured = measure(&hand.landmarks, &hand.world, camera_roll);
    let logits = [
        PROTRUSION.logit(measured.protrusion),
        FOLDING.logit(measured.folding),
        ALIGNMENT.logit(measured.alignment),
        VERTICALITY.logit(measured.up.abs()),
    ];
    let least = logits.into_iter().fold(f32::INFINITY, f32::min);
    let gesture = if measured.up > 0.0 {
        Gesture::ThumbsUp
    } else {
        Gesture::ThumbsDown
    };
    Thumb {
        gesture,
        confidence: logistic(least) * logistic(PRESENCE.logit(hand.presence)),
    }
}

impl Condition {
    fn logit(&self, value: f32) -> f32 {
        (value - self.limit) / self.scale
    }
}

fn measure(landmarks: &[Point; LANDMARKS], world: &[Point; LANDMARKS], camera_roll: f32) -> Measurements {
    let between = |from: usize, to: usize| difference(landmarks[to], landmarks[from]);
    let size = palm_size(landmarks);
    let thumb = unit(between(THUMB_KNUCKLE, THUMB_TIP));
    let knuckles = unit(between(LITTLE_KNUCKLE, INDEX_KNUCKLE));
    let direction = unit([thumb[0] + knuckles[0], thumb[1] + knuckles[1], 0.0]);
    let along = |point: &Point| dot([point[0], point[1]], direction);
    let farthest = landmarks[INDEX_KNUCKLE..]
        .iter()
        .map(along)
        .fold(f32::NEG_INFINITY, f32::max);
    let (sin, cos) = camera_roll.sin_cos();
    Measurements {
        protrusion: (along(&landmarks[THUMB_TIP]) - farthest) / size,
        // Depth is uncertain, and makes folded fingers look straight in either set of landmarks, but straight fingers in neither folded.
        folding: -straightness(landmarks).min(straightness(world)),
        alignment: dot(thumb, knuckles),
        up: dot(direction, [-sin, -cos]),
    }
}

/// Distance from knuckle to tip as a share of the finger's length, of the straightest of the four fingers.
fn straightness(points: &[Point; LANDMARKS]) -> f32 {
    let of_finger = |start: usize| {
        let finger = &points[start..start + 4];
        let bones = finger.windows(2).map(|bone| length(difference(bone[1], bone[0])));
        length(difference(finger[3], finger[0])) / bones.sum::<f32>().max(f32::MIN_POSITIVE)
    };
    FINGERS.into_iter().map(of_finger).fold(0.0, f32::max)
}

fn logistic(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

fn difference(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn length([x, y, z]: Point) -> f32 {
    (x * x + y * y + z * z).sqrt()
}

/// The direction in the image.
fn unit([x, y, _]: Point) -> [f32; 2] {
    let length = x.hypot(y).max(f32::MIN_POSITIVE);
    [x / length, y / length]
}

fn dot(a: [f32; 2], b: [f32; 2]) -> f32 {
    a[0] * b[0] + a[1] * b[1]
}

#[cfg(test)]
mod tests;
