//! `thumb_gesture evaluate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::Serialize;
use thumb_gesture::dataset::{Dataset, Label, summarize};
use thumb_gesture::evaluation::{self, Evaluation};

use crate::output;
use crate::runtime::ModelOptions;

/// Measure the accuracy of a model on labeled images, and print its confusion matrix.
///
/// Use images that the model was not trained on, captured at other times than the training images, because consecutive frames look alike.
/// A directory may spell its label differently than the model, such as thumbsup for thumbs_up.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Directory with one directory of images per label, which may have subdirectories
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    #[command(flatten)]
    model: ModelOptions,
    /// Evaluate without the labels that have no usable image, instead of failing
    #[arg(long)]
    skip_empty_labels: bool,
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
    /// What the accuracy does not cover, for people.
    warnings: &'a [String],
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let dataset = Dataset::read(&arguments.dataset).context("dataset")?;
    let mut warnings = dataset.warnings();
    let dataset = dataset.without_empty_labels(arguments.skip_empty_labels)?;
    let model = arguments.model.chosen()?;
    let labels = model.labels();
    let files = labeled_files(&dataset, labels)?;
    if files.is_empty() {
        bail!(
            "{} has no images; it must have one directory of images per label",
            arguments.dataset.display()
        );
    }
    let mut recognizer = arguments.model.load(&model)?.recognizer;
    let bar = output::bar("evaluate", files.len());
    let mut evaluation = evaluation::evaluate(&mut recognizer, labels, &files, |done| {
        bar.set_position(done as u64)
    })?;
    bar.abandon();
    warnings.extend(summarize(None, &evaluation.skipped));
    warnings.extend(missing_labels(&evaluation));
    for warning in &warnings {
        output::print_warning(warning);
    }
    check_labels(&files, &evaluation, arguments.skip_empty_labels)?;
    evaluation.skipped.extend(dataset.all_skipped().cloned());
    let report = Report {
        model_id: model.id(),
        backend: recognizer.backend(),
        evaluation: &evaluation,
        warnings: &warnings,
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
        let Some(index) = Label::find(labels, frames.label.as_str()) else {
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

/// Checks that a file of each label in the dataset was classified, or a file of any label if some may be left out.
fn check_labels(
    files: &[(PathBuf, usize)],
    evaluation: &Evaluation,
    skip_empty_labels: bool,
) -> anyhow::Result<()> {
    ensure!(
        evaluation.frames > 0,
        "no file of the dataset is a readable image; replace the files"
    );
    for (_, index) in files {
        ensure!(
            skip_empty_labels || evaluation.frames_of(*index) > 0,
            "label {}: none of its files is a readable image; replace them, or leave the label out with --skip-empty-labels",
            evaluation.labels[*index]
        );
    }
    Ok(())
}

/// A warning if the model has labels of which no frame was classified.
fn missing_labels(evaluation: &Evaluation) -> Option<String> {
    let labels = evaluation.labels.iter().enumerate();
    let missing: Vec<&str> = labels
        .filter(|(index, _)| evaluation.frames_of(*index) == 0)
        .map(|(_, label)| label.as_str())
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "no frames of {} were classified, so the accuracy does not cover what the model makes of them",
            missing.join(", ")
        )
    })
}

fn print_report(report: &Report) -> anyhow::Result<()> {
    let evaluation = report.evaluation;
    let unfamiliar = match evaluation.unfamiliar {
        0 => String::new(),
        frames => format!(
            "{frames} of them unfamiliar, on which the node sees no gesture; of the others correct: {}\n",
            output::percent(evaluation.familiar_accuracy)
        ),
    };
    output::print_text(&format!(
        "{} on {}\n{} of {} frames correct: {}\n{unfamiliar}{}",
        report.model_id,
        report.backend,
        evaluation.correct,
        evaluation.frames,
        output::percent(evaluation.accuracy),
        output::confusion_table(&evaluation.labels, &evaluation.confusion),
    ))
}
