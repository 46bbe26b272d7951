//! Strategies: which layers of a pretrained network are trained, and the default recipe for each.
//!
//! docs/concepts/training.md has the measurements behind the defaults.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, VariantNames};

use crate::dataset::augment::Level;
use crate::network::Network;

/// Which layers of the pretrained network are trained; the others stay frozen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumIter, EnumString, VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Strategy {
    /// The last layer: for few frames that resemble ImageNet.
    LastLayer,
    /// The classifier, that is all layers after the feature layers: for few frames that do not resemble ImageNet.
    Classifier,
    /// The late feature layers and the classifier: for many frames that resemble ImageNet.
    LateLayers,
    /// All layers: for many frames that do not resemble ImageNet.
    Full,
}

/// The optimization algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum 0.9, as in JetBot's notebooks.
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101).
    AdamW,
}

/// The learning rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
pub enum Schedule {
    /// The initial learning rate in every epoch.
    Constant,
    /// From the initial learning rate to zero along half a cosine (Loshchilov and Hutter, arXiv:1608.03983, without restarts).
    Cosine,
}

/// The hyperparameters of a strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Recipe {
    pub(super) strategy: Strategy,
    pub(super) optimizer: Optimizer,
    /// The initial learning rate.
    pub(super) learning_rate: f64,
    /// Fraction of each weight that decays per step, times the learning rate.
    pub(super) weight_decay: f64,
    pub(super) schedule: Schedule,
    /// The maximum number of epochs.
    pub(super) epochs: u32,
    /// Number of examples per optimizer step.
    pub(super) batch_size: usize,
    /// Number of epochs without a lower validation loss after which the training stops; `None` for no early stopping.
    pub(super) patience: Option<u32>,
    /// How strongly augmented copies differ from their frame.
    pub(super) augmentation: Level,
    /// Number of augmented copies of each frame, not counting the frame itself.
    pub(super) copies: usize,
    /// Whether all labels have the same weight in the loss, whatever their numbers of frames.
    pub(super) has_class_weights: bool,
}

impl Strategy {
    /// Number of frozen layers; the ones after them are trained.
    pub(super) fn frozen_layers(self, network: &Network) -> usize {
        match self {
            Strategy::LastLayer => network.last_layer(),
            Strategy::Classifier => network.feature_layers,
            Strategy::LateLayers => network.early_layers,
            Strategy::Full => 0,
        }
    }
}

impl Schedule {
    /// The factor of the learning rate after a fraction of the training, 0 to 1.
    pub(super) fn factor(self, done: f64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        }
    }
}

impl Recipe {
    /// The default recipe of a strategy for a dataset of `frames` frames.
    pub(super) fn new(strategy: Strategy, frames: usize) -> Recipe {
        let last_layer = Recipe {
            strategy,
            optimizer: Optimizer::Sgd,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            schedule: Schedule::Cosine,
            epochs: 5,
            batch_size: 32,
            patience: None,
            augmentation: Level::Light,
            copies: copies_for(frames),
            has_class_weights: true,
        };
        let deeper = Recipe {
            optimizer: Optimizer::AdamW,
            learning_rate: 1e-4,
            epochs: 4,
            patience: Some(2),
            ..last_layer
        };
        match strategy {
            Strategy::LastLayer => last_layer,
            Strategy::LateLayers => deeper,
            Strategy::Classifier => Recipe { epochs: 10, ..deeper },
            // Each epoch sees other copies.
            Strategy::Full => Recipe {
                learning_rate: 3e-5,
                epochs: 8,
                copies: 0,
                ..deeper
            },
        }
    }
}

/// Number of copies per frame, 1 to 8, so that there are about 1600 examples in total.
fn copies_for(frames: usize) -> usize {
    const EXAMPLES: usize = 1600;
    (EXAMPLES / frames.max(1)).saturating_sub(1).clamp(1, 8)
}
