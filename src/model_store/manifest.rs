//! What a model says of itself: `manifest.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dataset::Label;
use crate::metrics::Metrics;
use crate::preprocess::{INPUT_SIDE_PX, MEAN, STD};

/// The format of `manifest.json` that this version writes and reads.
pub const MANIFEST_VERSION: u32 = 2;
/// Stands for the strategy of a model that was not trained here.
pub const IMPORTED: &str = "imported";

/// All that is known of a model beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// The name of the model's directory.
    pub id: String,
    /// The architecture.
    pub network: String,
    /// The labels in the order of the network's outputs. This order counts, never that of a directory listing.
    pub labels: Vec<Label>,
    /// When the training ended.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// What a frame goes through before the network.
    pub preprocessing: Preprocessing,
    /// The logits are divided by it before the softmax, so that the probabilities mean what they say; above 0.
    pub temperature: f64,
    /// What was trained, such as `last_layer`, or [`IMPORTED`].
    pub strategy: String,
    /// How many frames it learnt from, on both sides of the split.
    pub frames: FrameCounts,
    /// What the same training made of frames that it was not trained on; none where there were none.
    pub metrics: Option<Metrics>,
    /// Whether the int8 file says what the fp32 file does; none where there never was one.
    #[serde(default)]
    pub int8: Option<Int8Agreement>,
    /// Epochs of the training that made the model.
    pub epochs: u32,
    /// Seed of the training.
    pub seed: u64,
    /// The directory it was trained on, or the file it was imported from.
    pub dataset: String,
    /// Digest of the frames and their labels; empty for an imported model.
    pub dataset_digest: String,
    /// The model that was active when this one was trained.
    pub parent: Option<String>,
    /// The model's files, by name.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
}

impl Manifest {
    /// Share of the held-out frames that the same training without them got right, 0 to 1; none where none were held out.
    pub fn accuracy(&self) -> Option<f64> {
        self.metrics.as_ref()?.accuracy
    }
}

/// What a frame goes through before the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Pixels across and down.
    pub side_px: usize,
    /// Subtracted from red, green and blue in 0..=1.
    pub mean: [f32; 3],
    /// Red, green and blue are divided by it.
    pub std: [f32; 3],
}

/// Frames on both sides of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameCounts {
    /// Trained on in the training that made the model.
    pub train: usize,
    /// Of these, so many were held out, at least once, in the trainings that were measured.
    pub validation: usize,
}

/// How the int8 file did beside the fp32 file on held-out frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Int8Agreement {
    /// Frames that both classified.
    pub frames: usize,
    /// Of these, so many got another label.
    pub flips: usize,
    /// Of these again, on so many one of the two was sure of its own.
    pub confident_flips: usize,
    /// Whether that is few enough; if not, there is no int8 file.
    pub accepted: bool,
}

impl Preprocessing {
    /// What [`crate::preprocess`] does.
    pub fn current() -> Preprocessing {
        Preprocessing {
            side_px: INPUT_SIDE_PX,
            mean: MEAN,
            std: STD,
        }
    }
}

/// The one field that every version of the format has.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) version: u32,
}
