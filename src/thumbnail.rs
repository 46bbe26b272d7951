//! Small copies of images for embedding in HTML reports.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops;

use crate::frame::{Frame, FrameError};

/// Maximum width and height of a thumbnail, in pixels.
const MAX_SIDE_PX: u32 = 160;
/// JPEG quality, 1 to 100; a thumbnail has about 6 kB.
const JPEG_QUALITY: u8 = 80;

/// The thumbnail of the image in a file, as a `data:` URI; see [`uri_of`].
///
/// # Errors
/// The file cannot be read or is not a valid image.
pub(crate) fn uri(file: &Path) -> Result<String, FrameError> {
    uri_of(&Frame::from_file(file)?)
}

/// The thumbnail of a frame as a `data:` URI of a JPEG, see [`jpeg_of`].
///
/// # Errors
/// The JPEG encoder failed.
pub(crate) fn uri_of(frame: &Frame) -> Result<String, FrameError> {
    Ok(format!(
        "data:image/jpeg;base64,{}",
        STANDARD.encode(jpeg_of(frame)?)
    ))
}

/// The thumbnail of a frame as a JPEG, at most 160 pixels wide and high.
///
/// # Errors
/// The JPEG encoder failed.
pub(crate) fn jpeg_of(frame: &Frame) -> Result<Vec<u8>, FrameError> {
    let image = frame.to_rgb_image();
    let (width, height) = thumbnail_size(image.width(), image.height());
    let thumbnail = imageops::thumbnail(&image, width, height);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY).encode_image(&thumbnail)?;
    Ok(jpeg)
}

/// Width and height of a thumbnail, each at least 1.
fn thumbnail_size(width: u32, height: u32) -> (u32, u32) {
    let long_side = width.max(height);
    if long_side <= MAX_SIDE_PX {
        return (width, height);
    }
    let scaled = |side: u32| (side * MAX_SIDE_PX / long_side).max(1);
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_image_is_scaled_down_and_small_image_is_kept() {
        assert_eq!(thumbnail_size(640, 480), (160, 120));
        assert_eq!(thumbnail_size(480, 640), (120, 160));
        assert_eq!(thumbnail_size(100, 50), (100, 50));
        assert_eq!(thumbnail_size(8192, 1), (160, 1));
    }

    #[test]
    fn uri_is_a_jpeg_of_the_thumbnail_size() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("large.png");
        image::RgbImage::from_pixel(640, 320, image::Rgb([200, 30, 30]))
            .save(&file)
            .expect("writes");
        let uri = uri(&file).expect("an image");
        let encoded = uri.strip_prefix("data:image/jpeg;base64,").expect("a JPEG");
        let jpeg = STANDARD.decode(encoded).expect("base64");
        let image = image::load_from_memory(&jpeg).expect("decodes");
        assert_eq!((image.width(), image.height()), (160, 80));
    }

    #[test]
    fn missing_or_invalid_file_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("text.jpg");
        assert!(uri(&file).is_err(), "missing");
        std::fs::write(&file, "not an image").expect("writes");
        assert!(uri(&file).is_err(), "not an image");
    }
}
