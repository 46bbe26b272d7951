//! `thumb_gesture bag`.

mod compare;
mod evaluate;
mod export;
mod import;
mod info;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use thumb_gesture::bag::Loss;
use thumb_gesture::bag::timeline::{Heading, Timeline};
use thumb_gesture::bag::verdicts::Agreement;
use thumb_gesture::decision::DecisionSettings;

/// Read rosbag2 bags, MCAP or SQLite3, without ROS: look, judge, compare, import, export.
///
/// BAG is a bag's folder, or a file of one. What cannot be read of a damaged bag is named, the rest is read, and the exit status is 2.
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
    /// Bags, each a folder or a file of one
    #[arg(required = true, value_name = "BAG")]
    bags: Vec<PathBuf>,
    /// The topic with the pictures [default: the only one that has some]
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
}

/// The node's parameters of the same names.
#[derive(Args)]
struct DecisionOptions {
    /// Least probability of a verdict
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().threshold)]
    threshold: f32,
    /// Least lead of a verdict over the second likeliest label
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().margin)]
    margin: f32,
    /// By so much a verdict may fall below both before it is given up
    #[arg(long, value_name = "P", default_value_t = DecisionSettings::default().hysteresis)]
    hysteresis: f32,
    /// Time constant of the smoothing over frames, s
    #[arg(long, value_name = "SECS", default_value_t = DecisionSettings::default().smoothing_secs)]
    smoothing: f64,
    /// How long a verdict must hold to be stable, s
    #[arg(long, value_name = "SECS", default_value_t = DecisionSettings::default().hold_secs)]
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

/// Where the page of a bag goes: into the file that was named, or where there are several into a file in that folder.
fn page_of(html: &Path, bag: &Path, bags: usize) -> anyhow::Result<PathBuf> {
    if bags == 1 {
        return Ok(html.to_owned());
    }
    std::fs::create_dir_all(html).with_context(|| html.display().to_string())?;
    let name = bag.file_name().unwrap_or(bag.as_os_str()).to_string_lossy();
    Ok(html.join(format!("{name}.html")))
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

/// Names what was lost; the exit status where something was.
fn report_losses(losses: &[Loss]) -> Option<ExitCode> {
    for loss in losses {
        eprintln!("Warning: {loss}");
    }
    (!losses.is_empty()).then(|| ExitCode::from(2))
}
