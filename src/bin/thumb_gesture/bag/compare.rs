//! `thumb_gesture bag compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::predictions::{BagPredictions, classify_bag};
use thumb_gesture::bag::timeline::{PageInfo, Timeline};
use thumb_gesture::bag::{Bag, DataLoss, ReasonCount, Topic, secs_between};
use thumb_gesture::dataset::Label;
use thumb_gesture::model_store::{ModelStore, StoreError};
use thumb_gesture::recognizer::model::Model;

use super::{DecisionOptions, Outcome, TopicOptions, write_page};
use crate::output;
use crate::runtime::RuntimeOptions;

/// Show the frames of a bag for which two models give different gestures.
///
/// With --html the page shows an image of the first frame of each difference.
#[derive(Args)]
pub(super) struct Arguments {
    /// The bag, a directory or a file
    #[arg(value_name = "BAG")]
    bag: PathBuf,
    #[command(flatten)]
    topic: TopicOptions,
    /// Directory of trained models
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Ids of the two models, one of which may be builtin [default: the previously active model, or builtin without one, and the active one]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    models: Vec<String>,
    /// Write an HTML page with a timeline and images to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    decision: DecisionOptions,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    bag: PathBuf,
    topic: &'a str,
    models: &'a [String],
    frames: usize,
    /// The number of frames with different gestures.
    differ: usize,
    /// These frames, as spans of constant gestures.
    spans: Vec<Difference<'a>>,
    bad_frames: u64,
    bad_reasons: &'a [ReasonCount],
    losses: &'a [DataLoss],
}

#[derive(Serialize)]
struct Difference<'a> {
    /// Time of the first frame, seconds from the first frame of the bag.
    from: f64,
    /// Time of the last frame.
    to: f64,
    frames: usize,
    /// The gesture of each model.
    seen: Vec<&'a str>,
}

/// What was used before the active model.
fn previous(store: &ModelStore) -> Result<Model, StoreError> {
    match store.previous_id() {
        Ok(id) => Model::open(store, &id),
        Err(StoreError::NoEarlierModel) => Ok(Model::builtin()),
        Err(error) => Err(error),
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let store = ModelStore::open_existing(&arguments.store)?;
    let models: [Model; 2] = match &arguments.models[..] {
        [] => [previous(&store)?, store.model_or_active(None)?.into()],
        [first, second] => [Model::open(&store, first)?, Model::open(&store, second)?],
        given => bail!(
            "--models has {} ids, must be two such as A,B; `thumb_gesture models list` shows them",
            given.len()
        ),
    };
    let ids = models.each_ref().map(|model| model.id().to_owned());
    let labels = common_labels(&models)?;
    let (bag, topic) = arguments.topic.open(&arguments.bag)?;
    let (predictions, timeline) = classify(arguments, &bag, &topic, &models, &labels)?;
    let mut outcome = Outcome::default();
    outcome.report_losses(&predictions.losses, &predictions.bad_reasons);
    let spans = differences(&timeline, &labels);
    let report = Report {
        bag: arguments.bag.clone(),
        topic: &topic.name,
        models: &ids,
        frames: predictions.frames.len(),
        differ: spans.iter().map(|span| span.frames).sum(),
        spans,
        bad_frames: predictions.bad_frames,
        bad_reasons: &predictions.bad_reasons,
        losses: &predictions.losses,
    };
    if let Some(html) = &arguments.html {
        let info = PageInfo {
            bag: &arguments.bag.display().to_string(),
            topic: &topic.name,
            models: &ids,
            labels: &labels,
        };
        write_page(html, &timeline, info, None)?;
    }
    if arguments.json {
        output::print_json(&report)?;
    } else {
        print_report(&report)?;
    }
    Ok(outcome.exit_code())
}

/// Classifies the bag with one model after the other. Returns the predictions of the first model, and the timeline of both.
fn classify(
    arguments: &Arguments,
    bag: &Bag,
    topic: &Topic,
    [first, second]: &[Model; 2],
    labels: &[Label],
) -> anyhow::Result<(BagPredictions, Timeline)> {
    let settings = arguments.decision.settings();
    let bar = output::counter("compare");
    let mut recognizer = arguments.runtime.load(first)?.recognizer;
    let first_predictions = classify_bag(bag, topic, &mut recognizer, &settings, |_, _| bar.inc(1))?;
    drop(recognizer);

    let mut recognizer = arguments.runtime.load(second)?.recognizer;
    // The common labels are in the order of the first model's labels.
    let common_index = |label: usize| {
        let label = &second.labels()[label];
        Label::find(labels, label.as_str())
    };
    let mut timeline = Timeline::default();
    let mut first_frames = first_predictions.frames.iter();
    let second_predictions = classify_bag(bag, topic, &mut recognizer, &settings, |prediction, image| {
        if let Some(first) = first_frames.next() {
            let gestures = vec![first.gesture(), prediction.gesture().and_then(common_index)];
            let differ = gestures[0] != gestures[1];
            timeline.add(first, gestures, image, differ);
        }
        bar.inc(1);
    })?;
    bar.abandon();
    if first_predictions.frames.len() != second_predictions.frames.len() {
        bail!("{} changed while it was being classified", bag.path().display());
    }
    Ok((first_predictions, timeline))
}

/// The spans in which the gestures of the models differ.
fn differences<'a>(timeline: &Timeline, labels: &'a [Label]) -> Vec<Difference<'a>> {
    let spans = timeline.spans();
    let start_ns = spans.first().map_or(0, |span| span.from_ns);
    let name = |label: &Option<usize>| label.map_or("unknown", |label| labels[label].as_str());
    let differing = spans.iter().filter(|span| span.gestures[0] != span.gestures[1]);
    differing
        .map(|span| Difference {
            from: secs_between(start_ns, span.from_ns),
            to: secs_between(start_ns, span.to_ns),
            frames: span.frames,
            seen: span.gestures.iter().map(name).collect(),
        })
        .collect()
}

/// The labels of both models, in the order of the first. They must have the same labels.
fn common_labels(models: &[Model; 2]) -> anyhow::Result<Vec<Label>> {
    let [first, second] = models.each_ref().map(Model::labels);
    let same = first.len() == second.len()
        && first
            .iter()
            .all(|label| Label::find(second, label.as_str()).is_some());
    same.then(|| first.to_vec())
        .with_context(|| format!("the models have different labels: {first:?} and {second:?}"))
}

fn print_report(report: &Report) -> anyhow::Result<()> {
    output::print_line(&format!(
        "{}, {}: {} and {} differ on {} of {} frames",
        report.bag.display(),
        report.topic,
        report.models[0],
        report.models[1],
        report.differ,
        report.frames
    ))?;
    for span in &report.spans {
        output::print_line(&format!(
            "{:>8.2} to {:>8.2} s  {} frames: {} and {}",
            span.from, span.to, span.frames, span.seen[0], span.seen[1]
        ))?;
    }
    Ok(())
}
