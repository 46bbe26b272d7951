//! The EXIF data of PNG and WebP, whose decoders return it only in part or trust its length.

use image::metadata::Orientation;

const SIGNATURE_BYTES_OF_PNG: usize = 8;
const CHECKSUM_BYTES: usize = 4;
const HEADER_BYTES_OF_WEBP: usize = 12;

/// The orientation in EXIF data; `None` if there is none or the data is invalid.
pub(super) fn orientation(exif: &[u8]) -> Option<Orientation> {
    // The prefix belongs to JPEG, but some programs write it into other files.
    Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
}

/// The content of the eXIf chunk, which may follow the pixels.
pub(super) fn of_png(png: &[u8]) -> Option<&[u8]> {
    let mut chunks = png.get(SIGNATURE_BYTES_OF_PNG..)?;
    loop {
        let (length, rest) = chunks.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        let (content, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        if name == b"eXIf" {
            return Some(content);
        }
        chunks = rest.get(CHECKSUM_BYTES..)?;
    }
}

/// The content of the EXIF chunk.
pub(super) fn of_webp(webp: &[u8]) -> Option<&[u8]> {
    let mut chunks = webp.get(HEADER_BYTES_OF_WEBP..)?;
    loop {
        let (name, rest) = chunks.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (content, rest) = rest.split_at_checked(length)?;
        if name == b"EXIF" {
            return Some(content);
        }
        // A byte follows content of an odd length.
        chunks = rest.get(length % 2..)?;
    }
}
