//! Drawing primitives on tiny-skia: tapered limbs, smooth outlines, soft light and lines. Coordinates are in a unit space that the canvas
//! transforms to pixels.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LinearGradient, Paint, Path, PathBuilder, Pixmap, Point, Shader,
    SpreadMode, Stroke, Transform,
};

use super::palette::{Rgb, Tones};

/// Curve segments between two joints of a limb; smooth enough for 1920x1080.
const STEPS_PER_JOINT: usize = 6;
/// Curve segments of a limb's rounded end.
const STEPS_PER_CAP: usize = 8;

/// The pixels, with the transform from the unit space and the direction of the light.
pub(super) struct Canvas<'a> {
    pub(super) pixmap: &'a mut Pixmap,
    pub(super) to_pixels: Transform,
    /// Unit vector toward the light, in the unit space.
    pub(super) light: [f32; 2],
}

/// A rounded, tapered, bent stroke: a finger, a thumb, an arm or a sleeve.
#[derive(Clone)]
pub(super) struct Limb {
    /// x, y and radius along the limb, smoothed.
    spine: Vec<[f32; 3]>,
    cut_start: bool,
}

impl Limb {
    /// A limb through `joints` (x, y, radius), with round ends.
    pub(super) fn new(joints: &[[f32; 3]]) -> Limb {
        Limb {
            spine: smooth_spine(joints),
            cut_start: false,
        }
    }

    /// The same limb with a straight first end, as for a sleeve.
    pub(super) fn cut_at_start(mut self) -> Limb {
        self.cut_start = true;
        self
    }

    /// Point, direction and radius at a share of the limb, 0 to 1.
    pub(super) fn at(&self, share: f32) -> ([f32; 2], [f32; 2], f32) {
        let last = self.spine.len().saturating_sub(1);
        let index = ((share * last as f32).round() as usize).min(last);
        let [x, y, radius] = self.spine[index];
        ([x, y], self.direction(index), radius)
    }

    /// A line across the limb at a share of it, 0 to 1. `width` 1 extends from edge to edge; a positive `bow` bends it toward the far end.
    pub(super) fn across(&self, share: f32, width: f32, bow: f32) -> Vec<[f32; 2]> {
        let ([x, y], [dx, dy], radius) = self.at(share);
        let half = radius * width;
        let bulge = radius * bow;
        vec![
            [x - dy * half, y + dx * half],
            [x + dx * bulge, y + dy * bulge],
            [x + dy * half, y - dx * half],
        ]
    }

    /// Extends `bounds` (min x, min y, max x, max y) to include the limb.
    pub(super) fn widen(&self, bounds: &mut [f32; 4]) {
        for [x, y, radius] in &self.spine {
            bounds[0] = bounds[0].min(x - radius);
            bounds[1] = bounds[1].min(y - radius);
            bounds[2] = bounds[2].max(x + radius);
            bounds[3] = bounds[3].max(y + radius);
        }
    }

    fn direction(&self, index: usize) -> [f32; 2] {
        let before = self.spine[index.saturating_sub(1)];
        let after = self.spine[(index + 1).min(self.spine.len() - 1)];
        let (dx, dy) = (after[0] - before[0], after[1] - before[1]);
        let length = dx.hypot(dy).max(1e-6);
        [dx / length, dy / length]
    }

