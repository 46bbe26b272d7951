//! Third stage: the metrics of the selected strategy on the held-out frames.

use super::cross_validation::HeldOutFrame;
use super::error::TrainingError;
use super::landmarks::TaughtLandmarks;
use super::prepare::{PreparedDataset, absolute};
use super::progress::Progress;
use super::report::Mistake;
use super::select::Candidate;
use crate::dataset::Label;
use crate::false_thumbs::ThumblessFrames;
use crate::metrics::Metrics;
use crate::metrics::calibration::probabilities;
use crate::metrics::temperature::{MAX_USUAL_TEMPERATURE, supported_temperature};
use crate::model_store::manifest::Thumbless;
use crate::probability::{argmax, softmax};

/// The results on the held-out frames, each classified by a training without it.
pub(super) struct Evaluated {
    /// Including the temperature, which is fitted on the same frames.
    pub(super) metrics: Metrics,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) thumbless: Thumbless,
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
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Evaluated, TrainingError> {
    let held_out = &selected.validation.held_out;
    let (truths, logits): (Vec<usize>, Vec<Vec<f32>>) = held_out
        .iter()
        .map(|held_out| (prepared.label_indices[held_out.frame], held_out.logits.clone()))
        .unzip();
    let temperature = supported_temperature(&logits, &truths, &parts(prepared, held_out));
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
        },
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

/// The parts by which the temperature is validated: the folds, or with a single fold the bursts.
fn parts(prepared: &PreparedDataset, held_out: &[HeldOutFrame]) -> Vec<usize> {
    let mut part_of = prepared.bursts();
    if let folds @ [_, _, ..] = prepared.split.folds.as_slice() {
        for (number, fold) in folds.iter().enumerate() {
            fold.validation.iter().for_each(|&frame| part_of[frame] = number);
        }
    }
    held_out.iter().map(|held_out| part_of[held_out.frame]).collect()
}
