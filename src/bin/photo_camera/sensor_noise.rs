//! Noise for images, as a sensor adds it: a live camera never delivers the same pixels twice.

use image::RgbImage;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One pixel of this many is changed, at least [`MIN_PIXELS`].
const PIXELS_PER_CHANGE: u32 = 256;
const MIN_PIXELS: u32 = 64;
/// The bits of a channel that change. The lowest alone would often be lost in a JPEG.
const BITS: u8 = 0b111;

/// Adds noise to images.
pub(crate) struct SensorNoise {
    rng: ChaCha8Rng,
}

impl SensorNoise {
    pub(crate) fn new(seed: u64) -> SensorNoise {
        SensorNoise {
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Adds other noise each time.
    pub(crate) fn apply(&mut self, image: &mut RgbImage) {
        let (width, height) = image.dimensions();
        for _ in 0..(width * height / PIXELS_PER_CHANGE).max(MIN_PIXELS) {
            let (x, y) = (self.rng.random_range(0..width), self.rng.random_range(0..height));
            let bits = self.rng.random::<[u8; 3]>();
            let pixel = &mut image.get_pixel_mut(x, y).0;
            pixel
                .iter_mut()
                .zip(bits)
                .for_each(|(channel, bits)| *channel ^= bits & BITS);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::DynamicImage;
    use thumb_gesture::frame::{Frame, RecentFrames};

    use super::*;

    #[test]
    fn image_that_is_published_again_and_again_looks_live() {
        for (width, height) in [(16, 16), (64, 48), (4096, 16), (640, 480)] {
            let mut noise = SensorNoise::new(1);
            let mut recent = RecentFrames::default();
            for _ in 0..40 {
                let mut image = RgbImage::from_pixel(width, height, image::Rgb([128; 3]));
                noise.apply(&mut image);
                let frame = Frame::from_image(DynamicImage::from(image)).expect("a valid frame");
                assert!(!recent.repeats(&frame), "{width}x{height}");
            }
        }
    }
}
