//! Fourth stage: the final training, with all frames.

use super::error::TrainingError;
use super::prepare::PreparedDataset;
use super::progress::Progress;
use super::select::Candidate;
use crate::network::Network;
use crate::weights::Weights;

/// The network of the new model.
pub(super) struct TrainedModel {
    pub(super) network: Network,
    /// All weights of the network.
    pub(super) weights: Weights,
    /// The logits of each frame, by its index.
    pub(super) logits: Vec<Vec<f32>>,
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
    Ok(TrainedModel {
        network: plan.network.clone(),
        weights: plan.weights(trainer.pretrained, &trained.module.weights()?)?,
        logits: trainer.logits(&trained.module, &all_frames)?,
    })
}
