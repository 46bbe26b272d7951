//! `thumb_gesture models`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;
use thumb_gesture::dataset::Label;
use thumb_gesture::model_store::archive::Unpacked;
use thumb_gesture::model_store::{Listing, Manifest, ModelStore};
use thumb_gesture::preprocess::Preprocessing;
use thumb_gesture::recognizer::model::{LoadedModel, Model};
use thumb_gesture::recognizer::settings::Method;
use thumb_gesture::text::escape_controls;
use time::format_description::well_known::Rfc3339;

use crate::names::names;
use crate::output;
use crate::runtime::RuntimeOptions;

/// List, show, activate, prepare, export, import and delete the models of a store.
///
/// A running node is not affected; its service ~/activate_model activates a model there.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Directory of the model store
    #[arg(long, value_name = "DIR", global = true)]
    store: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// List all models, newest first, with `*` before the active one [default]
    List,
    /// Show the manifest of a model, and check its files for damage
    Show {
        /// Id of the model [default: the active model]
        id: Option<String>,
    },
    /// Make a model the active one
    Activate {
        /// Id of the model [default: the previously active model]
        id: Option<String>,
    },
    /// Delete models permanently
    Delete {
        /// Ids of the models
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Load a model as a node does; builds the TensorRT engines that it lacks, which can take minutes, before the robot drives
    Prepare {
        /// Id of the model [default: the active model]
        id: Option<String>,
        /// Number of cameras of the node: the maximum batch size of the engines
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
        cameras: u16,
        /// The node's parameter `recognizer`
        #[arg(long, value_name = "NAME", default_value = "auto", value_parser = names::<Method>())]
        recognizer: Method,
        #[command(flatten)]
        runtime: RuntimeOptions,
    },
    /// Write a model as one file, for another robot; without the report, which shows people
    Export {
        /// Id of the model [default: the active model]
        id: Option<String>,
        /// The file, which is replaced
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Add a model that `models export` has written; does nothing if the store has it
    Import {
        /// The file
        file: PathBuf,
        /// Fail unless the SHA-256 of the file is this one, which `models export` prints
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
        /// Make it the active model
        #[arg(long)]
        activate: bool,
    },
    /// Delete old models; the active and the previously active model are kept
    Prune {
        /// Number of newest models to keep
        #[arg(long, value_name = "N", default_value_t = 10)]
        keep: usize,
    },
}

#[derive(Serialize)]
struct Report<'a> {
    active: Option<&'a str>,
    models: &'a [Manifest],
    unreadable: Vec<String>,
}

#[derive(Serialize)]
struct Prepared<'a> {
    model_id: &'a str,
    backend: &'a str,
    /// Why this backend was chosen; may be empty.
    reason: &'a str,
}

#[derive(Serialize)]
struct Exported<'a> {
    model_id: &'a str,
    file: &'a Path,
    sha256: &'a str,
}

#[derive(Serialize)]
struct Imported<'a> {
    model_id: &'a str,
    is_new: bool,
    active: bool,
}

