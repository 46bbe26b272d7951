//! `thumb_gesture train`: which weights each strategy changes, which features are cached, what the report contains, and when the model
//! is promoted.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use support::{
    changed_and_same, draw_dataset, failure, model_directory, model_weights, usage_error,
    write_random_pretrained,
};
use thumb_gesture::model_store::ModelStore;
use thumb_gesture::network::{Layer, Network, parameters};
use thumb_gesture::weights::{ParameterSpec, Weights};
use time::OffsetDateTime;

/// The installed pretrained weights, without a classifier.
const INSTALLED: &str = "alexnet_imagenet.safetensors";
const LABELS: usize = 3;

/// A drawn dataset and a store.
struct Directories {
    root: tempfile::TempDir,
}

impl Directories {
    fn new(per_label: u64) -> Directories {
        let root = tempfile::tempdir().expect("a directory");
        draw_dataset(&root.path().join("dataset"), 5, per_label);
        Directories { root }
    }

    fn dataset(&self) -> PathBuf {
        self.root.path().join("dataset")
    }

    fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    /// Trains with further arguments, separated by spaces.
    fn train(&self, more: &str) -> Value {
        let more: Vec<&str> = more.split(' ').collect();
        support::json(&support::train(&self.dataset(), &self.store(), &more))
    }

    fn active(&self) -> Value {
        support::json(&support::models(&self.store(), &["--json"]))["active"].clone()
    }

    /// The weights after one epoch.
    fn weights_of(&self, strategy: &str, network: &str) -> Weights {
        // With patience, an epoch that did not lower the loss would be discarded.
        let recipe = "--epochs 1 --folds 1 --copies 1 --patience 0 --no-activate";
        let summary = self.train(&format!("--network {network} --strategy {strategy} {recipe}"));
        assert_eq!(summary["strategy"], strategy);
        assert_eq!(summary["epochs"], 1);
        model_weights(&self.store(), &summary)
    }
}

fn strategies_train_the_documented_layers_of_resnet18() {
    let directories = Directories::new(2);
    let pretrained = write_random_pretrained(&directories.store(), "resnet18");
    let network = Network::named("resnet18", LABELS).expect("known");
    let (early, late) = network.features().split_at(network.early_layers);

    let full = directories.weights_of("full", "resnet18");
    assert_trained(network.features(), &pretrained, &full);
    let late_layers = directories.weights_of("late_layers", "resnet18");
    assert_frozen(early, &pretrained, &late_layers);
    assert_trained(late, &pretrained, &late_layers);
    for strategy in ["last_layer", "classifier"] {
        let weights = directories.weights_of(strategy, "resnet18");
        assert_frozen(network.features(), &pretrained, &weights);
    }
}

fn strategies_train_the_documented_layers_of_alexnet() {
    let directories = Directories::new(2);
    let installed = std::env::var_os("THUMB_GESTURE_PRETRAINED").expect("scripts/env.sh sets it");
    let pretrained = Weights::read(&Path::new(&installed).join(INSTALLED)).expect("reads");
    let network = Network::named("alexnet", LABELS).expect("known");
    let (early, late) = network.features().split_at(network.early_layers);

    let full = directories.weights_of("full", "alexnet");
    assert_trained(network.features(), &pretrained, &full);
    let late_layers = directories.weights_of("late_layers", "alexnet");
    assert_frozen(early, &pretrained, &late_layers);
    assert_trained(late, &pretrained, &late_layers);
    let last_layer = directories.weights_of("last_layer", "alexnet");
    assert_frozen(network.features(), &pretrained, &last_layer);
    let linear = parameters(network.with_linear_classifier().classifier());
    let names = |layers: &[ParameterSpec]| layers.iter().map(|layer| layer.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&linear), ["classifier.weight", "classifier.bias"]);
    assert!(linear.iter().all(|layer| last_layer.get(layer).is_ok()));
    assert_eq!(
        last_layer.names().count(),
        pretrained.names().count() + linear.len()
    );

    let classifier = directories.weights_of("classifier", "alexnet");
    assert_frozen(network.features(), &pretrained, &classifier);
    let hidden = parameters(network.classifier());
    assert!(
        hidden.iter().all(|layer| classifier.get(layer).is_ok()),
        "all layers of the classifier are trained"
    );
}

