//! The segments of a JPEG (ITU-T T.81, annex B): whether it is whole, its EXIF data, and a form of it that the decoder accepts.

use std::borrow::Cow;
use std::ops::Range;

use super::FrameError;

/// The byte that begins a marker.
const PREFIX: u8 = 0xFF;
const SOF0: u8 = 0xC0;
const SOF2: u8 = 0xC2;
const SOF3: u8 = 0xC3;
const DHT: u8 = 0xC4;
const SOF5: u8 = 0xC5;
const SOF7: u8 = 0xC7;
const SOF9: u8 = 0xC9;
const SOF11: u8 = 0xCB;
const SOF13: u8 = 0xCD;
const SOF15: u8 = 0xCF;
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DRI: u8 = 0xDD;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;
const APP15: u8 = 0xEF;
const COM: u8 = 0xFE;
const TEM: u8 = 0x01;

/// An AVI1 segment with its marker: the decoder then uses the standard Huffman tables (annex K) for those that are missing.
const STANDARD_TABLES: &[u8] = b"\xFF\xE0\x00\x07AVI1\0";
/// The ids of the Huffman tables that a scan may use without defining them: two for DC and two for AC coefficients.
const STANDARD_IDS: [u8; 4] = [0x00, 0x01, 0x10, 0x11];
/// The beginning of a JFIF segment after its marker.
const JFIF: &[u8] = b"\x00\x10JFIF\0";
/// Length of `Exif`, a NUL and a padding byte.
const EXIF_PREFIX_BYTES: usize = 6;
/// Maximum number of segments before the first scan. Each takes several times its shortest length in memory; an image with 512 MiB of
/// metadata has 8192.
const MAX_SEGMENTS: usize = 1 << 14;

/// A whole JPEG: everything up to its end marker is there.
pub(super) struct Jpeg<'a> {
    /// The file up to its end marker.
    whole: &'a [u8],
    /// The segments before the first scan.
    header: Vec<Segment<'a>>,
    /// From the first scan to the end marker, without the marker of the first scan.
    scans: &'a [u8],
}

struct Segment<'a> {
    marker: u8,
    /// The bytes after the marker: the length of the segment, 2 bytes, and its payload.
    content: &'a [u8],
}

/// Finds markers.
struct Reader<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> Jpeg<'a> {
    /// Parses the segments. What follows the end marker is ignored.
    ///
    /// # Errors
    /// The data ends, or another image begins, before the end marker; or the end marker precedes the first scan. There are too many
    /// segments.
    pub(super) fn parse(data: &'a [u8]) -> Result<Jpeg<'a>, FrameError> {
        let mut reader = Reader { data, position: 0 };
        let mut header = Vec::new();
        loop {
            match reader.header_marker()? {
                // Some cameras repeat the first marker.
                SOI | TEM | RST0..=RST7 => {}
                EOI => return Err(FrameError::Truncated),
                SOS => break,
                _ if header.len() == MAX_SEGMENTS => return Err(FrameError::DecoderMemory),
                marker => header.push(Segment {
                    marker,
                    content: &data[reader.segment()?],
                }),
            }
        }
        let scans_start = reader.position;
        reader.segment()?;
        loop {
            match reader.scan_marker()? {
                SOI => return Err(FrameError::Truncated),
                EOI => break,
                DHT | SOS..=DRI | APP0..=APP15 | COM => {
                    reader.segment()?;
                }
                // Anything else is damage inside the entropy-coded data.
                _ => {}
            }
        }
        Ok(Jpeg {
            whole: &data[..reader.position],
            header,
            scans: &data[scans_start..reader.position],
        })
    }

    /// The EXIF data, beginning with the TIFF header.
    pub(super) fn exif(&self) -> Option<&'a [u8]> {
        let mut payloads = self.header.iter().filter(|segment| segment.marker == APP1);
        payloads.find_map(|segment| {
            let payload = segment.content.get(2..)?;
            let (prefix, exif) = payload.split_at_checked(EXIF_PREFIX_BYTES)?;
            prefix.starts_with(b"Exif\0").then_some(exif)
        })
    }

    /// A JPEG with the same pixels, for the decoder; the file itself if possible.
    ///
    /// It has no metadata, which would make the decoder fail if it is invalid, and names the standard Huffman tables for those that are
    /// missing, as in the frames of most USB cameras. A progressive JPEG has no standard tables.
    ///
    /// # Errors
    /// The decoder does not support the coding.
    pub(super) fn for_decoder(&self) -> Result<Cow<'a, [u8]>, FrameError> {
        if let Some(coding) = self.header.iter().find_map(Segment::unsupported_coding) {
            return Err(FrameError::UnsupportedJpeg(coding));
        }
        let needs_tables = !self.is_progressive() && !self.has_all_tables();
        let kept: Vec<&Segment> = self
            .header
            .iter()
            .filter(|segment| segment.is_for_decoder())
            .collect();
        // Both markers have two bytes; more than that is a repeated marker, a fill byte or garbage.
        let segments: usize = kept.iter().map(|segment| 2 + segment.content.len()).sum();
        let length = 4 + segments + self.scans.len();
        if length == self.whole.len() && !needs_tables {
            return Ok(Cow::Borrowed(self.whole));
        }
        let mut file = Vec::with_capacity(length + STANDARD_TABLES.len());
        file.extend([PREFIX, SOI]);
        if needs_tables {
            file.extend(STANDARD_TABLES);
        }
        for segment in kept {
            file.extend([PREFIX, segment.marker]);
            file.extend(segment.content);
        }
        file.extend([PREFIX, SOS]);
        file.extend(self.scans);
        Ok(Cow::Owned(file))
    }

    fn is_progressive(&self) -> bool {
        self.header.iter().any(|segment| segment.marker == SOF2)
    }

    fn has_all_tables(&self) -> bool {
        let ids: Vec<u8> = self.header.iter().flat_map(Segment::huffman_tables).collect();
        STANDARD_IDS.iter().all(|id| ids.contains(id))
    }
}

