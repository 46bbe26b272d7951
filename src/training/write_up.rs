//! The end of a training: all frames are trained on, the network is exported and checked, and the model is published with its report.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::export::{CALIBRATION_FRAMES, Checked, Exported};
use super::features::LabelledFile;
use super::gate::{self, Comparison, FRAMES_FILE, HeldOut, LearntFrames};
use super::options::Gate;
use super::report::{
    self, DatasetReport, ExportReport, GateReport, HTML_FILE, JSON_FILE, LabelCount, Mistake, Report, Setting,
};
use super::{Candidate, Progress, Summary, Training, TrainingError};
use crate::dataset::Label;
use crate::dataset::sample::evenly_spaced;
use crate::disk::{self, Existing};
use crate::metrics::Metrics;
use crate::metrics::calibration::{fit_temperature, probabilities};
use crate::model_store::manifest::{FrameCounts, Int8Agreement, Preprocessing};
use crate::model_store::{Draft, MANIFEST_VERSION, Manifest, StoredModel};
use crate::probability::argmax;

/// Trains on all frames what was measured, and puts the model into the store.
pub(super) fn write(
    training: &mut Training,
    chosen: &Candidate,
    on_progress: &mut impl FnMut(Progress),
) -> Result<(StoredModel, Summary), TrainingError> {
    let metrics = metrics(training, chosen)?;
    let epochs = chosen.measured.epochs;
    let fit = training.fit(chosen)?;
    let all: Vec<usize> = (0..training.features.len()).collect();
    let fitted = fit.run(&all, &[], epochs, |point| {
        let epoch = point.epoch;
        on_progress(Progress::Refit { epoch, epochs });
    })?;
    let held_out: Vec<usize> = chosen.measured.logits.iter().map(|(frame, _)| *frame).collect();
    let calibrated = calibration_frames(training);
    let classified: &[usize] = if held_out.is_empty() { &all } else { &held_out };
    let unseen = classified
        .iter()
        .copied()
        .filter(|frame| !calibrated.contains(frame));
    let unseen: Vec<usize> = unseen.collect();
    let checked = if unseen.is_empty() { classified } else { &unseen };
    // What the model makes of every frame, by the frame's number.
    let learnt = fit.logits(&fitted.module, &all)?;
    drop(fit);
    training.stopwatch.lap("training");

    let frames: Vec<Checked> = checked
        .iter()
        .map(|&frame| Checked {
            file: &training.features.files[frame],
            logits: &learnt[frame],
        })
        .collect();
    let trained = fitted.module.weights()?;
    let weights = chosen.plan.weights(&training.pretrained.weights, &trained)?;
    let draft = training
        .store
        .draft(training.network.name(), OffsetDateTime::now_utc())?;
    let exported = Exported {
        draft: &draft,
        network: &chosen.plan.network,
        weights: &weights,
        labels: &training.labels,
        temperature: metrics.temperature,
    };
    let calibrated: Vec<&LabelledFile> = calibrated
        .into_iter()
        .map(|frame| &training.features.files[frame])
        .collect();
    let export = exported.write(&calibrated, &frames, on_progress)?;
    training.stopwatch.lap("export");

    let comparison = compare(training, chosen, &learnt);
    training.stopwatch.lap("comparison");
    let gate = comparison.map(|comparison| gate_report(training, comparison));
    write_frames(training, &learnt, &draft)?;
    let manifest = manifest(training, chosen, &metrics, export.int8);
    let report = report(training, chosen, &draft.id, &manifest, metrics, export, gate);
    write_report(&draft, &report)?;
    let model = training.store.publish(draft, manifest)?;
    let summary = summary(training, chosen, &model, report);
    Ok((model, summary))
}

/// What the trainings without them made of the held-out frames, with the temperature that suits it.
fn metrics(training: &Training, chosen: &Candidate) -> Result<Metrics, TrainingError> {
    let measured = &chosen.measured.logits;
    let (frames, logits): (Vec<usize>, Vec<Vec<f32>>) = measured.iter().cloned().unzip();
    let truths: Vec<usize> = frames.iter().map(|&frame| training.indices[frame]).collect();
    let temperature = fit_temperature(&logits, &truths);
    Ok(Metrics::new(&training.labels, &logits, &truths, temperature)?)
}

/// Frames to calibrate int8 on: some of those that the first fold trains on.
fn calibration_frames(training: &Training) -> Vec<usize> {
    let all: Vec<usize> = (0..training.features.len()).collect();
    let fold = training.split.folds.first();
    let frames = fold.map_or(&all, |fold| &fold.train);
    evenly_spaced(frames, CALIBRATION_FRAMES)
        .into_iter()
        .copied()
        .collect()
}

