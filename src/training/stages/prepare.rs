//! First stage: the readable frames with their features, grouped into bursts and split into folds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::copies::Copies;
use super::features::{Extraction, Extractor, Features, LabeledFile, labeled_files};
use super::plan::Plan;
use super::pretrained::PretrainedNetwork;
use super::snapshot::Snapshot;
use crate::dataset::augment::Level;
use crate::dataset::bursts::{FrameFile, LabelGroups, conflicts, group_frames};
use crate::dataset::fingerprint::Fingerprint;
use crate::dataset::scenes::{Scene, find_scenes};
use crate::dataset::split::{Fold, Split, hold_out, hold_out_scenes, k_folds};
use crate::dataset::{Dataset, Label, SkippedFile, summarize};
use crate::disk;
use crate::familiarity::Origin;
use crate::gesture::Gesture;
use crate::text::escape_controls;
use crate::training::error::TrainingError;
use crate::training::options::TrainingOptions;
use crate::training::progress::Progress;
use crate::training::report::{DatasetReport, LabelCount, SceneReport};
use crate::training::strategy::{Recipe, Strategy};

/// By default, datasets with fewer frames are cross-validated, because the accuracy on a fifth of their frames would say little.
const MIN_FRAMES_FOR_HOLD_OUT: usize = 150;
/// Default number of folds of the cross-validation.
const DEFAULT_FOLDS: usize = 5;

/// The frames of a dataset, ready for training. A frame is an index into `files`.
pub(super) struct PreparedDataset {
    /// The directory of the dataset.
    root: PathBuf,
    /// In the order of the network's outputs.
    pub(super) labels: Vec<Label>,
    pub(super) files: Vec<LabeledFile>,
    /// The label index of each frame.
    pub(super) label_indices: Vec<usize>,
    /// The inputs of the last layer before any training.
    pub(super) features: Features,
    /// The number of frozen layers that computed the features.
    pub(super) feature_layers: usize,
    pub(super) feature_copies: Copies,
    pub(super) split: Split,
    /// The largest first.
    pub(super) scenes: Vec<Scene>,
    /// Folds that hold out whole scenes; empty if there are too few.
    pub(super) scene_folds: Vec<Fold>,
    /// Part of the cache key of copies that depend on the hands; empty without hands.
    pub(super) hands_key: String,
    /// Files that cannot be used.
    pub(super) skipped: Vec<SkippedFile>,
    /// Number of frames whose features were not in the cache.
    pub(super) computed_frames: usize,
    frames: Vec<FrameFile>,
    groups: Vec<LabelGroups>,
    /// Keeps `files` readable.
    _snapshot: Snapshot,
}

