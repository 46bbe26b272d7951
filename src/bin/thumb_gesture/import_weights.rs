//! `thumb_gesture import-weights`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::dataset::Label;
use thumb_gesture::import::{Imported, Options, import};
use thumb_gesture::model_store::ModelStore;
use thumb_gesture::preprocess::{ColorOrder, Preprocessing};

use crate::names::names;
use crate::output;

/// Import weights from PyTorch: pretrained weights of torchvision, or a model such as JetBot's best_model.pth.
///
/// Reads safetensors, and .pth files written by torch.save(model.state_dict()), including those of PyTorch before 1.6 and checkpoints
/// that contain the weights in a dict. Nothing in the file is executed. The network is recognized by its tensors: alexnet, squeezenet1_1,
/// vgg11, vgg16 or resnet18; what DataParallel, torch.compile, Lightning and other wrappers add to their names does not matter. Weights
/// with 1000 outputs become the pretrained weights for trainings in this store, weights with any other number of outputs become a model.
///
/// The order of a model's labels is that of its training: torchvision's ImageFolder sorts the names of the directories, JetBot's notebooks
/// list the categories. The project `thumbs` of NVIDIA's Jetson Nano course has thumbs_up first, sorted names have thumbs_down first.
///
/// The file does not say which images the model was trained on: by default RGB images, normalized by ImageNet's mean and standard
/// deviation. Images of OpenCV's imread, as in NVIDIA's course, are BGR unless the training converted them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  thumb_gesture import-weights resnet18-f37072fd.pth --store ./store
  thumb_gesture train --network resnet18 --dataset ./dataset --store ./store
  thumb_gesture import-weights best_model.pth --store ./store --labels thumbs_down,thumbs_up
  thumb_gesture import-weights my_model.pth --store ./store --labels thumbs_up,thumbs_down --color-order bgr    # NVIDIA's course
  thumb_gesture import-weights last.ckpt --store ./store --labels down,up --prefix ema_model")]
pub(crate) struct Arguments {
    /// PyTorch or safetensors file; the extension does not matter
    file: PathBuf,
    /// Directory of the model store; created if it does not exist
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Labels of the model, in the order of its outputs; required unless the file carries the names of its classes
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    labels: Vec<String>,
    /// What precedes the names of the network's tensors, if the file holds several networks; `.` for none
    #[arg(long)]
    prefix: Option<String>,
    /// Order of the color channels in the training of the model; bgr for images of cv2.imread
    #[arg(long, value_name = "NAME", default_value = "rgb", value_parser = names::<ColorOrder>())]
    color_order: ColorOrder,
    /// Mean of each channel, in their order, as in Normalize(mean, std); 0,0,0 for a training without Normalize
    #[arg(long, value_name = "A,B,C", default_value = "0.485,0.456,0.406", value_parser = channels)]
    mean: [f32; 3],
    /// Standard deviation of each channel, in their order; 1,1,1 for a training without Normalize
    #[arg(long, value_name = "A,B,C", default_value = "0.229,0.224,0.225", value_parser = channels)]
    std: [f32; 3],
    /// Make the model the active one
    #[arg(long)]
    activate: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(tag = "imported", rename_all = "snake_case")]
enum Report<'a> {
    Pretrained {
        network: &'a str,
        path: PathBuf,
    },
    Model {
        model_id: &'a str,
        network: &'a str,
        labels: &'a [Label],
        preprocessing: &'a Preprocessing,
        active: bool,
    },
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let labels = arguments
        .labels
        .iter()
        .map(|label| Label::new(label))
        .collect::<Result<Vec<_>, _>>()?;
    let store = ModelStore::open(&arguments.store)?;
    let options = Options {
        labels: &labels,
        prefix: arguments.prefix.as_deref(),
        preprocessing: Preprocessing {
            color_order: arguments.color_order,
            mean: arguments.mean,
            std: arguments.std,
            ..Preprocessing::IMAGENET
        },
        activate: arguments.activate,
    };
    match import(&arguments.file, &store, &options)? {
        Imported::Pretrained { network, path } => {
            let line = format!(
                "trainings of {network} in this store start from the weights in {}",
                path.display()
            );
            print_report(&arguments, &Report::Pretrained { network, path }, &line)?;
        }
        Imported::Model(model) => {
            let manifest = &model.manifest;
            let report = Report::Model {
                model_id: &manifest.id,
                network: &manifest.network,
                labels: &manifest.labels,
                preprocessing: &manifest.preprocessing,
                active: arguments.activate,
            };
            let labels: Vec<&str> = manifest.labels.iter().map(Label::as_str).collect();
            let next = if arguments.activate {
                "it is active".to_owned()
            } else {
                format!("activate it with `thumb_gesture models activate {}`", manifest.id)
            };
            let line = format!(
                "imported model {} of network {} with the labels {} for images in {}; {next}",
                manifest.id,
                manifest.network,
                labels.join(", "),
                manifest.preprocessing
            );
            print_report(&arguments, &report, &line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Parses one number for each channel.
fn channels(text: &str) -> Result<[f32; 3], &'static str> {
    let numbers: Result<Vec<f32>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    numbers
        .ok()
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or("must be three numbers, such as 0.485,0.456,0.406")
}

fn print_report(arguments: &Arguments, report: &Report, line: &str) -> anyhow::Result<()> {
    if arguments.json {
        output::print_json(report)
    } else {
        output::print_line(line)
    }
}
