//! Draws images of hands, for the demo and for tests without photos.
//!
//! Each scene has at most one hand before a background. Skin, sleeve, position, size, rotation, mirroring and background are random and
//! determined by a seed and an index. `photo_camera` publishes the images.

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
use scene::CameraEffects;
use shapes::{Canvas, Limb};
use view::View;

/// Thickness of outlines, in hand units (see [`hands`]).
const RIM: f32 = 0.022;

/// Draws a scene of `width` by `height` pixels; the image is empty if either is 0.
///
/// The same arguments always give the same pixels. Scenes with different gestures, seeds or indices are independent.
/// For [`Gesture::None`] and [`Gesture::Other`] one in three scenes has no hand, and the others show a hand with another pose than
/// thumbs up or down.
pub fn draw(gesture: Gesture, seed: u64, index: u64, width: u32, height: u32) -> image::RgbImage {
    let Some(mut pixmap) = Pixmap::new(width, height) else {
        return image::RgbImage::new(width, height);
    };
    let mut rng = scene_rng(gesture, seed, index);
    let skin = Tones::skin(&mut rng);
    let aspect = aspect_of(&pixmap);
    scene::paint(&mut canvas_of(&mut pixmap), &mut rng, aspect, skin.base);
    add_hand(&mut pixmap, gesture, &skin, &mut rng);
    CameraEffects::random(&mut rng).apply(&pixmap, &mut rng)
}

/// Draws a scene as [`draw`] does, in a furnished room: the images of a room have the same background, person and light.
pub fn draw_in_room(gesture: Gesture, room: u64, index: u64, width: u32, height: u32) -> image::RgbImage {
    let Some(mut pixmap) = Pixmap::new(width, height) else {
        return image::RgbImage::new(width, height);
    };
    let mut of_room = scene_rng(Gesture::None, room, u64::MAX);
    let mut of_hand = scene_rng(gesture, room, index);
    let skin = Tones::skin(&mut of_room);
    let aspect = aspect_of(&pixmap);
    scene::paint_room(&mut canvas_of(&mut pixmap), &mut of_room, aspect, skin.base);
    add_hand(&mut pixmap, gesture, &skin, &mut of_hand);
    CameraEffects::random(&mut of_room).apply(&pixmap, &mut of_hand)
}

/// Paints a random hand that shows a gesture; without one, some scenes have no hand.
fn add_hand(pixmap: &mut Pixmap, gesture: Gesture, skin: &Tones, rng: &mut ChaCha8Rng) {
    let Some(hand) = random_hand(gesture, rng) else {
        return;
    };
    let flip = if gesture == Gesture::ThumbsDown { -1.0 } else { 1.0 };
    let view = View::random(rng, &hand, flip, aspect_of(pixmap));
    let height = pixmap.height() as f32;
    let mut canvas = canvas_of(pixmap);
    view.apply(&mut canvas, height);
    let sleeve = rng
        .random_bool(0.7)
        .then(|| (Tones::cloth(rng, skin.base), rng.random_range(0.35..1.3)));
    paint_hand(&mut canvas, &hand, skin, sleeve, view.down());
}

fn canvas_of(pixmap: &mut Pixmap) -> Canvas<'_> {
    let height = pixmap.height() as f32;
    Canvas {
        pixmap,
        to_pixels: Transform::from_scale(height, height),
        light: [0.0, -1.0],
    }
}

fn aspect_of(pixmap: &Pixmap) -> f32 {
    pixmap.width() as f32 / pixmap.height() as f32
}

/// A separate stream of random numbers per scene, so that a scene does not depend on previous ones.
fn scene_rng(gesture: Gesture, seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index.wrapping_mul(256).wrapping_add(gesture as u64));
    rng
}

fn random_hand(gesture: Gesture, rng: &mut ChaCha8Rng) -> Option<Hand> {
    match gesture {
        Gesture::ThumbsUp | Gesture::ThumbsDown => Some(hands::thumb_up(rng)),
        Gesture::None | Gesture::Other => rng.random_bool(2.0 / 3.0).then(|| hands::other(rng)),
    }
}

