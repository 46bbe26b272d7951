//! Trains layers by gradient descent on the cross entropy, with early stopping.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::nn::OptimizerConfig;
use tch::{Device, Kind, Reduction, TchError, Tensor, nn};

use super::features::Features;
use super::linear::ridge;
use super::plan::Plan;
use super::source::Source;
use crate::familiarity::{Sketch, Sketcher};
use crate::network::Layer;
use crate::network::torch::{TorchError, TorchModule};
use crate::probability::argmax;
use crate::training::error::TrainingError;
use crate::training::report::Point;
use crate::training::strategy::{Optimizer, Recipe};
use crate::weights::Weights;

const MOMENTUM: f64 = 0.9;
/// Maximum number of examples for the ridge regression, whose system of equations grows with the square of this number.
const MAX_RIDGE_EXAMPLES: usize = 6000;
/// Number of frames whose logits are computed together.
const INFERENCE_BATCH: usize = 32;

/// Trains the layers of one plan by one recipe, on any subset of the frames.
pub(super) struct Trainer<'a> {
    pub(super) plan: Plan,
    pub(super) recipe: Recipe,
    /// The inputs of the trained layers.
    pub(super) source: Source<'a>,
    /// The inputs of the last layer before any training, from which its initial weights are computed.
    pub(super) features: Features,
    /// Initial weights, also of trained layers if they are pretrained.
    pub(super) pretrained: &'a Weights,
    /// The label index of each frame.
    pub(super) label_indices: &'a [usize],
    pub(super) label_count: usize,
    /// The same seed and frames give the same result.
    pub(super) seed: u64,
    pub(super) device: Device,
}

/// The trained layers with their weights.
pub(super) struct TrainedLayers {
    pub(super) module: TorchModule,
    /// The epoch that the weights are from; 0 before training.
    pub(super) epoch: u32,
}