impl Segment<'_> {
    /// Whether the pixels depend on the segment, APP14 because it names the color space, or it is a valid JFIF segment, which almost
    /// every JPEG has.
    fn is_for_decoder(&self) -> bool {
        match self.marker {
            APP0 => self.content.starts_with(JFIF),
            APP14 => true,
            APP1..=APP15 | COM => false,
            _ => true,
        }
    }

    /// The ids of the Huffman tables that the segment defines.
    fn huffman_tables(&self) -> Vec<u8> {
        let mut ids = Vec::new();
        let mut tables = match self.marker {
            DHT => self.content.get(2..).unwrap_or_default(),
            _ => &[],
        };
        // An id, the number of codes of each length from 1 to 16 bits, and a value for each code.
        while let Some(([id, numbers @ ..], values)) = tables.split_first_chunk::<17>() {
            ids.push(*id);
            let number: usize = numbers.iter().copied().map(usize::from).sum();
            tables = values.get(number..).unwrap_or_default();
        }
        ids
    }

    /// An adjective for a coding that the decoder does not support.
    fn unsupported_coding(&self) -> Option<&'static str> {
        match self.marker {
            SOF9..=SOF11 | SOF13..=SOF15 => Some("arithmetic-coded"),
            SOF3 => Some("lossless"),
            SOF5..=SOF7 => Some("hierarchical"),
            SOF0..=SOF2 if self.content.get(2) == Some(&12) => Some("12-bit"),
            _ => None,
        }
    }
}

impl Reader<'_> {
    /// The next marker before the first scan. Other bytes before it are skipped; its prefix may be repeated or followed by zeros.
    fn header_marker(&mut self) -> Result<u8, FrameError> {
        self.marker(|byte| byte == PREFIX || byte == 0)
            .ok_or(FrameError::Truncated)
    }

    /// The next marker in or after a scan. A zero after the prefix makes it a byte of the entropy-coded data.
    fn scan_marker(&mut self) -> Result<u8, FrameError> {
        loop {
            let marker = self.marker(|byte| byte == PREFIX);
            match marker.ok_or(FrameError::Truncated)? {
                0 | RST0..=RST7 => {}
                marker => return Ok(marker),
            }
        }
    }

    fn marker(&mut self, is_fill: impl Fn(u8) -> bool) -> Option<u8> {
        let rest = &self.data[self.position..];
        let prefix = rest.iter().position(|&byte| byte == PREFIX)?;
        let fill = rest[prefix..].iter().position(|&byte| !is_fill(byte))?;
        self.position += prefix + fill + 1;
        Some(rest[prefix + fill])
    }

    /// Skips the segment of the marker that was found, and returns its range.
    fn segment(&mut self) -> Result<Range<usize>, FrameError> {
        let start = self.position;
        let length = self.data[start..].first_chunk().ok_or(FrameError::Truncated)?;
        // The length includes its own two bytes.
        let end = start + usize::from(u16::from_be_bytes(*length)).max(2);
        self.position = end;
        if end <= self.data.len() {
            Ok(start..end)
        } else {
            Err(FrameError::Truncated)
        }
    }
}

#[cfg(test)]
mod tests;
