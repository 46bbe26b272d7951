//! `thumb_gesture export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use thumb_gesture::dataset::sample::evenly_spaced;
use thumb_gesture::dataset::{Dataset, SkippedFile, summarize};
use thumb_gesture::export::{Calibration, export, export_directory, stored_ranges};
use thumb_gesture::frame::Frame;
use thumb_gesture::model_store::{ModelNetwork, ModelStore, StoredModel, WEIGHTS_FILE};
use thumb_gesture::network::onnx::Batch;
use thumb_gesture::network::onnx::export::ExportPrecision;
use thumb_gesture::network::onnx::int8::{ActivationRanges, Target};
use thumb_gesture::preprocess::{INPUT_LEN, Preprocessor};
use thumb_gesture::weights::Weights;

use crate::output;

/// Maximum number of frames for the calibration; of more, an evenly spaced sample is used.
const MAX_CALIBRATION_FRAMES: usize = 200;

/// Write a model as ONNX files, for TensorRT or another runtime.
///
/// --output writes the network for whole images. In every precision its input is `input`, batch x 3 x 224 x 224 float32, and its output
/// is `logits`, batch x labels float32. The metadata of the file contains the id of the model, the labels in the order of the output, and
/// the preprocessing.
/// --directory writes all networks of the model: also, if the model has them, those for the crop and for the landmarks of a hand, with the
/// networks that find hands. The file manifest.json describes the inputs and outputs of each. --precision is that of the networks for
/// images and crops; the others are fp32.
/// int8 uses the activation ranges that the training calibrated on its frames. --dataset calibrates those of the network for whole images on
/// other frames; an imported model needs that.
#[derive(Args)]
#[command(after_help = "\
Examples:
  thumb_gesture export --store ./store --precision fp16 --output gesture.onnx
  thumb_gesture export --store ./store --precision int8 --target tensorrt --output gesture_int8.onnx
  thumb_gesture export --store ./store --directory gesture    # all networks
  trtexec --onnx=gesture.onnx --fp16 --saveEngine=gesture.engine    # on the robot")]
pub(crate) struct Arguments {
    /// Directory of the model store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Id of the model [default: the active model]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Number format of the computation
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    precision: Precision,
    /// Runtime of an int8 file: TensorRT and ONNX Runtime on a CPU need different files
    #[arg(long, value_enum, default_value_t = Runtime::Tensorrt)]
    target: Runtime,
    /// Accept any batch size instead of single frames
    #[arg(long)]
    dynamic_batch: bool,
    /// Directory with one directory of images per label, for the calibration of int8; not the ones that the model will be evaluated on
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// ONNX file to write: the network for whole images
    #[arg(long, value_name = "FILE", required_unless_present = "directory")]
    output: Option<PathBuf>,
    /// New directory to write: all networks of the model, with a manifest
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    directory: Option<PathBuf>,
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
    /// Only for int8.
    target: Option<Runtime>,
    output: &'a Path,
    /// Those in `output` if it is a directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<&'a str>,
    bytes: u64,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        arguments.dataset.is_none() || arguments.precision == Precision::Int8,
        "--dataset is only for the calibration of --precision int8; remove it"
    );
    let store = ModelStore::open_existing(&arguments.store)?;
    let model = store.model_or_active(arguments.model.as_deref())?;
    let batch = if arguments.dynamic_batch {
        Batch::Dynamic
    } else {
        Batch::One
    };
    let ranges = |network| ranges(&arguments, &store, &model, network);
    let image_ranges = ranges(ModelNetwork::Image)?;
    let image_precision = precision(&arguments, image_ranges.as_ref());
    if let Some(directory) = &arguments.directory {
        let has_hand = model.manifest.hand.is_some();
        let hand_ranges = has_hand
            .then(|| ranges(ModelNetwork::Hand))
            .transpose()?
            .flatten();
        let files = export_directory(&model, directory, batch, |network| match network {
            ModelNetwork::Image => image_precision,
            ModelNetwork::Hand => precision(&arguments, hand_ranges.as_ref()),
        })?;
        print_report(&arguments, &model, directory, files)?;
    }
    if let Some(file) = &arguments.output {
        export(&model, ModelNetwork::Image, file, image_precision, batch)?;
        print_report(&arguments, &model, file, Vec::new())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn precision<'r>(arguments: &Arguments, ranges: Option<&'r ActivationRanges>) -> ExportPrecision<'r> {
    let target = match arguments.target {
        Runtime::Cpu => Target::Cpu,
        Runtime::Tensorrt => Target::TensorRt,
    };
    match (arguments.precision, ranges) {
        (Precision::Int8, Some(ranges)) => ExportPrecision::Int8 { ranges, target },
        (Precision::Fp16, _) => ExportPrecision::Fp16,
        _ => ExportPrecision::Fp32,
    }
}

