//! What a frame is recognised by: its content, and what it looks like.
//!
//! Which frames then belong together is left to [`super::bursts`].

use sha2::{Digest, Sha256};

/// Pixels across and down of the square that a thumbnail is made from: the network's input, before it is normalised.
const SQUARE_SIDE_PX: usize = 224;
/// Pixels across and down of a thumbnail.
const SIDE_PX: usize = 16;
/// Pixels of the square across and down of one pixel of the thumbnail.
const BLOCK_PX: usize = SQUARE_SIDE_PX / SIDE_PX;
/// Pixels of a thumbnail.
const PIXELS: usize = SIDE_PX * SIDE_PX;

/// The greatest distance of near-duplicates, in grey levels; see [`Thumbnail::distance`].
///
/// Measured on 100 webcam photographs of one person in one room, a fixed camera, eight takes of 5 or 20 frames:
///
/// | pairs of frames | least | 5 % | median | 95 % | greatest |
/// |---|---|---|---|---|---|
/// | neighbours in a take | 0.16 | 0.20 | 1.1 | 3.3 | 5.3 |
/// | two takes of one gesture, one right after the other | 3.1 | 4.6 | 8.4 | 15.5 | 16.1 |
/// | other takes of the same label | 3.8 | 4.4 | 8.3 | 12.2 | 14.9 |
/// | takes of different labels | 4.6 | 6.2 | 10.1 | 14.3 | 17.9 |
///
/// No threshold tells all neighbours from all takes. At 2.5, four in five neighbours are near-duplicates (the rest are in fast
/// motion) and no two frames of different takes are, with nearly a quarter to spare.
///
/// The background, which never moves, sets most bits of a difference hash: of 8x8 bits, a third of the neighbours stays below the least
/// distance between takes, of 16x16 bits 88 %, of this measure 91 %. Of 32x32 bits it is 97 %, but where an image is flat,
/// those bits are noise. Taking out the mean brightness makes it worse (86 %): the exposure too tells takes apart.
pub const NEAR_DUPLICATE: f32 = 2.5;

/// The content and the look of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The look.
    pub thumbnail: Thumbnail,
}

/// A small grey image of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// 16 rows of 16 grey levels (ITU-R BT.601 luma), the top row first.
    pub levels: [u8; PIXELS],
}

impl Fingerprint {
    /// The fingerprint of a file whose image, scaled to 224x224 pixels, is `square`: rows from the top, red, green, blue.
    ///
    /// # Panics
    /// If `square` does not hold 224x224x3 bytes.
    pub fn new(file: &[u8], square: &[u8]) -> Fingerprint {
        Fingerprint {
            sha256: Sha256::digest(file).into(),
            thumbnail: Thumbnail::of_square(square),
        }
    }
}

impl Thumbnail {
    /// The thumbnail of an image of 224x224 pixels: rows from the top, red, green, blue. Each of its pixels is the mean of 14x14.
    ///
    /// # Panics
    /// If `square` does not hold 224x224x3 bytes.
    pub fn of_square(square: &[u8]) -> Thumbnail {
        const ROW_BYTES: usize = 3 * SQUARE_SIDE_PX;
        const LUMA: [u32; 3] = [299, 587, 114];
        const WEIGHT: u32 = 1000 * (BLOCK_PX * BLOCK_PX) as u32;
        assert_eq!(square.len(), SQUARE_SIDE_PX * ROW_BYTES, "a square is 224x224x3");
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

    /// How different two frames look: the mean absolute difference of their thumbnails, 0 to 255 grey levels.
    pub fn distance(&self, other: &Thumbnail) -> f32 {
        self.sum_of_differences(other) as f32 / PIXELS as f32
    }

    /// True up to a distance of [`NEAR_DUPLICATE`].
    pub fn is_near(&self, other: &Thumbnail) -> bool {
        self.distance(other) <= NEAR_DUPLICATE
    }

    /// The mean grey level, 0 to 255. Those of two frames differ by no more than the frames' [`Thumbnail::distance`].
    pub fn mean(&self) -> f32 {
        self.levels.iter().map(|&level| u32::from(level)).sum::<u32>() as f32 / PIXELS as f32
    }

    fn sum_of_differences(&self, other: &Thumbnail) -> u32 {
        let pairs = self.levels.iter().zip(&other.levels);
        pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(rgb: [u8; 3]) -> Vec<u8> {
        rgb.repeat(SQUARE_SIDE_PX * SQUARE_SIDE_PX)
    }

    #[test]
    fn the_distance_is_in_grey_levels() {
        let (dark, bright) = (plain([10, 10, 10]), plain([35, 35, 35]));
        let (dark, bright) = (Thumbnail::of_square(&dark), Thumbnail::of_square(&bright));
        assert_eq!(dark.distance(&bright), 25.0);
        assert_eq!(bright.distance(&dark), 25.0);
        assert_eq!(dark.mean(), 10.0);
        assert!(dark.is_near(&dark) && !dark.is_near(&bright));
    }

    #[test]
    fn a_pixel_is_the_mean_of_its_block_and_white_is_white() {
        let mut square = plain([255, 255, 255]);
        assert_eq!(Thumbnail::of_square(&square).levels, [255; PIXELS]);
        // The lower half of the block in the second row, third column.
        for row in BLOCK_PX + BLOCK_PX / 2..2 * BLOCK_PX {
            let start = 3 * (row * SQUARE_SIDE_PX + 2 * BLOCK_PX);
            square[start..start + 3 * BLOCK_PX].fill(0);
        }
        let mut expected = [255; PIXELS];
        expected[SIDE_PX + 2] = 128;
        assert_eq!(Thumbnail::of_square(&square).levels, expected);
    }

    #[test]
    fn the_content_is_the_file_s_and_the_look_the_image_s() {
        let square = plain([1, 2, 3]);
        let (one, other) = (
            Fingerprint::new(b"one", &square),
            Fingerprint::new(b"other", &square),
        );
        assert_ne!(one.sha256, other.sha256);
        assert_eq!(one.thumbnail, other.thumbnail);
    }
}
