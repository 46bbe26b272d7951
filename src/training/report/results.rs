//! The results of a training for programs: what its report shows, with frames named as in the services of the node.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::{JSON_FILE, Mistake, Report};
use crate::dataset::Label;
use crate::dataset::edits::frame_id;
use crate::disk;

/// Maximum length of the file.
const MAX_BYTES: u64 = 64 << 20;
/// Maximum number of mistakes in the results, the worst ones.
const MAX_MISTAKES: usize = 100;

/// A mistake whose frame is still in the dataset under the same name.
#[derive(Serialize)]
struct KnownMistake<'a> {
    /// The path relative to the dataset.
    frame: &'a str,
    label: &'a Label,
    predicted: &'a Label,
    probability: f64,
}

/// The results of a model in this directory, as a JSON object; `None` if it has none, as an imported model.
///
/// # Errors
/// The report cannot be read.
pub(crate) fn results(model_directory: &Path, dataset: &Path) -> io::Result<Option<Value>> {
    let bytes = match disk::read_file(&model_directory.join(JSON_FILE), MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let report: Report = serde_json::from_slice(&bytes)?;
    // Mistakes have absolute paths.
    let dataset = std::path::absolute(dataset)?;
    let worst = report.worst_mistakes().into_iter();
    let known: Vec<KnownMistake> = worst
        .filter_map(|mistake| known(mistake, &dataset))
        .take(MAX_MISTAKES)
        .collect();
    let metrics = &report.metrics;
    let labels = report.dataset.labels.iter();
    Ok(Some(json!({
        "model_id": report.model_id,
        "strategy": report.strategy,
        "labels": labels.clone().map(|label| &label.label).collect::<Vec<_>>(),
        "frames": labels.clone().map(|label| label.frames).collect::<Vec<_>>(),
        "groups": labels.map(|label| label.groups).collect::<Vec<_>>(),
        "confusion": metrics.confusion,
        "validation_frames": metrics.frames,
        "accuracy": metrics.accuracy,
        "interval": metrics.interval,
        "new_scene": report.new_scene,
        "recognizers": report.recognizers,
        "mistakes": known,
        "mistakes_total": report.mistakes.len(),
        "curves": report.curves,
        "gate": report.gate,
        "advice": report.advice,
        "warnings": report.warnings,
        "timings": report.timings,
    })))
}

fn known<'a>(mistake: &'a Mistake, dataset: &Path) -> Option<KnownMistake<'a>> {
    let path = Path::new(&mistake.file);
    let frame = frame_id(dataset, path)?;
    path.is_file().then_some(KnownMistake {
        frame,
        label: &mistake.truth,
        predicted: &mistake.prediction,
        probability: mistake.probability,
    })
}
