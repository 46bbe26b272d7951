//! Cross-validation: one training per fold, whose result classifies the frames that the fold holds out.

use super::trainer::Trainer;
use crate::dataset::split::Fold;
use crate::probability::argmax;
use crate::training::error::TrainingError;
use crate::training::progress::FoldEpoch;
use crate::training::report::{Curve, FoldResult};

/// The results of all folds.
#[derive(Debug, Default)]
pub(super) struct CrossValidation {
    /// In the order of the folds.
    pub(super) held_out: Vec<HeldOutFrame>,
    pub(super) curves: Vec<Curve>,
    /// Of the network alone.
    pub(super) folds: Vec<FoldResult>,
    /// Number of epochs for the final training: the mean over the folds of the best epoch, rounded.
    pub(super) epochs: u32,
}

/// A frame with the logits from a training without it.
#[derive(Clone, Debug)]
pub(super) struct HeldOutFrame {
    /// Index of the frame.
    pub(super) frame: usize,
    pub(super) logits: Vec<f32>,
}

impl CrossValidation {
    /// The share of the held-out frames that were classified correctly, 0 to 1; `None` without held-out frames.
    pub(super) fn accuracy(&self) -> Option<f64> {
        let frames: usize = self.folds.iter().map(|fold| fold.frames).sum();
        let correct: usize = self.folds.iter().map(|fold| fold.correct).sum();
        (frames > 0).then(|| correct as f64 / frames as f64)
    }
}

/// Trains once per fold and classifies the frames that the fold holds out.
///
/// # Errors
/// As [`Trainer::train`].
pub(super) fn cross_validate(
    trainer: &Trainer,
    folds: &[Fold],
    mut on_epoch: impl FnMut(FoldEpoch),
) -> Result<CrossValidation, TrainingError> {
    let recipe = &trainer.recipe;
    let mut result = CrossValidation::default();
    let mut total_epochs = 0;
    for (number, fold) in folds.iter().enumerate() {
        let mut points = Vec::new();
        let trained = trainer.train(&fold.train, &fold.validation, recipe.epochs, |point| {
            points.push(point);
            on_epoch(FoldEpoch {
                strategy: recipe.strategy,
                fold: number,
                folds: folds.len(),
                epochs: recipe.epochs,
                point,
            });
        })?;
        let logits = trainer.logits(&trained.module, &fold.validation)?;
        let held_out: Vec<HeldOutFrame> = std::iter::zip(&fold.validation, logits)
            .map(|(&frame, logits)| HeldOutFrame { frame, logits })
            .collect();
        let is_correct =
            |held_out: &&HeldOutFrame| argmax(&held_out.logits) == trainer.label_indices[held_out.frame];
        let correct = held_out.iter().filter(is_correct).count();
        result
            .folds
            .push(FoldResult::new(number, held_out.len(), correct));
        result.curves.push(Curve { fold: number, points });
        result.held_out.extend(held_out);
        total_epochs += trained.epoch;
    }
    result.epochs = match folds.len() {
        0 => recipe.epochs,
        folds => (f64::from(total_epochs) / folds as f64).round() as u32,
    };
    Ok(result)
}
