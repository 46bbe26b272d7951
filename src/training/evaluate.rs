//! Third stage: the metrics of the selected strategy on the held-out frames.

use std::path::Path;

use super::cross_validation::HeldOutFrame;
use super::error::TrainingError;
use super::landmarks::TaughtLandmarks;
use super::prepare::PreparedDataset;
use super::report::{FoldResult, Mistake};
use super::select::Candidate;
use crate::metrics::Metrics;
use crate::metrics::calibration::{fit_temperature, probabilities};
use crate::probability::argmax;

/// The results on the held-out frames, each classified by a training without it.
pub(super) struct Evaluated {
    /// Including the temperature, which is fitted on the same frames.
    pub(super) metrics: Metrics,
    pub(super) mistakes: Vec<Mistake>,
    /// In the order of the folds.
    pub(super) folds: Vec<FoldResult>,
}

/// Computes the metrics of what the recognizer `auto` decides: by landmarks where a certain hand is seen, otherwise by the logits of the
/// cross-validation, to which the temperature is fitted.
///
/// # Errors
/// A logit is not finite.
pub(super) fn evaluate(
    prepared: &PreparedDataset,
    selected: &Candidate,
    landmarks: Option<&TaughtLandmarks>,
) -> Result<Evaluated, TrainingError> {
    let held_out = &selected.validation.held_out;
    let (truths, logits): (Vec<usize>, Vec<Vec<f32>>) = held_out
        .iter()
        .map(|held_out| (prepared.label_indices[held_out.frame], held_out.logits.clone()))
        .unzip();
    let temperature = fit_temperature(&logits, &truths);
    let deciding = |(held_out, logits): (&HeldOutFrame, Vec<f32>)| {
        let by_hand = landmarks.and_then(|taught| taught.held_out_logits(held_out.frame, temperature));
        by_hand.unwrap_or(logits)
    };
    let logits: Vec<Vec<f32>> = held_out.iter().zip(logits).map(deciding).collect();
    let mistakes = held_out.iter().zip(&logits).filter_map(|(held_out, logits)| {
        let prediction = argmax(logits);
        (prepared.label_indices[held_out.frame] != prediction).then(|| Mistake {
            file: absolute(&prepared.files[held_out.frame].path),
            truth: prepared.label_of(held_out.frame).clone(),
            prediction: prepared.labels[prediction].clone(),
            probability: probabilities(logits, temperature)[prediction],
        })
    });
    Ok(Evaluated {
        mistakes: mistakes.collect(),
        folds: folds(prepared, selected, &logits),
        metrics: Metrics::new(&prepared.labels, &logits, &truths, temperature)?,
    })
}

/// The results of the folds by the logits of their held-out frames, which are in the order of the folds.
fn folds(prepared: &PreparedDataset, selected: &Candidate, logits: &[Vec<f32>]) -> Vec<FoldResult> {
    let held_out = selected.validation.held_out.iter().zip(logits);
    let mut correct =
        held_out.map(|(held_out, logits)| argmax(logits) == prepared.label_indices[held_out.frame]);
    let folds = selected.validation.folds.iter().map(|fold| {
        let correct = correct
            .by_ref()
            .take(fold.frames)
            .filter(|correct| *correct)
            .count();
        FoldResult::new(fold.fold, fold.frames, correct)
    });
    folds.collect()
}

fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}
