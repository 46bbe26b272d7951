//! What a training makes of frames that it was not trained on, fold by fold.

use super::TrainingError;
use super::fit::Fit;
use super::progress::FoldEpoch;
use super::report::{Curve, FoldResult};
use crate::dataset::split::Fold;
use crate::probability::argmax;

/// What came of all folds.
#[derive(Debug, Default)]
pub struct Measured {
    /// Each held-out frame with the logits of the training without it, fold by fold.
    pub logits: Vec<(usize, Vec<f32>)>,
    /// How each fold's training went.
    pub curves: Vec<Curve>,
    /// How each fold did.
    pub folds: Vec<FoldResult>,
    /// After how many rounds the trainings were at their best, the mean over all folds.
    pub epochs: u32,
}

impl Measured {
    /// Share of the held-out frames that were recognised, 0 to 1; none where none were held out.
    pub fn accuracy(&self) -> Option<f64> {
        let frames: usize = self.folds.iter().map(|fold| fold.frames).sum();
        let correct: usize = self.folds.iter().map(|fold| fold.correct).sum();
        (frames > 0).then(|| correct as f64 / frames as f64)
    }
}

/// Trains once for each fold, and classifies what the fold holds out.
///
/// # Errors
/// As [`Fit::run`].
pub fn measure(
    fit: &Fit,
    folds: &[Fold],
    mut on_epoch: impl FnMut(FoldEpoch),
) -> Result<Measured, TrainingError> {
    let mut measured = Measured::default();
    let mut epochs = Vec::new();
    for (number, fold) in folds.iter().enumerate() {
        let mut points = Vec::new();
        let fitted = fit.run(&fold.train, &fold.validation, fit.recipe.epochs, |point| {
            points.push(point);
            on_epoch(FoldEpoch {
                strategy: fit.recipe.strategy,
                fold: number,
                folds: folds.len(),
                epochs: fit.recipe.epochs,
                point,
            });
        })?;
        let logits = fit.logits(&fitted.module, &fold.validation)?;
        let pairs = fold.validation.iter().zip(&logits);
        let correct = pairs
            .filter(|(frame, logits)| argmax(logits) == fit.labels[**frame])
            .count();
        let frames = fold.validation.len();
        measured.folds.push(FoldResult {
            fold: number,
            frames,
            correct,
            accuracy: (frames > 0).then(|| correct as f64 / frames as f64),
        });
        measured.curves.push(Curve { fold: number, points });
        measured
            .logits
            .extend(fold.validation.iter().copied().zip(logits));
        epochs.push(fitted.epoch);
    }
    let total: u32 = epochs.iter().sum();
    measured.epochs = match epochs.len() {
        0 => fit.recipe.epochs,
        folds => (f64::from(total) / folds as f64).round() as u32,
    };
    Ok(measured)
}
