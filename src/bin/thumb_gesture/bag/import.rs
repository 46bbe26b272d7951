//! `thumb_gesture bag import`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::Bag;
use thumb_gesture::bag::import::{Selection, import};
use thumb_gesture::bag::predictions::image_topic;
use thumb_gesture::dataset::Label;

use super::{BagOptions, Outcome};
use crate::output;

/// Save frames of bags in a dataset, to train on.
///
/// Each bag is one burst, which the training holds out as a whole or not at all. Frames that look like the one saved before are left out.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    bag: BagOptions,
    /// What the frames show
    #[arg(long, value_name = "LABEL")]
    label: String,
    /// Directory of the dataset; it is made where it is new
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Only from this time on, seconds from the bag's first frame
    #[arg(long, value_name = "SECS", default_value_t = 0.0)]
    from: f64,
    /// Only up to this time [default: to the end]
    #[arg(long, value_name = "SECS")]
    to: Option<f64>,
    /// Of so many frames one
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
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let label = Label::new(&arguments.label)?;
    let selection = Selection {
        from_secs: arguments.from,
        to_secs: arguments.to.unwrap_or(f64::INFINITY),
        every: arguments.every as usize,
    };
    if !(selection.from_secs >= 0.0 && selection.from_secs < selection.to_secs) {
        anyhow::bail!(
            "--from must be 0 or more, and --to greater: they are seconds from the bag's first frame"
        );
    }
    Ok(Outcome::of_each(&arguments.bag.bags, |_, path, outcome| {
        let bag = Bag::open(path)?;
        let topic = image_topic(&bag, arguments.bag.topic.as_deref())?;
        let bar = output::counter("import");
        let imported = import(&bag, &topic, selection, &arguments.dataset, &label, || bar.inc(1))?;
        bar.abandon();
        outcome.lose(
            &imported.losses,
            imported.bad_frames,
            imported.bad_reason.as_slice(),
        );
        let report = Report {
            bag: path,
            label: &label,
            saved: imported.saved,
            near_duplicates: imported.near_duplicates,
            bad_frames: imported.bad_frames,
        };
        match arguments.json {
            true => output::print_json(&report),
            false => output::print_line(&format!(
                "{}: {} frames saved under {label}, {} near-duplicates left out",
                path.display(),
                report.saved,
                report.near_duplicates,
            )),
        }
    }))
}
