//! What a training says of itself: on the way, and at the end.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::report::{FoldResult, GateReport, Point, Timing};
use super::strategy::Strategy;
use crate::dataset::Label;
use crate::evaluation::Skipped;
use crate::metrics::Metrics;
use crate::model_store::manifest::FrameCounts;

/// How a training stands; also the lines that `thumb_gesture train --progress json` prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// Frames have gone through the frozen layers.
    Features {
        /// Frames done.
        done: usize,
        /// Frames in all.
        total: usize,
    },
    /// A round of a measured training has ended.
    Epoch(FoldEpoch),
    /// A round of the training with all frames has ended.
    Refit {
        /// Rounds done.
        epoch: u32,
        /// Rounds in all.
        epochs: u32,
    },
    /// The network has been exported and is being compared with the trained one.
    Export {
        /// Frames done.
        done: usize,
        /// Frames in all.
        total: usize,
    },
    /// The model is in the store.
    Finished(Box<Summary>),
    /// There is no model.
    Failed {
        /// Why, and what would be right.
        message: String,
    },
}

/// How a round of a fold's training ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FoldEpoch {
    /// What is trained.
    pub strategy: Strategy,
    /// Which fold, from 0 on.
    pub fold: usize,
    /// Folds in all.
    pub folds: usize,
    /// The most rounds there will be in a fold.
    pub epochs: u32,
    /// The rounds done, the losses and the accuracy.
    #[serde(flatten)]
    pub point: Point,
}

impl FoldEpoch {
    /// Rounds done in all folds, as if each had gone through all of its rounds.
    pub fn rounds_done(&self) -> usize {
        self.fold * self.epochs as usize + self.point.epoch as usize
    }

    /// The most rounds there will be in all folds.
    pub fn rounds(&self) -> usize {
        self.folds * self.epochs as usize
    }
}

/// What came of a training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The new model.
    pub model_id: String,
    /// The architecture.
    pub network: String,
    /// What was trained.
    pub strategy: Strategy,
    /// Why this.
    pub strategy_reason: String,
    /// The labels in the order of the network's outputs.
    pub labels: Vec<Label>,
    /// Frames it learnt from.
    pub frames: FrameCounts,
    /// What the same training made of frames that it was not trained on.
    #[serde(flatten)]
    pub metrics: MetricsOfSummary,
    /// How each fold did; empty where a fifth was held out once.
    pub folds: Vec<FoldResult>,
    /// How the held-out frames were chosen, in words.
    pub split: String,
    /// Rounds of the training that made the model.
    pub epochs: u32,
    /// The seed.
    pub seed: u64,
    /// Frames that had to go through the frozen layers; the features of the others were kept from an earlier training.
    pub computed_frames: usize,
    /// From the first file read to the model in the store.
    pub train_seconds: f64,
    /// How long each stage took.
    pub timings: Vec<Timing>,
    /// How it compares with the active model; none where nobody asked.
    pub gate: Option<GateReport>,
    /// The report to look at.
    pub report: PathBuf,
    /// Files that were left out, each with the reason.
    pub skipped: Vec<Skipped>,
}

/// The [`Metrics`] in the summary, without what is said elsewhere in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricsOfSummary {
    /// Share of the held-out frames that were recognised, 0 to 1; none where there were none.
    pub accuracy: Option<f64>,
    /// 95 % confidence interval of the accuracy.
    pub interval: Option<[f64; 2]>,
    /// Expected calibration error with the temperature, 0 to 1.
    pub ece: Option<f64>,
    /// What the logits are divided by before the softmax.
    pub temperature: f64,
    /// What of the held-out frames was taken for what.
    pub confusion: crate::metrics::Confusion,
}

impl From<&Metrics> for MetricsOfSummary {
    fn from(metrics: &Metrics) -> MetricsOfSummary {
        MetricsOfSummary {
            accuracy: metrics.accuracy,
            interval: metrics.interval,
            ece: metrics.ece,
            temperature: metrics.temperature,
            confusion: metrics.confusion.clone(),
        }
    }
}
