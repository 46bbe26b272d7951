//! Random colors for skin, cloth and backgrounds, with a minimum contrast between the skin and the rest.

use rand::RngExt;

/// An sRGB color, 0 to 1 per channel (not linear light).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rgb(pub(super) [f32; 3]);

/// The colors of a material, for shading that makes it look round.
#[derive(Clone, Copy)]
pub(super) struct Tones {
    pub(super) light: Rgb,
    pub(super) base: Rgb,
    pub(super) shade: Rgb,
    pub(super) outline: Rgb,
}

/// Skin tones from light to dark; a scene uses a mix of two adjacent ones.
const SKIN: [[f32; 3]; 7] = [
    [1.00, 0.87, 0.77],
    [0.96, 0.77, 0.64],
    [0.89, 0.67, 0.51],
    [0.78, 0.54, 0.37],
    [0.60, 0.38, 0.24],
    [0.43, 0.27, 0.18],
    [0.31, 0.20, 0.15],
];
/// Minimum [`Rgb::distance`] of a background color from the skin.
const MIN_CONTRAST: f32 = 0.33;

impl Rgb {
    /// Interpolates to `other` by `share`, 0 to 1.
    pub(super) fn mix(self, other: Rgb, share: f32) -> Rgb {
        Rgb(std::array::from_fn(|i| {
            self.0[i] + (other.0[i] - self.0[i]) * share
        }))
    }

    /// Multiplies each channel and clamps it to 0 to 1.
    pub(super) fn times(self, gain: f32) -> Rgb {
        Rgb(self.0.map(|level| (level * gain).clamp(0.0, 1.0)))
    }

    /// Rec. 601 luma, 0 to 1.
    fn luma(self) -> f32 {
        let [r, g, b] = self.0;
        0.299 * r + 0.587 * g + 0.114 * b
    }

    /// The perceived difference from luma and chroma; 1 between black and white.
    fn distance(self, other: Rgb) -> f32 {
        let chroma = |c: Rgb| (c.0[2] - c.luma(), c.0[0] - c.luma());
        let ((blue, red), (other_blue, other_red)) = (chroma(self), chroma(other));
        let luma = self.luma() - other.luma();
        (luma * luma + 0.5 * (blue - other_blue).powi(2) + 0.5 * (red - other_red).powi(2)).sqrt()
    }

    fn from_hsv(hue_turns: f32, saturation: f32, value: f32) -> Rgb {
        let channel = |offset: f32| {
            let k = (offset + hue_turns * 6.0) % 6.0;
            value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0)
        };
        Rgb([channel(5.0), channel(3.0), channel(1.0)])
    }
}

impl Tones {
    pub(super) fn skin(rng: &mut impl RngExt) -> Tones {
        let position = rng.random_range(0.0..(SKIN.len() - 1) as f32);
        let index = position as usize;
        let mixed = Rgb(SKIN[index]).mix(Rgb(SKIN[index + 1]), position.fract());
        let base = Rgb(mixed
            .0
            .map(|level| (level * rng.random_range(0.97..1.03)).min(1.0)));
        Tones {
            light: base.mix(Rgb([1.0, 0.95, 0.85]), 0.42),
            base,
            shade: Rgb([base.0[0] * 0.80, base.0[1] * 0.70, base.0[2] * 0.68]),
            outline: Rgb([base.0[0] * 0.42, base.0[1] * 0.29, base.0[2] * 0.27]),
        }
    }

    /// A random cloth that contrasts with `skin`.
    pub(super) fn cloth(rng: &mut impl RngExt, skin: Rgb) -> Tones {
        let base = contrasting_color(rng, skin, 0.0..0.8, 0.15..0.95);
        Tones {
            light: base.mix(Rgb([1.0; 3]), 0.30),
            base,
            shade: base.times(0.68),
            outline: base.times(0.38),
        }
    }
}

/// A random color for walls, furniture and wall pictures that contrasts with `skin`.
pub(super) fn background(rng: &mut impl RngExt, skin: Rgb) -> Rgb {
    contrasting_color(rng, skin, 0.0..0.6, 0.12..0.97)
}

fn contrasting_color(
    rng: &mut impl RngExt,
    skin: Rgb,
    saturation: std::ops::Range<f32>,
    value: std::ops::Range<f32>,
) -> Rgb {
    for _ in 0..24 {
        let [hue, saturation, value] =
            [0.0..1.0, saturation.clone(), value.clone()].map(|range| rng.random_range(range));
        let color = Rgb::from_hsv(hue, saturation, value);
        if color.distance(skin) >= MIN_CONTRAST {
            return color;
        }
    }
    // A gray at the opposite end of the brightness range always has enough contrast.
    Rgb([if skin.luma() > 0.5 { 0.15 } else { 0.9 }; 3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn backgrounds_contrast_with_each_skin() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..500 {
            let skin = Tones::skin(&mut rng).base;
            let wall = background(&mut rng, skin);
            assert!(
                wall.distance(skin) >= MIN_CONTRAST,
                "{wall:?} is too close to {skin:?}"
            );
        }
    }

    #[test]
    fn hue_zero_is_red() {
        assert_eq!(Rgb::from_hsv(0.0, 1.0, 1.0), Rgb([1.0, 0.0, 0.0]));
    }
}
