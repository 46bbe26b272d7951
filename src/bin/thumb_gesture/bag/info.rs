//! `thumb_gesture bag info`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::{Bag, Contents};

use super::report_losses;
use crate::output;

/// Say what is in bags: topics, types, messages, time, and what cannot be read.
#[derive(Args)]
pub struct Arguments {
    /// Bags, each a folder or a file of one
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
    let mut code = ExitCode::SUCCESS;
    for path in &arguments.bags {
        let bag = Bag::open(path)?;
        let contents = bag.contents()?;
        let report = Report {
            bag: path,
            files: bag.files(),
            contents: &contents,
        };
        match arguments.json {
            true => output::print_json(&report)?,
            false => print_report(&report)?,
        }
        code = report_losses(&contents.losses).unwrap_or(code);
    }
    Ok(code)
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
