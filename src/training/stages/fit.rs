//! Fourth stage: the final training, with all frames.

use super::prepare::PreparedDataset;
use super::select::Candidate;
use super::trainer::Trainer;
use crate::dataset::sample::evenly_spaced;
use crate::familiarity::{Familiarity, HeldOutFamiliarity, MAX_FRAMES, Sketcher};
use crate::network::torch::TorchModule;
use crate::network::{Network, output_shape};
use crate::training::error::TrainingError;
use crate::training::progress::Progress;
use crate::weights::Weights;

/// The network of the new model.
pub(super) struct TrainedModel {
    pub(super) network: Network,
    /// All weights of the network.
    pub(super) weights: Weights,
    /// The logits of each frame, by its index.
    pub(super) logits: Vec<Vec<f32>>,
    pub(super) familiarity: Familiarity,
    pub(super) held_out_familiarity: HeldOutFamiliarity,
}

/// Trains the selected strategy on all frames, held-out ones included, for the number of epochs that the cross-validation found.
///
/// # Errors
/// libtorch reported an error, a frame cannot be read anymore, or the training diverged.
pub(super) fn fit(
    prepared: &PreparedDataset,
    selected: &Candidate,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<TrainedModel, TrainingError> {
    let (trainer, epochs) = (&selected.trainer, selected.validation.epochs);
    let all_frames = prepared.all_frames();
    let trained = trainer.train(&all_frames, &[], epochs, |point| {
        let epoch = point.epoch;
        on_progress(Progress::Refit { epoch, epochs });
    })?;
    let plan = &trainer.plan;
    let (familiarity, held_out_familiarity) = familiarity(prepared, trainer, &trained.module, &all_frames)?;
    Ok(TrainedModel {
        network: plan.network.clone(),
        weights: plan.weights(trainer.pretrained, &trained.module.weights()?)?,
        logits: trainer.logits(&trained.module, &all_frames)?,
        familiarity,
        held_out_familiarity,
    })
}

/// Remembers an evenly spaced sample of some frames.
pub(super) fn familiarity(
    prepared: &PreparedDataset,
    trainer: &Trainer,
    module: &TorchModule,
    frames: &[usize],
) -> Result<(Familiarity, HeldOutFamiliarity), TrainingError> {
    let network = &trainer.plan.network;
    let features = output_shape(&network.layers[..network.last_layer()], Network::INPUT);
    let sketcher = Sketcher::new(features.value_count());
    let frames: Vec<usize> = evenly_spaced(frames, MAX_FRAMES).into_iter().copied().collect();
    let sketches = trainer.sketches(module, &frames, &sketcher)?;
    let origins = prepared.origins();
    let origins = frames.iter().map(|&frame| origins[frame]);
    Ok(Familiarity::new(
        sketcher,
        sketches.into_iter().zip(origins).collect(),
    ))
}
