//! `thumb_gesture import-weights` on files as PyTorch writes them: what it makes of them, and that a refused one leaves no trace.
//!
//! What needs Python's torch and torchvision, which `scripts/setup.sh --tests` installs and `scripts/env.sh` names in
//! `THUMB_GESTURE_TEST_PYTHON`, says that it was skipped where that is not set.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use support::{failure, model_id, model_weights, program, random_start, thumb_gesture, train};
use thumb_gesture::drawn_hand;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::network::Network;
use thumb_gesture::weights::{Tensor, Weights, pytorch};

/// Probabilities may differ by so much: the images are made smaller by another program.
const PROBABILITY_TOLERANCE: f64 = 1e-3;
const CHECKPOINT: &str = "checkpoint.pth";
const IMAGE: &str = "image.png";

fn jetbots_model_says_what_torch_says() {
    let directory = checkpoint("alexnet", 2, "legacy");
    let report = compare_with_torch(directory.path(), &["--activate"]);
    assert_eq!(report["network"], "alexnet");
    assert_eq!(report["labels"], json!(["thumbsdown", "thumbsup"]));
    assert_eq!(report["active"], true);
}

fn a_checkpoint_with_labels_says_what_torch_says() {
    let directory = checkpoint("resnet18", 3, "nested");
    let labels = ["none", "thumbs_down", "thumbs_up"];
    let report = compare_with_torch(directory.path(), &["--labels", &labels.join(",")]);
    assert_eq!(report["network"], "resnet18");
    assert_eq!(report["labels"], json!(labels));
    assert_eq!(report["active"], false);
}

fn what_knows_imagenet_becomes_the_start_of_trainings() {
    let directory = checkpoint("squeezenet1_1", 1000, "state_dict");
    let (store, dataset) = (directory.path().join("store"), directory.path().join("dataset"));
    let file = directory.path().join(CHECKPOINT);
    let report = support::json(&import(&file, &store, &["--json"]));
    let pretrained = store.join("pretrained/squeezenet1_1.safetensors");
    let expected = json!({"imported": "pretrained", "network": "squeezenet1_1", "path": pretrained});
    assert_eq!(report, expected);
    assert!(files_in(&store.join("models")).is_empty(), "it is no model");
    let imported = pytorch::read(&file).expect("reads");
    assert!(Weights::read(&pretrained).expect("reads") == imported);

    support::draw_dataset(&dataset, 5, 3);
    let recipe = "--network squeezenet1_1 --strategy last_layer --epochs 1 --folds 1 --copies 1";
    let recipe: Vec<&str> = recipe.split(' ').collect();
    let trained = model_weights(&store, &support::json(&train(&dataset, &store, &recipe)));
    let network = Network::named("squeezenet1_1", 3).expect("known");
    let [changed, same] = support::changed_and_same(network.features(), &imported, &trained);
    assert!(changed.is_empty() && same.len() == 2 * 25, "{changed:?}");
    assert_eq!(
        trained.shape("classifier.1.weight"),
        Some([3, 512, 1, 1].as_slice())
    );
    assert_eq!(
        imported.shape("classifier.1.weight"),
        Some([1000, 512, 1, 1].as_slice())
    );
}

fn what_asks_to_be_executed_is_refused_by_its_name() {
    let directory = support::reference("pytorch/reference.py", &["bad"], |_| {});
    for file in ["evil.zip.pth", "evil.legacy.pth"] {
        let refusal = refusal(&directory.path().join(file), &[]);
        assert!(refusal.contains(file), "{refusal}");
        assert!(refusal.contains("it asks for posix.system"), "{refusal}");
    }
    assert!(!directory.path().join("evil_was_executed").exists());
    let whole_model = refusal(&directory.path().join("whole_model.legacy.pth"), &[]);
    assert!(
        whole_model.contains("model.state_dict() instead"),
        "{whole_model}"
    );
}

fn what_is_no_weights_is_refused_by_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let missing = refusal(&path("missing.pth"), &[]);
    assert!(
        missing.contains("missing.pth") && missing.contains("No such file"),
        "{missing}"
    );
    fs::create_dir(path("directory.pth")).expect("creates");
    let no_file = refusal(&path("directory.pth"), &[]);
    assert!(no_file.contains("directory.pth"), "{no_file}");
    let garbage: Vec<u8> = (0..5000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let kinds = [
        ("empty", &garbage[..0]),
        ("short", &garbage[..3]),
        ("long", &garbage[..]),
    ];
    for (name, content) in kinds {
        for extension in ["pth", "safetensors"] {
            let file = path(name).with_extension(extension);
            fs::write(&file, content).expect("writes");
            let refusal = refusal(&file, &[]);
            assert!(refusal.contains(&file.display().to_string()), "{refusal}");
            assert!(!refusal.contains("panicked"), "{refusal}");
        }
    }
}

