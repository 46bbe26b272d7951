//! Backends: which one is chosen for which settings, that all compute the same predictions, and the reasons for falling back.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use support::{failure, json, model_directory, program, usage_error};
use thumb_gesture::classifier;
use thumb_gesture::classifier::settings::{Device, Precision, Settings};
use thumb_gesture::model_store::{ModelNetwork, ModelStore};
use thumb_gesture::preprocess::INPUT_LEN;

/// One training, shared by all tests.
struct Trained {
    root: tempfile::TempDir,
    model: PathBuf,
}

fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let (root, summary) = support::trained_on_drawn_hands();
        Trained {
            model: model_directory(&root.path().join("store"), &summary),
            root,
        }
    })
}

impl Trained {
    /// Runs a command of `thumb_gesture` on the store.
    fn run(&self, command: &str, more: &str) -> Output {
        let mut program = program();
        program
            .args([command, "--json", "--store"])
            .arg(self.root.path().join("store"));
        program.args(more.split_whitespace()).output().expect("starts")
    }

    fn bench(&self, more: &str) -> Value {
        json(&self.run("bench", &format!("--frames 3 {more}")))
    }

    /// The predicted probabilities for an image, in the order of the labels.
    fn probabilities(&self, image: usize, more: &str) -> Vec<f64> {
        let image = self.root.path().join(format!("unseen/thumbs_up/{image:04}.png"));
        let prediction = json(&self.run("predict", &format!("{more} {}", image.display())));
        let probabilities = prediction["probabilities"].as_object().expect("by label");
        probabilities
            .values()
            .map(|value| value.as_f64().expect("a number"))
            .collect()
    }
}

fn int8_is_the_default_on_a_cpu_if_the_training_accepted_it() {
    let trained = trained();
    let manifest = std::fs::read(trained.model.join("manifest.json")).expect("reads");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["int8"]["accepted"], true, "{}", manifest["int8"]);
    assert!(trained.model.join("model_int8.onnx").exists());
    assert!(manifest["sha256"]["model_int8.onnx"].is_string());
    let report = trained.bench("--device cpu");
    assert_eq!(report["backend"], "onnx/cpu/int8");
    let reason = report["reason"].as_str().expect("a text");
    assert!(reason.contains("held-out frames"), "{reason}");
    assert_eq!(
        trained.bench("--device cpu --precision fp32")["backend"],
        "onnx/cpu/fp32"
    );
}

fn int8_computes_nearly_the_same_probabilities() {
    let trained = trained();
    let int8 = "--device cpu --precision int8";
    assert_eq!(trained.bench(int8)["backend"], "onnx/cpu/int8");
    for image in 0..5 {
        let expected = trained.probabilities(image, "--device cpu --precision fp32");
        let found = trained.probabilities(image, int8);
        let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
        assert!(
            differences.fold(0.0, f64::max) < 0.1,
            "{found:?}, not {expected:?}"
        );
    }
}

fn backends_measure_the_same_familiarity() {
    let trained = trained();
    let dataset = trained.root.path().join("dataset/thumbs_up/0003.png");
    let unseen = trained.root.path().join("unseen/thumbs_up/0003.png");
    let black = trained.root.path().join("black.png");
    image::RgbImage::new(320, 240).save(&black).expect("writes");
    let prediction = |image: &Path, options: &str| {
        let options = format!("--recognizer image --device cpu {options} {}", image.display());
        json(&trained.run("predict", &options))
    };
    let familiarity = |image: &Path, options: &str| {
        let prediction = prediction(image, options);
        assert_eq!(prediction["recognizer"], "image");
        prediction["familiarity"].as_f64().expect("a number")
    };
    for options in ["--precision fp32", "--precision int8"] {
        let learned = familiarity(&dataset, options);
        assert!(learned > 0.95, "{options}: {learned}");
        for image in [&unseen, &black] {
            let expected = familiarity(image, "--precision fp32");
            let found = familiarity(image, options);
            assert!(
                (found - expected).abs() < 0.03,
                "{options}: {found}, not {expected}"
            );
        }
    }
    assert_eq!(prediction(&unseen, "")["unfamiliar"], false);
    for image in [&unseen, &black, &dataset] {
        for (threshold, is_unfamiliar) in [("0", false), ("1", true)] {
            let options = format!("--familiarity-threshold {threshold}");
            assert_eq!(prediction(image, &options)["unfamiliar"], is_unfamiliar);
        }
    }
    usage_error(&trained.run("predict", "--familiarity-threshold 1.1 x.png"));
}

