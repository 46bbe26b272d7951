//! `thumb_gesture bag evaluate`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{ArgGroup, Args};
use serde::Serialize;
use thumb_gesture::bag::agreement::{Agreement, IntervalAgreement};
use thumb_gesture::bag::expected::{Expected, LABELS_SUFFIX, labels_beside};
use thumb_gesture::bag::predictions::{BagPredictions, classify_bag};
use thumb_gesture::bag::summary::{BagSummary, Part, Setup, Shard, Summary};
use thumb_gesture::bag::timeline::{PageInfo, Timeline};
use thumb_gesture::bag::{Bag, Topic};
use thumb_gesture::dataset::Label;
use thumb_gesture::disk;
use thumb_gesture::recognizer::Recognizer;
use thumb_gesture::recognizer::model::Model;

use super::{
    DecisionOptions, Outcome, TopicOptions, page_path, parse_rate, print_confusion, summary, write_page,
};
use crate::numbers::parse_share;
use crate::output;
use crate::runtime::ModelOptions;

/// Longest list of bags, bytes.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Classify each frame of bags as the node would, and compare the gestures with expected labels.
///
/// The same bag and model give the same output, bit for bit. --expect is a YAML list of labels by time, in seconds from the first frame or
/// since the epoch, such as `- {from: 0.0, to: 2.5, label: thumbs_up}`, or a label such as none for the whole recording.
/// Where another label than a thumb is expected, the stable thumbs per minute are reported, and a threshold that prevents them.
/// With --min-accuracy and --max-false-thumbs-per-minute the exit status is 1 if one of them is not met, for regression tests.
/// Many bags can be divided among machines with --shard; `bag summary` merges what they write with --summary.
#[derive(Args)]
#[command(group = ArgGroup::new("expected").args(["expect", "expect_beside"]))]
pub(super) struct Arguments {
    /// Bags, each a directory or a file
    #[arg(value_name = "BAG", required_unless_present = "list")]
    bags: Vec<PathBuf>,
    /// Also the bags whose paths are in this file, one in each line, for more than fit on a command line
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    #[command(flatten)]
    topic: TopicOptions,
    #[command(flatten)]
    model: ModelOptions,
    /// YAML file with the expected labels, or one label for all frames
    #[arg(long, value_name = "FILE|LABEL")]
    expect: Option<PathBuf>,
    /// Compare each bag with BAG.labels.yaml beside it, as `bag export` writes it; a bag without that file is not compared
    #[arg(long, conflicts_with = "expect")]
    expect_beside: bool,
    /// Evaluate only this part of the bags, such as 2/8: every eighth from the second on, in the order of their paths
    #[arg(long, value_name = "PART/PARTS")]
    shard: Option<Shard>,
    /// Write what was found in each bag, without single frames, and the sums to this JSON file
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Fail below this share of correct frames, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "expected", value_parser = parse_share::<f64>)]
    min_accuracy: Option<f64>,
    /// Fail above this number of stable thumbs per minute where another label is expected, 0 to 60
    #[arg(long, value_name = "RATE", requires = "expected", value_parser = parse_rate)]
    max_false_thumbs_per_minute: Option<f64>,
    /// Write the prediction for each frame to this CSV file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write an HTML page with a timeline and images to this file; for several bags, to this directory, one page each
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    decision: DecisionOptions,
    /// Print one JSON object for each bag, with the prediction for each frame
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

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let model = arguments.model.chosen()?;
    let labels = model.labels();
    let expected = arguments.expect.as_deref();
    let expected = expected
        .map(|expected| Expected::read(expected, labels))
        .transpose()?;
    let all = arguments.all_bags()?;
    let mut evaluation = Evaluation {
        arguments,
        model: &model,
        expected,
        recognizer: arguments.model.load(&model)?.recognizer,
        csv: csv_header(labels),
        bags: Vec::new(),
        bag_count: all.len(),
    };
    let (indices, bags): (Vec<usize>, Vec<PathBuf>) = arguments.selected(&all).unzip();
    let mut code = Outcome::for_each_bag(&bags, |index, path, outcome| {
        let evaluated = evaluation.evaluate(indices[index], path, outcome);
        if let Err(error) = &evaluated
            && !output::is_broken_pipe(error)
        {
            let reason = output::error_chain(error);
            evaluation
                .bags
                .push(BagSummary::failed(path.display().to_string(), reason));
        }
        evaluated
    });
    if arguments.min_accuracy.is_some()
        && !evaluation.bags.iter().any(BagSummary::is_compared)
        && arguments.shard.is_none()
    {
        output::print_error_line("Error: --min-accuracy: no bag was compared with expected labels");
        code = ExitCode::FAILURE;
    }
    if let Some(file) = &arguments.csv {
        disk::write_output(file, evaluation.csv.as_bytes()).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &arguments.summary {
        let setup = Setup {
            model_id: model.id().to_owned(),
            backend: evaluation.recognizer.backend().to_owned(),
            labels: labels.to_vec(),
            settings: arguments.settings(),
        };
        let part = arguments.shard.map(|shard| Part::new(shard, &all));
        summary::write(file, &Summary::new(setup, part, evaluation.bags))?;
    }
    Ok(code)
}

