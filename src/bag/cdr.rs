//! Reader for CDR, the serialization of ROS 2 messages, limited to the field types of image messages.
//!
//! It neither copies nor allocates, and it checks each length against the remaining data.
//!
//! Sources: OMG DDSI-RTPS 2.5, section 10 (encapsulation), OMG CORBA 3.0, chapter 15 (plain CDR, version 1), and OMG DDS-XTypes 1.3,
//! section 7.4 (version 2, which differs only in fields of 8 bytes, and image messages have none).

use std::borrow::Cow;

use crate::file_kind::FileKind;

/// A read position in a serialized message.
#[derive(Clone, Copy, Debug)]
pub(super) struct CdrReader<'a> {
    /// The message after its encapsulation header.
    data: &'a [u8],
    /// Offset into `data`, which alignment refers to.
    position: usize,
    is_bigendian: bool,
}

/// Why data is not the expected message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CdrError {
    /// The message has no bytes.
    #[error("is empty")]
    Empty,
    /// The encapsulation header announces another representation than plain CDR.
    #[error("is serialized as {0}; supported: plain CDR, version 1 or 2")]
    Representation(&'static str),
    /// The encapsulation header is missing or not valid; begins with these bytes.
    #[error(
        "is not CDR: it begins with {0:02x?}, expected 00 01 00 00 (little-endian) or 00 00 00 00 (big-endian)"
    )]
    Encapsulation(Vec<u8>),
    /// The message is something else.
    #[error("is not CDR, but {0}")]
    Kind(&'static str),
    /// The data is shorter than the message's fields require.
    #[error("ends early: {needed} bytes needed at offset {position}, {available} available")]
    Truncated {
        /// Offset of the field after the encapsulation header.
        position: usize,
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes left.
        available: usize,
    },
}

impl<'a> CdrReader<'a> {
    /// Starts at the first field of a serialized message.
    ///
    /// # Errors
    /// The message is not plain CDR.
    pub(super) fn new(message: &'a [u8]) -> Result<CdrReader<'a>, CdrError> {
        let (id, data) = match message {
            [0, id, _, _, data @ ..] => (*id, data),
            other => return Err(not_cdr(other)),
        };
        let is_bigendian = match id {
            0x00 | 0x06 => true,
            0x01 | 0x07 => false,
            0x02 | 0x03 => return Err(CdrError::Representation("PL_CDR (parameter list)")),
            0x04 => return Err(CdrError::Representation("XML")),
            0x08 | 0x09 => return Err(CdrError::Representation("D_CDR2 (delimited CDR)")),
            0x0a | 0x0b => return Err(CdrError::Representation("PL_CDR2 (parameter list)")),
            _ => return Err(not_cdr(message)),
        };
        Ok(CdrReader {
            data,
            position: 0,
            is_bigendian,
        })
    }

    /// # Errors
    /// The data is truncated.
    pub(super) fn u8(&mut self) -> Result<u8, CdrError> {
        Ok(self.bytes(1)?[0])
    }

    /// # Errors
    /// The data is truncated.
    pub(super) fn u32(&mut self) -> Result<u32, CdrError> {
        self.position = self.position.next_multiple_of(4);
        let bytes = self.bytes(4)?;
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        Ok(if self.is_bigendian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// # Errors
    /// The data is truncated.
    pub(super) fn i32(&mut self) -> Result<i32, CdrError> {
        Ok(self.u32()?.cast_signed())
    }

    /// A string; a terminating 0 that is missing is not needed, as in Fast CDR, and what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// The data is truncated.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, CdrError> {
        let bytes = self.byte_sequence()?;
        Ok(String::from_utf8_lossy(
            bytes.strip_suffix(b"\0").unwrap_or(bytes),
        ))
    }

    /// Reads a `uint8[]`.
    ///
    /// # Errors
    /// The data is truncated.
    pub(super) fn byte_sequence(&mut self) -> Result<&'a [u8], CdrError> {
        let length = self.u32()? as usize;
        self.bytes(length)
    }

    fn bytes(&mut self, needed: usize) -> Result<&'a [u8], CdrError> {
        let rest = self.data.get(self.position..).unwrap_or_default();
        let Some(bytes) = rest.get(..needed) else {
            return Err(CdrError::Truncated {
                position: self.position,
                needed,
                available: rest.len(),
            });
        };
        self.position += needed;
        Ok(bytes)
    }
}

