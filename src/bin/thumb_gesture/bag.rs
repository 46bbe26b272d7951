//! `thumb_gesture bag`.

mod compare;
mod evaluate;
mod export;
mod import;
mod info;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context;
use clap::{Args, Subcommand};
use thumb_gesture::bag::Loss;
use thumb_gesture::bag::predictions::Agreement;
use thumb_gesture::bag::timeline::{Heading, Timeline};
use thumb_gesture::decision::DecisionSettings;

use crate::output;

/// Read rosbag2 bags, MCAP or SQLite3, without ROS: look, classify, compare, import, export.
///
/// BAG is a bag's directory, or a file of one. What cannot be read of a damaged bag is named, the rest is read, and the exit status is 2;
/// it is 1 where something has failed.
#[derive(Args)]
pub struct Arguments {
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
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Info(arguments) => info::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Export(arguments) => export::run(arguments),
    }
}

/// The options that name a bag.
#[derive(Args)]
struct BagOptions {
    /// Bags, each a directory or a file of one
    #[arg(required = true, value_name = "BAG")]
    bags: Vec<PathBuf>,
    /// The topic with the images [default: the only one that has some]
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
}

/// The node's parameters of the same names.
#[derive(Args)]
struct DecisionOptions {
    /// Least probability of a prediction
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().threshold, value_parser = parse_share::<f32>)]
    threshold: f32,
    /// Least lead of a prediction over the second likeliest label
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().margin, value_parser = parse_share::<f32>)]
    margin: f32,
    /// By so much a prediction may fall below both before it is given up
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().hysteresis, value_parser = parse_share::<f32>)]
    hysteresis: f32,
    /// Time constant of the smoothing over frames, s
    #[arg(long, value_name = "SECS", default_value_t = DecisionSettings::default().smoothing_secs, value_parser = parse_span)]
    smoothing: f64,
    /// How long a prediction must hold to be stable, s
    #[arg(long, value_name = "SECS", default_value_t = DecisionSettings::default().hold_secs, value_parser = parse_span)]
    hold_time: f64,
}

impl DecisionOptions {
    fn settings(&self) -> DecisionSettings {
        DecisionSettings {
            threshold: self.threshold,
            margin: self.margin,
            hysteresis: self.hysteresis,
            smoothing_secs: self.smoothing,
            hold_secs: self.hold_time,
        }
    }
}

/// Where the page of a bag goes: into the file that was named, or where there are several into that directory, by the bag's place among them.
fn page_of(html: &Path, bag: &Path, place: usize, bags: usize) -> anyhow::Result<PathBuf> {
    if bags == 1 {
        return Ok(html.to_owned());
    }
    std::fs::create_dir_all(html).with_context(|| html.display().to_string())?;
    let name = bag
        .file_name()
        .map_or("bag".into(), |name| name.to_string_lossy());
    Ok(html.join(format!("{}_{name}.html", place + 1)))
}

fn write_page(
    file: &Path,
    timeline: &Timeline,
    heading: Heading,
    agreement: Option<&Agreement>,
) -> anyhow::Result<()> {
    let mut page = Vec::new();
    timeline.write_html(heading, agreement, &mut page)?;
    std::fs::write(file, page).with_context(|| file.display().to_string())
}

fn parse_share<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    parse_within(text, 0, 1)
}

/// Seconds, as far as the node takes them.
fn parse_span(text: &str) -> Result<f64, String> {
    parse_within(text, 0, 60)
}

fn parse_within<T: FromStr + PartialOrd + From<u8>>(text: &str, least: u8, most: u8) -> Result<T, String> {
    let number: T = text.parse().map_err(|_| "not a number".to_owned())?;
    match (T::from(least)..=T::from(most)).contains(&number) {
        true => Ok(number),
        false => Err(format!("must be {least} to {most}")),
    }
}

/// How things went with one bag after the other: each is worked at, whatever becomes of the others.
#[derive(Default)]
struct Outcome {
    has_failed: bool,
    has_lost: bool,
}

impl Outcome {
    /// Works at every bag.
    fn of_each(
        bags: &[PathBuf],
        mut work: impl FnMut(usize, &Path, &mut Outcome) -> anyhow::Result<()>,
    ) -> ExitCode {
        let mut outcome = Outcome::default();
        for (place, path) in bags.iter().enumerate() {
            match work(place, path, &mut outcome) {
                // Nobody reads any more what was found; it was found all the same.
                Err(error) if output::is_broken_pipe(&error) => {}
                Err(error) => outcome.fail(&format!("{}: {}", path.display(), output::error_chain(&error))),
                Ok(()) => {}
            }
        }
        outcome.exit_code()
    }

    /// Says what has failed.
    fn fail(&mut self, reason: &str) {
        self.has_failed = true;
        output::print_error_line(&format!("Error: {reason}"));
    }

    /// Says what was lost of a bag: parts of it, and messages that are no images.
    fn lose(&mut self, losses: &[Loss], bad_frames: u64, bad_reasons: &[String]) {
        self.has_lost |= !losses.is_empty() || bad_frames > 0;
        for loss in losses {
            output::print_error_line(&format!("Warning: {loss}"));
        }
        if bad_frames > 0 {
            let reasons = bad_reasons.join("; ");
            output::print_error_line(&format!(
                "Warning: {bad_frames} messages are no images: {reasons}"
            ));
        }
    }

    fn exit_code(&self) -> ExitCode {
        match (self.has_failed, self.has_lost) {
            (true, _) => ExitCode::FAILURE,
            (false, true) => ExitCode::from(2),
            (false, false) => ExitCode::SUCCESS,
        }
    }
}
