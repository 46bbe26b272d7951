//! Where a hand lies in the image: place, size, turn, mirroring, and from where it is lit.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tiny_skia::Transform;

use super::hands::Hand;
use super::shapes::Canvas;

/// The hand's larger side as a part of the image's smaller one.
const HAND_PART: std::ops::Range<f32> = 0.65..0.9;
/// How far the hand is turned either way.
const TURN_DEGREES: f32 = 15.0;

/// How the hand's own space lies in the image: mirrored, turned, scaled, moved. The unit is the image's height.
pub(super) struct View {
    mirror: [f32; 2],
    /// Sine and cosine of the turn.
    turn: [f32; 2],
    scale: f32,
    place: [f32; 2],
    /// Unit vector towards the light, in the image.
    light: [f32; 2],
}

impl View {
    /// A view that keeps nearly the whole of `hand` in an image `aspect` heights wide.
    pub fn random(rng: &mut ChaCha8Rng, hand: &Hand, flip: f32, aspect: f32) -> View {
        let turn = rng.random_range(-TURN_DEGREES..TURN_DEGREES) + hand.turn_degrees;
        let (sin, cos) = turn.to_radians().sin_cos();
        let (light_x, light_y) = rng.random_range(-0.9..0.9_f32).sin_cos();
        let mut view = View {
            mirror: [if rng.random_bool(0.5) { 1.0 } else { -1.0 }, flip],
            turn: [sin, cos],
            scale: 1.0,
            place: [0.0; 2],
            light: [light_x, -light_y],
        };
        let [left, top, right, bottom] = view.bounds(hand.bounds());
        let (width, height) = (right - left, bottom - top);
        let fit = aspect.min(1.0) / width.max(height);
        view.scale = fit * rng.random_range(HAND_PART);
        view.place = [
            place_in(rng, aspect, left * view.scale, right * view.scale),
            place_in(rng, 1.0, top * view.scale, bottom * view.scale),
        ];
        view
    }

    /// Points the canvas at the hand's own space.
    pub fn aim(&self, canvas: &mut Canvas<'_>, height_px: f32) {
        let [sin, cos] = self.turn;
        let [mx, my] = self.mirror;
        let size = self.scale * height_px;
        canvas.to_pixels = Transform::from_row(
            cos * mx * size,
            sin * mx * size,
            -sin * my * size,
            cos * my * size,
            self.place[0] * height_px,
            self.place[1] * height_px,
        );
        canvas.light = self.unturned(self.light);
    }

    /// Where the image's lower edge lies, in the hand's own space.
    pub fn down(&self) -> [f32; 2] {
        self.unturned([0.0, 1.0])
    }

    pub fn turned(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sin, cos] = self.turn;
        let (x, y) = (x * self.mirror[0], y * self.mirror[1]);
        [x * cos - y * sin, x * sin + y * cos]
    }

    fn unturned(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sin, cos] = self.turn;
        [
            (x * cos + y * sin) * self.mirror[0],
            (y * cos - x * sin) * self.mirror[1],
        ]
    }

    /// The bounds, at scale 1 and place 0, of what `inner` (min x, min y, max x, max y) bounds in the hand's space.
    pub fn bounds(&self, inner: [f32; 4]) -> [f32; 4] {
        let [left, top, right, bottom] = inner;
        let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
        let corners = corners.map(|corner| self.turned(corner));
        let least = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MAX, f32::min);
        let most = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MIN, f32::max);
        [least(0), least(1), most(0), most(1)]
    }
}

/// A random shift that puts `low..high` inside `0..room`, or up to a tenth of it outside.
fn place_in(rng: &mut ChaCha8Rng, room: f32, low: f32, high: f32) -> f32 {
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
    fn the_hand_stays_mostly_in_view() {
        for index in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(index);
            let hand = hands::other(&mut rng);
            let view = View::random(&mut rng, &hand, 1.0, 1.5);
            let [left, top, right, bottom] = view.bounds(hand.bounds()).map(|at| at * view.scale);
            let [x, y] = view.place;
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