/// How the new model compares with the active one; `learnt` are its own logits of every frame.
fn compare(training: &Training, chosen: &Candidate, learnt: &[Vec<f32>]) -> Option<Comparison> {
    if training.options.gate == Gate::Closed {
        return None;
    }
    let held_out: Vec<HeldOut> = chosen
        .measured
        .logits
        .iter()
        .map(|(frame, unseen)| HeldOut {
            file: &training.features.files[*frame],
            sha256: sha256_of(training, *frame),
            unseen_prediction: argmax(unseen),
            learnt_prediction: argmax(&learnt[*frame]),
        })
        .collect();
    Some(gate::compare(training.store, &held_out))
}

fn gate_report(training: &Training, comparison: Comparison) -> GateReport {
    let is_forced = training.options.gate == Gate::Forced && !comparison.passes;
    let mut reason = comparison.reason;
    if is_forced {
        reason = format!("forced, though {reason}");
    }
    let forgotten = gate::forgotten(training.store, &training.labels);
    if !forgotten.is_empty() {
        let names: Vec<&str> = forgotten.iter().map(Label::as_str).collect();
        reason += &format!("; no longer knows {}", names.join(", "));
    }
    GateReport {
        activated: comparison.passes || is_forced,
        reason,
        active_model: comparison.active_model,
        frames: comparison.frames,
        new_correct: comparison.new_correct,
        active_correct: comparison.active_correct,
    }
}

fn sha256_of(training: &Training, frame: usize) -> String {
    disk::hex(&training.features.frames[frame].fingerprint.sha256)
}

/// Notes which frames the model has learnt from, and what it makes of them.
fn write_frames(training: &Training, learnt: &[Vec<f32>], draft: &Draft) -> Result<(), TrainingError> {
    let prediction = |frame: usize| training.labels[argmax(&learnt[frame])].clone();
    let frames: LearntFrames = (0..training.features.len())
        .map(|frame| (sha256_of(training, frame), prediction(frame)))
        .collect();
    let path = draft.path(FRAMES_FILE);
    gate::write_frames(&path, &frames).map_err(|cause| TrainingError::Io { path, cause })
}

fn write_report(draft: &Draft, report: &Report) -> Result<(), TrainingError> {
    let write = |name: &str, write: &dyn Fn(&mut dyn std::io::Write) -> std::io::Result<()>| {
        let path = draft.path(name);
        let written = disk::write_atomic(&path, Existing::Replace, |writer| write(writer));
        written.map_err(|cause| TrainingError::Io { path, cause })
    };
    write(JSON_FILE, &|writer| {
        Ok(serde_json::to_writer_pretty(writer, report)?)
    })?;
    write(HTML_FILE, &|mut writer| report::write_html(report, &mut writer))
}

fn manifest(
    training: &Training,
    chosen: &Candidate,
    metrics: &Metrics,
    int8: Option<Int8Agreement>,
) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        id: String::new(),
        network: training.network.name().to_owned(),
        labels: training.labels.clone(),
        created: OffsetDateTime::now_utc(),
        preprocessing: Preprocessing::current(),
        temperature: metrics.temperature,
        strategy: chosen.recipe.strategy.to_string(),
        frames: FrameCounts {
            train: training.features.len(),
            validation: metrics.frames,
        },
        metrics: (metrics.frames > 0).then(|| metrics.clone()),
        int8,
        epochs: chosen.measured.epochs,
        seed: training.options.seed,
        dataset: training.dataset.root.display().to_string(),
        dataset_digest: digest(training),
        parent: training.store.active_id().ok().flatten(),
        sha256: Default::default(),
    }
}

/// The same for the same frames under the same labels, whatever the files are called.
fn digest(training: &Training) -> String {
    let frames: BTreeSet<String> = (0..training.features.len())
        .map(|frame| {
            format!(
                "{} {}\n",
                training.features.files[frame].label,
                sha256_of(training, frame)
            )
        })
        .collect();
    let mut hasher = Sha256::new();
    frames.iter().for_each(|frame| hasher.update(frame));
    disk::hex(&hasher.finalize())
}

