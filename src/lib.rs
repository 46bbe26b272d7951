//! Classifies camera images of a robot as thumbs up, thumbs down or none, with models that are trained on the robot.
//!
//! Data flow of a frame: [`frame`] -> [`preprocess`] -> [`classifier`] -> [`decision`].
//! Data flow of a model: [`dataset`] -> [`training`] -> [`model_store`] -> [`classifier`].
//!
//! Invariants:
//! - Only the node and the photo camera depend on ROS. Everything else builds and is tested without the feature `ros`.
//! - Only `network::torch` and `training::stages` depend on libtorch, with the feature `torch`; only [`classifier::onnx`] depends on ONNX
//!   Runtime. `network::torch` opens libtorch's CUDA part with a function of ONNX Runtime's bindings.
//! - Training and inference share [`preprocess`] and compute the same values for the same image.
//! - The order of labels is that of the model's manifest and does not depend on a directory listing.
//! - Files are written atomically: temporary file, sync, rename.

// What only trainings use.
#![cfg_attr(not(feature = "torch"), allow(dead_code, unused_imports))]

pub mod bag;
pub mod classifier;
pub mod command_line;
pub mod dataset;
pub mod decision;
pub mod disk;
pub mod drawn_hand;
pub mod evaluation;
pub mod export;
pub mod false_thumbs;
mod familiarity;
mod file_kind;
pub mod frame;
pub mod gesture;
pub mod hand;
pub mod import;
pub mod metrics;
pub mod model_store;
mod names;
pub mod network;
#[cfg(feature = "ros")]
pub mod node;
#[cfg(feature = "ros")]
mod overlay;
pub mod preprocess;
pub mod probability;
pub mod purge;
pub mod recognizer;
mod stored_zip;
pub mod sync;
pub mod telemetry;
pub mod text;
mod thumbnail;
pub mod training;
pub mod weights;

/// Number of CPU cores available to this process, the default number of threads.
pub fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
