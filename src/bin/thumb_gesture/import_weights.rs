//! `thumb_gesture import-weights`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::dataset::Label;
use thumb_gesture::import::{Imported, import};
use thumb_gesture::model_store::ModelStore;

use crate::output;

/// Bring weights from PyTorch: torchvision's as a start for trainings, or JetBot's best_model.pth as a model.
///
/// Reads .pth files of torch.save(model.state_dict()), also those of torch before 1.6 and checkpoints with a state_dict inside, and
/// safetensors. Nothing in the file is executed. The network is recognised by its tensors: alexnet, squeezenet1_1, vgg11,
/// vgg16 or resnet18. One with 1000 outputs becomes the start of trainings in this store, any other a model.
#[derive(Args)]
#[command(after_help = "\
Examples:
  thumb_gesture import-weights resnet18-f37072fd.pth --store ./store
  thumb_gesture train --network resnet18 --dataset ./dataset --store ./store
  thumb_gesture import-weights best_model.pth --store ./store --activate")]
pub struct Arguments {
    /// The .pth, .pt or .safetensors file
    file: PathBuf,
    /// Directory of the trained models; made where it is new
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The labels of a model, in the order of its outputs [default for two outputs: thumbsdown,thumbsup as JetBot has them]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    labels: Vec<String>,
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

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let labels = arguments
        .labels
        .iter()
        .map(|label| Label::new(label))
        .collect::<Result<Vec<_>, _>>()?;
    let store = ModelStore::open(&arguments.store)?;
    match import(&arguments.file, &store, &labels, arguments.activate)? {
        Imported::Pretrained { network, path } => {
            let line = format!(
                "trainings of {network} in this store start from {}",
                path.display()
            );
            print(&arguments, &Report::Pretrained { network, path }, &line)?;
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
            let next = match arguments.activate {
                true => "it is active".to_owned(),
                false => format!("`thumb_gesture models activate {}` makes it active", manifest.id),
            };
            let line = format!(
                "{} is a model of {} with the labels {}; {next}",
                manifest.id,
                manifest.network,
                labels.join(", ")
            );
            print(&arguments, &report, &line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(arguments: &Arguments, report: &Report, line: &str) -> anyhow::Result<()> {
    match arguments.json {
        true => output::print_json(report),
        false => output::print_line(line),
    }
}
