//! `thumb_gesture train`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use strum::VariantNames;
use thumb_gesture::dataset::Dataset;
use thumb_gesture::dataset::augment::Level;
use thumb_gesture::model_store::ModelStore;
use thumb_gesture::network::Architecture;
use thumb_gesture::training::strategy::{Optimizer, Schedule, Strategy};
use thumb_gesture::training::{self, Gate, Overrides, Progress, Summary, TrainingOptions};

use crate::names::names;
use crate::output;
use crate::training_table::TrainingTable;

/// Train a model on a dataset, measure it on frames held out, and make it the active one if it is no worse than that.
///
/// The network starts from weights pretrained on ImageNet. How much of it is trained is the strategy: last_layer, classifier,
/// late_layers (the early ones stay frozen), full, or auto, which starts with the last layer and goes deeper where that does not do.
/// To say how good the model is, whole capture bursts are held out, a fifth of each label's frames, or with folds every frame once;
/// then the model is trained on all of them.
/// A report to look at lies in the model's directory: report.html.
#[derive(Args)]
pub struct Arguments {
    /// Directory with one directory of JPEG or PNG images for each label
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Directory of the trained models; made where it is new
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The network
    #[arg(long, value_name = "NAME", default_value = Architecture::VARIANTS[0], value_parser = PossibleValuesParser::new(Architecture::VARIANTS))]
    network: String,
    /// What is trained
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = strategy())]
    strategy: StrategyChoice,
    /// Frames are held out in so many folds, each frame once; 1 holds out a fifth once [default: 5 for fewer than 150 frames, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=TrainingOptions::MOST_FOLDS as i64))]
    folds: Option<u8>,
    /// The same seed, frames and machine give the same model
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Make it the active model even where it is worse than the active one
    #[arg(long, conflicts_with = "no_activate")]
    force: bool,
    /// Store the model without making it the active one
    #[arg(long)]
    no_activate: bool,
    /// Print the result as one JSON object
    #[arg(long, conflicts_with = "progress")]
    json: bool,
    /// How to show progress; json prints one object a line, for programs
    #[arg(long, value_enum, default_value_t = ProgressFormat::Bar)]
    progress: ProgressFormat,
    /// Work at low priority, and end when the process that started this one ends, which will activate the model
    #[arg(long)]
    background: bool,
    #[command(flatten)]
    recipe: RecipeArguments,
}

/// Where the defaults of the strategy will not do; docs/training.md says how they were found.
#[derive(Args)]
#[command(next_help_heading = "How it is trained [defaults: by the strategy]")]
struct RecipeArguments {
    /// How copies of a frame are changed
    #[arg(long, value_name = "LEVEL", value_parser = names::<Level>())]
    augmentation: Option<Level>,
    /// Changed copies of each frame
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=TrainingOptions::MOST_COPIES as i64))]
    copies: Option<u8>,
    /// How the weights follow the gradient; sgd has a momentum of 0.9
    #[arg(long, value_name = "NAME", value_parser = names::<Optimizer>())]
    optimizer: Option<Optimizer>,
    /// Learning rate at the beginning, such as 0.001
    #[arg(long, value_name = "RATE", value_parser = learning_rate)]
    learning_rate: Option<f64>,
    /// How the learning rate goes on
    #[arg(long, value_name = "NAME", value_parser = names::<Schedule>())]
    schedule: Option<Schedule>,
    /// Weight decay
    #[arg(long, value_name = "RATE", value_parser = weight_decay)]
    weight_decay: Option<f64>,
    /// The most rounds over all frames; 0 keeps the computed start of the last layer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(TrainingOptions::MOST_EPOCHS)))]
    epochs: Option<u32>,
    /// Stop after so many rounds without a better loss on the held-out frames; 0 never stops early
    #[arg(long, value_name = "N")]
    patience: Option<u32>,
    /// Examples a step
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch_size: Option<u16>,
    /// Whether a label with few frames counts as much as one with many
    #[arg(long, value_name = "BOOL")]
    class_weights: Option<bool>,
    /// Safetensors file with pretrained weights [default: the imported ones, else the installed ones]
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
}

