//! Trains the layers of a plan by gradient descent on the cross entropy, with early stop.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::nn::OptimizerConfig;
use tch::{Device, Kind, Reduction, TchError, Tensor, nn};

use super::TrainingError;
use super::linear::ridge;
use super::plan::Plan;
use super::report::Point;
use super::source::Source;
use super::strategy::{Optimizer, Recipe};
use crate::network::torch::{TorchError, TorchModule};
use crate::weights::Weights;

const MOMENTUM: f64 = 0.9;
/// More examples than this are not put into one system of equations, whose size goes with their square.
const MOST_SOLVED_EXAMPLES: usize = 6000;
/// Frames whose logits are computed together.
const VALIDATION_BATCH: usize = 32;

/// What is common to all trainings of one plan.
pub struct Fit<'a> {
    /// What is trained.
    pub plan: &'a Plan,
    /// How.
    pub recipe: &'a Recipe,
    /// Where the trained layers' inputs come from.
    pub source: Source<'a>,
    /// The last layer's inputs before any training, from which its start is computed.
    pub features: &'a super::features::Examples,
    /// Pretrained weights: of the trained layers too, where there are some.
    pub pretrained: &'a Weights,
    /// The index of each frame's label.
    pub labels: &'a [usize],
    /// Labels in all.
    pub label_count: usize,
    /// The same seed and frames give the same result.
    pub seed: u64,
    /// Where it is computed.
    pub device: Device,
}

/// Trained layers.
pub struct Fitted {
    /// The layers.
    pub module: TorchModule,
    /// After how many rounds they were like this.
    pub epoch: u32,
}

