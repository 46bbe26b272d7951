//! Third stage: the metrics of the selected strategy on the held-out frames.

use super::cross_validation::HeldOutFrame;
use super::hand::TaughtHand;
use super::landmarks::TaughtLandmarks;
use super::prepare::{PreparedDataset, absolute};
use super::select::Candidate;
use crate::dataset::Label;
use crate::false_thumbs::ThumblessFrames;
use crate::metrics::calibration::probabilities;
use crate::metrics::temperature::{MAX_USUAL_TEMPERATURE, supported_temperature};
use crate::metrics::{Metrics, wilson_interval};
use crate::model_store::manifest::Thumbless;
use crate::probability::{argmax, softmax};
use crate::recognizer::settings::Method;
use crate::training::error::TrainingError;
use crate::training::progress::Progress;
use crate::training::report::{FoldResult, Mistake, RecognizerAccuracy};

/// The results on the held-out frames, each classified by a training without it.
pub(super) struct Evaluated {
    /// Including the temperature, which is fitted on the same frames.
    pub(super) metrics: Metrics,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) thumbless: Thumbless,
    /// What each recognizer of the model decides on the same frames.
    pub(super) recognizers: Vec<RecognizerAccuracy>,
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
    hand: Option<&TaughtHand>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Evaluated, TrainingError> {
    let held_out = &selected.validation.held_out;
    let (truths, logits): (Vec<usize>, Vec<Vec<f32>>) = held_out
        .iter()
        .map(|held_out| (prepared.label_indices[held_out.frame], held_out.logits.clone()))
        .unzip();
    let part_of = prepared.parts();
    let parts: Vec<usize> = held_out.iter().map(|held_out| part_of[held_out.frame]).collect();
    let temperature = supported_temperature(&logits, &truths, &parts);
    if temperature > MAX_USUAL_TEMPERATURE {
        on_progress(Progress::Warning {
            message: format!(
                "the network is sure of many wrong labels on held-out frames, so its confidence is lowered by a temperature of \
                 {temperature:.1} and says little; check the labels of the worst mistakes in the report, and capture more bursts"
            ),
        });
    }
    let deciding = |(held_out, logits): (&HeldOutFrame, Vec<f32>)| {
        let by_hand = landmarks.and_then(|taught| taught.held_out_logits(held_out.frame, temperature));
        by_hand.unwrap_or(logits)
    };
    let thumbless = |logits: &[Vec<f32>]| thumbless(&prepared.labels, logits, &truths, temperature);
    let by_image = thumbless(&logits);
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
        thumbless: Thumbless {
            auto: thumbless(&logits),
            image: by_image,
            hand: hand.map(|taught| thumbless_by_hand(prepared, held_out, &truths, taught)),
        },
        recognizers: recognizers(prepared, held_out, &logits, landmarks, hand),
        folds: folds(prepared, selected, &logits),
        metrics: Metrics::new(&prepared.labels, &logits, &truths, temperature)?,
    })
}

fn thumbless(labels: &[Label], logits: &[Vec<f32>], truths: &[usize], temperature: f64) -> ThumblessFrames {
    let mut probabilities = logits.to_vec();
    let rows = probabilities.iter_mut();
    rows.for_each(|row| softmax(row, temperature as f32));
    let rows = probabilities.iter().map(Vec::as_slice);
    ThumblessFrames::new(labels, truths.iter().copied().zip(rows))
}

/// As [`thumbless`], by the network for crops of hands; a frame without a certain hand is `none`.
fn thumbless_by_hand(
    prepared: &PreparedDataset,
    held_out: &[HeldOutFrame],
    truths: &[usize],
    taught: &TaughtHand,
) -> ThumblessFrames {
    let none = prepared.none_label();
    let without_hand = (0..prepared.labels.len()).map(|label| match none {
        Some(none) if none != label => f32::NEG_INFINITY,
        _ => 0.0,
    });
    let without_hand: Vec<f32> = without_hand.collect();
    let measured = held_out.iter().zip(truths);
    let measured = measured.filter(|(held_out, _)| !taught.is_left_out[held_out.frame]);
    let (logits, truths): (Vec<Vec<f32>>, Vec<usize>) = measured
        .map(|(held_out, truth)| {
            let by_hand = taught.held_out[held_out.frame].clone();
            (by_hand.unwrap_or_else(|| without_hand.clone()), *truth)
        })
        .unzip();
    thumbless(&prepared.labels, &logits, &truths, taught.temperature)
}

/// The accuracy of each recognizer; `logits` are those of `auto`. For those that need a hand, a frame without a certain one is `none`.
fn recognizers(
    prepared: &PreparedDataset,
    held_out: &[HeldOutFrame],
    logits: &[Vec<f32>],
    landmarks: Option<&TaughtLandmarks>,
    hand: Option<&TaughtHand>,
) -> Vec<RecognizerAccuracy> {
    let none = prepared.none_label();
    let by_hand = |logits: &[Option<Vec<f32>>]| {
        let of_frame = |held_out: &HeldOutFrame| logits[held_out.frame].as_deref().map(argmax).or(none);
        held_out.iter().map(of_frame).collect::<Vec<_>>()
    };
    let by_logits =
        |logits: &dyn Fn(usize) -> usize| (0..held_out.len()).map(|index| Some(logits(index))).collect();
    let predictions = [
        (Method::Auto, Some(by_logits(&|index| argmax(&logits[index])))),
        (
            Method::Image,
            Some(by_logits(&|index| argmax(&held_out[index].logits))),
        ),
        (Method::Hand, hand.map(|taught| by_hand(&taught.held_out))),
        (
            Method::Landmarks,
            landmarks.map(|taught| by_hand(&taught.held_out)),
        ),
    ];
    let accuracy = |(recognizer, predictions): (Method, Option<Vec<Option<usize>>>)| {
        let is_left_out =
            |frame: usize| recognizer == Method::Hand && hand.is_some_and(|taught| taught.is_left_out[frame]);
        let compared = held_out.iter().zip(predictions?);
        let compared: Vec<_> = compared
            .filter(|(held_out, _)| !is_left_out(held_out.frame))
            .collect();
        let frames = compared.len();
        let is_correct = |(held_out, prediction): &(&HeldOutFrame, Option<usize>)| {
            *prediction == Some(prepared.label_indices[held_out.frame])
        };
        let correct = compared.into_iter().filter(is_correct).count();
        Some(RecognizerAccuracy {
            recognizer: recognizer.to_string(),
            correct,
            frames,
            interval: wilson_interval(correct, frames),
        })
    };
    predictions.into_iter().filter_map(accuracy).collect()
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
