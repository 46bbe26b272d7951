//! `thumb_gesture dataset`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use thumb_gesture::dataset::merge::{Source, merge};

use crate::output;

/// Merge datasets, such as those of several robots.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copy the frames of datasets into one
    ///
    /// The frames of robot1=DIR go into the directory robot1 of each label, so that the bursts of several robots stay apart.
    /// Frames that a label has already are not copied: repeat a merge when there are new frames, or after an interruption.
    Merge {
        /// Datasets, each with a name for its frames [default name: the last part of the directory]
        #[arg(required = true, value_name = "[NAME=]DIR")]
        sources: Vec<String>,
        /// Directory of the dataset that they are copied into; it is created if it does not exist
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
        /// Print the result as one JSON list
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Command::Merge { sources, into, json } = arguments.command;
    let sources = sources.iter().map(|text| Source::parse(text));
    let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
    let bar = output::counter("merge");
    let merged = merge(&sources, &into, || bar.inc(1));
    bar.finish_and_clear();
    let merged = merged?;
    for source in &merged {
        for warning in &source.warnings {
            output::print_warning(warning);
        }
    }
    if json {
        output::print_json(&merged)?;
        return Ok(ExitCode::SUCCESS);
    }
    for source in &merged {
        output::print_line(&format!(
            "{}: {} frames copied, {} were there already",
            source.name, source.copied, source.present
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
