//! Random backgrounds (a plain wall, a room, soft shapes or stripes) and camera effects (vignette, tint and grain). The unit is the
//! image's height.

use rand::RngExt;
use tiny_skia::{Path, PathBuilder, Pixmap, Rect};

use super::palette::{self, Rgb};
use super::shapes::Canvas;

/// Fractional bits of light and tint: the product of an 8-bit color, light and tint fits into an i32.
const FIXED_BITS: u32 = 10;

/// Paints a random background over the whole canvas, whose width is `aspect`, in colors that contrast with `skin`.
pub(super) fn paint(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, aspect: f32, skin: Rgb) {
    let wall = palette::background(rng, skin);
    canvas.fill(rectangle(0.0, 0.0, aspect, 1.0), wall, 1.0);
    match rng.random_range(0..8) {
        0 | 1 => {}
        2..=4 => room(canvas, rng, aspect, skin),
        5 | 6 => soft_shapes(canvas, rng, aspect, skin),
        _ => stripes(canvas, rng, aspect, skin),
    }
}

/// Paints a random furnished room over the whole canvas, as [`paint`] does.
pub(super) fn paint_room(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, aspect: f32, skin: Rgb) {
    let wall = palette::background(rng, skin);
    canvas.fill(rectangle(0.0, 0.0, aspect, 1.0), wall, 1.0);
    room(canvas, rng, aspect, skin);
}

fn room(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, aspect: f32, skin: Rgb) {
    floor(canvas, rng, aspect, skin);
    let pieces = rng.random_range(2..=4);
    for piece in 0..pieces {
        let slot = aspect / pieces as f32;
        let x = slot * (piece as f32 + rng.random_range(0.05..0.25));
        let width = slot * rng.random_range(0.50..0.75);
        match rng.random_range(0..4) {
            0 => window(canvas, rng, [x, width], skin),
            1 => door(canvas, rng, [x, width.min(0.45)], skin),
            2 => shelves(canvas, rng, [x, width], skin),
            _ => wall_picture(canvas, rng, [x, width.min(0.4)], skin),
        }
    }
}

fn floor(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, aspect: f32, skin: Rgb) {
    let horizon = rng.random_range(0.70..0.92);
    let color = palette::background(rng, skin);
    let from = ([0.0, horizon], color.times(0.85));
    let floor = rectangle(0.0, horizon, aspect, 1.0 - horizon);
    canvas.fill_gradient(floor, from, ([0.0, 1.0], color.times(1.05)));
    let board = rectangle(0.0, horizon - 0.03, aspect, 0.03);
    canvas.fill(board, palette::background(rng, skin), 1.0);
}

fn window(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, [x, width]: [f32; 2], skin: Rgb) {
    let (y, height) = (rng.random_range(0.06..0.2), rng.random_range(0.3..0.5));
    let frame = palette::background(rng, skin);
    framed(canvas, [x, y, width, height], 0.022, frame);
    let sky = palette::background(rng, skin);
    let from = ([x, y], sky);
    let to = ([x, y + height], sky.mix(Rgb([1.0; 3]), 0.2));
    canvas.fill_gradient(rectangle(x, y, width, height), from, to);
    canvas.fill(rectangle(x + width / 2.0 - 0.008, y, 0.016, height), frame, 1.0);
    canvas.fill(rectangle(x, y + height * 0.45, width, 0.014), frame, 1.0);
}

fn door(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, [x, width]: [f32; 2], skin: Rgb) {
    let y = rng.random_range(0.1..0.25);
    let height = rng.random_range(0.62..0.75);
    let color = palette::background(rng, skin);
    framed(canvas, [x, y, width, height], 0.02, color.times(0.75));
    canvas.fill(rectangle(x, y, width, height), color, 1.0);
    for (top, part) in [(0.06, 0.36), (0.52, 0.40)] {
        let panel = rectangle(x + width * 0.16, y + height * top, width * 0.68, height * part);
        canvas.fill(panel, color.times(0.86), 1.0);
    }
    let knob = [x + width * 0.92, y + height * 0.5];
    canvas.fill(circle(knob, 0.014), color.mix(Rgb([1.0; 3]), 0.6), 1.0);
}

fn shelves(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, [x, width]: [f32; 2], skin: Rgb) {
    let wood = palette::background(rng, skin);
    let books: [Rgb; 4] = std::array::from_fn(|_| palette::background(rng, skin));
    let gap = rng.random_range(0.16..0.24);
    for row in 1..=rng.random_range(2..=4) {
        let y = gap * row as f32;
        let mut at = x + 0.01;
        while at < x + width - 0.05 {
            let thickness = rng.random_range(0.018..0.045);
            let height = gap * rng.random_range(0.45..0.8);
            let color = books[rng.random_range(0..books.len())];
            let shade = rng.random_range(0.8..1.1);
            let book = rectangle(at, y - height, thickness, height);
            canvas.fill(book, color.times(shade), 1.0);
            at += thickness + if rng.random_bool(0.2) { 0.05 } else { 0.003 };
        }
        canvas.fill(rectangle(x, y, width, 0.018), wood, 1.0);
    }
}

fn wall_picture(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, [x, width]: [f32; 2], skin: Rgb) {
    let (y, height) = (rng.random_range(0.1..0.3), width * rng.random_range(0.7..1.2));
    let frame = palette::background(rng, skin).times(0.7);
    framed(canvas, [x, y, width, height], 0.018, frame);
    let [sky, hill]: [Rgb; 2] = std::array::from_fn(|_| palette::background(rng, skin));
    canvas.fill(rectangle(x, y, width, height), sky, 1.0);
    let ground = height * rng.random_range(0.3..0.6);
    canvas.fill(rectangle(x, y + height - ground, width, ground), hill, 1.0);
}

