//! Where the inputs of the trained layers come from: from memory, or anew from the files.

use rand::Rng;
use rand::seq::SliceRandom;
use tch::{Device, Tensor};

use super::TrainingError;
use super::features::{Copies, Examples, LabelledFile, forward_frozen, inputs_of_copies};
use crate::network::torch::TorchModule;

/// Inputs of the trained layers. An example is a frame's number and that of its copy, where 0 is the frame itself.
pub enum Source<'a> {
    /// The frozen layers' features lie in memory, of each frame and its copies.
    Computed(&'a Examples),
    /// Images are read, changed and sent through the frozen layers, where there are any, each time: every round sees new copies.
    Fresh {
        /// The frames' files.
        files: &'a [LabelledFile],
        /// How the copies are changed; their count is that of the rounds.
        copies: Copies,
        /// The frozen layers.
        frozen: TorchModule,
        /// Where it is computed.
        device: Device,
    },
}

impl Source<'_> {
    /// The examples of one round over some frames, in random order.
    pub fn picks(&self, frames: &[usize], epoch: u32, rng: &mut impl Rng) -> Vec<(usize, usize)> {
        let mut picks: Vec<(usize, usize)> = match self {
            Source::Computed(examples) => frames
                .iter()
                .flat_map(|&frame| (0..=examples.copies).map(move |copy| (frame, copy)))
                .collect(),
            Source::Fresh { .. } => frames.iter().map(|&frame| (frame, epoch as usize)).collect(),
        };
        picks.shuffle(rng);
        picks
    }

    /// The inputs of some examples.
    ///
    /// # Errors
    /// libtorch's word; a frame that is no image any more.
    pub fn batch(&self, picks: &[(usize, usize)]) -> Result<Tensor, TrainingError> {
        match self {
            Source::Computed(examples) => Ok(examples.rows_of(picks.iter().copied())?),
            Source::Fresh {
                files,
                copies,
                frozen,
                device,
            } => {
                let picks: Vec<(&LabelledFile, usize)> =
                    picks.iter().map(|&(frame, copy)| (&files[frame], copy)).collect();
                let inputs = inputs_of_copies(&picks, *copies)?;
                Ok(forward_frozen(frozen, &inputs, *device)?)
            }
        }
    }
}