/// Reads the frames, computes the features for the last layer, and splits the frames. `store` is the directory of the model store, which
/// has the feature cache.
///
/// # Errors
/// A label has no readable frame, or libtorch reported an error.
pub(super) fn prepare(
    dataset: &Dataset,
    pretrained: &PretrainedNetwork,
    store: &Path,
    options: &TrainingOptions,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<PreparedDataset, TrainingError> {
    let labels: Vec<Label> = dataset.labels.iter().map(|frames| frames.label.clone()).collect();
    let snapshot = Snapshot::new(&dataset.root);
    let files = labeled_files(dataset, &snapshot);
    let recipe = options.recipe(Strategy::LastLayer, files.len());
    let plan = Plan::new(&pretrained.network, Strategy::LastLayer, &pretrained.weights);
    let feature_copies = Copies {
        // The hands are found later.
        level: match recipe.augmentation {
            Level::Scenes => Level::Light,
            level => level,
        },
        ..copies_of(&recipe, options.seed)
    };
    let extractor = Extractor::new(
        plan.frozen(),
        &pretrained.weights,
        feature_copies,
        "",
        store,
        pretrained.device,
    )?;
    let total = files.len();
    let extraction = extractor.extract(&files, |done| on_progress(Progress::Features { done, total }))?;
    for message in warnings(&labels, &extraction) {
        on_progress(Progress::Warning { message });
    }
    check_every_label(dataset, &extraction)?;

    let frames = extraction.frames;
    let groups = group_frames(&frames);
    let scenes = find_scenes(&frames, &groups);
    on_progress(Progress::Scenes { scenes: scenes.len() });
    let split = split(&frames, &groups, &scenes, options);
    Ok(PreparedDataset {
        root: dataset.root.clone(),
        labels,
        label_indices: extraction.files.iter().map(|file| file.label_index).collect(),
        files: extraction.files,
        features: extraction.features,
        feature_layers: plan.frozen().len(),
        feature_copies,
        split,
        scene_folds: hold_out_scenes(&frames, &scenes),
        scenes,
        hands_key: String::new(),
        skipped: dataset
            .all_skipped()
            .cloned()
            .chain(extraction.skipped.into_iter().map(|(_, skipped)| skipped))
            .collect(),
        computed_frames: extraction.computed,
        frames,
        groups,
        _snapshot: snapshot,
    })
}

/// The augmented copies that a recipe asks for.
pub(super) fn copies_of(recipe: &Recipe, seed: u64) -> Copies {
    Copies {
        count: recipe.copies,
        level: recipe.augmentation,
        seed,
    }
}

/// What is wrong with the files: unreadable ones, and images that are in the directories of two labels.
fn warnings(labels: &[Label], extraction: &Extraction) -> Vec<String> {
    let of_label = |(index, label): (usize, &Label)| summarize(Some(label), &extraction.skipped_of(index));
    let mut warnings: Vec<String> = labels.iter().enumerate().flat_map(of_label).collect();
    let conflicts = conflicts(&extraction.frames);
    if let Some(first) = conflicts.first() {
        let path = |frame: usize| extraction.files[frame].path.display().to_string();
        let [a, b] = first.frames.map(path);
        let [a, b] = [escape_controls(&a), escape_controls(&b)];
        warnings.push(match conflicts.len() {
            1 => format!("{a} and {b} are the same image with different labels; delete the wrong one"),
            count => format!(
                "{count} images have two labels, such as {a} and {b}; delete those with the wrong label"
            ),
        });
    }
    warnings
}

fn split(frames: &[FrameFile], groups: &[LabelGroups], scenes: &[Scene], options: &TrainingOptions) -> Split {
    let default_folds = if frames.len() < MIN_FRAMES_FOR_HOLD_OUT {
        DEFAULT_FOLDS
    } else {
        1
    };
    match options.folds.unwrap_or(default_folds) {
        0 | 1 => hold_out(frames, groups, scenes, options.seed),
        folds => k_folds(frames, groups, scenes, folds, options.seed),
    }
}

fn check_every_label(dataset: &Dataset, extraction: &Extraction) -> Result<(), TrainingError> {
    for (index, frames) in dataset.labels.iter().enumerate() {
        if extraction.files.iter().any(|file| file.label_index == index) {
            continue;
        }
        return Err(TrainingError::NoReadableFrames {
            label: frames.label.clone(),
            skipped: extraction.skipped_of(index),
        });
    }
    Ok(())
}

/// The absolute path of a file, for reports.
pub(super) fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

impl PreparedDataset {
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn all_frames(&self) -> Vec<usize> {
        (0..self.len()).collect()
    }

    /// The label of a frame.
    pub(super) fn label_of(&self, frame: usize) -> &Label {
        &self.labels[self.label_indices[frame]]
    }

    /// What identifies a frame's file.
    pub(super) fn fingerprint(&self, frame: usize) -> &Fingerprint {
        &self.frames[frame].fingerprint
    }

    /// The number of each frame's burst.
    pub(super) fn bursts(&self) -> Vec<usize> {
        let mut bursts = vec![0; self.len()];
        let groups = self.groups.iter().flat_map(|groups| &groups.groups);
        for (burst, group) in groups.enumerate() {
            group.frames.iter().for_each(|&frame| bursts[frame] = burst);
        }
        bursts
    }

    /// For each frame the part by which a temperature is validated: its fold, or with a single fold its burst.
    pub(super) fn parts(&self) -> Vec<usize> {
        let mut parts = self.bursts();
        if let folds @ [_, _, ..] = self.split.folds.as_slice() {
            for (number, fold) in folds.iter().enumerate() {
                fold.validation.iter().for_each(|&frame| parts[frame] = number);
            }
        }
        parts
    }

    /// The label of frames without a gesture.
    pub(super) fn none_label(&self) -> Option<usize> {
        let is_none = |label: &Label| Gesture::from_label(label.as_str()) == Gesture::None;
        self.labels.iter().position(is_none)
    }

    /// The burst and the scene of each frame.
    pub(super) fn origins(&self) -> Vec<Origin> {
        let origin = |burst| Origin { burst, scene: 0 };
        let mut origins: Vec<Origin> = self.bursts().into_iter().map(origin).collect();
        for (number, scene) in self.scenes.iter().enumerate() {
            scene
                .frames
                .iter()
                .for_each(|&frame| origins[frame].scene = number);
        }
        origins
    }

    /// SHA-256 of a frame's file, in hexadecimal.
    pub(super) fn sha256(&self, frame: usize) -> String {
        disk::hex(&self.fingerprint(frame).sha256)
    }

    /// The number of frames of the label that has the fewest.
    pub(super) fn smallest_label(&self) -> usize {
        let counts = (0..self.labels.len()).map(|label| self.frames_of_label(label));
        counts.min().unwrap_or(0)
    }

    /// The scenes as the report shows them.
    pub(super) fn scene_reports(&self) -> Vec<SceneReport> {
        let report = |scene: &Scene| {
            let frames_of = |label: usize| {
                let frames = scene
                    .frames
                    .iter()
                    .filter(|&&frame| self.label_indices[frame] == label);
                frames.count()
            };
            let nanos = scene.captured_ms.map(|time_ms| i128::from(time_ms) * 1_000_000);
            SceneReport {
                example: absolute(&self.files[scene.frames[0]].path),
                captured: nanos.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()),
                frames: (0..self.labels.len()).map(frames_of).collect(),
                new_scene_correct: None,
            }
        };
        self.scenes.iter().map(report).collect()
    }

    /// The part of the report about the dataset.
    pub(super) fn report(&self) -> DatasetReport {
        let summaries: Vec<String> = self.split.summaries.iter().map(ToString::to_string).collect();
        DatasetReport {
            root: self.root.display().to_string(),
            digest: self.digest(),
            labels: self.label_counts(),
            skipped: self.skipped.clone(),
            split: summaries.join("; "),
        }
    }

    /// Hash of the frames and their labels, independent of file names and order.
    fn digest(&self) -> String {
        let frames: BTreeSet<String> = (0..self.len())
            .map(|frame| format!("{} {}\n", self.label_of(frame), self.sha256(frame)))
            .collect();
        let mut hasher = Sha256::new();
        frames.iter().for_each(|frame| hasher.update(frame));
        disk::hex(&hasher.finalize())
    }

    fn label_counts(&self) -> Vec<LabelCount> {
        let count = |(index, label): (usize, &Label)| LabelCount {
            label: label.clone(),
            frames: self.frames_of_label(index),
            train: self.frames_in_folds(index, |fold| &fold.train),
            validation: self.frames_in_folds(index, |fold| &fold.validation),
            left_out: self.frames_in_folds(index, |fold| &fold.left_out),
            groups: self
                .groups
                .iter()
                .find(|groups| groups.label == *label)
                .map_or(0, |groups| groups.groups.len()),
        };
        self.labels.iter().enumerate().map(count).collect()
    }

    fn frames_of_label(&self, label: usize) -> usize {
        self.label_indices.iter().filter(|&&index| index == label).count()
    }

    /// Number of frames of a label that are in this part of at least one fold.
    fn frames_in_folds(&self, label: usize, part: fn(&Fold) -> &Vec<usize>) -> usize {
        let frames = self.split.folds.iter().flat_map(part);
        let frames = frames.filter(|&&frame| self.label_indices[frame] == label);
        frames.collect::<BTreeSet<_>>().len()
    }
}
