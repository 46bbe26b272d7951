//! `thumb_gesture models`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::dataset::Label;
use thumb_gesture::model_store::{Listing, Manifest, ModelStore};
use time::format_description::well_known::Rfc3339;

use crate::output;

/// List the models of a store, the newest first, or make another one the active one.
///
/// A running node keeps its own choice: use its service ~/activate_model to switch that.
#[derive(Args)]
pub struct Arguments {
    /// Folder of the trained models
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Make this model the active one
    #[arg(long, value_name = "ID", conflicts_with = "roll_back")]
    activate: Option<String>,
    /// Make the model active that was so before the present one
    #[arg(long)]
    roll_back: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    active: Option<&'a str>,
    models: &'a [Manifest],
    unreadable: Vec<String>,
}

pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let store = ModelStore::open_existing(&arguments.store)?;
    if let Some(id) = &arguments.activate {
        store.activate(&store.model(id)?)?;
    } else if arguments.roll_back {
        store.activate(&store.model(&store.previous_id()?)?)?;
    }
    let active = store.active_id()?;
    let Listing { models, unreadable } = store.list()?;
    let unreadable: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
    if arguments.json {
        output::print_json(&Report {
            active: active.as_deref(),
            models: &models,
            unreadable,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    for reason in unreadable {
        eprintln!("left out {reason}");
    }
    if models.is_empty() {
        output::print_line("no models yet: `thumb_gesture train` makes one")?;
    }
    for model in &models {
        print_model(model, active.as_deref() == Some(&model.id))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_model(model: &Manifest, is_active: bool) -> anyhow::Result<()> {
    let labels = model
        .labels
        .iter()
        .map(Label::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    output::print_line(&format!(
        "{} {}  {}  accuracy {}  {} frames  {labels}",
        if is_active { "*" } else { " " },
        model.id,
        model.created.format(&Rfc3339)?,
        output::percent(model.accuracy),
        model.frames.train + model.frames.validation,
    ))
}
