//! Images that are too large.

use super::*;

/// The same PNG with other sides and bits per channel in its header; the decoder reads the rest only later.
fn with_header_of_png(png: &[u8], sides: [u32; 2], bits: u8) -> Vec<u8> {
    const NAME: usize = 12;
    const CHECKSUM: usize = 29;
    let mut png = png.to_vec();
    png[16..24].copy_from_slice(&sides.map(u32::to_be_bytes).concat());
    png[24] = bits;
    let checksum = png[NAME..CHECKSUM].iter().fold(u32::MAX, |checksum, byte| {
        (0..8).fold(checksum ^ u32::from(*byte), |checksum, _| {
            (checksum >> 1) ^ (0xEDB8_8320 & (checksum & 1).wrapping_neg())
        })
    });
    png[CHECKSUM..CHECKSUM + 4].copy_from_slice(&(!checksum).to_be_bytes());
    png
}

fn error(data: &[u8]) -> String {
    Frame::from_compressed("", data)
        .expect_err("too large")
        .to_string()
}

#[test]
fn image_above_the_maximum_size_is_rejected_before_decoding_with_the_limit() {
    for (format, width, height) in [
        (ImageFormat::Png, 20_000, 1),
        (ImageFormat::Png, 1, 8193),
        (ImageFormat::Jpeg, 8193, 1),
        (ImageFormat::WebP, 8193, 1),
        (ImageFormat::Gif, 1, 8193),
        (ImageFormat::Bmp, 8193, 1),
        (ImageFormat::Tiff, 8193, 1),
    ] {
        let file = encoded(&RgbImage::new(width, height).into(), format);
        let expected =
            format!("image size is {width} x {height} pixels, must be 1 x 1 to 8192 x 8192 pixels");
        assert_eq!(error(&file), expected);
    }
    let largest = encoded(&GrayImage::new(8192, 1).into(), ImageFormat::Jpeg);
    Frame::from_compressed("", &largest).expect("the maximum width");
}

#[test]
fn image_that_takes_too_much_memory_is_rejected_before_decoding_with_the_limit() {
    let png = encoded(&RgbImage::new(1, 1).into(), ImageFormat::Png);
    assert_eq!(
        error(&with_header_of_png(&png, [8192, 8192], 16)),
        "image of 8192 x 8192 pixels takes 402 MB when decoded, must be at most 201 MB; reduce its size, or save it with 8 bits per channel and without transparency"
    );
    let mut gif = encoded(&RgbImage::new(1, 1).into(), ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0, 32, 0, 32]);
    assert!(
        error(&gif).starts_with("image of 8192 x 8192 pixels takes 268 MB"),
        "{}",
        error(&gif)
    );
    let cut_off = error(&with_header_of_png(&png, [8192, 8192], 8));
    assert!(cut_off.starts_with("cannot decode the image"), "{cut_off}");
}

#[test]
fn frame_of_a_gif_that_is_larger_than_its_image_is_rejected() {
    let mut gif = encoded(&RgbImage::new(1, 1).into(), ImageFormat::Gif);
    let descriptor = gif.iter().rposition(|&byte| byte == b',').expect("is there");
    gif[descriptor + 5..descriptor + 9].copy_from_slice(&[0xFF; 4]);
    assert!(error(&gif).contains("MB to decode"), "{}", error(&gif));
}

#[test]
fn memory_limit_of_a_decoder_is_named_as_a_number() {
    let kind = image::error::LimitErrorKind::InsufficientMemory;
    let error = decode_error(ImageError::Limits(image::error::LimitError::from_kind(kind)));
    assert!(error.to_string().contains("more than 201 MB"), "{error}");
}
