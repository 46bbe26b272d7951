//! CDR, the form in which ROS 2 writes messages, as far as messages with images need it: nothing is copied, nothing is allocated, and
//! a length that claims more than there is, is an error before it is anything else.
//!
//! After OMG's DDSI-RTPS 2.3, section 10, and plain CDR (version 1) of OMG's CORBA 3.0, chapter 15.

/// Bytes of a message that begin with four which say in which order the others are.
#[derive(Clone, Copy, Debug)]
pub struct Cdr<'a> {
    data: &'a [u8],
    /// How far it was read, from behind the first four bytes, which alignment counts from.
    position: usize,
    is_bigendian: bool,
}

/// Why bytes are not the message that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CdrError {
    /// The first four bytes are none, or say of another form.
    #[error(
        "not plain CDR: it begins with {0:02x?}; ROS 2 writes 00 01 00 00, or 00 00 00 00 for big-endian"
    )]
    Encapsulation(Vec<u8>),
    /// There are fewer bytes than the message says.
    #[error("ends early: {needed} bytes at {position}, and there are {there}")]
    EndsEarly {
        /// Where.
        position: usize,
        /// How many the message says.
        needed: usize,
        /// How many there are.
        there: usize,
    },
    /// A text that is none.
    #[error("a text at {0} is not UTF-8, or does not end with 0")]
    Text(usize),
}

impl<'a> Cdr<'a> {
    /// Begins to read a message.
    ///
    /// # Errors
    /// Another form than plain CDR.
    pub fn new(message: &'a [u8]) -> Result<Cdr<'a>, CdrError> {
        let is_bigendian = match message {
            [0, 0, _, _, ..] => true,
            [0, 1, _, _, ..] => false,
            other => return Err(CdrError::Encapsulation(other.iter().take(4).copied().collect())),
        };
        Ok(Cdr {
            data: &message[4..],
            position: 0,
            is_bigendian,
        })
    }

    /// One byte.
    ///
    /// # Errors
    /// There is none.
    pub fn u8(&mut self) -> Result<u8, CdrError> {
        Ok(self.bytes(1)?[0])
    }

    /// A number of four bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn u32(&mut self) -> Result<u32, CdrError> {
        self.position = self.position.next_multiple_of(4);
        let bytes = self.bytes(4)?;
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        Ok(match self.is_bigendian {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        })
    }

    /// A number of four bytes with a sign.
    ///
    /// # Errors
    /// There are fewer.
    pub fn i32(&mut self) -> Result<i32, CdrError> {
        Ok(self.u32()?.cast_signed())
    }

    /// A text.
    ///
    /// # Errors
    /// There are fewer bytes than its length says, or they are not UTF-8 with a 0 at the end.
    pub fn text(&mut self) -> Result<&'a str, CdrError> {
        let length = self.u32()? as usize;
        let start = self.position;
        match self.bytes(length)? {
            // Some write the empty text without its 0.
            [] => Ok(""),
            [text @ .., 0] => std::str::from_utf8(text).map_err(|_| CdrError::Text(start)),
            _ => Err(CdrError::Text(start)),
        }
    }

    /// A sequence of bytes.
    ///
    /// # Errors
    /// There are fewer than its length says.
    pub fn sequence(&mut self) -> Result<&'a [u8], CdrError> {
        let length = self.u32()? as usize;
        self.bytes(length)
    }

    fn bytes(&mut self, needed: usize) -> Result<&'a [u8], CdrError> {
        let rest = self.data.get(self.position..).unwrap_or_default();
        let Some(bytes) = rest.get(..needed) else {
            return Err(CdrError::EndsEarly {
                position: self.position,
                needed,
                there: rest.len(),
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

    /// A byte, a number, a text, a sequence.
    const LITTLE: &[u8] = b"\0\x01\0\0\x07\0\0\0\x01\x02\0\0\x03\0\0\0ab\0\0\x02\0\0\0xy";
    const BIG: &[u8] = b"\0\0\0\0\x07\0\0\0\0\0\x02\x01\0\0\0\x03ab\0\0\0\0\0\x02xy";

    #[test]
    fn both_orders_of_bytes_say_the_same() {
        for message in [LITTLE, BIG] {
            let mut cdr = Cdr::new(message).expect("plain CDR");
            assert_eq!(cdr.u8(), Ok(7));
            assert_eq!(cdr.u32(), Ok(0x201));
            assert_eq!(cdr.text(), Ok("ab"));
            assert_eq!(cdr.sequence(), Ok(&b"xy"[..]));
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error_that_says_so() {
        let mut cdr = Cdr::new(b"\0\x01\0\0\xff\xff\xff\xff\0").expect("plain CDR");
        let error = cdr.sequence().expect_err("four gigabytes");
        assert_eq!(
            error.to_string(),
            "ends early: 4294967295 bytes at 4, and there are 1"
        );
    }

    #[test]
    fn another_form_is_refused() {
        assert!(matches!(Cdr::new(b"\0\x03\0\0"), Err(CdrError::Encapsulation(_))));
        assert!(matches!(Cdr::new(b"\0\x01"), Err(CdrError::Encapsulation(_))));
        let mut cdr = Cdr::new(b"\0\x01\0\0\x02\0\0\0ab").expect("plain CDR");
        assert_eq!(cdr.text(), Err(CdrError::Text(4)));
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_it_ends_in_good_order(message in prop::collection::vec(any::<u8>(), 0..64), start in 0u8..2) {
            let mut message = message;
            if let [first, second, ..] = message.as_mut_slice() {
                (*first, *second) = (0, start);
            }
            if let Ok(mut cdr) = Cdr::new(&message) {
                while cdr.text().is_ok() && cdr.u8().is_ok() && cdr.sequence().is_ok() {}
                prop_assert!(cdr.position <= message.len() + 4);
            }
        }
    }
}
