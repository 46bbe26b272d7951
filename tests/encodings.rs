//! Frames of each `sensor_msgs` encoding have the same RGB values as OpenCV's conversions, which cv_bridge uses.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use thumb_gesture::frame::Frame;

/// Maximum difference, gray levels. OpenCV rounds 16-bit Bayer images at another step.
const MAX_DIFFERENCE: u8 = 1;

#[derive(Deserialize)]
struct Case {
    encoding: String,
    is_bigendian: bool,
    width: u32,
    height: u32,
    step: u32,
    /// Width of the border that is not compared, pixels.
    border: u32,
}

fn encodings_are_converted_as_by_opencv() {
    let directory = support::reference("encodings/reference.py", &[], |_| {});
    let cases = fs::read(directory.path().join("cases.json")).expect("exists");
    let cases: BTreeMap<String, Case> = serde_json::from_slice(&cases).expect("JSON");
    assert_eq!(cases.len(), 28 + 9, "28 encodings, 9 of them in both byte orders");
    for (name, case) in cases {
        compare(directory.path(), &name, &case);
    }
}

fn compare(directory: &Path, name: &str, case: &Case) {
    let read = |extension: &str| fs::read(directory.join(format!("{name}.{extension}"))).expect("exists");
    let data = read("raw");
    let without_last_row = data[..data.len() - case.step as usize].to_vec();
    let sides = [case.width, case.height];
    let frame = |data| Frame::from_message(&case.encoding, sides, case.step, data, case.is_bigendian);
    let found = frame(data).expect(name).to_rgb_image();
    let expected = read("rgb");
    assert_eq!(found.as_raw().len(), expected.len(), "{name}");
    for (column, row, pixel) in found.enumerate_pixels() {
        let is_inside = |position: u32, side: u32| (case.border..side - case.border).contains(&position);
        if is_inside(column, case.width) && is_inside(row, case.height) {
            let start = 3 * (row * case.width + column) as usize;
            let difference = pixel
                .0
                .iter()
                .zip(&expected[start..])
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(
                difference <= Some(MAX_DIFFERENCE),
                "{name} at {column}, {row}: {pixel:?}, expected {:?}",
                &expected[start..start + 3]
            );
        }
    }
    frame(without_last_row).expect_err("a row is missing");
}

support::runner::tests! {
    encodings_are_converted_as_by_opencv needs Torch,
}
