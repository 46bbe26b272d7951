//! `thumb_gesture bag info`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::{Bag, Contents};

use super::Outcome;
use crate::output;

/// Show the topics of bags with their types, encodings and message counts, the duration, and what cannot be read.
#[derive(Args)]
pub(super) struct Arguments {
    /// Bags, each a directory or a file
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

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    Outcome::for_each_bag(&arguments.bags, |_, path, outcome| {
        let bag = Bag::open(path)?;
        let contents = bag.contents()?;
        outcome.report_losses(&contents.losses, &[]);
        let report = Report {
            bag: path,
            files: bag.files(),
            contents: &contents,
        };
        if arguments.json {
            output::print_json(&report)
        } else {
            print_report(&report)
        }
    })
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
        output::print_line(&format!("  {:>8}  {}", topic.messages, topic.topic))?;
    }
    Ok(())
}
