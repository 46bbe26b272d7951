//! `thumb_gesture bag info`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::{Bag, Contents};

use super::Outcome;
use crate::output;

/// Say what is in bags: topics, types, messages, time, and what cannot be read.
#[derive(Args)]
pub struct Arguments {
    /// Bags, each a directory or a file of one
    #[arg(required = true, value_name = "BAG")]
    bags: Vec<PathBuf>,
    /// Print one JSON object for each bag
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    bag: &'a Path,
    files: &'a [PathBuf],
    #[serde(flatten)]
    contents: &'a Contents,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    Ok(Outcome::of_each(&arguments.bags, |_, path, outcome| {
        let bag = Bag::open(path)?;
        let contents = bag.contents()?;
        outcome.lose(&contents.losses, 0, &[]);
        let report = Report {
            bag: path,
            files: bag.files(),
            contents: &contents,
        };
        match arguments.json {
            true => output::print_json(&report),
            false => print_report(&report),
        }
    }))
}

fn print_report(report: &Report) -> anyhow::Result<()> {
    let contents = report.contents;
    output::print_line(&format!(
        "{}: {} messages in {:.1} s, {} file(s)",
        report.bag.display(),
        contents.messages,
        contents.duration_secs,
        report.files.len(),
    ))?;
    for topic in &contents.topics {
        let (name, message) = (&topic.topic.name, &topic.topic.message);
        output::print_line(&format!("  {:>8}  {name}  ({message})", topic.messages))?;
    }
    Ok(())
}
