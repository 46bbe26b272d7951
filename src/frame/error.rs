//! The errors of invalid images.

use super::encoding;
use super::limits::{MAX_DECODED_BYTES, MAX_SIDE_PX};

/// Why data is not a valid image.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The encoding is unknown or not supported.
    #[error("unsupported encoding {0:?}; {fix}", fix = encoding::fix(.0))]
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
    /// The decoded pixels would take too much memory.
    #[error(
        "image of {width} x {height} pixels takes {megabytes} MB when decoded, must be at most {limit} MB; reduce its size, or save it with 8 bits per channel and without transparency",
        limit = MAX_DECODED_BYTES / 1_000_000
    )]
    DecodedSize {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// Memory for the decoded pixels.
        megabytes: u64,
    },
    /// Width or height is odd, but the encoding stores values for pairs of columns or rows.
    #[error(
        "image size is {width} x {height} pixels; {encoding} stores values for groups of pixels and needs an even {sides}"
    )]
    Odd {
        /// The sides that must be even.
        sides: &'static str,
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
    /// The field `format` of a compressed image names something other than a still image.
    #[error("unsupported compressed format {format:?}: {fix}")]
    UnsupportedFormat {
        /// The field.
        format: String,
        /// What it is, and what to do.
        fix: &'static str,
    },
    /// The content is not an image that can be decoded.
    #[error("the image{format} is {found}; {fix}", format = in_format(.format))]
    Content {
        /// The field `format` of the message; empty for a file.
        format: String,
        /// What the content is.
        found: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// The decoder does not support the coding of the JPEG. Contains an adjective for it.
    #[error(
        "the JPEG is {0}, which is not supported; save it as a baseline or progressive JPEG with 8 bits per channel"
    )]
    UnsupportedJpeg(&'static str),
    /// The data ends before the image does. The JPEG decoder would fill the missing part with gray.
    #[error("the image is truncated")]
    Truncated,
    /// The decoder would take more memory than the largest image needs.
    #[error(
        "the image takes more than {limit} MB to decode; it is damaged or has too much metadata",
        limit = MAX_DECODED_BYTES / 1_000_000
    )]
    DecoderMemory,
    /// The decoder does not support the coding or the colors of the image.
    #[error("cannot decode the image: {0}; save it as JPEG or PNG")]
    UnsupportedColors(image::ImageError),
    /// The decoder reported an error.
    #[error("cannot decode the image: {0}")]
    Decode(#[from] image::ImageError),
    /// The file cannot be read.
    #[error("cannot read the image: {0}")]
    Io(#[from] std::io::Error),
}

fn in_format(format: &str) -> String {
    if format.is_empty() {
        String::new()
    } else {
        format!(" with format {format:?}")
    }
}
