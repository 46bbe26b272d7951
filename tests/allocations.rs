//! How much memory a frame allocates after warm-up: nothing of the size of an image or a network input.

mod support;

use allocation_counter::{AllocationInfo, measure};
use support::random_weights;
use thumb_gesture::classifier::Classifier;
use thumb_gesture::classifier::candidates::{Candidate, Runtime};
use thumb_gesture::classifier::onnx::OnnxClassifier;
use thumb_gesture::classifier::settings::{Precision, Settings};
use thumb_gesture::decision::{DecisionSettings, FrameInfo, GestureFilter};
use thumb_gesture::frame::{Frame, RecentFrames};
use thumb_gesture::network::Network;
use thumb_gesture::network::onnx::Batch;
use thumb_gesture::network::onnx::export::{ExportPrecision, export};
use thumb_gesture::preprocess::{INPUT_LEN, Preprocessor};
use thumb_gesture::probability::softmax;

const LABELS: usize = 3;

/// Measures the second call: the first one fills the buffers.
fn measure_warm(mut work: impl FnMut()) -> AllocationInfo {
    work();
    measure(work)
}

/// The resizer allocates its weights for each frame, 224 columns and 224 rows; an image has 920 kB, a network input 600 kB.
#[test]
fn preprocessing_allocates_no_images() {
    let mut preprocessor = Preprocessor::new();
    let mut input = vec![0.0; INPUT_LEN];
    let frames = [640, 650].map(|step| {
        let data = vec![7; step * 3 * 480];
        Frame::from_raw("bgr8", 640, 480, step as u32 * 3, data).expect("a valid frame")
    });
    for frame in &frames {
        let info = measure_warm(|| preprocessor.tensor_from_frame(frame, &mut input));
        assert!(info.bytes_total < 64 << 10, "{info:?}");
        assert_eq!(info.count_current, 0, "{info:?}");
    }
}

#[test]
fn decision_allocates_nothing() {
    let settings = DecisionSettings {
        smoothing_secs: 0.3,
        ..DecisionSettings::default()
    };
    let frame = Frame::from_raw("bgr8", 640, 480, 0, vec![7; 640 * 480 * 3]).expect("a valid frame");
    let mut recent_frames = RecentFrames::default();
    let mut filter = GestureFilter::default();
    let mut now_ns = 1_000_000_000;
    let info = measure_warm(|| {
        let mut probabilities = [1.0, 5.0, 2.0];
        softmax(&mut probabilities, 1.0);
        now_ns += 33_000_000;
        let repeats_pixels = recent_frames.repeats(&frame);
        filter.update(
            &settings,
            &probabilities,
            &FrameInfo::recorded(now_ns, now_ns, repeats_pixels),
        );
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}

/// `ort` allocates a few bytes for each run, independent of the batch size; the input of 600 kB for each frame is not copied.
#[test]
fn inference_does_not_copy_its_input() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("model.onnx");
    let network = Network::named("squeezenet1_1", LABELS).expect("known");
    let weights = random_weights(&network);
    export(
        &file,
        &network,
        &weights,
        ExportPrecision::Fp32,
        Batch::Dynamic,
        &[],
    )
    .expect("exports");
    let candidate = Candidate {
        runtime: Runtime::OnnxCpu,
        precision: Precision::Fp32,
        reason: None,
    };
    let settings = Settings {
        threads: 1,
        batch: 4,
        ..Settings::default()
    };
    let mut classifier = OnnxClassifier::load_on(&file, LABELS, &candidate, &settings).expect("loads");
    for frames in [1, 4] {
        let inputs = vec![0.1; frames * INPUT_LEN];
        let mut logits = vec![0.0; frames * LABELS];
        let info = measure_warm(|| classifier.logits(&inputs, &mut logits).expect("runs"));
        assert!(info.count_total <= 20 && info.bytes_total < 4096, "{info:?}");
        assert_eq!(info.count_current, 0, "{info:?}");
    }
}
