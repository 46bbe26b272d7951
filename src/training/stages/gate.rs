//! Sixth stage: whether the new model is promoted, that is becomes the active one.
//!
//! It is promoted if it classifies at least as many held-out frames correctly as the active model, or the built-in recognizer if there is
//! none. For a fair comparison, either both predictions are from models that were trained on the frame, or neither: if the active model was
//! trained on it, the new model, which was trained on all frames, classifies it; otherwise the prediction of the training that held it out
//! counts.

use std::path::Path;

use super::fit::TrainedModel;
use super::found_hands::Hands;
use super::landmarks::{TaughtLandmarks, prediction};
use super::prepare::PreparedDataset;
use super::select::Candidate;
use crate::classifier::settings::{Device, Settings};
use crate::dataset::Label;
use crate::dataset::sample::evenly_spaced;
use crate::gesture::Gesture;
use crate::model_store::{ModelStore, StoredModel};
use crate::probability::argmax;
use crate::recognizer::Recognizer;
use crate::recognizer::model::{BUILTIN, Model};
use crate::recognizer::settings::RecognizerSettings;
use crate::training::learned_frames;
use crate::training::options::{Promotion, TrainingOptions};
use crate::training::report::GateReport;

/// Maximum number of frames to compare; of more, an evenly spaced sample is compared.
const MAX_FRAMES: usize = 256;

/// How the new model compares with the active one.
struct Comparison {
    is_promoted: bool,
    reason: String,
    /// The active model, or the built-in recognizer; `None` if there is neither.
    active_model: Option<String>,
    /// Number of frames that both classified.
    frames: usize,
    /// Number of frames that the new model classified correctly.
    new_correct: usize,
    /// Number of frames that the active model classified correctly.
    active_correct: usize,
}

/// Which of two models classified a frame correctly.
#[derive(Clone, Copy)]
struct Outcome {
    new: bool,
    active: bool,
}

/// A held-out frame with its true label and the predictions of the new model, as label indices.
struct ComparedFrame<'a> {
    path: &'a Path,
    /// SHA-256 of the file, in hexadecimal.
    sha256: String,
    label: &'a Label,
    label_index: usize,
    /// The prediction of the training that held the frame out.
    held_out_prediction: usize,
    /// The prediction of the new model, which was trained on the frame.
    learned_prediction: usize,
    /// What the built-in recognizer finds; `None` if it is not installed.
    by_rule: Option<Gesture>,
}

/// Compares the new model with the active one on the held-out frames; `None` with [`Promotion::Never`].
pub(super) fn gate(
    store: &ModelStore,
    options: &TrainingOptions,
    prepared: &PreparedDataset,
    selected: &Candidate,
    trained: &TrainedModel,
    hands: Option<&Hands>,
    landmarks: Option<&TaughtLandmarks>,
) -> Option<GateReport> {
    if options.promotion == Promotion::Never {
        return None;
    }
    let frames: Vec<ComparedFrame> = selected
        .validation
        .held_out
        .iter()
        .map(|held_out| ComparedFrame {
            path: &prepared.files[held_out.frame].content,
            sha256: prepared.sha256(held_out.frame),
            label: prepared.label_of(held_out.frame),
            label_index: prepared.label_indices[held_out.frame],
            held_out_prediction: prediction(
                landmarks.and_then(|taught| taught.held_out[held_out.frame].as_deref()),
                &held_out.logits,
            ),
            learned_prediction: prediction(
                landmarks.and_then(|taught| taught.learned[held_out.frame].as_deref()),
                &trained.logits[held_out.frame],
            ),
            by_rule: hands.map(|hands| hands.gesture_by_rule(held_out.frame)),
        })
        .collect();
    let comparison = compare(store, &frames, options.camera_roll_deg);
    let is_forced = options.promotion == Promotion::Forced && !comparison.is_promoted;
    let mut reason = comparison.reason;
    if is_forced {
        reason = format!("forced, though {reason}");
    }
    let missing = missing_labels(store, &prepared.labels);
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(Label::as_str).collect();
        reason += &format!("; labels missing from the new model: {}", names.join(", "));
    }
    Some(GateReport {
        activated: comparison.is_promoted || is_forced,
        reason,
        active_model: comparison.active_model,
        frames: comparison.frames,
        new_correct: comparison.new_correct,
        active_correct: comparison.active_correct,
    })
}

/// Compares the models; an active model that cannot classify the frames does not prevent the promotion.
fn compare(store: &ModelStore, frames: &[ComparedFrame], camera_roll_deg: f32) -> Comparison {
    let active = match store.active_id() {
        Ok(Some(id)) => id,
        Ok(None) => return compare_with_builtin(frames),
        Err(error) => {
            let reason = format!("the active model is unknown: {error}");
            return Comparison::without_frames(reason, None);
        }
    };
    let outcomes = match store.model(&active) {
        Ok(model) => compare_predictions(&model, frames, camera_roll_deg),
        Err(error) => Err(error.to_string()),
    };
    match outcomes {
        Err(error) => {
            let reason = format!("the active model {active} cannot classify the held-out frames: {error}");
            Comparison::without_frames(reason, Some(active))
        }
        Ok(outcomes) => Comparison::new(active, &outcomes),
    }
}

