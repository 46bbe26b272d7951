//! Finds hands in frames, and classifies thumbs, with MediaPipe's palm detector and hand landmark network.
//!
//! Data flow: `detector` finds palms in a square part of the frame, a [`Region`] turns a palm upright, `networks` computes 21
//! landmarks in it, and [`rule`] decides from these whether the thumb is up or down. [`finder`] decides which parts of a frame are
//! searched, and follows the hands from frame to frame.
//!
//! Equivalent to `mediapipe.solutions.hands` of MediaPipe 0.10.21 as long as only the whole frame is searched and landmarks are computed
//! once. The constants are those of MediaPipe's graphs unless a comment says otherwise.

pub(crate) mod crop;
mod detector;
pub mod features;
pub mod finder;
mod geometry;
mod networks;
mod region;
pub mod rule;
mod sampling;
pub mod simulated;
pub mod taught;
mod tiles;

pub use networks::{HandNetworks, LandmarkNetwork};
pub use region::Region;

/// Number of landmarks.
pub const LANDMARKS: usize = 21;

/// Right, down, and away from the camera: in pixels of the frame, or in meters.
pub type Point = [f32; 3];

/// Indices of landmarks.
pub(crate) mod landmark {
    pub(crate) const WRIST: usize = 0;
    /// The joint between the thumb and the palm.
    pub(crate) const THUMB_KNUCKLE: usize = 2;
    pub(crate) const THUMB_TIP: usize = 4;
    pub(crate) const INDEX_KNUCKLE: usize = 5;
    pub(crate) const MIDDLE_KNUCKLE: usize = 9;
    pub(crate) const RING_KNUCKLE: usize = 13;
    pub(crate) const LITTLE_KNUCKLE: usize = 17;
    /// Of the four fingers, without the thumb: the first of the four landmarks from the knuckle to the tip.
    pub(crate) const FINGERS: [usize; 4] = [INDEX_KNUCKLE, MIDDLE_KNUCKLE, RING_KNUCKLE, LITTLE_KNUCKLE];
}

/// A hand in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Hand {
    /// The landmarks in the frame, in pixels; the depth is relative to the wrist.
    pub landmarks: [Point; LANDMARKS],
    /// The landmarks in meters, relative to the center of the hand.
    pub world: [Point; LANDMARKS],
    /// Probability that the region contains a hand.
    pub presence: f32,
    /// Share of the landmarks that are in the frame. The network guesses where the others are.
    pub visible: f32,
    /// Probability that it is a right hand, if the frame is mirrored, as MediaPipe assumes.
    pub right: f32,
    /// The part of the frame in which the landmarks were computed.
    pub region: Region,
}

impl Hand {
    /// A less certain hand is not taught, and in familiar surroundings the image decides instead: its landmarks are often wrong.
    const MIN_CERTAINTY: f32 = 0.75;

    /// Whether its landmarks can be relied on. A hand that the border of the frame cuts off must have a higher presence.
    pub(crate) fn is_certain(&self) -> bool {
        self.presence * (1.0 + self.visible) / 2.0 >= Hand::MIN_CERTAINTY
    }

    /// The hand as an upright camera would see it, apart from its place in the frame; see [`rule::classify`] for `camera_roll`.
    pub(crate) fn upright(&self, camera_roll: f32) -> Hand {
        let turned = |[x, y, depth]: Point| {
            let [x, y] = geometry::rotated([x, y], camera_roll);
            [x, y, depth]
        };
        let landmarks = self.landmarks.map(turned);
        Hand {
            region: Region::from_landmarks(&landmarks),
            landmarks,
            world: self.world.map(turned),
            ..*self
        }
    }

    /// Number of values of [`Hand::to_values`].
    pub(crate) const VALUES: usize = 3 + 2 * 3 * LANDMARKS;

    /// Presence, visible share, handedness, landmarks and world landmarks.
    pub(crate) fn to_values(&self) -> Vec<f32> {
        let landmarks = self.landmarks.as_flattened().iter();
        let points = landmarks.chain(self.world.as_flattened());
        [self.presence, self.visible, self.right]
            .iter()
            .chain(points)
            .copied()
            .collect()
    }

    /// The hand of [`Hand::to_values`], with the region that follows from its landmarks; `None` if the presence is zero.
    ///
    /// # Panics
    /// There are fewer values than [`Hand::VALUES`].
    pub(crate) fn from_values(values: &[f32]) -> Option<Hand> {
        let (landmarks, world) = values[3..Hand::VALUES].split_at(3 * LANDMARKS);
        let points = |values: &[f32]| {
            std::array::from_fn(|index| std::array::from_fn(|axis| values[3 * index + axis]))
        };
        let landmarks = points(landmarks);
        (values[0] > 0.0).then(|| Hand {
            region: Region::from_landmarks(&landmarks),
            landmarks,
            world: points(world),
            presence: values[0],
            visible: values[1],
            right: values[2],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand() -> Hand {
        let simulated = simulated::simulated_hands(1, 3).swap_remove(0);
        Hand {
            region: Region::from_landmarks(&simulated.landmarks),
            landmarks: simulated.landmarks,
            world: simulated.world,
            presence: 0.9,
            visible: 0.8,
            right: 0.2,
        }
    }

    #[test]
    fn upright_hand_is_classified_as_the_rotated_camera_sees_it() {
        for camera_roll in [-1.5f32, 0.4, 3.0] {
            let expected = rule::classify(&hand(), camera_roll);
            let found = rule::classify(&hand().upright(camera_roll), 0.0);
            assert_eq!(found.gesture, expected.gesture);
            assert!((found.confidence - expected.confidence).abs() < 1e-3);
        }
    }

    #[test]
    fn hand_that_the_border_cuts_off_must_have_a_higher_presence() {
        let is_certain = |presence, visible| {
            let hand = Hand {
                presence,
                visible,
                ..hand()
            };
            hand.is_certain()
        };
        assert!(is_certain(0.8, 1.0) && is_certain(0.9, 0.7) && is_certain(0.99, 0.55));
        assert!(!is_certain(0.7, 1.0) && !is_certain(0.8, 0.7) && !is_certain(0.9, 0.55));
    }

    #[test]
    fn hand_is_restored_from_its_values() {
        let hand = hand();
        let values = hand.to_values();
        assert_eq!(values.len(), Hand::VALUES);
        assert_eq!(Hand::from_values(&values), Some(hand));
        assert_eq!(Hand::from_values(&[0.0; Hand::VALUES]), None);
    }
}
