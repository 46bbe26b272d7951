//! `thumb_gesture bag export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use thumb_gesture::bag::expected::{labels_beside, write_intervals};
use thumb_gesture::bag::write::BagWriter;
use thumb_gesture::dataset::{Dataset, Label, LabeledFrames, SkippedFile, summarize};
use thumb_gesture::frame::Frame;

use crate::output;

/// Time of the first frame, nanoseconds since the epoch. It is constant so that the same dataset gives the same bag.
const START_NS: u64 = 1_700_000_000_000_000_000;

/// Write a dataset as a bag, label after label and sorted by file name.
///
/// The expected labels are written to OUTPUT.labels.yaml, for `bag evaluate OUTPUT --expect OUTPUT.labels.yaml`.
#[derive(Args)]
pub(super) struct Arguments {
    /// Directory of the dataset, with one directory of images per label
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Label to export, may be repeated [default: all]
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Topic of the images
    #[arg(long, value_name = "NAME", default_value = "/jetbot/camera/image_raw", value_parser = parse_topic)]
    topic: String,
    /// Frames per second, 1 to 1000
    #[arg(long, value_name = "HZ", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Number of times that each image is written, 1 to 1000; one that repeats for longer than the stale timeout is stale
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Directory of the new bag; must not exist
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let dataset = Dataset::read(&arguments.dataset).context("dataset")?;
    let selected = select_labels(&dataset, &arguments.labels)?;
    for warning in dataset.warnings() {
        output::print_warning(&warning);
    }
    // Removes a trailing slash.
    let output: PathBuf = arguments.output.components().collect();
    let labels = labels_beside(&output);
    let written = write_bag(arguments, &output, &labels, &selected)?;
    output::print_line(&format!(
        "{}: {written} frames in {:.1} s on {}; expected labels: {}",
        output.display(),
        arguments.secs(written),
        arguments.topic,
        labels.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the bag, and the expected labels before it appears. Returns the number of its frames.
fn write_bag(
    arguments: &Arguments,
    bag: &Path,
    labels: &Path,
    selected: &[&LabeledFrames],
) -> anyhow::Result<u64> {
    let files = selected.iter().map(|frames| frames.files.len()).sum();
    let bar = output::bar("export", files);
    let mut writer = BagWriter::create(bag, &arguments.topic)?;
    let mut intervals = String::new();
    let mut written = 0;
    let mut skipped = Vec::new();
    for frames in selected {
        let first = written;
        for file in &frames.files {
            bar.inc(1);
            let image = match Frame::from_file(file) {
                Ok(frame) => frame.to_rgb_image(),
                Err(error) => {
                    skipped.push(SkippedFile::new(file, &error));
                    continue;
                }
            };
            for _ in 0..arguments.repeat {
                let frame_id = format!("camera_{}", frames.label);
                writer.write(arguments.time_ns(written), &frame_id, &image)?;
                written += 1;
            }
        }
        if written > first {
            intervals += &arguments.interval(first, written, &frames.label)?;
        }
    }
    bar.abandon();
    for warning in summarize(None, &skipped) {
        output::print_warning(&warning);
    }
    if written == 0 {
        bail!("{} has no valid images", arguments.dataset.display());
    }
    let is_new = write_intervals(labels, &intervals)?;
    writer.finish().inspect_err(|_| {
        if is_new {
            drop(std::fs::remove_file(labels));
        }
    })?;
    Ok(written)
}

impl Arguments {
    /// The time of a frame, nanoseconds since the epoch.
    fn time_ns(&self, frame: u64) -> u64 {
        START_NS + frame * 1_000_000_000 / u64::from(self.rate)
    }

    /// The time of a frame, seconds from the first frame.
    fn secs(&self, frame: u64) -> f64 {
        frame as f64 / f64::from(self.rate)
    }

    /// The YAML line with the label of the frames from `first` to before `end`.
    fn interval(&self, first: u64, end: u64, label: &Label) -> serde_json::Result<String> {
        // Half a frame earlier, so that rounding cannot move a frame to the neighboring interval.
        let [from, to] = [first, end].map(|frame| self.secs(frame) - 0.5 / f64::from(self.rate));
        // A label such as `null` needs quotes in YAML; a JSON string is a valid YAML string.
        let label = serde_json::to_string(label)?;
        Ok(format!("- {{from: {from:.4}, to: {to:.4}, label: {label}}}\n"))
    }
}

fn select_labels<'a>(dataset: &'a Dataset, labels: &[String]) -> anyhow::Result<Vec<&'a LabeledFrames>> {
    if labels.is_empty() {
        return Ok(dataset.labels.iter().collect());
    }
    let find = |label: &String| {
        let known: Vec<Label> = dataset.labels.iter().map(|frames| frames.label.clone()).collect();
        let found = Label::find(&known, label).map(|index| &dataset.labels[index]);
        found.with_context(|| {
            let known: Vec<&str> = known.iter().map(Label::as_str).collect();
            format!(
                "the dataset has no label {label}; its labels: {}",
                known.join(", ")
            )
        })
    };
    labels.iter().map(find).collect()
}

/// Checks that a topic is absolute and that each part has only letters, digits and `_` and does not start with a digit.
fn parse_topic(name: &str) -> Result<String, String> {
    let is_word = |word: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        word.starts_with(|c: char| is_letter(c) && !c.is_ascii_digit()) && word.chars().all(is_letter)
    };
    match name.strip_prefix('/') {
        Some(words) if words.split('/').all(is_word) => Ok(name.to_owned()),
        _ => Err("must be an absolute name such as /jetbot/camera/image_raw".to_owned()),
    }
}
