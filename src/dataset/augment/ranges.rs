//! How much of each change is drawn at random: the one place to tune the levels of augmentation.
//!
//! The ranges and the ways of drawing are those of torchvision's transforms. What a drawn change does is left to
//! [`Geometry`] and [`Color`].

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::{Adjustment, Augmentation, Color, Crop, Geometry};
use crate::preprocess::INPUT_SIDE_PX;

/// What the changes of a level are drawn from; each field is a parameter of a torchvision transform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranges {
    /// `ColorJitter(brightness)`: the factor is uniform in `max(0, 1 - brightness)..=1 + brightness`.
    pub brightness: f32,
    /// `ColorJitter(contrast)`: likewise.
    pub contrast: f32,
    /// `ColorJitter(saturation)`: likewise.
    pub saturation: f32,
    /// `ColorJitter(hue)`: the shift is uniform in `-hue..=hue`; 0 to 0.5, in parts of the colour circle.
    pub hue: f32,
    /// `RandomHorizontalFlip(p)`: 0 to 1.
    pub flip_probability: f64,
    /// `RandomAffine(degrees)`: uniform in `-degrees..=degrees`. Large rotations turn a thumb up into a thumb down.
    pub degrees: f32,
    /// `RandomAffine(translate)`: greatest shift either way, across and down, as a part of the image's side.
    pub translate: f32,
    /// `RandomAffine(scale)`: least and greatest, uniform in between.
    pub scale: [f32; 2],
    /// `RandomResizedCrop(scale)`: least and greatest area of the crop as a part of the image's, uniform in between.
    pub crop_scale: [f32; 2],
    /// `RandomResizedCrop(ratio)`: least and greatest width of the crop over its height, log-uniform in between; holds 1.
    pub crop_ratio: [f32; 2],
}

/// The ranges of [`super::Level::Light`]: the colours as in JetBot's notebooks, and a hand anywhere in the image.
pub const LIGHT: Ranges = Ranges {
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

/// The ranges of [`super::Level::Strong`]: other light too, and parts of the image alone.
pub const STRONG: Ranges = Ranges {
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
    /// Draws a change; the same generator state gives the same change.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Augmentation {
        Augmentation {
            geometry: Geometry {
                crop: self.draw_crop(rng),
                is_flipped: rng.random_bool(self.flip_probability),
                degrees: within(rng, self.degrees),
                translate_px: [self.draw_shift_px(rng), self.draw_shift_px(rng)],
                scale: rng.random_range(self.scale[0]..=self.scale[1]),
            },
            color: self.draw_color(rng),
        }
    }

    /// `RandomResizedCrop.get_params` of a square image.
    fn draw_crop(&self, rng: &mut impl Rng) -> Crop {
        const TRIES: usize = 10;
        let side = INPUT_SIDE_PX as f32;
        let [narrowest, widest] = self.crop_ratio.map(f32::ln);
        for _ in 0..TRIES {
            let area = side * side * rng.random_range(self.crop_scale[0]..=self.crop_scale[1]);
            let ratio = rng.random_range(narrowest..=widest).exp();
            let size_px = [(area * ratio).sqrt(), (area / ratio).sqrt()];
            // As Python's `round` has it.
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
        // The central crop of a square image, where the ratio may be 1.
        Crop::WHOLE
    }

    /// In whole pixels, as `RandomAffine` draws it.
    fn draw_shift_px(&self, rng: &mut impl Rng) -> f32 {
        within(rng, self.translate * INPUT_SIDE_PX as f32).round_ties_even()
    }

    /// `ColorJitter.get_params`.
    fn draw_color(&self, rng: &mut impl Rng) -> Color {
        let mut order = Adjustment::ALL;
        order.shuffle(rng);
        let mut factor = |range: f32| rng.random_range((1.0 - range).max(0.0)..=1.0 + range);
        Color {
            order,
            brightness: factor(self.brightness),
            contrast: factor(self.contrast),
            saturation: factor(self.saturation),
            hue: within(rng, self.hue),
        }
    }
}

fn within(rng: &mut impl Rng, limit: f32) -> f32 {
    rng.random_range(-limit..=limit)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn no_level_turns_an_image_so_far_that_up_becomes_down() {
        for ranges in [LIGHT, STRONG] {
            assert!((0.0..=15.0).contains(&ranges.degrees));
            assert!(ranges.scale[0] > 0.0, "a negative scale turns upside down");
        }
    }

    #[test]
    fn a_crop_lies_within_the_image() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..1000 {
            let crop = STRONG.draw_crop(&mut rng);
            assert!(crop.left_px + crop.width_px <= INPUT_SIDE_PX);
            assert!(crop.top_px + crop.height_px <= INPUT_SIDE_PX);
        }
    }

    #[test]
    fn where_no_crop_fits_the_image_stays_whole() {
        let never_fits = Ranges {
            crop_scale: [1.0, 1.0],
            crop_ratio: [2.0, 2.0],
            ..STRONG
        };
        let crop = never_fits.draw_crop(&mut ChaCha8Rng::seed_from_u64(5));
        assert_eq!(crop, Crop::WHOLE);
    }

    #[test]
    fn about_half_of_the_images_are_flipped() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let flipped = (0..1000).filter(|_| STRONG.draw(&mut rng).geometry.is_flipped);
        assert!((450..550).contains(&flipped.count()));
    }

    #[test]
    fn the_adjustments_come_in_every_order() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let orders: std::collections::HashSet<_> =
            (0..1000).map(|_| LIGHT.draw_color(&mut rng).order).collect();
        assert_eq!(orders.len(), 24);
    }
}
