//! `thumb_gesture import-weights` with files from PyTorch: the imported model, and that a failed import leaves the store unchanged.
//!
//! Some tests need Python with torch and torchvision, which `scripts/setup.sh --tests` installs. `scripts/env.sh` sets
//! `THUMB_GESTURE_TEST_PYTHON` to it; without this variable they are skipped.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use support::{failure, model_id, model_weights, program, thumb_gesture, train, write_random_pretrained};
use thumb_gesture::drawn_hand;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::network::Network;
use thumb_gesture::weights::{Tensor, Weights, pytorch};

/// Tolerance for probabilities. The reference resizes images with another library.
const PROBABILITY_TOLERANCE: f64 = 1e-3;
const CHECKPOINT: &str = "checkpoint.pth";
const IMAGE: &str = "image.png";

fn jetbot_model_computes_the_probabilities_of_torch() {
    let directory = checkpoint("alexnet", 2, "legacy");
    let labels = ["thumbsup", "thumbsdown"];
    let report = compare_with_torch(directory.path(), &["--activate", "--labels", &labels.join(",")]);
    assert_eq!(report["network"], "alexnet");
    assert_eq!(report["labels"], json!(labels));
    assert_eq!(report["active"], true);
}

fn checkpoint_with_labels_computes_the_probabilities_of_torch() {
    let directory = checkpoint("resnet18", 3, "nested");
    let labels = ["none", "thumbs_down", "thumbs_up"];
    let report = compare_with_torch(directory.path(), &["--labels", &labels.join(",")]);
    assert_eq!(report["network"], "resnet18");
    assert_eq!(report["labels"], json!(labels));
    assert_eq!(report["active"], false);
}

fn labels_in_a_checkpoint_are_used_for_its_wrapped_network() {
    let directory = checkpoint("alexnet", 2, "training");
    let report = compare_with_torch(directory.path(), &[]);
    assert_eq!(report["network"], "alexnet");
    assert_eq!(report["labels"], json!(["thumbs_up", "thumbs_down"]));
}

fn color_order_mean_and_std_of_the_training_are_options() {
    let labels = ["--labels", "thumbs_up,thumbs_down"];
    for (format, options) in [
        ("bgr", ["--color-order", "bgr"].as_slice()),
        ("tensorflow", &["--mean", "0.5, 0.5, 0.5", "--std", "0.5,0.5,0.5"]),
    ] {
        let directory = checkpoint("alexnet", 2, format);
        let options: Vec<&str> = labels.iter().chain(options).copied().collect();
        let report = compare_with_torch(directory.path(), &options);
        assert_eq!(report["active"], false);
        let (_, difference) = difference_to_torch(directory.path(), &labels);
        assert!(difference > 2.0 * PROBABILITY_TOLERANCE, "{format}: {difference}");
    }
}

fn engine_of_torch2trt_is_rejected_by_name() {
    let directory = support::reference("pytorch/reference.py", &["bad"], |_| {});
    for file in ["torch2trt.zip.pth", "torch2trt.legacy.pth"] {
        let rejection = rejection(&directory.path().join(file), &["--labels", "up,down"]);
        assert!(rejection.contains("TensorRT engine of torch2trt"), "{rejection}");
        assert!(rejection.contains("import the PyTorch weights"), "{rejection}");
    }
}

fn imagenet_weights_become_pretrained_weights() {
    let directory = checkpoint("squeezenet1_1", 1000, "state_dict");
    let (store, dataset) = (directory.path().join("store"), directory.path().join("dataset"));
    let file = directory.path().join(CHECKPOINT);
    let report = support::json(&import(&file, &store, &["--json"]));
    let pretrained = store.join("pretrained/squeezenet1_1.safetensors");
    let expected = json!({"imported": "pretrained", "network": "squeezenet1_1", "path": pretrained});
    assert_eq!(report, expected);
    assert!(files_in(&store.join("models")).is_empty(), "no model is stored");
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

fn code_in_a_pickle_is_rejected_by_name() {
    let directory = support::reference("pytorch/reference.py", &["bad"], |_| {});
    for file in ["evil.zip.pth", "evil.legacy.pth"] {
        let rejection = rejection(&directory.path().join(file), &[]);
        assert!(rejection.contains(file), "{rejection}");
        assert!(rejection.contains("references posix.system"), "{rejection}");
    }
    assert!(!directory.path().join("evil_was_executed").exists());
    let whole_model = rejection(&directory.path().join("whole_model.legacy.pth"), &[]);
    assert!(
        whole_model.contains("model.state_dict() instead"),
        "{whole_model}"
    );
}

fn files_without_weights_are_rejected_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let missing = rejection(&path("missing.pth"), &[]);
    assert!(
        missing.contains("missing.pth") && missing.contains("No such file"),
        "{missing}"
    );
    fs::create_dir(path("directory.pth")).expect("creates");
    let no_file = rejection(&path("directory.pth"), &[]);
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
            let rejection = rejection(&file, &[]);
            assert!(rejection.contains(&file.display().to_string()), "{rejection}");
            assert!(!rejection.contains("panicked"), "{rejection}");
        }
    }
}

