//! `thumb_gesture bag`.

mod compare;
mod evaluate;
mod export;
mod import;
mod info;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgAction, Args, Subcommand};
use thumb_gesture::bag::agreement::Agreement;
use thumb_gesture::bag::image::{COMPRESSED_IMAGE, IMAGE, image_topic};
use thumb_gesture::bag::timeline::{PageInfo, Timeline};
use thumb_gesture::bag::{Bag, DataLoss, ReasonCount, Topic};
use thumb_gesture::dataset::Label;
use thumb_gesture::decision::DecisionSettings;
use thumb_gesture::disk;
use thumb_gesture::metrics::ConfusionMatrix;

use crate::numbers::{parse_in_range, parse_share};
use crate::output;

/// Inspect, classify, compare, import and export rosbag2 bags (MCAP or SQLite3), without ROS.
///
/// BAG is the directory of a bag or one of its files. Parts of a damaged bag that cannot be read are reported, the rest is used, and the
/// exit status is 2. The exit status is 1 after an error.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Info(info::Arguments),
    Evaluate(evaluate::Arguments),
    Compare(compare::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Summary(summary::Arguments),
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Info(arguments) => Ok(info::run(&arguments)),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Summary(arguments) => summary::run(&arguments),
    }
}

#[derive(Args)]
struct BagOptions {
    /// Bags, each a directory or a file
    #[arg(required = true, value_name = "BAG")]
    bags: Vec<PathBuf>,
    #[command(flatten)]
    topic: TopicOptions,
}

#[derive(Args)]
struct TopicOptions {
    /// Topic with the images [default: the only one with images]
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Type of the messages on --topic, for a recording that does not say it
    #[arg(long = "type", value_name = "TYPE", requires = "topic", value_parser = [IMAGE, COMPRESSED_IMAGE])]
    message_type: Option<String>,
}

impl TopicOptions {
    /// Opens a bag and finds the topic with the images.
    fn open(&self, path: &Path) -> anyhow::Result<(Bag, Topic)> {
        let mut bag = Bag::open(path)?;
        if let (Some(topic), Some(message_type)) = (&self.topic, &self.message_type) {
            bag.assume_type(topic, message_type);
        }
        let topic = image_topic(&bag, self.topic.as_deref())?;
        Ok((bag, topic))
    }
}

/// The options that correspond to parameters of the node.
#[derive(Args)]
struct DecisionOptions {
    /// Minimum probability of a gesture, 0 to 1
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().threshold, value_parser = parse_share::<f32>)]
    threshold: f32,
    /// Minimum lead of a gesture over the second most probable label, 0 to 1
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().margin, value_parser = parse_share::<f32>)]
    margin: f32,
    /// How far a gesture may fall below threshold and margin before it is dropped, 0 to 1
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().hysteresis, value_parser = parse_share::<f32>)]
    hysteresis: f32,
    /// Time constant of the smoothing over frames in seconds, 0 to 60
    #[arg(long, value_name = "SECS", default_value_t = DecisionSettings::default().smoothing_secs, value_parser = parse_secs)]
    smoothing: f64,
    /// How long a gesture must last to be stable, in seconds, 0 to 60
    #[arg(long, value_name = "SECS", default_value_t = DecisionSettings::default().hold_secs, value_parser = parse_secs)]
    hold_time: f64,
    /// Longest time without a frame, a new stamp or a new image, in seconds, 0.05 to 60
    #[arg(long, value_name = "SECS", default_value_t = DecisionSettings::default().stale_secs, value_parser = parse_stale_timeout)]
    stale_timeout: f64,
    /// Whether images that repeat the last 8, bit for bit, for the stale timeout are unknown; false for simulators without noise
    #[arg(long, value_name = "BOOL", default_value_t = DecisionSettings::default().detect_frozen_camera, action = ArgAction::Set)]
    detect_frozen_camera: bool,
}

impl DecisionOptions {
    fn settings(&self) -> DecisionSettings {
        DecisionSettings {
            threshold: self.threshold,
            margin: self.margin,
            hysteresis: self.hysteresis,
            smoothing_secs: self.smoothing,
            hold_secs: self.hold_time,
            stale_secs: self.stale_timeout,
            detect_frozen_camera: self.detect_frozen_camera,
        }
    }
}