impl Arguments {
    /// All bags, of which --shard selects some. With --expect-beside, `recordings/*` may include the files with labels.
    fn all_bags(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut bags = self.bags.clone();
        if let Some(list) = &self.list {
            let text = disk::read_file(list, MAX_LIST_BYTES).and_then(|bytes| {
                String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            });
            let text = text.with_context(|| list.display().to_string())?;
            bags.extend(text.lines().filter(|line| !line.is_empty()).map(PathBuf::from));
        }
        let is_labels = |path: &PathBuf| {
            path.as_os_str()
                .as_encoded_bytes()
                .ends_with(LABELS_SUFFIX.as_bytes())
        };
        bags.retain(|path| !(self.expect_beside && is_labels(path)));
        if self.shard.is_some() {
            // Shells sort the same names in different ways.
            bags.sort();
            bags.dedup();
        }
        Ok(bags)
    }

    /// The bags to evaluate, with their indices among all.
    fn selected(&self, all: &[PathBuf]) -> impl Iterator<Item = (usize, PathBuf)> {
        let is_selected = |index: &usize| self.shard.is_none_or(|shard| shard.contains(*index));
        let bags = all.iter().cloned().enumerate();
        bags.filter(move |(index, _)| is_selected(index))
    }

    /// The options that change the gestures, by name.
    fn settings(&self) -> BTreeMap<String, String> {
        let settings = self.decision.settings();
        let named = [
            ("threshold", settings.threshold.to_string()),
            ("margin", settings.margin.to_string()),
            ("hysteresis", settings.hysteresis.to_string()),
            ("smoothing", settings.smoothing_secs.to_string()),
            ("hold-time", settings.hold_secs.to_string()),
            ("stale-timeout", settings.stale_secs.to_string()),
            ("detect-frozen-camera", settings.detect_frozen_camera.to_string()),
            (
                "max-false-thumbs-per-minute",
                self.max_false_thumbs_per_minute.unwrap_or_default().to_string(),
            ),
        ];
        let named = named.into_iter().chain(self.model.named_settings());
        named.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// What the bags of a run share.
struct Evaluation<'a> {
    arguments: &'a Arguments,
    model: &'a Model,
    expected: Option<Expected>,
    recognizer: Recognizer,
    /// The text of the CSV file so far.
    csv: String,
    bags: Vec<BagSummary>,
    /// The number of bags, with those of other parts.
    bag_count: usize,
}

impl Evaluation<'_> {
    /// Classifies a bag, compares it with the expected labels, and writes the requested output.
    fn evaluate(&mut self, index: usize, path: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
        let (arguments, labels) = (self.arguments, self.model.labels());
        let (bag, topic) = arguments.topic.open(path)?;
        let start = Instant::now();
        let (predictions, timeline) = self.classify(&bag, &topic)?;
        let frames_per_sec = predictions.frames.len() as f64 / start.elapsed().as_secs_f64();
        let beside = self.expected_beside(path)?;
        let expected = beside.as_ref().or(self.expected.as_ref());
        let settings = arguments.decision.settings();
        let max_rate = arguments.max_false_thumbs_per_minute.unwrap_or_default();
        let agreement =
            expected.map(|expected| Agreement::new(&predictions, expected, labels, &settings, max_rate));
        let losses = outcome.report_losses(&predictions.losses, &predictions.bad_reasons);
        if let Some(agreement) = &agreement {
            self.check(path, agreement, outcome);
        }
        if arguments.csv.is_some() {
            write_rows(&mut self.csv, path, &predictions, labels)?;
        }
        let (model_id, backend) = (self.model.id(), self.recognizer.backend());
        if let Some(html) = &arguments.html {
            let info = PageInfo {
                bag: &path.display().to_string(),
                topic: &topic.name,
                models: &[format!("{model_id} on {backend}")],
                labels,
            };
            let page = page_path(html, path, index, self.bag_count)?;
            write_page(&page, &timeline, info, agreement.as_ref())?;
        }
        self.bags.push(BagSummary::new(
            path.display().to_string(),
            &predictions,
            agreement.clone(),
            losses,
        ));
        let report = Report {
            bag: path,
            model_id,
            backend,
            labels,
            agreement: agreement.as_ref(),
            predictions: &predictions,
        };
        if arguments.json {
            output::print_json(&report)
        } else {
            print_report(&report, frames_per_sec)
        }
    }

