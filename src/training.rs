//! From a dataset to a model in the store: features, a measurement on held-out frames, the training, the export, the report.
//!
//! What is right for how many frames is in [`strategy`]; docs/training.md has the figures behind it. Whether the model becomes the active
//! one is said by [`gate`] and done by the caller.

mod auto;
mod cache;
mod error;
mod export;
mod features;
mod fit;
pub mod gate;
mod linear;
mod measure;
mod options;
mod plan;
pub mod pretrained;
mod progress;
pub mod report;
mod source;
pub mod strategy;
mod write_up;

use std::time::Instant;

use tch::Device;

use crate::dataset::bursts::{LabelGroups, conflicts, group_frames};
use crate::dataset::split::{Split, hold_out, k_folds};
use crate::dataset::{Dataset, Label};
use crate::model_store::{ModelStore, StoredModel};
use crate::network::torch::TorchModule;
use crate::network::{Layer, Network};

use auto::Next;
pub use error::TrainingError;
use features::{Copies, Examples, Extractor, labelled_files};
use fit::Fit;
use measure::{Measured, measure};
pub use options::{Gate, Overrides, TrainingOptions};
use plan::Plan;
use pretrained::Pretrained;
pub use progress::{FoldEpoch, Progress, Summary};
use report::Timing;
use source::Source;
use strategy::{Recipe, Strategy};

/// As many as ImageNet has.
const MOST_LABELS: usize = 1000;
/// Fewer frames are measured fold by fold, where nobody says how: a fifth of them would say little.
const FEW_FRAMES: usize = 150;
/// How many folds then.
const FOLDS_OF_FEW: usize = 5;
/// Features that take more memory than this are computed anew each round.
const MOST_FEATURE_BYTES: usize = 1 << 30;

/// The environment variable in which a node tells its training which process it is.
pub const PARENT_VARIABLE: &str = "THUMB_GESTURE_PARENT";

/// Trains a model on a dataset and publishes it in the store; it is not activated.
///
/// `on_progress` hears of everything on the way, but not of the end.
///
/// # Errors
/// [`TrainingError`]; then the store is as it was, but for cached features.
pub fn train(
    dataset: &Dataset,
    store: &ModelStore,
    options: &TrainingOptions,
    mut on_progress: impl FnMut(Progress),
) -> Result<(StoredModel, Summary), TrainingError> {
    let labels = labels_of(dataset)?;
    let network = Network::named(&options.network, labels.len())?;
    let pretrained = pretrained::load(&network, store, options.pretrained.as_deref())?;
    let mut training = Training::prepare(
        dataset,
        store,
        options,
        labels,
        &network,
        &pretrained,
        &mut on_progress,
    )?;
    let chosen = training.choose(&mut on_progress)?;
    let written = write_up::write(&mut training, &chosen, &mut on_progress)?;
    if let Err(error) = cache::trim(store.root()) {
        tracing::warn!("old features stay in the store: {error}");
    }
    Ok(written)
}

/// All that is the same for every strategy.
struct Training<'a> {
    dataset: &'a Dataset,
    store: &'a ModelStore,
    options: &'a TrainingOptions,
    labels: Vec<Label>,
    network: &'a Network,
    pretrained: &'a Pretrained,
    device: Device,
    /// What goes into the last layer before any training.
    features: Examples,
    /// How many layers are frozen before the features.
    feature_layers: usize,
    feature_copies: Copies,
    /// The index of each frame's label.
    indices: Vec<usize>,
    groups: Vec<LabelGroups>,
    split: Split,
    stopwatch: Stopwatch,
}

/// Where the inputs of a candidate's trained layers are.
enum Inputs {
    /// They are the training's features.
    Features,
    /// In memory.
    Computed(Examples),
    /// Too large for that.
    Fresh,
}

/// A strategy that was carried out on all folds.
struct Candidate {
    plan: Plan,
    recipe: Recipe,
    inputs: Inputs,
    measured: Measured,
    reason: String,
}

