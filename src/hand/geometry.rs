//! Positions and boxes in frames, in pixels; the second coordinate points down.

/// A rotation, scaling and translation from the pixels of a network input to the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Similarity {
    /// One pixel to the right, in pixels of the frame. One pixel down is this vector turned by 90 degrees.
    pub(super) x_axis: [f32; 2],
    /// The first pixel.
    pub(super) origin: [f32; 2],
}

impl Similarity {
    /// The position in the frame.
    pub(super) fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [a, b] = self.x_axis;
        [self.origin[0] + x * a - y * b, self.origin[1] + x * b + y * a]
    }

    /// Pixels of the frame per pixel of the input.
    pub(super) fn scale(&self) -> f32 {
        self.x_axis[0].hypot(self.x_axis[1])
    }
}

/// Intersection over union of two boxes, each given by its smallest and largest coordinates.
pub(super) fn intersection_over_union(a: [[f32; 2]; 2], b: [[f32; 2]; 2]) -> f32 {
    let area = |[min, max]: [[f32; 2]; 2]| (max[0] - min[0]).max(0.0) * (max[1] - min[1]).max(0.0);
    let common = [0, 1].map(|axis| [a[0][axis].max(b[0][axis]), a[1][axis].min(b[1][axis])]);
    let common = area([[common[0][0], common[1][0]], [common[0][1], common[1][1]]]);
    if common > 0.0 {
        common / (area(a) + area(b) - common)
    } else {
        0.0
    }
}

/// Turns a vector clockwise as seen on the screen.
pub(super) fn rotated([x, y]: [f32; 2], angle: f32) -> [f32; 2] {
    let (sin, cos) = angle.sin_cos();
    [x * cos - y * sin, x * sin + y * cos]
}

pub(super) fn middle(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]
}

/// The smallest and the largest coordinates.
pub(super) fn bounds(points: impl Iterator<Item = [f32; 2]>) -> [[f32; 2]; 2] {
    let empty = [[f32::INFINITY; 2], [f32::NEG_INFINITY; 2]];
    points.fold(empty, |[min, max], [x, y]| {
        [[min[0].min(x), min[1].min(y)], [max[0].max(x), max[1].max(y)]]
    })
}
