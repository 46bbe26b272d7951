//! Where the pixels of a changed image come from: crop, flip, rotation, shift and scale in one bilinear sampling.
//!
//! It is torchvision's `F.resized_crop`, `F.horizontal_flip` and `F.affine` one after the other, composed into one inverse
//! affine map. Beyond the image's edge its edge goes on, for black wedges would be something new to learn; that is
//! `F.pad(padding_mode="edge")` around `F.affine`. Colours are left to [`super::color`].

use crate::preprocess::INPUT_SIDE_PX;

/// The part of an image that fills the changed one, in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Rows above it.
    pub top_px: usize,
    /// Columns to its left.
    pub left_px: usize,
    /// Rows.
    pub height_px: usize,
    /// Columns.
    pub width_px: usize,
}

/// A change of place; its parts are applied in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// `F.resized_crop` of this part. Pixels just outside it are seen where later changes, or half a pixel, lead there.
    pub crop: Crop,
    /// `F.horizontal_flip`.
    pub is_flipped: bool,
    /// Rotation about the image's middle, clockwise as in `F.affine`.
    pub degrees: f32,
    /// Shift after the rotation, to the right and down.
    pub translate_px: [f32; 2],
    /// Size after over size before, above 0.
    pub scale: f32,
}

/// An affine map from the pixels of the changed image to points of the image, both counted from the middle of the
/// upper left pixel: `x = map[0][0] * column + map[0][1] * row + map[0][2]`, and `y` by `map[1]`.
type InverseMap = [[f32; 3]; 2];

/// For each pixel of one row: the upper left of the four pixels around the point it comes from, and how far the point is
/// from there to the right and down, 0 to 1.
struct Taps {
    index: [u32; INPUT_SIDE_PX],
    right: [f32; INPUT_SIDE_PX],
    down: [f32; INPUT_SIDE_PX],
}

impl Crop {
    /// The whole image.
    pub const WHOLE: Crop = Crop {
        top_px: 0,
        left_px: 0,
        height_px: INPUT_SIDE_PX,
        width_px: INPUT_SIDE_PX,
    };
}

impl Geometry {
    /// No change.
    pub const IDENTITY: Geometry = Geometry {
        crop: Crop::WHOLE,
        is_flipped: false,
        degrees: 0.0,
        translate_px: [0.0, 0.0],
        scale: 1.0,
    };

    /// Writes every pixel of `changed` from `image`, both planes of 224x224.
    pub(super) fn resample(&self, image: &[f32], changed: &mut [f32]) {
        if *self == Geometry::IDENTITY {
            changed.copy_from_slice(image);
            return;
        }
        const PLANE: usize = INPUT_SIDE_PX * INPUT_SIDE_PX;
        let map = self.inverse_map();
        let mut taps = Taps::new();
        for row in 0..INPUT_SIDE_PX {
            taps.aim(&map, row);
            let planes = image.chunks_exact(PLANE).zip(changed.chunks_exact_mut(PLANE));
            for (plane, changed) in planes {
                let start = row * INPUT_SIDE_PX;
                taps.sample(plane, &mut changed[start..start + INPUT_SIDE_PX]);
            }
        }
    }

    /// The changes undone from last to first: torchvision's `_get_inverse_affine_matrix` without shear, the flip, the crop.
    fn inverse_map(&self) -> InverseMap {
        let middle = (INPUT_SIDE_PX as f64 - 1.0) / 2.0;
        let (sin, cos) = f64::from(self.degrees).to_radians().sin_cos();
        let scale = f64::from(self.scale);
        let [shift_x, shift_y] = self.translate_px.map(f64::from);
        let mirror = if self.is_flipped { -1.0 } else { 1.0 };
        let crop = self.crop;
        let axis = |start_px: usize, size_px: usize, along_column: f64, along_row: f64| {
            let zoom = size_px as f64 / INPUT_SIDE_PX as f64;
            // The middle of the changed image, once shifted back, comes from the middle of the crop.
            let target = start_px as f64 + (size_px as f64 - 1.0) / 2.0;
            let (along_column, along_row) = (zoom * along_column, zoom * along_row);
            let offset = target - along_column * (middle + shift_x) - along_row * (middle + shift_y);
            [along_column as f32, along_row as f32, offset as f32]
        };
        [
            axis(
                crop.left_px,
                crop.width_px,
                mirror * cos / scale,
                mirror * sin / scale,
            ),
            axis(crop.top_px, crop.height_px, -sin / scale, cos / scale),
        ]
    }
}