impl<'a> Training<'a> {
    fn prepare(
        dataset: &'a Dataset,
        store: &'a ModelStore,
        options: &'a TrainingOptions,
        labels: Vec<Label>,
        network: &'a Network,
        pretrained: &'a Pretrained,
        on_progress: &mut impl FnMut(Progress),
    ) -> Result<Training<'a>, TrainingError> {
        let mut stopwatch = Stopwatch::new();
        let device = Device::cuda_if_available();
        let files = labelled_files(dataset);
        let recipe = options.recipe(Strategy::LastLayer, files.len());
        let plan = Plan::new(network, Strategy::LastLayer, &pretrained.weights);
        let copies = copies(&recipe, options.seed);
        let extractor = Extractor::new(plan.frozen(), &pretrained.weights, copies, store.root(), device)?;
        let total = files.len();
        let features = extractor.examples(&files, |done| on_progress(Progress::Features { done, total }))?;
        check_every_label(dataset, &labels, &features)?;
        stopwatch.lap("features");

        let groups = group_frames(&features.frames);
        for conflict in conflicts(&features.frames) {
            let [a, b] = conflict.frames.map(|frame| features.files[frame].path.display());
            tracing::warn!("{a} and {b} are the same image under two labels: one of them is wrong");
        }
        let split = match options.folds.unwrap_or_else(|| folds_for(features.len())) {
            0 | 1 => hold_out(&features.frames, &groups, options.seed),
            folds => k_folds(&features.frames, &groups, folds, options.seed),
        };
        Ok(Training {
            indices: features.files.iter().map(|file| file.index).collect(),
            dataset,
            store,
            options,
            labels,
            network,
            pretrained,
            device,
            features,
            feature_layers: plan.frozen().len(),
            feature_copies: copies,
            groups,
            split,
            stopwatch,
        })
    }

    /// Carries out the strategy that was asked for, or finds the right one.
    fn choose(&mut self, on_progress: &mut impl FnMut(Progress)) -> Result<Candidate, TrainingError> {
        if let Some(strategy) = self.options.strategy {
            return self.candidate(strategy, "asked for".to_owned(), on_progress);
        }
        let first = self.candidate(Strategy::LastLayer, String::new(), on_progress)?;
        let smallest = self.smallest_label();
        match auto::after_last_layer(first.measured.accuracy(), smallest) {
            Next::Keep(reason) => Ok(Candidate { reason, ..first }),
            Next::Try(strategy, reason) => {
                let second = self.candidate(strategy, reason, on_progress)?;
                Ok(auto::better(first, second))
            }
        }
    }

    fn candidate(
        &mut self,
        strategy: Strategy,
        reason: String,
        on_progress: &mut impl FnMut(Progress),
    ) -> Result<Candidate, TrainingError> {
        let recipe = self.options.recipe(strategy, self.features.len());
        let plan = Plan::new(self.network, strategy, &self.pretrained.weights);
        let inputs = self.inputs(plan.frozen(), &recipe, on_progress)?;
        let mut candidate = Candidate {
            plan,
            recipe,
            inputs,
            measured: Measured::default(),
            reason,
        };
        self.stopwatch.lap("features");
        let fit = self.fit(&candidate)?;
        let measured = measure(&fit, &self.split.folds, |epoch| {
            on_progress(Progress::Epoch(epoch));
        })?;
        drop(fit);
        candidate.measured = measured;
        self.stopwatch.lap("measurement");
        Ok(candidate)
    }

    /// The inputs of layers behind some frozen ones: computed, unless they are the features or too large to keep in memory.
    fn inputs(
        &self,
        frozen: &[Layer],
        recipe: &Recipe,
        on_progress: &mut impl FnMut(Progress),
    ) -> Result<Inputs, TrainingError> {
        let copies = copies(recipe, self.options.seed);
        if frozen.len() == self.feature_layers && copies == self.feature_copies {
            return Ok(Inputs::Features);
        }
        let values = crate::network::output_shape(frozen, Network::INPUT).value_count();
        let bytes = self.features.len() * (1 + copies.count) * values * size_of::<f32>();
        if frozen.is_empty() || bytes > MOST_FEATURE_BYTES {
            return Ok(Inputs::Fresh);
        }
        let weights = &self.pretrained.weights;
        let extractor = Extractor::new(frozen, weights, copies, self.store.root(), self.device)?;
        let total = self.features.len();
        let examples = extractor.examples(&self.features.files, |done| {
            on_progress(Progress::Features { done, total });
        })?;
        match examples.skipped.first() {
            None => Ok(Inputs::Computed(examples)),
            Some(skipped) => Err(TrainingError::Vanished(skipped.clone())),
        }
    }

    fn fit<'b>(&'b self, candidate: &'b Candidate) -> Result<Fit<'b>, TrainingError> {
        let weights = &self.pretrained.weights;
        let source = match &candidate.inputs {
            Inputs::Features => Source::Computed(&self.features),
            Inputs::Computed(examples) => Source::Computed(examples),
            Inputs::Fresh => Source::Fresh {
                files: &self.features.files,
                copies: copies(&candidate.recipe, self.options.seed),
                frozen: TorchModule::with_weights(candidate.plan.frozen(), weights, self.device)?,
                device: self.device,
            },
        };
        Ok(Fit {
            plan: &candidate.plan,
            recipe: &candidate.recipe,
            source,
            features: &self.features,
            pretrained: weights,
            labels: &self.indices,
            label_count: self.labels.len(),
            seed: self.options.seed,
            device: self.device,
        })
    }

    /// Frames of the label that has the fewest.
    fn smallest_label(&self) -> usize {
        let count = |label| self.indices.iter().filter(|&&index| index == label).count();
        (0..self.labels.len()).map(count).min().unwrap_or(0)
    }
}

