//! Whether a frame resembles those that a model was trained on, by thumbnails.
//!
//! The network of a model gives every image a label, also one of another room, of which it knows nothing.

use crate::dataset::fingerprint::{PIXELS, Thumbnail};
use crate::dataset::sample::evenly_spaced;
use crate::weights::{Initialization, ParameterSpec, Tensor, Weights, WeightsError};

/// Maximum number of training frames that a frame is compared with.
const MAX_THUMBNAILS: usize = 500;
/// How much farther from all training frames a familiar frame may be than any of these is from other bursts.
const MARGIN: f32 = 1.5;
/// Minimum of the distance up to which a frame is familiar, in gray levels: [`Thumbnail`] has the distances between bursts in one room.
const MIN_DISTANCE: f32 = 16.0;
/// Names of the tensors.
const THUMBNAILS: &str = "familiarity.thumbnails";
const MAX_DISTANCE: &str = "familiarity.max_distance";

/// Thumbnails of training frames, and how far from them a frame may be, in gray levels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Familiarity {
    thumbnails: Vec<Thumbnail>,
    max_distance: f32,
}

impl Familiarity {
    /// The familiarity with frames, each of which is given with the number of its burst.
    pub(crate) fn new(frames: &[(Thumbnail, usize)]) -> Familiarity {
        let frames = evenly_spaced(frames, MAX_THUMBNAILS);
        let nearest = |(thumbnail, burst): &(Thumbnail, usize)| {
            let others = frames.iter().filter(|(_, other)| other != burst);
            others
                .map(|(other, _)| thumbnail.distance(other))
                .reduce(f32::min)
        };
        let distances = frames.iter().filter_map(|frame| nearest(frame));
        let farthest = distances.fold(0.0, f32::max);
        Familiarity {
            max_distance: (MARGIN * farthest).max(MIN_DISTANCE),
            thumbnails: frames.iter().map(|(thumbnail, _)| thumbnail.clone()).collect(),
        }
    }

    /// Whether a training frame looks about like this.
    pub(crate) fn includes(&self, thumbnail: &Thumbnail) -> bool {
        let mut known = self.thumbnails.iter();
        known.any(|known| known.distance(thumbnail) <= self.max_distance)
    }

    /// The tensors in which it is saved.
    pub(crate) fn to_weights(&self) -> Weights {
        let levels = self.thumbnails.iter().flat_map(|thumbnail| thumbnail.levels);
        let mut weights = Weights::default();
        let thumbnails = Tensor {
            shape: vec![self.thumbnails.len(), PIXELS],
            values: levels.map(f32::from).collect(),
        };
        let max_distance = Tensor {
            shape: vec![1],
            values: vec![self.max_distance],
        };
        weights.insert(THUMBNAILS.to_owned(), thumbnails);
        weights.insert(MAX_DISTANCE.to_owned(), max_distance);
        weights
    }

    /// What [`Familiarity::to_weights`] has saved.
    ///
    /// # Errors
    /// A tensor is missing or has the wrong shape.
    pub(crate) fn from_weights(weights: &Weights) -> Result<Familiarity, WeightsError> {
        let count = weights
            .shape(THUMBNAILS)
            .and_then(|shape| shape.first().copied())
            .unwrap_or(0);
        let values = |name: &str, shape: Vec<usize>| {
            let parameter = ParameterSpec {
                name: name.to_owned(),
                shape,
                initialization: Initialization::Constant(0.0),
                is_trainable: false,
            };
            Ok::<_, WeightsError>(weights.get(&parameter)?.values.clone())
        };
        let levels = values(THUMBNAILS, vec![count, PIXELS])?;
        let thumbnail = |levels: &[f32]| Thumbnail {
            levels: std::array::from_fn(|pixel| levels[pixel] as u8),
        };
        Ok(Familiarity {
            thumbnails: levels.chunks_exact(PIXELS).map(thumbnail).collect(),
            max_distance: values(MAX_DISTANCE, vec![1])?[0],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thumbnail(level: u8) -> Thumbnail {
        Thumbnail {
            levels: [level; PIXELS],
        }
    }

    #[test]
    fn frame_is_familiar_if_it_is_hardly_farther_away_than_another_burst() {
        // The bursts are at least 20 gray levels apart.
        let frames = [(thumbnail(100), 0), (thumbnail(105), 0), (thumbnail(125), 1)];
        let familiarity = Familiarity::new(&frames);
        // 100 is 25 away from the other burst; 1.5 times as far is familiar.
        assert!(familiarity.includes(&thumbnail(125 + 37)));
        assert!(!familiarity.includes(&thumbnail(125 + 38)));
        assert!(familiarity.includes(&thumbnail(100 - 37)));
    }

    #[test]
    fn bursts_that_look_alike_leave_some_room_for_others() {
        let familiarity = Familiarity::new(&[(thumbnail(100), 0), (thumbnail(100), 1)]);
        assert!(familiarity.includes(&thumbnail(116)) && !familiarity.includes(&thumbnail(117)));
        let single = Familiarity::new(&[(thumbnail(100), 0)]);
        assert!(single.includes(&thumbnail(116)) && !single.includes(&thumbnail(117)));
    }

    #[test]
    fn saved_familiarity_is_the_same() {
        let familiarity = Familiarity::new(&[(thumbnail(7), 0), (thumbnail(255), 1)]);
        let read = Familiarity::from_weights(&familiarity.to_weights());
        assert_eq!(read.expect("reads"), familiarity);
        assert!(Familiarity::from_weights(&Weights::default()).is_err());
    }
}
