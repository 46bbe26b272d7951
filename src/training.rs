//! From labelled frames to a model in the store.
//!
//! The pretrained layers stay as they are: [`features`] runs each frame and its augmented copies through them once, [`fit`] trains
//! a classifier on what comes out. Then the network is exported, and the exported file, not the trained one, is measured on
//! the held-out frames.

mod features;
mod fit;

use features::{Copies, Extractor};

use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::Device;
use time::OffsetDateTime;

use crate::classifier::ClassifierError;
use crate::classifier::onnx::OnnxClassifier;
use crate::dataset::split::{Split, split};
use crate::dataset::{Dataset, Label};
use crate::evaluation::{Evaluation, FileClassifier, Skipped, evaluate};
use crate::model_store::manifest::{FrameCounts, Preprocessing};
use crate::model_store::{
    MANIFEST_VERSION, Manifest, ModelStore, ONNX_FILE, StoreError, StoredModel, WEIGHTS_FILE,
};
use crate::network::torch::TorchError;
use crate::network::{Network, UnknownNetwork, alexnet, onnx, parameters};
use crate::weights::{Weights, WeightsError};

/// As many as ImageNet has.
const MOST_LABELS: usize = 1000;

/// What can be chosen of a training.
#[derive(Clone, Debug)]
pub struct TrainingOptions {
    /// Rounds over all frames, 1 or more.
    pub epochs: u32,
    /// The same seed, frames and machine give the same model.
    pub seed: u64,
    /// Safetensors file with the pretrained weights of the feature layers.
    pub pretrained: PathBuf,
}

impl TrainingOptions {
    /// Epochs where none are asked for.
    pub const DEFAULT_EPOCHS: u32 = 20;
    /// The most epochs that make sense to ask for.
    pub const MOST_EPOCHS: u32 = 1000;
}

/// How a training stands; also the lines that `thumb_gesture train --progress json` prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// Frames have gone through the pretrained layers.
    Features {
        /// Frames done.
        done: usize,
        /// Frames in all.
        total: usize,
    },
    /// A round over all frames has ended.
    Epoch {
        /// Rounds done.
        epoch: u32,
        /// Rounds in all.
        epochs: u32,
        /// Mean cross entropy on the training frames in this round.
        train_loss: f64,
        /// The same on the held-out frames; none where there are none.
        validation_loss: Option<f64>,
        /// On the held-out frames, 0 to 1.
        accuracy: Option<f64>,
    },
    /// The network has been exported and is being measured.
    Export {
        /// Held-out frames done.
        done: usize,
        /// Held-out frames in all.
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

/// What came of a training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The new model.
    pub model_id: String,
    /// The architecture.
    pub network: String,
    /// The labels in the order of the network's outputs.
    pub labels: Vec<Label>,
    /// Frames on both sides of the split.
    pub frames: FrameCounts,
    /// Of the exported model on the held-out frames, 0 to 1; none where there are none.
    pub accuracy: Option<f64>,
    /// `confusion[truth][verdict]` on the held-out frames, both in the order of `labels`.
    pub confusion: Vec<Vec<usize>>,
    /// Rounds over all frames.
    pub epochs: u32,
    /// The seed.
    pub seed: u64,
    /// From the first file read to the model in the store.
    pub train_seconds: f64,
    /// Files that were left out, each with the reason.
    pub skipped: Vec<SkippedFile>,
}

