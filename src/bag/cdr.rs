//! Reader for CDR, the serialization of ROS 2 messages, limited to the field types of image messages.
//!
//! It neither copies nor allocates, and it checks each length against the remaining data.
//!
//! Sources: OMG DDSI-RTPS 2.3, section 10 (encapsulation), and OMG CORBA 3.0, chapter 15 (plain CDR, version 1).

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
    /// The encapsulation header is missing or announces another representation than plain CDR.
    #[error(
        "is not plain CDR: it begins with {0:02x?}, expected 00 01 00 00 (little-endian) or 00 00 00 00 (big-endian)"
    )]
    Encapsulation(Vec<u8>),
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
    /// A string is not UTF-8 or not terminated with 0.
    #[error("has an invalid string at offset {0}: it must be UTF-8 and end with 0")]
    String(usize),
}

impl<'a> CdrReader<'a> {
    /// Starts at the first field of a serialized message.
    ///
    /// # Errors
    /// The message is not plain CDR.
    pub(super) fn new(message: &'a [u8]) -> Result<CdrReader<'a>, CdrError> {
        let is_bigendian = match message {
            [0, 0, _, _, ..] => true,
            [0, 1, _, _, ..] => false,
            other => return Err(CdrError::Encapsulation(other.iter().take(4).copied().collect())),
        };
        Ok(CdrReader {
            data: &message[4..],
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

    /// # Errors
    /// The data is truncated, or the string is not UTF-8 with a terminating 0.
    pub(super) fn string(&mut self) -> Result<&'a str, CdrError> {
        let length = self.u32()? as usize;
        let start = self.position;
        match self.bytes(length)? {
            // Some implementations write the empty string without its 0.
            [] => Ok(""),
            [text @ .., 0] => std::str::from_utf8(text).map_err(|_| CdrError::String(start)),
            _ => Err(CdrError::String(start)),
        }
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
            assert_eq!(cdr.string(), Ok("ab"));
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
    fn other_representations_and_unterminated_strings_are_rejected() {
        assert!(matches!(
            CdrReader::new(b"\0\x03\0\0"),
            Err(CdrError::Encapsulation(_))
        ));
        assert!(matches!(
            CdrReader::new(b"\0\x01"),
            Err(CdrError::Encapsulation(_))
        ));
        let mut cdr = CdrReader::new(b"\0\x01\0\0\x02\0\0\0ab").expect("plain CDR");
        assert_eq!(cdr.string(), Err(CdrError::String(4)));
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
