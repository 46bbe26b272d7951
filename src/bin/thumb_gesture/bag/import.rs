//! `thumb_gesture bag import`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{bail, ensure};
use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::expected::{Interval, read_intervals};
use thumb_gesture::bag::import::{
    Found, ImportSummary, OtherLabel, Selection, Target, find_hard, find_selected, import_frames,
};
use thumb_gesture::bag::{Bag, DataLoss, ReasonCount, Topic};
use thumb_gesture::dataset::{Label, existing_spelling, sweep};
use thumb_gesture::gesture::Gesture;
use thumb_gesture::recognizer::Recognizer;
use thumb_gesture::recognizer::model::Model;

use super::{BagOptions, Outcome};
use crate::output;
use crate::runtime::ModelOptions;

/// Number of frames that are saved with --hard by default.
const HARD_FRAMES: usize = 100;

/// Save frames of bags in a dataset, as training images.
///
/// The frames of each bag are saved as one burst, which a training holds out as a whole or not at all. Frames that look like the one saved
/// before are skipped.
///
/// With --hard only those are saved that a model, or the built-in recognizer, does not recognize as the label, or only just. They teach the
/// most, such as frames without a gesture that are taken for a thumb; but a recording that does show thumbs teaches the wrong thing, so
/// look at the saved images.
#[derive(Args)]
#[command(mut_group("ModelOptions", |group| group.requires("hard")), mut_group("RuntimeOptions", |group| group.requires("hard")))]
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
    /// YAML file as for bag evaluate; import only frames in intervals of the label, for none also those in no interval
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Import every N-th frame
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Import at most N frames, spread evenly, of which no two look alike [default: all, 100 with --hard]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: Option<u32>,
    /// Import only frames that are hard for the model: taken for another label, uncertain, or changing without a hand
    #[arg(long)]
    hard: bool,
    /// With --hard, import even if a hand shows another gesture, or more than half of the frames are taken for others
    #[arg(long, requires = "hard")]
    force: bool,
    #[command(flatten)]
    model: ModelOptions,
    /// Print one JSON object for each bag
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    bag: &'a Path,
    label: &'a Label,
    saved: usize,
    /// Frames that an earlier import has saved.
    present: usize,
    near_duplicates: usize,
    /// With --frames or --hard, the number of frames that were to choose from.
    #[serde(skip_serializing_if = "Option::is_none")]
    selected: Option<usize>,
    #[serde(flatten)]
    hard: Option<HardReport<'a>>,
    bad_frames: u64,
    bad_reasons: &'a [ReasonCount],
    losses: &'a [DataLoss],
}

/// The result of --hard.
#[derive(Serialize)]
struct HardReport<'a> {
    model_id: &'a str,
    /// Number of selected frames that are hard.
    hard: usize,
    /// Why the saved frames are hard, with their numbers.
    reasons: BTreeMap<String, usize>,
}

/// What finds hard frames.
struct HardFinder {
    model: Model,
    recognizer: Recognizer,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    sweep(&arguments.dataset);
    let label = existing_spelling(&arguments.dataset, &Label::new(&arguments.label)?);
    let expected = arguments.expect.as_deref();
    let selection = Selection {
        from_secs: arguments.from,
        to_secs: arguments.to.unwrap_or(f64::INFINITY),
        every: arguments.every as usize,
        intervals: expected.map(|file| intervals(file, &label)).transpose()?,
    };
    if !(selection.from_secs >= 0.0 && selection.from_secs < selection.to_secs) {
        bail!(
            "--from is {} and --to is {}; --from must be at least 0 and --to greater than --from, in seconds from the bag's first frame",
            selection.from_secs,
            selection.to_secs
        );
    }
    let finder = arguments.hard.then(|| HardFinder::load(&arguments.model, &label));
    let mut import = Import {
        arguments,
        label,
        selection,
        finder: finder.transpose()?,
    };
    Ok(Outcome::for_each_bag(&arguments.bag.bags, |_, path, outcome| {
        import.import(path, outcome)
    }))
}

/// The intervals of a file, of which at least one must have the label, unless that is none.
fn intervals(file: &Path, label: &Label) -> anyhow::Result<Vec<Interval>> {
    let intervals = read_intervals(file)?;
    let is_none = Gesture::from_label(label.as_str()) == Gesture::None;
    ensure!(
        is_none
            || intervals
                .iter()
                .any(|interval| label.is_spelling_of(&interval.label)),
        "{}: no interval has the label {label}",
        file.display()
    );
    Ok(intervals)
}

impl HardFinder {
    fn load(options: &ModelOptions, label: &Label) -> anyhow::Result<HardFinder> {
        let model = options.chosen()?;
        let labels = model.labels();
        ensure!(
            Label::find(labels, label.as_str()).is_some(),
            "{} does not have the label {label}, so that all frames are hard for it; import them without --hard; its labels are {}",
            model.id(),
            labels.iter().map(Label::as_str).collect::<Vec<_>>().join(", ")
        );
        Ok(HardFinder {
            recognizer: options.load(&model)?.recognizer,
            model,
        })
    }
}

/// What the bags of a run share.
struct Import<'a> {
    arguments: &'a Arguments,
    label: Label,
    selection: Selection,
    finder: Option<HardFinder>,
}