fn tensors_of_another_network_are_named_beside_the_nearest() {
    let directory = tempfile::tempdir().expect("a directory");
    let refusal_of = |weights: &Weights| {
        let file = directory.path().join("weights.safetensors");
        weights.write(&file).expect("writes");
        refusal(&file, &[])
    };
    let mut lacking = Weights::default();
    let whole = random_start(directory.path(), "squeezenet1_1");
    let network = Network::named("squeezenet1_1", 1000).expect("known");
    for parameter in thumb_gesture::network::parameters(&network.layers) {
        if parameter.name != "features.3.squeeze.bias" {
            let tensor = whole.get(&parameter).expect("is there").clone();
            lacking.insert(parameter.name, tensor);
        }
    }
    let lacks = refusal_of(&lacking);
    assert!(lacks.contains("nearest is squeezenet1_1"), "{lacks}");
    assert!(lacks.contains("features.3.squeeze.bias is missing"), "{lacks}");

    let mut misshaped = whole.clone();
    misshaped.insert("features.0.bias".to_owned(), zeros(&[65]));
    let has_another_shape = refusal_of(&misshaped);
    let expected = "features.0.bias is [65] instead of [64]";
    assert!(has_another_shape.contains(expected), "{has_another_shape}");

    let mut extended = whole.clone();
    extended.insert("aux_logits.bias".to_owned(), zeros(&[2]));
    let has_more = refusal_of(&extended);
    assert!(has_more.contains("aux_logits.bias is too much"), "{has_more}");

    let mut of_none_here = Weights::default();
    of_none_here.insert("conv_stem.weight".to_owned(), zeros(&[8, 3, 3, 3]));
    let foreign = refusal_of(&of_none_here);
    assert!(
        foreign.contains("fits no network here; the nearest is "),
        "{foreign}"
    );
    assert!(
        foreign.contains("is missing") && foreign.contains(" more"),
        "{foreign}"
    );
}

fn labels_that_do_not_fit_the_outputs_or_the_rule_are_refused_with_what_would_be_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let with_outputs = |outputs: usize| squeezenet_with_outputs(directory.path(), outputs);
    let three = with_outputs(3);
    for (labels, given) in [("", 0), ("a,b", 2), ("a,b,c,d", 4)] {
        let labels = if given == 0 {
            vec![]
        } else {
            vec!["--labels", labels]
        };
        let refusal = refusal(&three, &labels);
        assert!(refusal.contains("has 3 outputs"), "{refusal}");
        assert!(refusal.contains(&format!("{given} label(s)")), "{refusal}");
        assert!(refusal.contains("--labels label1,label2,label3"), "{refusal}");
    }
    let one_for_two = refusal(&with_outputs(2), &["--labels", "up"]);
    assert!(one_for_two.contains("has 2 outputs"), "{one_for_two}");
    let too_few = refusal(&with_outputs(1000), &["--labels", "a,b"]);
    assert!(too_few.contains("has 1000 outputs"), "{too_few}");
    for labels in ["a,thumbs up,c", "a,../b,c", "a,,c"] {
        let refusal = refusal(&three, &["--labels", labels]);
        assert!(refusal.contains("a label is 1 to 64 characters"), "{refusal}");
    }
    let store = directory.path().join("store");
    let report = support::json(&import(&three, &store, &["--json", "--labels", "a,b,c"]));
    assert_eq!(report["labels"], json!(["a", "b", "c"]));
}

fn a_label_cannot_stand_for_two_outputs() {
    let directory = tempfile::tempdir().expect("a directory");
    let three = squeezenet_with_outputs(directory.path(), 3);
    refusal(&three, &["--labels", "a,b,a"]);
}

fn a_start_cannot_be_labelled_or_activated() {
    let directory = tempfile::tempdir().expect("a directory");
    let imagenets = squeezenet_with_outputs(directory.path(), 1000);
    let network = Network::named("squeezenet1_1", 1000).expect("known");
    let (mut features, whole) = (Weights::default(), Weights::read(&imagenets).expect("reads"));
    for parameter in thumb_gesture::network::parameters(network.features()) {
        let tensor = whole.get(&parameter).expect("is there").clone();
        features.insert(parameter.name, tensor);
    }
    let headless = directory.path().join("features.safetensors");
    features.write(&headless).expect("writes");
    for (file, option) in [
        (&imagenets, ["--activate"].as_slice()),
        (&headless, &["--activate"]),
        (&headless, &["--labels", "a,b"]),
    ] {
        let refusal = refusal(file, option);
        assert!(refusal.contains("becomes a start of trainings"), "{refusal}");
    }
    let report = support::json(&import(&headless, &directory.path().join("store"), &["--json"]));
    assert_eq!(report["imported"], "pretrained");
}

