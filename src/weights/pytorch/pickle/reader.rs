//! Bytes, taken from the front of a slice. Lengths that the input claims are held against what is there.

use crate::weights::pytorch::Refusal;

/// What is left of the input.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// What has not been taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next bytes.
    ///
    /// # Errors
    /// There are not as many.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Refusal::CutOff)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next bytes as an array.
    ///
    /// # Errors
    /// There are not as many.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Refusal::CutOff)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length of one byte.
    ///
    /// # Errors
    /// The input ends here.
    pub fn length_u8(&mut self) -> Result<usize, Refusal> {
        Ok(usize::from(u8::from_le_bytes(self.array()?)))
    }

    /// A length of four bytes.
    ///
    /// # Errors
    /// The input ends here.
    pub fn length_u32(&mut self) -> Result<usize, Refusal> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| Refusal::CutOff)
    }

    /// A length of eight bytes.
    ///
    /// # Errors
    /// The input ends here, or no input is as long.
    pub fn length_u64(&mut self) -> Result<usize, Refusal> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| Refusal::CutOff)
    }

    /// The bytes behind their length of one byte.
    ///
    /// # Errors
    /// There are not as many.
    pub fn bytes_u8(&mut self) -> Result<&'a [u8], Refusal> {
        let length = self.length_u8()?;
        self.take(length)
    }

    /// The bytes behind their length of four bytes.
    ///
    /// # Errors
    /// There are not as many.
    pub fn bytes_u32(&mut self) -> Result<&'a [u8], Refusal> {
        let length = self.length_u32()?;
        self.take(length)
    }

    /// The bytes behind their length of eight bytes.
    ///
    /// # Errors
    /// There are not as many.
    pub fn bytes_u64(&mut self) -> Result<&'a [u8], Refusal> {
        let length = self.length_u64()?;
        self.take(length)
    }

    /// The text up to the next line feed, which is taken too.
    ///
    /// # Errors
    /// There is none, or the bytes are not text.
    pub fn line(&mut self) -> Result<&'a str, Refusal> {
        let length = self
            .rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(Refusal::CutOff)?;
        let line = &self.take(length + 1)?[..length];
        std::str::from_utf8(line).map_err(|_| Refusal::Pickle("a line is not UTF-8"))
    }
}
