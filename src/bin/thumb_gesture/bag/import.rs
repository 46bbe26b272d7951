//! `thumb_gesture bag import`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::import::{Selection, import_frames};
use thumb_gesture::bag::{DataLoss, ReasonCount};
use thumb_gesture::dataset::{Label, existing_spelling};

use super::{BagOptions, Outcome};
use crate::output;

/// Save frames of bags in a dataset, as training images.
///
/// The frames of each bag are saved as one burst, which a training holds out as a whole or not at all. Frames that look like the one saved
/// before are skipped.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    bag: BagOptions,
    /// Label of the frames; if the dataset spells it differently, such as thumbsup for thumbs_up, they are saved under its spelling
    #[arg(long, value_name = "LABEL")]
    label: String,
    /// Directory of the dataset; created if it does not exist
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Start in seconds from the bag's first frame, at least 0
    #[arg(long, value_name = "SECS", default_value_t = 0.0)]
    from: f64,
    /// End in seconds from the bag's first frame, exclusive [default: the end of the bag]
    #[arg(long, value_name = "SECS")]
    to: Option<f64>,
    /// Import every N-th frame
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Print one JSON object for each bag
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    bag: &'a Path,
    label: &'a Label,
    saved: usize,
    near_duplicates: usize,
    bad_frames: u64,
    bad_reasons: &'a [ReasonCount],
    losses: &'a [DataLoss],
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let label = existing_spelling(&arguments.dataset, &Label::new(&arguments.label)?);
    let selection = Selection {
        from_secs: arguments.from,
        to_secs: arguments.to.unwrap_or(f64::INFINITY),
        every: arguments.every as usize,
    };
    if !(selection.from_secs >= 0.0 && selection.from_secs < selection.to_secs) {
        bail!(
            "--from is {} and --to is {}; --from must be at least 0 and --to greater than --from, in seconds from the bag's first frame",
            selection.from_secs,
            selection.to_secs
        );
    }
    Ok(Outcome::for_each_bag(&arguments.bag.bags, |_, path, outcome| {
        let (bag, topic) = arguments.bag.topic.open(path)?;
        let bar = output::counter("import");
        let summary = import_frames(&bag, &topic, selection, &arguments.dataset, &label, || bar.inc(1))?;
        bar.abandon();
        outcome.report_losses(&summary.losses, &summary.bad_reasons);
        let report = Report {
            bag: path,
            label: &label,
            saved: summary.saved,
            near_duplicates: summary.near_duplicates,
            bad_frames: ReasonCount::total(&summary.bad_reasons),
            bad_reasons: &summary.bad_reasons,
            losses: &summary.losses,
        };
        if arguments.json {
            return output::print_json(&report);
        }
        output::print_line(&format!(
            "{}: {} frames saved as {label}, {} near-duplicates skipped",
            path.display(),
            report.saved,
            report.near_duplicates,
        ))
    }))
}
