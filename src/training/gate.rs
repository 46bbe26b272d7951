//! Whether a new model may take the active one's place: only if it is no worse on the same frames.
//!
//! Both are classified on an equal footing. A frame that the active model has learnt from is classified by the new model, which has
//! learnt from it too; a frame that is new to the active model is classified by the training that held it out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::features::LabelledFile;
use crate::classifier;
use crate::classifier::settings::{Device, Settings};
use crate::dataset::Label;
use crate::dataset::sample::evenly_spaced;
use crate::disk::{self, Existing};
use crate::model_store::{ModelStore, StoredModel};
use crate::probability::argmax;
use crate::recognizer::Recognizer;

/// In a model's directory: the SHA-256 of every frame that it has learnt from, with the label that it gives it.
pub const FRAMES_FILE: &str = "frames.json";
/// No more frames are compared than this, spread over all.
const MOST_FRAMES: usize = 256;

/// A held-out frame as the new model sees it.
pub struct HeldOut<'a> {
    /// Its file and label.
    pub file: &'a LabelledFile,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The index of the label that the training without it gave.
    pub unseen_prediction: usize,
    /// The index of the label that the new model gives, which has learnt from it.
    pub learnt_prediction: usize,
}

/// How the new model compares with the active one.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Whether it is no worse.
    pub passes: bool,
    /// Why, in words.
    pub reason: String,
    /// The model that is active; none where there is none.
    pub active_model: Option<String>,
    /// Frames that both classified.
    pub frames: usize,
    /// Of these, what the new model got right.
    pub new_correct: usize,
    /// Of these, what the active model got right.
    pub active_correct: usize,
}

impl Comparison {
    fn passed(reason: String, active_model: Option<String>) -> Comparison {
        Comparison {
            passes: true,
            reason,
            active_model,
            frames: 0,
            new_correct: 0,
            active_correct: 0,
        }
    }
}

/// Compares the new model with the active one on held-out frames. What keeps the active model from being classified lets the new one pass.
pub fn compare(store: &ModelStore, held_out: &[HeldOut]) -> Comparison {
    let active = match store.active_id() {
        Ok(Some(id)) => id,
        Ok(None) => return Comparison::passed("no model was active before".to_owned(), None),
        Err(error) => return Comparison::passed(format!("the active model is unknown: {error}"), None),
    };
    let classified = match store.model(&active) {
        Ok(model) => classify(&model, held_out),
        Err(error) => Err(error.to_string()),
    };
    match classified {
        Err(reason) => Comparison::passed(
            format!("the active {active} cannot be classified: {reason}"),
            Some(active),
        ),
        Ok(pairs) if pairs.is_empty() => {
            Comparison::passed("no frame was held out to compare on".to_owned(), Some(active))
        }
        Ok(pairs) => prediction(active, &pairs),
    }
}

/// For each frame whether the new and the active model are right.
fn classify(active: &StoredModel, held_out: &[HeldOut]) -> Result<Vec<[bool; 2]>, String> {
    let learnt = read_frames(active);
    let mut recognizer = None;
    let mut pairs = Vec::new();
    for frame in evenly_spaced(held_out, MOST_FRAMES) {
        let (new_prediction, active_is_right) = match learnt.get(&frame.sha256) {
            Some(prediction) => (frame.learnt_prediction, *prediction == frame.file.label),
            None => {
                let recognizer = match &mut recognizer {
                    Some(recognizer) => recognizer,
                    none => none.insert(load(active)?),
                };
                let probabilities = recognizer.probabilities_of_file(&frame.file.path);
                let probabilities = probabilities.map_err(|error| error.to_string())?;
                let prediction = &active.manifest.labels[argmax(probabilities)];
                (frame.unseen_prediction, *prediction == frame.file.label)
            }
        };
        pairs.push([new_prediction == frame.file.index, active_is_right]);
    }
    Ok(pairs)
}

fn load(active: &StoredModel) -> Result<Recognizer, String> {
    // TensorRT would first build an engine.
    let settings = Settings {
        device: Device::Cpu,
        ..Settings::default()
    };
    let loaded = classifier::load(active, &settings).map_err(|error| error.to_string())?;
    Ok(Recognizer::new(loaded.classifier, &active.manifest))
}

fn prediction(active: String, pairs: &[[bool; 2]]) -> Comparison {
    let count = |model: usize| pairs.iter().filter(|pair| pair[model]).count();
    let (frames, new_correct, active_correct) = (pairs.len(), count(0), count(1));
    let passes = new_correct >= active_correct;
    let comparison = if passes { "no worse than" } else { "worse than" };
    Comparison {
        passes,
        reason: format!(
            "{comparison} the active {active}: right on {new_correct} of {frames} held-out frames, that one on {active_correct}"
        ),
        active_model: Some(active),
        frames,
        new_correct,
        active_correct,
    }
}

/// The frames that a model has learnt from, by their SHA-256, and the label that it gives each.
pub type LearntFrames = BTreeMap<String, Label>;

/// Writes which frames a model has learnt from.
///
/// # Errors
/// What the file system says.
pub fn write_frames(path: &Path, frames: &LearntFrames) -> std::io::Result<()> {
    disk::write_atomic(path, Existing::Replace, |writer| {
        Ok(serde_json::to_writer(writer, frames)?)
    })
}

/// Which frames a model has learnt from; of an imported model nobody knows.
fn read_frames(model: &StoredModel) -> LearntFrames {
    let bytes = fs::read(model.path(FRAMES_FILE)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The labels that the active model knows and the new one does not.
pub fn forgotten(store: &ModelStore, labels: &[Label]) -> Vec<Label> {
    let active = store.active_id().ok().flatten();
    let manifest = active.and_then(|id| store.manifest(&id).ok());
    let known = manifest.map(|manifest| manifest.labels).unwrap_or_default();
    known
        .into_iter()
        .filter(|label| !labels.contains(label))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_good_is_good_enough_and_one_frame_worse_is_not() {
        let [both, new, active] = [[true, true], [true, false], [false, true]];
        assert!(prediction("old".to_owned(), &[both, new, active]).passes);
        let worse = prediction("old".to_owned(), &[both, active]);
        assert!(!worse.passes);
        assert!(worse.reason.contains("right on 1 of 2"), "{}", worse.reason);
    }
}
