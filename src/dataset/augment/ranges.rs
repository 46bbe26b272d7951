//! Samples the parameters of an augmentation; the place to tune the augmentation levels.
//!
//! Parameters and distributions are those of torchvision's transforms.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::{Adjustment, Augmentation, ColorJitter, Crop, Geometry};
use crate::preprocess::INPUT_SIDE_PX;

/// Arguments of torchvision's transforms.
///
/// The `Debug` text is part of the key of cached features: renaming a field invalidates the cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranges {
    /// `ColorJitter(brightness)`: the factor is uniform in `max(0, 1 - brightness)..=1 + brightness`; at least 0.
    pub brightness: f32,
    /// `ColorJitter(contrast)`: as for `brightness`.
    pub contrast: f32,
    /// `ColorJitter(saturation)`: as for `brightness`.
    pub saturation: f32,
    /// `ColorJitter(hue)`: the shift is uniform in `-hue..=hue`, as a fraction of the full circle; 0 to 0.5.
    pub hue: f32,
    /// `RandomHorizontalFlip(p)`: 0 to 1.
    pub flip_probability: f64,
    /// `RandomAffine(degrees)`: uniform in `-degrees..=degrees`; small, because large rotations turn thumbs up into thumbs down.
    pub degrees: f32,
    /// `RandomAffine(translate)`: maximum horizontal and vertical translation in either direction, as a fraction of the image side.
    pub translate: f32,
    /// `RandomAffine(scale)`: minimum and maximum, uniform.
    pub scale: [f32; 2],
    /// `RandomResizedCrop(scale)`: minimum and maximum area of the crop as a fraction of the image area, uniform.
    pub crop_scale: [f32; 2],
    /// `RandomResizedCrop(ratio)`: minimum and maximum of width / height, log-uniform; the range must contain 1.
    pub crop_ratio: [f32; 2],
}

/// The color jitter of JetBot's notebooks, flips, small rotations, translations and zooms, but no crops.
pub(super) const LIGHT: Ranges = Ranges {
    brightness: 0.1,
    contrast: 0.1,
    saturation: 0.1,
    hue: 0.1,
    flip_probability: 0.5,
    degrees: 10.0,
    translate: 0.2,
    scale: [0.8, 1.25],
    crop_scale: [1.0, 1.0],
    crop_ratio: [1.0, 1.0],
};

/// Stronger color jitter and rotations than [`LIGHT`], and crops.
pub(super) const STRONG: Ranges = Ranges {
    brightness: 0.4,
    contrast: 0.4,
    saturation: 0.4,
    hue: 0.1,
    flip_probability: 0.5,
    degrees: 15.0,
    translate: 0.2,
    scale: [0.8, 1.25],
    crop_scale: [0.6, 1.0],
    crop_ratio: [3.0 / 4.0, 4.0 / 3.0],
};

impl Ranges {
    /// Samples in a fixed order: the same generator state gives the same parameters.
    pub(super) fn sample(&self, rng: &mut impl Rng) -> Augmentation {
        Augmentation {
            geometry: Geometry {
                crop: self.sample_crop(rng),
                is_flipped: rng.random_bool(self.flip_probability),
                degrees: symmetric(rng, self.degrees),
                translate_px: [self.sample_translate_px(rng), self.sample_translate_px(rng)],
                scale: rng.random_range(self.scale[0]..=self.scale[1]),
            },
            color: self.sample_color(rng),
        }
    }

    /// `RandomResizedCrop.get_params` for a square image.
    fn sample_crop(&self, rng: &mut impl Rng) -> Crop {
        const MAX_ATTEMPTS: usize = 10;
        let side = INPUT_SIDE_PX as f32;
        let [min_log_ratio, max_log_ratio] = self.crop_ratio.map(f32::ln);
        for _ in 0..MAX_ATTEMPTS {
            let area = side * side * rng.random_range(self.crop_scale[0]..=self.crop_scale[1]);
            let ratio = rng.random_range(min_log_ratio..=max_log_ratio).exp();
            let size_px = [(area * ratio).sqrt(), (area / ratio).sqrt()];
            // Python's `round` also rounds half to even.
            let [width_px, height_px] = size_px.map(|size_px| size_px.round_ties_even() as usize);
            let is_within = |size_px| (1..=INPUT_SIDE_PX).contains(&size_px);
            if is_within(width_px) && is_within(height_px) {
                return Crop {
                    top_px: rng.random_range(0..=INPUT_SIDE_PX - height_px),
                    left_px: rng.random_range(0..=INPUT_SIDE_PX - width_px),
                    height_px,
                    width_px,
                };
            }
        }
        // torchvision's fallback, a central crop, is the whole image here: it is square and `crop_ratio` contains 1.
        Crop::WHOLE
    }

    /// Rounded to whole pixels as by `RandomAffine.get_params`.
    fn sample_translate_px(&self, rng: &mut impl Rng) -> f32 {
        symmetric(rng, self.translate * INPUT_SIDE_PX as f32).round_ties_even()
    }

    /// `ColorJitter.get_params`.
    fn sample_color(&self, rng: &mut impl Rng) -> ColorJitter {
        let mut order = Adjustment::ALL;
        order.shuffle(rng);
        let mut factor = |range: f32| rng.random_range((1.0 - range).max(0.0)..=1.0 + range);
        ColorJitter {
            order,
            brightness: factor(self.brightness),
            contrast: factor(self.contrast),
            saturation: factor(self.saturation),
            hue: symmetric(rng, self.hue),
        }
    }
}

/// Uniform in `-limit..=limit`.
fn symmetric(rng: &mut impl Rng, limit: f32) -> f32 {
    rng.random_range(-limit..=limit)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn no_level_turns_an_image_upside_down() {
        for ranges in [LIGHT, STRONG] {
            assert!((0.0..=15.0).contains(&ranges.degrees));
            assert!(
                ranges.scale[0] > 0.0,
                "a negative scale turns the image upside down"
            );
        }
    }

    #[test]
    fn crop_lies_within_the_image() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..1000 {
            let crop = STRONG.sample_crop(&mut rng);
            assert!(crop.left_px + crop.width_px <= INPUT_SIDE_PX);
            assert!(crop.top_px + crop.height_px <= INPUT_SIDE_PX);
        }
    }

    #[test]
    fn whole_image_is_used_when_no_crop_fits() {
        let never_fits = Ranges {
            crop_scale: [1.0, 1.0],
            crop_ratio: [2.0, 2.0],
            ..STRONG
        };
        let crop = never_fits.sample_crop(&mut ChaCha8Rng::seed_from_u64(5));
        assert_eq!(crop, Crop::WHOLE);
    }

    #[test]
    fn about_half_of_the_samples_are_flipped() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let flipped = (0..1000).filter(|_| STRONG.sample(&mut rng).geometry.is_flipped);
        assert!((450..550).contains(&flipped.count()));
    }

    #[test]
    fn adjustments_occur_in_every_order() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let orders: std::collections::HashSet<_> =
            (0..1000).map(|_| LIGHT.sample_color(&mut rng).order).collect();
        assert_eq!(orders.len(), 24);
    }
}
