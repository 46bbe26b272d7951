//! The limits of images from outside: what is larger is an error before it takes memory.

use super::FrameError;

/// Maximum width and height of an image, pixels.
pub const MAX_SIDE_PX: u32 = 8192;
/// Maximum size of decoded pixels, bytes: that of the largest image with 8 bits per channel. Twice as much is used while they are converted.
pub(super) const MAX_DECODED_BYTES: u64 = MAX_SIDE_PX as u64 * MAX_SIDE_PX as u64 * 3;
/// Maximum size of an image file, bytes: more than twice as much as the pixels of one, for its metadata and further pages.
pub(super) const MAX_FILE_BYTES: u64 = 512 << 20;

/// # Errors
/// A side is 0 or above [`MAX_SIDE_PX`].
pub(super) fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    let sides = 1..=MAX_SIDE_PX;
    if sides.contains(&width) && sides.contains(&height) {
        Ok(())
    } else {
        Err(FrameError::Size { width, height })
    }
}

/// # Errors
/// The decoded pixels take more than [`MAX_DECODED_BYTES`].
pub(super) fn check_decoded(width: u32, height: u32, bytes: u64) -> Result<(), FrameError> {
    if bytes <= MAX_DECODED_BYTES {
        Ok(())
    } else {
        Err(FrameError::DecodedSize {
            width,
            height,
            megabytes: bytes / 1_000_000,
        })
    }
}