/// Paints the arm, the hand and the sleeve, which is given with its distance from the wrist in hand units. `down` points to the lower
/// edge of the image.
fn paint_hand(
    canvas: &mut Canvas<'_>,
    hand: &Hand,
    skin: &Tones,
    sleeve: Option<(Tones, f32)>,
    down: [f32; 2],
) {
    let bare_arm = arm(hand, down, 0.0, 0.0);
    canvas.limb_rim(&bare_arm, RIM, skin);
    for part in &hand.parts {
        match part {
            Part::Body(limb) => canvas.limb_rim(limb, RIM, skin),
            Part::Palm(points) => canvas.blob_rim(points, RIM, skin),
            _ => {}
        }
    }
    canvas.limb_fill(&bare_arm, skin);
    for part in &hand.parts {
        paint_part(canvas, part, skin);
    }
    if let Some((cloth, from_wrist)) = sleeve {
        let sleeve = arm(hand, down, from_wrist, 0.09).cut_at_start();
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

/// The arm from `start` hand units behind the wrist to the elbow, and from there, bent `down`, beyond the edge of the image. `looseness`
/// is added to each radius, for sleeves.
fn arm(hand: &Hand, down: [f32; 2], start: f32, looseness: f32) -> Limb {
    let [x, y, radius] = hand.wrist;
    let (sin, cos) = hand.arm_degrees.to_radians().sin_cos();
    let along = |distance: f32, radius: f32| [x + distance * cos, y + distance * sin, radius];
    let elbow = along(3.4, radius * 1.55 + looseness);
    // An arm that comes from above is not bent, because it would return into the image.
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
    fn same_arguments_give_the_same_pixels() {
        for gesture in Gesture::ALL {
            assert_eq!(draw(gesture, 7, 3, 160, 120), draw(gesture, 7, 3, 160, 120));
        }
    }

    #[test]
    fn images_of_a_room_differ_in_the_hand_only() {
        let draw = |gesture, room, index| draw_in_room(gesture, room, index, 160, 120);
        let up = draw(Gesture::ThumbsUp, 3, 0);
        assert_eq!(up, draw(Gesture::ThumbsUp, 3, 0));
        let agreeing = |other: &image::RgbImage| {
            let pairs = up.pixels().zip(other.pixels());
            let is_close = |a: &image::Rgb<u8>, b: &image::Rgb<u8>| (0..3).all(|i| a[i].abs_diff(b[i]) < 50);
            pairs.filter(|(a, b)| is_close(a, b)).count() as f64 / (160.0 * 120.0)
        };
        assert!(agreeing(&draw(Gesture::ThumbsDown, 3, 1)) > 0.3);
        assert_ne!(up, draw(Gesture::ThumbsUp, 3, 1));
        assert_ne!(up, draw(Gesture::ThumbsUp, 4, 0));
    }

    #[test]
    fn different_index_seed_or_gesture_gives_a_different_scene() {
        let scene = draw(Gesture::ThumbsUp, 7, 3, 80, 60);
        assert_ne!(scene, draw(Gesture::ThumbsUp, 7, 4, 80, 60));
        assert_ne!(scene, draw(Gesture::ThumbsUp, 8, 3, 80, 60));
        assert_ne!(scene, draw(Gesture::ThumbsDown, 7, 3, 80, 60));
    }

    #[test]
    fn any_size_is_drawn_at_that_size() {
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
    fn size_of_zero_gives_an_empty_image() {
        assert!(draw(Gesture::ThumbsUp, 1, 1, 0, 48).is_empty());
    }

    #[test]
    fn thumb_points_in_the_direction_of_the_gesture() {
        let hand = hands::thumb_up(&mut ChaCha8Rng::seed_from_u64(5));
        let [_, top, _, bottom] = hand.bounds();
        // The origin is the center of the fist; the thumb reaches farther from it than the fist.
        assert!(-top > 1.5 * bottom, "thumb reaches {top}, fist reaches {bottom}");
        for (flip, sign) in [(1.0, -1.0), (-1.0, 1.0)] {
            for index in 0..50 {
                let mut rng = ChaCha8Rng::seed_from_u64(index);
                let [_, y] = View::random(&mut rng, &hand, flip, 4.0 / 3.0).turned([0.0, -1.0]);
                assert!(y * sign > 0.9, "with flip {flip} the thumb points to y = {y}");
            }
        }
    }
}
