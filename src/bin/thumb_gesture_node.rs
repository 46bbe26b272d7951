//! `thumb_gesture_node`, the ROS 2 node.

use std::process::ExitCode;

const HELP: &str = "\
Watches a camera and says on the topic thumb_gesture what the hand in front of it says.

Usage: thumb_gesture_node [--ros-args ...]

Example, with the directories of your choice and the JetBot's camera:
  ros2 run thumb_gesture thumb_gesture_node --ros-args -r __ns:=/jetbot \\
      -p dataset:=$HOME/gestures/dataset -p store:=$HOME/gestures/store

Parameters, all of them with -p name:=value or --params-file FILE after --ros-args:
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
