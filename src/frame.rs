//! Validates and decodes images from messages and files into a [`Frame`].
//!
//! A [`Frame`] is known to be consistent, so that later stages need no further checks. [`crate::preprocess`] scales and normalizes it.

mod compressed;
mod encoding;
mod error;
mod jpeg;
mod limits;
mod recent;

use std::path::Path;

use bytes::Bytes;
use image::{DynamicImage, RgbImage};

pub(crate) use compressed::fix_of_video;
use encoding::{Encoding, RawImage};
pub use error::FrameError;
pub use limits::MAX_SIDE_PX;
use limits::check_size;
pub use recent::{RECENT_FRAMES, RecentFrames};

/// The layout of a pixel, 8 bits per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// Red, green, blue.
    Rgb8,
    /// Blue, green, red.
    Bgr8,
    /// Red, green, blue, alpha (ignored).
    Rgba8,
    /// Blue, green, red, alpha (ignored).
    Bgra8,
    /// Gray.
    Mono8,
}

/// An image with consistent size, step and data.
///
/// The rows begin `step` bytes apart, the top row first; the data has at least `step` × (`height` - 1) + `row_bytes` bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    width: u32,
    height: u32,
    step: usize,
    format: PixelFormat,
    /// Shared with clones, and with the message that the frame was made from.
    data: Bytes,
}

impl PixelFormat {
    /// Bytes per pixel.
    pub fn bytes_per_pixel(self) -> usize {
        match self {
            PixelFormat::Rgb8 | PixelFormat::Bgr8 => 3,
            PixelFormat::Rgba8 | PixelFormat::Bgra8 => 4,
            PixelFormat::Mono8 => 1,
        }
    }

    /// Offsets of red, green and blue in a pixel, bytes.
    pub fn rgb_offsets(self) -> [usize; 3] {
        match self {
            PixelFormat::Rgb8 | PixelFormat::Rgba8 => [0, 1, 2],
            PixelFormat::Bgr8 | PixelFormat::Bgra8 => [2, 1, 0],
            PixelFormat::Mono8 => [0, 0, 0],
        }
    }
}

impl Frame {
    /// A frame from the fields of a little-endian `sensor_msgs/Image`.
    ///
    /// 8-bit RGB and gray data is moved or shared, not copied; other encodings are converted to 8-bit RGB or gray.
    ///
    /// # Errors
    /// The encoding is not supported, a side is 0, above [`MAX_SIDE_PX`] or odd where it must be even, the step is too small for a row, or
    /// the data is too short. A step of 0 stands for rows without padding.
    pub fn from_raw(
        encoding: &str,
        width: u32,
        height: u32,
        step: u32,
        data: impl Into<Bytes>,
    ) -> Result<Frame, FrameError> {
        Frame::from_message(encoding, [width, height], step, data, false)
    }

    /// A frame from the fields of a `sensor_msgs/Image`; `sides` are width and height.
    ///
    /// 8-bit RGB and gray data is moved or shared, not copied; other encodings are converted to 8-bit RGB or gray.
    ///
    /// # Errors
    /// As [`Frame::from_raw`].
    pub fn from_message(
        encoding: &str,
        sides: [u32; 2],
        step: u32,
        data: impl Into<Bytes>,
        is_bigendian: bool,
    ) -> Result<Frame, FrameError> {
        Frame::from_layout(
            Encoding::named(encoding)?,
            sides,
            step as usize,
            data,
            is_bigendian,
        )
    }

    fn from_layout(
        encoding: Encoding,
        sides: [u32; 2],
        step: usize,
        data: impl Into<Bytes>,
        is_bigendian: bool,
    ) -> Result<Frame, FrameError> {
        let Encoding { name, layout } = encoding;
        let [width, height] = sides;
        check_size(width, height)?;
        check_even(sides, encoding)?;
        let (row_bytes, rows) = (layout.row_bytes(width as usize), layout.rows(height as usize));
        let data = data.into();
        // Some drivers leave the step out, or divide the length of the data by the height although chroma follows the luma.
        // The step is not bounded: its products must not overflow.
        let is_divided = step.saturating_mul(height as usize) == data.len();
        let step = if data.len() == row_bytes * rows && (step == 0 || is_divided) {
            row_bytes
        } else {
            step
        };
        if step < row_bytes {
            return Err(FrameError::Step {
                step,
                width,
                encoding: name,
                needed: row_bytes,
            });
        }
        let needed = step.saturating_mul(rows);
        if data.len() < needed {
            return Err(FrameError::Data {
                found: data.len(),
                step,
                rows,
                needed,
            });
        }
        let raw = RawImage {
            width: width as usize,
            height: height as usize,
            step,
            data,
            is_bigendian,
        };
        Ok(raw.into_frame(layout))
    }

