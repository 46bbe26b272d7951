//! Finds hands in frames, and classifies thumbs, with MediaPipe's palm detector and hand landmark network.
//!
//! Data flow: `detector` finds palms in a square part of the frame, a [`Region`] turns a palm upright, `networks` computes 21
//! landmarks in it, and [`rule`] decides from these whether the thumb is up or down. [`finder`] decides which parts of a frame are
//! searched, and follows the hands from frame to frame.
//!
//! Equivalent to `mediapipe.solutions.hands` of MediaPipe 0.10.21 as long as only the whole frame is searched and landmarks are computed
//! once. The constants are those of MediaPipe's graphs unless a comment says otherwise.

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

pub use networks::{HandNetworks, Size};
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
    /// Probability that it is a right hand, if the frame is mirrored, as MediaPipe assumes.
    pub right: f32,
    /// The part of the frame in which the landmarks were computed.
    pub region: Region,
}