/// Paints a frame around `inside` (x, y, width, height), with a soft shadow.
fn framed(canvas: &mut Canvas<'_>, inside: [f32; 4], thickness: f32, color: Rgb) {
    let [x, y, width, height] = inside;
    let outer = |dx: f32, dy: f32| {
        let (width, height) = (width + 2.0 * thickness, height + 2.0 * thickness);
        rectangle(x - thickness + dx, y - thickness + dy, width, height)
    };
    canvas.fill(outer(0.012, 0.016), Rgb([0.0; 3]), 0.18);
    canvas.fill(outer(0.0, 0.0), color, 1.0);
}

fn soft_shapes(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, aspect: f32, skin: Rgb) {
    for _ in 0..rng.random_range(4..10) {
        let center = [rng.random_range(0.0..aspect), rng.random_range(0.0..1.0)];
        let radius = rng.random_range(0.05..0.28);
        let color = palette::background(rng, skin);
        // Only the rim is transparent: a mix of two colors over the whole circle could look like skin.
        for width in [0.24, 0.18, 0.12, 0.06] {
            canvas.ring(center, radius, width * radius, color, 0.3);
        }
        canvas.fill(circle(center, radius), color, 1.0);
    }
}

fn stripes(canvas: &mut Canvas<'_>, rng: &mut impl RngExt, aspect: f32, skin: Rgb) {
    let colors: [Rgb; 2] = std::array::from_fn(|_| palette::background(rng, skin));
    let width = rng.random_range(0.06..0.18);
    let lean = rng.random_range(-1.0..1.0_f32);
    let is_vertical = rng.random_bool(0.6);
    let reach = aspect.max(1.0) + 1.0;
    for stripe in 0..(2.0 * reach / width) as usize / 2 {
        let start = 2.0 * width * stripe as f32 - 1.0;
        let corners = [
            [start, 0.0],
            [start + width, 0.0],
            [start + width + lean, reach],
            [start + lean, reach],
        ];
        let corners = corners.map(|[x, y]| if is_vertical { [x, y] } else { [y, x] });
        canvas.fill(polygon(&corners), colors[stripe % 2], 1.0);
    }
}

/// The effects of a camera on a drawing: uneven light, vignette, tint and grain.
pub(super) struct CameraEffects {
    tint: [i32; 3],
    vignette: f32,
    /// Strength of the noise.
    grain: i32,
    /// Slopes of the light across and down.
    slopes: [f32; 2],
}

impl CameraEffects {
    pub(super) fn random(rng: &mut impl RngExt) -> CameraEffects {
        let exposure = rng.random_range(0.86..1.10_f32);
        CameraEffects {
            tint: std::array::from_fn(|_| to_fixed(exposure * rng.random_range(0.96..1.04))),
            vignette: rng.random_range(0.0..0.22_f32),
            grain: rng.random_range(1..=7_i32),
            slopes: [rng.random_range(-0.12..0.12), rng.random_range(-0.14..0.06)],
        }
    }

    /// Applies the effects, with grain from `rng`.
    pub(super) fn apply(&self, pixmap: &Pixmap, rng: &mut impl RngExt) -> image::RgbImage {
        let (width, height) = (pixmap.width() as usize, pixmap.height() as usize);
        let [across, down] = self.slopes;
        let columns = light_along(width, 0.5, across, self.vignette);
        let rows = light_along(height, 0.5, down, self.vignette);
        let mut pixels = vec![0_u8; width * height * 3];
        // The random bytes for the grain are replaced by the pixels in place, without a second buffer.
        rng.fill_bytes(&mut pixels);
        let lines = pixels.chunks_exact_mut(width * 3);
        let drawn_lines = pixmap.data().chunks_exact(width * 4);
        for ((line, drawn), row) in lines.zip(drawn_lines).zip(&rows) {
            let image_pixels = line.chunks_exact_mut(3).zip(drawn.chunks_exact(4));
            for ((pixel, drawn), column) in image_pixels.zip(&columns) {
                let light = row + column;
                let common = i32::from(pixel[0]) + i32::from(pixel[1]);
                for channel in 0..3 {
                    // Light and tint have FIXED_BITS each. The noise is centered at 0 and reaches 3 * grain.
                    let level = (i32::from(drawn[channel]) * light * self.tint[channel]) >> (2 * FIXED_BITS);
                    let noise = (self.grain * (common + i32::from(pixel[channel]) - 382)) >> 7;
                    pixel[channel] = (level + noise).clamp(0, 255) as u8;
                }
            }
        }
        image::RgbImage::from_raw(width as u32, height as u32, pixels).unwrap_or_default()
    }
}

/// The light at `count` positions along a side, in fixed point: `middle` plus a slope, with a quadratic falloff toward the ends.
fn light_along(count: usize, middle: f32, slope: f32, falloff: f32) -> Vec<i32> {
    (0..count)
        .map(|index| (index as f32 + 0.5) / count as f32 * 2.0 - 1.0)
        .map(|x| to_fixed(middle + slope * x - 0.5 * falloff * x * x))
        .collect()
}

fn to_fixed(value: f32) -> i32 {
    (value * (1 << FIXED_BITS) as f32) as i32
}

fn rectangle(x: f32, y: f32, width: f32, height: f32) -> Option<Path> {
    Rect::from_xywh(x, y, width, height).map(PathBuilder::from_rect)
}

fn circle([x, y]: [f32; 2], radius: f32) -> Option<Path> {
    PathBuilder::from_circle(x, y, radius)
}

fn polygon(corners: &[[f32; 2]]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, [x, y]) in corners.iter().enumerate() {
        match index {
            0 => builder.move_to(*x, *y),
            _ => builder.line_to(*x, *y),
        }
    }
    builder.close();
    builder.finish()
}
