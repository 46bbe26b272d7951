//! Scenes that the dataset lacks: drawn ones without a thumb, and random backgrounds behind the hand of an image.
//!
//! Images are three planes (red, green, blue) of 224x224 pixels with values in 0..=1.

use rand::{Rng, RngExt};

use crate::drawn_hand::draw;
use crate::gesture::Gesture;
use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX, image_from_square};

const SIDE: usize = INPUT_SIDE_PX;
const PLANE: usize = SIDE * SIDE;
/// Number of straight edges of a hand's outline.
const EDGES: usize = 32;
/// Distance of the outline from the landmarks, in lengths of the palm: landmarks lie in the middle of the fingers.
const MARGIN: f32 = 0.35;
/// Half of the width over which hand and background mix, in lengths of the palm.
const FEATHER: f32 = 0.2;
/// Visible part of the arm, in lengths of the palm.
const ARM: f32 = 0.6;

/// A drawn image without a thumb: an empty room, or another hand sign.
pub(crate) fn drawn_none(rng: &mut impl Rng) -> Vec<f32> {
    let side = SIDE as u32;
    let (seed, index) = (rng.random(), rng.random());
    image_from_square(&draw(Gesture::None, seed, index, side, side))
}

/// Replaces everything but the hand by noise and shapes. `landmarks` are the 21 points of the hand, in pixels of the image.
pub(crate) fn replace_background(image: &mut [f32], landmarks: &[[f32; 2]], rng: &mut impl Rng) {
    assert_eq!(image.len(), INPUT_LEN, "the image must be 3x224x224");
    let background = background(rng);
    let outline = Outline::of_hand(landmarks);
    for index in 0..PLANE {
        let share = outline.share([(index % SIDE) as f32, (index / SIDE) as f32]);
        for place in [index, index + PLANE, index + 2 * PLANE] {
            image[place] = background[place] + share * (image[place] - background[place]);
        }
    }
}

/// The convex hull of a hand, grown by [`MARGIN`].
struct Outline {
    /// The unit normal of each edge, with the distance of the edge from the origin.
    edges: Vec<([f32; 2], f32)>,
    feather_px: f32,
}

impl Outline {
    /// Includes the beginning of the arm, which is as wide as the knuckles.
    fn of_hand(landmarks: &[[f32; 2]]) -> Outline {
        let between = |from: usize, to: usize| [0, 1].map(|axis| landmarks[to][axis] - landmarks[from][axis]);
        let (palm, knuckles) = (between(0, 9), between(17, 5));
        let palm_px = palm[0].hypot(palm[1]).max(1.0);
        let arm = [-0.3, 0.3]
            .map(|side| [0, 1].map(|axis| landmarks[0][axis] - ARM * palm[axis] + side * knuckles[axis]));
        let edge = |index: usize| {
            let (sin, cos) = (index as f32 * std::f32::consts::TAU / EDGES as f32).sin_cos();
            let points = landmarks.iter().chain(&arm);
            let farthest = points.map(|[x, y]| x * cos + y * sin).fold(f32::MIN, f32::max);
            ([cos, sin], farthest + MARGIN * palm_px)
        };
        Outline {
            edges: (0..EDGES).map(edge).collect(),
            feather_px: FEATHER * palm_px,
        }
    }

    /// How much of a pixel is the hand, 0 to 1.
    fn share(&self, [x, y]: [f32; 2]) -> f32 {
        let distances = self
            .edges
            .iter()
            .map(|([cos, sin], edge)| x * cos + y * sin - edge);
        let distance_px = distances.fold(f32::MIN, f32::max);
        (0.5 - distance_px / (2.0 * self.feather_px)).clamp(0.0, 1.0)
    }
}

/// Noise of five scales in random strengths, gray or colored, and up to eight rectangles and ellipses.
fn background(rng: &mut impl Rng) -> Vec<f32> {
    let mut image = vec![0.0; INPUT_LEN];
    for plane in image.chunks_exact_mut(PLANE) {
        plane.fill(rng.random_range(0.08..0.92));
    }
    for cells in [2, 4, 8, 16, 32] {
        let strength = rng.random_range(0.0..0.27);
        let is_gray = rng.random_bool(0.5);
        let mut noise = Noise::new(cells, strength, rng);
        for (channel, plane) in image.chunks_exact_mut(PLANE).enumerate() {
            if channel > 0 && !is_gray {
                noise = Noise::new(cells, strength, rng);
            }
            noise.add_to(plane);
        }
    }
    for _ in 0..rng.random_range(0..=8) {
        add_shape(&mut image, rng);
    }
    image.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
    image
}

