//! Square network inputs from rotated parts of a frame.

use super::geometry::Similarity;
use crate::frame::Frame;

/// Distance of the positions of which a value of the input is the mean, in pixels of the frame.
const SPACING_PX: f32 = 3.0;
/// Maximum number of positions along one axis.
const MAX_POSITIONS: f32 = 8.0;

/// Number of values that are computed together, so that the compiler vectorizes the arithmetic.
const LANES: usize = 16;

/// What is outside the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outside {
    Black,
    /// The nearest pixel of the frame.
    Nearest,
}

/// Writes a network input, `input[channel][row][column]`, red first, with values from 0 to 1.
///
/// Interpolates linearly between the four nearest pixels, as MediaPipe does: the networks were trained with it, and find more hands in
/// frames of 640x480 than with antialiasing. In larger frames the noise of single pixels would hide hands: there, a value is the mean of
/// several positions, about [`SPACING_PX`] apart.
///
/// # Panics
/// `input` does not hold three planes of `side` rows and columns.
pub(super) fn sample(frame: &Frame, to_frame: &Similarity, side: usize, outside: Outside, input: &mut [f32]) {
    assert_eq!(input.len(), 3 * side * side);
    let (red, others) = input.split_at_mut(side * side);
    let (green, blue) = others.split_at_mut(side * side);
    let source = Source::new(frame, outside);
    let offsets = offsets(to_frame.scale());
    let planes = red
        .chunks_mut(LANES)
        .zip(green.chunks_mut(LANES))
        .zip(blue.chunks_mut(LANES));
    for (index, ((red, green), blue)) in planes.enumerate() {
        let first = index * LANES;
        let pixels: [[f32; 2]; LANES] = std::array::from_fn(|lane| {
            let pixel = (first + lane) as u32;
            [(pixel % side as u32) as f32, (pixel / side as u32) as f32]
        });
        let mut colors = [[0.0; LANES]; 3];
        for [dx, dy] in &offsets {
            let positions = pixels.map(|[x, y]| to_frame.apply([x + dx, y + dy]));
            let found = source.interpolated(&positions);
            let sums = colors.as_flattened_mut().iter_mut();
            sums.zip(found.as_flattened())
                .for_each(|(sum, value)| *sum += value);
        }
        for (plane, color) in [red, green, blue].into_iter().zip(colors) {
            let color = color.map(|sum| sum / offsets.len() as f32);
            plane.copy_from_slice(&color[..plane.len()]);
        }
    }
}

/// The positions in a pixel of the input that covers `scale` pixels of the frame, relative to its center.
fn offsets(scale: f32) -> Vec<[f32; 2]> {
    let count = (scale / SPACING_PX).round().clamp(1.0, MAX_POSITIONS) as usize;
    let offset = |index: usize| (index as f32 + 0.5) / count as f32 - 0.5;
    let row = |y: usize| (0..count).map(move |x| [offset(x), offset(y)]);
    (0..count).flat_map(row).collect()
}

/// A frame with random access.
struct Source<'a> {
    rows: Vec<&'a [u8]>,
    width: i32,
    pixel_bytes: usize,
    offsets: [usize; 3],
    outside: Outside,
}

