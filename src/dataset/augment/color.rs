//! torchvision's `ColorJitter` with given factors, on float images with values in 0..=1.
//!
//! [`super::ranges`] samples the factors.

use crate::preprocess::INPUT_SIDE_PX;

const PLANE: usize = INPUT_SIDE_PX * INPUT_SIDE_PX;
/// Weights of red, green and blue in a grayscale image, from torchvision's `rgb_to_grayscale`.
const GRAY: [f32; 3] = [0.2989, 0.587, 0.114];

/// One of the four color adjustments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adjustment {
    /// `F.adjust_brightness`: multiplies every value by the factor.
    Brightness,
    /// `F.adjust_contrast`: blends with the mean of the grayscale image.
    Contrast,
    /// `F.adjust_saturation`: blends with the grayscale image.
    Saturation,
    /// `F.adjust_hue`: rotates the hue.
    Hue,
}

/// The sampled parameters of torchvision's `ColorJitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorJitter {
    /// Order of the adjustments. It changes the result, because each adjustment clamps values to 0..=1.
    pub order: [Adjustment; 4],
    /// Factor of at least 0: 0 gives a black image, 1 no change.
    pub brightness: f32,
    /// Factor of at least 0: 0 gives a uniform gray image, 1 no change.
    pub contrast: f32,
    /// Factor of at least 0: 0 gives a grayscale image, 1 no change.
    pub saturation: f32,
    /// Shift of the hue as a fraction of the full circle, -0.5 to 0.5.
    pub hue: f32,
}

impl Adjustment {
    /// In the order of torchvision's indices.
    pub const ALL: [Adjustment; 4] = [
        Adjustment::Brightness,
        Adjustment::Contrast,
        Adjustment::Saturation,
        Adjustment::Hue,
    ];
}

impl ColorJitter {
    /// Leaves the image unchanged.
    pub const IDENTITY: ColorJitter = ColorJitter {
        order: Adjustment::ALL,
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
        hue: 0.0,
    };

    /// Changes an image of three planes (red, green, blue) in place.
    pub(super) fn apply(&self, image: &mut [f32]) {
        for adjustment in self.order {
            match adjustment {
                Adjustment::Brightness if self.brightness != 1.0 => blend(image, self.brightness, 0.0),
                Adjustment::Contrast if self.contrast != 1.0 => {
                    let mean = gray_mean(image);
                    blend(image, self.contrast, mean);
                }
                Adjustment::Saturation if self.saturation != 1.0 => saturate(image, self.saturation),
                Adjustment::Hue if self.hue != 0.0 => shift_hue(image, self.hue),
                _ => {}
            }
        }
    }
}

/// Extrapolates (factor > 1) or interpolates (factor < 1) between `other` and each value, and clamps to 0..=1.
fn blend(image: &mut [f32], factor: f32, other: f32) {
    let offset = other * (1.0 - factor);
    for value in image {
        *value = (*value * factor + offset).clamp(0.0, 1.0);
    }
}

/// Mean of the grayscale image, computed as the gray value of the mean color.
fn gray_mean(image: &[f32]) -> f32 {
    let planes = image.chunks_exact(PLANE).zip(GRAY);
    planes
        .map(|(plane, weight)| weight * (sum(plane) / PLANE as f64) as f32)
        .sum()
}

/// Sums each row in eight lanes, because the compiler does not reorder float additions to vectorize them, and adds up the rows in
/// double precision.
fn sum(plane: &[f32]) -> f64 {
    let row_sum = |row: &[f32]| {
        let mut lanes = [0.0f32; 8];
        for values in row.chunks_exact(8) {
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += value;
            }
        }
        f64::from(lanes.iter().sum::<f32>())
    };
    plane.chunks_exact(INPUT_SIDE_PX).map(row_sum).sum()
}

fn saturate(image: &mut [f32], factor: f32) {
    for_each_pixel(image, |rgb| {
        let gray = rgb[0] * GRAY[0] + rgb[1] * GRAY[1] + rgb[2] * GRAY[2];
        let offset = gray * (1.0 - factor);
        rgb.map(|value| (value * factor + offset).clamp(0.0, 1.0))
    });
}