fn same_seed_gives_identical_weights_when_features_are_trained() {
    let directories = Directories::new(2);
    write_random_pretrained(&directories.store(), "squeezenet1_1");
    let weights = |seed: u64| {
        let recipe =
            "--network squeezenet1_1 --strategy full --epochs 2 --folds 1 --copies 1 --patience 0 --seed";
        let summary = directories.train(&format!("{recipe} {seed}"));
        assert_eq!(summary["seed"], seed);
        let file = model_directory(&directories.store(), &summary).join("weights.safetensors");
        fs::read(file).expect("reads")
    };
    let first = weights(1);
    assert!(first == weights(1), "the weights differ");
    assert!(first != weights(2), "another seed gives the same weights");
}

fn only_added_frames_are_computed() {
    let directories = Directories::new(3);
    write_random_pretrained(&directories.store(), "squeezenet1_1");
    let recipe = "--network squeezenet1_1 --strategy last_layer --copies 2";
    let computed = |more: &str| directories.train(&format!("{recipe} {more}"))["computed_frames"].clone();
    assert_eq!(computed("--seed 1 --epochs 1 --folds 1"), 9);
    assert_eq!(computed("--seed 1 --epochs 1 --folds 1"), 0, "all are cached");
    draw_dataset(&directories.dataset(), 5, 5);
    assert_eq!(computed("--seed 1 --epochs 1 --folds 1"), 6, "the added ones");
    assert_eq!(computed("--seed 1 --learning-rate 0.01 --folds 2 --epochs 2"), 0);
    assert_eq!(
        computed("--seed 2 --epochs 1 --folds 1"),
        15,
        "another seed gives other augmented copies"
    );
    change_pretrained(&directories.store());
    assert_eq!(
        computed("--seed 1 --epochs 1 --folds 1"),
        15,
        "other weights give other features"
    );
}

fn report_is_stored_with_the_model_and_loads_no_external_resources() {
    let directories = Directories::new(3);
    write_random_pretrained(&directories.store(), "squeezenet1_1");
    let recipe = "--network squeezenet1_1 --strategy last_layer --epochs 2 --copies 0 --folds 3";
    let summary = directories.train(recipe);
    let directory = model_directory(&directories.store(), &summary);
    assert_eq!(
        summary["report"],
        directory.join("report.html").display().to_string()
    );
    let html = fs::read_to_string(directory.join("report.html")).expect("reads");
    let id = support::model_id(&summary);
    assert!(html.contains(&id), "the report names the model");
    // Names of SVG namespaces are not loaded.
    let without_namespaces = html.replace("http://www.w3.org/", "");
    for reference in [
        "http:",
        "https:",
        "src=\"//",
        "href=\"//",
        "<link",
        "@import",
        "<script src",
    ] {
        assert!(
            !without_namespaces.contains(reference),
            "{reference} in the report"
        );
    }

    let json = fs::read(directory.join("report.json")).expect("reads");
    let report: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(report["model_id"], id);
    assert_eq!(report["strategy"], "last_layer");
    let metrics = &report["metrics"];
    assert_eq!(metrics["frames"], 9, "with folds, every frame is held out once");
    for figure in ["accuracy", "interval", "ece", "temperature", "confusion"] {
        assert!(!metrics[figure].is_null(), "{figure} in {metrics}");
        assert_eq!(metrics[figure], summary[figure], "{figure}");
    }
    assert_eq!(metrics["labels"].as_array().map(Vec::len), Some(LABELS));
    assert_eq!(report["gate"], summary["gate"]);

    let folds = summary["folds"].as_array().expect("a list");
    assert_eq!(folds.len(), 3);
    let sum = |field: &str| folds.iter().filter_map(|fold| fold[field].as_u64()).sum::<u64>();
    assert_eq!(sum("frames"), 9);
    assert_eq!(json!(sum("correct")), metrics["correct"]);
    assert_eq!(report["folds"], summary["folds"]);
    let curves = report["curves"].as_array().expect("a list");
    assert_eq!(curves.len(), 3);
    for curve in curves {
        assert_eq!(
            curve["points"].as_array().map(Vec::len),
            Some(2),
            "one point per epoch"
        );
    }
}

