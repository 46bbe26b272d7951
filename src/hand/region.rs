//! Rotated squares of a frame.

use std::f32::consts::{FRAC_PI_2, TAU};

use super::detector::Palm;
use super::geometry::{Similarity, bounds, intersection_over_union, middle, rotated};
use super::landmark::{INDEX_KNUCKLE, MIDDLE_KNUCKLE, RING_KNUCKLE, WRIST};
use super::{LANDMARKS, Point};

/// The landmarks that determine the region of the next frame: the palm and the first joints of the fingers.
const STABLE: [usize; 12] = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18];

/// A square of a frame, rotated so that the fingers of a hand point up in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// In pixels of the frame.
    pub center: [f32; 2],
    /// Width and height, in pixels of the frame.
    pub side_px: f32,
    /// Radians, clockwise as seen on the screen.
    pub rotation: f32,
}

impl Region {
    /// The region around the hand of a palm, if its fingers point in the direction of the palm turned clockwise by `turn` radians.
    pub(super) fn from_palm(palm: &Palm, turn: f32) -> Region {
        let rotation = rotation(palm.wrist, palm.middle_knuckle) + turn;
        let size = [palm.max[0] - palm.min[0], palm.max[1] - palm.min[1]];
        Region::around(middle(palm.min, palm.max), size, rotation, -0.5, 2.6)
    }

    /// The region in which the hand with these landmarks is expected in the next frame.
    pub(super) fn from_landmarks(landmarks: &[Point; LANDMARKS]) -> Region {
        let point = |index: usize| [landmarks[index][0], landmarks[index][1]];
        let knuckles = middle(
            middle(point(INDEX_KNUCKLE), point(RING_KNUCKLE)),
            point(MIDDLE_KNUCKLE),
        );
        let rotation = rotation(point(WRIST), knuckles);
        let [min, max] = bounds(STABLE.iter().map(|&index| rotated(point(index), -rotation)));
        let size = [max[0] - min[0], max[1] - min[1]];
        Region::around(rotated(middle(min, max), rotation), size, rotation, -0.1, 2.0)
    }

    /// A box with the center `center` and the rotation `rotation`, moved down by `shift` of its height, and its longer side scaled.
    fn around(center: [f32; 2], size: [f32; 2], rotation: f32, shift: f32, scale: f32) -> Region {
        let [right, down] = rotated([0.0, size[1] * shift], rotation);
        Region {
            center: [center[0] + right, center[1] + down],
            side_px: size[0].max(size[1]) * scale,
            rotation,
        }
    }

    /// Maps the pixels of an image of this region, `side` wide and high, to the frame.
    pub(super) fn to_frame(self, side: usize) -> Similarity {
        let scale = self.side_px / side as f32;
        let half = -self.side_px / 2.0;
        let [right, down] = rotated([half, half], self.rotation);
        Similarity {
            x_axis: rotated([scale, 0.0], self.rotation),
            origin: [self.center[0] + right, self.center[1] + down],
        }
    }

    /// Intersection over union with another region, both without their rotation.
    pub(super) fn overlap(&self, other: &Region) -> f32 {
        let corners = |region: &Region| {
            let half = region.side_px / 2.0;
            let [x, y] = region.center;
            [[x - half, y - half], [x + half, y + half]]
        };
        intersection_over_union(corners(self), corners(other))
    }
}

/// The rotation of a region in which a direction points up; -π to π.
fn rotation(from: [f32; 2], to: [f32; 2]) -> f32 {
    let angle = FRAC_PI_2 - (from[1] - to[1]).atan2(to[0] - from[0]);
    angle - TAU * ((angle + TAU / 2.0) / TAU).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: [f32; 2], expected: [f32; 2]) {
        let distance = (found[0] - expected[0]).hypot(found[1] - expected[1]);
        assert!(distance < 1e-3, "{found:?}, not {expected:?}");
    }

    #[test]
    fn fingers_point_up_in_the_region_of_a_palm() {
        // A hand that points to the right: the wrist is left of the middle knuckle.
        let palm = Palm {
            score: 1.0,
            min: [90.0, 80.0],
            max: [130.0, 120.0],
            wrist: [90.0, 100.0],
            middle_knuckle: [130.0, 100.0],
        };
        let region = Region::from_palm(&palm, 0.0);
        assert!((region.rotation - FRAC_PI_2).abs() < 1e-6);
        assert!((region.side_px - 104.0).abs() < 1e-3);
        // Moved by half a palm in the direction of the fingers.
        assert_near(region.center, [130.0, 100.0]);
        let to_frame = region.to_frame(224);
        assert_near(to_frame.apply([112.0, 112.0]), region.center);
        // The upper edge of the region's image is on the right of the frame.
        assert_near(to_frame.apply([112.0, 0.0]), [182.0, 100.0]);
    }

    #[test]
    fn region_of_landmarks_turns_with_the_hand() {
        let mut landmarks = [[0.0; 3]; LANDMARKS];
        for (index, point) in landmarks.iter_mut().enumerate() {
            *point = [(index % 5) as f32 * 10.0, -((index / 5) as f32) * 20.0, 0.0];
        }
        let upright = Region::from_landmarks(&landmarks);
        let turned = landmarks.map(|[x, y, z]| {
            let [x, y] = rotated([x, y], 0.7);
            [x, y, z]
        });
        let turned = Region::from_landmarks(&turned);
        assert!((turned.side_px - upright.side_px).abs() < 1e-3);
        assert!((turned.rotation - upright.rotation - 0.7).abs() < 1e-5);
        assert_near(turned.center, rotated(upright.center, 0.7));
    }
}
