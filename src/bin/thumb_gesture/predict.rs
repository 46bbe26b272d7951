//! `thumb_gesture predict`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::dataset::{Label, list_images, summarize};
use thumb_gesture::probability::argmax;
use thumb_gesture::recognizer::{self, Basis, ClassifyFileError};

use crate::output;
use crate::runtime::ModelOptions;

/// Classify images, and print one line for each.
///
/// Of a directory, the images in it and its subdirectories are classified. A file that is not a valid image, or a directory without
/// images, makes the exit status 1; the other files are still classified.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    /// Print one JSON object for each image
    #[arg(long)]
    json: bool,
    /// Images, turned by the orientation in their EXIF data, or directories of images
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Prediction<'a> {
    file: String,
    label: &'a Label,
    confidence: f32,
    probabilities: BTreeMap<&'a str, f32>,
    recognizer: Basis,
    /// `None` if it was not measured.
    familiarity: Option<f32>,
    /// Whether the node would see no gesture, because the frame is unfamiliar.
    unfamiliar: bool,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let model = arguments.model.chosen()?;
    let labels = model.labels();
    let mut recognizer = arguments.model.load(&model)?.recognizer;
    let mut code = ExitCode::SUCCESS;
    let mut files = Vec::new();
    for path in arguments.files {
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let listing = match list_images(&path) {
            Ok(listing) => listing,
            Err(error) => {
                output::print_error_line(&format!("Error: {}: {error}", path.display()));
                code = ExitCode::FAILURE;
                continue;
            }
        };
        for warning in summarize(None, &listing.skipped) {
            output::print_warning(&warning);
        }
        if listing.images.is_empty() {
            output::print_error_line(&format!("Error: {}: no usable images", path.display()));
            code = ExitCode::FAILURE;
        }
        files.extend(listing.images);
    }
    for file in &files {
        match recognizer.classify_file(file) {
            Ok(prediction) => print_prediction(file, labels, &prediction, arguments.json)?,
            Err(ClassifyFileError::Frame(error)) => {
                output::print_error_line(&format!("Error: {}: {error}", file.display()));
                code = ExitCode::FAILURE;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(code)
}

fn print_prediction(
    file: &Path,
    labels: &[Label],
    prediction: &recognizer::Prediction,
    as_json: bool,
) -> anyhow::Result<()> {
    let probabilities = prediction.probabilities;
    let best = argmax(probabilities);
    let prediction = Prediction {
        file: file.display().to_string(),
        label: &labels[best],
        confidence: probabilities[best],
        probabilities: labels
            .iter()
            .map(Label::as_str)
            .zip(probabilities.iter().copied())
            .collect(),
        recognizer: prediction.basis,
        familiarity: prediction.familiarity,
        unfamiliar: !prediction.is_familiar,
    };
    if as_json {
        return output::print_json(&prediction);
    }
    let unfamiliar = if prediction.unfamiliar { ", unfamiliar" } else { "" };
    output::print_line(&format!(
        "{}: {} ({}){unfamiliar}",
        prediction.file,
        prediction.label,
        output::percent(Some(f64::from(prediction.confidence))),
    ))
}