/// Compares the first model of a store with the built-in recognizer, which the node uses until then.
fn compare_with_builtin(frames: &[ComparedFrame]) -> Comparison {
    let outcome = |frame: &ComparedFrame| {
        Some(Outcome {
            new: frame.held_out_prediction == frame.label_index,
            active: frame.label.is_spelling_of(frame.by_rule?.label()),
        })
    };
    match frames.iter().map(outcome).collect::<Option<Vec<Outcome>>>() {
        Some(outcomes) if !outcomes.is_empty() => Comparison::new(BUILTIN.to_owned(), &outcomes),
        _ => Comparison::without_frames("no model was active before".to_owned(), None),
    }
}

fn compare_predictions(
    active: &StoredModel,
    frames: &[ComparedFrame],
    camera_roll_deg: f32,
) -> Result<Vec<Outcome>, String> {
    let learned = learned_frames::read(&active.directory);
    let mut recognizer = None;
    let mut outcomes = Vec::new();
    for frame in evenly_spaced(frames, MAX_FRAMES) {
        let outcome = match learned.get(&frame.sha256) {
            Some(prediction) => Outcome {
                new: frame.learned_prediction == frame.label_index,
                active: prediction.is_spelling_of(frame.label.as_str()),
            },
            None => {
                let recognizer = match &mut recognizer {
                    Some(recognizer) => recognizer,
                    empty => empty.insert(load(active, camera_roll_deg)?),
                };
                let prediction = recognizer.classify_file(frame.path);
                let prediction = prediction.map_err(|error| error.to_string())?;
                let label = &active.manifest.labels[argmax(prediction.probabilities)];
                Outcome {
                    new: frame.held_out_prediction == frame.label_index,
                    active: prediction.is_familiar && label.is_spelling_of(frame.label.as_str()),
                }
            }
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn load(active: &StoredModel, camera_roll_deg: f32) -> Result<Recognizer, String> {
    // On the CPU, because TensorRT would have to build an engine first.
    let network = Settings {
        device: Device::Cpu,
        ..Settings::default()
    };
    let mut settings = RecognizerSettings::from(network);
    settings.hands.camera_roll_deg = camera_roll_deg;
    let model = Model::from(active.clone());
    let loaded = model.load(&settings).map_err(|error| error.to_string())?;
    Ok(loaded.recognizer)
}

impl Comparison {
    fn new(active: String, outcomes: &[Outcome]) -> Comparison {
        if outcomes.is_empty() {
            let reason = "no frame was held out for a comparison".to_owned();
            return Comparison::without_frames(reason, Some(active));
        }
        let frames = outcomes.len();
        let new_correct = outcomes.iter().filter(|outcome| outcome.new).count();
        let active_correct = outcomes.iter().filter(|outcome| outcome.active).count();
        let is_promoted = new_correct >= active_correct;
        let relation = if is_promoted { "no worse" } else { "worse" };
        let other = match active.as_str() {
            BUILTIN => "the built-in recognizer".to_owned(),
            id => format!("the active model {id}"),
        };
        Comparison {
            is_promoted,
            reason: format!(
                "{relation} than {other}: {new_correct} of {frames} held-out frames correct, {active_correct} with {active}"
            ),
            active_model: Some(active),
            frames,
            new_correct,
            active_correct,
        }
    }

    /// The new model is promoted, because there is nothing to compare.
    fn without_frames(reason: String, active_model: Option<String>) -> Comparison {
        Comparison {
            is_promoted: true,
            reason,
            active_model,
            frames: 0,
            new_correct: 0,
            active_correct: 0,
        }
    }
}

/// The labels of the active model that the new one does not have.
fn missing_labels(store: &ModelStore, labels: &[Label]) -> Vec<Label> {
    let active = store.active_id().ok().flatten();
    let manifest = active.and_then(|id| store.manifest(&id).ok());
    let known = manifest.map(|manifest| manifest.labels).unwrap_or_default();
    known
        .into_iter()
        .filter(|label| Label::find(labels, label.as_str()).is_none())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(new: bool, active: bool) -> Outcome {
        Outcome { new, active }
    }

    #[test]
    fn model_is_promoted_unless_it_classifies_fewer_frames_correctly() {
        let [both, new, active] = [outcome(true, true), outcome(true, false), outcome(false, true)];
        assert!(Comparison::new("old".to_owned(), &[both, new, active]).is_promoted);
        let worse = Comparison::new("old".to_owned(), &[both, active]);
        assert!(!worse.is_promoted);
        assert!(worse.reason.contains("1 of 2"), "{}", worse.reason);
    }
}
