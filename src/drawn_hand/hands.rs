//! The hands themselves, as parts in paint order. One unit is about the width of a fist; x to the right, y down; the
//! hand's middle is near the origin, the thumb's side is up or left. Place, size, turn and mirroring are the caller's.

mod fists;
mod upright;

use rand::RngExt;

use super::shapes::Limb;
pub(super) use fists::thumb_up;

/// One thing to paint. Rims of `Body` parts lie beneath everything, so that they join to one outline; the rim of an
/// `Over` part shows on what lies below it, as a curled finger's does.
pub(super) enum Part {
    Body(Limb),
    Over(Limb),
    Palm(Vec<[f32; 2]>),
    Glow(Limb),
    /// Skin without a rim of its own: hides where the part below it begins.
    Cover(Limb),
    Crease(Vec<[f32; 2]>),
    Nail(Limb),
}

/// A hand and where its arm goes.
pub(super) struct Hand {
    pub parts: Vec<Part>,
    /// x, y, radius of the wrist.
    pub wrist: [f32; 3],
    /// Direction from the wrist to the elbow: 0 to the right, 90 down.
    pub arm_degrees: f32,
    /// The usual turn of this hand before the scene's own.
    pub turn_degrees: f32,
}

impl Hand {
    /// min x, min y, max x, max y of what must be in view: all but the arm.
    pub fn bounds(&self) -> [f32; 4] {
        let mut bounds = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for part in &self.parts {
            match part {
                Part::Body(limb) | Part::Over(limb) => limb.widen(&mut bounds),
                Part::Palm(points) => points
                    .iter()
                    .for_each(|[x, y]| Limb::new(&[[*x, *y, 0.0]]).widen(&mut bounds)),
                _ => (),
            }
        }
        bounds
    }
}

/// None of the two gestures: one of five other things a hand does.
pub(super) fn other(rng: &mut impl RngExt) -> Hand {
    match rng.random_range(0..5) {
        0 => upright::open_palm(rng),
        1 => fists::pointing(rng),
        2 => fists::closed_fist(rng),
        3 => upright::flat_hand(rng),
        _ => upright::victory(rng),
    }
}
