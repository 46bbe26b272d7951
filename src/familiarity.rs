//! How much a frame resembles those that a model was trained on, by the inputs of the network's last layer.
//!
//! The network of a model gives every image a label, also one of another room, of which it knows nothing. Therefore a model remembers a
//! sketch of each training frame; `docs/concepts/familiarity.md` has the measurements behind the constants.

mod file;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Maximum number of training frames that are remembered.
pub(crate) const MAX_FRAMES: usize = 500;
/// Number of values of a sketch.
const VALUES: usize = 256;
/// Share of the held-out frames that are not to be unfamiliar.
const FAMILIAR_SHARE: f64 = 0.98;
/// Minimum of [`Familiarity::distance`]: between the largest distance of frames of the same room, and the smallest one of frames whose
/// changes make the network wrong.
const MIN_DISTANCE: f32 = 0.2;

/// The features of one frame, reduced to [`VALUES`] values whose angles are about those between the features themselves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sketch {
    /// Scaled so that the largest magnitude is 127.
    values: [i8; VALUES],
    norm: f32,
}

/// Reduces features to sketches, by a count sketch: each feature is added to one of the sketch's values, or subtracted from it (Charikar,
/// Chen and Farach-Colton, "Finding frequent items in data streams", 2002; Weinberger et al., "Feature hashing for large scale multitask
/// learning", arXiv:0902.2206).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sketcher {
    /// For each feature the index of the sketch's value, and whether it is subtracted.
    places: Vec<(u8, bool)>,
}

/// What a model remembers of its training frames.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Familiarity {
    sketcher: Sketcher,
    frames: Vec<Sketch>,
    /// Distance from the nearest frame at which the familiarity is one half, 0 to 2.
    distance: f32,
}

/// Where a training frame is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Number of its burst.
    pub(crate) burst: usize,
    /// Number of its scene.
    pub(crate) scene: usize,
}

/// How familiar the training frames are without those of their own burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldOutFamiliarity {
    /// Number of frames that are remembered.
    pub(crate) frames: usize,
    /// Number of these that would be unfamiliar.
    pub(crate) unfamiliar: usize,
}

impl Sketcher {
    /// For frames with this number of features. The same number gives the same sketches, now and later, because they are stored.
    pub(crate) fn new(features: usize) -> Sketcher {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let place = |_: usize| {
            let [value, sign, ..] = rng.next_u32().to_le_bytes();
            (value, sign % 2 == 1)
        };
        Sketcher {
            places: (0..features).map(place).collect(),
        }
    }

    /// Number of features of a frame.
    pub(crate) fn features(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn sketch(&self, features: &[f32]) -> Sketch {
        let mut sums = [0.0f32; VALUES];
        for (feature, (value, is_subtracted)) in features.iter().zip(&self.places) {
            sums[usize::from(*value)] += if *is_subtracted { -feature } else { *feature };
        }
        let largest = sums.iter().fold(0.0f32, |largest, sum| largest.max(sum.abs()));
        let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        Sketch::new(sums.map(|sum| (sum * scale).round() as i8))
    }
}

impl Sketch {
    fn new(values: [i8; VALUES]) -> Sketch {
        let square = |value: &i8| i32::from(*value) * i32::from(*value);
        let norm = (values.iter().map(square).sum::<i32>() as f32).sqrt();
        Sketch { values, norm }
    }

    /// 1 minus the cosine of the angle between two sketches: 0 to 2; 1 if one of them is all zero.
    fn distance(&self, other: &Sketch) -> f32 {
        let pairs = self.values.iter().zip(&other.values);
        let product: i32 = pairs.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        let norms = self.norm * other.norm;
        if norms > 0.0 {
            1.0 - product as f32 / norms
        } else {
            1.0
        }
    }
}

impl Familiarity {
    /// The familiarity with at most [`MAX_FRAMES`] frames.
    ///
    /// The distance at which a frame becomes unfamiliar is that within which [`FAMILIAR_SHARE`] of the frames find one of another burst of
    /// their scene. Other scenes do not count: a dataset of some rooms is no reason to know the next one. Only if most frames are the only
    /// burst of their scene, so that the dataset shows ever new ones, it is the distance to any other burst.
    pub(crate) fn new(
        sketcher: Sketcher,
        frames: Vec<(Sketch, Origin)>,
    ) -> (Familiarity, HeldOutFamiliarity) {
        let mut held_out = distances(&frames, |a, b| a.scene == b.scene && a.burst != b.burst);
        if 2 * held_out.len() < frames.len() {
            held_out = distances(&frames, |a, b| a.burst != b.burst);
        }
        held_out.sort_by(f32::total_cmp);
        let last_familiar = (FAMILIAR_SHARE * held_out.len() as f64).ceil() as usize;
        let distance = last_familiar.checked_sub(1).map_or(0.0, |last| held_out[last]);
        let familiarity = Familiarity {
            sketcher,
            frames: frames.into_iter().map(|(sketch, _)| sketch).collect(),
            distance: distance.max(MIN_DISTANCE),
        };
        let is_unfamiliar = |distance: &&f32| **distance > familiarity.distance;
        let held_out = HeldOutFamiliarity {
            frames: familiarity.frames.len(),
            unfamiliar: held_out.iter().filter(is_unfamiliar).count(),
        };
        (familiarity, held_out)
    }

    /// Number of features of a frame.
    pub(crate) fn features(&self) -> usize {
        self.sketcher.features()
    }

    pub(crate) fn sketcher(&self) -> &Sketcher {
        &self.sketcher
    }

    /// The familiarity of a frame, 0 to 1: 0.5^(distance from the nearest training frame / the learned distance), so that it is 1 for a
    /// training frame itself and falls below 0.5 beyond the learned distance.
    pub(crate) fn of(&self, features: &[f32]) -> f32 {
        self.of_sketch(&self.sketcher.sketch(features))
    }

    /// As [`Familiarity::of`], for the sketch of the frame's features.
    pub(crate) fn of_sketch(&self, sketch: &Sketch) -> f32 {
        let distances = self.frames.iter().map(|frame| frame.distance(sketch));
        let nearest = distances.fold(f32::INFINITY, f32::min).max(0.0);
        0.5f32.powf(nearest / self.distance)
    }
}

/// The distance of each frame from the nearest one whose origin is comparable; frames without such a one are left out.
fn distances(frames: &[(Sketch, Origin)], is_comparable: impl Fn(&Origin, &Origin) -> bool) -> Vec<f32> {
    let nearest = |(sketch, origin): &(Sketch, Origin)| {
        let others = frames.iter().filter(|(_, other)| is_comparable(origin, other));
        let distances = others.map(|(other, _)| sketch.distance(other));
        distances.reduce(f32::min)
    };
    frames.iter().filter_map(nearest).collect()
}

#[cfg(test)]
mod tests;
