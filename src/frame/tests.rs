use super::*;

fn pixel_as_rgb(encoding: &str, pixel: &[u8]) -> [u8; 3] {
    let width = 2;
    let step = width * pixel.len() as u32;
    let data = pixel.repeat(4);
    let frame = Frame::from_raw(encoding, width, 2, step, data).expect("a valid frame");
    frame.to_rgb_image().get_pixel(1, 1).0
}

#[test]
fn channels_are_converted_to_rgb() {
    assert_eq!(pixel_as_rgb("rgb8", &[200, 20, 10]), [200, 20, 10]);
    assert_eq!(pixel_as_rgb("bgr8", &[10, 20, 200]), [200, 20, 10]);
    assert_eq!(pixel_as_rgb("rgba8", &[200, 20, 10, 7]), [200, 20, 10]);
    assert_eq!(pixel_as_rgb("bgra8", &[10, 20, 200, 7]), [200, 20, 10]);
    assert_eq!(pixel_as_rgb("mono8", &[90]), [90, 90, 90]);
}

#[test]
fn rows_have_no_padding() {
    let data = vec![1, 2, 99, 3, 4, 99];
    let frame = Frame::from_raw("mono8", 2, 2, 3, data).expect("a valid frame");
    assert_eq!(frame.rows().collect::<Vec<_>>(), [[1, 2], [3, 4]]);
    assert!(frame.packed().is_none());
}

#[test]
fn excess_data_is_ignored() {
    let frame = Frame::from_raw("mono8", 2, 1, 2, vec![1, 2, 3]).expect("a valid frame");
    assert_eq!(frame.packed(), Some(&[1, 2][..]));
}

#[test]
fn only_regular_files_are_read() {
    let error = Frame::from_file(Path::new("/dev/zero")).expect_err("never ends");
    assert!(error.to_string().contains("a device, not a file"), "{error}");
}

fn error_for(encoding: &str) -> String {
    let error = Frame::from_raw(encoding, 2, 2, 8, vec![0; 16]).expect_err("unsupported");
    error.to_string()
}

#[test]
fn unsupported_encoding_is_rejected_with_the_supported_ones() {
    let expected = "unsupported encoding \"yuv420\"; supported: rgb8, bgr8, rgba8, bgra8, mono8, 8UC1";
    assert!(
        error_for("yuv420").starts_with(expected),
        "{}",
        error_for("yuv420")
    );
}

#[test]
fn misnamed_encoding_is_rejected_with_the_right_name() {
    for (name, meant) in [
        ("RGB8", "rgb8"),
        ("YUYV", "yuyv"),
        ("Nv12", "nv12"),
        ("YUV422-YUY2", "yuv422_yuy2"),
        ("bayer_rg8", "bayer_rggb8"),
        ("BayerGB16", "bayer_gbrg16"),
        ("BAYER_BGGR8", "bayer_bggr8"),
        ("rgb", "rgb8"),
        ("R8G8B8", "rgb8"),
        ("mono", "mono8"),
        ("Y16", "mono16"),
        ("yuv_NV21", "nv21"),
        ("8UC", "8UC1"),
    ] {
        let expected = format!(
            "unsupported encoding {name:?}; its name in sensor_msgs is {meant:?}, which the camera's driver must use"
        );
        assert_eq!(error_for(name), expected);
    }
    let expected = "unsupported encoding \"MJPEG\"; compressed images belong in sensor_msgs/CompressedImage";
    assert_eq!(error_for("MJPEG"), expected);
}

#[test]
fn step_smaller_than_a_row_is_rejected() {
    let error = Frame::from_raw("rgb8", 2, 1, 5, vec![0; 6]).expect_err("a row has 6 bytes");
    assert!(matches!(error, FrameError::Step { needed: 6, .. }), "{error}");
}

#[test]
fn step_that_is_left_out_stands_for_rows_without_padding() {
    let pixels: Vec<u8> = (0..12).collect();
    let with_step = Frame::from_raw("rgb8", 2, 2, 6, pixels.clone()).expect("a valid frame");
    let without = Frame::from_raw("rgb8", 2, 2, 0, pixels).expect("a valid frame");
    assert_eq!(without, with_step);
    for bytes in [11, 13, 0] {
        let error = Frame::from_raw("rgb8", 2, 2, 0, vec![0; bytes]).expect_err("does not fit");
        assert!(matches!(error, FrameError::Step { needed: 6, .. }), "{error}");
    }
}

