//! From labelled frames to a model in the store.
//!
//! The pretrained layers stay as they are: [`features`] runs each frame and its augmented copies through them once, [`fit`] trains
//! a classifier on what comes out, twice: without the held-out frames, which say how good that is, and then with all of them,
//! for the model. The exported file must give what the trained network gives, or there is no model.

mod features;
mod fit;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::Device;
use time::OffsetDateTime;

use features::{Copies, Examples, Extractor};

use crate::all_cores;
use crate::classifier::ClassifierError;
use crate::classifier::onnx::OnnxClassifier;
use crate::dataset::split::{Split, split};
use crate::dataset::{Dataset, Label};
use crate::evaluation::{Confusion, FileClassifier, PredictError, Skipped};
use crate::model_store::manifest::{FrameCounts, Preprocessing};
use crate::model_store::{
    MANIFEST_VERSION, Manifest, ModelStore, ONNX_FILE, StoreError, StoredModel, WEIGHTS_FILE,
};
use crate::network::torch::{TorchError, TorchModule};
use crate::network::{Network, UnknownNetwork, alexnet, onnx, parameters};
use crate::weights::{Weights, WeightsError};

/// As many as ImageNet has.
const MOST_LABELS: usize = 1000;

/// The environment variable in which a node tells its training which process it is.
pub const PARENT_VARIABLE: &str = "THUMB_GESTURE_PARENT";

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
    /// A round of the second training, with all frames, has ended.
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
    /// Share of the held-out frames that a classifier trained without them got right, 0 to 1; none where there are none.
    pub accuracy: Option<f64>,
    /// What of the held-out frames was taken for what.
    pub confusion: Confusion,
    /// Rounds over all frames.
    pub epochs: u32,
    /// The seed.
    pub seed: u64,
    /// From the first file read to the model in the store.
    pub train_seconds: f64,
    /// Files that were left out, each with the reason.
    pub skipped: Vec<Skipped>,
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
    #[error("pretrained weights {path}: {cause}; scripts/setup.sh makes them, --pretrained names others")]
    Pretrained {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        cause: WeightsError,
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
    /// A file that was a picture a moment ago is none now, or the exported model fails on it.
    #[error("the exported model does not run on a frame: {0}")]
    ExportFrame(#[from] PredictError),
    /// The exported model is not the trained one.
    #[error(
        "the exported model's logits differ from the trained network's by {difference}; please report this"
    )]
    ExportDisagrees {
        /// The greatest difference of a logit.
        difference: f32,
    },
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
    let copies = Copies::for_frames(total, options.seed);
    let train_set = extractor.examples(&train_files, copies, |done| {
        on_progress(Progress::Features { done, total });
    })?;
    let held_out = extractor.examples(&validation_files, copies, |done| {
        let done = train_files.len() + done;
        on_progress(Progress::Features { done, total });
    })?;
    drop(extractor);
    check_every_label(dataset, &labels, &train_set)?;

    tch::manual_seed(options.seed as i64);
    let trial = fit::fit(
        &network,
        &train_set,
        Some(&held_out),
        options.epochs,
        &mut on_progress,
    )?;
    let confusion = measure(&trial, &held_out, labels.len())?;
    let frames = FrameCounts {
        train: train_set.frames(),
        validation: held_out.frames(),
    };
    let all = train_set.and(held_out)?;
    let classifier = fit::fit(&network, &all, None, options.epochs, |progress| {
        if let Progress::Epoch { epoch, epochs, .. } = progress {
            on_progress(Progress::Refit { epoch, epochs });
        }
    })?;
    let mut weights = pretrained;
    weights.extend(fit::lay_in(&network, &classifier.weights()?)?);

    let draft = store.draft(network.name, OffsetDateTime::now_utc())?;
    let weights_file = draft.path(WEIGHTS_FILE);
    weights.write(&weights_file)?;
    drop(weights);
    let onnx_file = draft.path(ONNX_FILE);
    onnx::write(&onnx_file, &network, &weights_file, &metadata(&draft.id, &labels))?;
    check_export(&onnx_file, &classifier, &all, labels.len(), &mut on_progress)?;

    let manifest = Manifest {
        version: MANIFEST_VERSION,
        id: String::new(),
        network: network.name.to_owned(),
        labels,
        created: OffsetDateTime::now_utc(),
        preprocessing: Preprocessing::current(),
        frames,
        accuracy: confusion.accuracy(),
        epochs: options.epochs,
        seed: options.seed,
        dataset: dataset.root.display().to_string(),
        sha256: Default::default(),
    };
    let model = store.publish(draft, manifest)?;
    let summary = summary(&model, confusion, all.skipped, start);
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
    let pretrained_error = |cause| TrainingError::Pretrained {
        path: options.pretrained.clone(),
        cause,
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

fn check_every_label(dataset: &Dataset, labels: &[Label], examples: &Examples) -> Result<(), TrainingError> {
    for (index, label) in labels.iter().enumerate() {
        if !examples.has_label(index) {
            let folder = dataset.root.join(label.as_str());
            let example = examples
                .skipped
                .iter()
                .find(|skipped| Path::new(&skipped.file).starts_with(&folder));
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

/// What a classifier makes of frames that it was not trained on.
fn measure(classifier: &TorchModule, held_out: &Examples, labels: usize) -> Result<Confusion, TorchError> {
    let mut confusion = Confusion::new(labels);
    let logits = fit::logits_of_frames(classifier, held_out)?;
    for (logits, truth) in logits.iter().zip(held_out.labels_of_frames()) {
        confusion.count(truth, logits);
    }
    Ok(confusion)
}

/// Runs the exported file on some frames, spread over all of them: its logits must be those of the trained network.
fn check_export(
    onnx_file: &Path,
    classifier: &TorchModule,
    examples: &Examples,
    labels: usize,
    mut on_progress: impl FnMut(Progress),
) -> Result<(), TrainingError> {
    const CHECKED_FRAMES: usize = 16;
    /// The two runtimes add up thousands of products in different orders.
    const TOLERANCE: f32 = 1e-2;
    let mut exported = FileClassifier::new(
        Box::new(OnnxClassifier::load(onnx_file, labels, all_cores())?),
        labels,
    );
    let expected = fit::logits_of_frames(classifier, examples)?;
    let step = examples.frames().div_ceil(CHECKED_FRAMES);
    let checked: Vec<_> = examples.files.iter().zip(&expected).step_by(step).collect();
    let total = checked.len();
    for (done, (file, expected)) in checked.into_iter().enumerate() {
        on_progress(Progress::Export { done, total });
        let found = exported.logits(file)?;
        let difference = found
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        // `max` passes over what is not a number.
        let is_finite = found.iter().all(|logit| logit.is_finite());
        if difference > TOLERANCE || !is_finite {
            return Err(TrainingError::ExportDisagrees { difference });
        }
    }
    on_progress(Progress::Export { done: total, total });
    Ok(())
}

fn summary(model: &StoredModel, confusion: Confusion, skipped: Vec<Skipped>, start: Instant) -> Summary {
    let manifest = &model.manifest;
    Summary {
        model_id: manifest.id.clone(),
        network: manifest.network.clone(),
        labels: manifest.labels.clone(),
        frames: manifest.frames,
        accuracy: confusion.accuracy(),
        confusion,
        epochs: manifest.epochs,
        seed: manifest.seed,
        train_seconds: start.elapsed().as_secs_f64(),
        skipped,
    }
}
