//! `thumb_gesture export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use thumb_gesture::dataset::Dataset;
use thumb_gesture::evaluation::spread;
use thumb_gesture::export::{Calibration, export, stored_ranges};
use thumb_gesture::frame::Frame;
use thumb_gesture::model_store::{ModelStore, StoredModel, WEIGHTS_FILE};
use thumb_gesture::network::onnx::Batch;
use thumb_gesture::network::onnx::export::ExportPrecision;
use thumb_gesture::network::onnx::int8::{ActivationRanges, Target};
use thumb_gesture::preprocess::{INPUT_LEN, Preprocessor};
use thumb_gesture::weights::Weights;

use crate::output;

/// No more frames are calibrated on than this, spread over all.
const MOST_FRAMES: usize = 200;

/// Write a model as one ONNX file, for TensorRT or another runtime.
///
/// The file takes `input`, batch x 3 x 224 x 224 float32, and gives `logits`, batch x labels float32, in every precision. Its metadata
/// names the model, the labels in the order of the outputs, and what an image goes through before.
/// int8 is made with the ranges that the training saw on the frames it learnt from; --dataset calibrates on other frames, which an
/// imported model needs.
#[derive(Args)]
#[command(after_help = "\
Examples:
  thumb_gesture export --store ./store --precision fp16 --output gesture.onnx
  thumb_gesture export --store ./store --precision int8 --target tensorrt --output gesture_int8.onnx
  trtexec --onnx=gesture.onnx --fp16 --saveEngine=gesture.engine    # on the robot")]
pub struct Arguments {
    /// Directory of the trained models
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Which model [default: the active one]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// What the file computes with
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    precision: Precision,
    /// Who is to run an int8 file: TensorRT and ONNX Runtime on a CPU want different ones
    #[arg(long, value_enum, default_value_t = Runtime::Tensorrt)]
    target: Runtime,
    /// Take any number of frames at once, not one
    #[arg(long)]
    dynamic_batch: bool,
    /// Directory of frames to calibrate int8 on; not those that the model is to be classified by
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Precision {
    Fp32,
    Fp16,
    Int8,
}

#[derive(Clone, Copy, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Runtime {
    Cpu,
    Tensorrt,
}

#[derive(Serialize)]
struct Report<'a> {
    model_id: &'a str,
    precision: Precision,
    /// Of int8 alone.
    target: Option<Runtime>,
    output: &'a Path,
    bytes: u64,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        arguments.dataset.is_none() || arguments.precision == Precision::Int8,
        "--dataset is for --precision int8: nothing else is calibrated"
    );
    let store = ModelStore::open_existing(&arguments.store)?;
    let model = store.model_or_active(arguments.model.as_deref())?;
    let target = match arguments.target {
        Runtime::Cpu => Target::Cpu,
        Runtime::Tensorrt => Target::TensorRt,
    };
    let ranges;
    let numbers = match arguments.precision {
        Precision::Fp32 => ExportPrecision::Fp32,
        Precision::Fp16 => ExportPrecision::Fp16,
        Precision::Int8 => {
            ranges = ranges_of(&store, &model, arguments.dataset.as_deref())?;
            ExportPrecision::Int8 {
                ranges: &ranges,
                target,
            }
        }
    };
    let batch = match arguments.dynamic_batch {
        true => Batch::Dynamic,
        false => Batch::One,
    };
    export(&model, &arguments.output, numbers, batch)?;
    print(&arguments, &model)?;
    Ok(ExitCode::SUCCESS)
}

fn ranges_of(
    store: &ModelStore,
    model: &StoredModel,
    dataset: Option<&Path>,
) -> anyhow::Result<ActivationRanges> {
    let Some(directory) = dataset else {
        return Ok(stored_ranges(model)?);
    };
    let dataset = Dataset::read(directory).context("dataset")?;
    let files: Vec<&Path> = dataset
        .labels
        .iter()
        .flat_map(|label| label.files.iter().map(PathBuf::as_path))
        .collect();
    anyhow::ensure!(
        !files.is_empty(),
        "{} holds no frames to calibrate on: it needs a directory of images for each label",
        directory.display()
    );
    let files = spread(&files, MOST_FRAMES);
    let weights = Weights::read(&model.path(WEIGHTS_FILE))?;
    let mut calibration = Calibration::new(&model.network()?, &weights, store.root())?;
    let mut preprocessor = Preprocessor::new();
    let mut input = vec![0.0; INPUT_LEN];
    let bar = output::bar("calibrating", files.len());
    for file in bar.wrap_iter(files.into_iter()) {
        let frame = Frame::from_file(file).with_context(|| format!("{}", file.display()))?;
        preprocessor.tensor_from_frame(&frame, &mut input);
        calibration.see(&input)?;
    }
    bar.finish_and_clear();
    Ok(calibration.ranges().clone())
}

fn print(arguments: &Arguments, model: &StoredModel) -> anyhow::Result<()> {
    let bytes = std::fs::metadata(&arguments.output)?.len();
    let report = Report {
        model_id: &model.manifest.id,
        precision: arguments.precision,
        target: (arguments.precision == Precision::Int8).then_some(arguments.target),
        output: &arguments.output,
        bytes,
    };
    match arguments.json {
        true => output::print_json(&report),
        false => output::print_line(&format!(
            "{} is {} in one file of {:.1} MB",
            report.output.display(),
            report.model_id,
            bytes as f64 / 1e6
        )),
    }
}