fn report(
    training: &Training,
    chosen: &Candidate,
    id: &str,
    manifest: &Manifest,
    metrics: Metrics,
    export: ExportReport,
    gate: Option<GateReport>,
) -> Report {
    let measured = &chosen.measured;
    Report {
        model_id: id.to_owned(),
        created: manifest.created,
        network: manifest.network.clone(),
        strategy: manifest.strategy.clone(),
        strategy_reason: chosen.reason.clone(),
        settings: settings(training, chosen),
        dataset: DatasetReport {
            root: manifest.dataset.clone(),
            digest: manifest.dataset_digest.clone(),
            labels: label_counts(training),
            skipped: training.features.skipped.clone(),
            split: split_in_words(training),
        },
        curves: measured.curves.clone(),
        mistakes: mistakes(training, chosen, metrics.temperature),
        metrics,
        folds: if measured.folds.len() > 1 {
            measured.folds.clone()
        } else {
            Vec::new()
        },
        export,
        gate,
        timings: training.stopwatch.laps.clone(),
    }
}

fn settings(training: &Training, chosen: &Candidate) -> Vec<Setting> {
    let recipe = &chosen.recipe;
    let patience = recipe
        .patience
        .map_or_else(|| "none".to_owned(), |patience| patience.to_string());
    let labels_weigh = if recipe.has_class_weights {
        "every label the same"
    } else {
        "every frame the same"
    };
    let settings = [
        ("optimizer", recipe.optimizer.to_string()),
        ("learning rate", recipe.learning_rate.to_string()),
        ("schedule", recipe.schedule.to_string()),
        ("weight decay", recipe.weight_decay.to_string()),
        ("batch size", recipe.batch_size.to_string()),
        ("epochs, at most", recipe.epochs.to_string()),
        ("epochs of the final training", chosen.measured.epochs.to_string()),
        ("patience", patience),
        ("augmentation", recipe.augmentation.to_string()),
        ("copies of each frame", recipe.copies.to_string()),
        ("in the loss counts", labels_weigh.to_owned()),
        ("folds", training.split.folds.len().to_string()),
        ("seed", training.options.seed.to_string()),
        (
            "pretrained weights",
            training.pretrained.path.display().to_string(),
        ),
    ];
    let setting = |(name, value): (&str, String)| Setting {
        name: name.to_owned(),
        value,
    };
    settings.into_iter().map(setting).collect()
}

fn label_counts(training: &Training) -> Vec<LabelCount> {
    let in_any = |part: fn(&crate::dataset::split::Fold) -> &Vec<usize>, label: usize| {
        let frames = training.split.folds.iter().flat_map(part);
        let of_label = frames.filter(|&&frame| training.indices[frame] == label);
        of_label.collect::<BTreeSet<_>>().len()
    };
    let count = |(index, label): (usize, &Label)| LabelCount {
        label: label.clone(),
        frames: training
            .indices
            .iter()
            .filter(|&&of_frame| of_frame == index)
            .count(),
        train: in_any(|fold| &fold.train, index),
        validation: in_any(|fold| &fold.validation, index),
        left_out: in_any(|fold| &fold.left_out, index),
        groups: training
            .groups
            .iter()
            .find(|groups| groups.label == *label)
            .map_or(0, |groups| groups.groups.len()),
    };
    training.labels.iter().enumerate().map(count).collect()
}

fn split_in_words(training: &Training) -> String {
    let notes: Vec<String> = training.split.summaries.iter().map(ToString::to_string).collect();
    notes.join("; ")
}

fn mistakes(training: &Training, chosen: &Candidate, temperature: f64) -> Vec<Mistake> {
    let mistakes = chosen.measured.logits.iter().filter_map(|(frame, logits)| {
        let (truth, prediction) = (training.indices[*frame], argmax(logits));
        (truth != prediction).then(|| Mistake {
            file: absolute(&training.features.files[*frame].path),
            truth: training.labels[truth].clone(),
            prediction: training.labels[prediction].clone(),
            probability: probabilities(logits, temperature)[prediction],
        })
    });
    mistakes.collect()
}

fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

fn summary(training: &Training, chosen: &Candidate, model: &StoredModel, report: Report) -> Summary {
    let manifest = &model.manifest;
    Summary {
        model_id: manifest.id.clone(),
        network: manifest.network.clone(),
        strategy: chosen.recipe.strategy,
        strategy_reason: report.strategy_reason,
        labels: manifest.labels.clone(),
        frames: manifest.frames,
        metrics: (&report.metrics).into(),
        folds: report.folds,
        split: report.dataset.split,
        epochs: manifest.epochs,
        seed: manifest.seed,
        computed_frames: training.features.computed,
        train_seconds: training.stopwatch.total_seconds(),
        timings: report.timings,
        gate: report.gate,
        report: model.path(HTML_FILE),
        skipped: report.dataset.skipped,
    }
}
