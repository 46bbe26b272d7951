//! What a training reports: progress events, and the summary at its end.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::report::{FoldResult, GateReport, Point, RecognizerAccuracy, Timing};
use super::strategy::Strategy;
use crate::dataset::{Label, SkippedFile};
use crate::metrics::{Accuracy, ConfusionMatrix, Metrics};
use crate::model_store::manifest::FrameCounts;

/// An event of a training; `thumb_gesture train --progress json` prints one per line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// Something may make the model worse than its accuracy says; reported once.
    Warning {
        /// What it is and how to fix it.
        message: String,
    },
    /// Features are being computed.
    Features {
        /// Frames done.
        done: usize,
        /// Frames in total.
        total: usize,
    },
    /// The features are computed, and the scenes of the frames are known.
    Scenes {
        /// Number of scenes, which are rooms seen from one place.
        scenes: usize,
    },
    /// Hands are being searched in the frames.
    Hands {
        /// Frames done.
        done: usize,
        /// Frames in total.
        total: usize,
    },
    /// An epoch of a fold's training is done.
    Epoch(FoldEpoch),
    /// The accuracy is being measured on scenes that are held out whole.
    NewScenes {
        /// Trainings done.
        done: usize,
        /// Trainings in total.
        total: usize,
    },
    /// An epoch of the final training, with all frames, is done.
    Refit {
        /// Epochs done.
        epoch: u32,
        /// Epochs in total.
        epochs: u32,
    },
    /// The exported files are being compared with the trained network.
    Export {
        /// Frames done.
        done: usize,
        /// Frames in total.
        total: usize,
    },
    /// The model is in the store.
    Finished(Box<Summary>),
    /// The training failed.
    Failed {
        /// The error and how to fix it.
        message: String,
    },
}

/// An epoch of a fold's training.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FoldEpoch {
    /// The strategy being evaluated.
    pub strategy: Strategy,
    /// Index of the fold, from 0.
    pub fold: usize,
    /// Folds in total.
    pub folds: usize,
    /// The maximum number of epochs in a fold.
    pub epochs: u32,
    /// Epochs done, losses and accuracy.
    #[serde(flatten)]
    pub point: Point,
}

impl FoldEpoch {
    /// Number of epochs done in all folds; a fold that stopped early counts in full.
    pub fn epochs_done(&self) -> usize {
        self.fold * self.epochs as usize + self.point.epoch as usize
    }

    /// The maximum number of epochs in all folds.
    pub fn total_epochs(&self) -> usize {
        self.folds * self.epochs as usize
    }
}

/// The result of a training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The new model.
    pub model_id: String,
    /// The architecture.
    pub network: String,
    /// The strategy that the model was trained with.
    pub strategy: Strategy,
    /// Why this strategy was chosen.
    pub strategy_reason: String,
    /// The labels in the order of the network's outputs.
    pub labels: Vec<Label>,
    /// The frames that the model was trained on, and those that were held out in the cross-validation.
    pub frames: FrameCounts,
    /// The metrics on held-out frames.
    #[serde(flatten)]
    pub metrics: SummaryMetrics,
    /// Number of scenes of the frames.
    pub scenes: usize,
    /// The accuracy on scenes that were held out whole; `None` with a single scene, or if a label is in too few scenes.
    pub new_scene: Option<Accuracy>,
    /// What to record next, one sentence for people.
    pub advice: String,
    /// The accuracy of each recognizer of the model on the held-out frames; [`Summary::metrics`] are those of `auto`.
    #[serde(default)]
    pub recognizers: Vec<RecognizerAccuracy>,
    /// The result of each fold; empty if a fifth of the frames was held out once.
    pub folds: Vec<FoldResult>,
    /// How the held-out frames were chosen.
    pub split: String,
    /// Epochs of the final training.
    pub epochs: u32,
    /// The seed.
    pub seed: u64,
    /// Number of frames whose features were computed; those of the others were in the cache.
    pub computed_frames: usize,
    /// Wall-clock time from reading the first frame until the model was in the store.
    pub train_seconds: f64,
    /// Wall-clock time of each stage.
    pub timings: Vec<Timing>,
    /// The comparison with the active model; `None` with [`Promotion::Never`](super::Promotion::Never).
    pub gate: Option<GateReport>,
    /// The file `report.html`.
    pub report: PathBuf,
    /// Files that could not be used.
    pub skipped: Vec<SkippedFile>,
    /// What may make the model worse than its accuracy says, such as the number of skipped files, for people.
    pub warnings: Vec<String>,
}

/// The part of the [`Metrics`] that the summary contains.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SummaryMetrics {
    /// Share of the held-out frames that were classified correctly, 0 to 1; `None` without held-out frames.
    pub accuracy: Option<f64>,
    /// 95 % confidence interval of the accuracy, lower and upper bound; `None` without held-out frames.
    pub interval: Option<[f64; 2]>,
    /// Expected calibration error with the temperature, 0 to 1; `None` without held-out frames.
    pub ece: Option<f64>,
    /// Divisor of the logits before the softmax.
    pub temperature: f64,
    /// Confusion matrix of the held-out frames.
    pub confusion: ConfusionMatrix,
}

impl From<&Metrics> for SummaryMetrics {
    fn from(metrics: &Metrics) -> SummaryMetrics {
        SummaryMetrics {
            accuracy: metrics.accuracy,
            interval: metrics.interval,
            ece: metrics.ece,
            temperature: metrics.temperature,
            confusion: metrics.confusion.clone(),
        }
    }
}
