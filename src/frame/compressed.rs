//! JPEG and PNG, in files and in `sensor_msgs/CompressedImage` -> [`Frame`].

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, Limits};

use super::encoding::{Encoding, Layout};
use super::jpeg::Jpeg;
use super::{Frame, FrameError, check_size, truncate};

/// Maximum memory of the PNG decoder, bytes: that of the pixels of the largest image, in 16-bit color with alpha.
pub(super) const MAX_DECODER_BYTES: u64 = 512 << 20;

/// Decodes an image, upright. `format` is the field of the message; it may be empty.
///
/// # Errors
/// As [`Frame::from_compressed`].
pub(super) fn decode(format: &str, data: &[u8]) -> Result<Frame, FrameError> {
    if format.contains("compressedDepth") {
        return Err(FrameError::UnsupportedFormat(truncate(format)));
    }
    let (image, exif) = match image::guess_format(data) {
        Ok(ImageFormat::Jpeg) => {
            let jpeg = Jpeg::parse(data)?;
            let decoder = JpegDecoder::new(Cursor::new(jpeg.for_decoder())).map_err(decode_error)?;
            (pixels(decoder)?, jpeg.exif())
        }
        Ok(ImageFormat::Png) => {
            let decoder = PngDecoder::with_limits(Cursor::new(data), limits()).map_err(decode_error)?;
            (pixels(decoder)?, exif_of_png(data))
        }
        _ => return Err(FrameError::UnknownContent(truncate(format))),
    };
    // The filter pattern of a mosaic is that of the stored pixels: it is demosaiced before it is rotated.
    let mut image = demosaiced(format, image)?;
    let orientation = exif.and_then(Orientation::from_exif_chunk);
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Frame::from_image(image)
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    limits
}

/// Decodes the pixels, as stored, if their number is within the limits.
fn pixels(decoder: impl ImageDecoder) -> Result<DynamicImage, FrameError> {
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    DynamicImage::from_decoder(decoder).map_err(decode_error)
}

fn decode_error(error: ImageError) -> FrameError {
    match error {
        ImageError::Limits(_) => FrameError::DecoderMemory,
        error => FrameError::Decode(error),
    }
}

/// The content of the eXIf chunk, which may follow the pixels.
fn exif_of_png(png: &[u8]) -> Option<&[u8]> {
    const SIGNATURE_BYTES: usize = 8;
    const CHECKSUM_BYTES: usize = 4;
    let mut chunks = png.get(SIGNATURE_BYTES..)?;
    loop {
        let (length, rest) = chunks.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        let (content, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        if name == b"eXIf" {
            // The prefix belongs to JPEG, but some programs write it.
            return Some(content.strip_prefix(b"Exif\0\0").unwrap_or(content));
        }
        chunks = rest.get(CHECKSUM_BYTES..)?;
    }
}

/// Converts an image with one channel to color if it is a Bayer mosaic.
///
/// compressed_image_transport encodes a mosaic like gray. It writes the encoding of the raw image into `format`, before a semicolon:
/// `bayer_rggb8; png compressed `.
///
/// # Errors
/// The encoding is for measurements or an unknown kind of mosaic, or a side of a mosaic is odd.
fn demosaiced(format: &str, image: DynamicImage) -> Result<DynamicImage, FrameError> {
    let bytes = match image.color() {
        ColorType::L8 => 1,
        ColorType::L16 => 2,
        _ => return Ok(image),
    };
    let name = format.split(';').next().unwrap_or_default().trim();
    let encoding = match Encoding::named(name) {
        // JPEG has 8 bits where the raw image has 16.
        Ok(Encoding {
            name,
            layout: Layout::Bayer { red, .. },
        }) => Encoding {
            name,
            layout: Layout::Bayer { red, bytes },
        },
        Ok(_) => return Ok(image),
        Err(error) if name.starts_with("bayer_") || matches!(error, FrameError::Measurements(_)) => {
            return Err(error);
        }
        // Other formats, such as `jpeg`, do not name an encoding.
        Err(_) => return Ok(image),
    };
    let sides = [image.width(), image.height()];
    let step = sides[0] as usize * bytes;
    let is_bigendian = cfg!(target_endian = "big");
    let frame = Frame::from_layout(encoding, sides, step, image.into_bytes(), is_bigendian)?;
    Ok(frame.to_rgb_image().into())
}

#[cfg(test)]
mod tests;