fn unsupported_precision_falls_back_to_fp32_with_a_reason() {
    let trained = trained();
    let report = trained.bench("--device cpu --precision fp16");
    assert_eq!(report["backend"], "onnx/cpu/fp32");
    assert_eq!(report["reason"], "onnx/cpu does not support fp16");
    let contradiction = failure(&trained.run("bench", "--device cpu --require-gpu"));
    assert!(contradiction.contains("device is cpu"), "{contradiction}");
    for option in ["--device tpu", "--precision int4"] {
        let unknown = usage_error(&trained.run("bench", option));
        assert!(unknown.contains("possible values: auto, "), "{unknown}");
    }
}

fn without_a_gpu_cuda_falls_back_with_a_reason_and_require_gpu_fails() {
    let trained = trained();
    let report = trained.bench("--device cuda");
    let reason = report["reason"].as_str().expect("a text");
    assert!(reason.contains("onnx/cuda: "), "{reason}");
    assert!(!reason.contains("[ONNXRuntimeError]"), "for people: {reason}");
    assert!(
        report["backend"]
            .as_str()
            .is_some_and(|name| name.contains("/cpu/"))
    );
    let refused = failure(&trained.run("bench", "--require-gpu"));
    assert!(refused.contains("require_gpu is set"), "{refused}");
}

fn prepare_says_what_will_run_the_model_and_fails_if_a_gpu_is_required() {
    let trained = trained();
    let prepared = json(&trained.run("models", "prepare --cameras 2"));
    assert_eq!(prepared["backend"], "onnx/cpu/int8");
    assert_eq!(
        prepared["model_id"].as_str(),
        trained.model.file_name().and_then(|id| id.to_str())
    );
    let refused = failure(&trained.run("models", "prepare --require-gpu"));
    assert!(refused.contains("require_gpu is set"), "{refused}");
    let unknown = failure(&trained.run("models", "prepare alexnet-missing"));
    assert!(unknown.contains("alexnet-missing"), "{unknown}");
}

