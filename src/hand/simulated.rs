//! Landmarks of simulated hands in many poses, from all sides: they calibrate the rule, and complete the photos of one person when a
//! classifier of landmarks is taught, which would otherwise take every pose that it has not seen for a thumb.

use std::f32::consts::{FRAC_PI_2, PI, TAU};
use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::landmark::{FINGERS, THUMB_KNUCKLE, THUMB_TIP};
use super::{LANDMARKS, Point};
use crate::gesture::Gesture;

/// Positions of the knuckles of the four fingers relative to the wrist, in lengths of the palm. The fingers point up, the palm faces the
/// camera, and the thumb is on the right.
const KNUCKLES: [[f32; 2]; 4] = [[0.27, -0.93], [0.05, -1.0], [-0.16, -0.94], [-0.34, -0.82]];
/// Lengths of the bones of the four fingers, from the knuckle.
const BONES: [[f32; 3]; 4] = [
    [0.44, 0.26, 0.21],
    [0.50, 0.30, 0.22],
    [0.46, 0.28, 0.22],
    [0.36, 0.21, 0.19],
];
const THUMB_ROOT: Point = [0.22, -0.2, -0.08];
const THUMB_BONES: [f32; 3] = [0.42, 0.33, 0.27];
/// Standard deviation of the error of a landmark, of its depth, and of a coordinate in `world`, in lengths of the palm.
const ERRORS: [f32; 3] = [0.04, 0.15, 0.08];
/// Views of a thumb per view of another pose.
const THUMB_VIEWS: usize = 12;

/// A finger, by the angles of its joints.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finger {
    Folded,
    /// As in a fist that is not quite closed.
    Loose,
    Half,
    Straight,
    /// Bent at the knuckle only.
    Flat,
}

#[derive(Clone, Copy)]
enum Thumb {
    /// Stretched away from the fingers.
    Out,
    /// Beside the index finger.
    Along,
    /// Over the folded fingers.
    Across,
    /// Opposite to the fingers, as when they hold something.
    Opposite,
}

use Finger::{Flat, Folded, Half, Loose, Straight};
use Thumb::{Across, Along, Opposite, Out};

/// A fist with a stretched thumb, closed and not quite.
const THUMBS: [[Finger; 4]; 3] = [[Folded; 4], [Folded; 4], [Loose; 4]];
const OTHERS: [([Finger; 4], Thumb); 20] = [
    ([Folded; 4], Across),
    ([Folded; 4], Along),
    ([Straight; 4], Out),
    ([Straight; 4], Along),
    ([Straight; 4], Across),
    ([Straight, Folded, Folded, Folded], Across),
    ([Straight, Folded, Folded, Folded], Out),
    ([Straight, Straight, Folded, Folded], Across),
    ([Straight, Straight, Folded, Folded], Out),
    ([Straight, Straight, Straight, Folded], Across),
    ([Folded, Folded, Folded, Straight], Out),
    ([Straight, Folded, Folded, Straight], Across),
    ([Straight, Folded, Folded, Straight], Out),
    ([Half, Straight, Straight, Straight], Opposite),
    ([Half, Folded, Folded, Folded], Opposite),
    ([Half; 4], Opposite),
    ([Half; 4], Along),
    ([Half; 4], Out),
    ([Flat; 4], Along),
    ([Flat; 4], Out),
];

/// A simulated hand.
#[derive(Clone, Debug)]
pub struct SimulatedHand {
    /// [`Gesture::ThumbsUp`], [`Gesture::ThumbsDown`] or [`Gesture::None`].
    pub gesture: Gesture,
    /// As in [`super::Hand`], in lengths of the palm.
    pub landmarks: [Point; LANDMARKS],
    /// As in [`super::Hand`], in lengths of the palm.
    pub world: [Point; LANDMARKS],
}

