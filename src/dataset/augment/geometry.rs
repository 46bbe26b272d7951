//! Crop, flip, rotation, translation and scale in one bilinear resampling.
//!
//! Composes torchvision's `F.resized_crop`, `F.horizontal_flip` and `F.affine`, in this order, into one inverse affine map.
//! Pixels outside the image repeat its edge, as with `F.pad(padding_mode="edge")` around `F.affine`, because black corners would be
//! an artifact that a network can learn.

use crate::preprocess::INPUT_SIDE_PX;

/// A rectangle of whole pixels within the 224x224 image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// First row.
    pub top_px: usize,
    /// First column.
    pub left_px: usize,
    /// Number of rows, at least 1.
    pub height_px: usize,
    /// Number of columns, at least 1.
    pub width_px: usize,
}

/// The sampled parameters of the geometric transforms, which are applied in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Region that `F.resized_crop` scales to the full image. Unlike in torchvision, interpolation at its edges and the transforms
    /// after it see the pixels around the crop.
    pub crop: Crop,
    /// Whether `F.horizontal_flip` is applied.
    pub is_flipped: bool,
    /// Rotation about the center of the image, clockwise as in `F.affine`.
    pub degrees: f32,
    /// Translation after the rotation, to the right and down.
    pub translate_px: [f32; 2],
    /// Zoom factor, above 0; more than 1 enlarges.
    pub scale: f32,
}

/// Affine map from output pixels to input coordinates, both measured from the center of the top left pixel:
/// `x = map[0][0] * column + map[0][1] * row + map[0][2]`, and `y` likewise with `map[1]`.
type InverseMap = [[f32; 3]; 2];

/// Source positions of one output row for bilinear interpolation.
struct SourceRow {
    /// For each output column, the top left one of the four input pixels to interpolate, as an index into a plane.
    index: [u32; INPUT_SIDE_PX],
    /// Weight of the right pixels, 0 to 1.
    right: [f32; INPUT_SIDE_PX],
    /// Weight of the bottom pixels, 0 to 1.
    bottom: [f32; INPUT_SIDE_PX],
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
    /// Leaves the image unchanged.
    pub const IDENTITY: Geometry = Geometry {
        crop: Crop::WHOLE,
        is_flipped: false,
        degrees: 0.0,
        translate_px: [0.0, 0.0],
        scale: 1.0,
    };

    /// Writes the transformed image to `output`; both consist of planes of 224x224 pixels.
    pub(super) fn resample(&self, image: &[f32], output: &mut [f32]) {
        if *self == Geometry::IDENTITY {
            output.copy_from_slice(image);
            return;
        }
        const PLANE: usize = INPUT_SIDE_PX * INPUT_SIDE_PX;
        let map = self.inverse_map();
        let mut source = SourceRow::new();
        for row in 0..INPUT_SIDE_PX {
            source.compute(&map, row);
            let planes = image.chunks_exact(PLANE).zip(output.chunks_exact_mut(PLANE));
            for (plane, output) in planes {
                let start = row * INPUT_SIDE_PX;
                source.interpolate(plane, &mut output[start..start + INPUT_SIDE_PX]);
            }
        }
    }

    /// Inverts the transforms from last to first: torchvision's `_get_inverse_affine_matrix` without shear, then flip and crop.
    fn inverse_map(&self) -> InverseMap {
        let center = (INPUT_SIDE_PX as f64 - 1.0) / 2.0;
        let (sin, cos) = f64::from(self.degrees).to_radians().sin_cos();
        let scale = f64::from(self.scale);
        let [shift_x, shift_y] = self.translate_px.map(f64::from);
        let flip = if self.is_flipped { -1.0 } else { 1.0 };
        let crop = self.crop;
        let axis = |start_px: usize, size_px: usize, along_column: f64, along_row: f64| {
            let zoom = size_px as f64 / INPUT_SIDE_PX as f64;
            // The output point at center + translation comes from the center of the crop.
            let target = start_px as f64 + (size_px as f64 - 1.0) / 2.0;
            let (along_column, along_row) = (zoom * along_column, zoom * along_row);
            let offset = target - along_column * (center + shift_x) - along_row * (center + shift_y);
            [along_column as f32, along_row as f32, offset as f32]
        };
        [
            axis(
                crop.left_px,
                crop.width_px,
                flip * cos / scale,
                flip * sin / scale,
            ),
            axis(crop.top_px, crop.height_px, -sin / scale, cos / scale),
        ]
    }
}

