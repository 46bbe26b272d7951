//! `~/compare_models`: two models on the same frames of the dataset.

use std::collections::BTreeSet;
use std::path::PathBuf;

use r2r::thumb_gesture::srv::CompareModels;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::dataset::NodeDataset;
use super::models::Models;
use crate::classifier::ClassifierError;
use crate::dataset::sample::evenly_spaced;
use crate::dataset::{Dataset, DatasetError, Label};
use crate::disk;
use crate::frame::read_file;
use crate::metrics::{ConfusionMatrix, wilson_interval};
use crate::model_store::StoreError;
use crate::probability::argmax;
use crate::recognizer::ClassifyFileError;
use crate::recognizer::model::{LoadError, Model};
use crate::recognizer::settings::RecognizerSettings;
use crate::text;
use crate::training::learned_frames;

/// Maximum number of frames, which keeps the call below a minute on a robot.
const MAX_FRAMES: usize = 400;
/// Maximum number of frames that are read to choose those.
const MAX_READ_FRAMES: usize = 4000;

/// Why models were not compared.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error("model_ids has {0} ids, must have two")]
    Count(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
    #[error("the dataset has no frames; capture some with ~/record or ~/capture")]
    NoFrames,
}

/// A frame that both models classify.
#[derive(Clone)]
struct ComparedFrame {
    file: PathBuf,
    truth: usize,
    /// Whether one of the models was trained on it.
    is_learned: bool,
}

/// Answers `~/compare_models`. Blocks until all frames are classified.
pub(crate) fn answer_compare(
    models: &Models,
    dataset: &NodeDataset,
    request: &CompareModels::Request,
) -> CompareModels::Response {
    match compare(models, dataset, &request.model_ids) {
        Ok(results) => CompareModels::Response {
            success: true,
            results: results.to_string(),
            ..CompareModels::Response::default()
        },
        Err(error) => CompareModels::Response {
            message: text::message(&error.to_string()),
            ..CompareModels::Response::default()
        },
    }
}

fn compare(models: &Models, dataset: &NodeDataset, ids: &[String]) -> Result<Value, CompareError> {
    let [first, second] = ids else {
        return Err(CompareError::Count(ids.len()));
    };
    let compared = [
        Model::open(models.store(), first)?,
        Model::open(models.store(), second)?,
    ];
    let dataset = dataset.read()?;
    let of_models = compared.iter().flat_map(Model::labels);
    let of_dataset = dataset.labels.iter().map(|frames| &frames.label);
    let labels: BTreeSet<&Label> = of_models.chain(of_dataset).collect();
    let labels: Vec<Label> = labels.into_iter().cloned().collect();
    let frames = choose(&dataset, &compared, &labels);
    if frames.is_empty() {
        return Err(CompareError::NoFrames);
    }
    let mut settings = models.recognizer_settings();
    // The frames of the cameras go on being classified.
    settings.network.threads = 1;
    let results: Result<Vec<Value>, CompareError> = compared
        .iter()
        .map(|model| measure(model, &settings, &frames, &labels))
        .collect();
    Ok(json!({
        "labels": labels,
        "frames": frames.len(),
        "unseen_frames": frames.iter().filter(|frame| !frame.is_learned).count(),
        "models": results?,
    }))
}

/// Frames of all labels, evenly from the whole dataset: first those on which neither model was trained.
fn choose(dataset: &Dataset, models: &[Model], labels: &[Label]) -> Vec<ComparedFrame> {
    let learned: Vec<_> = models
        .iter()
        .filter_map(Model::stored)
        .map(|stored| learned_frames(&stored.directory))
        .collect();
    let has_learned = learned.iter().any(|frames| !frames.is_empty());
    let is_learned = |file: &PathBuf| {
        // What cannot be read is skipped later.
        let hash = || read_file(file).map(|bytes| disk::hex(&Sha256::digest(&bytes)));
        has_learned && hash().is_ok_and(|hash| learned.iter().any(|frames| frames.contains_key(&hash)))
    };
    let all = dataset.labels.iter().flat_map(|frames| {
        let truth = Label::find(labels, frames.label.as_str()).unwrap_or_default();
        frames.files.iter().map(move |file| (file, truth))
    });
    let all: Vec<(&PathBuf, usize)> = all.collect();
    let (learned, unseen): (Vec<_>, Vec<_>) = evenly_spaced(&all, MAX_READ_FRAMES)
        .into_iter()
        .map(|&(file, truth)| ComparedFrame {
            is_learned: is_learned(file),
            file: file.clone(),
            truth,
        })
        .partition(|frame| frame.is_learned);
    let mut chosen = evenly_spaced(&unseen, MAX_FRAMES);
    chosen.extend(evenly_spaced(&learned, MAX_FRAMES - chosen.len()));
    chosen.into_iter().cloned().collect()
}

fn measure(
    model: &Model,
    settings: &RecognizerSettings,
    frames: &[ComparedFrame],
    labels: &[Label],
) -> Result<Value, CompareError> {
    let mut recognizer = model.load_at_once(settings)?.recognizer;
    let mut all = ConfusionMatrix::new(labels.len());
    let mut unseen = ConfusionMatrix::new(labels.len());
    for frame in frames {
        let prediction = match recognizer.classify_file(&frame.file) {
            Ok(prediction) => argmax(prediction.probabilities),
            // Both models skip it.
            Err(ClassifyFileError::Frame(_)) => continue,
            Err(ClassifyFileError::Classifier(error)) => return Err(error.into()),
        };
        let label = &model.labels()[prediction];
        let predicted = Label::find(labels, label.as_str()).unwrap_or_default();
        all.count(frame.truth, predicted);
        if !frame.is_learned {
            unseen.count(frame.truth, predicted);
        }
    }
    let interval = |matrix: &ConfusionMatrix| wilson_interval(matrix.correct(), matrix.frames());
    Ok(json!({
        "model_id": model.id(),
        "accuracy": all.accuracy(),
        "interval": interval(&all),
        "confusion": all,
        "unseen_accuracy": unseen.accuracy(),
        "unseen_interval": interval(&unseen),
    }))
}