fn unknown_network_is_rejected_with_the_differences_to_the_closest() {
    let directory = tempfile::tempdir().expect("a directory");
    let rejection_of = |weights: &Weights| {
        let file = directory.path().join("weights.safetensors");
        weights.write(&file).expect("writes");
        rejection(&file, &[])
    };
    let mut incomplete = Weights::default();
    let whole = write_random_pretrained(directory.path(), "squeezenet1_1");
    let network = Network::named("squeezenet1_1", 1000).expect("known");
    for parameter in thumb_gesture::network::parameters(&network.layers) {
        if parameter.name != "features.3.squeeze.bias" {
            let tensor = whole.get(&parameter).expect("is there").clone();
            incomplete.insert(parameter.name, tensor);
        }
    }
    let lacks = rejection_of(&incomplete);
    assert!(lacks.contains("closest one is squeezenet1_1"), "{lacks}");
    assert!(
        lacks.contains("features.3.squeeze.bias [16] is missing"),
        "{lacks}"
    );

    let mut misshaped = whole.clone();
    misshaped.insert("features.0.bias".to_owned(), zeros(&[65]));
    let has_another_shape = rejection_of(&misshaped);
    let expected = "features.0.bias has the shape [65] instead of [64]";
    assert!(has_another_shape.contains(expected), "{has_another_shape}");

    let mut extended = whole.clone();
    extended.insert("aux_logits.bias".to_owned(), zeros(&[2]));
    let has_more = rejection_of(&extended);
    assert!(
        has_more.contains("aux_logits.bias [2] is unexpected"),
        "{has_more}"
    );

    let mut foreign_weights = Weights::default();
    foreign_weights.insert("conv_stem.weight".to_owned(), zeros(&[8, 3, 3, 3]));
    let foreign = rejection_of(&foreign_weights);
    assert!(
        foreign.contains("does not match any supported network (alexnet, "),
        "{foreign}"
    );
    assert!(foreign.contains("conv_stem.weight [8, 3, 3, 3]"), "{foreign}");
}

fn names_of_wrappers_are_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = Weights::read(&squeezenet_with_outputs(directory.path(), 3)).expect("reads");
    let network = Network::named("squeezenet1_1", 3).expect("known");
    let mut wrapped = Weights::default();
    for parameter in thumb_gesture::network::parameters(&network.layers) {
        let tensor = whole.get(&parameter).expect("is there").clone();
        wrapped.insert(format!("ema_model._orig_mod.module.{}", parameter.name), tensor);
    }
    let file = directory.path().join("wrapped.safetensors");
    wrapped.write(&file).expect("writes");
    let store = directory.path().join("store");
    let report = support::json(&import(&file, &store, &["--json", "--labels", "a,b,c"]));
    assert_eq!(report["network"], "squeezenet1_1");
    assert!(
        model_weights(&store, &report) == whole,
        "the same weights under plain names"
    );

    let mut copies = whole.clone();
    copies.extend(wrapped.clone());
    copies.write(&file).expect("writes");
    support::json(&import(&file, &store, &["--json", "--labels", "a,b,c"]));
    copies.insert("classifier.1.bias".to_owned(), filled(&[3], 1.0));
    copies.write(&file).expect("writes");
    let ambiguous = rejection(&file, &["--labels", "a,b,c"]);
    assert!(ambiguous.contains("holds several networks"), "{ambiguous}");
    assert!(
        ambiguous.contains("ema_model._orig_mod.module (squeezenet1_1)"),
        "{ambiguous}"
    );
    let options = ["--json", "--labels", "a,b,c", "--prefix", "ema_model"];
    let selected = support::json(&import(&file, &store, &options));
    assert!(model_weights(&store, &selected) == whole, "the selected weights");
}

