//! Fingerprint of a frame: a hash of its file, and a thumbnail that finds near-duplicates.
//!
//! [`super::bursts`] groups frames by it.

/// Side of the image that a thumbnail is computed from: the network's input before normalization.
const SQUARE_SIDE_PX: usize = 224;
/// Side of a thumbnail.
const SIDE_PX: usize = 16;
/// Side of the block of input pixels that becomes one pixel of the thumbnail.
const BLOCK_PX: usize = SQUARE_SIDE_PX / SIDE_PX;
/// Number of pixels in a thumbnail.
pub(crate) const PIXELS: usize = SIDE_PX * SIDE_PX;

/// Maximum [`Thumbnail::distance`] between near-duplicates, in gray levels.
///
/// Measured on 100 webcam photos of one person in one room with a fixed camera, eight bursts of 5 or 20 frames:
///
/// | distance between | min | 5 % | median | 95 % | max |
/// |---|---|---|---|---|---|
/// | consecutive frames of a burst | 0.16 | 0.20 | 1.1 | 3.3 | 5.3 |
/// | two bursts of one gesture, captured one right after the other | 3.1 | 4.6 | 8.4 | 15.5 | 16.1 |
/// | other bursts with the same label | 3.8 | 4.4 | 8.3 | 12.2 | 14.9 |
/// | bursts with different labels | 4.6 | 6.2 | 10.1 | 14.3 | 17.9 |
///
/// No threshold separates consecutive frames from different bursts without errors. At 2.5, four out of five pairs of consecutive
/// frames are near-duplicates (the others are in fast motion), and no pair of different bursts is, with a margin of nearly a
/// quarter.
///
/// Difference hashes were also measured. The background, which never moves, determines most of their bits. The share of
/// consecutive frames below the minimum distance between bursts is a third for 8x8 bits and 88 % for 16x16 bits, against 91 % for
/// this measure. It is 97 % for 32x32 bits, but those bits are noise where an image is flat. Subtracting the mean brightness lowers
/// the share to 86 %, because the exposure also distinguishes bursts.
pub const MAX_NEAR_DUPLICATE_DISTANCE: f32 = 2.5;

/// Identifies the content of a file and the appearance of its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The image, reduced to compare appearances.
    pub thumbnail: Thumbnail,
}

/// A grayscale image of 16x16 pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// 16 rows of 16 gray levels (ITU-R BT.601 luma), top row first.
    pub levels: [u8; PIXELS],
}

impl Thumbnail {
    /// Computes the thumbnail of an image of 224x224 pixels of RGB, top row first: each pixel is the mean of a 14x14 block.
    ///
    /// # Panics
    /// `square` does not have 224x224x3 bytes.
    pub fn from_square(square: &[u8]) -> Thumbnail {
        const ROW_BYTES: usize = 3 * SQUARE_SIDE_PX;
        const LUMA: [u32; 3] = [299, 587, 114];
        const WEIGHT: u32 = 1000 * (BLOCK_PX * BLOCK_PX) as u32;
        assert_eq!(
            square.len(),
            SQUARE_SIDE_PX * ROW_BYTES,
            "the image must have 224x224x3 bytes"
        );
        let mut sums = [0u32; PIXELS];
        for (row, pixels) in square.chunks_exact(ROW_BYTES).enumerate() {
            let sums = &mut sums[row / BLOCK_PX * SIDE_PX..][..SIDE_PX];
            for (sum, block) in sums.iter_mut().zip(pixels.chunks_exact(3 * BLOCK_PX)) {
                for pixel in block.chunks_exact(3) {
                    *sum += (0..3).map(|i| LUMA[i] * u32::from(pixel[i])).sum::<u32>();
                }
            }
        }
        Thumbnail {
            levels: sums.map(|sum| ((sum + WEIGHT / 2) / WEIGHT) as u8),
        }
    }

    /// Mean absolute difference, 0 to 255 gray levels.
    pub fn distance(&self, other: &Thumbnail) -> f32 {
        let pairs = self.levels.iter().zip(&other.levels);
        let sum: u32 = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        sum as f32 / PIXELS as f32
    }

    /// Whether the distance is at most [`MAX_NEAR_DUPLICATE_DISTANCE`].
    pub fn is_near_duplicate(&self, other: &Thumbnail) -> bool {
        self.distance(other) <= MAX_NEAR_DUPLICATE_DISTANCE
    }

    /// Mean gray level, 0 to 255. The means of two thumbnails differ by at most their [`Thumbnail::distance`].
    pub fn mean(&self) -> f32 {
        self.levels.iter().map(|&level| u32::from(level)).sum::<u32>() as f32 / PIXELS as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform_image(rgb: [u8; 3]) -> Vec<u8> {
        rgb.repeat(SQUARE_SIDE_PX * SQUARE_SIDE_PX)
    }

    #[test]
    fn distance_is_in_gray_levels() {
        let (dark, bright) = (uniform_image([10, 10, 10]), uniform_image([35, 35, 35]));
        let (dark, bright) = (Thumbnail::from_square(&dark), Thumbnail::from_square(&bright));
        assert_eq!(dark.distance(&bright), 25.0);
        assert_eq!(bright.distance(&dark), 25.0);
        assert_eq!(dark.mean(), 10.0);
        assert!(dark.is_near_duplicate(&dark) && !dark.is_near_duplicate(&bright));
    }

    #[test]
    fn pixel_is_the_rounded_mean_of_its_block() {
        let mut square = uniform_image([255, 255, 255]);
        assert_eq!(Thumbnail::from_square(&square).levels, [255; PIXELS]);
        // Blackens the lower half of the block in the second row and third column.
        for row in BLOCK_PX + BLOCK_PX / 2..2 * BLOCK_PX {
            let start = 3 * (row * SQUARE_SIDE_PX + 2 * BLOCK_PX);
            square[start..start + 3 * BLOCK_PX].fill(0);
        }
        let mut expected = [255; PIXELS];
        expected[SIDE_PX + 2] = 128;
        assert_eq!(Thumbnail::from_square(&square).levels, expected);
    }
}
