//! Compares networks and preprocessing with torchvision, and validates exported files with the checker of the ONNX package.
//!
//! Needs Python with torch and torchvision: `scripts/setup.sh --tests` installs it, and `scripts/env.sh` sets `THUMB_GESTURE_TEST_PYTHON`
//! to it. Without that variable the tests are skipped.

mod support;

use std::path::Path;

use image::RgbImage;
use support::values;
use tch::{Device, Tensor};
use thumb_gesture::classifier::Classifier;
use thumb_gesture::classifier::onnx::OnnxClassifier;
use thumb_gesture::drawn_hand;
use thumb_gesture::frame::Frame;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::network::torch::TorchModule;
use thumb_gesture::network::{Network, onnx};
use thumb_gesture::preprocess::{INPUT_LEN, INPUT_SIDE_PX, Preprocessor, STD};
use thumb_gesture::weights::Weights;

const SCRIPT: &str = "parity/reference.py";
/// Maximum difference of a logit.
const LOGIT_TOLERANCE: f32 = 1e-4;

fn alexnet_computes_torchvisions_logits() {
    compare_network("alexnet");
}

fn squeezenet1_1_computes_torchvisions_logits() {
    compare_network("squeezenet1_1");
}

fn vgg11_computes_torchvisions_logits() {
    compare_network("vgg11");
}

fn vgg16_computes_torchvisions_logits() {
    compare_network("vgg16");
}

fn resnet18_computes_torchvisions_logits() {
    compare_network("resnet18");
}

fn preprocessing_differs_from_torchvision_by_at_most_one_gray_level() {
    let sizes = [
        (640, 480),
        (320, 240),
        (224, 224),
        (1280, 720),
        (97, 301),
        (30, 20),
    ];
    let images: Vec<(String, RgbImage)> = sizes
        .into_iter()
        .map(|(width, height)| {
            let image = drawn_hand::draw(Gesture::ThumbsUp, 1, u64::from(width), width, height);
            (format!("{width}x{height}.png"), image)
        })
        .collect();
    let write = |directory: &Path| {
        for (name, image) in &images {
            image.save(directory.join(name)).expect("writes");
        }
    };
    let directory = support::reference(SCRIPT, &["inputs"], write);
    let expected = Weights::read(&directory.path().join("expected.safetensors")).expect("reads");
    let mut preprocessor = Preprocessor::new();
    for (name, image) in images {
        let (width, height) = image.dimensions();
        let mut input = vec![0.0; INPUT_LEN];
        let frame = Frame::from_image(image.into()).expect("a valid frame");
        preprocessor.tensor_from_frame(&frame, &mut input);
        let shape = [3, INPUT_SIDE_PX, INPUT_SIDE_PX];
        let torchvision = values(&expected, &name, &shape);
        let plane = INPUT_SIDE_PX * INPUT_SIDE_PX;
        let level = |index: usize| (input[index] - torchvision[index]).abs() * STD[index / plane] * 255.0;
        let off = (0..INPUT_LEN).filter(|&index| level(index) > 0.5).count();
        let greatest = (0..INPUT_LEN).map(level).fold(0.0, f32::max);
        assert!(greatest < 1.01, "{name}: {greatest} gray levels apart");
        // Frames of cameras are scaled down. If an image is scaled up, more values are rounded differently.
        let share = off as f64 / INPUT_LEN as f64;
        let max_share = if width.min(height) >= INPUT_SIDE_PX as u32 {
            0.01
        } else {
            0.4
        };
        assert!(
            share < max_share,
            "{name}: {:.2} % of the values are a level apart",
            share * 100.0
        );
    }
}

/// With the random weights of a torchvision network, libtorch and ONNX Runtime compute torchvision's logits, and the ONNX file passes the
/// checker.
fn compare_network(name: &str) {
    let directory = support::reference(SCRIPT, &["network", name], |_| {});
    let path = |file: &str| directory.path().join(file);
    let network = Network::named(name, 1000).expect("known");
    let expected = Weights::read(&path("expected.safetensors")).expect("reads");
    let inputs = values(&expected, "input", &[2, 3, INPUT_SIDE_PX, INPUT_SIDE_PX]);
    let logits = values(&expected, "logits", &[2, 1000]);
    assert_close(
        &torch_logits(&network, &path("weights.safetensors"), &inputs),
        &logits,
    );

    let metadata = [("model_id", "parity".to_owned())];
    onnx::write(
        &path("model.onnx"),
        &network,
        &path("weights.safetensors"),
        &metadata,
    )
    .expect("writes");
    support::run_reference(SCRIPT, &["onnx"], directory.path());
    let mut classifier = OnnxClassifier::load(&path("model.onnx"), 1000, 1).expect("loads");
    let mut found = vec![0.0; 2000];
    for (input, logits) in inputs.chunks(INPUT_LEN).zip(found.chunks_mut(1000)) {
        classifier.logits(input, logits).expect("runs");
    }
    assert_close(&found, &logits);
}

fn torch_logits(network: &Network, weights: &Path, inputs: &[f32]) -> Vec<f32> {
    let weights = Weights::read(weights).expect("reads");
    let module = TorchModule::with_weights(&network.layers, &weights, Device::Cpu)
        .expect("torchvision's weights match");
    let side = INPUT_SIDE_PX as i64;
    let batch = Tensor::from_slice(inputs).reshape([-1, 3, side, side]);
    let logits = tch::no_grad(|| module.forward(&batch, false)).expect("runs");
    let again = tch::no_grad(|| module.forward(&batch, false)).expect("runs");
    assert!(logits.equal(&again), "dropout must be off");
    Vec::try_from(logits.flatten(0, -1)).expect("float values")
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let greatest = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(greatest < LOGIT_TOLERANCE, "logits differ by {greatest}");
}

support::runner::tests! {
    alexnet_computes_torchvisions_logits needs Torch,
    squeezenet1_1_computes_torchvisions_logits needs Torch,
    vgg11_computes_torchvisions_logits needs Torch,
    vgg16_computes_torchvisions_logits needs Torch,
    resnet18_computes_torchvisions_logits needs Torch,
    preprocessing_differs_from_torchvision_by_at_most_one_gray_level needs Torch,
}