fn file_is_read_by_its_content_and_not_by_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("weights.pth");
    fs::copy(squeezenet_with_outputs(directory.path(), 3), &file).expect("copies");
    let store = directory.path().join("store");
    support::json(&import(&file, &store, &["--json", "--labels", "a,b,c"]));
}

fn other_files_are_rejected_with_their_kind_and_a_fix() {
    let directory = tempfile::tempdir().expect("a directory");
    let cases: [(&[u8], &str, &str); 14] = [
        (b"", "is empty", "download it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "a Git LFS pointer",
            "git lfs pull",
        ),
        (
            b"\n<!doctype HTML><html><title>Sign in</title>",
            "a web page",
            "download the file itself",
        ),
        (
            b"{\"error\": \"Entry not found\"}",
            "JSON text",
            "download the file itself",
        ),
        (
            b"\x08\x07\x12\x07pytorch\x1a\x052.1.0",
            "an ONNX model",
            "PyTorch weights that it was exported from",
        ),
        (
            b"ftrt\0\0\0\0\x01\0\0\0",
            "a TensorRT engine",
            "PyTorch weights that it was made from",
        ),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file", "cannot be imported"),
        (
            b"\x1c\0\0\0TFL3\x14\0\x20\0",
            "a TensorFlow Lite model",
            "cannot be imported",
        ),
        (b"\x1f\x8b\x08\0\0\0\0\0", "a gzip file", "unpack it"),
        (
            b"404: Not Found",
            "a text file",
            "torch.save(model.state_dict(), path)",
        ),
        (&[0; 2000], "filled with zeros", "download it again"),
        (
            b"<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">",
            "an OpenVINO model",
            "PyTorch weights that it was exported from",
        ),
        (b"\x81\xa6params\x82", "MessagePack data", "cannot be imported"),
        (
            b"L\0\0\0\x01\x14\x02\0\0\0",
            "a Windows shortcut",
            "copy the file",
        ),
    ];
    for (content, kind, fix) in cases {
        for name in ["best_model.pth", "model.safetensors", "model.onnx"] {
            let file = directory.path().join(name);
            fs::write(&file, content).expect("writes");
            let rejection = rejection(&file, &["--labels", "up,down"]);
            assert!(rejection.contains(name), "{rejection}");
            assert!(rejection.contains(kind), "{rejection}");
            assert!(rejection.contains(fix), "{rejection}");
        }
    }
}

fn two_outputs_need_labels() {
    let directory = tempfile::tempdir().expect("a directory");
    let two = squeezenet_with_outputs(directory.path(), 2);
    for more in [[].as_slice(), &["--activate"]] {
        let rejection = rejection(&two, more);
        assert!(rejection.contains("has 2 output"), "{rejection}");
        assert!(
            rejection.contains("--labels thumbs_down,thumbs_up"),
            "{rejection}"
        );
        assert!(
            rejection.contains("--labels thumbs_up,thumbs_down"),
            "{rejection}"
        );
        assert!(rejection.contains("ImageFolder sorts"), "{rejection}");
    }
    let store = directory.path().join("store");
    let labels = ["--json", "--labels", "thumbs_up,thumbs_down"];
    let report = support::json(&import(&two, &store, &labels));
    assert_eq!(report["labels"], json!(["thumbs_up", "thumbs_down"]));
}

fn invalid_labels_are_rejected_with_a_valid_example() {
    let directory = tempfile::tempdir().expect("a directory");
    let with_outputs = |outputs: usize| squeezenet_with_outputs(directory.path(), outputs);
    let three = with_outputs(3);
    let none = rejection(&three, &[]);
    assert!(
        none.contains("has 3 output") && none.contains("--labels label1,label2,label3"),
        "{none}"
    );
    for (labels, given) in [("a,b", 2), ("a,b,c,d", 4)] {
        let rejection = rejection(&three, &["--labels", labels]);
        assert!(rejection.contains("has 3 outputs"), "{rejection}");
        assert!(rejection.contains(&format!("{given} label(s)")), "{rejection}");
        assert!(rejection.contains("--labels label1,label2,label3"), "{rejection}");
    }
    let one_for_two = rejection(&with_outputs(2), &["--labels", "up"]);
    assert!(one_for_two.contains("has 2 outputs"), "{one_for_two}");
    let too_few = rejection(&with_outputs(1000), &["--labels", "a,b"]);
    assert!(too_few.contains("has 1000 outputs"), "{too_few}");
    for labels in ["a,thumbs up,c", "a,../b,c", "a,,c"] {
        let rejection = rejection(&three, &["--labels", labels]);
        assert!(rejection.contains("a label is 1 to 64 characters"), "{rejection}");
    }
    let store = directory.path().join("store");
    let report = support::json(&import(&three, &store, &["--json", "--labels", "a,b,c"]));
    assert_eq!(report["labels"], json!(["a", "b", "c"]));
}

