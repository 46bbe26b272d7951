//! Landmarks as features for a classifier that is taught.

use super::landmark::{INDEX_KNUCKLE, LITTLE_KNUCKLE, MIDDLE_KNUCKLE, RING_KNUCKLE, WRIST};
use super::{LANDMARKS, Point};

/// Number of features: two coordinates of each landmark, and the distance of each pair.
pub const FEATURES: usize = 2 * LANDMARKS + LANDMARKS * (LANDMARKS - 1) / 2;

/// The landmarks around the palm, whose mean is its center.
pub(crate) const PALM: [usize; 5] = [WRIST, INDEX_KNUCKLE, MIDDLE_KNUCKLE, RING_KNUCKLE, LITTLE_KNUCKLE];
/// The sides of the triangle of wrist, index knuckle and little knuckle, whose mean length is the size of the palm.
pub(crate) const SIDES: [[usize; 2]; 3] = [
    [WRIST, INDEX_KNUCKLE],
    [WRIST, LITTLE_KNUCKLE],
    [INDEX_KNUCKLE, LITTLE_KNUCKLE],
];

/// The features of landmarks in a frame: positions relative to the palm, and distances, both in units of the palm's size.
///
/// They do not depend on where the hand is and how large, but on its rotation in the image, which distinguishes up from down.
pub fn features(landmarks: &[Point; LANDMARKS]) -> Vec<f32> {
    let center =
        [0, 1].map(|axis| PALM.iter().map(|&index| landmarks[index][axis]).sum::<f32>() / PALM.len() as f32);
    let size = palm_size(landmarks);
    let points = landmarks.map(|[x, y, _]| [(x - center[0]) / size, (y - center[1]) / size]);
    let distances = (0..LANDMARKS).flat_map(|first| {
        let a = points[first];
        points[first + 1..]
            .iter()
            .map(move |b| (a[0] - b[0]).hypot(a[1] - b[1]))
    });
    points.as_flattened().iter().copied().chain(distances).collect()
}

/// The mean length of [`SIDES`].
pub(super) fn palm_size(landmarks: &[Point; LANDMARKS]) -> f32 {
    let distance = |a: usize, b: usize| {
        let [dx, dy, dz] = [0, 1, 2].map(|axis| landmarks[a][axis] - landmarks[b][axis]);
        (dx * dx + dy * dy + dz * dz).sqrt()
    };
    let sides: f32 = SIDES.iter().map(|&[a, b]| distance(a, b)).sum();
    (sides / SIDES.len() as f32).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_do_not_depend_on_place_and_size() {
        let landmarks: [Point; LANDMARKS] = std::array::from_fn(|index| {
            [
                (index as f32).sin(),
                (index as f32 * 0.7).cos(),
                0.1 * index as f32,
            ]
        });
        let moved = landmarks.map(|[x, y, z]| [3.0 * x + 100.0, 3.0 * y - 50.0, 3.0 * z]);
        let (original, moved) = (features(&landmarks), features(&moved));
        assert_eq!(original.len(), FEATURES);
        let greatest = original
            .iter()
            .zip(&moved)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(greatest < 1e-4, "{greatest}");
    }

    #[test]
    fn points_that_coincide_give_finite_features() {
        assert!(
            features(&[[1.0; 3]; LANDMARKS])
                .iter()
                .all(|value| value.is_finite())
        );
    }
}
