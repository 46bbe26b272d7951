//! The report of a training: what went in, what came of it and how good that is, as `report.json` and as a page to read.
//!
//! This file is the data; [`html`] makes the page of it. Where the two files are written is left to the training.

pub mod chart;
mod curves;
pub mod html;
pub mod reliability;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dataset::Label;
use crate::evaluation::Skipped;
use crate::metrics::Metrics;
use crate::model_store::manifest::Int8Agreement;

pub use html::write_html;

/// The data's file in the model's directory.
pub const JSON_FILE: &str = "report.json";
/// The page's file in the model's directory.
pub const HTML_FILE: &str = "report.html";

/// All there is to say of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The new model.
    pub model_id: String,
    /// When the training ended.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// The architecture.
    pub network: String,
    /// Which layers were trained.
    pub strategy: String,
    /// Why these.
    pub strategy_reason: String,
    /// What was set, whether by hand or by default.
    pub settings: Vec<Setting>,
    /// What was trained on.
    pub dataset: DatasetReport,
    /// How the losses went; one curve for each fold, one in all without folds, none where nothing was recorded.
    pub curves: Vec<Curve>,
    /// How good the model is: on the held-out frames, or with folds on all frames, each classified by the fold that was trained without it.
    pub metrics: Metrics,
    /// Each fold's own result; empty where the frames were split once.
    pub folds: Vec<FoldResult>,
    /// The frames that were taken for something else.
    pub mistakes: Vec<Mistake>,
    /// What the exported files compute beside the trained network.
    pub export: ExportReport,
    /// Whether the model was activated; none where nobody asked.
    pub gate: Option<GateReport>,
    /// How long each stage took, in the order of the stages.
    pub timings: Vec<Timing>,
}

/// What the exported files compute beside the trained network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportReport {
    /// The greatest difference of a logit between the fp32 file and the trained network, in parts of the largest logit.
    pub onnx_difference: f32,
    /// How the int8 file did beside the fp32 file; none where it could not be made.
    pub int8: Option<Int8Agreement>,
}

/// A setting of the training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What is set, such as `learning rate`.
    pub name: String,
    /// To what.
    pub value: String,
}

/// What was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetReport {
    /// The image directory.
    pub root: String,
    /// Digest of the frames, so that two trainings on the same ones can be told from two on others.
    pub digest: String,
    /// The frames of each label, in the model's order.
    pub labels: Vec<LabelCount>,
    /// Files that were left out.
    pub skipped: Vec<Skipped>,
    /// How training and held-out frames were parted, in words.
    pub split: String,
}

/// The frames of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCount {
    /// The label.
    pub label: Label,
    /// Files under it.
    pub frames: usize,
    /// Trained on; with folds, in any of them.
    pub train: usize,
    /// Held out; with folds, in any of them.
    pub validation: usize,
    /// In neither part.
    pub left_out: usize,
    /// Capture bursts they belong to; the frames of a burst are near-duplicates.
    pub groups: usize,
}

/// How the losses of one training went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Which fold, from 0 on.
    pub fold: usize,
    /// One for each epoch, in their order.
    pub points: Vec<Point>,
}

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Epochs done, from 1 on.
    pub epoch: u32,
    /// Mean cross entropy on the training frames, in nats.
    pub train_loss: f64,
    /// The same on the held-out frames; none where there are none.
    pub validation_loss: Option<f64>,
    /// On the held-out frames, 0 to 1; none where there are none.
    pub accuracy: Option<f64>,
}

/// How one fold did on the frames it was trained without.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldResult {
    /// Which fold, from 0 on.
    pub fold: usize,
    /// Frames classified.
    pub frames: usize,
    /// Frames whose likeliest label was the true one.
    pub correct: usize,
    /// `correct` / `frames`; none where there were no frames.
    pub accuracy: Option<f64>,
}

/// A frame that was taken for something else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The image, as a path that can be opened.
    pub file: String,
    /// What it shows.
    pub truth: Label,
    /// What it was taken for.
    pub prediction: Label,
    /// How sure the model was of that, 0 to 1.
    pub probability: f64,
}

/// How the new model compares with the active one, and what followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Whether the new model is the active one now.
    pub activated: bool,
    /// Why.
    pub reason: String,
    /// The model that was active before; none where there was none.
    pub active_model: Option<String>,
    /// Frames that both models classified.
    pub frames: usize,
    /// What the new model got right of them.
    pub new_correct: usize,
    /// What the active model got right of them.
    pub active_correct: usize,
}

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The stage, such as `features`.
    pub stage: String,
    /// Its wall-clock time.
    pub seconds: f64,
}

impl Report {
    /// The mistakes, the worst first: those of which the model was surest.
    pub fn worst_mistakes(&self) -> Vec<&Mistake> {
        let mut mistakes: Vec<&Mistake> = self.mistakes.iter().collect();
        mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        mistakes
    }
}