fn duplicate_label_is_rejected() {
    let directory = tempfile::tempdir().expect("a directory");
    let three = squeezenet_with_outputs(directory.path(), 3);
    let rejection = rejection(&three, &["--labels", "a,b,a"]);
    assert!(
        rejection.contains("label a is given for two outputs"),
        "{rejection}"
    );
}

fn color_order_is_stored_listed_and_exported() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, onnx) = (
        directory.path().join("store"),
        directory.path().join("model.onnx"),
    );
    let two = squeezenet_with_outputs(directory.path(), 2);
    let options = [
        "--json",
        "--activate",
        "--labels",
        "up,down",
        "--color-order",
        "bgr",
    ];
    let report = support::json(&import(&two, &store, &options));
    assert_eq!(report["preprocessing"]["color_order"], "bgr");
    let run = |command: &[&str]| {
        let mut program = program();
        program.args(command).arg("--store").arg(&store);
        let output = program.output().expect("starts");
        assert!(output.status.success(), "{command:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(run(&["models"]).contains("BGR minus 0.485,0.456,0.406"));
    assert!(run(&["models", "show", "--json"]).contains("\"color_order\":\"bgr\""));
    let exported = run(&["export", "--output", onnx.to_str().expect("UTF-8")]);
    assert!(exported.contains("BGR"), "{exported}");
    let bytes = fs::read(&onnx).expect("reads");
    let input = b"BGR, 0 to 1, 224x224, minus mean, divided by std";
    assert!(bytes.windows(input.len()).any(|window| window == input));
}

fn invalid_preprocessing_is_rejected() {
    let directory = tempfile::tempdir().expect("a directory");
    let two = squeezenet_with_outputs(directory.path(), 2);
    for (option, value, expected) in [
        (
            "--mean",
            "123.675,116.28,103.53",
            "divide values on a scale of 0 to 255 by 255",
        ),
        ("--std", "0,0.2,0.2", "must be above 0"),
    ] {
        let rejection = rejection(&two, &["--labels", "up,down", option, value]);
        assert!(rejection.contains(expected), "{rejection}");
    }
    let imagenets = squeezenet_with_outputs(directory.path(), 1000);
    for option in [["--color-order", "bgr"], ["--mean", "0,0,0"], ["--std", "1,1,1"]] {
        let rejection = rejection(&imagenets, &option);
        assert!(
            rejection.contains("leave out --color-order, --mean and --std"),
            "{rejection}"
        );
    }
    let store = directory.path().join("store");
    for value in ["0.5", "[0.5,0.5,0.5]", "0.5 0.5 0.5", "0.5,0.5,0.5,0.5"] {
        let error = support::usage_error(&import(&two, &store, &["--mean", value]));
        assert!(
            error.contains("three numbers, such as 0.485,0.456,0.406"),
            "{error}"
        );
    }
}

fn pretrained_weights_cannot_be_labeled_or_activated() {
    let directory = tempfile::tempdir().expect("a directory");
    let imagenets = squeezenet_with_outputs(directory.path(), 1000);
    let network = Network::named("squeezenet1_1", 1000).expect("known");
    let (mut features, whole) = (Weights::default(), Weights::read(&imagenets).expect("reads"));
    for parameter in thumb_gesture::network::parameters(network.features()) {
        let tensor = whole.get(&parameter).expect("is there").clone();
        features.insert(parameter.name, tensor);
    }
    let backbone = directory.path().join("features.safetensors");
    features.write(&backbone).expect("writes");
    for (file, option) in [
        (&imagenets, ["--activate"].as_slice()),
        (&backbone, &["--activate"]),
        (&backbone, &["--labels", "a,b"]),
    ] {
        let rejection = rejection(file, option);
        assert!(
            rejection.contains("can only be imported as pretrained weights"),
            "{rejection}"
        );
    }
    let report = support::json(&import(&backbone, &directory.path().join("store"), &["--json"]));
    assert_eq!(report["imported"], "pretrained");
}

/// Imports a file into a new store, and into one with pretrained weights. Both must fail and leave the store unchanged. Returns the
/// error message.
fn rejection(file: &Path, more: &[&str]) -> String {
    let root = tempfile::tempdir().expect("a directory");
    let store = root.path().join("store");
    let rejection = failure(&import(file, &store, more));
    assert!(!rejection.contains("panicked"), "{rejection}");
    for directory in ["models", "pretrained"] {
        let files = files_in(&store.join(directory));
        assert!(files.is_empty(), "{files:?} after {rejection}");
    }
    let pretrained = store.join("pretrained/squeezenet1_1.safetensors");
    fs::create_dir_all(store.join("pretrained")).expect("creates");
    fs::write(&pretrained, b"existing").expect("writes");
    failure(&import(file, &store, more));
    assert_eq!(fs::read(&pretrained).expect("reads"), b"existing");
    assert_eq!(files_in(&store.join("pretrained")), [pretrained]);
    assert!(files_in(&store.join("models")).is_empty());
    rejection
}

/// Imports the checkpoint and compares the probabilities for the image with those of torch. Returns the report of the import.
fn compare_with_torch(directory: &Path, more: &[&str]) -> Value {
    let (report, difference) = difference_to_torch(directory, more);
    assert!(difference < PROBABILITY_TOLERANCE, "{difference}");
    report
}

/// Imports the checkpoint. Returns the report, and the largest difference of a probability for the image to that of torch.
fn difference_to_torch(directory: &Path, more: &[&str]) -> (Value, f64) {
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
    let differences = labels.iter().zip(expected).map(|(label, expected)| {
        let found = &prediction["probabilities"][label.as_str().expect("a label")];
        (found.as_f64().expect("a number") - expected).abs()
    });
    let difference = differences.fold(0.0, f64::max);
    (report, difference)
}

/// A directory with an image, a checkpoint with random weights, and torch's probabilities for the image.
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
    let mut weights = write_random_pretrained(directory, "squeezenet1_1");
    weights.insert("classifier.1.weight".to_owned(), zeros(&[outputs, 512, 1, 1]));
    weights.insert("classifier.1.bias".to_owned(), zeros(&[outputs]));
    let file = directory.join(format!("{outputs}.safetensors"));
    weights.write(&file).expect("writes");
    file
}

