//! The colours of a scene: skin, cloth and walls, chosen at random but never so that the hand melts into its background.

use rand::RngExt;

/// A colour, red, green and blue from 0 to 1 as they are stored (not linear light).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rgb(pub [f32; 3]);

/// What one material needs to look round: its colour in the light and in the shade, and its rim.
#[derive(Clone, Copy)]
pub(super) struct Tones {
    pub light: Rgb,
    pub base: Rgb,
    pub shade: Rgb,
    pub outline: Rgb,
}

/// Human skin from light to dark; a scene takes a mix of two neighbours.
const SKIN: [[f32; 3]; 7] = [
    [1.00, 0.87, 0.77],
    [0.96, 0.77, 0.64],
    [0.89, 0.67, 0.51],
    [0.78, 0.54, 0.37],
    [0.60, 0.38, 0.24],
    [0.43, 0.27, 0.18],
    [0.31, 0.20, 0.15],
];
/// The least distance (see [`Rgb::distance`]) of a background colour from the skin.
const LEAST_CONTRAST: f32 = 0.33;

impl Rgb {
    /// This colour with `part` (0 to 1) of it replaced by `other`.
    pub fn mix(self, other: Rgb, part: f32) -> Rgb {
        Rgb(std::array::from_fn(|i| {
            self.0[i] + (other.0[i] - self.0[i]) * part
        }))
    }

    /// This colour times `gain`.
    pub fn times(self, gain: f32) -> Rgb {
        Rgb(self.0.map(|level| (level * gain).clamp(0.0, 1.0)))
    }

    /// How bright it looks, 0 to 1 (Rec. 601 luma).
    pub fn luma(self) -> f32 {
        let [r, g, b] = self.0;
        0.299 * r + 0.587 * g + 0.114 * b
    }

    /// How different two colours look: luma and chroma together; black and white are 1 apart.
    pub fn distance(self, other: Rgb) -> f32 {
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
    /// A random skin.
    pub fn skin(rng: &mut impl RngExt) -> Tones {
        let place = rng.random_range(0.0..(SKIN.len() - 1) as f32);
        let index = place as usize;
        let pure = Rgb(SKIN[index]).mix(Rgb(SKIN[index + 1]), place.fract());
        let base = Rgb(pure
            .0
            .map(|level| (level * rng.random_range(0.97..1.03)).min(1.0)));
        Tones {
            light: base.mix(Rgb([1.0, 0.95, 0.85]), 0.42),
            base,
            shade: Rgb([base.0[0] * 0.80, base.0[1] * 0.70, base.0[2] * 0.68]),
            outline: Rgb([base.0[0] * 0.42, base.0[1] * 0.29, base.0[2] * 0.27]),
        }
    }

    /// A random cloth that differs from `skin`.
    pub fn cloth(rng: &mut impl RngExt, skin: Rgb) -> Tones {
        let base = apart_from(rng, skin, 0.0..0.8, 0.15..0.95);
        Tones {
            light: base.mix(Rgb([1.0; 3]), 0.30),
            base,
            shade: base.times(0.68),
            outline: base.times(0.38),
        }
    }
}

/// A random wall, furniture or image colour that stands apart from `skin`.
pub(super) fn background(rng: &mut impl RngExt, skin: Rgb) -> Rgb {
    apart_from(rng, skin, 0.0..0.6, 0.12..0.97)
}

fn apart_from(
    rng: &mut impl RngExt,
    skin: Rgb,
    saturation: std::ops::Range<f32>,
    value: std::ops::Range<f32>,
) -> Rgb {
    for _ in 0..24 {
        let [hue, saturation, value] =
            [0.0..1.0, saturation.clone(), value.clone()].map(|range| rng.random_range(range));
        let color = Rgb::from_hsv(hue, saturation, value);
        if color.distance(skin) >= LEAST_CONTRAST {
            return color;
        }
    }
    // A grey at the far end of the brightness scale is always far enough.
    Rgb([if skin.luma() > 0.5 { 0.15 } else { 0.9 }; 3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn backgrounds_stand_apart_from_every_skin() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for _ in 0..500 {
            let skin = Tones::skin(&mut rng).base;
            let wall = background(&mut rng, skin);
            assert!(wall.distance(skin) >= LEAST_CONTRAST, "{wall:?} hides {skin:?}");
        }
    }

    #[test]
    fn hue_zero_is_red() {
        assert_eq!(Rgb::from_hsv(0.0, 1.0, 1.0), Rgb([1.0, 0.0, 0.0]));
    }
}
