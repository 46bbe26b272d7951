//! Upright hands with straight fingers: all spread, all closed, or two of them extended.

use rand::RngExt;

use super::{Hand, Part};
use crate::drawn_hand::shapes::Limb;

fn upright(parts: Vec<Part>, rng: &mut impl RngExt) -> Hand {
    Hand {
        parts,
        wrist: [0.0, 0.62, 0.27],
        arm_degrees: rng.random_range(65.0..115.0),
        turn_degrees: 0.0,
    }
}

fn upright_palm() -> Part {
    Part::Palm(vec![
        [-0.30, 0.75],
        [-0.46, 0.35],
        [-0.48, -0.05],
        [-0.44, -0.30],
        [-0.15, -0.36],
        [0.18, -0.35],
        [0.46, -0.24],
        [0.48, 0.10],
        [0.40, 0.45],
        [0.28, 0.75],
    ])
}

/// A straight finger of an upright hand; `finger` 0 is the index finger, `spread` 0 closes the fingers and 1 spreads them.
fn straight_finger(finger: usize, spread: f32) -> Limb {
    let [root, length, radius] = [
        [-0.345, 0.66, 0.122],
        [-0.115, 0.76, 0.126],
        [0.115, 0.70, 0.120],
        [0.335, 0.53, 0.104],
    ][finger];
    let root_y = [-0.20, -0.24, -0.22, -0.14][finger];
    let degrees = [-15.0, -4.0, 7.0, 20.0][finger] * spread;
    let (sin, cos) = f32::to_radians(degrees).sin_cos();
    let joint = |share: f32, radius: f32| {
        let along = length * share;
        [root + along * sin, root_y - along * cos, radius]
    };
    Limb::new(&[
        joint(-0.1, radius * 1.08),
        joint(0.45, radius * 1.0),
        joint(0.75, radius * 0.95),
        joint(1.0, radius * 0.80),
    ])
}

fn finger_creases(finger: &Limb) -> Vec<Part> {
    [0.22, 0.52, 0.77]
        .map(|share| Part::Crease(finger.across(share, 0.55, 0.15)))
        .into()
}

fn finger_nail(finger: &Limb) -> Part {
    let ([x, y], [dx, dy], radius) = finger.at(0.97);
    Part::Nail(Limb::new(&[
        [x - dx * 0.25 * radius, y - dy * 0.25 * radius, radius * 0.58],
        [x + dx * 0.30 * radius, y + dy * 0.30 * radius, radius * 0.54],
    ]))
}

/// The parts of an upright hand with straight fingers, seen from the palm or from the back.
fn straight_hand(rng: &mut impl RngExt, spread: f32, thumb: Limb) -> Vec<Part> {
    let shows_palm = rng.random_bool(0.6);
    let mut parts = vec![upright_palm(), Part::Body(thumb.clone())];
    for finger in [0, 3, 1, 2].map(|finger| straight_finger(finger, spread)) {
        parts.push(if spread > 0.5 {
            Part::Body(finger.clone())
        } else {
            Part::Over(finger.clone())
        });
        if shows_palm {
            parts.extend(finger_creases(&finger));
        } else {
            parts.push(finger_nail(&finger));
            parts.push(Part::Crease(finger.across(0.5, 0.4, -0.3)));
        }
    }
    if shows_palm {
        parts.extend(palm_lines());
    } else {
        parts.push(finger_nail(&thumb));
    }
    parts
}

fn palm_lines() -> Vec<Part> {
    vec![
        Part::Glow(Limb::new(&[[-0.28, 0.38, 0.17], [-0.20, 0.12, 0.15]])),
        Part::Glow(Limb::new(&[[0.28, 0.38, 0.13], [0.30, 0.10, 0.13]])),
        Part::Crease(vec![[-0.40, 0.0], [-0.08, 0.04], [-0.06, 0.5]]),
        Part::Crease(vec![[-0.36, -0.04], [0.0, 0.02], [0.28, 0.20]]),
        Part::Crease(vec![[-0.20, -0.16], [0.05, -0.02], [0.42, -0.05]]),
    ]
}

/// A palm or back with spread fingers.
pub(super) fn open_palm(rng: &mut impl RngExt) -> Hand {
    let out = rng.random_range(-0.06..0.08);
    let thumb = Limb::new(&[
        [-0.16, 0.42, 0.22],
        [-0.42, 0.18, 0.18],
        [-0.68 - out, -0.08, 0.135],
        [-0.82 - 1.5 * out, -0.30, 0.105],
    ]);
    let spread = rng.random_range(0.85..1.25);
    let parts = straight_hand(rng, spread, thumb);
    upright(parts, rng)
}

/// Closed fingers, up or to the side, as for "stop" or "this way".
pub(super) fn flat_hand(rng: &mut impl RngExt) -> Hand {
    let thumb = Limb::new(&[
        [-0.18, 0.44, 0.20],
        [-0.38, 0.20, 0.17],
        [-0.50, -0.06, 0.13],
        [-0.50, -0.30, 0.105],
    ]);
    let parts = straight_hand(rng, 0.0, thumb);
    let turn_degrees = if rng.random_bool(0.5) { 0.0 } else { 80.0 };
    Hand {
        turn_degrees,
        ..upright(parts, rng)
    }
}

/// The index and middle finger extended and spread, the others folded under the thumb.
pub(super) fn victory(rng: &mut impl RngExt) -> Hand {
    let mut parts = vec![upright_palm()];
    for (finger, spread) in [(0, 1.0), (1, -2.6)] {
        let finger = straight_finger(finger, spread);
        parts.push(Part::Body(finger.clone()));
        parts.extend(finger_creases(&finger));
    }
    for [x, top, bottom, radius] in [[0.34, -0.16, 0.10, 0.112], [0.115, -0.22, 0.10, 0.125]] {
        let finger = Limb::new(&[[x, top, radius], [x - 0.03, bottom, radius * 0.92]]);
        parts.push(Part::Over(finger.clone()));
        parts.push(Part::Crease(finger.across(0.4, 0.5, 0.2)));
    }
    let thumb = Limb::new(&[
        [-0.26, 0.46, 0.20],
        [-0.30, 0.20, 0.175],
        [-0.06, 0.04, 0.14],
        [0.18, 0.06, 0.115],
    ]);
    parts.push(Part::Over(thumb.clone()));
    parts.push(Part::Cover(Limb::new(&[
        [-0.20, 0.58, 0.20],
        [-0.24, 0.42, 0.19],
    ])));
    parts.push(finger_nail(&thumb));
    upright(parts, rng)
}
