//! The command line of the training process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use r2r::thumb_gesture::srv::Retrain;
use tokio::process::Command;

use crate::dataset::augment::Level;
use crate::names::parse_name;
use crate::network::Architecture;
use crate::training::strategy::Strategy;
use crate::training::{PARENT_VARIABLE, TrainingOptions};

/// Validates a request, and returns the arguments for it.
///
/// # Errors
/// An option is unknown or out of range.
pub(super) fn arguments(request: &Retrain::Request) -> Result<Vec<String>, String> {
    let mut arguments = vec!["--seed".to_owned(), request.seed.to_string()];
    if !["", "auto"].contains(&request.strategy.as_str()) {
        let strategy: Strategy =
            parse_name("strategy", &request.strategy).map_err(|error| format!("{error}, or auto"))?;
        arguments.extend(["--strategy".to_owned(), strategy.to_string()]);
    }
    if !request.augmentation.is_empty() {
        let level: Level =
            parse_name("augmentation level", &request.augmentation).map_err(|error| error.to_string())?;
        arguments.extend(["--augmentation".to_owned(), level.to_string()]);
    }
    if request.epochs > TrainingOptions::MAX_EPOCHS {
        return Err(format!(
            "epochs is {}, must be 1 to {}, or 0 for the default",
            request.epochs,
            TrainingOptions::MAX_EPOCHS
        ));
    }
    if request.epochs > 0 {
        arguments.extend(["--epochs".to_owned(), request.epochs.to_string()]);
    }
    if request.force {
        arguments.push("--force".to_owned());
    }
    if request.skip_empty_labels {
        arguments.push("--skip-empty-labels".to_owned());
    }
    Ok(arguments)
}

/// The command that trains on a dataset and adds the model to a store.
pub(super) fn command(
    dataset: &Path,
    store: &Path,
    network: Architecture,
    camera_roll_deg: f32,
    arguments: &[String],
) -> Command {
    // Both programs are installed in the same directory.
    let program = std::env::current_exe()
        .unwrap_or_default()
        .with_file_name("thumb_gesture");
    let mut command = Command::new(program);
    command.arg("train").args(["--progress", "json", "--background"]);
    command.arg("--dataset").arg(absolute(dataset));
    command.arg("--store").arg(absolute(store));
    command.args(["--network", network.into()]);
    command.arg(format!("--camera-roll={camera_roll_deg}"));
    command.args(arguments);
    // By default libtorch's threads spin while they wait, which makes a training beside a camera and a classifier take three times
    // as long.
    command.env("OMP_WAIT_POLICY", "passive");
    command.env(PARENT_VARIABLE, std::process::id().to_string());
    // A Ctrl-C in the terminal must reach the node only, which then ends the process.
    command.process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