    /// The labels of the file beside a bag, with --expect-beside.
    fn expected_beside(&self, bag: &Path) -> anyhow::Result<Option<Expected>> {
        let file = labels_beside(bag);
        let exists = || file.try_exists().with_context(|| file.display().to_string());
        if !self.arguments.expect_beside || !exists()? {
            return Ok(None);
        }
        Ok(Some(Expected::read(&file, self.model.labels())?))
    }

    /// Reports what the options require and the bag does not meet.
    fn check(&self, path: &Path, agreement: &Agreement, outcome: &mut Outcome) {
        if let Some(min_accuracy) = self.arguments.min_accuracy
            && agreement.accuracy.is_none_or(|accuracy| accuracy < min_accuracy)
        {
            outcome.report_failure(&shortfall(path, agreement, min_accuracy));
            print_wrong_intervals(agreement);
        }
        if let Some(max_rate) = self.arguments.max_false_thumbs_per_minute {
            let problem = match &agreement.false_thumbs {
                None => "false thumbs cannot be counted: the model has no label of a thumb, or no frame is expected to show another label"
                    .to_owned(),
                Some(found) if found.exceeds(max_rate) => {
                    format!("{found}; more than the maximum of {max_rate} per minute")
                }
                Some(_) => return,
            };
            outcome.report_failure(&format!("{}: {problem}", path.display()));
        }
    }

    /// Classifies a bag. The timeline is empty without `--html`.
    fn classify(&mut self, bag: &Bag, topic: &Topic) -> anyhow::Result<(BagPredictions, Timeline)> {
        let settings = self.arguments.decision.settings();
        let bar = output::counter("evaluate");
        let mut timeline = Timeline::default();
        let predictions = classify_bag(
            bag,
            topic,
            &mut self.recognizer,
            &settings,
            |prediction, image| {
                if self.arguments.html.is_some() {
                    timeline.add(prediction, vec![prediction.gesture()], image, true);
                }
                bar.inc(1);
            },
        )?;
        bar.abandon();
        Ok((predictions, timeline))
    }
}

fn csv_header(labels: &[Label]) -> String {
    let mut header = "bag,seconds,gesture,confidence,reason,stable,recognizer,familiarity".to_owned();
    for label in labels {
        header += &format!(",{label}");
    }
    header.push('\n');
    header
}