impl<'a> Source<'a> {
    fn new(frame: &'a Frame, outside: Outside) -> Source<'a> {
        Source {
            rows: frame.rows().collect(),
            width: frame.width() as i32,
            pixel_bytes: frame.format().bytes_per_pixel(),
            offsets: frame.format().rgb_offsets(),
            outside,
        }
    }

    /// The values at each position, for each channel. The levels of the four nearest pixels are copied first, because only the
    /// arithmetic can be vectorized.
    fn interpolated(&self, positions: &[[f32; 2]; LANES]) -> [[f32; LANES]; 3] {
        let mut levels = [[[0; LANES]; 3]; 4];
        let mut shares = [[0.0; LANES]; 4];
        for (lane, &[x, y]) in positions.iter().enumerate() {
            let [left, top] = [x, y].map(floor);
            // Limited for coordinates beyond the range of i32.
            let [right_share, lower_share] =
                [x - left as f32, y - top as f32].map(|share| share.clamp(0.0, 1.0));
            let (right, bottom) = (left.saturating_add(1), top.saturating_add(1));
            for (corner, (column, row, share)) in [
                (left, top, (1.0 - right_share) * (1.0 - lower_share)),
                (right, top, right_share * (1.0 - lower_share)),
                (left, bottom, (1.0 - right_share) * lower_share),
                (right, bottom, right_share * lower_share),
            ]
            .into_iter()
            .enumerate()
            {
                shares[corner][lane] = share;
                if let Some(pixel) = self.pixel(column, row) {
                    for channel in 0..3 {
                        levels[corner][channel][lane] = pixel[self.offsets[channel]];
                    }
                }
            }
        }
        let mut colors = [[0.0; LANES]; 3];
        for (levels, shares) in levels.iter().zip(&shares) {
            for (color, levels) in colors.iter_mut().zip(levels) {
                for ((value, level), share) in color.iter_mut().zip(levels).zip(shares) {
                    *value += share / 255.0 * f32::from(*level);
                }
            }
        }
        colors
    }

    fn pixel(&self, column: i32, row: i32) -> Option<&[u8]> {
        let (last_column, last_row) = (self.width - 1, self.rows.len() as i32 - 1);
        let (nearest_column, nearest_row) = (column.clamp(0, last_column), row.clamp(0, last_row));
        if self.outside == Outside::Black && (nearest_column, nearest_row) != (column, row) {
            return None;
        }
        let start = nearest_column as usize * self.pixel_bytes;
        Some(&self.rows[nearest_row as usize][start..start + self.pixel_bytes])
    }
}

/// Like [`f32::floor`], which is a function call on processors without SSE 4.1.
fn floor(value: f32) -> i32 {
    let truncated = value as i32;
    truncated.saturating_sub(i32::from(truncated as f32 > value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Similarity = Similarity {
        x_axis: [1.0, 0.0],
        origin: [0.0, 0.0],
    };

    /// Red is the column, green the row, in the encoding `bgr8` with padded rows.
    fn frame() -> Frame {
        let mut data = Vec::new();
        for row in 0..4u8 {
            (0..4u8).for_each(|column| data.extend([77, row, column]));
            data.extend([99; 5]);
        }
        Frame::from_raw("bgr8", 4, 4, 17, data).expect("a valid frame")
    }

    fn sampled(to_frame: Similarity, outside: Outside) -> Vec<f32> {
        let mut input = vec![0.0; 3 * 4 * 4];
        sample(&frame(), &to_frame, 4, outside, &mut input);
        input.iter().map(|value| value * 255.0).collect()
    }

    fn assert_near(found: &[f32], expected: &[f32]) {
        let is_near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
        assert!(
            found.iter().zip(expected).all(is_near),
            "{found:?}, not {expected:?}"
        );
    }

    #[test]
    fn planes_are_red_green_and_blue() {
        let input = sampled(IDENTITY, Outside::Black);
        assert_near(&input[4..8], &[0.0, 1.0, 2.0, 3.0]);
        assert_near(&input[16 + 4..16 + 8], &[1.0; 4]);
        assert_near(&input[32..], &[77.0; 16]);
    }

    #[test]
    fn positions_between_pixels_are_interpolated_and_rotated() {
        // One pixel to the right in the input is half a pixel down in the frame.
        let turned = Similarity {
            x_axis: [0.0, 0.5],
            origin: [3.0, 0.0],
        };
        let input = sampled(turned, Outside::Black);
        assert_near(&input[..4], &[3.0; 4]);
        assert_near(&input[4..8], &[2.5; 4]);
        assert_near(&input[16..20], &[0.0, 0.5, 1.0, 1.5]);
        assert!((turned.scale() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn small_input_of_a_large_frame_is_an_average() {
        assert_eq!(offsets(0.5), [[0.0; 2]]);
        assert_eq!(offsets(3.3), [[0.0; 2]]);
        assert_eq!(
            offsets(6.7),
            [[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]]
        );
        assert_eq!(offsets(f32::INFINITY).len(), 64);
    }

    #[test]
    fn outside_of_the_frame_is_black_or_the_nearest_pixel() {
        let moved = Similarity {
            origin: [2.5, 0.0],
            ..IDENTITY
        };
        assert_near(&sampled(moved, Outside::Black)[32..36], &[77.0, 38.5, 0.0, 0.0]);
        assert_near(&sampled(moved, Outside::Nearest)[..4], &[2.5, 3.0, 3.0, 3.0]);
        // Coordinates beyond the range of i32 are outside as well.
        let far = Similarity {
            origin: [-1e30, 1e30],
            ..IDENTITY
        };
        assert_near(&sampled(far, Outside::Black), &[0.0; 48]);
        assert_near(&sampled(far, Outside::Nearest)[..16], &[0.0; 16]);
        assert_near(&sampled(far, Outside::Nearest)[16..32], &[3.0; 16]);
    }
}