fn model_worse_than_the_active_one_is_stored_but_not_promoted() {
    let directories = Directories::new(6);
    write_random_pretrained(&directories.store(), "squeezenet1_1");
    // Random features may be worse than the built-in recognizer.
    let good = directories.train("--strategy last_layer --epochs 2 --copies 1 --folds 1 --force");
    assert_eq!(good["gate"]["activated"], true);
    assert_eq!(directories.active(), good["model_id"]);

    // An untrained last layer on random features gives every frame the same prediction.
    let bad_recipe = "--network squeezenet1_1 --strategy last_layer --epochs 0 --copies 0 --folds 1";
    let bad = directories.train(bad_recipe);
    let gate = &bad["gate"];
    assert_eq!(gate["activated"], false, "{gate}");
    assert_eq!(gate["active_model"], good["model_id"]);
    let count = |field: &str| gate[field].as_u64().expect("a count");
    assert!(count("new_correct") < count("active_correct"), "{gate}");
    assert_eq!(gate["frames"], bad["frames"]["validation"]);
    let reason = gate["reason"].as_str().expect("a text");
    let expected = format!(
        "worse than the active model {}: {} of {} held-out frames correct",
        support::model_id(&good),
        count("new_correct"),
        count("frames"),
    );
    assert!(reason.starts_with(&expected), "{reason}");
    assert!(
        model_directory(&directories.store(), &bad)
            .join("model.onnx")
            .exists()
    );
    assert_eq!(directories.active(), good["model_id"]);

    let mut command = support::program();
    command.args(["train", "--dataset"]).arg(directories.dataset());
    command.arg("--store").arg(directories.store());
    let output = command.args(bad_recipe.split(' ')).output().expect("starts");
    assert!(
        output.status.success(),
        "a model that is not promoted is not an error"
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("is stored but not promoted: worse than"), "{text}");

    let not_compared = directories.train(&format!("{bad_recipe} --no-activate"));
    assert_eq!(not_compared["gate"], Value::Null);
    assert_eq!(directories.active(), good["model_id"]);

    let forced = directories.train(&format!("{bad_recipe} --force"));
    assert_eq!(forced["gate"]["activated"], true);
    let reason = forced["gate"]["reason"].as_str().expect("a text");
    assert!(reason.starts_with("forced, though worse than"), "{reason}");
    assert_eq!(directories.active(), forced["model_id"]);

    let better = directories.train("--strategy last_layer --epochs 2 --copies 1 --folds 1");
    assert_eq!(better["gate"]["activated"], true, "{}", better["gate"]);
    let reason = better["gate"]["reason"].as_str().expect("a text");
    assert!(reason.starts_with("no worse than the active"), "{reason}");
    assert_eq!(directories.active(), better["model_id"]);
}

fn invalid_options_are_rejected_with_the_valid_values() {
    let directories = Directories::new(1);
    let train = |more: &[&str]| support::train(&directories.dataset(), &directories.store(), more);
    let options = [
        ("--network", "alexnet, squeezenet1_1, vgg11, vgg16, resnet18"),
        ("--strategy", "last_layer, classifier, late_layers, full"),
        ("--optimizer", "sgd, adamw"),
        ("--schedule", "constant, cosine"),
        ("--augmentation", "off, light, strong, scenes"),
        ("--epochs", "nope"),
        ("--folds", "nope"),
    ];
    for (option, known) in options {
        let error = usage_error(&train(&[option, "nope"]));
        assert!(error.contains(option), "{error}");
        assert!(error.contains(known), "{error}");
    }
    for (option, value, rule) in [
        ("--folds", "21", "1..=20"),
        ("--copies", "65", "0..=64"),
        ("--epochs", "1001", "0..=1000"),
        ("--learning-rate", "0", "above 0 and at most 10"),
        ("--learning-rate", "NaN", "above 0 and at most 10"),
        ("--weight-decay=-1", "", "0 to 10"),
    ] {
        let arguments: Vec<&str> = [option, value]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let error = usage_error(&train(&arguments));
        assert!(error.contains(rule), "{error}");
    }
    usage_error(&train(&["--force", "--no-activate"]));
    let mut command = support::program();
    command.env("THUMB_GESTURE_PRETRAINED", directories.store());
    command.args(["train", "--network", "vgg11", "--dataset"]);
    command
        .arg(directories.dataset())
        .arg("--store")
        .arg(directories.store());
    let without_weights = failure(&command.output().expect("starts"));
    let fix = "thumb_gesture import-weights vgg11.pth";
    assert!(without_weights.contains(fix), "{without_weights}");
    assert_eq!(directories.active(), Value::Null);
}

fn almost_full_disk_gives_a_model_without_feature_cache() {
    let directories = Directories::new(2);
    let output = train_on_disk_of("64m", &directories);
    let summary = support::json(&output);
    assert_eq!(summary["computed_frames"], 2 * LABELS);
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(log.matches("features are not cached").count(), 1, "{log}");
    assert!(log.contains(&support::model_id(&summary)), "{log}");
}

