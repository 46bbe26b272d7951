//! The options of a training.

use std::path::PathBuf;

use super::strategy::{Optimizer, Recipe, Schedule, Strategy};
use crate::dataset::augment::Level;

/// The options of a training; an option that is `None` is derived from the dataset.
#[derive(Clone, Debug)]
pub struct TrainingOptions {
    /// The architecture, one of [`crate::network::Network::NAMES`].
    pub network: String,
    /// Which layers are trained; `None` for `auto`.
    pub strategy: Option<Strategy>,
    /// Deviations from the strategy's default recipe.
    pub overrides: Overrides,
    /// Number of folds of the cross-validation, at most [`TrainingOptions::MAX_FOLDS`]; 0 and 1 hold out a fifth of the frames once.
    pub folds: Option<usize>,
    /// The same seed, frames and machine give the same model.
    pub seed: u64,
    /// Rotation of the camera around its optical axis in degrees, clockwise as seen from behind it, for landmarks.
    pub camera_roll_deg: f32,
    /// Safetensors file with the pretrained weights; `None` for the imported or installed ones.
    pub pretrained: Option<PathBuf>,
    /// Train without the labels that have no usable image, instead of failing.
    pub skip_empty_labels: bool,
    /// When the new model is promoted.
    pub promotion: Promotion,
}

/// When a new model becomes the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// If it is at least as good as the active model on the same frames.
    IfNoWorse,
    /// Always; the comparison with the active model is only reported.
    Forced,
    /// Never; the models are not compared.
    Never,
}

/// Deviations from the default recipe of a strategy; [`Recipe`] describes the fields.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The optimizer.
    pub optimizer: Option<Optimizer>,
    /// The initial learning rate, above 0.
    pub learning_rate: Option<f64>,
    /// The weight decay, at least 0.
    pub weight_decay: Option<f64>,
    /// The learning rate schedule.
    pub schedule: Option<Schedule>,
    /// The maximum number of epochs, 0 to [`TrainingOptions::MAX_EPOCHS`].
    pub epochs: Option<u32>,
    /// Number of examples per optimizer step, at least 1.
    pub batch_size: Option<usize>,
    /// Number of epochs without a lower validation loss after which the training stops; 0 disables early stopping.
    pub patience: Option<u32>,
    /// How strongly augmented copies differ from their frame.
    pub augmentation: Option<Level>,
    /// Number of augmented copies of each frame, at most [`TrainingOptions::MAX_COPIES`].
    pub copies: Option<usize>,
    /// Whether all labels have the same weight in the loss, whatever their numbers of frames.
    pub has_class_weights: Option<bool>,
}

impl TrainingOptions {
    /// Maximum of [`Overrides::epochs`].
    pub const MAX_EPOCHS: u32 = 1000;
    /// Maximum of [`Overrides::copies`].
    pub const MAX_COPIES: usize = 64;
    /// Maximum of [`TrainingOptions::folds`].
    pub const MAX_FOLDS: usize = 20;

    /// The recipe of a strategy for a dataset of `frames` frames, with the overrides applied.
    pub(super) fn recipe(&self, strategy: Strategy, frames: usize) -> Recipe {
        let default = Recipe::new(strategy, frames);
        let overrides = &self.overrides;
        let augmentation = overrides.augmentation.unwrap_or(default.augmentation);
        let copies = match augmentation {
            Level::Off => 0,
            _ => overrides.copies.unwrap_or(default.copies),
        };
        Recipe {
            strategy,
            optimizer: overrides.optimizer.unwrap_or(default.optimizer),
            learning_rate: overrides.learning_rate.unwrap_or(default.learning_rate),
            weight_decay: overrides.weight_decay.unwrap_or(default.weight_decay),
            schedule: overrides.schedule.unwrap_or(default.schedule),
            epochs: overrides.epochs.unwrap_or(default.epochs),
            batch_size: overrides.batch_size.unwrap_or(default.batch_size),
            patience: match overrides.patience {
                None => default.patience,
                Some(0) => None,
                Some(patience) => Some(patience),
            },
            augmentation,
            copies,
            has_class_weights: overrides.has_class_weights.unwrap_or(default.has_class_weights),
        }
    }
}
