//! `thumb_gesture bag compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;
use thumb_gesture::bag::predictions::{BagPredictions, classify, image_topic};
use thumb_gesture::bag::timeline::{Heading, Timeline};
use thumb_gesture::bag::{Bag, secs_between};
use thumb_gesture::dataset::Label;
use thumb_gesture::model_store::{ModelStore, StoredModel};

use super::{DecisionOptions, Outcome, write_page};
use crate::output;
use crate::runtime::RuntimeOptions;

/// Say on which frames of a bag two models differ.
///
/// With --html there is an image of each turn at which they do.
#[derive(Args)]
pub struct Arguments {
    /// The bag, a directory or a file of one
    #[arg(value_name = "BAG")]
    bag: PathBuf,
    /// The topic with the images [default: the only one that has some]
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// Directory of the trained models
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The two models, with a comma between [default: the one that was active before, and the active one]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    models: Vec<String>,
    /// Write a page to look at, a timeline with images, into this file
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
    /// Frames on which they differ.
    differ: usize,
    /// Those frames, one after the other where both models stay with what they say.
    spans: Vec<Difference<'a>>,
}

#[derive(Serialize)]
struct Difference<'a> {
    /// Seconds from the first frame.
    from: f64,
    to: f64,
    frames: usize,
    /// What each model sees.
    seen: Vec<&'a str>,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let store = ModelStore::open_existing(&arguments.store)?;
    let models = match &arguments.models[..] {
        [] => [store.model(&store.previous_id()?)?, store.model_or_active(None)?],
        [first, second] => [store.model(first)?, store.model(second)?],
        _ => bail!("--models takes two ids, such as --models A,B; `thumb_gesture models list` lists them"),
    };
    let ids = models.each_ref().map(|model| model.manifest.id.clone());
    let labels = common_labels(&models)?;
    let bag = Bag::open(&arguments.bag)?;
    let topic = image_topic(&bag, arguments.topic.as_deref())?;
    let settings = arguments.decision.settings();
    let bar = output::counter("compare");
    let mut classified: Vec<BagPredictions> = Vec::new();
    let mut timeline = Timeline::default();
    for model in &models {
        let mut classifier = arguments.runtime.load(model)?.recognizer;
        let common = |label: usize| {
            labels
                .iter()
                .position(|known| *known == model.manifest.labels[label])
        };
        let before = classified.first();
        let mut index = 0;
        let predictions = classify(&bag, &topic, &mut classifier, &settings, |prediction, image| {
            // The first model's labels are those of both.
            if let Some(other) = before.and_then(|before| before.frames.get(index)) {
                let seen = vec![other.gesture(), prediction.gesture().and_then(common)];
                let differs = seen[0] != seen[1];
                timeline.add(other, seen, image, differs);
            }
            index += 1;
            bar.inc(1);
        })?;
        classified.push(predictions);
    }
    bar.abandon();
    if classified[0].frames.len() != classified[1].frames.len() {
        bail!("{} has changed while it was classified", arguments.bag.display());
    }
    let mut outcome = Outcome::default();
    outcome.lose(
        &classified[0].losses,
        classified[0].bad_frames,
        &classified[0].bad_reasons,
    );
    let start_ns = timeline.spans().first().map_or(0, |span| span.from_ns);
    let secs = |time_ns: i64| secs_between(start_ns, time_ns);
    let name = |label: &Option<usize>| label.map_or("unknown", |label| labels[label].as_str());
    let differing = timeline
        .spans()
        .iter()
        .filter(|span| span.seen[0] != span.seen[1]);
    let spans: Vec<Difference> = differing
        .map(|span| Difference {
            from: secs(span.from_ns),
            to: secs(span.to_ns),
            frames: span.frames,
            seen: span.seen.iter().map(name).collect(),
        })
        .collect();
    let report = Report {
        bag: arguments.bag.clone(),
        topic: &topic.name,
        models: &ids,
        frames: classified[0].frames.len(),
        differ: spans.iter().map(|span| span.frames).sum(),
        spans,
    };
    if let Some(html) = &arguments.html {
        let heading = Heading {
            bag: &arguments.bag.display().to_string(),
            topic: &topic.name,
            models: &ids,
            labels: &labels,
        };
        write_page(html, &timeline, heading, None)?;
    }
    match arguments.json {
        true => output::print_json(&report)?,
        false => print_report(&report)?,
    }
    Ok(outcome.exit_code())
}

/// The labels of both, which must be the same ones; in the first one's order.
fn common_labels(models: &[StoredModel; 2]) -> anyhow::Result<Vec<Label>> {
    let [first, second] = models.each_ref().map(|model| &model.manifest.labels);
    let same = first.len() == second.len() && first.iter().all(|label| second.contains(label));
    same.then(|| first.clone())
        .with_context(|| format!("the models do not have the same labels: {first:?} and {second:?}"))
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
