//! Thumbs up and down from the landmarks of a hand, without any training.
//!
//! Four conditions must hold; the one that is met least determines the confidence. They do not depend on which hand it is, on its size,
//! on the side from which it is seen, or, except for the last, on its rotation in the image. Their limits are calibrated on photos of
//! one person, turned and mirrored, and on simulated hands in many poses from all sides.

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
    limit: 0.28,
    scale: 0.07,
};
/// The four fingers are folded: the negative extension of the least folded one, see [`extension`].
const FOLDING: Condition = Condition {
    limit: -0.9,
    scale: 0.04,
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

/// The surest thumb of several hands; see [`classify`].
pub fn surest(hands: &[Hand], camera_roll: f32) -> Option<Thumb> {
    let thumbs = hands.iter().map(|hand| classify(hand, camera_roll));
    thumbs.max_by(|a, b| a.confidence.total_cmp(&b.confidence))
}

/// Classifies the thumb of a hand. `camera_roll` is the camera's rotation around its optical axis in radians, clockwise as seen from behind it.
pub fn classify(hand: &Hand, camera_roll: f32) -> Thumb {
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

impl Thumb {
    /// The probability of a gesture; 0 for one that the rule does not know.
    pub fn probability(&self, gesture: Gesture) -> f32 {
        match gesture {
            Gesture::None => 1.0 - self.confidence,
            gesture if gesture == self.gesture => self.confidence,
            _ => 0.0,
        }
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
        // Depth is uncertain, and makes folded fingers look extended in either set of landmarks, but extended ones folded in neither.
        folding: -extension(landmarks).min(extension(world)),
        alignment: dot(thumb, knuckles),
        up: dot(direction, [-sin, -cos]),
    }
}

/// Distance from knuckle to tip in units of the palm's size, of the least folded of the four fingers: about 0.5 in a fist, and 1 if it is
/// stretched. Fingers of different length count as equally long.
fn extension(points: &[Point; LANDMARKS]) -> f32 {
    const FACTORS: [f32; 4] = [1.0, 0.93, 1.0, 1.25];
    let of_finger =
        |(knuckle, factor): (usize, f32)| factor * length(difference(points[knuckle + 3], points[knuckle]));
    let longest = FINGERS
        .into_iter()
        .zip(FACTORS)
        .map(of_finger)
        .fold(0.0, f32::max);
    longest / palm_size(points)
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