/// The activation ranges that int8 needs for a network; a dataset calibrates that for whole images.
fn ranges(
    arguments: &Arguments,
    store: &ModelStore,
    model: &StoredModel,
    network: ModelNetwork,
) -> anyhow::Result<Option<ActivationRanges>> {
    Ok(match (arguments.precision, network, &arguments.dataset) {
        (Precision::Fp32 | Precision::Fp16, ..) => None,
        (Precision::Int8, ModelNetwork::Image, Some(dataset)) => Some(calibrated(store, model, dataset)?),
        (Precision::Int8, ..) => Some(stored_ranges(model, network)?),
    })
}

/// The ranges of the network for whole images on the frames of a dataset.
fn calibrated(store: &ModelStore, model: &StoredModel, directory: &Path) -> anyhow::Result<ActivationRanges> {
    let dataset = Dataset::read(directory).context("dataset")?;
    for warning in dataset.warnings() {
        output::print_warning(&warning);
    }
    let files: Vec<&Path> = dataset
        .labels
        .iter()
        .flat_map(|label| label.files.iter().map(PathBuf::as_path))
        .collect();
    anyhow::ensure!(
        !files.is_empty(),
        "{} has no images for the calibration; it must have one directory of images per label",
        directory.display()
    );
    let files = evenly_spaced(&files, MAX_CALIBRATION_FRAMES);
    let weights = Weights::read(&model.path(WEIGHTS_FILE))?;
    let mut calibration = Calibration::new(&model.network(ModelNetwork::Image)?, &weights, store.root())?;
    let mut preprocessor = Preprocessor::with(&model.manifest.preprocessing);
    let mut input = vec![0.0; INPUT_LEN];
    let bar = output::bar("calibrate", files.len());
    let mut skipped = Vec::new();
    for file in bar.wrap_iter(files.iter()) {
        match Frame::from_file(file) {
            Ok(frame) => {
                preprocessor.tensor_from_frame(&frame, &mut input);
                calibration.observe(&input)?;
            }
            Err(error) => skipped.push(SkippedFile::new(file, &error)),
        }
    }
    bar.finish_and_clear();
    for warning in summarize(None, &skipped) {
        output::print_warning(&warning);
    }
    anyhow::ensure!(
        skipped.len() < files.len(),
        "{} has no readable images for the calibration",
        directory.display()
    );
    Ok(calibration.ranges().clone())
}

/// `files` are those in `output` if it is a directory.
fn print_report(
    arguments: &Arguments,
    model: &StoredModel,
    output: &Path,
    files: Vec<&str>,
) -> anyhow::Result<()> {
    let bytes = |path: &Path| Ok::<_, std::io::Error>(std::fs::metadata(path)?.len());
    let bytes = if files.is_empty() {
        bytes(output)?
    } else {
        files
            .iter()
            .map(|file| bytes(&output.join(file)))
            .sum::<Result<u64, _>>()?
    };
    let report = Report {
        model_id: &model.manifest.id,
        precision: arguments.precision,
        target: (arguments.precision == Precision::Int8).then_some(arguments.target),
        output,
        files,
        bytes,
    };
    if arguments.json {
        return output::print_json(&report);
    }
    output::print_line(&format!(
        "exported {} to {}, {:.1} MB, for images in {}",
        report.model_id,
        report.output.display(),
        bytes as f64 / 1e6,
        model.manifest.preprocessing
    ))
}
