//! What a model says of itself: `manifest.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dataset::Label;
use crate::preprocess::{INPUT_SIDE_PX, MEAN, STD};

/// The format of `manifest.json` that this version writes and reads.
pub const MANIFEST_VERSION: u32 = 1;

/// All that is known of a model beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// The name of the model's folder.
    pub id: String,
    /// The architecture.
    pub network: String,
    /// The labels in the order of the network's outputs. This order counts, never that of a folder listing.
    pub labels: Vec<Label>,
    /// When the training ended.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// What a frame goes through before the network.
    pub preprocessing: Preprocessing,
    /// How many frames it learnt from, on both sides of the split.
    pub frames: FrameCounts,
    /// Share of the held-out frames that a classifier trained without them got right, 0 to 1; none where none were held out.
    pub accuracy: Option<f64>,
    /// Epochs of training.
    pub epochs: u32,
    /// Seed of the training.
    pub seed: u64,
    /// The folder it was trained on.
    pub dataset: String,
    /// The model's files, by name.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
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
    /// Trained on in both trainings.
    pub train: usize,
    /// Held out in the training that was measured, trained on in the one that made the model.
    pub validation: usize,
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