impl Trainer<'_> {
    /// Trains on some frames for at most `epochs` epochs; `on_epoch` is called after each one.
    ///
    /// With validation frames and a recipe with patience, the result is that of the epoch with the lowest validation loss,
    /// where epoch 0 is the state before training.
    ///
    /// # Errors
    /// libtorch reported an error, such as too little memory; a frame cannot be read anymore; the training diverged.
    pub(super) fn train(
        &self,
        frames: &[usize],
        validation: &[usize],
        epochs: u32,
        mut on_epoch: impl FnMut(Point),
    ) -> Result<TrainedLayers, TrainingError> {
        tch::manual_seed(self.seed as i64);
        let module = self.initial_layers(frames)?;
        let mut optimizer = self.optimizer(&module)?;
        let class_weights = self.class_weights(frames)?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut early_stop = self
            .recipe
            .patience
            .filter(|_| !validation.is_empty())
            .map(EarlyStop::new);
        if let Some(early_stop) = &mut early_stop {
            let (loss, _) = self.validate(&module, validation)?;
            early_stop.observe(0, loss, &module)?;
        }
        for epoch in 1..=epochs {
            let done = f64::from(epoch - 1) / f64::from(self.recipe.epochs.max(1));
            optimizer.set_lr(self.recipe.learning_rate * self.recipe.schedule.factor(done));
            let examples = self.source.examples(frames, epoch, &mut rng);
            let train_loss = self.train_epoch(&module, &mut optimizer, &examples, &class_weights)?;
            let validated = match validation {
                [] => None,
                _ => Some(self.validate(&module, validation)?),
            };
            on_epoch(Point {
                epoch,
                train_loss,
                validation_loss: validated.map(|(loss, _)| loss),
                accuracy: validated.map(|(_, accuracy)| accuracy),
            });
            if let (Some((loss, _)), Some(early_stop)) = (validated, &mut early_stop) {
                early_stop.observe(epoch, loss, &module)?;
                if early_stop.is_exhausted(epoch) {
                    break;
                }
            }
        }
        let epoch = match early_stop {
            Some(early_stop) => early_stop.restore_best(&module)?.unwrap_or(epochs),
            None => epochs,
        };
        Ok(TrainedLayers { module, epoch })
    }

    /// The logits of some frames, not of their copies.
    ///
    /// # Errors
    /// libtorch reported an error, or a frame cannot be read anymore.
    pub(super) fn logits(
        &self,
        module: &TorchModule,
        frames: &[usize],
    ) -> Result<Vec<Vec<f32>>, TrainingError> {
        let mut logits = Vec::with_capacity(frames.len());
        for batch in frames.chunks(INFERENCE_BATCH) {
            let examples: Vec<(usize, usize)> = batch.iter().map(|&frame| (frame, 0)).collect();
            let inputs = self.source.batch(&examples)?;
            let outputs = tch::no_grad(|| module.forward(&inputs, false))?;
            let outputs: Vec<Vec<f32>> = outputs.f_to_device(Device::Cpu).and_then(Vec::try_from)?;
            logits.extend(outputs);
        }
        Ok(logits)
    }

    /// The sketches of some frames, for [`crate::familiarity`].
    ///
    /// # Errors
    /// libtorch reported an error, or a frame cannot be read anymore.
    pub(super) fn sketches(
        &self,
        module: &TorchModule,
        frames: &[usize],
        sketcher: &Sketcher,
    ) -> Result<Vec<Sketch>, TrainingError> {
        let mut sketches = Vec::with_capacity(frames.len());
        for batch in frames.chunks(INFERENCE_BATCH) {
            let examples: Vec<(usize, usize)> = batch.iter().map(|&frame| (frame, 0)).collect();
            let inputs = self.source.batch(&examples)?;
            let features = tch::no_grad(|| module.forward_first(self.plan.trained_before_last(), &inputs))?;
            let features: Vec<f32> = features
                .f_to_device(Device::Cpu)
                .and_then(|features| features.f_reshape([-1]))
                .and_then(Vec::try_from)?;
            let rows = features.chunks_exact(sketcher.features());
            sketches.extend(rows.map(|row| sketcher.sketch(row)));
        }
        Ok(sketches)
    }

    /// The trained layers before training: pretrained as far as possible, a linear last layer by ridge regression, the rest random.
    fn initial_layers(&self, frames: &[usize]) -> Result<TorchModule, TorchError> {
        let module = TorchModule::with_pretrained(self.plan.trained(), self.pretrained, self.device)?;
        let examples_per_frame = 1 + self.features.copies();
        let examples = frames.len() * examples_per_frame;
        let Some(last) = self
            .plan
            .last_linear()
            .filter(|last| self.are_inputs_of(last) && examples <= MAX_RIDGE_EXAMPLES)
        else {
            return Ok(module);
        };
        let rows = self.features.rows_with_copies(frames)?.f_flatten(1, -1)?;
        let labels: Vec<usize> = frames
            .iter()
            .flat_map(|&frame| std::iter::repeat_n(self.label_indices[frame], examples_per_frame))
            .collect();
        let label_weights = self.label_weights(frames);
        let weights: Vec<f64> = labels.iter().map(|&label| label_weights[label]).collect();
        let labels: Vec<i64> = labels.into_iter().map(|label| label as i64).collect();
        let values = ridge(&rows, &labels, &weights, self.label_count)?;
        let names = last.parameters().into_iter().map(|parameter| parameter.name);
        module.set(names.zip(values))?;
        Ok(module)
    }

    /// Whether the features are the inputs of the last layer; they are not if there are hidden layers in between.
    fn are_inputs_of(&self, last: &Layer) -> bool {
        last.parameters()[0].shape[1] as i64 == self.features.row_values()
    }

    fn optimizer(&self, module: &TorchModule) -> Result<nn::Optimizer, TorchError> {
        let Recipe {
            learning_rate,
            weight_decay,
            ..
        } = self.recipe;
        let variables = module.variables();
        let optimizer = match self.recipe.optimizer {
            Optimizer::Sgd => nn::sgd(MOMENTUM, 0.0, weight_decay, false).build(variables, learning_rate),
            Optimizer::AdamW => {
                let adamw = nn::AdamW {
                    wd: weight_decay,
                    ..nn::AdamW::default()
                };
                adamw.build(variables, learning_rate)
            }
        };
        Ok(optimizer?)
    }

    /// One optimizer step per batch of examples; returns the mean loss.
    fn train_epoch(
        &self,
        module: &TorchModule,
        optimizer: &mut nn::Optimizer,
        examples: &[(usize, usize)],
        class_weights: &Tensor,
    ) -> Result<f64, TrainingError> {
        let mut loss_sum = 0.0;
        for batch in examples.chunks(self.recipe.batch_size) {
            let inputs = self.source.batch(batch)?;
            let labels = self.labels_of(batch.iter().map(|&(frame, _)| frame))?;
            let loss = cross_entropy(&module.forward(&inputs, true)?, &labels, Some(class_weights))?;
            let value = loss.f_double_value(&[])?;
            if !value.is_finite() {
                return Err(TrainingError::Diverged {
                    learning_rate: self.recipe.learning_rate,
                });
            }
            loss_sum += value * batch.len() as f64;
            optimizer.zero_grad();
            loss.f_backward()?;
            optimizer.step();
        }
        Ok(loss_sum / examples.len() as f64)
    }

    /// Mean loss and accuracy on held-out frames.
    fn validate(&self, module: &TorchModule, frames: &[usize]) -> Result<(f64, f64), TrainingError> {
        let logits = self.logits(module, frames)?;
        let flat = Tensor::f_from_slice(&logits.concat())?;
        let loss = || -> Result<f64, TchError> {
            let logits = flat.f_reshape([-1, self.label_count as i64])?;
            let labels = self.labels_of(frames.iter().copied())?.f_to_device(Device::Cpu)?;
            cross_entropy(&logits, &labels, None)?.f_double_value(&[])
        };
        let correct = frames.iter().zip(&logits);
        let correct = correct.filter(|(frame, logits)| argmax(logits) == self.label_indices[**frame]);
        let accuracy = correct.count() as f64 / frames.len() as f64;
        Ok((loss()?, accuracy))
    }

    fn labels_of(&self, frames: impl Iterator<Item = usize>) -> Result<Tensor, TchError> {
        let labels: Vec<i64> = frames.map(|frame| self.label_indices[frame] as i64).collect();
        Tensor::f_from_slice(&labels)?.f_to_device(self.device)
    }

    fn class_weights(&self, frames: &[usize]) -> Result<Tensor, TorchError> {
        let weights = Tensor::f_from_slice(&self.label_weights(frames))?;
        Ok(weights.f_to_kind(Kind::Float)?.f_to_device(self.device)?)
    }

    /// For each label the weight of a frame: 1, or with class weights such that the frames of each label have the same total weight.
    fn label_weights(&self, frames: &[usize]) -> Vec<f64> {
        if !self.recipe.has_class_weights {
            return vec![1.0; self.label_count];
        }
        let mut counts = vec![0usize; self.label_count];
        frames
            .iter()
            .for_each(|&frame| counts[self.label_indices[frame]] += 1);
        let weight = |count: usize| frames.len() as f64 / (self.label_count * count.max(1)) as f64;
        counts.into_iter().map(weight).collect()
    }
}