#[derive(Serialize)]
struct Change {
    active: Option<String>,
    deleted: Vec<String>,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let root = arguments
        .store
        .context("--store DIR is missing; set it to the directory of the model store")?;
    // A robot that gets its first model has no store yet.
    let store = match arguments.command {
        Some(Command::Import { .. }) => ModelStore::open(&root)?,
        _ => ModelStore::open_existing(&root)?,
    };
    let as_json = arguments.json;
    let command = arguments.command.unwrap_or(Command::List);
    if !matches!(
        command,
        Command::List | Command::Show { .. } | Command::Export { .. }
    ) {
        store.sweep();
    }
    match command {
        Command::List => list(&store, as_json)?,
        Command::Show { id } => show(&store, id.as_deref(), as_json)?,
        Command::Activate { id } => {
            let id = match id {
                Some(id) => id,
                None => store.previous_id()?,
            };
            store.activate(&store.model(&id)?)?;
            print_change(&store, Vec::new(), as_json)?;
        }
        Command::Export { id, output } => export(&store, id.as_deref(), &output, as_json)?,
        Command::Import {
            file,
            sha256,
            activate,
        } => import(&store, &file, sha256.as_deref(), activate, as_json)?,
        Command::Delete { ids } => {
            ids.iter().try_for_each(|id| store.delete(id))?;
            print_change(&store, ids, as_json)?;
        }
        Command::Prepare {
            id,
            cameras,
            recognizer,
            runtime,
        } => {
            let id = store.model_or_active(id.as_deref())?.manifest.id;
            let loaded = runtime.prepare(&Model::open(&store, &id)?, recognizer, usize::from(cameras))?;
            print_prepared(&id, &loaded, as_json)?;
        }
        Command::Prune { keep } => print_change(&store, store.prune(keep)?, as_json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print_prepared(id: &str, loaded: &LoadedModel, as_json: bool) -> anyhow::Result<()> {
    let (backend, reason) = (loaded.recognizer.backend(), loaded.reason.as_str());
    if as_json {
        return output::print_json(&Prepared {
            model_id: id,
            backend,
            reason,
        });
    }
    if !reason.is_empty() {
        output::print_error_line(reason);
    }
    output::print_line(&format!("{id} runs on {backend}"))
}

fn list(store: &ModelStore, as_json: bool) -> anyhow::Result<()> {
    let active = store.active_id()?;
    let Listing { models, unreadable } = store.list()?;
    let unreadable: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
    if as_json {
        return output::print_json(&Report {
            active: active.as_deref(),
            models: &models,
            unreadable,
        });
    }
    for reason in unreadable {
        output::print_error_line(&format!("skipped {reason}"));
    }
    if models.is_empty() {
        output::print_line("no models yet; train one with `thumb_gesture train`")?;
    }
    models
        .iter()
        .try_for_each(|model| print_model(model, active.as_deref() == Some(&model.id)))
}

fn show(store: &ModelStore, id: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    let model = store.model_or_active(id)?;
    if as_json {
        return output::print_json(&model.manifest);
    }
    let is_active = store.active_id()?.as_ref() == Some(&model.manifest.id);
    print_model(&model.manifest, is_active)?;
    output::print_text(&format!(
        "{}\nfiles intact, in {}",
        serde_json::to_string_pretty(&model.manifest)?,
        escape_controls(&model.directory.display().to_string())
    ))
}

fn export(store: &ModelStore, id: Option<&str>, file: &Path, as_json: bool) -> anyhow::Result<()> {
    let model = store.model_or_active(id)?;
    let sha256 = store.pack(&model, file)?;
    let model_id = &model.manifest.id;
    if as_json {
        return output::print_json(&Exported {
            model_id,
            file,
            sha256: &sha256,
        });
    }
    output::print_line(&format!("{model_id} is in {}, SHA-256 {sha256}", file.display()))
}

fn import(
    store: &ModelStore,
    file: &Path,
    sha256: Option<&str>,
    activate: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    let Unpacked { model, is_new } = store.unpack(file, sha256)?;
    if activate {
        store.activate(&model)?;
    }
    let model_id = &model.manifest.id;
    let active = store.active_id()?.as_ref() == Some(model_id);
    if as_json {
        return output::print_json(&Imported {
            model_id,
            is_new,
            active,
        });
    }
    let what = if is_new { "was added" } else { "was there already" };
    let state = if active { "is active" } else { "is not active" };
    output::print_line(&format!("{model_id} {what}, and {state}"))
}

fn print_change(store: &ModelStore, deleted: Vec<String>, as_json: bool) -> anyhow::Result<()> {
    let active = store.active_id()?;
    if as_json {
        return output::print_json(&Change { active, deleted });
    }
    for id in deleted {
        output::print_line(&format!("deleted {id}"))?;
    }
    output::print_line(&match active {
        Some(id) => format!("{id} is active"),
        None => "no model is active".to_owned(),
    })
}

fn print_model(model: &Manifest, is_active: bool) -> anyhow::Result<()> {
    let labels = model
        .labels
        .iter()
        .map(Label::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    let input = if model.preprocessing == Preprocessing::IMAGENET {
        String::new()
    } else {
        format!("  for images in {}", model.preprocessing)
    };
    output::print_line(&format!(
        "{} {}  {}  {}  accuracy {}  {} frames  {labels}{input}",
        if is_active { "*" } else { " " },
        model.id,
        model.created.format(&Rfc3339)?,
        model.strategy,
        output::percent(model.accuracy()),
        model.frames.train,
    ))
}
