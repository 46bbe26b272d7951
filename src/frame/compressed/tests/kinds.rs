//! The kinds of images besides JPEG and PNG, what several of them share, and content that is no image.

use image::codecs::gif::GifEncoder;
use image::codecs::webp::WebPEncoder;
use image::{Luma, Rgba, RgbaImage};

use super::*;

const KINDS: [ImageFormat; 6] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
];

/// A little-endian TIFF without compression with one strip and 8 bits per channel; `next` is the position of the next image or 0.
fn tiff(image: &RgbImage, orientation: u16, next: u32) -> Vec<u8> {
    let bits_at = 8 + 2 + 12 * 10 + 4;
    let pixels_at = bits_at + 6;
    let entries: [(u16, u16, u32, u32); 10] = [
        (256, 4, 1, image.width()),
        (257, 4, 1, image.height()),
        (258, 3, 3, bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, pixels_at),
        (274, 3, 1, orientation.into()),
        (277, 3, 1, 3),
        (278, 4, 1, image.height()),
        (279, 4, 1, image.as_raw().len() as u32),
    ];
    let mut tiff = b"II*\0\x08\0\0\0\x0a\0".to_vec();
    for (tag, kind, count, value) in entries {
        tiff.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        tiff.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    tiff.extend(next.to_le_bytes());
    tiff.extend([8, 0, 8, 0, 8, 0]);
    tiff.extend(image.as_raw());
    tiff
}

fn webp_with_exif(image: &DynamicImage, exif: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
    encoder.set_exif_metadata(exif).expect("is supported");
    image.write_with_encoder(encoder).expect("encoding in memory");
    bytes
}

fn error(format: &str, data: &[u8]) -> String {
    Frame::from_compressed(format, data)
        .expect_err("no image")
        .to_string()
}

#[test]
fn all_kinds_are_detected_from_the_data() {
    let image = blocks(&["abc", "def"]);
    for kind in KINDS {
        let file = encoded(&image, kind);
        for format in [
            "",
            "jpeg",
            "JPG",
            "webp",
            "bgr8; jpeg compressed bgr8",
            "rgb8; png compressed ",
            "bgr8; tiff compressed ",
            "qoi; bgr8",
            "h264",
        ] {
            // The channels of this one are swapped, see below.
            if kind == ImageFormat::Tiff && format.starts_with("rgb8;") {
                continue;
            }
            let frame = Frame::from_compressed(format, &file).expect("a valid image");
            assert_eq!(letters(&frame), ["abc", "def"], "{kind:?} {format}");
        }
    }
}

#[test]
fn orientation_is_applied_in_webp_and_tiff() {
    for (orientation, rows) in STORED {
        let image = blocks(rows);
        let prefixed = [EXIF_PREFIX, &exif(orientation)].concat();
        for file in [
            webp_with_exif(&image, exif(orientation)),
            webp_with_exif(&image, prefixed),
            tiff(&image.into_rgb8(), orientation, 0),
        ] {
            let frame = Frame::from_compressed("", &file).expect("a valid image");
            assert_eq!(letters(&frame), ["abc", "def"], "orientation {orientation}");
        }
    }
}

#[test]
fn invalid_metadata_of_a_webp_is_ignored() {
    let image = blocks(&["abc"]);
    let whole = webp_with_exif(&image, exif(6));
    let length_at = position(&whole, b"EXIF") + 4;
    let mut beyond_the_end = whole.clone();
    beyond_the_end[length_at..length_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    for file in [
        webp_with_exif(&image, exif(77)),
        webp_with_exif(&image, vec![1]),
        beyond_the_end,
    ] {
        let frame = Frame::from_compressed("", &file).expect("a valid image");
        assert_eq!(letters(&frame), ["abc"]);
    }
}

#[test]
fn first_of_several_images_is_taken() {
    let images = [blocks(&["abc", "def"]), blocks(&["fff", "fff"])];
    let mut gif = Vec::new();
    let frames = images.iter().map(|image| image::Frame::new(image.to_rgba8()));
    GifEncoder::new(&mut gif)
        .encode_frames(frames)
        .expect("encoding in memory");
    let images = images.map(DynamicImage::into_rgb8);
    let first = tiff(&images[0], 1, 0);
    // The positions in the second image are those of the first one, which is a valid image with other pixels as well.
    let pages = [&tiff(&images[0], 1, first.len() as u32)[..], &first[8..]].concat();
    for file in [gif, pages] {
        let frame = Frame::from_compressed("", &file).expect("a valid image");
        assert_eq!(letters(&frame), ["abc", "def"]);
    }
}

#[test]
fn transparency_is_ignored() {
    let image = RgbaImage::from_pixel(8, 6, Rgba([200, 20, 10, 3]));
    for kind in [
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ] {
        let frame = Frame::from_compressed("", &encoded(&image.clone().into(), kind)).expect("valid");
        assert_eq!(frame.to_rgb_image().get_pixel(3, 3).0, [200, 20, 10], "{kind:?}");
    }
}

#[test]
fn channels_with_16_bits_are_scaled_to_8() {
    let rgb = image::ImageBuffer::from_pixel(4, 4, Rgb([200u16 * 257, 20 * 257 + 100, 10 * 257 - 100]));
    let gray = image::ImageBuffer::from_pixel(4, 4, Luma([90u16 * 257 + 128]));
    for kind in [ImageFormat::Png, ImageFormat::Tiff] {
        let color = Frame::from_compressed("", &encoded(&rgb.clone().into(), kind)).expect("valid");
        assert_eq!(color.to_rgb_image().get_pixel(1, 1).0, [200, 20, 10], "{kind:?}");
        let gray = Frame::from_compressed("", &encoded(&gray.clone().into(), kind)).expect("valid");
        assert_eq!(gray.packed(), Some(&[90; 16][..]), "{kind:?}");
    }
}

#[test]
fn swapped_channels_of_compressed_image_transport_are_swapped_back() {
    let image = blocks(&["abc", "def"]);
    let mut swapped = image.to_rgb8();
    swapped.pixels_mut().for_each(|pixel| pixel.0.reverse());
    let swapped = DynamicImage::from(swapped);
    for (format, kind, stored) in [
        ("rgb8; tiff compressed ", ImageFormat::Tiff, &swapped),
        ("rgba8; tiff compressed ", ImageFormat::Tiff, &swapped),
        ("bgr8; tiff compressed ", ImageFormat::Tiff, &image),
        ("rgb8; png compressed bgr8", ImageFormat::Png, &image),
        ("rgb8; jpeg compressed bgr8", ImageFormat::Jpeg, &image),
        ("rgb8", ImageFormat::Tiff, &image),
    ] {
        let frame = Frame::from_compressed(format, &encoded(stored, kind)).expect("a valid image");
        assert_eq!(letters(&frame), ["abc", "def"], "{format}");
    }
}

#[test]
fn mosaic_that_was_converted_to_gray_is_gray() {
    let gray = DynamicImage::from(mosaic());
    let png = encoded(&gray, ImageFormat::Png);
    let frame = Frame::from_compressed("bayer_rggb8; jpeg compressed mono8", &png).expect("a valid image");
    assert_eq!(frame.packed(), Some(gray.as_bytes()));
    let mosaic = Frame::from_compressed(
        "bayer_rggb8; tiff compressed ",
        &encoded(&gray, ImageFormat::Tiff),
    );
    assert_eq!(
        mosaic.expect("a valid image").format(),
        crate::frame::PixelFormat::Rgb8
    );
}

#[test]
fn other_content_is_named_with_what_to_do() {
    for (format, content, expected) in [
        ("", &b""[..], "the image is empty; its camera"),
        ("jpeg", b"", "the image with format \"jpeg\" is empty; its camera"),
        (
            "",
            b"\0\0\0\x18ftypheic\0\0\0\0",
            "the image is a HEIF image (HEIC); convert it to JPEG",
        ),
        (
            "avif",
            b"\0\0\0\x18ftypavif\0\0\0\0",
            "the image with format \"avif\" is an AVIF image; convert",
        ),
        (
            "jxl",
            b"\xff\x0a\xfa",
            "the image with format \"jxl\" is a JPEG XL image; convert",
        ),
        (
            "qoi; bgr8",
            b"qoif\0\0",
            "the image with format \"qoi; bgr8\" is a QOI image; convert",
        ),
        (
            "",
            b"<!DOCTYPE html>",
            "the image is a web page (HTML); the download probably",
        ),
        (
            "",
            b"version https://git-lfs.github.com/spec/v1\n",
            "the image is a Git LFS pointer",
        ),
        (
            "",
            b"\0\0\0\x18ftypisom\0\0\0\0",
            "the image is a video; save its frames",
        ),
        (
            "",
            b"not an image",
            "the image is a text file; supported: JPEG, PNG, WebP, GIF, BMP, TIFF",
        ),
        (
            "",
            b"\x01\x02\x03\x04",
            "the image is of an unknown format; supported: JPEG, PNG, WebP, GIF, BMP, TIFF",
        ),
        (
            "mono8",
            &[0; 4],
            "unsupported compressed format \"mono8\": it is an encoding of raw images",
        ),
    ] {
        assert!(
            error(format, content).starts_with(expected),
            "{}",
            error(format, content)
        );
    }
}

#[test]
fn other_transports_are_named_with_what_to_do() {
    let raw = [
        &[224, 1, 0, 0, 128, 2, 0, 0][..],
        b"\0\x80\x07\0\0\x04\0\0\0rgb8\x1f\x8b",
    ]
    .concat();
    for (format, content, expected) in [
        ("16UC1; compressedDepth png", &raw[..], "\": it is for depth"),
        ("32FC1; compressedDepth rvl", &raw, "\": it is for depth"),
        ("zstd", &raw, "\": zstd_image_transport sends raw pixels"),
        ("h264", b"\0\0\0\x01\x67\x42", "\": frames of a video depend"),
        ("HEVC", b"\0\0\0\x01\x40\x01", "\": frames of a video depend"),
        (
            "nv12",
            &raw,
            "\": it is an encoding of raw images, which belong in sensor_msgs/Image",
        ),
    ] {
        let found = error(format, content);
        assert!(
            found.starts_with(&format!("unsupported compressed format \"{format}{expected}")),
            "{found}"
        );
    }
}

#[test]
fn measurements_are_rejected_before_they_are_decoded() {
    for format in ["16UC1; png compressed ", "32FC1; tiff compressed ", "16UC1"] {
        assert!(
            error(format, b"").contains("is for measurements"),
            "{}",
            error(format, b"")
        );
    }
}

#[test]
fn colors_that_the_decoder_does_not_support_are_rejected_with_what_to_do() {
    let mut palette = tiff(&RgbImage::new(4, 4), 1, 0);
    let photometric_interpretation = position(&palette, &[6, 1, 3, 0]) + 8;
    palette[photometric_interpretation] = 3;
    let error = error("", &palette);
    assert!(error.ends_with("; save it as JPEG or PNG"), "{error}");
}

#[test]
fn truncated_images_of_all_kinds_are_rejected() {
    let detailed = RgbImage::from_fn(64, 48, |x, y| {
        Rgb([(x * y) as u8, (x ^ y) as u8 * 4, (7 * x) as u8])
    });
    for kind in KINDS {
        let file = encoded(&detailed.clone().into(), kind);
        for length in [file.len() / 4, file.len() / 2, file.len() * 3 / 4] {
            let decoded = Frame::from_compressed("", &file[..length]);
            assert!(decoded.is_err(), "{kind:?}, {length} of {} bytes", file.len());
        }
    }
}

proptest::proptest! {
    #[test]
    fn damaged_images_give_an_image_or_an_error(
        kind in proptest::sample::select(&KINDS[..]),
        damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0u8..), 1..5),
    ) {
        let mut file = encoded(&blocks(&["abc", "def"]), kind);
        for (place, byte) in damage {
            *place.get_mut(&mut file) = byte;
        }
        if let Ok(frame) = Frame::from_compressed("", &file) {
            proptest::prop_assert_eq!(frame.to_rgb_image().dimensions(), (frame.width(), frame.height()));
        }
    }
}
