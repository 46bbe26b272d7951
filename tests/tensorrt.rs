//! TensorRT's own parser and builder take what `thumb_gesture export` writes, for GPUs that need not be there: `make tensorrt-check`.
//!
//! Needs TensorRT for RTX from PyPI, which `scripts/setup.sh --tests` installs; says that it was skipped where that is missing.

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

#[test]
fn tensorrt_compiles_every_precision_of_every_network() {
    let Some(directory) = support::reference("tensorrt/compile.py", &[], write_files) else {
        return;
    };
    let result = fs::read(directory.path().join("result.json")).expect("was written");
    let result: Value = serde_json::from_slice(&result).expect("JSON");
    if let Some(reason) = result["skipped"].as_str() {
        eprintln!("skipped: {reason}; its wheels are for x86_64 alone");
        return;
    }
    let files = result.as_object().expect("by file");
    assert_eq!(files.len(), 4 * 3 + 1);
    println!("{:<28}{:>24}{:>12}", "file", "GPU", "seconds / engine MB");
    let mut refused = Vec::new();
    for (file, gpus) in files {
        for (gpu, outcome) in gpus.as_object().expect("by GPU") {
            match (outcome["seconds"].as_f64(), outcome["bytes"].as_f64()) {
                (Some(seconds), Some(bytes)) => {
                    println!("{file:<28}{gpu:>24}{seconds:>12.1} / {:.1}", bytes / 1e6);
                }
                _ => refused.push(format!("{file} for {gpu}: {}", outcome["complaint"])),
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// Every network in every precision, and one file with a dynamic batch.
fn write_files(directory: &Path) {
    let input: Vec<f32> = (0..INPUT_LEN).map(|index| (index as f32).sin()).collect();
    for name in ["alexnet", "squeezenet1_1", "vgg16", "resnet18"] {
        let whole = Network::named(name, 3).expect("known");
        // As a training makes it of the installed weights.
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
        let write = |file: String, numbers, batch| {
            export(&directory.join(file), &network, &weights, numbers, batch, &[]).expect("exports");
        };
        for (kind, numbers) in kinds {
            write(format!("{name}_{kind}.onnx"), numbers, Batch::One);
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
