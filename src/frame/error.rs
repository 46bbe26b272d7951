//! The errors of invalid images.

use super::compressed::MAX_DECODER_BYTES;
use super::{MAX_SIDE_PX, encoding};

/// Why data is not a valid image.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The encoding is unknown or not supported.
    #[error("unsupported encoding {0:?}; supported: {supported}", supported = encoding::supported())]
    UnsupportedEncoding(String),
    /// The encoding is for depth or other measurements.
    #[error(
        "encoding {0:?} is for measurements such as depth, not for images; supported: {supported}",
        supported = encoding::supported()
    )]
    Measurements(String),
    /// Width or height is 0 or above [`MAX_SIDE_PX`].
    #[error("image size is {width} x {height} pixels, must be 1 x 1 to {MAX_SIDE_PX} x {MAX_SIDE_PX} pixels")]
    Size {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
    },
    /// Width or height is odd, but the encoding stores values for pairs of columns or rows.
    #[error(
        "image size is {width} x {height} pixels; {encoding} stores values for groups of pixels and needs even sides"
    )]
    Odd {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// Name of the encoding.
        encoding: &'static str,
    },
    /// The step is smaller than a row.
    #[error("step is {step} bytes; {width} pixels of {encoding} need at least {needed}")]
    Step {
        /// Bytes from one row to the next.
        step: usize,
        /// Width, pixels.
        width: u32,
        /// Name of the encoding.
        encoding: &'static str,
        /// The minimum step, bytes.
        needed: usize,
    },
    /// The data is shorter than its rows.
    #[error("data has {found} bytes; {rows} rows with a step of {step} need {needed}")]
    Data {
        /// Length of the data, bytes.
        found: usize,
        /// Bytes from one row to the next.
        step: usize,
        /// Number of rows, including those with chroma.
        rows: usize,
        /// The minimum length, bytes.
        needed: usize,
    },
    /// The field `format` of a compressed image names something other than an image.
    #[error(
        "unsupported compressed format {0:?}; supported: JPEG and PNG in the formats of compressed_image_transport"
    )]
    UnsupportedFormat(String),
    /// The data of a compressed image is neither JPEG nor PNG. Contains the field `format`.
    #[error("the data, with format {0:?}, is neither JPEG nor PNG")]
    UnknownContent(String),
    /// A JPEG has no end marker. The decoder would fill the missing part with gray.
    #[error("the JPEG is truncated")]
    Truncated,
    /// A PNG would take more memory than the largest image needs.
    #[error(
        "the PNG takes more than {limit} MB to decode; it is damaged or has too much metadata",
        limit = MAX_DECODER_BYTES >> 20
    )]
    DecoderMemory,
    /// The decoder reported an error.
    #[error("cannot decode the image: {0}")]
    Decode(#[from] image::ImageError),
    /// The file cannot be read.
    #[error("cannot read the image: {0}")]
    Io(#[from] std::io::Error),
}