impl Taps {
    fn new() -> Taps {
        Taps {
            index: [0; INPUT_SIDE_PX],
            right: [0.0; INPUT_SIDE_PX],
            down: [0.0; INPUT_SIDE_PX],
        }
    }

    /// Finds where a row comes from.
    fn aim(&mut self, map: &InverseMap, row: usize) {
        const LAST: f32 = (INPUT_SIDE_PX - 1) as f32;
        // On the last column and row the point lies a whole pixel from the tap, so that there always is a next pixel.
        const LAST_TAP: i32 = INPUT_SIDE_PX as i32 - 2;
        let [x, y] = map.map(|axis| (axis[0], axis[1] * row as f32 + axis[2]));
        for column in 0..INPUT_SIDE_PX {
            let from_x = (x.0 * column as f32 + x.1).clamp(0.0, LAST);
            let from_y = (y.0 * column as f32 + y.1).clamp(0.0, LAST);
            let left = (from_x as i32).min(LAST_TAP);
            let top = (from_y as i32).min(LAST_TAP);
            self.index[column] = (top * INPUT_SIDE_PX as i32 + left) as u32;
            self.right[column] = from_x - left as f32;
            self.down[column] = from_y - top as f32;
        }
    }

    /// Samples a row from a plane.
    fn sample(&self, plane: &[f32], changed: &mut [f32]) {
        let taps = self.index.iter().zip(&self.right).zip(&self.down);
        for (value, ((&index, &right), &down)) in changed.iter_mut().zip(taps) {
            let near = &plane[index as usize..][..INPUT_SIDE_PX + 2];
            let upper = near[0] * (1.0 - right) + near[1] * right;
            let lower = near[INPUT_SIDE_PX] * (1.0 - right) + near[INPUT_SIDE_PX + 1] * right;
            *value = upper * (1.0 - down) + lower * down;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::INPUT_LEN;

    /// A bright square of 10x10 pixels with its upper left corner at (x, y), in every channel.
    fn square_at(x: usize, y: usize) -> Vec<f32> {
        let is_bright = |index: usize| {
            let (row, column) = (index / INPUT_SIDE_PX % INPUT_SIDE_PX, index % INPUT_SIDE_PX);
            (y..y + 10).contains(&row) && (x..x + 10).contains(&column)
        };
        (0..INPUT_LEN)
            .map(|index| if is_bright(index) { 1.0 } else { 0.0 })
            .collect()
    }

    fn assert_gives(geometry: Geometry, image: &[f32], expected: &[f32]) {
        let mut changed = vec![f32::NAN; INPUT_LEN];
        geometry.resample(image, &mut changed);
        assert!(changed == expected, "{geometry:?} gives something else");
    }

    #[test]
    fn no_change_changes_nothing() {
        assert_gives(Geometry::IDENTITY, &square_at(30, 50), &square_at(30, 50));
    }

    #[test]
    fn a_flip_swaps_left_and_right() {
        let flipped = Geometry {
            is_flipped: true,
            ..Geometry::IDENTITY
        };
        assert_gives(flipped, &square_at(30, 50), &square_at(INPUT_SIDE_PX - 40, 50));
    }

    #[test]
    fn a_shift_goes_right_and_down() {
        let shifted = Geometry {
            translate_px: [7.0, 4.0],
            ..Geometry::IDENTITY
        };
        assert_gives(shifted, &square_at(30, 50), &square_at(37, 54));
    }

    #[test]
    fn a_flip_comes_before_a_shift() {
        let flipped_and_shifted = Geometry {
            is_flipped: true,
            translate_px: [7.0, 0.0],
            ..Geometry::IDENTITY
        };
        assert_gives(
            flipped_and_shifted,
            &square_at(30, 50),
            &square_at(INPUT_SIDE_PX - 33, 50),
        );
    }

    #[test]
    fn beyond_the_edge_the_edge_goes_on() {
        let shifted = Geometry {
            translate_px: [60.0, -90.0],
            ..Geometry::IDENTITY
        };
        let white = vec![1.0; INPUT_LEN];
        assert_gives(shifted, &white, &white);
    }
}
