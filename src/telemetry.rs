//! ONNX Runtime's telemetry, which must not leave the robot.

use std::os::unix::process::CommandExt;
use std::process::Command;

const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// Turns it off for this program and its children, unless the environment already says whether it is.
///
/// ONNX Runtime's builds for Linux record events with an id of the machine below `~/.cache`, and send them. Its function to disable that
/// comes after the first event, so that this variable must be set before its library is loaded. Where libraries have started threads already,
/// as those of ROS do, an environment cannot be changed safely: the program is then executed anew with the variable. If that fails, it goes
/// on.
///
/// To be called first in a program.
pub fn disable() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads == 1 {
        // SAFETY: no other thread reads or changes the environment.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(VARIABLE, "1");
        }
    } else if let Ok(program) = std::env::current_exe() {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        // Returns only after a failure.
        drop(
            Command::new(program)
                .arg0(name)
                .args(arguments)
                .env(VARIABLE, "1")
                .exec(),
        );
    }
}
