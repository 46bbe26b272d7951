//! `frames.json` in a model's directory: the frames that the model was trained on, with its prediction for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::dataset::Label;

pub(super) const FRAMES_FILE: &str = "frames.json";

/// The model's prediction for each frame that it was trained on, by the SHA-256 of its file in hexadecimal.
pub(crate) type LearnedFrames = BTreeMap<String, Label>;

/// Reads the file of a model; empty if it is missing, as for an imported model, or cannot be read.
pub(crate) fn read(model_directory: &Path) -> LearnedFrames {
    let bytes = fs::read(model_directory.join(FRAMES_FILE)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