/// A file that was left out, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SkippedFile {
    /// The file.
    pub file: String,
    /// What was wrong with it.
    pub reason: String,
}

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
    #[error("{root} holds frames of {labels} labels; at most {MOST_LABELS} can be told apart")]
    TooManyLabels {
        /// The dataset.
        root: PathBuf,
        /// Labels that have frames.
        labels: usize,
    },
    /// A label has no frame that can be read.
    #[error("label {label}: none of its {files} files is a picture ({example}); capture it anew")]
    NoReadableFrames {
        /// The label.
        label: Label,
        /// Files under it.
        files: usize,
        /// What was wrong with the first.
        example: String,
    },
    /// The pretrained weights cannot be used.
    #[error("pretrained weights {path}: {source}; scripts/setup.sh makes them, --pretrained names others")]
    Pretrained {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        source: WeightsError,
    },
    /// Weights could not be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The exported model does not run.
    #[error("the exported model does not run: {0}")]
    Export(#[from] ClassifierError),
    /// No such architecture.
    #[error(transparent)]
    Network(#[from] UnknownNetwork),
}

/// Trains a model on a dataset and publishes it in the store; it is not activated.
///
/// `on_progress` hears of everything on the way, but not of the end.
///
/// # Errors
/// [`TrainingError`]; then the store is as it was.
pub fn train(
    dataset: &Dataset,
    store: &ModelStore,
    options: &TrainingOptions,
    mut on_progress: impl FnMut(Progress),
) -> Result<(StoredModel, Summary), TrainingError> {
    let start = Instant::now();
    let labels = labels_of(dataset)?;
    let network = Network::named(alexnet::NAME, labels.len())?;
    let pretrained = pretrained_weights(&network, options)?;
    let (train_files, validation_files) = parts(dataset, options.seed);
    let device = Device::cuda_if_available();

    let extractor = Extractor::new(&network, &pretrained, device)?;
    let total = train_files.len() + validation_files.len();
    let copies = Copies::for_frames(train_files.len(), options.seed);
    let train_set = extractor.examples(&train_files, copies, |done| {
        on_progress(Progress::Features { done, total })
    })?;
    let validation_set = extractor.examples(&validation_files, Copies::NONE, |done| {
        let done = train_files.len() + done;
        on_progress(Progress::Features { done, total });
    })?;
    drop(extractor);
    check_every_label(dataset, &labels, &train_set)?;

    tch::manual_seed(options.seed as i64);
    let classifier = fit::fit(
        &network,
        &train_set,
        &validation_set,
        options.epochs,
        device,
        &mut on_progress,
    )?;
    let mut weights = pretrained;
    weights.extend(classifier);

    let draft = store.draft(network.name, OffsetDateTime::now_utc())?;
    let weights_file = draft.path(WEIGHTS_FILE);
    weights.write(&weights_file)?;
    drop(weights);
    let onnx_file = draft.path(ONNX_FILE);
    onnx::write(&onnx_file, &network, &weights_file, &metadata(&draft.id, &labels))?;
    let measured = measure(&onnx_file, &labels, &validation_files, &mut on_progress)?;

    let manifest = Manifest {
        version: MANIFEST_VERSION,
        id: String::new(),
        network: network.name.to_owned(),
        labels,
        created: OffsetDateTime::now_utc(),
        preprocessing: Preprocessing::current(),
        frames: FrameCounts {
            train: train_set.frames,
            validation: measured.frames,
        },
        accuracy: measured.accuracy,
        epochs: options.epochs,
        seed: options.seed,
        dataset: dataset.root.display().to_string(),
        sha256: Default::default(),
    };
    let model = store.publish(draft, manifest)?;
    let summary = summary(&model, measured, train_set.skipped, start);
    Ok((model, summary))
}

/// The pretrained weights that were installed with the running program; `THUMB_GESTURE_PRETRAINED` names others.
pub fn installed_pretrained() -> PathBuf {
    const IN_PREFIX: &str = "share/thumb_gesture/weights/alexnet_imagenet.safetensors";
    if let Some(path) = std::env::var_os("THUMB_GESTURE_PRETRAINED") {
        return path.into();
    }
    // The programs lie in <prefix>/lib/thumb_gesture.
    let program = std::env::current_exe()
        .and_then(std::fs::canonicalize)
        .unwrap_or_default();
    let prefix = program.ancestors().nth(3).map(PathBuf::from).unwrap_or_default();
    prefix.join(IN_PREFIX)
}

fn labels_of(dataset: &Dataset) -> Result<Vec<Label>, TrainingError> {
    let labels: Vec<Label> = dataset.labels.iter().map(|frames| frames.label.clone()).collect();
    if labels.len() > MOST_LABELS {
        return Err(TrainingError::TooManyLabels {
            root: dataset.root.clone(),
            labels: labels.len(),
        });
    }
    if labels.len() >= 2 {
        return Ok(labels);
    }
    let found = match labels.first() {
        None => "no frames".to_owned(),
        Some(label) => format!("only frames of {label}"),
    };
    Err(TrainingError::TooFewLabels {
        root: dataset.root.clone(),
        found,
    })
}

/// The weights of the feature layers and nothing else of what the file may hold.
fn pretrained_weights(network: &Network, options: &TrainingOptions) -> Result<Weights, TrainingError> {
    let pretrained_error = |source| TrainingError::Pretrained {
        path: options.pretrained.clone(),
        source,
    };
    let file = Weights::read(&options.pretrained).map_err(pretrained_error)?;
    let mut weights = Weights::default();
    for parameter in parameters(network.features()) {
        let tensor = file.get(&parameter).map_err(pretrained_error)?.clone();
        weights.insert(parameter.name, tensor);
    }
    Ok(weights)
}

type LabelledFiles = Vec<(PathBuf, usize)>;

/// All labels' files to train on, and those to validate on, each with the index of its label.
fn parts(dataset: &Dataset, seed: u64) -> (LabelledFiles, LabelledFiles) {
    let mut parts = (Vec::new(), Vec::new());
    for (index, frames) in dataset.labels.iter().enumerate() {
        let Split { train, validation } = split(&frames.files, seed);
        parts.0.extend(train.into_iter().map(|file| (file, index)));
        parts.1.extend(validation.into_iter().map(|file| (file, index)));
    }
    parts
}

fn check_every_label(
    dataset: &Dataset,
    labels: &[Label],
    examples: &features::Examples,
) -> Result<(), TrainingError> {
    for (index, label) in labels.iter().enumerate() {
        if !examples.has_label(index) {
            let folder = dataset.root.join(label.as_str());
            let example = examples
                .skipped
                .iter()
                .find(|skipped| skipped.file.starts_with(&folder));
            return Err(TrainingError::NoReadableFrames {
                label: label.clone(),
                files: dataset.count(label),
                example: example.map_or_else(String::new, |skipped| skipped.reason.clone()),
            });
        }
    }
    Ok(())
}

fn metadata(id: &str, labels: &[Label]) -> [(&'static str, String); 2] {
    let labels: Vec<&str> = labels.iter().map(Label::as_str).collect();
    [("model_id", id.to_owned()), ("labels", labels.join(","))]
}

/// Measures the exported file on the held-out frames: the figure is that of what will run.
fn measure(
    onnx_file: &std::path::Path,
    labels: &[Label],
    files: &[(PathBuf, usize)],
    mut on_progress: impl FnMut(Progress),
) -> Result<Evaluation, TrainingError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let classifier = OnnxClassifier::load(onnx_file, labels.len(), threads)?;
    let mut classifier = FileClassifier::new(Box::new(classifier), labels.len());
    let total = files.len();
    on_progress(Progress::Export { done: 0, total });
    Ok(evaluate(&mut classifier, labels, files, |done| {
        on_progress(Progress::Export { done, total });
    })?)
}

fn summary(model: &StoredModel, measured: Evaluation, skipped: Vec<Skipped>, start: Instant) -> Summary {
    let manifest = &model.manifest;
    let skipped = skipped
        .into_iter()
        .chain(measured.skipped)
        .map(|skipped| SkippedFile {
            file: skipped.file.display().to_string(),
            reason: skipped.reason,
        });
    Summary {
        model_id: manifest.id.clone(),
        network: manifest.network.clone(),
        labels: manifest.labels.clone(),
        frames: manifest.frames,
        accuracy: measured.accuracy,
        confusion: measured.confusion,
        epochs: manifest.epochs,
        seed: manifest.seed,
        train_seconds: start.elapsed().as_secs_f64(),
        skipped: skipped.collect(),
    }
}
