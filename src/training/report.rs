//! The report of a training, as `report.json` and as an HTML page.
//!
//! This module defines the data, [`html`] renders the page.

mod chart;
mod curves;
mod html;
mod reliability;
#[cfg(feature = "ros")]
mod results;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dataset::{Label, SkippedFile};
use crate::metrics::{Accuracy, Metrics};
use crate::model_store::manifest::Int8Agreement;

pub(super) use html::write_html;
#[cfg(feature = "ros")]
pub(crate) use results::results;

/// The data, in the model's directory.
pub(super) const JSON_FILE: &str = "report.json";
/// The page, in the model's directory.
pub(crate) const HTML_FILE: &str = "report.html";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) model_id: String,
    /// When the training ended.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created: OffsetDateTime,
    /// The architecture.
    pub(super) network: String,
    pub(super) strategy: String,
    /// Why this strategy was chosen.
    pub(super) strategy_reason: String,
    /// The hyperparameters, default ones included.
    pub(super) settings: Vec<Setting>,
    pub(super) dataset: DatasetReport,
    /// What may make the model worse than its accuracy says, for people.
    pub(super) warnings: Vec<String>,
    /// Loss and accuracy over the epochs, one curve per fold.
    pub(super) curves: Vec<Curve>,
    /// The metrics on the held-out frames; with several folds on all frames, each classified by the training without it.
    pub(super) metrics: Metrics,
    /// The scenes of the frames, the largest first.
    pub(super) scenes: Vec<SceneReport>,
    /// The accuracy on scenes that were held out whole; `None` with a single scene, or if a label is in too few scenes.
    pub(super) new_scene: Option<Accuracy>,
    /// What to record next, for people.
    pub(super) advice: String,
    /// The accuracy of each recognizer of the model on the same frames.
    #[serde(default)]
    pub(super) recognizers: Vec<RecognizerAccuracy>,
    /// The result of each fold; empty if the frames were split once.
    pub(super) folds: Vec<FoldResult>,
    /// The misclassified held-out frames.
    pub(super) mistakes: Vec<Mistake>,
    pub(super) export: ExportReport,
    /// The comparison with the active model; `None` with [`Promotion::Never`](super::Promotion::Never).
    pub(super) gate: Option<GateReport>,
    /// Wall-clock time of each stage, in the order of the stages.
    pub(super) timings: Vec<Timing>,
}

/// How the exported files compare with the trained network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ExportReport {
    /// The largest difference of a logit between the fp32 file and the trained network, as a fraction of the largest logit.
    pub(super) onnx_difference: f32,
    /// How the int8 file compares with the fp32 file; `None` if it could not be made.
    pub(super) int8: Option<Int8Agreement>,
}

/// A hyperparameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setting {
    /// Such as `learning rate`.
    pub(super) name: String,
    pub(super) value: String,
}

/// The frames of the training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DatasetReport {
    /// The directory of the dataset.
    pub(super) root: String,
    /// Hash of the frames and their labels.
    pub(super) digest: String,
    /// In the order of the model's labels.
    pub(super) labels: Vec<LabelCount>,
    /// Files that could not be used.
    pub(super) skipped: Vec<SkippedFile>,
    /// How the held-out frames were chosen.
    pub(super) split: String,
}

/// The frames of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LabelCount {
    pub(super) label: Label,
    /// Number of readable frames.
    pub(super) frames: usize,
    /// Number of frames trained on in at least one fold.
    pub(super) train: usize,
    /// Number of frames held out in at least one fold.
    pub(super) validation: usize,
    /// Number of frames that are left out of at least one fold, because they resemble held-out frames.
    pub(super) left_out: usize,
    /// Number of groups that are held out as a whole; most are bursts.
    pub(super) groups: usize,
}

/// The frames of a scene, which is a room seen from one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SceneReport {
    /// Absolute path of one of the images.
    pub(super) example: String,
    /// When the first frame was captured; `None` if unknown.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) captured: Option<OffsetDateTime>,
    /// Number of frames of each label, in the order of the model's labels.
    pub(super) frames: Vec<usize>,
    /// Number of frames that a training without the scene classified correctly; `None` if it was not held out.
    pub(super) new_scene_correct: Option<usize>,
}

/// Loss and accuracy over the epochs of one training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Curve {
    /// Index of the fold, from 0.
    pub(super) fold: usize,
    /// One per epoch.
    pub(super) points: Vec<Point>,
}

/// Loss and accuracy after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Epochs done, from 1.
    pub epoch: u32,
    /// Mean cross entropy on the training frames, in nats.
    pub train_loss: f64,
    /// Mean cross entropy on the held-out frames, in nats; `None` without held-out frames.
    pub validation_loss: Option<f64>,
    /// Accuracy on the held-out frames, 0 to 1; `None` without held-out frames.
    pub accuracy: Option<f64>,
}

/// The result of one fold on the frames that it held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldResult {
    /// Index of the fold, from 0.
    pub fold: usize,
    /// Number of held-out frames.
    pub frames: usize,
    /// Number of frames that were classified correctly.
    pub correct: usize,
    /// `correct` / `frames`; `None` without frames.
    pub accuracy: Option<f64>,
}

impl FoldResult {
    pub(super) fn new(fold: usize, frames: usize, correct: usize) -> FoldResult {
        FoldResult {
            fold,
            frames,
            correct,
            accuracy: (frames > 0).then(|| correct as f64 / frames as f64),
        }
    }
}

/// What a recognizer decides on the held-out frames, by trainings without them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecognizerAccuracy {
    /// A value of the parameter `recognizer`.
    pub recognizer: String,
    /// Number of held-out frames.
    pub frames: usize,
    /// Number of frames that it classified correctly.
    pub correct: usize,
    /// 95 % confidence interval of the accuracy, lower and upper bound; `None` without held-out frames.
    pub interval: Option<[f64; 2]>,
}

/// A misclassified frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Mistake {
    /// Absolute path of the image.
    pub(super) file: String,
    /// The true label.
    pub(super) truth: Label,
    /// The predicted label.
    pub(super) prediction: Label,
    /// The probability of the predicted label, 0 to 1.
    pub(super) probability: f64,
}

/// The comparison of the new model with the active one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Whether the new model is promoted, that is becomes the active one.
    pub activated: bool,
    /// Why it is promoted or not.
    pub reason: String,
    /// The model that was active before; `None` if there was none.
    pub active_model: Option<String>,
    /// Number of frames that both models classified.
    pub frames: usize,
    /// Number of frames that the new model classified correctly.
    pub new_correct: usize,
    /// Number of frames that the active model classified correctly.
    pub active_correct: usize,
}

/// The duration of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The stage, such as `features`.
    pub stage: String,
    /// Wall-clock time, in seconds.
    pub seconds: f64,
}

impl Report {
    /// The mistakes, those with the highest probability first.
    fn worst_mistakes(&self) -> Vec<&Mistake> {
        let mut mistakes: Vec<&Mistake> = self.mistakes.iter().collect();
        mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        mistakes
    }
}