/// How long each stage took.
struct Stopwatch {
    start: Instant,
    lap_start: Instant,
    laps: Vec<Timing>,
}

impl Stopwatch {
    fn new() -> Stopwatch {
        let start = Instant::now();
        Stopwatch {
            start,
            lap_start: start,
            laps: Vec::new(),
        }
    }

    /// Ends a stage; several laps of one stage add up.
    fn lap(&mut self, stage: &str) {
        let seconds = self.lap_start.elapsed().as_secs_f64();
        self.lap_start = Instant::now();
        match self.laps.iter_mut().find(|lap| lap.stage == stage) {
            Some(lap) => lap.seconds += seconds,
            None => self.laps.push(Timing {
                stage: stage.to_owned(),
                seconds,
            }),
        }
    }

    fn total_seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

fn copies(recipe: &Recipe, seed: u64) -> Copies {
    Copies {
        count: recipe.copies,
        level: recipe.augmentation,
        seed,
    }
}

fn folds_for(frames: usize) -> usize {
    match frames < FEW_FRAMES {
        true => FOLDS_OF_FEW,
        false => 1,
    }
}

fn labels_of(dataset: &Dataset) -> Result<Vec<Label>, TrainingError> {
    let labels: Vec<Label> = dataset.labels.iter().map(|frames| frames.label.clone()).collect();
    if labels.len() > MOST_LABELS {
        return Err(TrainingError::TooManyLabels {
            root: dataset.root.clone(),
            labels: labels.len(),
        });
    }
    if labels.len() >= 2 {
        return Ok(labels);
    }
    let found = match labels.first() {
        None => "no frames".to_owned(),
        Some(label) => format!("only frames of {label}"),
    };
    Err(TrainingError::TooFewLabels {
        root: dataset.root.clone(),
        found,
    })
}

fn check_every_label(dataset: &Dataset, labels: &[Label], examples: &Examples) -> Result<(), TrainingError> {
    for (index, label) in labels.iter().enumerate() {
        if examples.files.iter().any(|file| file.index == index) {
            continue;
        }
        let directory = dataset.root.join(label.as_str());
        let example = examples
            .skipped
            .iter()
            .find(|skipped| std::path::Path::new(&skipped.file).starts_with(&directory));
        return Err(TrainingError::NoReadableFrames {
            label: label.clone(),
            files: dataset.frame_count_of(label),
            example: example.map_or_else(String::new, |skipped| skipped.reason.clone()),
        });
    }
    Ok(())
}
