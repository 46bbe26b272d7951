//! Teach a robot's camera thumbs up, thumbs down and none, and act on what it sees.
//!
//! The way of a frame: [`frame`] -> [`preprocess`] -> [`classifier`] -> [`decision`], one direction.
//! The way of a model: [`dataset`] -> [`training`] -> [`model_store`] -> [`classifier`].
//!
//! Invariants:
//! - Only the node and the photo camera know ROS. Without the cargo feature `ros` everything else builds and is tested.
//! - Only [`network::torch`], [`classifier::torch`] and [`training`] know libtorch; only [`classifier::onnx`] knows ONNX Runtime.
//! - [`preprocess`] is the only copy: training and inference see the same numbers for the same image.
//! - The order of labels is the model's own, written in its manifest, never that of a directory listing.
//! - Nothing on disk is ever half-written: temporary file, sync, rename.

pub mod bag;
pub mod classifier;
pub mod dataset;
pub mod decision;
mod disk;
pub mod drawn_hand;
pub mod evaluation;
pub mod export;
pub mod frame;
pub mod gesture;
pub mod import;
pub mod metrics;
pub mod model_store;
pub mod names;
pub mod network;
#[cfg(feature = "ros")]
pub mod node;
#[cfg(feature = "ros")]
pub mod overlay;
pub mod preprocess;
pub mod probability;
pub mod recognizer;
mod thumbnail;
pub mod training;
pub mod weights;

/// Threads where nobody names another number: one for each core.
pub fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