/// Converts to HSV, shifts the hue and converts back, without branches that prevent vectorization.
///
/// Saturation and value do not change, so the largest and the smallest channel keep their values. Each channel is a clamped
/// linear function of the hue, counted in sectors from 0 to 6.
fn shift_hue(image: &mut [f32], hue: f32) {
    let shift = hue * 6.0;
    for_each_pixel(image, |[red, green, blue]| {
        let max = red.max(green).max(blue);
        let min = red.min(green).min(blue);
        let range = max - min;
        // A gray pixel has no hue; the result for it is multiplied by a range of 0.
        let divisor = if range == 0.0 { 1.0 } else { range };
        let (first, difference) = if max == red {
            (0.0, green - blue)
        } else if max == green {
            (2.0, blue - red)
        } else {
            (4.0, red - green)
        };
        let sector = first + difference / divisor + shift;
        let sector = if sector < 0.0 { sector + 6.0 } else { sector };
        let sector = if sector >= 6.0 { sector - 6.0 } else { sector };
        let channel = |part: f32| min + range * part.clamp(0.0, 1.0);
        [
            channel((sector - 3.0).abs() - 1.0),
            channel(2.0 - (sector - 2.0).abs()),
            channel(2.0 - (sector - 4.0).abs()),
        ]
    });
}

/// Iterates over the three planes together without indexing, so that the compiler vectorizes `change`.
fn for_each_pixel(image: &mut [f32], change: impl Fn([f32; 3]) -> [f32; 3]) {
    let (red, others) = image.split_at_mut(PLANE);
    let (green, blue) = others.split_at_mut(PLANE);
    let pixels = red.iter_mut().zip(green).zip(blue);
    for ((red, green), blue) in pixels {
        [*red, *green, *blue] = change([*red, *green, *blue]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform_image(rgb: [f32; 3]) -> Vec<f32> {
        rgb.into_iter().flat_map(|value| [value; PLANE]).collect()
    }

    fn assert_gives(jitter: ColorJitter, rgb: [f32; 3], expected: [f32; 3]) {
        let mut image = uniform_image(rgb);
        jitter.apply(&mut image);
        for (found, expected) in image.iter().zip(uniform_image(expected)) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{jitter:?} gives {found}, expected {expected}"
            );
        }
    }

    #[test]
    fn identity_keeps_the_image() {
        let image: Vec<f32> = (0..3 * PLANE).map(|index| (index % 101) as f32 / 100.0).collect();
        let mut output = image.clone();
        ColorJitter::IDENTITY.apply(&mut output);
        assert!(output == image);
    }

    #[test]
    fn hue_shift_of_a_third_turns_red_into_green_and_back() {
        let jitter = |hue: f32| ColorJitter {
            hue,
            ..ColorJitter::IDENTITY
        };
        assert_gives(jitter(1.0 / 3.0), [0.8, 0.2, 0.2], [0.2, 0.8, 0.2]);
        assert_gives(jitter(-1.0 / 3.0), [0.2, 0.8, 0.2], [0.8, 0.2, 0.2]);
        assert_gives(jitter(-1.0 / 3.0), [0.8, 0.2, 0.2], [0.2, 0.2, 0.8]);
        assert_gives(jitter(0.25), [0.4, 0.4, 0.4], [0.4, 0.4, 0.4]);
    }

    #[test]
    fn order_of_adjustments_matters_when_values_are_clamped() {
        let jitter = |order: [Adjustment; 4]| ColorJitter {
            order,
            brightness: 1.5,
            contrast: 0.5,
            ..ColorJitter::IDENTITY
        };
        let [brightness, contrast, saturation, hue] = Adjustment::ALL;
        let gray = 0.2989 * 0.9;
        assert_gives(
            jitter([brightness, contrast, saturation, hue]),
            [0.9, 0.0, 0.0],
            [0.5 + 0.5 * 0.2989, 0.5 * 0.2989, 0.5 * 0.2989],
        );
        assert_gives(
            jitter([contrast, brightness, saturation, hue]),
            [0.9, 0.0, 0.0],
            [1.5 * (0.45 + gray / 2.0), 1.5 * gray / 2.0, 1.5 * gray / 2.0],
        );
    }
}
