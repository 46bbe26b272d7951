//! Second stage: the strategy, chosen by cross-validation unless it is given.

use std::path::Path;

use super::auto::{NextStep, after_last_layer, is_clearly_better};
use super::copies::Copies;
use super::cross_validation::{CrossValidation, cross_validate};
use super::features::Extractor;
use super::plan::Plan;
use super::prepare::{PreparedDataset, copies_of};
use super::pretrained::PretrainedNetwork;
use super::source::Source;
use super::stopwatch::Stopwatch;
use super::trainer::Trainer;
use crate::network::torch::TorchModule;
use crate::network::{self, Network};
use crate::training::error::TrainingError;
use crate::training::options::TrainingOptions;
use crate::training::progress::Progress;
use crate::training::strategy::{Recipe, Strategy};

/// Maximum size of the features in memory; larger ones are computed again in each epoch.
const MAX_FEATURE_BYTES: usize = 1 << 30;

/// A strategy with its cross-validation.
pub(super) struct Candidate<'a> {
    pub(super) trainer: Trainer<'a>,
    pub(super) validation: CrossValidation,
    /// Why this strategy was chosen.
    pub(super) reason: String,
}

/// Cross-validates the requested strategy; with `auto`, the last layer, and another strategy if the last layer is not good enough.
///
/// `store` is the directory of the model store, which has the feature cache.
///
/// # Errors
/// libtorch reported an error, a frame cannot be read anymore, or the training diverged.
pub(super) fn select<'a>(
    pretrained: &'a PretrainedNetwork,
    prepared: &'a PreparedDataset,
    options: &TrainingOptions,
    store: &Path,
    stopwatch: &mut Stopwatch,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Candidate<'a>, TrainingError> {
    let mut try_strategy = |strategy: Strategy, reason: String| -> Result<Candidate<'a>, TrainingError> {
        let recipe = options.recipe(strategy, prepared.len());
        let trainer = trainer(pretrained, prepared, recipe, options.seed, store, on_progress)?;
        stopwatch.lap("features");
        let validation = cross_validate(&trainer, &prepared.split.folds, |epoch| {
            on_progress(Progress::Epoch(epoch));
        })?;
        stopwatch.lap("measurement");
        Ok(Candidate {
            trainer,
            validation,
            reason,
        })
    };
    if let Some(strategy) = options.strategy {
        return try_strategy(strategy, "requested".to_owned());
    }
    let first = try_strategy(Strategy::LastLayer, String::new())?;
    match after_last_layer(first.validation.accuracy(), prepared.smallest_label()) {
        NextStep::Keep(reason) => Ok(Candidate { reason, ..first }),
        NextStep::Try(strategy, reason) => {
            let second = try_strategy(strategy, reason)?;
            Ok(better(first, second))
        }
    }
}

/// The second candidate if it is clearly better than the first, cheaper one; its reason has both accuracies.
fn better<'a>(first: Candidate<'a>, second: Candidate<'a>) -> Candidate<'a> {
    let accuracy = |candidate: &Candidate| candidate.validation.accuracy().unwrap_or(0.0);
    let (first_accuracy, second_accuracy) = (accuracy(&first), accuracy(&second));
    let reason = format!(
        "{}; accuracy {:.1} % with {}, {:.1} % with {}",
        second.reason,
        first_accuracy * 100.0,
        first.trainer.recipe.strategy,
        second_accuracy * 100.0,
        second.trainer.recipe.strategy,
    );
    let frames = first.validation.held_out.len();
    let better = if is_clearly_better(second_accuracy, first_accuracy, frames) {
        second
    } else {
        first
    };
    Candidate { reason, ..better }
}

fn trainer<'a>(
    pretrained: &'a PretrainedNetwork,
    prepared: &'a PreparedDataset,
    recipe: Recipe,
    seed: u64,
    store: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Trainer<'a>, TrainingError> {
    let plan = Plan::new(&pretrained.network, recipe.strategy, &pretrained.weights);
    let source = source(
        pretrained,
        prepared,
        &plan,
        copies_of(&recipe, seed),
        store,
        on_progress,
    )?;
    // The last layer alone is trained on the features from which its initial weights are computed.
    let features = match &source {
        Source::Features(features) if plan.frozen().len() == prepared.feature_layers => features.share(),
        _ => prepared.features.share(),
    };
    Ok(Trainer {
        source,
        plan,
        recipe,
        features,
        pretrained: &pretrained.weights,
        label_indices: &prepared.label_indices,
        label_count: prepared.labels.len(),
        seed,
        device: pretrained.device,
    })
}

/// The inputs of the plan's trained layers: features in memory, unless there are more than [`MAX_FEATURE_BYTES`].
fn source<'a>(
    pretrained: &'a PretrainedNetwork,
    prepared: &'a PreparedDataset,
    plan: &Plan,
    copies: Copies,
    store: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Source<'a>, TrainingError> {
    let (frozen, weights, device) = (plan.frozen(), &pretrained.weights, pretrained.device);
    if frozen.len() == prepared.feature_layers && copies == prepared.feature_copies {
        return Ok(Source::Features(prepared.features.share()));
    }
    let total = prepared.len();
    let row_values = network::output_shape(frozen, Network::INPUT).value_count();
    let bytes = total * (1 + copies.count) * row_values * size_of::<f32>();
    if frozen.is_empty() || bytes > MAX_FEATURE_BYTES {
        return Ok(Source::Files {
            files: &prepared.files,
            copies,
            frozen: TorchModule::with_weights(frozen, weights, device)?,
            device,
        });
    }
    let extractor = Extractor::new(frozen, weights, copies, &prepared.hands_key, store, device)?;
    let extraction = extractor.extract(&prepared.files, |done| {
        on_progress(Progress::Features { done, total });
    })?;
    match extraction.skipped.into_iter().next() {
        None => Ok(Source::Features(extraction.features)),
        Some((_, skipped)) => Err(TrainingError::FrameChanged(skipped)),
    }
}
