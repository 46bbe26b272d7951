//! TensorRT parses the files that `thumb_gesture export` writes and builds engines from them, without a GPU: `make tensorrt-check`.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::random_weights;
use thumb_gesture::export::Calibration;
use thumb_gesture::network::Network;
use thumb_gesture::network::onnx::Batch;
use thumb_gesture::network::onnx::export::{ExportPrecision, export};
use thumb_gesture::network::onnx::int8::Target;
use thumb_gesture::preprocess::INPUT_LEN;

fn tensorrt_compiles_exported_files_in_each_precision() {
    let directory = support::reference("tensorrt/compile.py", &[], write_files);
    let result = fs::read(directory.path().join("result.json")).expect("was written");
    let result: Value = serde_json::from_slice(&result).expect("JSON");
    let files = result.as_object().expect("by file");
    assert_eq!(files.len(), 4 * 3 + 1);
    println!("{:<28}{:>24}{:>12}", "file", "GPU", "seconds / MB");
    let mut rejected = Vec::new();
    for (file, gpus) in files {
        for (gpu, outcome) in gpus.as_object().expect("by GPU") {
            match (outcome["seconds"].as_f64(), outcome["bytes"].as_f64()) {
                (Some(seconds), Some(bytes)) => {
                    println!("{file:<28}{gpu:>24}{seconds:>12.1} / {:.1}", bytes / 1e6);
                }
                _ => rejected.push(format!("{file} for {gpu}: {}", outcome["error"])),
            }
        }
    }
    assert!(rejected.is_empty(), "{}", rejected.join("\n"));
}

/// Exports four networks in each precision, and one file with a dynamic batch size. VGG-11 has the same kinds of layers as VGG-16.
fn write_files(directory: &Path) {
    let input: Vec<f32> = (0..INPUT_LEN).map(|index| (index as f32).sin()).collect();
    for name in ["alexnet", "squeezenet1_1", "vgg16", "resnet18"] {
        let whole = Network::named(name, 3).expect("known");
        // The installed weights of VGG-16 have no classifier, so `thumb_gesture train` uses a linear one.
        let network = match name {
            "vgg16" => whole.with_linear_classifier(),
            _ => whole,
        };
        let weights = random_weights(&network);
        let mut calibration = Calibration::new(&network, &weights, directory).expect("runs");
        calibration.observe(&input).expect("runs");
        let int8 = ExportPrecision::Int8 {
            ranges: calibration.ranges(),
            target: Target::TensorRt,
        };
        let kinds = [
            ("fp32", ExportPrecision::Fp32),
            ("fp16", ExportPrecision::Fp16),
            ("int8", int8),
        ];
        let write = |file: String, precision, batch| {
            export(&directory.join(file), &network, &weights, precision, batch, &[]).expect("exports");
        };
        for (kind, precision) in kinds {
            write(format!("{name}_{kind}.onnx"), precision, Batch::One);
        }
        if name == "alexnet" {
            write(
                format!("{name}_fp16_dynamic.onnx"),
                ExportPrecision::Fp16,
                Batch::Dynamic,
            );
        }
    }
}

support::runner::tests! {
    tensorrt_compiles_exported_files_in_each_precision needs TensorRt,
}
