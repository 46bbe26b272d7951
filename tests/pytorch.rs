//! PyTorch files as PyTorch itself writes them today, in both formats.
//!
//! They need Python's torch, which `scripts/setup.sh --tests` installs and `scripts/env.sh` names in
//! `THUMB_GESTURE_TEST_PYTHON`.

mod support;

use std::path::{Path, PathBuf};

use thumb_gesture::weights::Weights;
use thumb_gesture::weights::pytorch;

fn every_file_holds_what_python_saved() {
    let directory = reference("good");
    let mut read = 0;
    for path in pytorch_files(directory.path()) {
        let bytes = std::fs::read(&path).expect("reads");
        assert!(pytorch::is_pytorch(&bytes[..32]), "{path:?}");
        let expected = Weights::read(&expected_path(&path)).expect("reads");
        let found = pytorch::read(&path).expect("reads");
        assert!(found == expected, "{path:?}: {found:?} instead of {expected:?}");
        read += 1;
    }
    assert_eq!(read, 11 * 4, "kinds of objects and of formats");
}

fn what_is_not_weights_is_refused_by_its_name() {
    let directory = reference("bad");
    let expected = [
        ("evil", ["it asks for posix.system", "model.state_dict()"]),
        (
            "whole_model",
            ["container.Sequential", "model.state_dict() instead"],
        ),
        (
            "own_model",
            ["it asks for __main__.OwnModel", "model.state_dict()"],
        ),
        ("float8", ["tensor weight is float8_e5m2", "supported: float32"]),
        ("complex", ["tensor weight is complex64", "supported: float32"]),
        ("negated", ["tensor weight is broken", "resolve_neg"]),
    ];
    let files = pytorch_files(directory.path());
    assert_eq!(files.len(), expected.len() * 4);
    for path in files {
        let message = pytorch::read(&path).expect_err("is refused").to_string();
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

fn a_file_cut_off_by_a_full_disk_is_refused() {
    let directory = reference("good");
    for format in ["zip", "legacy"] {
        let bytes = std::fs::read(directory.path().join(format!("state_dict.{format}.pth"))).expect("reads");
        let path = directory.path().join("cut_off.pth");
        for kept in (0..bytes.len()).step_by(7) {
            std::fs::write(&path, &bytes[..kept]).expect("writes");
            let message = pytorch::read(&path).expect_err("is refused").to_string();
            assert!(message.contains("cut_off.pth is not read"), "{message}");
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

/// `name.safetensors` of `name.format.pth`.
fn expected_path(path: &Path) -> PathBuf {
    path.with_extension("").with_extension("safetensors")
}

/// A directory in which the reference has written; none where there is no Python with torch.
fn reference(task: &str) -> tempfile::TempDir {
    support::reference("pytorch/reference.py", &[task], |_| {})
}

support::runner::tests! {
    every_file_holds_what_python_saved needs Torch,
    what_is_not_weights_is_refused_by_its_name needs Torch,
    a_file_cut_off_by_a_full_disk_is_refused needs Torch,
}