/// Keeps the weights of the epoch with the lowest validation loss, and stops the training after `patience` epochs without a lower one.
struct EarlyStop {
    patience: u32,
    best_epoch: Option<u32>,
    best_loss: f64,
    best_parameters: Vec<(String, Tensor)>,
}

impl EarlyStop {
    fn new(patience: u32) -> EarlyStop {
        EarlyStop {
            patience,
            best_epoch: None,
            best_loss: f64::INFINITY,
            best_parameters: Vec::new(),
        }
    }

    fn observe(&mut self, epoch: u32, loss: f64, module: &TorchModule) -> Result<(), TorchError> {
        if loss < self.best_loss {
            self.best_loss = loss;
            self.best_epoch = Some(epoch);
            self.best_parameters.clear();
            for (name, variable) in module.variables().variables() {
                self.best_parameters.push((name, variable.f_detach_copy()?));
            }
        }
        Ok(())
    }

    fn is_exhausted(&self, epoch: u32) -> bool {
        self.best_epoch.is_some_and(|best| epoch - best >= self.patience)
    }

    /// Sets the weights of the best epoch and returns it; `None` without a finite loss.
    fn restore_best(self, module: &TorchModule) -> Result<Option<u32>, TorchError> {
        module.set(self.best_parameters)?;
        Ok(self.best_epoch)
    }
}

fn cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    class_weights: Option<&Tensor>,
) -> Result<Tensor, TchError> {
    const NO_LABEL: i64 = -100;
    logits.f_cross_entropy_loss(labels, class_weights, Reduction::Mean, NO_LABEL, 0.0)
}
