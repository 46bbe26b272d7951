//! `thumb_gesture_node`, the ROS 2 node.

use std::process::ExitCode;

const HELP: &str = "\
Classifies the images of a camera and publishes the recognized gestures on the topic thumb_gesture.

Usage: thumb_gesture_node [--ros-args ...]

Example, with your own directories and the camera of a JetBot:
  ros2 run thumb_gesture thumb_gesture_node --ros-args -r __ns:=/jetbot \\
      -p dataset:=$HOME/gestures/dataset -p store:=$HOME/gestures/store

Parameters, which are set with -p NAME:=VALUE or --params-file FILE after --ros-args:
";

fn main() -> ExitCode {
    if std::env::args()
        .skip(1)
        .take_while(|arg| arg != "--ros-args")
        .any(|arg| arg == "--help" || arg == "-h")
    {
        print!("{HELP}");
        for declaration in thumb_gesture::node::params::DECLARATIONS {
            println!(
                "  {:<18} {} [default: {}]",
                declaration.name, declaration.description, declaration.default
            );
        }
        return ExitCode::SUCCESS;
    }
    match thumb_gesture::node::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
