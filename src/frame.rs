//! Bytes from a camera or a file, validated into a [`Frame`].
//!
//! After this file nothing needs to ask again whether an image's size, step and data fit together.
//! Scaling and normalising is left to [`crate::preprocess`].

mod encoding;

use std::path::Path;

use bytes::Bytes;
use encoding::{Encoding, Source};
use image::{DynamicImage, ImageFormat, ImageReader, Limits, RgbImage};

/// The longest side of an image that is taken in, in pixels.
pub const MAX_SIDE_PX: u32 = 8192;

/// How the bytes of one pixel of a frame are laid out.
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
    /// Grey.
    Mono8,
}

/// An image whose size, step and data are known to fit together.
///
/// Holds at least `step` × (`height` - 1) + `row_bytes` bytes; rows lie `step` bytes apart, the first at the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    width: u32,
    height: u32,
    step: usize,
    format: PixelFormat,
    /// Shared by clones, and with whoever lent them.
    data: Bytes,
}

/// Why bytes are not an image, with what would be right.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The encoding has no image in it, or none that is supported.
    #[error("unsupported encoding {0:?}; supported: {supported}", supported = encoding::supported())]
    UnsupportedEncoding(String),
    /// An encoding of depth or other measurements.
    #[error(
        "encoding {0:?} holds measurements such as depth, no image; supported: {supported}",
        supported = encoding::supported()
    )]
    Measurements(String),
    /// A side is zero or longer than [`MAX_SIDE_PX`].
    #[error("image of {width}x{height} pixels; each side must be 1 to {MAX_SIDE_PX}")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Half a pixel would be left.
    #[error(
        "image of {width}x{height} pixels; in {encoding} neighbours share values, so its sides must be even"
    )]
    Odd {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// The encoding's name.
        encoding: &'static str,
    },
    /// A row does not fit into its step.
    #[error("step is {step} bytes, but {width} pixels of {encoding} need at least {needed}")]
    Step {
        /// Bytes from one row to the next, as announced.
        step: usize,
        /// Pixels across.
        width: u32,
        /// The encoding's name.
        encoding: &'static str,
        /// The least step there can be.
        needed: usize,
    },
    /// There are fewer bytes than announced.
    #[error("{found} bytes of data, but {rows} rows of step {step} need {needed}")]
    Data {
        /// Bytes there are.
        found: usize,
        /// Bytes from one row to the next.
        step: usize,
        /// Rows, those of chroma among them.
        rows: usize,
        /// Bytes there must be.
        needed: usize,
    },
    /// A compressed image in a format that holds no image for us.
    #[error(
        "unsupported compressed format {0:?}; supported: jpeg and png, as compressed_image_transport writes them"
    )]
    UnsupportedFormat(String),
    /// Bytes that are no image, whatever they are announced as.
    #[error("the data, announced as {0:?}, is neither JPEG nor PNG")]
    UnknownContent(String),
    /// A JPEG without its end, of which the decoder would make grey what is missing.
    #[error("the JPEG breaks off")]
    CutOff,
    /// The decoder gave up.
    #[error("cannot decode the image: {0}")]
    Decode(#[from] image::ImageError),
    /// The file cannot be read.
    #[error("cannot read the image: {0}")]
    Io(#[from] std::io::Error),
}

impl PixelFormat {
    /// Bytes of one pixel.
    pub fn bytes_per_pixel(self) -> usize {
        match self {
            PixelFormat::Rgb8 | PixelFormat::Bgr8 => 3,
            PixelFormat::Rgba8 | PixelFormat::Bgra8 => 4,
            PixelFormat::Mono8 => 1,
        }
    }

    /// Where red, green and blue stand within a pixel's bytes.
    pub fn rgb_offsets(self) -> [usize; 3] {
        match self {
            PixelFormat::Rgb8 | PixelFormat::Rgba8 => [0, 1, 2],
            PixelFormat::Bgr8 | PixelFormat::Bgra8 => [2, 1, 0],
            PixelFormat::Mono8 => [0, 0, 0],
        }
    }
}

impl Frame {
    /// A frame from the fields of a `sensor_msgs/Image` whose values of 16 bits, if it has such, are little-endian.
    ///
    /// The data of 8-bit colours and greys moves in, or stays with who lent it, nothing is copied; all else is turned into red, green,
    /// blue or grey.
    ///
    /// # Errors
    /// An unsupported encoding, a side of 0 or beyond [`MAX_SIDE_PX`] or odd where that cannot be, a step too small for a row, too few
    /// bytes.
    pub fn from_raw(
        encoding: &str,
        width: u32,
        height: u32,
        step: u32,
        data: impl Into<Bytes>,
    ) -> Result<Frame, FrameError> {
        Frame::from_message(encoding, [width, height], step, data, false)
    }

    /// The same for either order of bytes; `sides` are width and height.
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
        let Encoding { name, layout } = Encoding::named(encoding)?;
        let [width, height] = sides;
        check_size(width, height)?;
        let is_odd = |(side, needs_even): (u32, bool)| needs_even && side % 2 == 1;
        if sides.into_iter().zip(layout.needs_even()).any(is_odd) {
            return Err(FrameError::Odd {
                width,
                height,
                encoding: name,
            });
        }
        let step = step as usize;
        let row_bytes = layout.row_bytes(width as usize);
        if step < row_bytes {
            return Err(FrameError::Step {
                step,
                width,
                encoding: name,
                needed: row_bytes,
            });
        }
        // The sides are bounded but the step is not: the product of a hostile one must not wrap around.
        let rows = layout.rows(height as usize);
        let needed = step.saturating_mul(rows);
        let data = data.into();
        if data.len() < needed {
            return Err(FrameError::Data {
                found: data.len(),
                step,
                rows,
                needed,
            });
        }
        let source = Source {
            width: width as usize,
            height: height as usize,
            step,
            data,
            is_bigendian,
        };
        Ok(source.into_frame(layout))
    }

    /// A frame from the fields of a `sensor_msgs/CompressedImage`.
    ///
    /// What the bytes are is read from the bytes; `format` may be empty, and is asked only to refuse what
    /// is no image (`compressedDepth`).
    ///
    /// # Errors
    /// A format that holds no image, bytes that are neither JPEG nor PNG or break off, a side beyond [`MAX_SIDE_PX`].
    pub fn from_compressed(format: &str, data: &[u8]) -> Result<Frame, FrameError> {
        if format.contains("compressedDepth") {
            return Err(FrameError::UnsupportedFormat(shortened(format)));
        }
        let mut reader = ImageReader::new(std::io::Cursor::new(data)).with_guessed_format()?;
        if reader.format().is_none() {
            return Err(FrameError::UnknownContent(shortened(format)));
        }
        if reader.format() == Some(ImageFormat::Jpeg) && !has_end(data) {
            return Err(FrameError::CutOff);
        }
        reader.limits(decode_limits());
        Frame::from_image(reader.decode()?)
    }

    /// A frame from a JPEG or PNG file.
    ///
    /// # Errors
    /// As [`Frame::from_compressed`], and what the file system says.
    pub fn from_file(path: &Path) -> Result<Frame, FrameError> {
        Frame::from_compressed("", &std::fs::read(path)?)
    }

    /// A frame from a decoded image.
    ///
    /// # Errors
    /// A side of 0 or beyond [`MAX_SIDE_PX`].
    pub fn from_image(image: DynamicImage) -> Result<Frame, FrameError> {
        let (width, height) = (image.width(), image.height());
        let (format, data) = match image {
            DynamicImage::ImageLuma8(grey) => (PixelFormat::Mono8, grey.into_raw()),
            other => (PixelFormat::Rgb8, other.into_rgb8().into_raw()),
        };
        check_size(width, height)?;
        Ok(Frame::packed_from(width, height, format, data))
    }

    /// A frame without gaps between its rows.
    fn packed_from(width: u32, height: u32, format: PixelFormat, data: Vec<u8>) -> Frame {
        Frame {
            width,
            height,
            step: width as usize * format.bytes_per_pixel(),
            format,
            data: data.into(),
        }
    }

    /// Pixels across.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How a pixel's bytes are laid out.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// The pixels without gaps, where the rows follow each other without gaps; else `None`.
    pub fn packed(&self) -> Option<&[u8]> {
        let row_bytes = self.row_bytes();
        (self.step == row_bytes).then(|| &self.data[..row_bytes * self.height as usize])
    }

    /// The rows from the top, each without the padding at its end.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let row_bytes = self.row_bytes();
        self.data
            .chunks(self.step)
            .take(self.height as usize)
            .map(move |row| &row[..row_bytes])
    }

    /// The image in red, green, blue: a copy, for files and overlays.
    pub fn to_rgb_image(&self) -> RgbImage {
        let [red, green, blue] = self.format.rgb_offsets();
        let mut pixels = Vec::with_capacity(self.width as usize * self.height as usize * 3);
        for row in self.rows() {
            for pixel in row.chunks_exact(self.format.bytes_per_pixel()) {
                pixels.extend_from_slice(&[pixel[red], pixel[green], pixel[blue]]);
            }
        }
        RgbImage::from_raw(self.width, self.height, pixels)
            .expect("every row has width pixels and there are height rows")
    }

    fn row_bytes(&self) -> usize {
        self.width as usize * self.format.bytes_per_pixel()
    }
}

fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    let sides = 1..=MAX_SIDE_PX;
    if sides.contains(&width) && sides.contains(&height) {
        Ok(())
    } else {
        Err(FrameError::Size { width, height })
    }
}

/// True where a JPEG's end marker comes after its last scan; the image in an image that cameras put first has one too.
fn has_end(jpeg: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xFF, 0xDA];
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let last_scan = jpeg.windows(2).rposition(|pair| pair == START_OF_SCAN);
    last_scan.is_some_and(|start| jpeg[start..].windows(2).any(|pair| pair == END_OF_IMAGE))
}

fn decode_limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits
}

/// Text from outside, cut to what is worth reading in a log.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