/// The error message for a bag below the minimum accuracy.
fn shortfall(bag: &Path, agreement: &Agreement, min_accuracy: f64) -> String {
    if agreement.accuracy.is_none() {
        return format!(
            "{}: no frame is in an interval of --expect, so the accuracy is not measured",
            bag.display()
        );
    }
    format!(
        "{}: {} of the frames are correct, below the minimum of {}",
        bag.display(),
        output::percent(agreement.accuracy),
        output::percent(Some(min_accuracy))
    )
}

/// Prints the intervals that have wrong frames.
fn print_wrong_intervals(agreement: &Agreement) {
    let has_errors = |interval: &&IntervalAgreement| interval.correct < interval.frames;
    for interval in agreement.intervals.iter().filter(has_errors) {
        output::print_error_line(&format!(
            "  {:.2} to {:.2} s, {}: {} of {} frames wrong",
            interval.from,
            interval.to,
            interval.label,
            interval.frames - interval.correct,
            interval.frames
        ));
    }
}

/// Appends one CSV row per frame.
fn write_rows(
    csv: &mut String,
    bag: &Path,
    predictions: &BagPredictions,
    labels: &[Label],
) -> std::fmt::Result {
    let bag = bag.display().to_string().replace('"', "\"\"");
    for frame in &predictions.frames {
        let gesture = frame.gesture().map_or("unknown", |label| labels[label].as_str());
        let familiarity = frame
            .familiarity
            .map(|value| value.to_string())
            .unwrap_or_default();
        write!(
            csv,
            "\"{bag}\",{:.9},{gesture},{},{},{},{},{familiarity}",
            predictions.secs(frame),
            frame.confidence,
            frame.reason,
            frame.stable,
            <&str>::from(frame.recognizer),
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
        "{}, {}: {} on {}, {} frames, {frames_per_sec:.0} per second",
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

/// Prints the number of frames per gesture, when no labels are expected.
fn print_counts(predictions: &BagPredictions, labels: &[Label]) -> anyhow::Result<()> {
    for (index, label) in labels.iter().enumerate() {
        let frames = predictions.frames.iter();
        let count = frames.filter(|frame| frame.gesture() == Some(index)).count();
        output::print_line(&format!("{count:>8} {label}"))?;
    }
    let unknown = predictions.frames.iter().filter(|frame| !frame.reason.is_empty());
    let unknown = unknown.count();
    let unfamiliar = predictions.frames.iter().filter(|frame| frame.is_unfamiliar());
    output::print_line(&match unfamiliar.count() {
        0 => format!("{unknown:>8} unknown"),
        unfamiliar => format!("{unknown:>8} unknown, {unfamiliar} of them unfamiliar"),
    })
}

fn print_agreement(agreement: &Agreement, labels: &[Label]) -> anyhow::Result<()> {
    output::print_line(&format!(
        "{} of {} frames correct: {}",
        agreement.correct,
        agreement.frames,
        output::percent(agreement.accuracy)
    ))?;
    if agreement.unfamiliar > 0 {
        output::print_line(&format!(
            "{} of them unfamiliar, which are unknown gestures; of the others correct: {}",
            agreement.unfamiliar,
            output::percent(agreement.familiar_accuracy)
        ))?;
    }
    for interval in &agreement.intervals {
        let stable = match interval.stable_after {
            Some(after) => format!("stable after {after:.2} s"),
            None => "never stable".to_owned(),
        };
        output::print_line(&format!(
            "{:>8.2} to {:>8.2} s {:<12} {} of {} correct, {stable}",
            interval.from, interval.to, interval.label, interval.correct, interval.frames
        ))?;
    }
    let false_thumbs = agreement.false_thumbs.iter().map(ToString::to_string);
    let recommended = agreement.recommended.iter().map(ToString::to_string);
    for line in false_thumbs.chain(recommended) {
        output::print_line(&line)?;
    }
    print_confusion(labels, &agreement.confusion)
}