impl Fit<'_> {
    /// Trains on some frames, at most for so many rounds, reporting each.
    ///
    /// Where there are frames to validate on, the round with the least validation loss is kept, if the recipe has patience; the start
    /// counts as round 0.
    ///
    /// # Errors
    /// libtorch's word, such as too little memory; a frame that is no image any more.
    pub fn run(
        &self,
        train: &[usize],
        validation: &[usize],
        epochs: u32,
        mut on_epoch: impl FnMut(Point),
    ) -> Result<Fitted, TrainingError> {
        tch::manual_seed(self.seed as i64);
        let module = self.start(train)?;
        let mut optimizer = self.optimizer(&module)?;
        let class_weights = self.class_weights(train)?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut best = Best::new(self.recipe.patience.filter(|_| !validation.is_empty()));
        if best.is_kept() {
            best.offer(0, self.validate(&module, validation)?.0, &module)?;
        }
        for epoch in 1..=epochs {
            let done = f64::from(epoch - 1) / f64::from(self.recipe.epochs.max(1));
            optimizer.set_lr(self.recipe.learning_rate * self.recipe.schedule.factor(done));
            let picks = self.source.picks(train, epoch, &mut rng);
            let train_loss = self.epoch(&module, &mut optimizer, &picks, &class_weights)?;
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
            if let Some((loss, _)) = validated
                && best.is_kept()
                && !best.offer(epoch, loss, &module)?
            {
                break;
            }
        }
        let epoch = best.epoch.unwrap_or(epochs);
        best.restore(&module)?;
        Ok(Fitted { module, epoch })
    }

    /// The logits of some frames, without those of their copies.
    ///
    /// # Errors
    /// libtorch's word; a frame that is no image any more.
    pub fn logits(&self, module: &TorchModule, frames: &[usize]) -> Result<Vec<Vec<f32>>, TrainingError> {
        let mut logits = Vec::with_capacity(frames.len());
        for batch in frames.chunks(VALIDATION_BATCH) {
            let picks: Vec<(usize, usize)> = batch.iter().map(|&frame| (frame, 0)).collect();
            let inputs = self.source.batch(&picks)?;
            let of_batch = tch::no_grad(|| module.forward(&inputs, false))?;
            let of_batch: Vec<Vec<f32>> = of_batch.f_to_device(Device::Cpu).and_then(Vec::try_from)?;
            logits.extend(of_batch);
        }
        Ok(logits)
    }

    /// The trained layers before training: pretrained where they are, the last one computed where it is linear, else random.
    fn start(&self, train: &[usize]) -> Result<TorchModule, TorchError> {
        let module = TorchModule::with_pretrained(self.plan.trained(), self.pretrained, self.device)?;
        let count = train.len() * (1 + self.features.copies);
        if let Some(last) = self.plan.last_linear()
            && self.features_reach(last)
            && count <= MOST_SOLVED_EXAMPLES
        {
            let rows = self.features.rows_with_copies(train)?;
            let each = 1 + self.features.copies;
            let labels = train
                .iter()
                .flat_map(|&frame| std::iter::repeat_n(self.labels[frame], each));
            let labels: Vec<usize> = labels.collect();
            let of_label = self.weights_of_labels(train);
            let weights: Vec<f64> = labels.iter().map(|&label| of_label[label]).collect();
            let labels: Vec<i64> = labels.into_iter().map(|label| label as i64).collect();
            let values = ridge(&rows.f_flatten(1, -1)?, &labels, &weights, self.label_count)?;
            let names = last.parameters().into_iter().map(|parameter| parameter.name);
            module.set(names.zip(values))?;
        }
        Ok(module)
    }

    /// True where the features are what goes into the last layer: hidden layers with a random start would come between.
    fn features_reach(&self, last: &crate::network::Layer) -> bool {
        let wanted = last.parameters()[0].shape[1] as i64;
        self.features
            .rows
            .size()
            .get(1..)
            .is_some_and(|row| row.iter().product::<i64>() == wanted)
    }

    fn optimizer(&self, module: &TorchModule) -> Result<nn::Optimizer, TorchError> {
        let Recipe {
            learning_rate,
            weight_decay,
            ..
        } = *self.recipe;
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

    /// One round over picked examples; gives their mean loss.
    fn epoch(
        &self,
        module: &TorchModule,
        optimizer: &mut nn::Optimizer,
        picks: &[(usize, usize)],
        class_weights: &Tensor,
    ) -> Result<f64, TrainingError> {
        let mut loss_sum = 0.0;
        for batch in picks.chunks(self.recipe.batch_size) {
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
        Ok(loss_sum / picks.len() as f64)
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
        let hits = frames.iter().zip(&logits);
        let hits = hits.filter(|(frame, logits)| crate::probability::argmax(logits) == self.labels[**frame]);
        let accuracy = hits.count() as f64 / frames.len() as f64;
        Ok((loss()?, accuracy))
    }

    fn labels_of(&self, frames: impl Iterator<Item = usize>) -> Result<Tensor, TchError> {
        let labels: Vec<i64> = frames.map(|frame| self.labels[frame] as i64).collect();
        Tensor::f_from_slice(&labels)?.f_to_device(self.device)
    }

    fn class_weights(&self, train: &[usize]) -> Result<Tensor, TorchError> {
        let weights = Tensor::f_from_slice(&self.weights_of_labels(train))?;
        Ok(weights.f_to_kind(Kind::Float)?.f_to_device(self.device)?)
    }

    /// What each label's frames count: a label's weights sum to the same, or each frame counts 1.
    pub fn weights_of_labels(&self, train: &[usize]) -> Vec<f64> {
        let mut counts = vec![0usize; self.label_count];
        train.iter().for_each(|&frame| counts[self.labels[frame]] += 1);
        let weight = |count: usize| match self.recipe.has_class_weights {
            true => train.len() as f64 / (self.label_count * count.max(1)) as f64,
            false => 1.0,
        };
        counts.into_iter().map(weight).collect()
    }
}

/// The round with the least validation loss, and how long ago it was.
struct Best {
    patience: Option<u32>,
    epoch: Option<u32>,
    loss: f64,
    parameters: Vec<(String, Tensor)>,
}

impl Best {
    fn new(patience: Option<u32>) -> Best {
        Best {
            patience,
            epoch: None,
            loss: f64::INFINITY,
            parameters: Vec::new(),
        }
    }

    fn is_kept(&self) -> bool {
        self.patience.is_some()
    }

    /// Takes note of a round; false once patience has run out.
    fn offer(&mut self, epoch: u32, loss: f64, module: &TorchModule) -> Result<bool, TorchError> {
        if loss < self.loss {
            self.loss = loss;
            self.epoch = Some(epoch);
            self.parameters.clear();
            for (name, variable) in module.variables().variables() {
                self.parameters.push((name, variable.f_detach_copy()?));
            }
        }
        let waited = epoch - self.epoch.unwrap_or(epoch);
        Ok(self.patience.is_none_or(|patience| waited < patience))
    }

    fn restore(self, module: &TorchModule) -> Result<(), TorchError> {
        module.set(self.parameters)
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
