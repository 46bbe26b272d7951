//! Changes of brightness, contrast, saturation and hue: torchvision's `ColorJitter` with its factors given.
//!
//! Each is torchvision's function of that name on a float tensor with values in 0..=1. Drawing the factors is left to
//! [`super::ranges`].

use crate::preprocess::INPUT_SIDE_PX;

const PLANE: usize = INPUT_SIDE_PX * INPUT_SIDE_PX;
/// How much red, green and blue count in a grey image: torchvision's `rgb_to_grayscale`.
const GREY: [f32; 3] = [0.2989, 0.587, 0.114];

/// One of the four changes of colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adjustment {
    /// `F.adjust_brightness`: every value times the factor.
    Brightness,
    /// `F.adjust_contrast`: away from the mean of the grey image, or towards it.
    Contrast,
    /// `F.adjust_saturation`: away from the grey image, or towards it.
    Saturation,
    /// `F.adjust_hue`: around the colour circle.
    Hue,
}

/// A change of colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color {
    /// In which order the changes are made: each clamps to 0..=1, so that the order counts.
    pub order: [Adjustment; 4],
    /// 0 gives black, 1 no change.
    pub brightness: f32,
    /// 0 gives one grey, 1 no change.
    pub contrast: f32,
    /// 0 gives a grey image, 1 no change.
    pub saturation: f32,
    /// -0.5 to 0.5 of the colour circle; 0 gives no change.
    pub hue: f32,
}

impl Adjustment {
    /// All four, as torchvision counts them.
    pub const ALL: [Adjustment; 4] = [
        Adjustment::Brightness,
        Adjustment::Contrast,
        Adjustment::Saturation,
        Adjustment::Hue,
    ];
}

impl Color {
    /// No change.
    pub const IDENTITY: Color = Color {
        order: Adjustment::ALL,
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
        hue: 0.0,
    };

    /// Changes an image of three planes in place.
    pub(super) fn adjust(&self, image: &mut [f32]) {
        for adjustment in self.order {
            match adjustment {
                Adjustment::Brightness if self.brightness != 1.0 => blend(image, self.brightness, 0.0),
                Adjustment::Contrast if self.contrast != 1.0 => {
                    let mean = grey_mean(image);
                    blend(image, self.contrast, mean);
                }
                Adjustment::Saturation if self.saturation != 1.0 => saturate(image, self.saturation),
                Adjustment::Hue if self.hue != 0.0 => shift_hue(image, self.hue),
                _ => {}
            }
        }
    }
}

/// Every value away from `other` by the factor.
fn blend(image: &mut [f32], factor: f32, other: f32) {
    let offset = other * (1.0 - factor);
    for value in image {
        *value = (*value * factor + offset).clamp(0.0, 1.0);
    }
}

/// The mean of the grey image, which is the grey of the mean colour.
fn grey_mean(image: &[f32]) -> f32 {
    let planes = image.chunks_exact(PLANE).zip(GREY);
    planes
        .map(|(plane, weight)| weight * (sum(plane) / PLANE as f64) as f32)
        .sum()
}

/// In eight lanes within a row, for the compiler may not reorder a sum of floats by itself, and in double precision over the rows.
fn sum(plane: &[f32]) -> f64 {
    let of_row = |row: &[f32]| {
        let mut lanes = [0.0f32; 8];
        for values in row.chunks_exact(8) {
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += value;
            }
        }
        f64::from(lanes.iter().sum::<f32>())
    };
    plane.chunks_exact(INPUT_SIDE_PX).map(of_row).sum()
}

fn saturate(image: &mut [f32], factor: f32) {
    for_each_pixel(image, |rgb| {
        let grey = rgb[0] * GREY[0] + rgb[1] * GREY[1] + rgb[2] * GREY[2];
        let offset = grey * (1.0 - factor);
        rgb.map(|value| (value * factor + offset).clamp(0.0, 1.0))
    });
}

/// To hue, saturation and value and back, without branches: the six sectors of the colour circle are three ramps, and value
/// and saturation, which stay, are told by the greatest and the least channel.
fn shift_hue(image: &mut [f32], hue: f32) {
    let shift = hue * 6.0;
    for_each_pixel(image, |[red, green, blue]| {
        let greatest = red.max(green).max(blue);
        let least = red.min(green).min(blue);
        let range = greatest - least;
        // A grey has no hue: whatever comes out for it is multiplied by a range of 0.
        let divisor = if range == 0.0 { 1.0 } else { range };
        let (first, difference) = if greatest == red {
            (0.0, green - blue)
        } else if greatest == green {
            (2.0, blue - red)
        } else {
            (4.0, red - green)
        };
        let sector = first + difference / divisor + shift;
        let sector = if sector < 0.0 { sector + 6.0 } else { sector };
        let sector = if sector >= 6.0 { sector - 6.0 } else { sector };
        let channel = |part: f32| least + range * part.clamp(0.0, 1.0);
        [
            channel((sector - 3.0).abs() - 1.0),
            channel(2.0 - (sector - 2.0).abs()),
            channel(2.0 - (sector - 4.0).abs()),
        ]
    });
}

/// Plane beside plane and without an index, so that the compiler makes wide instructions of what is done to one pixel.
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

    /// An image of one colour.
    fn plain(rgb: [f32; 3]) -> Vec<f32> {
        rgb.into_iter().flat_map(|value| [value; PLANE]).collect()
    }

    fn assert_gives(color: Color, rgb: [f32; 3], expected: [f32; 3]) {
        let mut image = plain(rgb);
        color.adjust(&mut image);
        for (found, expected) in image.iter().zip(plain(expected)) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{color:?}: {found} for {expected}"
            );
        }
    }

    #[test]
    fn no_change_changes_nothing() {
        let image: Vec<f32> = (0..3 * PLANE).map(|index| (index % 101) as f32 / 100.0).collect();
        let mut changed = image.clone();
        Color::IDENTITY.adjust(&mut changed);
        assert!(changed == image);
    }

    #[test]
    fn a_third_of_the_colour_circle_turns_red_into_green_and_back() {
        let color = |hue: f32| Color {
            hue,
            ..Color::IDENTITY
        };
        assert_gives(color(1.0 / 3.0), [0.8, 0.2, 0.2], [0.2, 0.8, 0.2]);
        assert_gives(color(-1.0 / 3.0), [0.2, 0.8, 0.2], [0.8, 0.2, 0.2]);
        assert_gives(color(-1.0 / 3.0), [0.8, 0.2, 0.2], [0.2, 0.2, 0.8]);
        assert_gives(color(0.25), [0.4, 0.4, 0.4], [0.4, 0.4, 0.4]);
    }

    #[test]
    fn the_order_counts_where_values_are_cut_off() {
        let color = |order: [Adjustment; 4]| Color {
            order,
            brightness: 1.5,
            contrast: 0.5,
            ..Color::IDENTITY
        };
        let [brightness, contrast, saturation, hue] = Adjustment::ALL;
        let grey = 0.2989 * 0.9;
        assert_gives(
            color([brightness, contrast, saturation, hue]),
            [0.9, 0.0, 0.0],
            [0.5 + 0.5 * 0.2989, 0.5 * 0.2989, 0.5 * 0.2989],
        );
        assert_gives(
            color([contrast, brightness, saturation, hue]),
            [0.9, 0.0, 0.0],
            [1.5 * (0.45 + grey / 2.0), 1.5 * grey / 2.0, 1.5 * grey / 2.0],
        );
    }
}