    /// The outline with each radius multiplied by `factor` and increased by `grow`, moved by `shift` radii. Only the component of `shift`
    /// across the limb is used, because a shift along it would leave its end.
    fn path(&self, factor: f32, grow: f32, shift: [f32; 2]) -> Option<Path> {
        let count = self.spine.len();
        let placed = |index: usize, cos: f32, sin: f32| {
            let [x, y, radius] = self.spine[index];
            let [dx, dy] = self.direction(index);
            let r = radius * factor + grow;
            let aside = radius * (shift[1] * dx - shift[0] * dy);
            [
                x - dy * aside + r * (dx * cos - dy * sin),
                y + dx * aside + r * (dy * cos + dx * sin),
            ]
        };
        let arc = |step: usize| std::f32::consts::PI * step as f32 / STEPS_PER_CAP as f32;
        let mut points = Vec::with_capacity(2 * (count + STEPS_PER_CAP));
        points.extend((0..count).map(|index| placed(index, 0.0, -1.0)));
        points.extend((1..STEPS_PER_CAP).map(|step| {
            let angle = arc(step);
            placed(count - 1, angle.sin(), -angle.cos())
        }));
        points.extend((0..count).rev().map(|index| placed(index, 0.0, 1.0)));
        if !self.cut_start {
            points.extend((1..STEPS_PER_CAP).map(|step| {
                let angle = arc(step);
                placed(0, -angle.sin(), angle.cos())
            }));
        }
        closed_curve(&points)
    }
}

impl Canvas<'_> {
    /// Fills a path with one color.
    pub(super) fn fill(&mut self, path: Option<Path>, color: Rgb, alpha: f32) {
        self.fill_with(path, solid(color, alpha));
    }

    /// Fills a path with a linear gradient between two points with their colors.
    pub(super) fn fill_gradient(&mut self, path: Option<Path>, from: ([f32; 2], Rgb), to: ([f32; 2], Rgb)) {
        let shader = linear(from, to).unwrap_or(Shader::SolidColor(color(from.1, 1.0)));
        self.fill_with(path, shader);
    }

    /// Draws an open curve through `points`.
    pub(super) fn line(&mut self, points: &[[f32; 2]], width: f32, color: Rgb, alpha: f32) {
        self.stroke(open_curve(points), width, color, alpha);
    }

    /// Draws a circle's outline.
    pub(super) fn ring(&mut self, [x, y]: [f32; 2], radius: f32, width: f32, color: Rgb, alpha: f32) {
        self.stroke(PathBuilder::from_circle(x, y, radius), width, color, alpha);
    }

    /// Draws the outline of a limb, which is visible around it after filling.
    pub(super) fn limb_rim(&mut self, limb: &Limb, width: f32, tones: &Tones) {
        self.fill(limb.path(1.0, width, [0.0; 2]), tones.outline, 1.0);
    }

    /// Fills a limb with round shading: dark at the edge away from the light, bright toward it.
    pub(super) fn limb_fill(&mut self, limb: &Limb, tones: &Tones) {
        self.fill_lit(limb.path(1.0, 0.0, [0.0; 2]), tones);
        let [lx, ly] = self.light;
        for (factor, shift) in [(0.84, 0.12), (0.64, 0.22), (0.40, 0.30)] {
            let path = limb.path(factor, 0.0, [shift * lx, shift * ly]);
            self.fill(path, tones.light, 0.20);
        }
    }

    /// Fills a limb with the gradient of the skin only, which leaves no edge to other parts of the skin.
    pub(super) fn limb_cover(&mut self, limb: &Limb, tones: &Tones) {
        self.fill_lit(limb.path(1.0, 0.0, [0.0; 2]), tones);
    }

    /// Draws soft light or shadow along a limb, as nested layers: weak at its edge and strong in its middle.
    pub(super) fn limb_glow(&mut self, limb: &Limb, color: Rgb, strength: f32) {
        for factor in [1.0, 0.82, 0.64, 0.46, 0.28] {
            self.fill(limb.path(factor, 0.0, [0.0; 2]), color, strength / 5.0);
        }
    }

    /// Draws the outline of a smooth shape.
    pub(super) fn blob_rim(&mut self, points: &[[f32; 2]], width: f32, tones: &Tones) {
        self.stroke(closed_curve(points), 2.0 * width, tones.outline, 1.0);
    }

    /// Fills a smooth shape.
    pub(super) fn blob_fill(&mut self, points: &[[f32; 2]], tones: &Tones) {
        self.fill_lit(closed_curve(points), tones);
    }

    /// All parts of the skin share this gradient, so that adjacent parts have no visible seam.
    fn fill_lit(&mut self, path: Option<Path>, tones: &Tones) {
        let [lx, ly] = self.light;
        let from = ([0.9 * lx, 0.9 * ly], tones.base);
        self.fill_gradient(path, from, ([-0.9 * lx, -0.9 * ly], tones.shade));
    }

    fn fill_with(&mut self, path: Option<Path>, shader: Shader<'_>) {
        let Some(path) = path else { return };
        let paint = paint(shader);
        self.pixmap
            .fill_path(&path, &paint, FillRule::Winding, self.to_pixels, None);
    }

    fn stroke(&mut self, path: Option<Path>, width: f32, color: Rgb, alpha: f32) {
        let Some(path) = path else { return };
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            ..Stroke::default()
        };
        let paint = paint(solid(color, alpha));
        self.pixmap
            .stroke_path(&path, &paint, &stroke, self.to_pixels, None);
    }
}

