//! `thumb_gesture bag evaluate`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::Bag;
use thumb_gesture::bag::expected;
use thumb_gesture::bag::predictions::{Agreement, BagPredictions, IntervalAgreement, classify, image_topic};
use thumb_gesture::bag::timeline::{Heading, Timeline};
use thumb_gesture::dataset::Label;

use super::{BagOptions, DecisionOptions, Outcome, page_of, parse_share, write_page};
use crate::output;
use crate::runtime::ModelOptions;

/// Classify every frame of bags as the node would, and compare with what they should show.
///
/// The same bag and the same model give the same output, to the bit. --expect names a YAML list of what is seen when, in seconds
/// from the first frame or since the epoch, such as `- {from: 0.0, to: 2.5, label: thumbs_up}`.
/// With --min-accuracy the exit status is 1 where the model is worse than that: a test for CI.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    bag: BagOptions,
    #[command(flatten)]
    model: ModelOptions,
    /// What the bags should show, a YAML file
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Fail below this share of right frames, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "expect", value_parser = parse_share::<f64>)]
    min_accuracy: Option<f64>,
    /// Write every frame's prediction into this CSV file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page to look at, a timeline with images, into this file; with several bags into that directory, one page each
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    decision: DecisionOptions,
    /// Print one JSON object for each bag, with every frame's prediction
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    bag: &'a Path,
    model_id: &'a str,
    backend: &'a str,
    labels: &'a [Label],
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<&'a Agreement>,
    #[serde(flatten)]
    predictions: &'a BagPredictions,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let model = arguments.model.stored()?;
    let labels = &model.manifest.labels;
    let expected = arguments
        .expect
        .as_deref()
        .map(|file| expected::read(file, labels));
    let expected = expected.transpose()?;
    let mut classifier = arguments.model.load(&model)?.recognizer;
    let settings = arguments.decision.settings();
    let mut csv = "bag,seconds,gesture,confidence,reason,stable".to_owned();
    labels.iter().for_each(|label| csv += &format!(",{label}"));
    csv.push('\n');
    let bags = &arguments.bag.bags;
    let code = Outcome::of_each(bags, |place, path, outcome| {
        let bag = Bag::open(path)?;
        let topic = image_topic(&bag, arguments.bag.topic.as_deref())?;
        let bar = output::counter("evaluate");
        let start = Instant::now();
        let mut timeline = Timeline::default();
        let predictions = classify(&bag, &topic, &mut classifier, &settings, |prediction, image| {
            if arguments.html.is_some() {
                timeline.add(prediction, vec![prediction.gesture()], image, true);
            }
            bar.inc(1);
        })?;
        bar.abandon();
        let frames_per_sec = predictions.frames.len() as f64 / start.elapsed().as_secs_f64();
        let agreement = expected
            .as_ref()
            .map(|expected| predictions.agreement(expected, labels));
        outcome.lose(
            &predictions.losses,
            predictions.bad_frames,
            &predictions.bad_reasons,
        );
        if let (Some(agreement), Some(least)) = (&agreement, arguments.min_accuracy)
            && agreement.accuracy.unwrap_or_default() < least
        {
            outcome.fail(&shortfall(path, agreement, least));
        }
        if arguments.csv.is_some() {
            write_rows(&mut csv, path, &predictions, labels)?;
        }
        if let Some(html) = &arguments.html {
            let heading = Heading {
                bag: &path.display().to_string(),
                topic: &topic.name,
                models: &[format!("{} on {}", model.manifest.id, classifier.backend())],
                labels,
            };
            let page = page_of(html, path, place, bags.len())?;
            write_page(&page, &timeline, heading, agreement.as_ref())?;
        }
        let report = Report {
            bag: path,
            model_id: &model.manifest.id,
            backend: classifier.backend(),
            labels,
            agreement: agreement.as_ref(),
            predictions: &predictions,
        };
        match arguments.json {
            true => output::print_json(&report),
            false => print_report(&report, frames_per_sec),
        }
    });
    if let Some(file) = &arguments.csv {
        std::fs::write(file, csv).with_context(|| file.display().to_string())?;
    }
    Ok(code)
}