/// None is auto.
#[derive(Clone, Copy)]
struct StrategyChoice(Option<Strategy>);

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
        (Ok(summary), false) => print_summary(&summary)?,
        (Err(error), true) => {
            let message = output::error_chain(&error);
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
    let options = options(arguments);
    let mut table = TrainingTable::default();
    let as_events = arguments.progress == ProgressFormat::Json;
    let (model, summary) = training::train(&dataset, &store, &options, |progress| match as_events {
        // Nobody reads any more when the node has ended: then this process is about to end too.
        true => drop(output::print_json(&progress)),
        false => table.show(&progress),
    })?;
    table.finish();
    let passes = summary.gate.as_ref().is_some_and(|gate| gate.activated);
    if passes && !arguments.background {
        store.activate(&model)?;
    }
    Ok(summary)
}

fn options(arguments: &Arguments) -> TrainingOptions {
    let recipe = &arguments.recipe;
    TrainingOptions {
        network: arguments.network.clone(),
        strategy: arguments.strategy.0,
        overrides: Overrides {
            optimizer: recipe.optimizer,
            learning_rate: recipe.learning_rate,
            weight_decay: recipe.weight_decay,
            schedule: recipe.schedule,
            epochs: recipe.epochs,
            batch_size: recipe.batch_size.map(usize::from),
            patience: recipe.patience,
            augmentation: recipe.augmentation,
            copies: recipe.copies.map(usize::from),
            has_class_weights: recipe.class_weights,
        },
        folds: arguments.folds.map(usize::from),
        seed: arguments.seed,
        pretrained: recipe.pretrained.clone(),
        gate: match (arguments.no_activate, arguments.force) {
            (true, _) => Gate::Closed,
            (false, true) => Gate::Forced,
            (false, false) => Gate::NoWorse,
        },
    }
}

fn strategy() -> impl TypedValueParser<Value = StrategyChoice> {
    let names = ["auto"].iter().chain(Strategy::VARIANTS).copied();
    // Only `auto` is not the name of a strategy.
    PossibleValuesParser::new(names).map(|name| StrategyChoice(name.parse().ok()))
}

fn learning_rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse()?;
    anyhow::ensure!(rate > 0.0 && rate <= 10.0, "must be above 0 and at most 10");
    Ok(rate)
}

fn weight_decay(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse()?;
    anyhow::ensure!((0.0..=10.0).contains(&rate), "must be 0 to 10");
    Ok(rate)
}

fn print_summary(summary: &Summary) -> anyhow::Result<()> {
    for skipped in &summary.skipped {
        eprintln!("left out {}: {}", skipped.file, skipped.reason);
    }
    let metrics = &summary.metrics;
    let interval = match metrics.interval {
        Some([low, high]) => format!(
            " (95 % interval {} to {})",
            output::percent(Some(low)),
            output::percent(Some(high))
        ),
        None => String::new(),
    };
    let state = match &summary.gate {
        None => "is stored".to_owned(),
        Some(gate) if gate.activated => format!("is active: {}", gate.reason),
        Some(gate) => format!(
            "is stored, but not active: {}; `thumb_gesture models activate` or --force make it so nevertheless",
            gate.reason
        ),
    };
    output::print_line(&format!(
        "{} {state}\n{}: {}\n{} frames in {:.1} s, {} computed anew; {}\naccuracy on {} held-out frames, without having trained on them: {}{interval}\n{}\nreport: {}",
        summary.model_id,
        summary.strategy,
        summary.strategy_reason,
        summary.frames.train,
        summary.train_seconds,
        summary.computed_frames,
        summary.split,
        summary.frames.validation,
        output::percent(metrics.accuracy),
        output::confusion_table(&summary.labels, &metrics.confusion),
        summary.report.display(),
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
