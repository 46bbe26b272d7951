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
use thumb_gesture::text::escape_controls;
use thumb_gesture::training::strategy::{Optimizer, Schedule, Strategy};
use thumb_gesture::training::{
    self, Overrides, Progress, Promotion, RecognizerAccuracy, Summary, TrainingOptions,
};

use crate::names::names;
use crate::numbers::parse_degrees;
use crate::output;
use crate::training_table::TrainingTable;

/// Train a model on a dataset, and make it the active one if it is no worse than the active model.
///
/// Training starts from weights pretrained on ImageNet. The strategy determines which layers are trained: last_layer, classifier,
/// late_layers (all but the early layers), full, or auto, which starts with the last layer and tries more layers if its accuracy is too
/// low and there are enough frames. To measure the accuracy, whole bursts with about a fifth of each label's frames are held out; with
/// folds, every frame is held out once. Whole scenes, that is rooms seen from one place, are held out to measure the accuracy in a scene
/// that the training has not seen. The final model is trained on all frames. The results are written to report.html in the model's
/// directory.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Directory with one directory of images per label, which may have subdirectories
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Directory of the model store; created if it does not exist
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Network architecture
    #[arg(long, value_name = "NAME", default_value = Architecture::VARIANTS[0], value_parser = PossibleValuesParser::new(Architecture::VARIANTS))]
    network: String,
    /// Which layers are trained
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = strategy())]
    strategy: StrategyChoice,
    /// Number of cross-validation folds; 1 holds out a fifth of the frames once [default: 5 for fewer than 150 frames, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=TrainingOptions::MAX_FOLDS as i64))]
    folds: Option<u8>,
    /// Train without the labels that have no usable image, instead of failing
    #[arg(long)]
    skip_empty_labels: bool,
    /// Random seed; the same seed, frames and machine give the same model
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Rotation of the camera around its optical axis in degrees, clockwise as seen from behind it, -180 to 180
    #[arg(long, value_name = "DEGREES", default_value_t = 0.0, allow_negative_numbers = true, value_parser = parse_degrees)]
    camera_roll: f32,
    /// Make the model the active one even if it is worse than the active model
    #[arg(long, conflicts_with = "no_activate")]
    force: bool,
    /// Store the model without comparing it with the active one or activating it
    #[arg(long)]
    no_activate: bool,
    /// Print the result as one JSON object
    #[arg(long, conflicts_with = "progress")]
    json: bool,
    /// Progress output: a bar, or one JSON object per line
    #[arg(long, value_enum, default_value_t = ProgressFormat::Bar)]
    progress: ProgressFormat,
    /// Run at low priority as a child process that ends with its parent, and leave the activation of the model to the parent
    #[arg(long)]
    background: bool,
    #[command(flatten)]
    recipe: RecipeArguments,
}

/// Overrides of the strategy's recipe.
#[derive(Args)]
#[command(next_help_heading = "Hyperparameters [defaults: set by the strategy]")]
struct RecipeArguments {
    /// Strength of the augmentation
    #[arg(long, value_name = "LEVEL", value_parser = names::<Level>())]
    augmentation: Option<Level>,
    /// Augmented copies of each frame
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=TrainingOptions::MAX_COPIES as i64))]
    copies: Option<u8>,
    /// Optimizer; sgd has a momentum of 0.9
    #[arg(long, value_name = "NAME", value_parser = names::<Optimizer>())]
    optimizer: Option<Optimizer>,
    /// Initial learning rate, such as 0.001
    #[arg(long, value_name = "RATE", value_parser = learning_rate)]
    learning_rate: Option<f64>,
    /// Learning rate schedule
    #[arg(long, value_name = "NAME", value_parser = names::<Schedule>())]
    schedule: Option<Schedule>,
    /// Weight decay
    #[arg(long, value_name = "RATE", value_parser = weight_decay)]
    weight_decay: Option<f64>,
    /// Maximum number of epochs; 0 keeps the initial weights, for a linear last layer those of the ridge regression
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(TrainingOptions::MAX_EPOCHS)))]
    epochs: Option<u32>,
    /// Stop after this many epochs without a lower loss on the held-out frames; 0 disables early stopping
    #[arg(long, value_name = "N")]
    patience: Option<u32>,
    /// Examples per optimizer step
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch_size: Option<u16>,
    /// Whether all labels have the same weight in the loss, whatever their numbers of frames
    #[arg(long, value_name = "BOOL")]
    class_weights: Option<bool>,
    /// Safetensors file with pretrained weights [default: the imported ones, or else the installed ones]
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
}

