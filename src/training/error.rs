//! Why there is no model.

use std::path::PathBuf;

use crate::classifier::ClassifierError;
use crate::dataset::Label;
use crate::evaluation::Skipped;
use crate::export::ExportError;
use crate::frame::FrameError;
use crate::metrics::MetricsError;
use crate::model_store::StoreError;
use crate::names::UnknownName;
use crate::network::torch::TorchError;
use crate::weights::WeightsError;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// There is nothing to tell apart.
    #[error("{root} holds {found}; a training needs frames of two labels or more: capture some of another")]
    TooFewLabels {
        /// The dataset.
        root: PathBuf,
        /// The labels that have frames.
        found: String,
    },
    /// There are more labels than a network of this kind can tell apart.
    #[error("{root} holds frames of {labels} labels; at most {most} can be told apart", most = super::MOST_LABELS)]
    TooManyLabels {
        /// The dataset.
        root: PathBuf,
        /// Labels that have frames.
        labels: usize,
    },
    /// A label has no frame that can be read.
    #[error("label {label}: none of its {files} files is an image ({example}); capture it anew")]
    NoReadableFrames {
        /// The label.
        label: Label,
        /// Files under it.
        files: usize,
        /// What was wrong with the first.
        example: String,
    },
    /// A frame could be read when the training began, and now it cannot.
    #[error("{file} has changed during the training: {reason}; train again", file = .0.file, reason = .0.reason)]
    Vanished(Skipped),
    /// The same, found while the network was trained.
    #[error("a frame has changed during the training: {0}; train again")]
    Frame(#[from] FrameError),
    /// There are no weights to start from.
    #[error(
        "there are no pretrained weights for {network}: bring torchvision's, with `thumb_gesture import-weights {network}.pth --store {store}`, or name a file with --pretrained"
    )]
    NoPretrained {
        /// The network.
        network: &'static str,
        /// The store in which imported ones would lie.
        store: PathBuf,
    },
    /// The pretrained weights cannot be used.
    #[error("pretrained weights {path}: {cause}; scripts/setup.sh makes them, --pretrained names others")]
    Pretrained {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        cause: WeightsError,
    },
    /// The loss is no number any more.
    #[error("the training diverged at a learning rate of {learning_rate}; choose a smaller one")]
    Diverged {
        /// The learning rate it began with.
        learning_rate: f64,
    },
    /// The network computes no numbers.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Weights could not be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the model could not be written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong, such as a full disk.
        cause: std::io::Error,
    },
    /// The exported model does not run.
    #[error("the exported model does not run: {0}")]
    Export(#[from] ClassifierError),
    /// The exported model is not the trained one.
    #[error(
        "the exported model's logits differ from the trained network's by {difference} of the largest; please report this"
    )]
    ExportDisagrees {
        /// The greatest difference of a logit, in parts of the largest one.
        difference: f32,
    },
    /// The int8 file cannot be made.
    #[error("int8: {0}")]
    Int8(#[from] ExportError),
    /// No such architecture.
    #[error(transparent)]
    Network(#[from] UnknownName),
}

impl From<tch::TchError> for TrainingError {
    fn from(error: tch::TchError) -> TrainingError {
        TrainingError::Torch(error.into())
    }
}
