//! Last stage: writes manifest, report and list of frames, and publishes the model in the store.

use std::io::{self, Write};

use tch::Device;
use time::OffsetDateTime;

use super::advice::advice;
use super::evaluate::Evaluated;
use super::export::ExportedDraft;
use super::fit::TrainedModel;
use super::hand::TaughtHand;
use super::landmarks::{TaughtLandmarks, prediction};
use super::new_scenes::MeasuredScenes;
use super::prepare::PreparedDataset;
use super::pretrained::PretrainedNetwork;
use super::select::Candidate;
use super::stopwatch::Stopwatch;
use crate::disk;
use crate::familiarity::HeldOutFamiliarity;
use crate::model_store::manifest::{FrameCounts, HandNetwork, LandmarkFrames, SceneMetrics};
use crate::model_store::{
    Draft, FAMILIARITY_FILE, LANDMARKS_FILE, MANIFEST_VERSION, Manifest, ModelStore, StoredModel,
};
use crate::preprocess::Preprocessing;
use crate::training::error::TrainingError;
use crate::training::learned_frames::{FRAMES_FILE, LearnedFrames};
use crate::training::progress::Summary;
use crate::training::report::{self, DatasetReport, GateReport, HTML_FILE, JSON_FILE, Report, Setting};

/// The results of the previous stages.
pub(super) struct Results<'a> {
    pub(super) pretrained: &'a PretrainedNetwork,
    pub(super) prepared: &'a PreparedDataset,
    pub(super) selected: &'a Candidate<'a>,
    pub(super) evaluated: Evaluated,
    pub(super) scenes: MeasuredScenes,
    pub(super) trained: TrainedModel,
    /// The error says why there are none.
    pub(super) landmarks: Result<TaughtLandmarks, String>,
    /// The network for crops of hands; the error says why there is none.
    pub(super) hand: Result<TaughtHand, String>,
    pub(super) exported: ExportedDraft,
    pub(super) gate: Option<GateReport>,
    pub(super) warnings: Vec<String>,
}

/// Completes the draft and publishes it.
///
/// # Errors
/// A file cannot be written; then the model does not appear in the store.
pub(super) fn publish(
    store: &ModelStore,
    results: Results,
    stopwatch: &Stopwatch,
) -> Result<(StoredModel, Summary), TrainingError> {
    let learned_frames = learned_frames(&results);
    let landmarks = results.landmarks.as_ref().ok();
    let landmarks = landmarks.map(|taught| taught.classifier.to_weights());
    let dataset = results.prepared.report();
    let manifest = manifest(store, &results, &dataset);
    let (prepared, selected) = (results.prepared, results.selected);
    let draft = &results.exported.draft;
    if let Some(weights) = landmarks {
        weights.write(&draft.path(LANDMARKS_FILE))?;
    }
    results.trained.familiarity.write(&draft.path(FAMILIARITY_FILE))?;
    let (draft, report) = training_report(results, &manifest, dataset, stopwatch);
    write_file(&draft, FRAMES_FILE, &|writer| {
        Ok(serde_json::to_writer(writer, &learned_frames)?)
    })?;
    write_file(&draft, JSON_FILE, &|writer| {
        Ok(serde_json::to_writer_pretty(writer, &report)?)
    })?;
    write_file(&draft, HTML_FILE, &|mut writer| {
        report::write_html(&report, &mut writer)
    })?;
    let model = store.publish(draft, manifest)?;
    let summary = summary(&model, prepared, selected, report, stopwatch);
    Ok((model, summary))
}

fn training_report(
    results: Results,
    manifest: &Manifest,
    dataset: DatasetReport,
    stopwatch: &Stopwatch,
) -> (Draft, Report) {
    let Results {
        pretrained,
        prepared,
        selected,
        evaluated,
        scenes,
        exported: ExportedDraft {
            draft,
            report: export,
            ..
        },
        landmarks,
        trained,
        hand,
        gate,
        warnings,
        ..
    } = results;
    let validation = &selected.validation;
    let report = Report {
        model_id: draft.id.clone(),
        created: manifest.created,
        network: manifest.network.clone(),
        strategy: manifest.strategy.clone(),
        strategy_reason: selected.reason.clone(),
        settings: settings(
            pretrained,
            prepared,
            selected,
            &landmarks,
            &hand,
            trained.held_out_familiarity,
        ),
        dataset,
        warnings,
        curves: validation.curves.clone(),
        metrics: evaluated.metrics,
        advice: advice(&scenes.reports, &prepared.labels, scenes.accuracy.as_ref()),
        scenes: scenes.reports,
        new_scene: scenes.accuracy,
        recognizers: evaluated.recognizers,
        folds: if evaluated.folds.len() > 1 {
            evaluated.folds
        } else {
            Vec::new()
        },
        mistakes: evaluated.mistakes,
        export,
        gate,
        timings: stopwatch.laps().to_vec(),
    };
    (draft, report)
}

fn learned_frames(results: &Results) -> LearnedFrames {
    let (prepared, trained) = (results.prepared, &results.trained);
    let by_hand = |frame: usize| results.landmarks.as_ref().ok()?.learned[frame].as_deref();
    let prediction = |frame: usize| {
        let label = prediction(by_hand(frame), &trained.logits[frame]);
        prepared.labels[label].clone()
    };
    let frames = prepared.all_frames().into_iter();
    frames
        .map(|frame| (prepared.sha256(frame), prediction(frame)))
        .collect()
}