impl SourceRow {
    fn new() -> SourceRow {
        SourceRow {
            index: [0; INPUT_SIDE_PX],
            right: [0.0; INPUT_SIDE_PX],
            bottom: [0.0; INPUT_SIDE_PX],
        }
    }

    fn compute(&mut self, map: &InverseMap, row: usize) {
        const LAST: f32 = (INPUT_SIDE_PX - 1) as f32;
        // In the last column and row the weight becomes 1, so that the index of the next pixel always exists.
        const LAST_START: i32 = INPUT_SIDE_PX as i32 - 2;
        let [x, y] = map.map(|axis| (axis[0], axis[1] * row as f32 + axis[2]));
        for column in 0..INPUT_SIDE_PX {
            let source_x = (x.0 * column as f32 + x.1).clamp(0.0, LAST);
            let source_y = (y.0 * column as f32 + y.1).clamp(0.0, LAST);
            let left = (source_x as i32).min(LAST_START);
            let top = (source_y as i32).min(LAST_START);
            self.index[column] = (top * INPUT_SIDE_PX as i32 + left) as u32;
            self.right[column] = source_x - left as f32;
            self.bottom[column] = source_y - top as f32;
        }
    }

    /// Computes an output row of one plane.
    fn interpolate(&self, plane: &[f32], output: &mut [f32]) {
        let positions = self.index.iter().zip(&self.right).zip(&self.bottom);
        for (value, ((&index, &right), &bottom)) in output.iter_mut().zip(positions) {
            let pixels = &plane[index as usize..][..INPUT_SIDE_PX + 2];
            let upper = pixels[0] * (1.0 - right) + pixels[1] * right;
            let lower = pixels[INPUT_SIDE_PX] * (1.0 - right) + pixels[INPUT_SIDE_PX + 1] * right;
            *value = upper * (1.0 - bottom) + lower * bottom;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::INPUT_LEN;

    /// A white square of 10x10 pixels on black, with its top left corner at (x, y).
    fn square_at(x: usize, y: usize) -> Vec<f32> {
        let is_white = |index: usize| {
            let (row, column) = (index / INPUT_SIDE_PX % INPUT_SIDE_PX, index % INPUT_SIDE_PX);
            (y..y + 10).contains(&row) && (x..x + 10).contains(&column)
        };
        (0..INPUT_LEN)
            .map(|index| if is_white(index) { 1.0 } else { 0.0 })
            .collect()
    }

    fn assert_gives(geometry: Geometry, image: &[f32], expected: &[f32]) {
        let mut output = vec![f32::NAN; INPUT_LEN];
        geometry.resample(image, &mut output);
        assert!(output == expected, "{geometry:?} gives another image");
    }

    #[test]
    fn identity_keeps_the_image() {
        assert_gives(Geometry::IDENTITY, &square_at(30, 50), &square_at(30, 50));
    }

    #[test]
    fn flip_swaps_left_and_right() {
        let flipped = Geometry {
            is_flipped: true,
            ..Geometry::IDENTITY
        };
        assert_gives(flipped, &square_at(30, 50), &square_at(INPUT_SIDE_PX - 40, 50));
    }

    #[test]
    fn translation_moves_right_and_down() {
        let shifted = Geometry {
            translate_px: [7.0, 4.0],
            ..Geometry::IDENTITY
        };
        assert_gives(shifted, &square_at(30, 50), &square_at(37, 54));
    }

    #[test]
    fn flip_is_applied_before_translation() {
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
    fn pixels_outside_the_image_repeat_its_edge() {
        let shifted = Geometry {
            translate_px: [60.0, -90.0],
            ..Geometry::IDENTITY
        };
        let white = vec![1.0; INPUT_LEN];
        assert_gives(shifted, &white, &white);
    }
}
