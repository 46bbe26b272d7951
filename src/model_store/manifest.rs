//! The manifest of a model, `manifest.json`.

use std::collections::BTreeMap;
#[cfg(feature = "ros")]
use std::path::Path;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;

use crate::dataset::Label;
use crate::false_thumbs::ThumblessFrames;
use crate::metrics::{Accuracy, Metrics};
use crate::preprocess::Preprocessing;

/// The supported format version of `manifest.json`.
pub const MANIFEST_VERSION: u32 = 2;
/// [`Manifest::strategy`] of an imported model.
pub const IMPORTED: &str = "imported";

/// Description of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version, [`MANIFEST_VERSION`].
    pub version: u32,
    /// Id of the model, which is also the name of its directory.
    pub id: String,
    /// Name of the architecture, such as `alexnet`.
    pub network: String,
    /// Labels in the order of the network's outputs.
    pub labels: Vec<Label>,
    /// Position in the order of publication, which a clock that jumps does not change: one more than the largest in the store; 0 for a model
    /// of a version that had none.
    #[serde(default)]
    pub sequence: u64,
    /// Time at which the training ended, or the model was imported.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// Preprocessing of an image before the network.
    pub preprocessing: Preprocessing,
    /// Divisor of the logits before the softmax, which calibrates the probabilities; above 0.
    #[serde(deserialize_with = "above_zero")]
    pub temperature: f64,
    /// Name of the training strategy, such as `last_layer`, or [`IMPORTED`].
    pub strategy: String,
    /// Number of frames in the training.
    pub frames: FrameCounts,
    /// Metrics of the same training on held-out frames; `None` if no frames were held out.
    pub metrics: Option<Metrics>,
    /// Scenes of the training frames; `None` for an imported model, and for one of a version that did not find them.
    #[serde(default)]
    pub scenes: Option<SceneMetrics>,
    /// Agreement of the int8 model with the fp32 model; `None` if there was no int8 model to compare.
    #[serde(default)]
    pub int8: Option<Int8Agreement>,
    /// Frames that the classifier of landmarks was fitted to; `None` if the model has no such classifier.
    #[serde(default)]
    pub landmarks: Option<LandmarkFrames>,
    /// What the false thumbs of the same training say about the threshold; `None` if it was not measured.
    #[serde(default)]
    pub thumbless: Option<Thumbless>,
    /// The network for crops of hands; `None` if the model has none.
    #[serde(default)]
    pub hand: Option<HandNetwork>,
    /// Number of epochs of the training.
    pub epochs: u32,
    /// Random seed of the training.
    pub seed: u64,
    /// Directory of the training dataset, or path of the imported file.
    pub dataset: String,
    /// SHA-256 of the frames and their labels; empty for an imported model.
    pub dataset_digest: String,
    /// Id of the model that was active when this one was trained.
    pub parent: Option<String>,
    /// SHA-256 of the model's files, by file name.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
}

impl Manifest {
    /// Accuracy of the same training on held-out frames, 0 to 1; `None` if no frames were held out.
    pub fn accuracy(&self) -> Option<f64> {
        self.metrics.as_ref()?.accuracy
    }

    /// Accuracy of trainings without some of the scenes, measured on these, 0 to 1; `None` if there are too few.
    pub fn new_scene_accuracy(&self) -> Option<f64> {
        Some(self.scenes?.new_scene?.accuracy)
    }

    /// Length of the model's files, without those that are missing, in bytes.
    #[cfg(feature = "ros")]
    pub(crate) fn bytes_in(&self, directory: &Path) -> u64 {
        let metadata = self
            .sha256
            .keys()
            .map(|name| std::fs::metadata(directory.join(name)));
        metadata.flatten().map(|metadata| metadata.len()).sum()
    }
}

fn above_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match f64::deserialize(deserializer)? {
        temperature if temperature > 0.0 => Ok(temperature),
        temperature => Err(D::Error::custom(format!(
            "temperature is {temperature}, must be above 0"
        ))),
    }
}

/// Number of frames in a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameCounts {
    /// Frames that the model was trained on.
    pub train: usize,
    /// Frames among them that were held out at least once, in the trainings that measured the metrics.
    pub validation: usize,
}

/// The scenes of a training, which are rooms seen from one place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SceneMetrics {
    /// Number of scenes.
    pub scenes: usize,
    /// Of trainings without some of the scenes, measured on these; `None` if there are too few.
    pub new_scene: Option<Accuracy>,
}

/// The frames of a training that show a hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandmarkFrames {
    /// Number of frames in which a hand was found.
    pub frames: usize,
}

/// The held-out frames without a thumb, by what classifies them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thumbless {
    /// Landmarks where a hand is seen, otherwise the network.
    pub auto: ThumblessFrames,
    /// The network alone.
    pub image: ThumblessFrames,
    /// The network for crops of hands; `None` if the model has none.
    #[serde(default)]
    pub hand: Option<ThumblessFrames>,
}

/// The network of a model for crops of hands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandNetwork {
    /// Number of frames with a hand that it was fitted to.
    pub frames: usize,
    /// As [`Manifest::temperature`], of the logits of this network.
    #[serde(deserialize_with = "above_zero")]
    pub temperature: f64,
    /// As [`Manifest::int8`], of this network.
    #[serde(default)]
    pub int8: Option<Int8Agreement>,
}

/// Comparison of the int8 model with the fp32 model on held-out frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Int8Agreement {
    /// Number of compared frames.
    pub frames: usize,
    /// Frames with different labels.
    pub flips: usize,
    /// Frames with different labels for which one of the models has a high probability.
    pub confident_flips: usize,
    /// Whether the agreement is sufficient; otherwise the model has no int8 file.
    pub accepted: bool,
}

/// The field that manifests of every format version have.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) version: u32,
}
