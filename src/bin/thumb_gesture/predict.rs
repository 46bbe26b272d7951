//! `thumb_gesture predict`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::classifier;
use thumb_gesture::dataset::Label;
use thumb_gesture::evaluation::{FileClassifier, PredictError, likeliest};
use thumb_gesture::model_store::ModelStore;

use crate::output;
use crate::runtime::RuntimeOptions;

/// Say what pictures show, one line for each.
///
/// Fails when one of the files is no picture; the others are judged all the same.
#[derive(Args)]
pub struct Arguments {
    /// Folder of the trained models
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Which model [default: the active one]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Print one JSON object for each file
    #[arg(long)]
    json: bool,
    /// JPEG or PNG pictures
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Prediction<'a> {
    file: &'a Path,
    label: &'a Label,
    confidence: f32,
    probabilities: BTreeMap<&'a str, f32>,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let store = ModelStore::open_existing(&arguments.store)?;
    let model = store.model_or_active(arguments.model.as_deref())?;
    let labels = &model.manifest.labels;
    // On a GPU too without waiting for an engine.
    let (loaded, _) = classifier::load_at_once(&model, &arguments.runtime.settings())?;
    let mut classifier = FileClassifier::new(loaded.classifier, &model.manifest);
    let mut code = ExitCode::SUCCESS;
    for file in &arguments.files {
        match classifier.probabilities(file) {
            Ok(probabilities) => print(file, labels, probabilities, arguments.json)?,
            Err(PredictError::Frame(error)) => {
                eprintln!("Error: {}: {error}", file.display());
                code = ExitCode::FAILURE;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(code)
}

fn print(file: &Path, labels: &[Label], probabilities: &[f32], as_json: bool) -> anyhow::Result<()> {
    let best = likeliest(probabilities);
    let prediction = Prediction {
        file,
        label: &labels[best],
        confidence: probabilities[best],
        probabilities: labels
            .iter()
            .map(Label::as_str)
            .zip(probabilities.iter().copied())
            .collect(),
    };
    match as_json {
        true => output::print_json(&prediction),
        false => output::print_line(&format!(
            "{}: {} ({})",
            file.display(),
            prediction.label,
            output::percent(Some(f64::from(prediction.confidence))),
        )),
    }
}
