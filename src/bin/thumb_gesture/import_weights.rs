//! `thumb_gesture import-weights`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::dataset::Label;
use thumb_gesture::import::{Imported, Options, import};
use thumb_gesture::model_store::ModelStore;

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
#[derive(Args)]
#[command(after_help = "\
Examples:
  thumb_gesture import-weights resnet18-f37072fd.pth --store ./store
  thumb_gesture train --network resnet18 --dataset ./dataset --store ./store
  thumb_gesture import-weights best_model.pth --store ./store --labels thumbs_down,thumbs_up
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
                active: arguments.activate,
            };
            let labels: Vec<&str> = manifest.labels.iter().map(Label::as_str).collect();
            let next = if arguments.activate {
                "it is active".to_owned()
            } else {
                format!("activate it with `thumb_gesture models activate {}`", manifest.id)
            };
            let line = format!(
                "imported model {} of network {} with the labels {}; {next}",
                manifest.id,
                manifest.network,
                labels.join(", ")
            );
            print_report(&arguments, &report, &line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_report(arguments: &Arguments, report: &Report, line: &str) -> anyhow::Result<()> {
    if arguments.json {
        output::print_json(report)
    } else {
        output::print_line(line)
    }
}
