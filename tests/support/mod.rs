//! What the tests of the command line share: drawn datasets, and one way to run the program.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use thumb_gesture::drawn_hand;
use thumb_gesture::gesture::Gesture;

/// Draws scenes of every gesture into an image folder.
pub fn draw_dataset(folder: &Path, seed: u64, per_label: u64) {
    for gesture in Gesture::ALL {
        let label = folder.join(gesture.label());
        std::fs::create_dir_all(&label).expect("creates");
        for index in 0..per_label {
            let scene = drawn_hand::draw(gesture, seed, index, 320, 240);
            scene.save(label.join(format!("{index:04}.png"))).expect("writes");
        }
    }
}

/// `thumb_gesture`, still without arguments.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_thumb_gesture"))
}

/// Runs `thumb_gesture`.
pub fn thumb_gesture<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    program().args(arguments).output().expect("starts")
}

/// The one JSON object that a run printed.
pub fn json(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// What a failed run complained of.
pub fn complaint(output: &Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}