/// The value of `--strategy`; `None` for `auto`.
#[derive(Clone, Copy)]
struct StrategyChoice(Option<Strategy>);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProgressFormat {
    Bar,
    Json,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if arguments.background {
        run_in_background()?;
    }
    let result = train(&arguments);
    if arguments.progress == ProgressFormat::Json {
        let (event, exit_code) = match result {
            Ok(summary) => (Progress::Finished(Box::new(summary)), ExitCode::SUCCESS),
            Err(error) => {
                let message = output::error_chain(&error);
                (Progress::Failed { message }, ExitCode::FAILURE)
            }
        };
        output::print_json(&event)?;
        return Ok(exit_code);
    }
    let summary = result?;
    if arguments.json {
        output::print_json(&summary)?;
    } else {
        print_summary(&summary)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn train(arguments: &Arguments) -> anyhow::Result<Summary> {
    let dataset = Dataset::read(&arguments.dataset).context("dataset")?;
    let store = ModelStore::open(&arguments.store).context("store")?;
    let options = options(arguments);
    let mut table = TrainingTable::default();
    let as_events = arguments.progress == ProgressFormat::Json;
    let (model, summary) = training::train(&dataset, &store, &options, |progress| {
        if as_events {
            // Writing fails only if the node has ended, which ends this process too.
            output::print_json(&progress).ok();
        } else {
            table.show(&progress);
        }
    })?;
    table.finish();
    let is_promoted = summary.gate.as_ref().is_some_and(|gate| gate.activated);
    if is_promoted && !arguments.background {
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
        camera_roll_deg: arguments.camera_roll,
        pretrained: recipe.pretrained.clone(),
        skip_empty_labels: arguments.skip_empty_labels,
        promotion: if arguments.no_activate {
            Promotion::Never
        } else if arguments.force {
            Promotion::Forced
        } else {
            Promotion::IfNoWorse
        },
    }
}

fn strategy() -> impl TypedValueParser<Value = StrategyChoice> {
    let names = ["auto"].iter().chain(Strategy::VARIANTS).copied();
    // `auto` is the only possible value that does not parse.
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
    let metrics = &summary.metrics;
    let interval = match metrics.interval {
        Some([low, high]) => format!(
            " (95 % confidence interval {} to {})",
            output::percent(Some(low)),
            output::percent(Some(high))
        ),
        None => String::new(),
    };
    let new_scene = match &summary.new_scene {
        Some(measured) => format!(
            "{} of {} frames, {}",
            measured.correct,
            measured.frames,
            output::percent(Some(measured.accuracy))
        ),
        None => "unknown".to_owned(),
    };
    let scenes = match summary.scenes {
        1 => "the one scene of the dataset".to_owned(),
        scenes => format!("the {scenes} scenes of the dataset"),
    };
    let state = match &summary.gate {
        None => "is stored".to_owned(),
        Some(gate) if gate.activated => format!("is active: {}", gate.reason),
        Some(gate) => format!(
            "is stored but not promoted: {}; activate it with `thumb_gesture models activate {}`, or train with --force",
            gate.reason, summary.model_id
        ),
    };
    output::print_text(&format!(
        "{} {state}\n{}: {}\n{} frames in {:.1} s, features of {} computed; {}\naccuracy in {scenes}, on {} held-out frames: {}{interval}{}\n\
         accuracy in a scene that it has not seen: {new_scene}\n{}\nnext: {}\nreport: {}",
        summary.model_id,
        summary.strategy,
        summary.strategy_reason,
        summary.frames.train,
        summary.train_seconds,
        summary.computed_frames,
        summary.split,
        summary.frames.validation,
        output::percent(metrics.accuracy),
        by_recognizer(summary),
        output::confusion_table(&summary.labels, &metrics.confusion),
        summary.advice,
        escape_controls(&summary.report.display().to_string()),
    ))
}

/// The correct frames of each recognizer, in a line of its own; empty if the model has one recognizer only.
fn by_recognizer(summary: &Summary) -> String {
    if summary.frames.validation == 0 || summary.recognizers.len() < 2 {
        return String::new();
    }
    let correct =
        |each: &RecognizerAccuracy| format!("{} {} of {}", each.recognizer, each.correct, each.frames);
    let correct: Vec<String> = summary.recognizers.iter().map(correct).collect();
    format!("\ncorrect by recognizer: {}", correct.join(", "))
}

/// Lowers the priority of this process, and makes it end with its parent.
fn run_in_background() -> anyhow::Result<()> {
    use rustix::process::{Signal, getppid, nice, set_parent_process_death_signal};
    nice(10).context("cannot lower the priority of the training")?;
    set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot make the training end with its parent")?;
    // If the parent ended before the call above, this process has another parent now.
    let parent = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    let expected = std::env::var(training::PARENT_VARIABLE).ok();
    anyhow::ensure!(
        expected.is_none() || expected == parent,
        "the node that started this training has ended"
    );
    // If memory runs out, the kernel kills this process instead of the node.
    std::fs::write("/proc/self/oom_score_adj", "500").context("cannot write /proc/self/oom_score_adj")
}
