//! Random numbers that are hashes of the seed and of the content of frames. A split therefore does not depend on paths or on the order of
//! files, and a new burst changes the assignment of few frames.

use sha2::{Digest, Sha256};

/// Pseudo-random number that depends only on the seed, `draw`, and the segment and content of a group or scene.
pub(super) fn random_number(seed: u64, draw: u64, segment: u64, content_id: &[u8; 32]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(draw.to_le_bytes());
    hash.update(segment.to_le_bytes());
    hash.update(content_id);
    let hash: [u8; 32] = hash.finalize().into();
    u64::from_le_bytes(std::array::from_fn(|i| hash[i]))
}
