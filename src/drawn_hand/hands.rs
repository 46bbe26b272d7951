//! Hands as lists of parts in painting order, in hand space: the unit is about the width of a fist, x points right and y down, the center of
//! the hand is near the origin, and the side of the thumb is up or left.

mod fists;
mod upright;

use rand::RngExt;

use super::shapes::Limb;
pub(super) use fists::thumb_up;

/// A part of a hand.
pub(super) enum Part {
    /// Its outline is painted below all parts, so that the outlines of several parts join.
    Body(Limb),
    /// Its outline is painted on the parts below, as for a curled finger.
    Over(Limb),
    Palm(Vec<[f32; 2]>),
    Glow(Limb),
    /// Skin without an outline, which hides the edge of the part below.
    Cover(Limb),
    Crease(Vec<[f32; 2]>),
    Nail(Limb),
}

/// A hand, with the start and direction of its arm.
pub(super) struct Hand {
    pub(super) parts: Vec<Part>,
    /// x, y and radius.
    pub(super) wrist: [f32; 3],
    /// Direction from the wrist to the elbow, 0 for right and 90 for down.
    pub(super) arm_degrees: f32,
    /// Rotation of the hand, to which the view adds a random one.
    pub(super) turn_degrees: f32,
}

impl Hand {
    /// min x, min y, max x and max y of the hand without its arm.
    pub(super) fn bounds(&self) -> [f32; 4] {
        let mut bounds = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for part in &self.parts {
            match part {
                Part::Body(limb) | Part::Over(limb) => limb.widen(&mut bounds),
                Part::Palm(points) => points
                    .iter()
                    .for_each(|[x, y]| Limb::new(&[[*x, *y, 0.0]]).widen(&mut bounds)),
                _ => {}
            }
        }
        bounds
    }
}

/// A random one of five poses other than thumbs up and down.
pub(super) fn other(rng: &mut impl RngExt) -> Hand {
    match rng.random_range(0..5) {
        0 => upright::open_palm(rng),
        1 => fists::pointing(rng),
        2 => fists::closed_fist(rng),
        3 => upright::flat_hand(rng),
        _ => upright::victory(rng),
    }
}
