//! Noise for images that repeat, as a sensor adds it: a live camera never delivers the same pixels twice.

use image::RgbImage;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One pixel of this many is changed, at least [`MIN_PIXELS`].
const PIXELS_PER_CHANGE: u32 = 256;
const MIN_PIXELS: u32 = 64;
/// The bits of a channel that change. The lowest alone would often be lost in a JPEG.
const BITS: u8 = 0b111;

/// Remembers the last image.
pub(crate) struct SensorNoise {
    rng: ChaCha8Rng,
    last: Option<RgbImage>,
}

impl SensorNoise {
    pub(crate) fn new(seed: u64) -> SensorNoise {
        SensorNoise {
            rng: ChaCha8Rng::seed_from_u64(seed),
            last: None,
        }
    }

    /// The image, with noise if it is the same as the last one.
    pub(crate) fn apply(&mut self, image: RgbImage) -> RgbImage {
        if self.last.as_ref() != Some(&image) {
            self.last = Some(image.clone());
            return image;
        }
        let (mut noisy, (width, height)) = (image.clone(), image.dimensions());
        for _ in 0..(width * height / PIXELS_PER_CHANGE).max(MIN_PIXELS) {
            let (x, y) = (self.rng.random_range(0..width), self.rng.random_range(0..height));
            let bits = self.rng.random::<[u8; 3]>();
            let pixel = &mut noisy.get_pixel_mut(x, y).0;
            pixel
                .iter_mut()
                .zip(bits)
                .for_each(|(channel, bits)| *channel ^= bits & BITS);
        }
        noisy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repetitions_get_noise_and_each_its_own() {
        let [gray, white] = [128, 255].map(|level| RgbImage::from_pixel(64, 48, image::Rgb([level; 3])));
        let mut noise = SensorNoise::new(1);
        assert_eq!(noise.apply(gray.clone()), gray);
        let repetitions = [0, 1].map(|_| noise.apply(gray.clone()));
        assert_ne!(repetitions[0], gray);
        assert_ne!(repetitions[0], repetitions[1]);
        assert_eq!(noise.apply(white.clone()), white);
        assert_eq!(noise.apply(gray.clone()), gray);
    }
}