/// Random views of every pose, `views` of each, and more of thumbs up and down. The same seed gives the same hands.
pub fn simulated_hands(views: usize, seed: u64) -> Vec<SimulatedHand> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut hands = Vec::new();
    for index in 0..views * THUMB_VIEWS {
        let points = pose(THUMBS[index % THUMBS.len()], Out, &mut rng);
        let gesture = [Gesture::ThumbsUp, Gesture::ThumbsDown][index % 2];
        let points = thumb_view(points, gesture, &mut rng);
        hands.push(observed(gesture, points, &mut rng));
    }
    for (fingers, thumb) in OTHERS {
        for _ in 0..views {
            let points = other_view(pose(fingers, thumb, &mut rng), &mut rng);
            hands.push(observed(Gesture::None, points, &mut rng));
        }
    }
    hands
}

/// The landmarks of a left or right hand with the fingers up.
fn pose(fingers: [Finger; 4], thumb: Thumb, rng: &mut ChaCha8Rng) -> [Point; LANDMARKS] {
    let mut points = [[0.0; 3]; LANDMARKS];
    points[1] = THUMB_ROOT;
    let directions = thumb.directions(rng);
    for (index, (bone, direction)) in (THUMB_KNUCKLE..).zip(THUMB_BONES.into_iter().zip(directions)) {
        points[index] = along(points[index - 1], direction, bone * rng.random_range(0.88..1.12));
    }
    let spread = rng.random_range(0.0..0.2) * if fingers.contains(&Straight) { 1.0 } else { 0.3 };
    // Fingers of the same kind move together.
    let mut angles = fingers[0].angles(rng);
    for (finger, kind) in fingers.into_iter().enumerate() {
        if finger > 0 && kind != fingers[finger - 1] {
            angles = kind.angles(rng);
        }
        let side = spread * (1.0 - finger as f32 * 0.8);
        let knuckle = FINGERS[finger];
        points[knuckle] = [KNUCKLES[finger][0], KNUCKLES[finger][1], 0.0];
        let mut bend = 0.0;
        for (joint, bone) in BONES[finger].into_iter().enumerate() {
            bend += angles[joint] + rng.random_range(-0.15..0.15);
            let direction = [side.sin() * bend.cos(), -side.cos() * bend.cos(), -bend.sin()];
            points[knuckle + joint + 1] = along(points[knuckle + joint], direction, bone);
        }
    }
    let mirror = if rng.random_bool(0.5) { -1.0 } else { 1.0 };
    points.map(|[x, y, z]| [mirror * x, y, z])
}

impl Finger {
    /// The bend of the three joints, in radians.
    fn angles(self, rng: &mut ChaCha8Rng) -> [f32; 3] {
        let degrees: [Range<f32>; 3] = match self {
            Folded => [55.0..95.0, 75.0..112.0, 20.0..70.0],
            Loose => [35.0..70.0, 55.0..95.0, 15.0..50.0],
            Half => [15.0..50.0, 25.0..65.0, 10.0..40.0],
            Straight => [-10.0..15.0, 0.0..15.0, 0.0..10.0],
            Flat => [75.0..95.0, 0.0..20.0, 0.0..10.0],
        };
        degrees.map(|range| rng.random_range(range).to_radians())
    }
}

impl Thumb {
    /// The directions of the three bones.
    fn directions(self, rng: &mut ChaCha8Rng) -> [Point; 3] {
        // The angle to the fingers in the plane of the palm, and the angle out of it, on the side of the palm; in degrees.
        let angles: [[Range<f32>; 2]; 3] = match self {
            Out => {
                let angle = rng.random_range(40.0..90.0);
                let out = rng.random_range(-10.0..30.0);
                [
                    [angle - 10.0..angle + 10.0, out + 14.0..out + 16.0],
                    [angle - 1.0..angle + 1.0, out - 1.0..out + 1.0],
                    [angle - 25.0..angle + 12.0, out - 1.0..out + 1.0],
                ]
            }
            Along => [
                [25.0..50.0, 15.0..45.0],
                [0.0..25.0, 0.0..30.0],
                [-15.0..20.0, 0.0..30.0],
            ],
            Across => [
                [20.0..45.0, 40.0..60.0],
                [-20.0..15.0, 50.0..75.0],
                [-80.0..-30.0, 20.0..50.0],
            ],
            Opposite => [
                [25.0..50.0, 40.0..65.0],
                [10.0..35.0, 45.0..70.0],
                [-15.0..20.0, 35.0..60.0],
            ],
        };
        angles.map(|ranges| {
            let [angle, out] = ranges.map(|range| rng.random_range(range).to_radians());
            [angle.sin() * out.cos(), -angle.cos() * out.cos(), -out.sin()]
        })
    }
}

