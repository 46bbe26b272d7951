//! Every encoding of `sensor_msgs` gives the image that cv_bridge's conversions, which are OpenCV's, make of the same bytes.

mod support;

use std::fs;
use std::path::Path;

use serde::Deserialize;
use std::collections::BTreeMap;
use thumb_gesture::frame::Frame;

/// Grey levels; OpenCV rounds at another place where a mosaic has 16 bits.
const TOLERANCE: u8 = 1;

#[derive(Deserialize)]
struct Case {
    encoding: String,
    is_bigendian: bool,
    width: u32,
    height: u32,
    step: u32,
    /// Pixels at the border that are not compared.
    border: u32,
}

fn every_encoding_shows_what_opencv_shows() {
    let directory = support::reference("encodings/reference.py", &[], |_| {});
    let cases = fs::read(directory.path().join("cases.json")).expect("was written");
    let cases: BTreeMap<String, Case> = serde_json::from_slice(&cases).expect("JSON");
    assert_eq!(
        cases.len(),
        27 + 9,
        "27 encodings, 9 of which have two orders of bytes"
    );
    for (name, case) in cases {
        compare(directory.path(), &name, &case);
    }
}

fn compare(directory: &Path, name: &str, case: &Case) {
    let read = |ending: &str| fs::read(directory.join(format!("{name}.{ending}"))).expect("was written");
    let data = read("raw");
    let without_last = data[..data.len() - case.step as usize].to_vec();
    let sides = [case.width, case.height];
    let frame = |data| Frame::from_message(&case.encoding, sides, case.step, data, case.is_bigendian);
    let found = frame(data).expect(name).to_rgb_image();
    let expected = read("rgb");
    assert_eq!(found.as_raw().len(), expected.len(), "{name}");
    for (column, row, pixel) in found.enumerate_pixels() {
        let inside = |place: u32, side: u32| (case.border..side - case.border).contains(&place);
        if inside(column, case.width) && inside(row, case.height) {
            let start = 3 * (row * case.width + column) as usize;
            let difference = pixel
                .0
                .iter()
                .zip(&expected[start..])
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(
                difference <= Some(TOLERANCE),
                "{name} at {column}, {row}: {pixel:?}, not {:?}",
                &expected[start..start + 3]
            );
        }
    }
    frame(without_last).expect_err("a row is missing");
}

support::runner::tests! {
    every_encoding_shows_what_opencv_shows needs Torch,
}