fn zeros(shape: &[usize]) -> Tensor {
    filled(shape, 0.0)
}

fn filled(shape: &[usize], value: f32) -> Tensor {
    Tensor {
        shape: shape.to_vec(),
        values: vec![value; shape.iter().product()],
    }
}

/// The entries of a directory, including hidden ones; empty if the directory does not exist.
fn files_in(directory: &Path) -> Vec<PathBuf> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.expect("lists").path()).collect(),
        Err(_) => Vec::new(),
    }
}

support::runner::tests! {
    jetbot_model_computes_the_probabilities_of_torch needs Torch,
    checkpoint_with_labels_computes_the_probabilities_of_torch needs Torch,
    labels_in_a_checkpoint_are_used_for_its_wrapped_network needs Torch,
    color_order_mean_and_std_of_the_training_are_options needs Torch,
    engine_of_torch2trt_is_rejected_by_name needs Torch,
    imagenet_weights_become_pretrained_weights needs Torch,
    code_in_a_pickle_is_rejected_by_name needs Torch,
    files_without_weights_are_rejected_by_name,
    unknown_network_is_rejected_with_the_differences_to_the_closest,
    names_of_wrappers_are_removed,
    file_is_read_by_its_content_and_not_by_its_name,
    other_files_are_rejected_with_their_kind_and_a_fix,
    two_outputs_need_labels,
    invalid_labels_are_rejected_with_a_valid_example,
    duplicate_label_is_rejected,
    color_order_is_stored_listed_and_exported,
    invalid_preprocessing_is_rejected,
    pretrained_weights_cannot_be_labeled_or_activated,
}
