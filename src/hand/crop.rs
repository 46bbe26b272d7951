//! The part of a frame that shows a hand, as the input of a network for images.

use super::sampling::{Outside, sample};
use super::{Hand, Region};
use crate::frame::Frame;
use crate::preprocess::INPUT_SIDE_PX;

/// Side of the crop relative to the hand's region, which leaves some room around the fingers.
const SIDE: f32 = 1.1;

impl Hand {
    /// The square around the hand that is upright in the world, not turned with the hand: up and down must stay different. See
    /// [`rule::classify`](super::rule::classify) for `camera_roll`.
    pub(crate) fn crop(&self, camera_roll: f32) -> Region {
        let region = Region::from_landmarks(&self.landmarks);
        Region {
            side_px: SIDE * region.side_px,
            rotation: -camera_roll,
            ..region
        }
    }
}

/// Writes the image of a region, `image[channel][row][column]`, red first, of [`INPUT_SIDE_PX`] rows and columns, with values from 0 to 1.
///
/// # Panics
/// `image` does not hold [`INPUT_LEN`](crate::preprocess::INPUT_LEN) values.
pub(crate) fn write_crop(frame: &Frame, region: Region, image: &mut [f32]) {
    sample(
        frame,
        &region.to_frame(INPUT_SIDE_PX),
        INPUT_SIDE_PX,
        Outside::Nearest,
        image,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand::geometry::rotated;
    use crate::hand::simulated::simulated_hands;
    use crate::preprocess::INPUT_LEN;

    const SIDE_PX: u32 = 200;

    /// A hand in the middle of a frame that is brighter above it, as a camera with this roll sees both.
    fn scene(camera_roll: f32) -> (Hand, Frame) {
        let simulated = simulated_hands(1, 3).swap_remove(0);
        let middle = SIDE_PX as f32 / 2.0;
        let size = Region::from_landmarks(&simulated.landmarks).side_px;
        let landmarks = simulated.landmarks.map(|[x, y, depth]| {
            let [x, y] = rotated([x, y], -camera_roll).map(|value| value * 80.0 / size + middle);
            [x, y, depth]
        });
        let pixels = (0..SIDE_PX * SIDE_PX).map(|index| {
            let [x, y] = [index % SIDE_PX, index / SIDE_PX].map(|pixel| pixel as f32 - middle);
            let [_, y] = rotated([x, y], camera_roll);
            if y < 0.0 { 200 } else { 50 }
        });
        let frame = Frame::from_raw("mono8", SIDE_PX, SIDE_PX, SIDE_PX, pixels.collect::<Vec<u8>>());
        let hand = Hand {
            region: Region::from_landmarks(&landmarks),
            landmarks,
            world: simulated.world,
            presence: 1.0,
            visible: 1.0,
            right: 0.5,
        };
        (hand, frame.expect("a valid frame"))
    }

    #[test]
    fn crop_is_upright_whatever_the_rotation_of_hand_and_camera() {
        for camera_roll in [0.0, 0.5, -2.0] {
            let (hand, frame) = scene(camera_roll);
            let mut image = vec![0.0; INPUT_LEN];
            write_crop(&frame, hand.crop(camera_roll), &mut image);
            let row = |row: usize| &image[row * INPUT_SIDE_PX..][..INPUT_SIDE_PX];
            assert!(
                row(5).iter().all(|value| *value > 0.7),
                "{camera_roll}: the upper edge is bright"
            );
            assert!(row(INPUT_SIDE_PX - 5).iter().all(|value| *value < 0.3));
        }
    }

    #[test]
    fn crop_contains_the_hand() {
        let (hand, _) = scene(0.0);
        let to_frame = hand.crop(0.0).to_frame(INPUT_SIDE_PX);
        let [first, last] = [0.0, INPUT_SIDE_PX as f32].map(|pixel| to_frame.apply([pixel; 2]));
        for [x, y, _] in hand.landmarks {
            assert!(first[0] < x && x < last[0] && first[1] < y && y < last[1]);
        }
    }
}
