//! ONNX Runtime's telemetry, which must not leave the robot.

/// Turns it off for this program and its children.
///
/// ONNX Runtime's builds for Linux, since 1.32, record events with an id of the machine below `~/.cache` and send them. Its function to
/// disable that comes after the first event, so that this variable is set before its library is loaded.
///
/// Must be called at the start of a program: an environment can only be changed safely while there is a single thread, and is left as it is
/// otherwise.
pub fn disable() {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads == 1 {
        // SAFETY: no other thread reads or changes the environment.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
        }
    }
}
