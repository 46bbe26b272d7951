//! The inputs of the trained layers: features in memory, or computed from the image files for each batch.

use rand::Rng;
use rand::seq::SliceRandom;
use tch::{Device, Tensor};

use super::copies::Copies;
use super::features::{Features, LabeledFile, forward_frozen, inputs_of_copies};
use crate::network::torch::TorchModule;
use crate::training::error::TrainingError;

/// The inputs of the trained layers. An example is a pair (frame, copy); copy 0 is the frame itself.
pub(super) enum Source<'a> {
    /// The features of all frames and their copies are in memory.
    Features(Features),
    /// Each batch is read, augmented and sent through the frozen layers, if any; each epoch sees other copies.
    Files {
        files: &'a [LabeledFile],
        /// The count is not used: the number of a copy is that of the epoch.
        copies: Copies,
        frozen: TorchModule,
        device: Device,
    },
}

impl Source<'_> {
    /// The examples of an epoch over some frames, in random order.
    pub(super) fn examples(&self, frames: &[usize], epoch: u32, rng: &mut impl Rng) -> Vec<(usize, usize)> {
        let mut examples: Vec<(usize, usize)> = match self {
            Source::Features(features) => frames
                .iter()
                .flat_map(|&frame| (0..=features.copies()).map(move |copy| (frame, copy)))
                .collect(),
            Source::Files { .. } => frames.iter().map(|&frame| (frame, epoch as usize)).collect(),
        };
        examples.shuffle(rng);
        examples
    }

    /// The inputs of some examples, one row each.
    ///
    /// # Errors
    /// libtorch reported an error, or a file cannot be read anymore.
    pub(super) fn batch(&self, examples: &[(usize, usize)]) -> Result<Tensor, TrainingError> {
        match self {
            Source::Features(features) => Ok(features.rows_of(examples.iter().copied())?),
            Source::Files {
                files,
                copies,
                frozen,
                device,
            } => {
                let examples: Vec<(&LabeledFile, usize)> = examples
                    .iter()
                    .map(|&(frame, copy)| (&files[frame], copy))
                    .collect();
                let inputs = inputs_of_copies(&examples, *copies)?;
                Ok(forward_frozen(frozen, &inputs, *device)?)
            }
        }
    }
}