    /// An upright frame from the fields of a `sensor_msgs/CompressedImage`.
    ///
    /// JPEG, PNG, WebP, GIF, BMP and TIFF are distinguished by the data. The first one of several images is taken, transparency is
    /// ignored, and the orientation in EXIF data is applied; invalid EXIF data is ignored.
    /// `format` may be empty; its part before the semicolon says whether gray values are a Bayer mosaic, which is demosaiced, or
    /// measurements.
    ///
    /// # Errors
    /// The format is for depth or other measurements or an unknown kind of mosaic, the data is another kind of image or none, is
    /// truncated or cannot be decoded, a side is above [`MAX_SIDE_PX`], the pixels take too much memory, or a side of a mosaic is odd.
    pub fn from_compressed(format: &str, data: &[u8]) -> Result<Frame, FrameError> {
        compressed::decode(format, data)
    }

    /// An upright frame from an image file: the orientation in its EXIF data is applied.
    ///
    /// # Errors
    /// As [`Frame::from_compressed`], or the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Frame, FrameError> {
        Frame::from_compressed("", &read_file(path)?)
    }

    /// A frame from a decoded image.
    ///
    /// # Errors
    /// A side is 0 or above [`MAX_SIDE_PX`].
    pub fn from_image(image: DynamicImage) -> Result<Frame, FrameError> {
        let (width, height) = (image.width(), image.height());
        let (format, data) = match image {
            gray @ (DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_)) => {
                (PixelFormat::Mono8, gray.into_luma8().into_raw())
            }
            other => (PixelFormat::Rgb8, other.into_rgb8().into_raw()),
        };
        check_size(width, height)?;
        Ok(Frame::from_packed(width, height, format, data))
    }

    /// A frame without padding.
    fn from_packed(width: u32, height: u32, format: PixelFormat, data: Vec<u8>) -> Frame {
        Frame {
            width,
            height,
            step: width as usize * format.bytes_per_pixel(),
            format,
            data: data.into(),
        }
    }

    /// Width, pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height, pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The layout of a pixel.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// All pixels as one slice; `None` if the rows have padding.
    pub fn packed(&self) -> Option<&[u8]> {
        let row_bytes = self.row_bytes();
        (self.step == row_bytes).then(|| &self.data[..row_bytes * self.height as usize])
    }

    /// The rows without padding, the top row first.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let row_bytes = self.row_bytes();
        self.data
            .chunks(self.step)
            .take(self.height as usize)
            .map(move |row| &row[..row_bytes])
    }

    /// A copy in RGB, for files and overlays.
    pub fn to_rgb_image(&self) -> RgbImage {
        let [red, green, blue] = self.format.rgb_offsets();
        let mut pixels = Vec::with_capacity(self.width as usize * self.height as usize * 3);
        for row in self.rows() {
            for pixel in row.chunks_exact(self.format.bytes_per_pixel()) {
                pixels.extend_from_slice(&[pixel[red], pixel[green], pixel[blue]]);
            }
        }
        RgbImage::from_raw(self.width, self.height, pixels).expect("`height` rows of `width` pixels")
    }

    fn row_bytes(&self) -> usize {
        self.width as usize * self.format.bytes_per_pixel()
    }
}

/// The content of an image file.
///
/// # Errors
/// It cannot be read, is no regular file, or is longer than 512 MiB.
pub fn read_file(path: &Path) -> Result<Vec<u8>, FrameError> {
    Ok(crate::disk::read_file(path, limits::MAX_FILE_BYTES)?)
}

/// # Errors
/// A side is odd that the encoding needs to be even.
fn check_even([width, height]: [u32; 2], encoding: Encoding) -> Result<(), FrameError> {
    let needs_even = encoding.layout.needs_even();
    let is_valid = |side: u32, needs_even: bool| !needs_even || side.is_multiple_of(2);
    if is_valid(width, needs_even[0]) && is_valid(height, needs_even[1]) {
        return Ok(());
    }
    Err(FrameError::Odd {
        sides: if needs_even[1] {
            "width and height"
        } else {
            "width"
        },
        width,
        height,
        encoding: encoding.name,
    })
}

#[cfg(test)]
mod tests;
