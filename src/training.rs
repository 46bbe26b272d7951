//! Training: from a dataset to a model in the store.
//!
//! [`strategy`] has the recipes; docs/concepts/training.md describes the method and the measurements behind it. Training does not activate
//! the model: it decides whether the model is promoted, and the caller activates it.
//!
//! Options, progress and reports are here for every program; what trains needs libtorch, and with it the feature `torch`.

mod error;
mod learned_frames;
mod options;
mod progress;
pub(crate) mod report;
#[cfg(feature = "torch")]
mod stages;
pub mod strategy;
mod usable;

pub use error::TrainingError;
#[cfg(feature = "ros")]
pub(crate) use learned_frames::read as learned_frames;
pub use options::{Overrides, Promotion, TrainingOptions};
pub use progress::{FoldEpoch, Progress, Summary, SummaryMetrics};
pub(crate) use report::HTML_FILE as REPORT_PAGE;
#[cfg(feature = "ros")]
pub(crate) use report::results;
pub use report::{FoldResult, GateReport, Point, RecognizerAccuracy, Timing};
#[cfg(feature = "torch")]
pub use stages::train;
pub use usable::usable;

/// Environment variable through which a node passes its process id to its training process.
pub const PARENT_VARIABLE: &str = "THUMB_GESTURE_PARENT";

/// Directory of the store with features that later trainings reuse.
pub(crate) const CACHE_DIRECTORY: &str = "features";
