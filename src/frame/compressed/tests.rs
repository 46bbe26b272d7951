use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{GrayImage, ImageEncoder, ImageFormat, Rgb, RgbImage};

use super::*;

mod kinds;
mod limits;

const EXIF_PREFIX: &[u8] = b"Exif\0\0";

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encoding in memory");
    bytes.into_inner()
}

/// EXIF data with an orientation.
fn exif(orientation: u16) -> Vec<u8> {
    let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    exif.extend(orientation.to_be_bytes());
    exif.extend([0; 6]);
    exif
}

/// The same in the other byte order.
fn little_endian_exif(orientation: u16) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend(orientation.to_le_bytes());
    exif.extend([0; 6]);
    exif
}

fn jpeg_with_exif(image: &DynamicImage, exif: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
    encoder.set_exif_metadata(exif).expect("is supported");
    encoder.encode_image(image).expect("encoding in memory");
    bytes
}

fn png_with_exif(image: &DynamicImage, exif: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif).expect("is supported");
    image.write_with_encoder(encoder).expect("encoding in memory");
    bytes
}

/// The same PNG with its eXIf chunk behind the pixels, where the PNG specification allows it, too.
fn with_exif_at_the_end(png: &[u8]) -> Vec<u8> {
    let start = position(png, b"eXIf") - 4;
    let end = position(png, b"IDAT") - 4;
    let last_chunk = png.len() - 12;
    [
        &png[..start],
        &png[end..last_chunk],
        &png[start..end],
        &png[last_chunk..],
    ]
    .concat()
}

fn position(bytes: &[u8], part: &[u8]) -> usize {
    let mut windows = bytes.windows(part.len());
    windows.position(|window| window == part).expect("is there")
}

/// Side of the blocks in [`blocks`], which lossy compression keeps apart.
const BLOCK_PX: usize = 16;

/// An image with one block of pixels for each letter, row by row; `a` is the darkest.
fn blocks(rows: &[&str]) -> DynamicImage {
    let sides = [rows[0].len(), rows.len()].map(|blocks| (blocks * BLOCK_PX) as u32);
    let pixel = |column: u32, row: u32| {
        let letter = rows[row as usize / BLOCK_PX].as_bytes()[column as usize / BLOCK_PX];
        let level = 40 * (letter - b'a');
        Rgb([level, 128, 255 - level])
    };
    RgbImage::from_fn(sides[0], sides[1], pixel).into()
}

/// The letters of an image of [`blocks`].
fn letters(frame: &Frame) -> Vec<String> {
    let image = frame.to_rgb_image();
    let block = BLOCK_PX as u32;
    let letter = |column, row| {
        let [red, _, blue] = image
            .get_pixel(column * block + block / 2, row * block + block / 2)
            .0;
        assert!(red.abs_diff(255 - blue) < 12, "{red} {blue}");
        char::from(b'a' + (red + 20) / 40)
    };
    let row = |row| {
        (0..frame.width() / block)
            .map(|column| letter(column, row))
            .collect()
    };
    (0..frame.height() / block).map(row).collect()
}

/// The rows of an image as a camera stores them, by orientation; upright, they are `abc` and `def`.
const STORED: [(u16, &[&str]); 8] = [
    (1, &["abc", "def"]),
    (2, &["cba", "fed"]),
    (3, &["fed", "cba"]),
    (4, &["def", "abc"]),
    (5, &["ad", "be", "cf"]),
    (6, &["cf", "be", "ad"]),
    (7, &["fc", "eb", "da"]),
    (8, &["da", "eb", "fc"]),
];

#[test]
fn all_orientations_are_applied_in_jpeg_and_png() {
    for (orientation, rows) in STORED {
        let image = blocks(rows);
        for exif in [exif(orientation), little_endian_exif(orientation)] {
            let png = png_with_exif(&image, exif.clone());
            let prefixed = png_with_exif(&image, [&b"Exif\0\0"[..], &exif].concat());
            let files = [
                jpeg_with_exif(&image, exif),
                with_exif_at_the_end(&png),
                png,
                prefixed,
            ];
            for file in files {
                let frame = Frame::from_compressed("", &file).expect("a valid image");
                assert_eq!(letters(&frame), ["abc", "def"], "orientation {orientation}");
            }
        }
    }
}