#[test]
fn step_that_includes_chroma_stands_for_rows_without_padding() {
    let values: Vec<u8> = (0..48).map(|value| 5 * value).collect();
    for (encoding, bytes, step) in [("nv12", 24, 6), ("nv21", 24, 6), ("nv24", 48, 12)] {
        let frame = |step| Frame::from_raw(encoding, 4, 4, step, values[..bytes].to_vec());
        let with_step = frame(4).expect("a valid frame");
        assert_eq!(frame(step).expect("a valid frame"), with_step, "{encoding}");
        let error = frame(step + 1).expect_err("rows are missing");
        assert!(matches!(error, FrameError::Data { .. }), "{error}");
    }
}

#[test]
fn truncated_data_is_rejected() {
    let error = Frame::from_raw("rgb8", 2, 2, 6, vec![0; 11]).expect_err("12 bytes needed");
    assert!(matches!(error, FrameError::Data { needed: 12, .. }), "{error}");
}

#[test]
fn huge_step_does_not_overflow() {
    let error = Frame::from_raw("mono8", 8, 8192, u32::MAX, vec![0; 8]).expect_err("35 TB needed");
    assert!(matches!(error, FrameError::Data { .. }), "{error}");
}

#[test]
fn sides_of_zero_or_above_the_maximum_are_rejected() {
    for (width, height) in [(0, 0), (0, 5), (5, 0), (20_000, 20_000)] {
        let error = Frame::from_raw("mono8", width, height, width, vec![]).expect_err("invalid size");
        assert!(matches!(error, FrameError::Size { .. }), "{error}");
    }
}

#[test]
fn measurement_encodings_are_rejected_by_name() {
    for name in ["32FC1", "16UC1", "64FC3", "16SC2", "8SC1"] {
        let error = Frame::from_raw(name, 1, 1, 8, vec![0; 8]).expect_err("not an image");
        assert!(matches!(error, FrameError::Measurements(_)), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn subsampled_and_bayer_encodings_need_even_sides() {
    for (name, width, height, sides) in [
        ("yuyv", 3, 2, "width"),
        ("nv21", 4, 3, "width and height"),
        ("nv12", 3, 4, "width and height"),
        ("bayer_rggb8", 4, 1, "width and height"),
    ] {
        let error = Frame::from_raw(name, width, height, 8, vec![0; 64]).expect_err("odd side");
        assert!(matches!(error, FrameError::Odd { .. }), "{error}");
        assert!(
            error.to_string().ends_with(&format!("an even {sides}")),
            "{error}"
        );
    }
    Frame::from_raw("yuyv", 2, 1, 4, vec![0; 4]).expect("an odd height is valid");
    Frame::from_raw("bayer_bggr8", 2, 2, 2, vec![0; 4]).expect("a single 2x2 block");
}

#[test]
fn truncated_chroma_is_rejected() {
    Frame::from_raw("nv21", 4, 4, 4, vec![0; 24]).expect("16 + 8 bytes");
    let error = Frame::from_raw("nv21", 4, 4, 4, vec![0; 23]).expect_err("one byte of chroma is missing");
    assert!(matches!(error, FrameError::Data { needed: 24, .. }), "{error}");
    Frame::from_raw("nv24", 3, 3, 3, vec![0; 27]).expect("odd sides are valid");
    let error = Frame::from_raw("nv24", 4, 4, 4, vec![0; 47]).expect_err("one byte of chroma is missing");
    assert!(matches!(error, FrameError::Data { needed: 48, .. }), "{error}");
}

proptest::proptest! {
    #[test]
    fn arbitrary_fields_give_an_image_of_that_size_or_an_error(
        encoding in proptest::sample::select(encoding::supported().split(", ").map(str::to_owned).collect::<Vec<_>>()),
        width in 0u32..12, height in 0u32..12, step in 0u32..64, len in 0usize..2000, is_bigendian: bool,
    ) {
        if let Ok(frame) = Frame::from_message(&encoding, [width, height], step, vec![200; len], is_bigendian) {
            proptest::prop_assert_eq!(frame.to_rgb_image().dimensions(), (width, height));
        }
    }
}
