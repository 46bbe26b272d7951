//! Zstandard, with a limit: a few bytes can claim to be gigabytes.

use std::io::{self, BufReader, Read};

/// Beginning of a compressed file or message.
pub const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What decompresses a stream, in pieces.
///
/// # Errors
/// The library's word.
pub fn decoder<R: Read>(reader: R) -> io::Result<::zstd::Decoder<'static, BufReader<R>>> {
    ::zstd::Decoder::new(reader)
}

/// Decompresses a message.
///
/// # Errors
/// Bytes that are not compressed so, break off, or become longer than `longest`.
pub fn decompress(data: &[u8], longest: u64) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    decoder(data)?.take(longest + 1).read_to_end(&mut whole)?;
    match whole.len() as u64 > longest {
        true => Err(io::Error::other(format!("it is longer than {longest} bytes"))),
        false => Ok(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_too_long_is_refused_before_it_is() {
        let small = ::zstd::encode_all(&[0; 100_000][..], 1).expect("into memory");
        assert!(small.len() < 200);
        assert_eq!(
            decompress(&small, 100_000).map(|whole| whole.len()).ok(),
            Some(100_000)
        );
        let error = decompress(&small, 99_999).expect_err("too long");
        assert!(error.to_string().contains("99999"), "{error}");
        assert!(decompress(&small[..small.len() - 3], 100_000).is_err());
        assert!(decompress(b"nonsense", 100).is_err());
    }
}
