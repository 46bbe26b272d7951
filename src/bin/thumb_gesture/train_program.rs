//! `thumb_gesture train` in a build without libtorch: continues as `thumb_gesture_train`, which is this command line with libtorch.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Args;

/// Train a model on a dataset, and make it the active one if it is no worse than the active model.
///
/// `thumb_gesture train --help` lists the options.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// The options of a training
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<OsString>,
}

/// Replaces this process, so that the training has its process id, its parent and its terminal.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    // Both programs are installed in the same directory.
    let program = std::env::current_exe()?.with_file_name("thumb_gesture_train");
    let error = Command::new(&program).arg("train").args(arguments.options).exec();
    anyhow::bail!(
        "cannot start {}, the program that trains: {error}; build the package again with scripts/build.sh",
        program.display()
    );
}
