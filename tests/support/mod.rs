//! Shared by the tests: drawn datasets, random weights, running the command line, and running Python scripts for comparisons.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test file is a crate of its own and uses a part"
)]

pub(crate) mod runner;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tch::Device;
use thumb_gesture::drawn_hand;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::model_store::WEIGHTS_FILE;
use thumb_gesture::network::torch::TorchModule;
use thumb_gesture::network::{Layer, Network, parameters};
use thumb_gesture::weights::{Initialization, ParameterSpec, Tensor, Weights};

/// The values of a tensor in a file of reference results.
pub(crate) fn values(weights: &Weights, name: &str, shape: &[usize]) -> Vec<f32> {
    let parameter = ParameterSpec {
        name: name.to_owned(),
        shape: shape.to_vec(),
        initialization: Initialization::Constant(0.0),
        is_trainable: true,
    };
    weights.get(&parameter).expect(name).values.clone()
}

/// Writes `per_label` drawn images of every gesture, in one directory per label.
pub(crate) fn draw_dataset(directory: &Path, seed: u64, per_label: u64) {
    for gesture in Gesture::ALL {
        let label = directory.join(gesture.label());
        std::fs::create_dir_all(&label).expect("creates");
        for index in 0..per_label {
            let scene = drawn_hand::draw(gesture, seed, index, 320, 240);
            scene.save(label.join(format!("{index:04}.png"))).expect("writes");
        }
    }
}

/// The paths of the entries of a directory, sorted.
pub(crate) fn files_in(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("lists")
        .map(|entry| entry.expect("lists").path())
        .collect();
    files.sort();
    files
}

/// Trains quickly on drawn hands. Returns a directory with `dataset`, `store` and images of `unseen` hands, and the summary of the training.
pub(crate) fn trained_on_drawn_hands() -> (tempfile::TempDir, Value) {
    let root = tempfile::tempdir().expect("a directory");
    let directory = |name: &str| root.path().join(name);
    draw_dataset(&directory("dataset"), 5, 20);
    draw_dataset(&directory("unseen"), 6, 10);
    let summary = json(&train(
        &directory("dataset"),
        &directory("store"),
        &["--copies", "1"],
    ));
    (root, summary)
}

/// Writes random weights into a store as the pretrained weights of a network, as `import-weights` does, and returns them.
///
/// Their features are useless, but small networks take a fraction of AlexNet's time and disk space.
pub(crate) fn write_random_pretrained(store: &Path, network: &str) -> Weights {
    let network = Network::named(network, 1000).expect("known");
    let weights = random_weights(&network);
    let directory = store.join("pretrained");
    std::fs::create_dir_all(&directory).expect("creates");
    let file = directory.join(format!("{}.safetensors", network.name()));
    weights.write(&file).expect("writes");
    weights
}

/// Random weights of a network, identical in every call.
pub(crate) fn random_weights(network: &Network) -> Weights {
    tch::manual_seed(1);
    let module =
        TorchModule::with_pretrained(&network.layers, &Weights::default(), Device::Cpu).expect("fits");
    module.weights().expect("copies")
}

/// The command `thumb_gesture`, without arguments.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_thumb_gesture"))
}

/// Runs `thumb_gesture`.
pub(crate) fn thumb_gesture<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    program().args(arguments).output().expect("starts")
}

/// Runs `thumb_gesture train --json`.
pub(crate) fn train(dataset: &Path, store: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command.args(["train", "--json", "--dataset"]).arg(dataset);
    command.arg("--store").arg(store).args(more);
    command.output().expect("starts")
}

/// Runs `thumb_gesture models` with further arguments.
pub(crate) fn models(store: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command.args(["models", "--store"]).arg(store).args(more);
    command.output().expect("starts")
}

/// The JSON object that a successful run printed.
pub(crate) fn json(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Asserts that a run failed, and returns its stderr.
pub(crate) fn failure(output: &Output) -> String {
    stderr_with_code(output, 1)
}

/// Asserts that a run was called with invalid arguments, and returns its stderr.
pub(crate) fn usage_error(output: &Output) -> String {
    stderr_with_code(output, 2)
}

fn stderr_with_code(output: &Output, code: i32) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    stderr
}

/// The model id in the summary of a training.
pub(crate) fn model_id(summary: &Value) -> String {
    summary["model_id"].as_str().expect("an id").to_owned()
}

/// The directory of the model that a training has stored.
pub(crate) fn model_directory(store: &Path, summary: &Value) -> PathBuf {
    store.join("models").join(model_id(summary))
}

/// The weights of the model that a training has stored.
pub(crate) fn model_weights(store: &Path, summary: &Value) -> Weights {
    let file = model_directory(store, summary).join(WEIGHTS_FILE);
    Weights::read(&file).expect("reads")
}

/// Returns the parameters of the layers that differ between two sets of weights, and those that are identical to the bit.
pub(crate) fn changed_and_same(
    layers: &[Layer],
    before: &Weights,
    after: &Weights,
) -> [Vec<ParameterSpec>; 2] {
    let bits = |tensor: &Tensor| -> Vec<u32> { tensor.values.iter().map(|value| value.to_bits()).collect() };
    let tensor =
        |weights: &Weights, parameter: &ParameterSpec| bits(weights.get(parameter).expect("is there"));
    let (same, changed) = parameters(layers)
        .into_iter()
        .partition(|parameter| tensor(before, parameter) == tensor(after, parameter));
    [changed, same]
}

/// The Python with torch, torchvision and onnx that `scripts/setup.sh --tests` installs and `scripts/env.sh` names.
pub(crate) fn python() -> Option<OsString> {
    std::env::var_os("THUMB_GESTURE_TEST_PYTHON")
}

/// Makes a directory in which first `prepare` and then a task of a Python script in `tests/` write; needs [`runner::Requirement::Torch`].
pub(crate) fn reference(script: &str, task: &[&str], prepare: impl FnOnce(&Path)) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    prepare(directory.path());
    run_reference(script, task, directory.path());
    directory
}

/// Runs a task of a Python script in `tests/` on a directory; needs [`runner::Requirement::Torch`].
pub(crate) fn run_reference(script: &str, task: &[&str], directory: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let mut command = Command::new(python().expect("the test is listed with `needs Torch`"));
    let output = command.arg(script).args(task).arg(directory).output();
    let output = output.expect("starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
