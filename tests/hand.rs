//! Compares the converted hand networks with LiteRT, and recognizes thumbs in photos without any training.
//!
//! `scripts/setup.sh` converts the networks; `scripts/setup.sh --tests` installs LiteRT. Tests that lack something are skipped.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::runner::{hand_networks, mediapipe, reference_photos};
use support::values;
use thumb_gesture::classifier::onnx::OnnxNetwork;
use thumb_gesture::classifier::settings::Precision;
use thumb_gesture::drawn_hand;
use thumb_gesture::frame::Frame;
use thumb_gesture::gesture::Gesture;
use thumb_gesture::hand::finder::HandFinder;
use thumb_gesture::hand::{Hand, HandNetworks, LandmarkNetwork, rule};
use thumb_gesture::weights::Weights;

/// Maximum difference of an output; boxes and landmarks are in pixels.
const TOLERANCE: f32 = 1e-3;
const PALM_OUTPUTS: [(&str, usize); 2] = [("boxes", 2016 * 18), ("scores", 2016)];
const HAND_OUTPUTS: [(&str, usize); 4] = [
    ("landmarks", 63),
    ("presence", 1),
    ("handedness", 1),
    ("world_landmarks", 63),
];

/// On drawn hands, and on photos if there are any.
fn converted_networks_compute_litert_outputs() {
    let networks = mediapipe();
    let networks = networks.to_str().expect("a UTF-8 path");
    let directory = support::reference("parity/hand.py", &[networks], write_images);
    let expected = Weights::read(&directory.path().join("expected.safetensors")).expect("reads");
    for size in ["lite", "full"] {
        compare(
            &format!("palm_detection_{size}"),
            192,
            &PALM_OUTPUTS,
            directory.path(),
            &expected,
        );
        compare(
            &format!("hand_landmark_{size}"),
            224,
            &HAND_OUTPUTS,
            directory.path(),
            &expected,
        );
    }
}

fn write_images(directory: &Path) {
    for (index, gesture) in Gesture::ALL.into_iter().enumerate() {
        let image = drawn_hand::draw(gesture, 7, 1, 320, 240);
        image
            .save(directory.join(format!("drawn{index}.png")))
            .expect("writes");
    }
    for (index, photo) in photos().into_iter().step_by(20).enumerate() {
        fs::copy(photo, directory.join(format!("photo{index}.jpg"))).expect("copies");
    }
}

/// The reference photos in the order of their names; none if the directory does not exist.
fn photos() -> Vec<PathBuf> {
    let files = |directory: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).into_iter().flatten();
        entries.map(|entry| entry.expect("reads").path()).collect()
    };
    let mut photos: Vec<PathBuf> = files(&reference_photos())
        .iter()
        .flat_map(|label| files(label))
        .collect();
    photos.sort();
    photos
}

fn compare(network: &str, side: usize, outputs: &[(&str, usize)], images: &Path, expected: &Weights) {
    let file = hand_networks().join(format!("{network}.onnx"));
    let mut session = OnnxNetwork::load(&file, Precision::Fp32, side, 1).expect("loads");
    for image in fs::read_dir(images).expect("reads") {
        let image = image.expect("reads").file_name().into_string().expect("UTF-8");
        if image == "expected.safetensors" {
            continue;
        }
        let key = |tensor: &str| format!("{network}/{image}/{tensor}");
        let input = values(expected, &key("image"), &[3, side, side]);
        for &(name, len) in outputs {
            let mut found = vec![0.0; len];
            session.run(&input, &mut [(name, &mut found)]).expect("runs");
            let differences = found
                .iter()
                .zip(values(expected, &key(name), &[len]))
                .map(|(a, b)| (a - b).abs());
            let greatest = differences.fold(0.0, f32::max);
            assert!(greatest < TOLERANCE, "{}: {greatest} apart", key(name));
        }
    }
}

/// The hands that a landmark network finds in each photo.
fn hands_in_photos(network: LandmarkNetwork) -> Vec<(PathBuf, Vec<Hand>)> {
    let networks = HandNetworks::load(&hand_networks(), network, 1).expect("loads");
    let mut finder = HandFinder::new(networks, 2);
    let hands = |photo: PathBuf| {
        let frame = Frame::from_file(&photo).expect("a photo");
        let hands = finder.search(&frame).expect("runs");
        (photo, hands)
    };
    photos().into_iter().map(hands).collect()
}

/// The share of the photos whose gesture the rule finds. The photos show one person from afar; some are blurred or show half a hand.
fn recognized_share(hands: &[(PathBuf, Vec<Hand>)]) -> f64 {
    let mut right = 0;
    for (photo, hands) in hands {
        let label = photo.parent().and_then(Path::file_name).expect("a label");
        let expected = Gesture::from_label(&label.to_string_lossy());
        let found = rule::surest(hands, 0.0)
            .filter(|thumb| thumb.confidence >= 0.5)
            .map_or(Gesture::None, |thumb| thumb.gesture);
        assert!(
            found == expected || found == Gesture::None,
            "{} is {found:?}",
            photo.display()
        );
        right += usize::from(found == expected);
    }
    right as f64 / hands.len() as f64
}

/// By the full landmark network, and in int8, whose weights of 7 bits make it right on every CPU.
fn thumbs_in_photos_are_recognized_without_training() {
    let [full, int8] = [LandmarkNetwork::Full, LandmarkNetwork::FullInt8].map(hands_in_photos);
    // In pixels of the network's input.
    let mut distances = Vec::new();
    for ((_, full), (_, int8)) in full.iter().zip(&int8) {
        let Some((full, int8)) = full.first().zip(int8.first()) else {
            continue;
        };
        let scale = 224.0 / full.region.side_px;
        let points = full.landmarks.iter().zip(&int8.landmarks);
        distances.extend(points.map(|(a, b)| scale * (a[0] - b[0]).hypot(a[1] - b[1])));
    }
    distances.sort_by(f32::total_cmp);
    let median = distances[distances.len() / 2];
    assert!(median < 1.0, "{median} pixels");
    let [full, int8] = [full, int8].map(|hands| recognized_share(&hands));
    assert!(full >= 0.94 && int8 >= 0.94, "{full} and {int8}");
}

/// One photo of each label.
fn command_line_recognizes_thumbs_without_a_model() {
    let photos = photos();
    let third = |label: &PathBuf| photos.iter().filter(|photo| photo.starts_with(label)).nth(2);
    let mut labels: Vec<PathBuf> = photos
        .iter()
        .filter_map(|photo| Some(photo.parent()?.to_owned()))
        .collect();
    labels.dedup();
    let mut right = 0;
    for label in &labels {
        let photo = third(label).expect("three photos");
        let output = support::thumb_gesture(["predict".as_ref(), "--json".as_ref(), photo.as_os_str()]);
        let found = support::json(&output);
        let expected = Gesture::from_label(&label.file_name().expect("a name").to_string_lossy());
        right += usize::from(found["label"] == expected.label());
    }
    assert!(right * 3 >= labels.len() * 2, "{right} of {}", labels.len());
}

support::runner::tests! {
    converted_networks_compute_litert_outputs needs LiteRt,
    thumbs_in_photos_are_recognized_without_training needs HandPhotos,
    command_line_recognizes_thumbs_without_a_model needs HandPhotos,
}