/// Path of the library of OpenVINO's plugin.
fn plugin() -> String {
    let script = "import onnxruntime_ep_openvino as plugin; print(plugin.get_library_path())";
    let mut command = Command::new(support::python().expect("the test is listed with `needs OpenVino`"));
    let output = command.args(["-c", script]).output().expect("starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn plugin_computes_the_same_probabilities() {
    let library = plugin();
    let trained = trained();
    let options = format!("--device cpu --provider-library {library}");
    let report = trained.bench(&options);
    assert_eq!(
        report["backend"], "onnx/OpenVINOExecutionProvider/fp32",
        "{}",
        report["reason"]
    );
    for image in 0..5 {
        let expected = trained.probabilities(image, "--device cpu --precision fp32");
        let found = trained.probabilities(image, &options);
        let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
        // On some CPUs OpenVINO computes in bf16.
        assert!(
            differences.fold(0.0, f64::max) < 0.05,
            "{found:?}, not {expected:?}"
        );
    }
    let without_gpu = failure(&trained.run("bench", &format!("{options} --require-gpu")));
    assert!(
        without_gpu.contains("supports no device of this machine"),
        "{without_gpu}"
    );
}

/// ONNX Runtime's library without its second half, and without all but its headers: loading them would end the process with SIGBUS.
fn cut_off_libraries(directory: &Path) -> (PathBuf, PathBuf) {
    let whole = std::env::var_os("ORT_DYLIB_PATH").expect("set by scripts/env.sh");
    let whole = std::fs::read(whole).expect("reads");
    let write = |name: &str, length: usize| {
        let path = directory.join(name);
        std::fs::write(&path, &whole[..length]).expect("writes");
        path
    };
    (write("half.so", whole.len() / 2), write("headers.so", 1000))
}

fn invalid_plugin_falls_back_with_a_reason() {
    let trained = trained();
    let text = trained.root.path().join("text.so");
    std::fs::write(&text, "not a library").expect("writes");
    let directory = tempfile::tempdir().expect("creates a directory");
    let (cut_off, short) = cut_off_libraries(directory.path());
    for (library, loader_error) in [
        (
            text.as_path(),
            "it is not a shared library (ELF): it is a text file",
        ),
        (cut_off.as_path(), "it is cut off or damaged: "),
        (short.as_path(), "it is cut off or damaged: "),
        (trained.root.path(), "it is a directory, not a file"),
        ("nowhere.so".as_ref(), "No such file"),
    ] {
        let report = trained.bench(&format!("--device cpu --provider-library {}", library.display()));
        assert_eq!(report["backend"], "onnx/cpu/int8");
        let reason = report["reason"].as_str().expect("a text");
        assert!(
            reason.starts_with("onnx/plugin: ") && reason.contains(loader_error),
            "{reason}"
        );
    }
}

fn installed_tensorrt_rtx_is_tried_unless_the_cpu_or_fp32_is_asked_for() {
    let trained = trained();
    let onnxruntime = std::env::var_os("ORT_DYLIB_PATH").expect("set by scripts/env.sh");
    let installed = tempfile::tempdir().expect("creates a directory");
    let library = installed.path().join("libonnxruntime.so");
    std::os::unix::fs::symlink(onnxruntime, &library).expect("links");
    let rtx = installed.path().join("tensorrt_rtx");
    std::fs::create_dir(&rtx).expect("creates a directory");
    let damaged = rtx.join("libonnxruntime_providers_nv_tensorrt_rtx.so");
    std::fs::write(damaged, "not a library").expect("writes");
    let reason = |options: &[&str]| {
        let mut command = program();
        command.env("ORT_DYLIB_PATH", &library);
        command.args(["bench", "--json", "--store"]);
        command.arg(trained.root.path().join("store")).args(options);
        let report = json(&command.output().expect("starts"));
        assert!(
            report["backend"]
                .as_str()
                .is_some_and(|name| name.contains("/cpu/"))
        );
        report["reason"].as_str().expect("a text").to_owned()
    };
    let tried = reason(&[]);
    assert!(
        tried.starts_with("onnx/tensorrt_rtx: ") && tried.contains("it is a text file"),
        "{tried}"
    );
    for options in [["--device", "cpu"], ["--precision", "fp32"]] {
        let reason = reason(&options);
        assert!(!reason.contains("tensorrt_rtx"), "{reason}");
    }
}

fn batch_gives_the_same_logits_as_single_frames() {
    let trained = trained();
    for precision in [Precision::Fp32, Precision::Int8] {
        let settings = Settings {
            device: Device::Cpu,
            precision,
            threads: 2,
            batch: 3,
            ..Settings::default()
        };
        let store = ModelStore::open_existing(&trained.root.path().join("store")).expect("exists");
        let model = store.model_or_active(None).expect("there is an active model");
        let mut classifier = classifier::load(&model, ModelNetwork::Image, &settings)
            .expect("loads")
            .classifier;
        let labels = model.manifest.labels.len();
        let inputs: Vec<f32> = (0..3 * INPUT_LEN).map(|index| (index as f32).sin()).collect();
        let mut alone = vec![0.0; 3 * labels];
        for (input, logits) in inputs.chunks(INPUT_LEN).zip(alone.chunks_mut(labels)) {
            classifier.logits(input, logits).expect("runs");
        }
        let mut together = vec![0.0; 3 * labels];
        classifier.logits(&inputs, &mut together).expect("runs");
        let differences = alone.iter().zip(&together).map(|(a, b)| (a - b).abs());
        assert!(
            differences.fold(0.0, f32::max) < 1e-4,
            "{together:?}, not {alone:?}"
        );
        assert!(
            alone[..labels] != alone[labels..2 * labels],
            "the frames must differ"
        );
    }
}

fn onnx_runtime_that_is_cut_off_is_reported() {
    let trained = trained();
    let directory = tempfile::tempdir().expect("creates a directory");
    let (cut_off, short) = cut_off_libraries(directory.path());
    for library in [cut_off, short] {
        let mut command = program();
        command.env("ORT_DYLIB_PATH", &library);
        command
            .args(["bench", "--store"])
            .arg(trained.root.path().join("store"));
        let refused = failure(&command.output().expect("starts"));
        assert!(
            refused.contains("it is cut off or damaged: ") && refused.contains("install it again"),
            "{refused}"
        );
    }
}

fn missing_onnx_runtime_is_reported_with_the_required_version() {
    let trained = trained();
    let mut command = program();
    command.env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
    command
        .args(["bench", "--store"])
        .arg(trained.root.path().join("store"));
    let missing = failure(&command.output().expect("starts"));
    assert!(missing.contains("/nowhere/libonnxruntime.so"), "{missing}");
    assert!(missing.contains("1.22 or later"), "{missing}");
}

support::runner::tests! {
    int8_is_the_default_on_a_cpu_if_the_training_accepted_it,
    int8_computes_nearly_the_same_probabilities,
    backends_measure_the_same_familiarity,
    unsupported_precision_falls_back_to_fp32_with_a_reason,
    without_a_gpu_cuda_falls_back_with_a_reason_and_require_gpu_fails needs NoGpu,
    prepare_says_what_will_run_the_model_and_fails_if_a_gpu_is_required needs NoGpu,
    plugin_computes_the_same_probabilities needs OpenVino,
    invalid_plugin_falls_back_with_a_reason,
    installed_tensorrt_rtx_is_tried_unless_the_cpu_or_fp32_is_asked_for needs NoGpu,
    batch_gives_the_same_logits_as_single_frames,
    onnx_runtime_that_is_cut_off_is_reported,
    missing_onnx_runtime_is_reported_with_the_required_version,
}
