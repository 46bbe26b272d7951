//! `thumb_gesture purge`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use thumb_gesture::model_store::ModelStore;
use thumb_gesture::purge::Purge;

use crate::output;

/// Maximum number of kept files that are printed.
const MAX_KEPT: usize = 10;

/// Delete everything that shows people: the frames of a dataset, what a store has cached of them, and reports with pictures.
///
/// Without --yes, only prints what would be deleted. Models are kept; `thumb_gesture models delete` deletes them.
/// Bags, exported files and copies elsewhere are not known to this command. Stop node and trainings before: they write new files.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Directory of the dataset
    #[arg(long, value_name = "DIR", required_unless_present = "store")]
    dataset: Option<PathBuf>,
    /// Directory of the model store
    #[arg(long, value_name = "DIR", required_unless_present = "dataset")]
    store: Option<PathBuf>,
    /// Delete permanently
    #[arg(long)]
    yes: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    deleted: bool,
    #[serde(flatten)]
    purge: &'a Purge,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut purge = Purge::default();
    if let Some(dataset) = &arguments.dataset {
        purge.add_dataset(dataset)?;
    }
    let store = arguments
        .store
        .as_deref()
        .map(ModelStore::open_existing)
        .transpose()?;
    if let Some(store) = &store {
        if arguments.yes {
            store.sweep();
        }
        purge.add_store(store)?;
    }
    let errors = if arguments.yes { purge.delete() } else { Vec::new() };
    for error in &errors {
        output::print_error_line(&format!("cannot delete {error}"));
    }
    let code = ExitCode::from(u8::from(!errors.is_empty()));
    if arguments.json {
        output::print_json(&Report {
            deleted: arguments.yes && errors.is_empty(),
            purge: &purge,
        })?;
        return Ok(code);
    }
    for part in &purge.parts {
        output::print_line(&format!(
            "{}: {} files, {:.1} MB, in {}",
            part.name,
            part.files,
            part.bytes as f64 / 1e6,
            part.directory.display()
        ))?;
    }
    for file in purge.kept.iter().take(MAX_KEPT) {
        output::print_line(&format!("kept, may show people: {}", file.display()))?;
    }
    if purge.kept.len() > MAX_KEPT {
        let more = purge.kept.len() - MAX_KEPT;
        output::print_line(&format!("kept, may show people: {more} more files, see --json"))?;
    }
    output::print_line(match (purge.parts.is_empty(), arguments.yes, errors.is_empty()) {
        (true, _, _) => "there is nothing to delete",
        (false, true, true) => "these files were deleted",
        (false, true, false) => "not all of these files could be deleted",
        (false, false, _) => "nothing was deleted; add --yes to delete these files permanently",
    })?;
    Ok(code)
}