/// That a bag is not classified well enough, and where.
fn shortfall(bag: &Path, agreement: &Agreement, least: f64) -> String {
    let mut said = format!(
        "{}: {} of the frames are right, below {}",
        bag.display(),
        output::percent(agreement.accuracy),
        output::percent(Some(least))
    );
    let wrong = |interval: &&IntervalAgreement| interval.correct < interval.frames;
    for interval in agreement.intervals.iter().filter(wrong) {
        said += &format!(
            "\n  {:.2} to {:.2} s, {}: {} of {} frames wrong",
            interval.from,
            interval.to,
            interval.label,
            interval.frames - interval.correct,
            interval.frames
        );
    }
    said
}

/// A line for each frame.
fn write_rows(
    csv: &mut String,
    bag: &Path,
    predictions: &BagPredictions,
    labels: &[Label],
) -> std::fmt::Result {
    let bag = bag.display().to_string().replace('"', "\"\"");
    for frame in &predictions.frames {
        let gesture = frame.gesture().map_or("unknown", |label| labels[label].as_str());
        write!(
            csv,
            "\"{bag}\",{:.9},{gesture},{},{},{}",
            predictions.secs(frame),
            frame.confidence,
            frame.reason,
            frame.stable
        )?;
        frame
            .probabilities
            .iter()
            .try_for_each(|probability| write!(csv, ",{probability}"))?;
        csv.push('\n');
    }
    Ok(())
}

fn print_report(report: &Report, frames_per_sec: f64) -> anyhow::Result<()> {
    let predictions = report.predictions;
    output::print_line(&format!(
        "{}, {}: {} on {}, {} frames, {frames_per_sec:.0} a second",
        report.bag.display(),
        predictions.topic,
        report.model_id,
        report.backend,
        predictions.frames.len(),
    ))?;
    match report.agreement {
        Some(agreement) => print_agreement(agreement, report.labels),
        None => print_counts(predictions, report.labels),
    }
}

/// How often each gesture was seen, where nobody knows what there was.
fn print_counts(predictions: &BagPredictions, labels: &[Label]) -> anyhow::Result<()> {
    for (index, label) in labels.iter().enumerate() {
        let seen = predictions
            .frames
            .iter()
            .filter(|frame| frame.gesture() == Some(index));
        let count = seen.count();
        output::print_line(&format!("{count:>8} {label}"))?;
    }
    let unknown = predictions.frames.iter().filter(|frame| !frame.reason.is_empty());
    output::print_line(&format!("{:>8} unknown", unknown.count()))
}

fn print_agreement(agreement: &Agreement, labels: &[Label]) -> anyhow::Result<()> {
    output::print_line(&format!(
        "{} of {} frames right: {}",
        agreement.correct,
        agreement.frames,
        output::percent(agreement.accuracy)
    ))?;
    for interval in &agreement.intervals {
        let stable = match interval.stable_after {
            Some(after) => format!("stable after {after:.2} s"),
            None => "never stable".to_owned(),
        };
        output::print_line(&format!(
            "{:>8.2} to {:>8.2} s {:<12} {} of {} right, {stable}",
            interval.from, interval.to, interval.label, interval.correct, interval.frames
        ))?;
    }
    let seen: Vec<&str> = labels.iter().map(Label::as_str).chain(["unknown"]).collect();
    for (label, row) in labels.iter().zip(agreement.confusion.rows()) {
        let counts: Vec<String> = seen
            .iter()
            .zip(row)
            .map(|(seen, count)| format!("{seen} {count}"))
            .collect();
        output::print_line(&format!("{label} seen as: {}", counts.join(", ")))?;
    }
    Ok(())
}
