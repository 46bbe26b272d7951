//! The errors of a training.

use std::path::PathBuf;

use crate::classifier::ClassifierError;
use crate::dataset::{DatasetError, Label, SkippedFile};
use crate::export::ExportError;
use crate::frame::FrameError;
use crate::metrics::MetricsError;
use crate::model_store::StoreError;
use crate::names::UnknownName;
#[cfg(feature = "torch")]
use crate::network::torch::TorchError;
use crate::weights::WeightsError;

/// The training failed and stored no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The labels of the dataset cannot be used as they are.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The dataset has frames of fewer than two labels.
    #[error("{root} has {found}, a training needs two labels or more; capture frames of another label")]
    TooFewLabels {
        /// The dataset.
        root: PathBuf,
        /// The frames that it has, such as `no frames`.
        found: String,
    },
    /// The dataset has frames of too many labels.
    #[error("{root} has frames of {labels} labels, at most {max} are supported; remove some")]
    TooManyLabels {
        /// The dataset.
        root: PathBuf,
        /// Number of labels that have frames.
        labels: usize,
        /// Maximum number of labels.
        max: usize,
    },
    /// No file of a label can be decoded.
    #[error(
        "label {label}: none of its {files} files is a readable image ({example}); capture its frames again, or leave the label out with --skip-empty-labels, which is skip_empty_labels in a call of ~/retrain",
        files = .skipped.len(),
        example = .skipped.first().map_or("", |skipped| skipped.reason.as_str())
    )]
    NoReadableFrames {
        /// The label.
        label: Label,
        /// Its files, each with the decoding error.
        skipped: Vec<SkippedFile>,
    },
    /// A frame that was readable at the start of the training could not be read again.
    #[error("{file} changed during the training: {reason}; train again", file = .0.file, reason = .0.reason)]
    FrameChanged(SkippedFile),
    /// A frame could not be read again for an epoch or for the export.
    #[error("a frame changed during the training: {0}; train again")]
    Frame(#[from] FrameError),
    /// No pretrained weights are installed or imported for the network.
    #[error(
        "no pretrained weights for {network}; import torchvision's with `thumb_gesture import-weights {network}.pth --store {store}`, or pass a file with --pretrained"
    )]
    NoPretrained {
        /// The network.
        network: &'static str,
        /// The store to import weights into.
        store: PathBuf,
    },
    /// The pretrained weights cannot be read or do not fit the network.
    #[error(
        "pretrained weights {path}: {cause}; scripts/setup.sh creates them, --pretrained selects another file"
    )]
    Pretrained {
        /// The file.
        path: PathBuf,
        /// The error.
        cause: WeightsError,
    },
    /// The loss became infinite or NaN.
    #[error("the training diverged at a learning rate of {learning_rate}; choose a lower one")]
    Diverged {
        /// The initial learning rate.
        learning_rate: f64,
    },
    /// The metrics of the held-out frames cannot be computed, for example because of NaN logits.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The weights cannot be written or do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// libtorch reported an error.
    #[cfg(feature = "torch")]
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The model store reported an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the model cannot be written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error, such as a full disk.
        cause: std::io::Error,
    },
    /// ONNX Runtime cannot load or run the exported model.
    #[error("the exported model does not run: {0}")]
    Export(#[from] ClassifierError),
    /// ONNX Runtime cannot run the networks for hands.
    #[error("hands cannot be found: {0}")]
    Hands(#[source] ClassifierError),
    /// The exported model computes other logits than the trained network.
    #[error(
        "the logits of the exported model differ from those of the trained network by {difference} of the largest one; please report this as a bug"
    )]
    ExportMismatch {
        /// The largest difference of a logit, as a fraction of the largest logit.
        difference: f32,
    },
    /// The int8 file cannot be made.
    #[error("int8 export: {0}")]
    Int8(#[from] ExportError),
    /// There is no network of the requested name.
    #[error(transparent)]
    Network(#[from] UnknownName),
}

#[cfg(feature = "torch")]
impl From<tch::TchError> for TrainingError {
    fn from(error: tch::TchError) -> TrainingError {
        TrainingError::Torch(error.into())
    }
}
