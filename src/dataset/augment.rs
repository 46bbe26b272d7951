//! More of a frame: the same hand a little elsewhere, turned, nearer, lit otherwise, in the mirror.
//!
//! A thumb up in the mirror is still a thumb up. Upside down it is not: vertical flips and large turns would swap the labels.

use rand::{Rng, RngExt};

use crate::preprocess::{INPUT_LEN, INPUT_SIDE_PX};

/// Greatest turn either way, degrees.
const TURN_DEGREES: f32 = 10.0;
/// Greatest shift either way, as a part of the picture's side.
const SHIFT: f32 = 0.1;
/// Greatest change of size: this many times larger or smaller.
const ZOOM: f32 = 1.25;
/// Greatest change of contrast: this many times more or less.
const CONTRAST: f32 = 1.25;
/// Greatest change of brightness either way, in normalised units (one is about a quarter of the range from black to white).
const BRIGHTNESS: f32 = 0.4;

/// One random change of a network input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    is_mirrored: bool,
    turn_radians: f32,
    zoom: f32,
    shift_px: [f32; 2],
    contrast: f32,
    brightness: f32,
}

impl Augmentation {
    /// Draws a change; the same generator state gives the same change.
    pub fn random(rng: &mut impl Rng) -> Augmentation {
        let side = INPUT_SIDE_PX as f32;
        let mut within = |limit: f32| rng.random_range(-limit..=limit);
        let turn_radians = within(TURN_DEGREES.to_radians());
        let zoom = within(ZOOM.ln()).exp();
        let shift_px = [within(SHIFT * side), within(SHIFT * side)];
        let contrast = within(CONTRAST.ln()).exp();
        let brightness = within(BRIGHTNESS);
        Augmentation {
            is_mirrored: rng.random_bool(0.5),
            turn_radians,
            zoom,
            shift_px,
            contrast,
            brightness,
        }
    }

    /// The changed input; beyond the picture's edge its edge goes on.
    ///
    /// # Panics
    /// If `input` does not hold [`INPUT_LEN`] values.
    pub fn apply(&self, input: &[f32]) -> Vec<f32> {
        assert_eq!(input.len(), INPUT_LEN, "an input is 3x224x224");
        let side = INPUT_SIDE_PX;
        let mut changed = vec![0.0; INPUT_LEN];
        for row in 0..side {
            for column in 0..side {
                let taps = self.taps(column as f32, row as f32);
                for (plane, out) in input
                    .chunks_exact(side * side)
                    .zip(changed.chunks_exact_mut(side * side))
                {
                    let value: f32 = taps.iter().map(|(index, weight)| plane[*index] * weight).sum();
                    out[row * side + column] = value * self.contrast + self.brightness;
                }
            }
        }
        changed
    }

    /// The four pixels around the point that a pixel of the changed picture comes from, with their bilinear weights.
    fn taps(&self, x: f32, y: f32) -> [(usize, f32); 4] {
        let last = (INPUT_SIDE_PX - 1) as f32;
        let middle = last / 2.0;
        let (sin, cos) = self.turn_radians.sin_cos();
        let (dx, dy) = (
            (x - middle - self.shift_px[0]) / self.zoom,
            (y - middle - self.shift_px[1]) / self.zoom,
        );
        let mirror = if self.is_mirrored { -1.0 } else { 1.0 };
        let from_x = (middle + mirror * (cos * dx + sin * dy)).clamp(0.0, last);
        let from_y = (middle - sin * dx + cos * dy).clamp(0.0, last);
        let (left, top) = (from_x.floor(), from_y.floor());
        let (right_part, lower_part) = (from_x - left, from_y - top);
        let index = |x: f32, y: f32| y.min(last) as usize * INPUT_SIDE_PX + x.min(last) as usize;
        [
            (index(left, top), (1.0 - right_part) * (1.0 - lower_part)),
            (index(left + 1.0, top), right_part * (1.0 - lower_part)),
            (index(left, top + 1.0), (1.0 - right_part) * lower_part),
            (index(left + 1.0, top + 1.0), right_part * lower_part),
        ]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const UNCHANGED: Augmentation = Augmentation {
        is_mirrored: false,
        turn_radians: 0.0,
        zoom: 1.0,
        shift_px: [0.0, 0.0],
        contrast: 1.0,
        brightness: 0.0,
    };

    /// A bright square of 10x10 pixels with its upper left corner at (x, y), in every channel.
    fn square_at(x: usize, y: usize) -> Vec<f32> {
        let bright = |index: usize| {
            let (row, column) = (index / INPUT_SIDE_PX % INPUT_SIDE_PX, index % INPUT_SIDE_PX);
            (y..y + 10).contains(&row) && (x..x + 10).contains(&column)
        };
        (0..INPUT_LEN)
            .map(|index| if bright(index) { 1.0 } else { 0.0 })
            .collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        let greatest = found
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(greatest < 1e-3, "differs by {greatest}");
    }

    #[test]
    fn no_change_changes_nothing() {
        assert_close(&UNCHANGED.apply(&square_at(30, 50)), &square_at(30, 50));
    }

    #[test]
    fn a_mirror_image_has_left_and_right_swapped() {
        let mirrored = Augmentation {
            is_mirrored: true,
            ..UNCHANGED
        };
        assert_close(
            &mirrored.apply(&square_at(30, 50)),
            &square_at(INPUT_SIDE_PX - 40, 50),
        );
    }

    #[test]
    fn a_shift_goes_right_and_down() {
        let shifted = Augmentation {
            shift_px: [7.0, 4.0],
            ..UNCHANGED
        };
        assert_close(&shifted.apply(&square_at(30, 50)), &square_at(37, 54));
    }

    #[test]
    fn what_is_up_stays_up() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let top = square_at(107, 60);
        for _ in 0..100 {
            let changed = Augmentation::random(&mut rng).apply(&top);
            let brightest =
                (0..INPUT_SIDE_PX * INPUT_SIDE_PX).max_by(|a, b| changed[*a].total_cmp(&changed[*b]));
            assert!(brightest.expect("a pixel") / INPUT_SIDE_PX < INPUT_SIDE_PX / 2);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_changes() {
        let changes = || Augmentation::random(&mut ChaCha8Rng::seed_from_u64(9));
        assert_eq!(changes(), changes());
    }
}
