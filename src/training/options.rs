//! What can be chosen of a training.

use std::path::PathBuf;

use super::strategy::{Optimizer, Recipe, Schedule, Strategy};
use crate::dataset::augment::Level;

/// What can be chosen of a training; what is none is chosen by what there is to train on.
#[derive(Clone, Debug)]
pub struct TrainingOptions {
    /// The architecture, one of [`crate::network::Architecture`].
    pub network: String,
    /// What is trained; none to find out.
    pub strategy: Option<Strategy>,
    /// How, where it is not to be as the strategy has it.
    pub overrides: Overrides,
    /// Folds to measure by; 0 or 1 hold out a fifth once.
    pub folds: Option<usize>,
    /// The same seed, frames and machine give the same model.
    pub seed: u64,
    /// Safetensors file with the pretrained weights.
    pub pretrained: Option<PathBuf>,
    /// Whether and how the new model is compared with the active one.
    pub gate: Gate,
}

/// What a new model must show to become the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// That it is no worse than the active one.
    NoWorse,
    /// Nothing: it is compared, and takes the place in any case.
    Forced,
    /// Nobody asks; it will not become the active one.
    Closed,
}

/// Where a training is not to be as its strategy has it; see [`Recipe`] for what each one means.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// How the weights follow the gradient.
    pub optimizer: Option<Optimizer>,
    /// The learning rate at the beginning, above 0.
    pub learning_rate: Option<f64>,
    /// The weight decay, 0 or more.
    pub weight_decay: Option<f64>,
    /// How the learning rate goes on.
    pub schedule: Option<Schedule>,
    /// The most rounds, 1 to [`TrainingOptions::MOST_EPOCHS`].
    pub epochs: Option<u32>,
    /// Examples a step, 1 or more.
    pub batch_size: Option<usize>,
    /// Rounds to wait for a better one; 0 to go through all rounds.
    pub patience: Option<u32>,
    /// How much copies are changed.
    pub augmentation: Option<Level>,
    /// Copies of each frame, at most [`TrainingOptions::MOST_COPIES`].
    pub copies: Option<usize>,
    /// Whether every frame counts the same, however many its label has.
    pub has_class_weights: Option<bool>,
}

impl TrainingOptions {
    /// The most epochs that make sense to ask for.
    pub const MOST_EPOCHS: u32 = 1000;
    /// The most augmented copies that make sense to ask for.
    pub const MOST_COPIES: usize = 64;
    /// The most folds that make sense to ask for.
    pub const MOST_FOLDS: usize = 20;

    /// How a strategy is carried out on so many frames.
    pub fn recipe(&self, strategy: Strategy, frames: usize) -> Recipe {
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