/// The error for a message without a valid encapsulation header.
fn not_cdr(message: &[u8]) -> CdrError {
    match FileKind::of_bytes(message) {
        FileKind::Empty => CdrError::Empty,
        FileKind::Unknown => CdrError::Encapsulation(message.iter().take(4).copied().collect()),
        kind => CdrError::Kind(kind.name()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The fields u8, u32, string and byte sequence, little-endian.
    const LITTLE_ENDIAN: &[u8] = b"\0\x01\0\0\x07\0\0\0\x01\x02\0\0\x03\0\0\0ab\0\0\x02\0\0\0xy";
    /// The same fields, big-endian.
    const BIG_ENDIAN: &[u8] = b"\0\0\0\0\x07\0\0\0\0\0\x02\x01\0\0\0\x03ab\0\0\0\0\0\x02xy";

    #[test]
    fn both_byte_orders_give_the_same_values() {
        for message in [LITTLE_ENDIAN, BIG_ENDIAN] {
            let mut cdr = CdrReader::new(message).expect("plain CDR");
            assert_eq!(cdr.u8(), Ok(7));
            assert_eq!(cdr.u32(), Ok(0x201));
            assert_eq!(cdr.string(), Ok("ab".into()));
            assert_eq!(cdr.byte_sequence(), Ok(&b"xy"[..]));
        }
    }

    #[test]
    fn length_beyond_the_end_is_an_error() {
        let mut cdr = CdrReader::new(b"\0\x01\0\0\xff\xff\xff\xff\0").expect("plain CDR");
        let error = cdr.byte_sequence().expect_err("a length of 4 GB");
        assert_eq!(
            error.to_string(),
            "ends early: 4294967295 bytes needed at offset 4, 1 available"
        );
    }

    #[test]
    fn version_2_is_read_like_version_1() {
        for (id, message) in [(7, LITTLE_ENDIAN), (6, BIG_ENDIAN)] {
            let mut message = message.to_vec();
            // The second option byte counts the padding at the end of the message.
            message[1..4].copy_from_slice(&[id, 0, 2]);
            message.extend_from_slice(&[0, 0]);
            let mut cdr = CdrReader::new(&message).expect("plain CDR");
            assert_eq!((cdr.u8(), cdr.u32()), (Ok(7), Ok(0x201)));
            assert_eq!(cdr.string(), Ok("ab".into()));
            assert_eq!(cdr.byte_sequence(), Ok(&b"xy"[..]));
        }
    }

    #[test]
    fn other_representations_are_rejected_by_name() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "is empty"),
            (b"\0\x01", "begins with [00, 01]"),
            (b"\0\x03\0\0", "as PL_CDR (parameter list)"),
            (b"\0\x08\0\0", "as D_CDR2 (delimited CDR)"),
            (b"\0\x09\0\0", "as D_CDR2 (delimited CDR)"),
            (b"\0\x0b\0\0", "as PL_CDR2 (parameter list)"),
            (b"\0\x0c\0\0", "begins with [00, 0c, 00, 00]"),
            (b"{\"header\": {}}", "is not CDR, but JSON text"),
            (b"\xff\xd8\xff\xe0\0", "is not CDR, but a JPEG image"),
        ];
        for (message, expected) in cases {
            let error = CdrReader::new(message).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn strings_are_read_without_their_terminating_0_and_without_utf8() {
        let cases: [(&[u8], &str); 4] = [
            (b"\0\x01\0\0\0\0\0\0", ""),
            (b"\0\x01\0\0\x01\0\0\0\0", ""),
            (b"\0\x01\0\0\x02\0\0\0ab", "ab"),
            (b"\0\x01\0\0\x03\0\0\0a\xff\0", "a\u{fffd}"),
        ];
        for (message, expected) in cases {
            let mut cdr = CdrReader::new(message).expect("plain CDR");
            assert_eq!(cdr.string(), Ok(expected.into()));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_data_never_panics(message in prop::collection::vec(any::<u8>(), 0..64), byte_order in 0u8..2) {
            let mut message = message;
            if let [first, second, ..] = message.as_mut_slice() {
                (*first, *second) = (0, byte_order);
            }
            if let Ok(mut cdr) = CdrReader::new(&message) {
                while cdr.string().is_ok() && cdr.u8().is_ok() && cdr.byte_sequence().is_ok() {}
                prop_assert!(cdr.position <= message.len() + 4);
            }
        }
    }
}