/// The HTML file of a bag: `html` itself for a single bag, otherwise `<number>_<bag>.html` in the directory `html`, which is created.
fn page_path(html: &Path, bag: &Path, index: usize, bags: usize) -> anyhow::Result<PathBuf> {
    if bags == 1 {
        return Ok(html.to_owned());
    }
    disk::create_private_directory(html).with_context(|| html.display().to_string())?;
    let name = bag
        .file_name()
        .map_or("bag".into(), |name| name.to_string_lossy());
    Ok(html.join(format!("{}_{name}.html", index + 1)))
}

fn write_page(
    file: &Path,
    timeline: &Timeline,
    info: PageInfo,
    agreement: Option<&Agreement>,
) -> anyhow::Result<()> {
    let mut page = Vec::new();
    timeline.write_html(info, agreement, &mut page)?;
    disk::write_private_output(file, &page).with_context(|| file.display().to_string())
}

/// Parses seconds, with the range of the node's parameters.
fn parse_secs(text: &str) -> Result<f64, String> {
    parse_in_range(text, 0.0, 60.0)
}

/// Parses a number per minute, with the range of the node's parameter.
fn parse_rate(text: &str) -> Result<f64, String> {
    parse_in_range(text, 0.0, 60.0)
}

fn parse_stale_timeout(text: &str) -> Result<f64, String> {
    parse_in_range(text, 0.05, 60.0)
}

/// Prints how the frames of each label were classified.
fn print_confusion(labels: &[Label], confusion: &ConfusionMatrix) -> anyhow::Result<()> {
    let gestures: Vec<&str> = labels.iter().map(Label::as_str).chain(["unknown"]).collect();
    for (label, row) in labels.iter().zip(confusion.rows()) {
        let counts = gestures
            .iter()
            .zip(row)
            .map(|(gesture, count)| format!("{gesture} {count}"));
        let counts: Vec<String> = counts.collect();
        output::print_line(&format!("{label} classified as: {}", counts.join(", ")))?;
    }
    Ok(())
}

/// The errors and losses of all bags, for the exit status.
#[derive(Default)]
struct Outcome {
    has_failed: bool,
    has_losses: bool,
}

impl Outcome {
    /// Processes each bag. An error is reported and does not prevent processing the next bag.
    fn for_each_bag(
        bags: &[PathBuf],
        mut process: impl FnMut(usize, &Path, &mut Outcome) -> anyhow::Result<()>,
    ) -> ExitCode {
        let mut outcome = Outcome::default();
        for (index, path) in bags.iter().enumerate() {
            match process(index, path, &mut outcome) {
                Ok(()) => {}
                // Standard output was closed (`| head`), which is not a failure.
                Err(error) if output::is_broken_pipe(&error) => {}
                Err(error) => {
                    let (path, reason) = (path.display().to_string(), output::error_chain(&error));
                    if reason.starts_with(&path) {
                        outcome.report_failure(&reason);
                    } else {
                        outcome.report_failure(&format!("{path}: {reason}"));
                    }
                }
            }
        }
        outcome.exit_code()
    }

    fn report_failure(&mut self, reason: &str) {
        self.has_failed = true;
        output::print_error_line(&format!("Error: {reason}"));
    }

    /// Reports what could not be read of a bag, and messages that are not valid images; returns what it has reported.
    fn report_losses(&mut self, losses: &[DataLoss], bad_reasons: &[ReasonCount]) -> Vec<String> {
        let mut warnings = DataLoss::summaries(losses);
        warnings.extend(ReasonCount::summary(bad_reasons));
        for warning in &warnings {
            self.has_losses = true;
            output::print_warning(warning);
        }
        warnings
    }

    fn exit_code(&self) -> ExitCode {
        if self.has_failed {
            ExitCode::FAILURE
        } else if self.has_losses {
            ExitCode::from(2)
        } else {
            ExitCode::SUCCESS
        }
    }
}