/// A hand whose thumb points up or down, seen from any side.
fn thumb_view(points: [Point; LANDMARKS], gesture: Gesture, rng: &mut ChaCha8Rng) -> [Point; LANDMARKS] {
    let thumb = |points: &[Point; LANDMARKS]| {
        let [from, to] = [points[THUMB_KNUCKLE], points[THUMB_TIP]];
        [to[0] - from[0], to[1] - from[1], to[2] - from[2]]
    };
    let [x, y, _] = thumb(&points);
    let upright = points.map(|point| rolled(point, -x.atan2(-y)));
    let [_, y, z] = thumb(&upright);
    let upright = upright.map(|point| pitched(point, -z.atan2(-y)));
    let side = rng.random_range(0.0..TAU);
    let (pitch, roll) = (0.31 * normal(rng), 0.38 * normal(rng));
    let turn = if gesture == Gesture::ThumbsDown { PI } else { 0.0 };
    upright.map(|point| rolled(pitched(turned(point, side), pitch), roll + turn))
}

/// A hand with the fingers up, to one side, or down, seen from any side.
fn other_view(points: [Point; LANDMARKS], rng: &mut ChaCha8Rng) -> [Point; LANDMARKS] {
    let side = rng.random_range(0.0..TAU);
    let quarters = [0.0, 0.0, 1.0, -1.0, 2.0][rng.random_range(0..5)];
    let (pitch, roll) = (0.52 * normal(rng), 0.44 * normal(rng));
    points.map(|point| rolled(pitched(turned(point, side), pitch), roll + quarters * FRAC_PI_2))
}

/// Adds the errors of a landmark network.
fn observed(gesture: Gesture, points: [Point; LANDMARKS], rng: &mut ChaCha8Rng) -> SimulatedHand {
    let [position, depth, world] = ERRORS;
    let mut with_errors =
        |errors: Point| points.map(|point| [0, 1, 2].map(|axis| point[axis] + errors[axis] * normal(rng)));
    SimulatedHand {
        gesture,
        landmarks: with_errors([position, position, depth]),
        world: with_errors([world; 3]),
    }
}

/// Nearly a standard normal distribution: the sum of uniform ones.
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    (0..12).map(|_| rng.random_range(-0.5..0.5)).sum()
}

fn along([x, y, z]: Point, direction: Point, length: f32) -> Point {
    [
        x + direction[0] * length,
        y + direction[1] * length,
        z + direction[2] * length,
    ]
}

/// Turns a point clockwise in the image.
fn rolled([x, y, z]: Point, angle: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    [x * cos - y * sin, x * sin + y * cos, z]
}

/// Turns a point around the axis that points right.
fn pitched([x, y, z]: Point, angle: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    [x, y * cos - z * sin, y * sin + z * cos]
}

/// Turns a point around the vertical.
fn turned([x, y, z]: Point, angle: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    [x * cos - z * sin, y, x * sin + z * cos]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbs_point_up_and_down() {
        for hand in simulated_hands(20, 1) {
            let rise = hand.landmarks[THUMB_KNUCKLE][1] - hand.landmarks[THUMB_TIP][1];
            match hand.gesture {
                Gesture::ThumbsUp => assert!(rise > -0.1, "{rise}"),
                Gesture::ThumbsDown => assert!(rise < 0.1, "{rise}"),
                _ => (),
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_hands() {
        let hands = |seed| simulated_hands(1, seed).pop().expect("hands").landmarks;
        assert_eq!(hands(1), hands(1));
        assert_ne!(hands(1), hands(2));
    }
}