/// Imports a file into a new store, and into one that has a start already; it must be refused, and the store stay as it was.
fn refusal(file: &Path, more: &[&str]) -> String {
    let root = tempfile::tempdir().expect("a directory");
    let store = root.path().join("store");
    let refusal = failure(&import(file, &store, more));
    assert!(!refusal.contains("panicked"), "{refusal}");
    for directory in ["models", "pretrained"] {
        let files = files_in(&store.join(directory));
        assert!(files.is_empty(), "{files:?} after {refusal}");
    }
    let start = store.join("pretrained/squeezenet1_1.safetensors");
    fs::create_dir_all(store.join("pretrained")).expect("creates");
    fs::write(&start, b"an earlier one").expect("writes");
    failure(&import(file, &store, more));
    assert_eq!(fs::read(&start).expect("reads"), b"an earlier one");
    assert_eq!(files_in(&store.join("pretrained")), [start]);
    assert!(files_in(&store.join("models")).is_empty());
    refusal
}

/// Imports the checkpoint and compares what the model says of the image with what torch says; gives the import's report.
fn compare_with_torch(directory: &Path, more: &[&str]) -> Value {
    let store = directory.join("store");
    let more: Vec<&str> = std::iter::once("--json").chain(more.iter().copied()).collect();
    let report = support::json(&import(&directory.join(CHECKPOINT), &store, &more));
    assert_eq!(report["imported"], "model");
    let arguments: [PathBuf; 7] = [
        "predict".into(),
        "--json".into(),
        "--store".into(),
        store,
        "--model".into(),
        model_id(&report).into(),
        directory.join(IMAGE),
    ];
    let prediction = support::json(&thumb_gesture(arguments));
    let expected = fs::read(directory.join("probabilities.json")).expect("was written");
    let expected: Vec<f64> = serde_json::from_slice(&expected).expect("JSON");
    let labels = report["labels"].as_array().expect("a list");
    assert_eq!(labels.len(), expected.len());
    for (label, expected) in labels.iter().zip(expected) {
        let label = label.as_str().expect("a label");
        let found = prediction["probabilities"][label].as_f64().expect("a number");
        let difference = (found - expected).abs();
        assert!(
            difference < PROBABILITY_TOLERANCE,
            "{label}: {found} instead of {expected}"
        );
    }
    report
}

/// A directory with an image, a checkpoint with random weights, and the probabilities that torch gives.
fn checkpoint(network: &str, outputs: usize, format: &str) -> tempfile::TempDir {
    let draw = |directory: &Path| {
        let image = drawn_hand::draw(Gesture::ThumbsUp, 3, 0, 640, 480);
        image.save(directory.join(IMAGE)).expect("writes");
    };
    let task = ["checkpoint", network, &outputs.to_string(), format];
    support::reference("parity/reference.py", &task, draw)
}

fn import(file: &Path, store: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command.arg("import-weights").arg(file);
    command.arg("--store").arg(store).args(more);
    command.output().expect("starts")
}

fn squeezenet_with_outputs(directory: &Path, outputs: usize) -> PathBuf {
    let mut weights = random_start(directory, "squeezenet1_1");
    weights.insert("classifier.1.weight".to_owned(), zeros(&[outputs, 512, 1, 1]));
    weights.insert("classifier.1.bias".to_owned(), zeros(&[outputs]));
    let file = directory.join(format!("{outputs}.safetensors"));
    weights.write(&file).expect("writes");
    file
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor {
        shape: shape.to_vec(),
        values: vec![0.0; shape.iter().product()],
    }
}

/// The files and directories in a directory, hidden ones too; none where it is not there.
fn files_in(directory: &Path) -> Vec<PathBuf> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.expect("lists").path()).collect(),
        Err(_) => Vec::new(),
    }
}

support::runner::tests! {
    jetbots_model_says_what_torch_says needs Torch,
    a_checkpoint_with_labels_says_what_torch_says needs Torch,
    what_knows_imagenet_becomes_the_start_of_trainings needs Torch,
    what_asks_to_be_executed_is_refused_by_its_name needs Torch,
    what_is_no_weights_is_refused_by_its_name,
    tensors_of_another_network_are_named_beside_the_nearest,
    labels_that_do_not_fit_the_outputs_or_the_rule_are_refused_with_what_would_be_right,
    a_label_cannot_stand_for_two_outputs,
    a_start_cannot_be_labelled_or_activated,
}
