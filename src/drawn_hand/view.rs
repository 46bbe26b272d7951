//! The placement of a hand in the image: position, scale, rotation and mirroring, and the direction of the light.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tiny_skia::Transform;

use super::hands::Hand;
use super::shapes::Canvas;

/// The longer side of the hand's bounds, as a share of the image's shorter side.
const HAND_SHARE: std::ops::Range<f32> = 0.65..0.9;
/// Maximum rotation in either direction.
const MAX_TURN_DEGREES: f32 = 15.0;

/// The transform from hand space to the image: mirroring, then rotation, scale and translation. The unit is the image's height.
pub(super) struct View {
    /// 1 or -1 for x and y.
    mirror: [f32; 2],
    /// Sine and cosine of the rotation.
    turn: [f32; 2],
    scale: f32,
    position: [f32; 2],
    /// Unit vector toward the light, in the image.
    light: [f32; 2],
}

impl View {
    /// A random view with nearly the whole hand in an image with this aspect ratio. `flip` is -1 for a hand that points down, else 1.
    pub(super) fn random(rng: &mut ChaCha8Rng, hand: &Hand, flip: f32, aspect: f32) -> View {
        let turn = rng.random_range(-MAX_TURN_DEGREES..MAX_TURN_DEGREES) + hand.turn_degrees;
        let (sin, cos) = turn.to_radians().sin_cos();
        let (light_x, light_y) = rng.random_range(-0.9..0.9_f32).sin_cos();
        let mut view = View {
            mirror: [if rng.random_bool(0.5) { 1.0 } else { -1.0 }, flip],
            turn: [sin, cos],
            scale: 1.0,
            position: [0.0; 2],
            light: [light_x, -light_y],
        };
        let [left, top, right, bottom] = view.bounds(hand.bounds());
        let (width, height) = (right - left, bottom - top);
        let fit = aspect.min(1.0) / width.max(height);
        view.scale = fit * rng.random_range(HAND_SHARE);
        view.position = [
            position_in(rng, aspect, left * view.scale, right * view.scale),
            position_in(rng, 1.0, top * view.scale, bottom * view.scale),
        ];
        view
    }

    /// Sets the transform and the light of the canvas to hand space.
    pub(super) fn apply(&self, canvas: &mut Canvas<'_>, height_px: f32) {
        let [sin, cos] = self.turn;
        let [mx, my] = self.mirror;
        let size = self.scale * height_px;
        canvas.to_pixels = Transform::from_row(
            cos * mx * size,
            sin * mx * size,
            -sin * my * size,
            cos * my * size,
            self.position[0] * height_px,
            self.position[1] * height_px,
        );
        canvas.light = self.unturned(self.light);
    }

    /// The direction to the image's lower edge, in hand space.
    pub(super) fn down(&self) -> [f32; 2] {
        self.unturned([0.0, 1.0])
    }

    /// Mirrors and rotates a vector from hand space to the image.
    pub(super) fn turned(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sin, cos] = self.turn;
        let (x, y) = (x * self.mirror[0], y * self.mirror[1]);
        [x * cos - y * sin, x * sin + y * cos]
    }

    /// The inverse of [`View::turned`].
    fn unturned(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sin, cos] = self.turn;
        [
            (x * cos + y * sin) * self.mirror[0],
            (y * cos - x * sin) * self.mirror[1],
        ]
    }

    /// The bounds (min x, min y, max x, max y) of `inner`, bounds in hand space, after mirroring and rotation.
    pub(super) fn bounds(&self, inner: [f32; 4]) -> [f32; 4] {
        let [left, top, right, bottom] = inner;
        let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
        let corners = corners.map(|corner| self.turned(corner));
        let min = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MAX, f32::min);
        let max = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MIN, f32::max);
        [min(0), min(1), max(0), max(1)]
    }
}

/// A random offset that moves `low..high` into `0..room`, with up to a tenth of it outside.
fn position_in(rng: &mut ChaCha8Rng, room: f32, low: f32, high: f32) -> f32 {
    let slack = 0.1 * (high - low);
    let (first, last) = (-low - slack, room - high + slack);
    rng.random_range(first..last.max(first + 1e-3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawn_hand::hands;
    use rand::SeedableRng;

    #[test]
    fn hand_is_mostly_in_the_image() {
        for index in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(index);
            let hand = hands::other(&mut rng);
            let view = View::random(&mut rng, &hand, 1.0, 1.5);
            let [left, top, right, bottom] = view.bounds(hand.bounds()).map(|edge| edge * view.scale);
            let [x, y] = view.position;
            let outside = (-x - left)
                .max(x + right - 1.5)
                .max(-y - top)
                .max(y + bottom - 1.0);
            assert!(
                outside <= 0.11 * (right - left).max(bottom - top),
                "{outside} outside"
            );
        }
    }
}
