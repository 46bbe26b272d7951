//! Reader for a byte slice. Lengths in the input are checked against the number of remaining bytes.

use crate::weights::pytorch::error::ContentError;

/// The remaining bytes of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// Each method that reads fails if the input is truncated.
impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], ContentError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(ContentError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ContentError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ContentError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Reads a length of one byte.
    pub(crate) fn length_u8(&mut self) -> Result<usize, ContentError> {
        Ok(usize::from(u8::from_le_bytes(self.array()?)))
    }

    /// Reads a length of four bytes.
    pub(crate) fn length_u32(&mut self) -> Result<usize, ContentError> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| ContentError::Truncated)
    }

    /// Reads a length of eight bytes.
    pub(crate) fn length_u64(&mut self) -> Result<usize, ContentError> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| ContentError::Truncated)
    }

    /// Reads a length of one byte, and that many bytes.
    pub(crate) fn bytes_u8(&mut self) -> Result<&'a [u8], ContentError> {
        let length = self.length_u8()?;
        self.take(length)
    }

    /// Reads a length of four bytes, and that many bytes.
    pub(crate) fn bytes_u32(&mut self) -> Result<&'a [u8], ContentError> {
        let length = self.length_u32()?;
        self.take(length)
    }

    /// Reads a length of eight bytes, and that many bytes.
    pub(crate) fn bytes_u64(&mut self) -> Result<&'a [u8], ContentError> {
        let length = self.length_u64()?;
        self.take(length)
    }

    /// Reads a line of UTF-8, without its line feed.
    pub(crate) fn line(&mut self) -> Result<&'a str, ContentError> {
        let length = self
            .rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(ContentError::Truncated)?;
        let line = &self.take(length + 1)?[..length];
        std::str::from_utf8(line).map_err(|_| ContentError::Pickle("a line is not UTF-8"))
    }
}
