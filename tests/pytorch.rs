//! Files written by the current PyTorch, in both formats.
//!
//! The tests need Python with torch, which `scripts/setup.sh --tests` installs. `scripts/env.sh` sets
//! `THUMB_GESTURE_TEST_PYTHON` to it; without this variable the tests are skipped.

mod support;

use std::path::{Path, PathBuf};

use thumb_gesture::weights::Weights;
use thumb_gesture::weights::pytorch;

fn saved_tensors_are_read_back_from_every_format() {
    let directory = reference("good");
    let mut read = 0;
    for path in pytorch_files(directory.path()) {
        let expected = Weights::read(&expected_path(&path)).expect("reads");
        let found = pytorch::read(&path).expect("reads");
        assert!(found == expected, "{path:?}: {found:?} instead of {expected:?}");
        read += 1;
    }
    assert_eq!(read, 11 * 4, "11 objects in 4 formats each");
}

fn files_without_plain_weights_are_rejected_by_name() {
    let directory = reference("bad");
    let expected = [
        ("evil", ["references posix.system", "model.state_dict()"]),
        (
            "whole_model",
            ["container.Sequential", "model.state_dict() instead"],
        ),
        (
            "own_model",
            ["references __main__.OwnModel", "model.state_dict()"],
        ),
        ("float8", ["tensor weight is float8_e5m2", "supported: float32"]),
        ("complex", ["tensor weight is complex64", "supported: float32"]),
        (
            "torch2trt",
            ["TensorRT engine of torch2trt", "import the PyTorch weights"],
        ),
        ("negated", ["tensor weight is invalid", "resolve_neg"]),
    ];
    let files = pytorch_files(directory.path());
    assert_eq!(files.len(), expected.len() * 4);
    for path in files {
        let message = pytorch::read(&path).expect_err("is rejected").to_string();
        let file_name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(message.contains(file_name), "{message}");
        let kind = expected.iter().find(|(kind, _)| file_name.starts_with(kind));
        let (_, parts) = kind.expect("one of these");
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    }
    assert!(!directory.path().join("evil_was_executed").exists());
}

fn truncated_file_is_rejected() {
    let directory = reference("good");
    for format in ["zip", "legacy"] {
        let bytes = std::fs::read(directory.path().join(format!("state_dict.{format}.pth"))).expect("reads");
        let path = directory.path().join("truncated.pth");
        for kept in (0..bytes.len()).step_by(7) {
            std::fs::write(&path, &bytes[..kept]).expect("writes");
            let message = pytorch::read(&path).expect_err("is rejected").to_string();
            assert!(message.contains("cannot read "), "{message}");
            assert!(message.contains("truncated.pth: "), "{message}");
        }
    }
}

fn pytorch_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "pth"))
        .collect()
}

/// `name.safetensors` for `name.format.pth`.
fn expected_path(path: &Path) -> PathBuf {
    path.with_extension("").with_extension("safetensors")
}

/// A directory with the output of the reference script.
fn reference(task: &str) -> tempfile::TempDir {
    support::reference("pytorch/reference.py", &[task], |_| {})
}

support::runner::tests! {
    saved_tensors_are_read_back_from_every_format needs Torch,
    files_without_plain_weights_are_rejected_by_name needs Torch,
    truncated_file_is_rejected needs Torch,
}