impl Import<'_> {
    fn import(&mut self, path: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
        let (bag, topic) = self.arguments.bag.topic.open(path)?;
        let found = self.find(&bag, &topic)?;
        if let (Some(found), Some(finder)) = (&found, &self.finder)
            && !self.arguments.force
        {
            check_label(found, finder, &self.label)?;
        }
        let target = Target {
            dataset: &self.arguments.dataset,
            label: &self.label,
        };
        let bar = output::counter("import");
        let summary = match &found {
            None => import_frames(&bag, &topic, &self.selection, target, || bar.inc(1))?,
            Some(found) => {
                let frames = self
                    .arguments
                    .frames
                    .map_or(HARD_FRAMES, |frames| frames as usize);
                found.import(&bag, &topic, frames, target, || bar.inc(1))?
            }
        };
        bar.abandon();
        outcome.report_losses(&summary.losses, &summary.bad_reasons);
        self.print(path, found.as_ref(), &summary)
    }

    /// The first pass, if not all frames are saved.
    fn find(&mut self, bag: &Bag, topic: &Topic) -> anyhow::Result<Option<Found>> {
        if self.finder.is_none() && self.arguments.frames.is_none() {
            return Ok(None);
        }
        let bar = output::counter("find");
        let on_frame = || bar.inc(1);
        let (selection, label) = (&self.selection, &self.label);
        let found = match &mut self.finder {
            Some(HardFinder { model, recognizer }) => {
                let labels = model.labels();
                find_hard(bag, topic, selection, label, labels, recognizer, on_frame)?
            }
            None => find_selected(bag, topic, selection, label, on_frame)?,
        };
        bar.abandon();
        Ok(Some(found))
    }

    fn print(&self, path: &Path, found: Option<&Found>, summary: &ImportSummary) -> anyhow::Result<()> {
        let hard = self.finder.as_ref().zip(found).map(|(finder, found)| HardReport {
            model_id: finder.model.id(),
            hard: found.candidates.len(),
            reasons: reasons(summary, finder),
        });
        let report = Report {
            bag: path,
            label: &self.label,
            saved: summary.saved,
            present: summary.present,
            near_duplicates: summary.near_duplicates,
            selected: found.map(|found| found.frames),
            hard,
            bad_frames: ReasonCount::total(&summary.bad_reasons),
            bad_reasons: &summary.bad_reasons,
            losses: &summary.losses,
        };
        if self.arguments.json {
            output::print_json(&report)
        } else {
            output::print_line(&report.line(&self.arguments.dataset))
        }
    }
}

/// Why the saved frames are hard.
fn reasons(summary: &ImportSummary, finder: &HardFinder) -> BTreeMap<String, usize> {
    let labels = finder.model.labels();
    let reasons = summary.hard.iter();
    reasons
        .map(|(reason, count)| (reason.describe(labels), *count))
        .collect()
}

/// Fails if the frames may well show another label: if one is stable with a hand in sight, or most frames are taken for others.
fn check_label(found: &Found, finder: &HardFinder, label: &Label) -> anyhow::Result<()> {
    let (id, labels) = (finder.model.id(), finder.model.labels());
    let (wrong, frames) = (found.wrong(), found.frames);
    let doubt = match found.other_label {
        Some(OtherLabel { label, secs }) => {
            format!(
                "{id} sees a hand and a stable {} after {secs:.1} s",
                labels[label]
            )
        }
        None if 2 * wrong > frames => {
            format!("{id} takes {wrong} of {frames} frames for another label than {label}")
        }
        None => return Ok(()),
    };
    bail!(
        "{doubt}; nothing was saved, because the recording may well show that; look at it with `bag evaluate --html`, \
         select a part with --from and --to or --expect, or add --force if all frames show {label}"
    )
}

impl Report<'_> {
    fn line(&self, dataset: &Path) -> String {
        let Report {
            label,
            saved,
            near_duplicates,
            ..
        } = self;
        let bag = self.bag.display();
        let earlier = match self.present {
            0 => String::new(),
            present => format!(", {present} were saved by an earlier import"),
        };
        match (self.selected, &self.hard) {
            (Some(0), _) => format!("{bag}: no frame is selected, nothing was saved"),
            (Some(selected), Some(hard)) if hard.hard == 0 => format!(
                "{bag}: nothing to learn: {} recognizes all {selected} frames as {label}, nothing was saved",
                hard.model_id
            ),
            (Some(selected), Some(hard)) => {
                let reasons = hard.reasons.iter();
                let reasons: Vec<String> = reasons
                    .map(|(reason, count)| format!("{count} {reason}"))
                    .collect();
                format!(
                    "{bag}: {saved} frames saved as {label}{earlier}, of {} that are hard for {} among {selected}: {}; \
                     look at them in {}, and delete those that do not show {label}",
                    hard.hard,
                    hard.model_id,
                    reasons.join(", "),
                    dataset.join(label.as_str()).display(),
                )
            }
            (Some(selected), None) => {
                format!(
                    "{bag}: {saved} of {selected} frames saved as {label}{earlier}, {near_duplicates} near-duplicates skipped"
                )
            }
            (None, _) => {
                format!(
                    "{bag}: {saved} frames saved as {label}{earlier}, {near_duplicates} near-duplicates skipped"
                )
            }
        }
    }
}