/// A closed quadratic B-spline with `points` as its control polygon.
fn closed_curve(points: &[[f32; 2]]) -> Option<Path> {
    let first = points.first()?;
    let start = middle(points.last()?, first);
    let mut builder = PathBuilder::with_capacity(points.len() + 2, 2 * points.len() + 2);
    builder.move_to(start[0], start[1]);
    for (index, point) in points.iter().enumerate() {
        let end = middle(point, &points[(index + 1) % points.len()]);
        builder.quad_to(point[0], point[1], end[0], end[1]);
    }
    builder.close();
    builder.finish()
}

fn open_curve(points: &[[f32; 2]]) -> Option<Path> {
    let (first, last) = (points.first()?, points.last()?);
    let mut builder = PathBuilder::new();
    builder.move_to(first[0], first[1]);
    for pair in points.windows(2).skip(1) {
        let end = middle(&pair[0], &pair[1]);
        builder.quad_to(pair[0][0], pair[0][1], end[0], end[1]);
    }
    builder.line_to(last[0], last[1]);
    builder.finish()
}

fn middle(a: &[f32; 2], b: &[f32; 2]) -> [f32; 2] {
    [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]
}

/// A Catmull-Rom spline through the joints, radius included.
fn smooth_spine(joints: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let joint = |index: isize| joints[index.clamp(0, joints.len() as isize - 1) as usize];
    let mut spine = Vec::with_capacity(joints.len() * STEPS_PER_JOINT);
    for index in 0..joints.len().saturating_sub(1) as isize {
        let [before, from, to, after] = [index - 1, index, index + 1, index + 2].map(joint);
        for step in 0..STEPS_PER_JOINT {
            let t = step as f32 / STEPS_PER_JOINT as f32;
            spine.push(std::array::from_fn(|axis| {
                catmull_rom([before[axis], from[axis], to[axis], after[axis]], t)
            }));
        }
    }
    spine.extend(joints.last());
    spine
}

fn catmull_rom([a, b, c, d]: [f32; 4], t: f32) -> f32 {
    let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
    let cube = 3.0 * (b - c) + d - a;
    b + 0.5 * t * ((c - a) + t * (square + t * cube))
}

fn color(rgb: Rgb, alpha: f32) -> Color {
    let [r, g, b] = rgb.0.map(|level| level.clamp(0.0, 1.0));
    Color::from_rgba(r, g, b, alpha.clamp(0.0, 1.0)).unwrap_or(Color::BLACK)
}

fn solid(rgb: Rgb, alpha: f32) -> Shader<'static> {
    Shader::SolidColor(color(rgb, alpha))
}

fn linear(from: ([f32; 2], Rgb), to: ([f32; 2], Rgb)) -> Option<Shader<'static>> {
    let stops = vec![
        GradientStop::new(0.0, color(from.1, 1.0)),
        GradientStop::new(1.0, color(to.1, 1.0)),
    ];
    let [start, end] = [from.0, to.0].map(|[x, y]| Point::from_xy(x, y));
    LinearGradient::new(start, end, stops, SpreadMode::Pad, Transform::identity())
}

fn paint(shader: Shader<'_>) -> Paint<'_> {
    Paint {
        shader,
        anti_alias: true,
        ..Paint::default()
    }
}
