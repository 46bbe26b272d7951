//! Zstandard decompression with a size limit, against decompression bombs.

use std::io::{self, BufReader, Read};

/// The first bytes of compressed data.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A streaming decoder.
///
/// # Errors
/// The decoder could not be created.
pub(super) fn decoder<R: Read>(reader: R) -> io::Result<::zstd::Decoder<'static, BufReader<R>>> {
    ::zstd::Decoder::new(reader)
}

/// Decompresses a message.
///
/// # Errors
/// The data is not valid zstd, is truncated, or decompresses to more than `max_bytes`.
pub(super) fn decompress(data: &[u8], max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut decompressed = Vec::new();
    decoder(data)?
        .take(max_bytes + 1)
        .read_to_end(&mut decompressed)?;
    if decompressed.len() as u64 > max_bytes {
        return Err(io::Error::other(format!(
            "longer than the limit of {max_bytes} bytes"
        )));
    }
    Ok(decompressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_above_the_size_limit_is_rejected() {
        let small = ::zstd::encode_all(&[0; 100_000][..], 1).expect("compression in memory");
        assert!(small.len() < 200);
        assert_eq!(
            decompress(&small, 100_000).map(|bytes| bytes.len()).ok(),
            Some(100_000)
        );
        let error = decompress(&small, 99_999).expect_err("above the limit");
        assert!(error.to_string().contains("99999"), "{error}");
        assert!(decompress(&small[..small.len() - 3], 100_000).is_err());
        assert!(decompress(b"nonsense", 100).is_err());
    }
}