/// Random values at the corners of `cells` x `cells` squares.
struct Noise {
    cells: usize,
    corners: Vec<f32>,
}

impl Noise {
    fn new(cells: usize, strength: f32, rng: &mut impl Rng) -> Noise {
        let mut corner = || strength * rng.random_range(-1.0..=1.0);
        Noise {
            cells,
            corners: (0..(cells + 1) * (cells + 1)).map(|_| corner()).collect(),
        }
    }

    /// Adds the values to a plane, interpolated between the corners.
    fn add_to(&self, plane: &mut [f32]) {
        let place = |pixel: usize| {
            let position = pixel as f32 * self.cells as f32 / SIDE as f32;
            (position as usize, position.fract())
        };
        let columns: Vec<(usize, f32)> = (0..SIDE).map(place).collect();
        for (row, values) in plane.chunks_exact_mut(SIDE).enumerate() {
            let (above, share) = place(row);
            let [above, below] = [above, above + 1].map(|row| &self.corners[row * (self.cells + 1)..]);
            let at = |column: usize| above[column] + share * (below[column] - above[column]);
            for (value, &(left, share)) in values.iter_mut().zip(&columns) {
                *value += at(left) + share * (at(left + 1) - at(left));
            }
        }
    }
}

/// Paints a rectangle or an ellipse of a uniform color.
fn add_shape(image: &mut [f32], rng: &mut impl Rng) {
    let color: [f32; 3] = rng.random();
    let center: [f32; 2] = [(); 2].map(|()| rng.random_range(0.0..SIDE as f32));
    let radius: [f32; 2] = [(); 2].map(|()| rng.random_range(4.0..0.4 * SIDE as f32));
    let is_round = rng.random_bool(0.5);
    for index in 0..PLANE {
        let pixel = [(index % SIDE) as f32, (index / SIDE) as f32];
        let [x, y] = [0, 1].map(|axis| ((pixel[axis] - center[axis]) / radius[axis]).abs());
        let is_inside = if is_round {
            x.hypot(y) < 1.0
        } else {
            x < 1.0 && y < 1.0
        };
        if is_inside {
            for (channel, value) in color.into_iter().enumerate() {
                image[channel * PLANE + index] = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A hand whose palm is 30 pixels long, with the wrist at (100, 120) and the fingers above it.
    fn landmarks() -> Vec<[f32; 2]> {
        let mut landmarks = vec![[100.0, 120.0]; 21];
        for finger in 0..5 {
            for joint in 0..4 {
                let x = 85.0 + 7.5 * finger as f32;
                landmarks[1 + 4 * finger + joint] = [x, 90.0 - 8.0 * joint as f32];
            }
        }
        landmarks
    }

    #[test]
    fn hand_stays_and_everything_else_changes() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let original: Vec<f32> = (0..INPUT_LEN).map(|index| (index % 89) as f32 / 88.0).collect();
        let mut image = original.clone();
        replace_background(&mut image, &landmarks(), &mut rng);
        assert!(image.iter().all(|value| (0.0..=1.0).contains(value)));
        let is_same = |index: usize| (image[index] - original[index]).abs() < 1e-6;
        for [x, y] in landmarks() {
            assert!(is_same(y as usize * SIDE + x as usize), "{x}, {y}");
        }
        let beside = (0..SIDE).filter(|row| is_same(row * SIDE + 180)).count();
        assert!(beside < SIDE / 10, "{beside} pixels beside the hand are the same");
    }

    #[test]
    fn outline_is_soft_and_includes_the_arm() {
        let outline = Outline::of_hand(&landmarks());
        assert_eq!(outline.share([100.0, 135.0]), 1.0);
        assert_eq!(outline.share([100.0, 180.0]), 0.0);
        let across: Vec<f32> = (100..180).map(|x| outline.share([x as f32, 100.0])).collect();
        assert!(across.is_sorted_by(|a, b| a >= b));
        assert!(
            across.iter().any(|share| (0.3..0.7).contains(share)),
            "{across:?}"
        );
    }

    #[test]
    fn scenes_depend_on_the_generator_only() {
        let scenes = |seed: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            (drawn_none(&mut rng), background(&mut rng))
        };
        assert!(scenes(1) == scenes(1));
        assert!(scenes(1).0 != scenes(2).0 && scenes(1).1 != scenes(2).1);
    }
}
