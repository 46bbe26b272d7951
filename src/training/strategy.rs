//! How much of a network is trained, and how: the four cases of transfer learning, and what is right for each.
//!
//! The figures behind the defaults are in docs/training.md.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, VariantNames};

use crate::dataset::augment::Level;
use crate::network::Network;

/// What of the pretrained network is trained; the rest stays frozen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumIter, EnumString, VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Strategy {
    /// The last layer: few frames, like ImageNet's.
    LastLayer,
    /// All of the classifier behind the features: few frames, unlike ImageNet's.
    Classifier,
    /// The late feature layers and what is behind them: many frames, like ImageNet's.
    LateLayers,
    /// Everything, from the pretrained start: many frames, unlike ImageNet's.
    Full,
}

/// How the weights follow the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum 0.9, as JetBot's notebooks have it.
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101).
    AdamW,
}

/// How the learning rate goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to zero along half a cosine (Loshchilov and Hutter, arXiv:1608.03983, without restarts).
    Cosine,
}

/// All that decides how a strategy is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// What is trained.
    pub strategy: Strategy,
    /// How the weights follow the gradient.
    pub optimizer: Optimizer,
    /// At the beginning.
    pub learning_rate: f64,
    /// Share of each weight that decays away a step, times the learning rate.
    pub weight_decay: f64,
    /// How the learning rate goes on.
    pub schedule: Schedule,
    /// The most rounds over all examples.
    pub epochs: u32,
    /// Examples a step.
    pub batch_size: usize,
    /// Rounds without a better validation loss after which it ends; none to go through all rounds.
    pub patience: Option<u32>,
    /// How much the copies of a frame are changed.
    pub augmentation: Level,
    /// Augmented copies of each frame, beside the frame itself.
    pub copies: usize,
    /// Whether a label with few frames counts as much as one with many.
    pub has_class_weights: bool,
}

impl Strategy {
    /// How many of the network's layers stay frozen.
    pub fn frozen_layers(self, network: &Network) -> usize {
        match self {
            Strategy::LastLayer => network.last_layer(),
            Strategy::Classifier => network.feature_layers,
            Strategy::LateLayers => network.early_layers,
            Strategy::Full => 0,
        }
    }
}

impl Schedule {
    /// What the learning rate is multiplied by after a share of all steps, 0 to 1.
    pub fn factor(self, done: f64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        }
    }
}

impl Recipe {
    /// What is right for a strategy on so many frames, by measurement.
    pub fn new(strategy: Strategy, frames: usize) -> Recipe {
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
            copies: copies(frames, 1600),
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
            // Each round sees other copies.
            Strategy::Full => Recipe {
                learning_rate: 3e-5,
                epochs: 8,
                copies: 0,
                ..deeper
            },
        }
    }
}

/// Many copies of few frames, few of many, so that there are about so many examples in all.
fn copies(frames: usize, examples: usize) -> usize {
    (examples / frames.max(1)).saturating_sub(1).clamp(1, 8)
}
