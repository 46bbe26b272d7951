//! The segments of a JPEG (ITU-T T.81, annex B): whether it is whole, its EXIF data, and a form of it that the decoder accepts.

use std::ops::Range;

use super::FrameError;

/// The byte that begins a marker.
const PREFIX: u8 = 0xFF;
const SOF2: u8 = 0xC2;
const DHT: u8 = 0xC4;
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
/// Length of `Exif`, a NUL and a padding byte.
const EXIF_PREFIX_BYTES: usize = 6;

/// A whole JPEG: everything up to its end marker is there.
pub(super) struct Jpeg<'a> {
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
    /// The data ends, or another image begins, before the end marker; or the end marker precedes the first scan.
    pub(super) fn parse(data: &'a [u8]) -> Result<Jpeg<'a>, FrameError> {
        Jpeg::find(data).ok_or(FrameError::Truncated)
    }

    fn find(data: &'a [u8]) -> Option<Jpeg<'a>> {
        let mut reader = Reader { data, position: 0 };
        let mut header = Vec::new();
        loop {
            match reader.header_marker()? {
                // Some cameras repeat the first marker.
                SOI | TEM | RST0..=RST7 => {}
                EOI => return None,
                SOS => break,
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
                SOI => return None,
                EOI => break,
                DHT | SOS..=DRI | APP0..=APP15 | COM => {
                    reader.segment()?;
                }
                // Anything else is damage inside the entropy-coded data.
                _ => {}
            }
        }
        let scans = &data[scans_start..reader.position];
        Some(Jpeg { header, scans })
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

    /// A JPEG with the same pixels, for the decoder.
    ///
    /// It has no metadata, which would make the decoder fail if it is invalid, and names the standard Huffman tables for those that are
    /// missing, as in the frames of most USB cameras. A progressive JPEG has no standard tables.
    pub(super) fn for_decoder(&self) -> Vec<u8> {
        let mut file = Vec::with_capacity(2 * STANDARD_TABLES.len() + self.bytes());
        file.extend([PREFIX, SOI]);
        if self.header.iter().all(|segment| segment.marker != SOF2) {
            file.extend(STANDARD_TABLES);
        }
        for segment in self.header.iter().filter(|segment| !segment.is_metadata()) {
            file.extend([PREFIX, segment.marker]);
            file.extend(segment.content);
        }
        file.extend([PREFIX, SOS]);
        file.extend(self.scans);
        file
    }

    fn bytes(&self) -> usize {
        let header: usize = self.header.iter().map(|segment| 2 + segment.content.len()).sum();
        header + self.scans.len()
    }
}

impl Segment<'_> {
    /// Whether the pixels do not depend on the segment; APP14 names the color space.
    fn is_metadata(&self) -> bool {
        matches!(self.marker, APP0..=APP15 | COM) && self.marker != APP14
    }
}

impl Reader<'_> {
    /// The next marker before the first scan. Other bytes before it are skipped; its prefix may be repeated or followed by zeros.
    fn header_marker(&mut self) -> Option<u8> {
        self.marker(|byte| byte == PREFIX || byte == 0)
    }

    /// The next marker in or after a scan. A zero after the prefix makes it a byte of the entropy-coded data.
    fn scan_marker(&mut self) -> Option<u8> {
        loop {
            match self.marker(|byte| byte == PREFIX)? {
                0 | RST0..=RST7 => {}
                marker => return Some(marker),
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
    fn segment(&mut self) -> Option<Range<usize>> {
        let start = self.position;
        let (length, _) = self.data[start..].split_first_chunk()?;
        // The length includes its own two bytes.
        let end = start + usize::from(u16::from_be_bytes(*length)).max(2);
        self.position = end;
        (end <= self.data.len()).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: &[u8] = b"\xFF\xDA\x00\x03\x01ab\xFF\x00c\xFF\xD0d";
    const END: &[u8] = b"\xFF\xD9";
    const EXIF: &[u8] = b"\xFF\xE1\x00\x0CExif\0\0\xFF\xD8\xFF\xD9";
    const TABLE: &[u8] = b"\xFF\xDB\x00\x03q";

    fn is_whole(parts: &[&[u8]]) -> bool {
        Jpeg::parse(&[&[PREFIX, SOI], &parts.concat()[..]].concat()).is_ok()
    }

    #[test]
    fn end_is_the_end_marker_after_the_last_scan() {
        assert!(is_whole(&[TABLE, SCAN, END]));
        assert!(is_whole(&[EXIF, SCAN, EXIF, SCAN, END, b"\xFF\xDA other bytes"]));
        assert!(
            is_whole(&[b"\xFF\xD8", SCAN, b"\xFF", END]),
            "repeated SOI, fill byte"
        );
        assert!(!is_whole(&[SCAN]));
        assert!(!is_whole(&[EXIF, SCAN]), "the end marker is a thumbnail's");
        assert!(!is_whole(&[SCAN, EXIF]), "the same after a scan");
        assert!(!is_whole(&[TABLE, END]), "no scan");
        assert!(
            !is_whole(&[SCAN, b"\xFF\xD8\xFF\xE0", SCAN, END]),
            "another image begins"
        );
    }

    #[test]
    fn jpeg_truncated_anywhere_is_not_whole() {
        let whole = [TABLE, EXIF, SCAN, TABLE, SCAN, END].concat();
        for length in 0..whole.len() {
            assert!(!is_whole(&[&whole[..length]]), "{length} bytes");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_segments_are_whole_or_not(
            bytes in proptest::collection::vec(proptest::sample::select(&b"\xFF\xFF\xFF\xD8\xD9\xDA\xE1\x00\x02\x05a"[..]), 0..60),
        ) {
            if let Ok(jpeg) = Jpeg::parse(&bytes) {
                proptest::prop_assert!(Jpeg::parse(&jpeg.for_decoder()).is_ok());
            }
        }
    }

    #[test]
    fn decoder_gets_tables_and_scans_without_metadata() {
        let comment = b"\xFF\xFE\x00\x05abc";
        let color_space = b"\xFF\xEE\x00\x04ab";
        let rest = [&b"\xFF\xDB\x00\x03qgarbage"[..], color_space, SCAN, END].concat();
        let jpeg = [b"\xFF\xD8", EXIF, comment, &rest, b"more"].concat();
        let expected = [b"\xFF\xD8", STANDARD_TABLES, TABLE, color_space, SCAN, END].concat();
        assert_eq!(Jpeg::parse(&jpeg).expect("is whole").for_decoder(), expected);
    }

    #[test]
    fn exif_is_that_of_the_first_exif_segment() {
        let other = b"\xFF\xE1\x00\x07http:";
        let second = b"\xFF\xE1\x00\x0AExif\0\0ab";
        let jpeg = [b"\xFF\xD8", &other[..], EXIF, second, SCAN, END].concat();
        let exif = Jpeg::parse(&jpeg).expect("is whole").exif();
        assert_eq!(exif, Some(&b"\xFF\xD8\xFF\xD9"[..]));
        let jpeg = [b"\xFF\xD8\xFF\xE1\x00\x07Exif\0", SCAN, END].concat();
        assert_eq!(Jpeg::parse(&jpeg).expect("is whole").exif(), None);
    }
}