fn manifest(store: &ModelStore, results: &Results, dataset: &DatasetReport) -> Manifest {
    let (prepared, selected) = (results.prepared, results.selected);
    let metrics = &results.evaluated.metrics;
    Manifest {
        version: MANIFEST_VERSION,
        // The store sets the id, the sequence and the hashes.
        id: String::new(),
        sequence: 0,
        sha256: Default::default(),
        network: results.pretrained.network.name().to_owned(),
        labels: prepared.labels.clone(),
        created: OffsetDateTime::now_utc(),
        preprocessing: Preprocessing::IMAGENET,
        temperature: metrics.temperature,
        strategy: selected.trainer.recipe.strategy.to_string(),
        frames: FrameCounts {
            train: prepared.len(),
            validation: metrics.frames,
        },
        metrics: (metrics.frames > 0).then(|| metrics.clone()),
        scenes: Some(SceneMetrics {
            scenes: results.scenes.reports.len(),
            new_scene: results.scenes.accuracy,
        }),
        int8: results.exported.report.int8,
        landmarks: results.landmarks.as_ref().ok().map(|landmarks| LandmarkFrames {
            frames: landmarks.frames,
        }),
        thumbless: (metrics.frames > 0).then(|| results.evaluated.thumbless.clone()),
        hand: results.hand.as_ref().ok().map(|taught| HandNetwork {
            frames: taught.frames,
            temperature: taught.temperature,
            int8: results.exported.hand.and_then(|export| export.int8),
        }),
        epochs: selected.validation.epochs,
        seed: selected.trainer.seed,
        dataset: dataset.root.clone(),
        dataset_digest: dataset.digest.clone(),
        parent: store.active_id().ok().flatten(),
    }
}

/// The hyperparameters as the report shows them.
fn settings(
    pretrained: &PretrainedNetwork,
    prepared: &PreparedDataset,
    selected: &Candidate,
    landmarks: &Result<TaughtLandmarks, String>,
    hand: &Result<TaughtHand, String>,
    familiarity: HeldOutFamiliarity,
) -> Vec<Setting> {
    let recipe = &selected.trainer.recipe;
    let patience = recipe
        .patience
        .map_or_else(|| "none".to_owned(), |patience| patience.to_string());
    let class_weights = if recipe.has_class_weights {
        "all labels weigh the same"
    } else {
        "all frames weigh the same"
    };
    let device = if pretrained.device == Device::Cpu {
        "cpu"
    } else {
        "cuda"
    };
    let taught = |frames: Result<usize, &String>| match frames {
        Ok(frames) => format!("taught by {frames} of {} frames", prepared.len()),
        Err(reason) => format!("not taught: {reason}"),
    };
    let landmarks = taught(landmarks.as_ref().map(|taught| taught.frames));
    let hand = taught(hand.as_ref().map(|taught| taught.frames));
    let HeldOutFamiliarity { frames, unfamiliar } = familiarity;
    let familiarity =
        format!("{frames} frames remembered, {unfamiliar} of them unfamiliar without their own burst");
    let settings = [
        ("device", device.to_owned()),
        ("optimizer", recipe.optimizer.to_string()),
        ("learning rate", recipe.learning_rate.to_string()),
        ("schedule", recipe.schedule.to_string()),
        ("weight decay", recipe.weight_decay.to_string()),
        ("batch size", recipe.batch_size.to_string()),
        ("maximum epochs", recipe.epochs.to_string()),
        (
            "epochs of the final training",
            selected.validation.epochs.to_string(),
        ),
        ("patience", patience),
        ("augmentation", recipe.augmentation.to_string()),
        ("augmented copies per frame", recipe.copies.to_string()),
        ("class weights", class_weights.to_owned()),
        ("folds", prepared.split.folds.len().to_string()),
        ("seed", selected.trainer.seed.to_string()),
        ("landmarks", landmarks),
        ("crops of hands", hand),
        ("familiarity", familiarity),
        ("pretrained weights", pretrained.path.display().to_string()),
    ];
    let setting = |(name, value): (&str, String)| Setting {
        name: name.to_owned(),
        value,
    };
    settings.into_iter().map(setting).collect()
}

fn write_file(
    draft: &Draft,
    name: &str,
    write: &dyn Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<(), TrainingError> {
    let path = draft.path(name);
    disk::write_atomic(&path, |writer| write(writer)).map_err(|cause| TrainingError::Io { path, cause })
}

fn summary(
    model: &StoredModel,
    prepared: &PreparedDataset,
    selected: &Candidate,
    report: Report,
    stopwatch: &Stopwatch,
) -> Summary {
    let manifest = &model.manifest;
    Summary {
        model_id: manifest.id.clone(),
        network: manifest.network.clone(),
        strategy: selected.trainer.recipe.strategy,
        strategy_reason: report.strategy_reason,
        labels: manifest.labels.clone(),
        frames: manifest.frames,
        metrics: (&report.metrics).into(),
        scenes: report.scenes.len(),
        new_scene: report.new_scene,
        advice: report.advice,
        recognizers: report.recognizers,
        folds: report.folds,
        split: report.dataset.split,
        epochs: manifest.epochs,
        seed: manifest.seed,
        computed_frames: prepared.computed_frames,
        train_seconds: stopwatch.total_seconds(),
        timings: report.timings,
        gate: report.gate,
        report: model.path(HTML_FILE),
        skipped: report.dataset.skipped,
        warnings: report.warnings,
    }
}
