//! Hands drawn by the program itself: the camera of the demo and of the tests, where no photographs are at hand. Every
//! scene is one random hand (skin, sleeve, place, size, turn, left or right) before a random background, told apart from
//! all others by a seed and a number. Handing the images out as frames is left to `photo_camera`.

mod hands;
mod palette;
mod scene;
mod shapes;
mod view;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tiny_skia::{Pixmap, Transform};

use crate::gesture::Gesture;
use hands::{Hand, Part};
use palette::Tones;
use shapes::{Canvas, Limb};
use view::View;

/// How thick the dark lines are, in hand units.
const RIM: f32 = 0.022;

/// Draws the scene number `index` of `seed` for `gesture`, `width` by `height` pixels (an empty image if either is 0).
///
/// The same arguments always give the same pixels; any two indices, and any two gestures, give unrelated scenes.
/// [`Gesture::None`] (and [`Gesture::Other`]) is an empty scene once in three, and else a hand that does something other
/// than the two gestures.
pub fn draw(gesture: Gesture, seed: u64, index: u64, width: u32, height: u32) -> image::RgbImage {
    let Some(mut pixmap) = Pixmap::new(width, height) else {
        return image::RgbImage::new(width, height);
    };
    let mut rng = rng_of(gesture, seed, index);
    let skin = Tones::skin(&mut rng);
    let mut canvas = Canvas {
        pixmap: &mut pixmap,
        to_pixels: Transform::from_scale(height as f32, height as f32),
        light: [0.0, -1.0],
    };
    let aspect = width as f32 / height as f32;
    scene::paint(&mut canvas, &mut rng, aspect, skin.base);
    if let Some(hand) = hand_of(gesture, &mut rng) {
        let flip = if gesture == Gesture::ThumbsDown { -1.0 } else { 1.0 };
        let view = View::random(&mut rng, &hand, flip, aspect);
        view.aim(&mut canvas, height as f32);
        let sleeve = rng
            .random_bool(0.7)
            .then(|| (Tones::cloth(&mut rng, skin.base), rng.random_range(0.35..1.3)));
        paint_hand(&mut canvas, &hand, &skin, sleeve, view.down());
    }
    scene::develop(&pixmap, &mut rng)
}

/// One stream of random numbers for each scene, so that no scene depends on those before it.
fn rng_of(gesture: Gesture, seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index.wrapping_mul(256).wrapping_add(gesture as u64));
    rng
}

fn hand_of(gesture: Gesture, rng: &mut ChaCha8Rng) -> Option<Hand> {
    match gesture {
        Gesture::ThumbsUp | Gesture::ThumbsDown => Some(hands::thumb_up(rng)),
        Gesture::None | Gesture::Other => rng.random_bool(2.0 / 3.0).then(|| hands::other(rng)),
    }
}

/// Paints arm, hand and, if there is one, a sleeve that starts the given distance from the wrist.
fn paint_hand(
    canvas: &mut Canvas<'_>,
    hand: &Hand,
    skin: &Tones,
    sleeve: Option<(Tones, f32)>,
    down: [f32; 2],
) {
    let arm = forearm(hand, down, 0.0, 0.0);
    canvas.limb_rim(&arm, RIM, skin);
    for part in &hand.parts {
        match part {
            Part::Body(limb) => canvas.limb_rim(limb, RIM, skin),
            Part::Palm(points) => canvas.blob_rim(points, RIM, skin),
            _ => (),
        }
    }
    canvas.limb_fill(&arm, skin);
    for part in &hand.parts {
        paint_part(canvas, part, skin);
    }
    if let Some((cloth, from_wrist)) = sleeve {
        let sleeve = forearm(hand, down, from_wrist, 0.09).cut_at_start();
        canvas.limb_rim(&sleeve, RIM, &cloth);
        canvas.limb_fill(&sleeve, &cloth);
        let seam = sleeve.across(0.05, 0.97, 0.0);
        canvas.line(&seam, RIM, cloth.outline, 0.7);
    }
}