#[test]
fn invalid_exif_data_is_ignored() {
    let image = blocks(&["abc", "def"]);
    let mut beyond_the_end = exif(6);
    beyond_the_end[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut too_many_entries = exif(0);
    too_many_entries[8..10].copy_from_slice(&u16::MAX.to_be_bytes());
    let truncated = (0..20).map(|length| exif(6)[..length].to_vec());
    let invalid = [
        exif(0),
        exif(9),
        exif(u16::MAX),
        beyond_the_end,
        too_many_entries,
        b"no TIFF".to_vec(),
    ];
    for exif in truncated.chain(invalid) {
        for file in [
            jpeg_with_exif(&image, exif.clone()),
            png_with_exif(&image, exif.clone()),
        ] {
            let frame = Frame::from_compressed("", &file).expect("a valid image");
            assert_eq!(letters(&frame), ["abc", "def"], "{exif:?}");
        }
    }
}

#[test]
fn invalid_metadata_of_a_jpeg_is_ignored() {
    let jpeg = encoded(&blocks(&["abc"]), ImageFormat::Jpeg);
    let segments: [&[u8]; 4] = [
        b"\xFF\xE1\x00\x28http://ns.adobe.com/xmp/extension/\0abc",
        b"\xFF\xE0\x00\x00",
        b"\xFF\xE1\x00\x01",
        b"\xFF\xED\x00\x00",
    ];
    for segment in segments {
        let file = [&jpeg[..2], segment, &jpeg[2..]].concat();
        let frame = Frame::from_compressed("", &file).expect("a valid image");
        assert_eq!(letters(&frame), ["abc"], "{segment:?}");
    }
}

/// A JPEG without those Huffman tables whose numbers `is_removed` accepts: the encoder writes one segment for each.
fn without_tables(jpeg: &[u8], is_removed: impl Fn(usize) -> bool) -> Vec<u8> {
    let scan = position(jpeg, b"\xFF\xDA");
    let mut rest = &jpeg[..scan];
    let mut kept = Vec::new();
    for table in 0.. {
        let Some(start) = rest.windows(2).position(|pair| pair == b"\xFF\xC4") else {
            break;
        };
        let end = start + 2 + usize::from(u16::from_be_bytes([rest[start + 2], rest[start + 3]]));
        kept.extend(&rest[..if is_removed(table) { start } else { end }]);
        rest = &rest[end..];
    }
    [&kept, rest, &jpeg[scan..]].concat()
}

#[test]
fn missing_huffman_tables_are_the_standard_ones() {
    let detailed = RgbImage::from_fn(64, 48, |x, y| {
        Rgb([(x * y) as u8, (x ^ y) as u8 * 4, (7 * x) as u8])
    });
    let gray = DynamicImage::from(detailed.clone()).into_luma8();
    for image in [detailed.into(), gray.into()] {
        let jpeg = encoded(&image, ImageFormat::Jpeg);
        let expected = Frame::from_compressed("", &jpeg).expect("a valid image");
        let without = without_tables(&jpeg, |_| true);
        assert!(without.len() + 200 < jpeg.len() && !without.windows(2).any(|pair| pair == b"\xFF\xC4"));
        let partly_without = without_tables(&jpeg, |table| table % 2 == 1);
        for file in [without, partly_without] {
            assert_eq!(
                Frame::from_compressed("jpeg", &file).expect("a valid image"),
                expected
            );
        }
    }
}

#[test]
fn jpeg_is_whole_up_to_its_end_marker_whatever_follows() {
    let jpeg = encoded(&blocks(&["abc", "def"]), ImageFormat::Jpeg);
    let thumbnail = encoded(&blocks(&["a"]), ImageFormat::Jpeg);
    for more in [
        &[0; 100][..],
        b"\xFF\xDA",
        b"\0\0\0\x18ftypmp42 \xFF\xD8\xFF\xDA",
        &jpeg[..300],
    ] {
        let frame = Frame::from_compressed("jpeg", &[&jpeg, more].concat()).expect("a valid image");
        assert_eq!(letters(&frame), ["abc", "def"]);
    }
    // A thumbnail in EXIF data, or the next frame of a camera whose data got lost, has an end marker, too.
    let length = (2 + EXIF_PREFIX.len() + thumbnail.len()) as u16;
    let exif = [b"\xFF\xE1", &length.to_be_bytes()[..], EXIF_PREFIX, &thumbnail].concat();
    let with_thumbnail = [&jpeg[..2], &exif, &jpeg[2..]].concat();
    Frame::from_compressed("", &with_thumbnail).expect("a valid image");
    let cut = with_thumbnail.len() - 20;
    for cut_off in [
        with_thumbnail[..cut].to_vec(),
        [&jpeg[..jpeg.len() - 20], &jpeg].concat(),
    ] {
        let error = Frame::from_compressed("", &cut_off).expect_err("pixels are missing");
        assert!(matches!(error, FrameError::Truncated), "{error}");
    }
}

/// A mosaic with smooth colors: the values of one color differ little, those of two colors much.
fn mosaic() -> GrayImage {
    GrayImage::from_fn(32, 16, |column, row| {
        let level = [[200, 90], [110, 30]][row as usize % 2][column as usize % 2];
        image::Luma([level + (column + row) as u8 / 2])
    })
}

#[test]
fn mosaic_is_demosaiced_by_the_encoding_in_the_format() {
    let mosaic = mosaic();
    for pattern in ["rggb", "grbg", "gbrg", "bggr"] {
        let encoding = format!("bayer_{pattern}8");
        let expected =
            Frame::from_raw(&encoding, 32, 16, 32, mosaic.as_raw().clone()).expect("a valid frame");
        let png = encoded(&mosaic.clone().into(), ImageFormat::Png);
        for format in [
            "; png compressed ",
            "; png compressed bgr8",
            ";png compressed",
            "",
        ] {
            let frame = Frame::from_compressed(&format!("{encoding}{format}"), &png).expect("a valid image");
            assert_eq!(frame, expected, "{encoding}{format}");
        }
        let mut jpeg = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
        mosaic.write_with_encoder(encoder).expect("encoding in memory");
        // JPEG has 8 bits, also of a raw image with 16 bits.
        for format in [
            format!("{encoding}; jpeg compressed bgr8"),
            format!("bayer_{pattern}16; jpeg compressed "),
        ] {
            let frame = Frame::from_compressed(&format, &jpeg).expect("a valid image");
            let pixels = frame.packed().expect("no padding").iter();
            let differences = pixels.zip(expected.packed().expect("no padding"));
            assert!(
                differences.map(|(a, b)| a.abs_diff(*b)).max() < Some(5),
                "{format}"
            );
        }
    }
}

#[test]
fn mosaic_with_16_bits_is_demosaiced() {
    let values: Vec<u16> = mosaic()
        .iter()
        .map(|&level| u16::from(level) * 257 + 100)
        .collect();
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let expected = Frame::from_raw("bayer_gbrg16", 32, 16, 64, bytes).expect("a valid frame");
    let image = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(32, 16, values).expect("all pixels");
    let png = encoded(&image.into(), ImageFormat::Png);
    assert_eq!(
        Frame::from_compressed("bayer_gbrg16; png compressed ", &png).expect("valid"),
        expected
    );
}

#[test]
fn mosaic_is_demosaiced_before_it_is_rotated() {
    let upright = Frame::from_raw("bayer_rggb8", 32, 16, 32, mosaic().into_raw()).expect("a valid frame");
    let expected = image::imageops::rotate90(&upright.to_rgb_image());
    let png = png_with_exif(&mosaic().into(), exif(6));
    let frame = Frame::from_compressed("bayer_rggb8; png compressed ", &png).expect("a valid image");
    assert_eq!(frame.to_rgb_image(), expected);
}

#[test]
fn color_and_gray_images_are_no_mosaics() {
    let color = blocks(&["abc", "def"]);
    for format in [ImageFormat::Jpeg, ImageFormat::Png] {
        let file = encoded(&color, format);
        let frame =
            Frame::from_compressed("bayer_rggb8; jpeg compressed bgr8", &file).expect("a valid image");
        assert_eq!(letters(&frame), ["abc", "def"]);
    }
    let gray = encoded(&mosaic().into(), ImageFormat::Png);
    for format in [
        "",
        "png",
        "mono8; png compressed ",
        "8UC1; png compressed ",
        "a camera's own; words",
    ] {
        let frame = Frame::from_compressed(format, &gray).expect("a valid image");
        assert_eq!(frame.packed(), Some(&mosaic().into_raw()[..]), "{format}");
    }
}

#[test]
fn one_channel_that_is_not_gray_is_rejected_by_its_encoding() {
    let gray = encoded(&mosaic().into(), ImageFormat::Png);
    for encoding in ["bayer_rggb12", "bayer_xyz8", "16UC1", "32FC1"] {
        let error =
            Frame::from_compressed(&format!("{encoding}; png compressed "), &gray).expect_err("not gray");
        assert!(
            error.to_string().contains(&format!("encoding {encoding:?}")),
            "{error}"
        );
    }
    let odd = encoded(&GrayImage::new(5, 4).into(), ImageFormat::Png);
    let error = Frame::from_compressed("bayer_rggb8; png compressed ", &odd).expect_err("odd width");
    assert!(error.to_string().contains("5 x 4 pixels; bayer_rggb8"), "{error}");
}
