//! One test for every shape of good and bad bytes.

use super::*;

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encodes in memory");
    bytes.into_inner()
}

fn red_dot_on(format: &str, pixel: &[u8]) -> [u8; 3] {
    let width = 2;
    let step = width * pixel.len() as u32;
    let data = pixel.repeat(4);
    let frame = Frame::from_raw(format, width, 2, step, data).expect("a good frame");
    frame.to_rgb_image().get_pixel(1, 1).0
}

#[test]
fn each_encoding_gives_red_green_blue() {
    assert_eq!(red_dot_on("rgb8", &[200, 20, 10]), [200, 20, 10]);
    assert_eq!(red_dot_on("bgr8", &[10, 20, 200]), [200, 20, 10]);
    assert_eq!(red_dot_on("rgba8", &[200, 20, 10, 7]), [200, 20, 10]);
    assert_eq!(red_dot_on("bgra8", &[10, 20, 200, 7]), [200, 20, 10]);
    assert_eq!(red_dot_on("mono8", &[90]), [90, 90, 90]);
}

#[test]
fn padding_at_the_end_of_rows_is_left_out() {
    let data = vec![1, 2, 99, 3, 4, 99];
    let frame = Frame::from_raw("mono8", 2, 2, 3, data).expect("a good frame");
    assert_eq!(frame.rows().collect::<Vec<_>>(), [[1, 2], [3, 4]]);
    assert!(frame.packed().is_none());
}

#[test]
fn more_data_than_announced_is_fine() {
    let frame = Frame::from_raw("mono8", 2, 1, 2, vec![1, 2, 3]).expect("a good frame");
    assert_eq!(frame.packed(), Some(&[1, 2][..]));
}

#[test]
fn an_unsupported_encoding_names_the_supported_ones() {
    let error = Frame::from_raw("jpeg", 1, 1, 4, vec![0; 4]).expect_err("not raw");
    let named = "unsupported encoding \"jpeg\"; supported: rgb8, bgr8, rgba8, bgra8, mono8, 8UC1";
    assert!(error.to_string().starts_with(named), "{error}");
}

#[test]
fn a_step_too_small_is_refused() {
    let error = Frame::from_raw("rgb8", 2, 1, 5, vec![0; 6]).expect_err("6 bytes a row");
    assert!(matches!(error, FrameError::Step { needed: 6, .. }), "{error}");
}

#[test]
fn too_little_data_is_refused() {
    let error = Frame::from_raw("rgb8", 2, 2, 6, vec![0; 11]).expect_err("12 bytes");
    assert!(matches!(error, FrameError::Data { needed: 12, .. }), "{error}");
}

#[test]
fn a_hostile_step_does_not_overflow() {
    let error = Frame::from_raw("mono8", 8, 8192, u32::MAX, vec![0; 8]).expect_err("35 TB");
    assert!(matches!(error, FrameError::Data { .. }), "{error}");
}

#[test]
fn sides_of_zero_and_of_twenty_thousand_are_refused() {
    for (width, height) in [(0, 0), (0, 5), (5, 0), (20_000, 20_000)] {
        let error = Frame::from_raw("mono8", width, height, width, vec![]).expect_err("no size");
        assert!(matches!(error, FrameError::Size { .. }), "{error}");
    }
}

#[test]
fn jpeg_and_png_are_known_by_their_content() {
    let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(8, 6, image::Rgb([200, 20, 10])));
    for format in [ImageFormat::Jpeg, ImageFormat::Png] {
        for named in ["", "jpeg", "bgr8; jpeg compressed bgr8", "png"] {
            let frame = Frame::from_compressed(named, &encoded(&image, format)).expect("decodes");
            assert_eq!((frame.width(), frame.height()), (8, 6));
            assert!(frame.to_rgb_image().get_pixel(3, 3).0[0].abs_diff(200) < 8);
        }
    }
}

#[test]
fn truncated_and_foreign_bytes_are_refused() {
    let image = DynamicImage::ImageRgb8(RgbImage::from_fn(64, 64, |x, y| {
        image::Rgb([x as u8, y as u8, 0])
    }));
    let [png, jpeg] = [ImageFormat::Png, ImageFormat::Jpeg].map(|format| encoded(&image, format));
    let halves = [
        &png[..png.len() / 2],
        &jpeg[..jpeg.len() / 2],
        &jpeg[..jpeg.len() - 2],
    ];
    for bytes in [&[][..], b"not an image"].into_iter().chain(halves) {
        assert!(Frame::from_compressed("", bytes).is_err());
    }
}

#[test]
fn bytes_behind_the_end_of_a_jpeg_do_no_harm() {
    let image = DynamicImage::ImageRgb8(RgbImage::new(64, 64));
    let padded = [encoded(&image, ImageFormat::Jpeg), vec![0; 100]].concat();
    Frame::from_compressed("jpeg", &padded).expect("decodes");
}

#[test]
fn a_depth_image_is_refused_by_name() {
    let error = Frame::from_compressed("16UC1; compressedDepth png", &[]).expect_err("depth");
    assert!(error.to_string().contains("compressedDepth"), "{error}");
}

#[test]
fn a_compressed_image_too_large_is_refused_before_it_is_decoded() {
    let wide = DynamicImage::ImageLuma8(image::GrayImage::new(20_000, 1));
    let error = Frame::from_compressed("", &encoded(&wide, ImageFormat::Png)).expect_err("wide");
    assert!(matches!(error, FrameError::Decode(_)), "{error}");
}

#[test]
fn measurements_are_refused_by_name() {
    for name in ["32FC1", "16UC1", "64FC3", "16SC2", "8SC1"] {
        let error = Frame::from_raw(name, 1, 1, 8, vec![0; 8]).expect_err("no image");
        assert!(matches!(error, FrameError::Measurements(_)), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn values_that_neighbours_share_need_even_sides() {
    for (name, width, height) in [
        ("yuyv", 3, 2),
        ("nv21", 4, 3),
        ("nv21", 3, 4),
        ("bayer_rggb8", 4, 1),
    ] {
        let error = Frame::from_raw(name, width, height, 8, vec![0; 64]).expect_err("odd");
        assert!(matches!(error, FrameError::Odd { .. }), "{error}");
    }
    Frame::from_raw("yuyv", 2, 1, 4, vec![0; 4]).expect("one row will do");
    Frame::from_raw("bayer_bggr8", 2, 2, 2, vec![0; 4]).expect("one square will do");
}

#[test]
fn chroma_behind_the_luma_must_be_there() {
    Frame::from_raw("nv21", 4, 4, 4, vec![0; 24]).expect("16 and 8 bytes");
    let error = Frame::from_raw("nv21", 4, 4, 4, vec![0; 23]).expect_err("8 bytes of chroma");
    assert!(matches!(error, FrameError::Data { needed: 24, .. }), "{error}");
    let error = Frame::from_raw("nv24", 4, 4, 4, vec![0; 47]).expect_err("32 bytes of chroma");
    assert!(matches!(error, FrameError::Data { needed: 48, .. }), "{error}");
}

proptest::proptest! {
    /// Whatever a message announces, there is an image of that size or an error.
    #[test]
    fn no_message_is_fatal(
        encoding in proptest::sample::select(encoding::supported().split(", ").map(str::to_owned).collect::<Vec<_>>()),
        width in 0u32..12, height in 0u32..12, step in 0u32..64, len in 0usize..2000, order: bool,
    ) {
        if let Ok(frame) = Frame::from_message(&encoding, [width, height], step, vec![200; len], order) {
            proptest::prop_assert_eq!(frame.to_rgb_image().dimensions(), (width, height));
        }
    }
}
