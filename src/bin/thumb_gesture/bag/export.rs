//! `thumb_gesture bag export`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use thumb_gesture::bag::write::BagWriter;
use thumb_gesture::dataset::{Dataset, LabelledFrames};
use thumb_gesture::frame::Frame;

use crate::output;

/// The first frame's time, nanoseconds since the epoch: the same dataset gives the same bag.
const START_NS: u64 = 1_700_000_000_000_000_000;

/// Make a bag of a dataset, to be played or classified: label after label, in the order of the files' names.
///
/// Beside the bag, in OUTPUT.labels.yaml, stands what it shows when: `bag evaluate OUTPUT --expect OUTPUT.labels.yaml`.
#[derive(Args)]
pub struct Arguments {
    /// Directory with one directory of JPEG or PNG images for each label
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Only these labels [default: all]
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// The topic
    #[arg(long, value_name = "NAME", default_value = "/jetbot/camera/image_raw", value_parser = parse_topic)]
    topic: String,
    /// Frames a second
    #[arg(long, value_name = "HZ", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// How often each frame is shown, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// The bag's directory, which must not be there yet
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let dataset = Dataset::read(&arguments.dataset).context("dataset")?;
    let chosen = chosen(&dataset, &arguments.labels)?;
    let total: usize = chosen.iter().map(|frames| frames.files.len()).sum();
    // Without a slash at its end.
    let output: PathBuf = arguments.output.components().collect();
    let labels = PathBuf::from(format!("{}.labels.yaml", output.display()));
    if labels.exists() {
        bail!("{} exists", labels.display());
    }
    let bar = output::bar("export", total);
    let mut writer = BagWriter::create(&output, &arguments.topic)?;
    let time_ns = |frame: u64| START_NS + frame * 1_000_000_000 / u64::from(arguments.rate);
    let secs = |frame: u64| frame as f64 / f64::from(arguments.rate);
    let mut intervals = String::new();
    let mut shown = 0;
    for frames in chosen {
        let from = shown;
        for file in &frames.files {
            bar.inc(1);
            let image = match Frame::from_file(file) {
                Ok(frame) => frame.to_rgb_image(),
                Err(error) => {
                    eprintln!("left out {}: {error}", file.display());
                    continue;
                }
            };
            for _ in 0..arguments.repeat {
                writer.add(time_ns(shown), &format!("camera_{}", frames.label), &image)?;
                shown += 1;
            }
        }
        if shown > from {
            // Between two frames, so that no rounding decides on which side one is.
            let bounds = (
                secs(from) - 0.5 / f64::from(arguments.rate),
                secs(shown) - 0.5 / f64::from(arguments.rate),
            );
            let (from, to) = bounds;
            // What JSON quotes, YAML reads: a label may be called null.
            let label = serde_json::to_string(&frames.label)?;
            intervals += &format!("- {{from: {from:.4}, to: {to:.4}, label: {label}}}\n");
        }
    }
    bar.abandon();
    if shown == 0 {
        bail!("{} holds no images", arguments.dataset.display());
    }
    writer.finish()?;
    std::fs::write(&labels, intervals).with_context(|| labels.display().to_string())?;
    output::print_line(&format!(
        "{}: {shown} frames in {:.1} s on {}; what they show: {}",
        output.display(),
        secs(shown),
        arguments.topic,
        labels.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn chosen<'a>(dataset: &'a Dataset, labels: &[String]) -> anyhow::Result<Vec<&'a LabelledFrames>> {
    if labels.is_empty() {
        return Ok(dataset.labels.iter().collect());
    }
    let find = |label: &String| {
        let found = dataset
            .labels
            .iter()
            .find(|frames| frames.label.as_str() == label);
        found.with_context(|| {
            let known: Vec<&str> = dataset
                .labels
                .iter()
                .map(|frames| frames.label.as_str())
                .collect();
            format!("the dataset has no label {label}; it has {}", known.join(", "))
        })
    };
    labels.iter().map(find).collect()
}

/// An absolute name of letters, digits, `_` and `/`.
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