fn full_disk_fails_the_training_and_leaves_no_files() {
    let directories = Directories::new(2);
    let output = train_on_disk_of("4m", &directories);
    let log = failure(&output);
    assert!(log.contains("No space left on device"), "{log}");
    let models = directories.store().join("models").display().to_string();
    let leftovers: Vec<&str> = log.lines().filter(|line| line.starts_with(&models)).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

fn read_only_store_is_noticed_before_the_training() {
    const SCRIPT: &str = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;
    let directories = Directories::new(2);
    let store = directories.store();
    fs::create_dir_all(store.join("models/.draft-left")).expect("creates");
    let mut command = support::runner::unshare();
    command.args(["sh", "-c", SCRIPT]).arg(&store);
    command.arg(env!("CARGO_BIN_EXE_thumb_gesture"));
    command.args("train --progress json --dataset".split(' '));
    command.arg(directories.dataset()).arg("--store").arg(&store);
    let output = command.output().expect("starts");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        log.contains("cannot delete"),
        "leftovers are only a warning: {log}"
    );
    let events = String::from_utf8_lossy(&output.stdout);
    assert_eq!(events.lines().count(), 1, "{events}");
    assert!(
        events.contains("cannot write to the store") && events.contains("Read-only file system"),
        "{events}"
    );
}

fn draft_of_another_container_is_left_alone() {
    let root = tempfile::tempdir().expect("a directory");
    let store = ModelStore::open(root.path()).expect("opens");
    let draft = store
        .draft("alexnet", OffsetDateTime::UNIX_EPOCH)
        .expect("a draft");
    // Every container has a process 1.
    let left = root.path().join("models/.draft-1-left");
    fs::create_dir(&left).expect("creates");
    let mut command = support::runner::container();
    command.arg(env!("CARGO_BIN_EXE_thumb_gesture"));
    command.args(["models", "prune", "--store"]).arg(root.path());
    let output = command.output().expect("starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(draft.path("").is_dir(), "this process still writes it");
    assert!(!left.exists());
}

/// Trains in a store that is a separate file system of this size, and appends a list of its files to stderr.
fn train_on_disk_of(size: &str, directories: &Directories) -> Output {
    const SCRIPT: &str = r#"
        store=$1; shift
        mount -t tmpfs -o size="$0" tmpfs "$store"
        "$@"; status=$?
        find "$store" -path '*/models/*' >&2
        exit $status
    "#;
    let store = directories.store();
    fs::create_dir(&store).expect("creates");
    let mut command = support::runner::unshare();
    command.args(["sh", "-c", SCRIPT, size]).arg(&store);
    command.arg(env!("CARGO_BIN_EXE_thumb_gesture"));
    command.args("train --json --strategy last_layer --epochs 1 --folds 1 --copies 0 --dataset".split(' '));
    command.arg(directories.dataset()).arg("--store").arg(&store);
    command.output().expect("starts")
}

/// Asserts that all trainable parameters have changed, and running statistics have not.
fn assert_trained(layers: &[Layer], before: &Weights, after: &Weights) {
    let [changed, same] = changed_and_same(layers, before, after);
    let changed_statistics: Vec<_> = changed
        .iter()
        .filter(|parameter| !parameter.is_trainable)
        .collect();
    assert!(changed_statistics.is_empty(), "{changed_statistics:?}");
    let untrained: Vec<_> = same.iter().filter(|parameter| parameter.is_trainable).collect();
    assert!(untrained.is_empty(), "{untrained:?}");
    assert!(!changed.is_empty());
}

fn assert_frozen(layers: &[Layer], before: &Weights, after: &Weights) {
    let [changed, same] = changed_and_same(layers, before, after);
    assert!(changed.is_empty(), "{changed:?}");
    assert!(!same.is_empty());
}

fn change_pretrained(store: &Path) {
    let mut weights = write_random_pretrained(store, "squeezenet1_1");
    let network = Network::named("squeezenet1_1", LABELS).expect("known");
    let first = parameters(network.features()).remove(0);
    let mut tensor = weights.get(&first).expect("is there").clone();
    tensor.values[0] += 1.0;
    weights.insert(first.name, tensor);
    let file = store.join("pretrained/squeezenet1_1.safetensors");
    weights.write(&file).expect("writes");
}

support::runner::tests! {
    strategies_train_the_documented_layers_of_resnet18,
    strategies_train_the_documented_layers_of_alexnet,
    same_seed_gives_identical_weights_when_features_are_trained,
    only_added_frames_are_computed,
    report_is_stored_with_the_model_and_loads_no_external_resources,
    model_worse_than_the_active_one_is_stored_but_not_promoted,
    invalid_options_are_rejected_with_the_valid_values,
    almost_full_disk_gives_a_model_without_feature_cache needs Mount,
    full_disk_fails_the_training_and_leaves_no_files needs Mount,
    read_only_store_is_noticed_before_the_training needs Mount,
    draft_of_another_container_is_left_alone needs PidNamespace,
}
