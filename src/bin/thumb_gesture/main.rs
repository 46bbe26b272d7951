//! The command line `thumb_gesture`: train, evaluate, predict, bag, models, export, import-weights, bench, purge. It does not need ROS.

mod bag;
mod bench;
mod dataset;
mod evaluate;
mod export;
mod import_weights;
mod models;
mod names;
mod numbers;
mod output;
mod predict;
mod purge;
mod runtime;
#[cfg(feature = "torch")]
mod train;
#[cfg(not(feature = "torch"))]
mod train_program;
#[cfg(feature = "torch")]
mod training_table;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use thumb_gesture::command_line::parse;

#[cfg(not(feature = "torch"))]
use train_program as train;

/// Train models that recognize thumbs up and thumbs down in camera images, and classify images with them.
///
/// A dataset is a directory with one directory of images per label, such as dataset/thumbs_up/1.jpg.
/// Images are JPEG, PNG, WebP, GIF, BMP or TIFF; the orientation in their EXIF data is applied.
/// A model store is a directory of trained models, one of which is the active model.
#[derive(Parser)]
#[command(
    version,
    bin_name = "thumb_gesture",
    after_help = "\
Example, from labeled images to predictions:
  thumb_gesture train --dataset ./dataset --store ./store
  thumb_gesture predict --store ./store photo.jpg
  thumb_gesture evaluate --dataset ./other_photos --store ./store"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Arguments),
    Evaluate(evaluate::Arguments),
    Export(export::Arguments),
    Predict(predict::Arguments),
    Bag(Box<bag::Arguments>),
    Dataset(dataset::Arguments),
    Models(models::Arguments),
    ImportWeights(import_weights::Arguments),
    Bench(bench::Arguments),
    Purge(purge::Arguments),
}

fn main() -> ExitCode {
    thumb_gesture::telemetry::disable();
    let log_filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(log_filter)
        .with_writer(std::io::stderr)
        // Would be printed with `eprintln!`, which panics if the log is on a full disk.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
    let arguments: Arguments = parse(std::env::args_os());
    let result = match arguments.command {
        Command::Train(arguments) => train::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Predict(arguments) => predict::run(arguments),
        Command::Bag(arguments) => bag::run(*arguments),
        Command::Dataset(arguments) => dataset::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::ImportWeights(arguments) => import_weights::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Purge(arguments) => purge::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error_line(&format!("Error: {}", output::error_chain(&error)));
            ExitCode::FAILURE
        }
    }
}
