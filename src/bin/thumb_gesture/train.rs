//! `thumb_gesture train`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use thumb_gesture::dataset::Dataset;
use thumb_gesture::model_store::ModelStore;
use thumb_gesture::training::{self, Progress, Summary, TrainingOptions};

use crate::output;

/// Train a model on a dataset, measure it on frames held out, and make it the active one.
///
/// The network is AlexNet; its convolutions are pretrained on ImageNet and stay as they are, its classifier is trained.
/// About a fifth of each label's frames is held out at first, in runs of neighbours, to say how good the model is;
/// then it is trained on all of them.
#[derive(Args)]
pub struct Arguments {
    /// Folder with one folder of JPEG or PNG pictures for each label
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Folder of the trained models; made where it is new
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Rounds over all frames
    #[arg(long, value_name = "N", default_value_t = TrainingOptions::DEFAULT_EPOCHS,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(TrainingOptions::MOST_EPOCHS)))]
    epochs: u32,
    /// The same seed, frames and machine give the same model
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Safetensors file with the pretrained convolutions [default: the one that was installed]
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// Store the model without making it the active one
    #[arg(long)]
    no_activate: bool,
    /// Print the result as one JSON object
    #[arg(long, conflicts_with = "progress")]
    json: bool,
    /// How to show progress; json prints one object a line, for programs
    #[arg(long, value_enum, default_value_t = ProgressFormat::Bar)]
    progress: ProgressFormat,
    /// Work at low priority, and end when the process that started this one ends
    #[arg(long)]
    background: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProgressFormat {
    Bar,
    Json,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if arguments.background {
        go_to_background()?;
    }
    let as_events = arguments.progress == ProgressFormat::Json;
    match (train(&arguments), as_events) {
        (Ok(summary), true) => output::print_json(&Progress::Finished(Box::new(summary)))?,
        (Ok(summary), false) if arguments.json => output::print_json(&summary)?,
        (Ok(summary), false) => print_summary(&summary, arguments.no_activate)?,
        (Err(error), true) => {
            let message = format!("{error:#}");
            output::print_json(&Progress::Failed { message })?;
            return Ok(ExitCode::FAILURE);
        }
        (Err(error), false) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}

fn train(arguments: &Arguments) -> anyhow::Result<Summary> {
    let dataset = Dataset::read(&arguments.dataset).context("dataset")?;
    let store = ModelStore::open(&arguments.store).context("store")?;
    let options = TrainingOptions {
        epochs: arguments.epochs,
        seed: arguments.seed,
        pretrained: arguments
            .pretrained
            .clone()
            .unwrap_or_else(training::installed_pretrained),
    };
    let mut bars = Bars::default();
    let as_events = arguments.progress == ProgressFormat::Json;
    let (model, summary) = training::train(&dataset, &store, &options, |progress| match as_events {
        // Nobody reads any more when the node has ended: then this process is about to end too.
        true => drop(output::print_json(&progress)),
        false => bars.show(&progress),
    })?;
    bars.finish();
    if !arguments.no_activate {
        store.activate(&model)?;
    }
    Ok(summary)
}

/// One bar for each stage, the one that runs last.
#[derive(Default)]
struct Bars {
    stage: &'static str,
    bar: Option<ProgressBar>,
}

impl Bars {
    fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Features { done, total } => self.bar("features", *total).set_position(*done as u64),
            Progress::Epoch {
                epoch,
                epochs,
                train_loss,
                validation_loss,
                accuracy,
            } => {
                let held_out = match validation_loss {
                    Some(loss) => format!(", held out {loss:.3}, accuracy {}", output::percent(*accuracy)),
                    None => String::new(),
                };
                let bar = self.bar("epochs", *epochs as usize);
                bar.set_position(u64::from(*epoch));
                bar.set_message(format!("loss {train_loss:.3}{held_out}"));
            }
            Progress::Export { done, total } => self.bar("measure", *total).set_position(*done as u64),
            Progress::Refit { epoch, epochs } => {
                self.bar("all frames", *epochs as usize)
                    .set_position(u64::from(*epoch));
            }
            Progress::Finished(_) | Progress::Failed { .. } => {}
        }
    }

    fn bar(&mut self, stage: &'static str, total: usize) -> &ProgressBar {
        if self.stage != stage {
            self.finish();
            self.stage = stage;
        }
        self.bar.get_or_insert_with(|| output::bar(stage, total))
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }
}

fn print_summary(summary: &Summary, is_inactive: bool) -> anyhow::Result<()> {
    for skipped in &summary.skipped {
        eprintln!("left out {}: {}", skipped.file, skipped.reason);
    }
    let state = if is_inactive { "stored" } else { "active" };
    output::print_line(&format!(
        "{} is {state}\n{} frames and {} held out to measure, {:.1} s\naccuracy on the held-out frames, without having trained on them: {}\n{}",
        summary.model_id,
        summary.frames.train,
        summary.frames.validation,
        summary.train_seconds,
        output::percent(summary.accuracy),
        output::confusion_table(&summary.labels, &summary.confusion),
    ))
}

/// The node that started this one must not be slowed down by it, and must never leave it behind.
fn go_to_background() -> anyhow::Result<()> {
    use rustix::process::{Signal, getppid, nice, set_parent_process_death_signal};
    nice(10).context("lower the priority")?;
    set_parent_process_death_signal(Some(Signal::KILL)).context("follow the parent process")?;
    // Where it has ended before it could be followed, another process is the parent now.
    let parent = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    let expected = std::env::var(training::PARENT_VARIABLE).ok();
    anyhow::ensure!(
        expected.is_none() || expected == parent,
        "the node that wanted this training has ended"
    );
    // Where memory runs out, this process is the one to lose.
    std::fs::write("/proc/self/oom_score_adj", "500").context("step back in memory shortage")
}
