//! JPEG, PNG, WebP, GIF, BMP and TIFF, in files and in `sensor_msgs/CompressedImage` -> [`Frame`].

mod exif;
mod format;

use std::io::{Cursor, ErrorKind};

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, Limits};

use super::encoding::{Encoding, Layout};
use super::jpeg::Jpeg;
use super::limits::{MAX_DECODED_BYTES, check_decoded, check_size};
use super::{Frame, FrameError};
use crate::file_kind::FileKind;
use format::Format;
pub(crate) use format::fix_of_video;

/// Decodes an image, upright. `format` is the field of the message; it may be empty.
///
/// # Errors
/// As [`Frame::from_compressed`].
pub(super) fn decode(format: &str, data: &[u8]) -> Result<Frame, FrameError> {
    let format = Format::new(format);
    format.check()?;
    let kind = FileKind::of_bytes(data);
    let (image, orientation) = match kind {
        FileKind::Jpeg => {
            let jpeg = Jpeg::parse(data)?;
            let decoder = JpegDecoder::new(Cursor::new(jpeg.for_decoder()?)).map_err(decode_error)?;
            (pixels(decoder)?, jpeg.exif().and_then(exif::orientation))
        }
        FileKind::Png => {
            let limits = limits(MAX_DECODED_BYTES);
            let decoder = PngDecoder::with_limits(Cursor::new(data), limits).map_err(decode_error)?;
            (pixels(decoder)?, exif::of_png(data).and_then(exif::orientation))
        }
        FileKind::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(data)).map_err(decode_error)?;
            (pixels(decoder)?, exif::of_webp(data).and_then(exif::orientation))
        }
        FileKind::Tiff => {
            let mut decoder = TiffDecoder::new(Cursor::new(data)).map_err(decode_error)?;
            let orientation = decoder.orientation().ok();
            (pixels(decoder)?, orientation)
        }
        FileKind::Gif => (
            pixels(GifDecoder::new(Cursor::new(data)).map_err(decode_error)?)?,
            None,
        ),
        FileKind::Bmp => (
            pixels(BmpDecoder::new(Cursor::new(data)).map_err(decode_error)?)?,
            None,
        ),
        _ => {
            debug_assert!(!kind.is_decodable_image());
            return Err(format.error(kind));
        }
    };
    let image = if kind == FileKind::Tiff && format.has_swapped_channels() {
        swap_red_and_blue(image)
    } else {
        image
    };
    // The filter pattern of a mosaic is that of the stored pixels: it is demosaiced before it is rotated.
    let mut image = demosaiced(&format, image)?;
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Frame::from_image(image)
}

fn limits(max_bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_bytes);
    limits
}

/// Decodes the pixels, as stored, if they are within the limits.
fn pixels(mut decoder: impl ImageDecoder) -> Result<DynamicImage, FrameError> {
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    check_decoded(width, height, decoder.total_bytes())?;
    // Some decoders hold the pixels twice.
    decoder
        .set_limits(limits(2 * MAX_DECODED_BYTES))
        .map_err(decode_error)?;
    DynamicImage::from_decoder(decoder).map_err(decode_error)
}

fn decode_error(error: ImageError) -> FrameError {
    match error {
        ImageError::Limits(_) => FrameError::DecoderMemory,
        ImageError::Unsupported(_) => FrameError::UnsupportedColors(error),
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => FrameError::Truncated,
        error => FrameError::Decode(error),
    }
}

fn swap_red_and_blue(image: DynamicImage) -> DynamicImage {
    let mut image = image.into_rgb8();
    image.pixels_mut().for_each(|pixel| pixel.0.reverse());
    image.into()
}

/// Converts an image with one channel to color if it is a Bayer mosaic.
///
/// # Errors
/// The kind of mosaic is unknown, or a side of a mosaic is odd.
fn demosaiced(format: &Format, image: DynamicImage) -> Result<DynamicImage, FrameError> {
    let bytes = match image.color() {
        ColorType::L8 => 1,
        ColorType::L16 => 2,
        _ => return Ok(image),
    };
    let Some((name, red)) = format.mosaic()? else {
        return Ok(image);
    };
    // JPEG has 8 bits where the raw image has 16.
    let layout = Layout::Bayer { red, bytes };
    let sides = [image.width(), image.height()];
    let step = sides[0] as usize * bytes;
    let is_bigendian = cfg!(target_endian = "big");
    let encoding = Encoding { name, layout };
    let frame = Frame::from_layout(encoding, sides, step, image.into_bytes(), is_bigendian)?;
    Ok(frame.to_rgb_image().into())
}

#[cfg(test)]
mod tests;
