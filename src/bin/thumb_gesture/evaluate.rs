//! `thumb_gesture evaluate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use thumb_gesture::dataset::{Dataset, Label};
use thumb_gesture::evaluation::{self, Evaluation};

use crate::output;
use crate::runtime::ModelOptions;

/// Measure the accuracy of a model on labeled images, and print its confusion matrix.
///
/// Use images that the model was not trained on, captured at other times than the training images, because consecutive frames look alike.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Directory with one directory of JPEG or PNG images per label
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    #[command(flatten)]
    model: ModelOptions,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    model_id: &'a str,
    backend: &'a str,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let dataset = Dataset::read(&arguments.dataset).context("dataset")?;
    let model = arguments.model.stored()?;
    let labels = &model.manifest.labels;
    let files = labeled_files(&dataset, labels)?;
    if files.is_empty() {
        bail!(
            "{} has no images; it must have one directory of images per label",
            arguments.dataset.display()
        );
    }
    let mut recognizer = arguments.model.load(&model)?.recognizer;
    let bar = output::bar("evaluate", files.len());
    let evaluation = evaluation::evaluate(&mut recognizer, labels, &files, |done| {
        bar.set_position(done as u64)
    })?;
    bar.abandon();
    let report = Report {
        model_id: &model.manifest.id,
        backend: recognizer.backend(),
        evaluation: &evaluation,
    };
    if arguments.json {
        output::print_json(&report)?;
    } else {
        print_report(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All files of a dataset, each with the index of its label in `labels`.
fn labeled_files(dataset: &Dataset, labels: &[Label]) -> anyhow::Result<Vec<(PathBuf, usize)>> {
    let mut files = Vec::new();
    for frames in &dataset.labels {
        let Some(index) = labels.iter().position(|label| *label == frames.label) else {
            let known = labels.iter().map(Label::as_str).collect::<Vec<_>>().join(", ");
            bail!(
                "the model does not have the label {} of the dataset; its labels are {known}",
                frames.label
            );
        };
        files.extend(frames.files.iter().map(|file| (file.clone(), index)));
    }
    Ok(files)
}

fn print_report(report: &Report) -> anyhow::Result<()> {
    let evaluation = report.evaluation;
    for skipped in &evaluation.skipped {
        output::print_error_line(&format!("skipped {}: {}", skipped.file, skipped.reason));
    }
    output::print_line(&format!(
        "{} on {}\n{} of {} frames correct: {}\n{}",
        report.model_id,
        report.backend,
        evaluation.correct,
        evaluation.frames,
        output::percent(evaluation.accuracy),
        output::confusion_table(&evaluation.labels, &evaluation.confusion),
    ))
}