fn paint_part(canvas: &mut Canvas<'_>, part: &Part, skin: &Tones) {
    match part {
        Part::Body(limb) => canvas.limb_fill(limb, skin),
        Part::Over(limb) => {
            canvas.limb_rim(limb, RIM * 0.8, skin);
            canvas.limb_fill(limb, skin);
        }
        Part::Palm(points) => canvas.blob_fill(points, skin),
        Part::Glow(limb) => canvas.limb_glow(limb, skin.light, 0.45),
        Part::Cover(limb) => canvas.limb_cover(limb, skin),
        Part::Crease(points) => canvas.line(points, RIM * 0.7, skin.outline, 0.55),
        Part::Nail(limb) => {
            let nail = Tones {
                base: skin.light.mix(palette::Rgb([1.0, 0.85, 0.82]), 0.35),
                shade: skin.light,
                ..*skin
            };
            canvas.limb_rim(limb, RIM * 0.5, skin);
            canvas.limb_fill(limb, &nail);
        }
    }
}

/// The forearm from `start` hand units behind the wrist to the elbow, and on, bent `down`, as far as any image goes.
fn forearm(hand: &Hand, down: [f32; 2], start: f32, looseness: f32) -> Limb {
    let [x, y, radius] = hand.wrist;
    let (sin, cos) = hand.arm_degrees.to_radians().sin_cos();
    let along = |distance: f32, radius: f32| [x + distance * cos, y + distance * sin, radius];
    let elbow = along(3.4, radius * 1.55 + looseness);
    // An arm that comes from above does not bend back into the image: it goes on as it came.
    let bend = (0.75 + 1.5 * (cos * down[0] + sin * down[1])).clamp(0.0, 0.75);
    let upper = |distance: f32| {
        let [dx, dy] = [(cos, down[0]), (sin, down[1])].map(|(arm, down)| arm + bend * (down - arm));
        [
            elbow[0] + distance * dx,
            elbow[1] + distance * dy,
            radius * 1.7 + looseness,
        ]
    };
    Limb::new(&[
        along(start, radius * (1.0 + 0.14 * start) + looseness),
        along(start.max(0.3) + 1.0, radius * 1.3 + looseness),
        elbow,
        upper(1.5),
        upper(3.5),
        upper(8.0),
        upper(14.0),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_arguments_give_same_pixels() {
        for gesture in Gesture::ALL {
            assert_eq!(draw(gesture, 7, 3, 160, 120), draw(gesture, 7, 3, 160, 120));
        }
    }

    #[test]
    fn each_index_seed_and_gesture_is_another_scene() {
        let scene = draw(Gesture::ThumbsUp, 7, 3, 80, 60);
        assert_ne!(scene, draw(Gesture::ThumbsUp, 7, 4, 80, 60));
        assert_ne!(scene, draw(Gesture::ThumbsUp, 8, 3, 80, 60));
        assert_ne!(scene, draw(Gesture::ThumbsDown, 7, 3, 80, 60));
    }

    #[test]
    fn odd_sizes_are_drawn_at_that_size() {
        for (width, height) in [(64, 64), (65, 49), (49, 131), (640, 480), (1, 1), (3, 200)] {
            for gesture in Gesture::ALL {
                for index in 0..6 {
                    let image = draw(gesture, 1, index, width, height);
                    assert_eq!(image.dimensions(), (width, height), "{gesture:?} {index}");
                }
            }
        }
    }

    #[test]
    fn a_size_of_zero_is_an_empty_image() {
        assert!(draw(Gesture::ThumbsUp, 1, 1, 0, 48).is_empty());
    }

    #[test]
    fn the_thumb_points_where_the_gesture_says() {
        let hand = hands::thumb_up(&mut ChaCha8Rng::seed_from_u64(5));
        let [_, top, _, bottom] = hand.bounds();
        // The thumb reaches further from the fist's middle (the origin) than the fist itself does.
        assert!(-top > 1.5 * bottom, "thumb to {top}, fist to {bottom}");
        for (flip, sign) in [(1.0, -1.0), (-1.0, 1.0)] {
            for index in 0..50 {
                let mut rng = ChaCha8Rng::seed_from_u64(index);
                let [_, y] = View::random(&mut rng, &hand, flip, 4.0 / 3.0).turned([0.0, -1.0]);
                assert!(y * sign > 0.9, "flip {flip} points the thumb to y {y}");
            }
        }
    }
}
