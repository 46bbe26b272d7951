//! `thumb_gesture_node`, the ROS 2 node.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Command;
use thumb_gesture::node::params::DECLARATIONS;
use thumb_gesture::node::run_program;

const ABOUT: &str =
    "Classifies the images of a camera and publishes the recognized gestures on the topic thumb_gesture.";

const EXAMPLE: &str = "\
Example, with your own directories and the camera of a JetBot:
  ros2 run thumb_gesture thumb_gesture_node --ros-args -r __ns:=/jetbot \\
      -p dataset:=$HOME/gestures/dataset -p store:=$HOME/gestures/store

Parameters, which are set with -p NAME:=VALUE or --params-file FILE after --ros-args:
";

fn main() -> ExitCode {
    thumb_gesture::telemetry::disable();
    run_program(|arguments| {
        Command::new(env!("CARGO_BIN_NAME"))
            .version(env!("CARGO_PKG_VERSION"))
            .about(ABOUT)
            .override_usage("thumb_gesture_node [--ros-args ...]")
            .after_help(help_of_parameters())
            .get_matches_from(arguments.plain());
        thumb_gesture::node::run(arguments)
    })
}

fn help_of_parameters() -> String {
    let mut help = EXAMPLE.to_owned();
    for declaration in DECLARATIONS {
        writeln!(
            help,
            "  {:<18} {} [default: {}]",
            declaration.name, declaration.description, declaration.default
        )
        .expect("writing to a string does not fail");
    }
    help
}
