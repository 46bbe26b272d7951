//! `thumb_gesture bag summary`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::summary::{Regression, Summary};
use thumb_gesture::disk;

use super::print_confusion;
use crate::numbers::parse_share;
use crate::output;

/// An accuracy of 46 of 50 is not above 45 of 50 by more than 0.02.
const ROUNDING: f64 = 1e-9;
/// Longest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Merge the summaries that `bag evaluate --summary` has written, and print the worst recordings first.
///
/// The parts of a list of bags, each evaluated with --shard, are merged to the summary of the whole list, bit for bit.
/// A part that is missing is an error; one that is there twice, as a worker delivers that was taken for dead, is none.
/// With --baseline the recordings that became worse come first; --max-drop makes that an error, and recordings of the baseline that are missing.
#[derive(Args)]
pub(super) struct Arguments {
    /// Files of `bag evaluate --summary` or of this command
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the merged summary to this JSON file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// An earlier summary, to compare with
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Fail if the accuracy of a recording is lower than in the baseline by more than this, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "baseline", value_parser = parse_share::<f64>)]
    max_drop: Option<f64>,
    /// Number of recordings that are printed
    #[arg(long, value_name = "N", default_value_t = 10)]
    worst: usize,
    /// Print the sums, and what became worse, as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    totals: &'a thumb_gesture::bag::summary::Totals,
    regressions: &'a [Regression],
    /// Recordings of the baseline that were not compared now.
    missing: &'a [&'a str],
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let parts = arguments.files.iter().map(|file| read(file));
    let parts: Vec<Summary> = parts.collect::<anyhow::Result<_>>()?;
    let summary = Summary::merge(parts)?;
    // Before the output is written, which may be the same file.
    let baseline = arguments.baseline.as_deref().map(read).transpose()?;
    let baseline = baseline.map(|before| Summary::merge([before])).transpose()?;
    if let Some(file) = &arguments.output {
        write(file, &summary)?;
    }
    let regressions = baseline
        .as_ref()
        .map_or(Vec::new(), |before| summary.regressions(before));
    let missing = baseline
        .as_ref()
        .map_or(Vec::new(), |before| summary.no_longer_compared(before));
    if arguments.json {
        output::print_json(&Report {
            totals: &summary.totals,
            regressions: &regressions,
            missing: &missing,
        })?;
    } else {
        print_report(arguments, &summary, &regressions, &missing)?;
    }
    let Some(max_drop) = arguments.max_drop else {
        return Ok(ExitCode::SUCCESS);
    };
    let too_much = |found: &&Regression| found.before - found.now > max_drop + ROUNDING;
    let failures = regressions.iter().filter(too_much).count();
    if failures > 0 {
        bail!(
            "recordings whose accuracy is lower than in the baseline by more than {}: {failures}",
            output::percent(Some(max_drop))
        );
    }
    if !missing.is_empty() {
        bail!(
            "recordings of the baseline that were not compared now, or have other paths: {}",
            missing.len()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a summary for `bag summary`.
pub(super) fn write(file: &Path, summary: &Summary) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec(summary)?;
    json.push(b'\n');
    disk::write_output(file, &json).with_context(|| file.display().to_string())
}

fn read(file: &Path) -> anyhow::Result<Summary> {
    let what = || file.display().to_string();
    let json = disk::read_file(file, MAX_FILE_BYTES).with_context(what)?;
    let parsed =
        serde_json::from_slice(&json).context("not a summary, which `bag evaluate --summary` writes");
    parsed.with_context(what)
}

fn print_report(
    arguments: &Arguments,
    summary: &Summary,
    regressions: &[Regression],
    missing: &[&str],
) -> anyhow::Result<()> {
    let totals = &summary.totals;
    output::print_line(&format!(
        "{} recordings, {} frames: {} on {}",
        totals.bags, totals.frames, summary.setup.model_id, summary.setup.backend
    ))?;
    if totals.failed + totals.damaged > 0 {
        output::print_line(&format!(
            "{} of them could not be evaluated, {} are damaged",
            totals.failed, totals.damaged
        ))?;
    }
    output::print_line(&format!(
        "{} of {} frames correct: {}",
        totals.correct,
        totals.compared,
        output::percent(totals.accuracy)
    ))?;
    if let Some(false_thumbs) = &totals.false_thumbs {
        output::print_line(&false_thumbs.to_string())?;
    }
    print_confusion(&summary.setup.labels, &totals.confusion)?;
    if arguments.baseline.is_some() {
        output::print_line(&format!("{} recordings became worse", regressions.len()))?;
        for Regression { bag, before, now } in regressions.iter().take(arguments.worst) {
            let (before, now) = (output::percent(Some(*before)), output::percent(Some(*now)));
            output::print_line(&format!("{now:>10}, before {before:>7}  {bag}"))?;
        }
    }
    for bag in missing.iter().take(arguments.worst) {
        output::print_line(&format!("      not compared now  {bag}"))?;
    }
    let worst = summary.worst();
    output::print_line(&format!(
        "worst of {} recordings with expected labels:",
        worst.len()
    ))?;
    for (bag, accuracy) in worst.into_iter().take(arguments.worst) {
        let error = bag
            .error
            .as_ref()
            .map_or(String::new(), |error| format!(": {error}"));
        output::print_line(&format!(
            "{:>10}  {}{error}",
            output::percent(Some(accuracy)),
            bag.bag
        ))?;
    }
    Ok(())
}
