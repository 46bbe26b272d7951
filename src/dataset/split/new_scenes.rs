//! Holds out whole scenes, to measure the accuracy in scenes that no training frame shows.

use std::collections::{BTreeMap, BTreeSet};

use super::Fold;
use crate::dataset::Label;
use crate::dataset::bursts::FrameFile;
use crate::dataset::scenes::Scene;

/// Maximum number of folds, and so of trainings.
const MAX_FOLDS: usize = 5;

/// The scenes of one fold.
#[derive(Default)]
struct Part<'a> {
    frames: Vec<usize>,
    counts: BTreeMap<&'a Label, usize>,
}

/// Holds out each scene once, in all labels at once; with more than five scenes several of them together, so that there are five folds.
///
/// `scenes` must be the result of [`super::super::scenes::find_scenes`] for `frames`. There are no folds if some label is in no other scene
/// than those of one fold, because a training without them would not know it.
pub fn hold_out_scenes(frames: &[FrameFile], scenes: &[Scene]) -> Vec<Fold> {
    let mut parts: Vec<Part> = Vec::new();
    parts.resize_with(scenes.len().min(MAX_FOLDS), Part::default);
    for scene in scenes {
        let labels = labels_of(frames, &scene.frames);
        // Spreads the scenes of each label over the folds.
        let key = |part: &&mut Part| (part.frames_of(&labels), part.frames.len());
        if let Some(part) = parts.iter_mut().min_by_key(key) {
            part.add(frames, scene);
        }
    }
    let all: Vec<usize> = (0..frames.len()).collect();
    let labels = labels_of(frames, &all);
    let fold = |held_out: BTreeSet<usize>| Fold {
        train: all
            .iter()
            .copied()
            .filter(|frame| !held_out.contains(frame))
            .collect(),
        validation: held_out.into_iter().collect(),
        left_out: Vec::new(),
    };
    let parts = parts.into_iter().map(|part| part.frames.into_iter().collect());
    let folds: Vec<Fold> = parts.map(fold).collect();
    let knows_all_labels = |fold: &Fold| labels_of(frames, &fold.train) == labels;
    if folds.iter().all(knows_all_labels) {
        folds
    } else {
        Vec::new()
    }
}

impl<'a> Part<'a> {
    fn add(&mut self, frames: &'a [FrameFile], scene: &Scene) {
        self.frames.extend(&scene.frames);
        for &frame in &scene.frames {
            *self.counts.entry(&frames[frame].label).or_default() += 1;
        }
    }

    /// Number of its frames that have one of some labels.
    fn frames_of(&self, labels: &BTreeSet<&Label>) -> usize {
        labels.iter().filter_map(|label| self.counts.get(*label)).sum()
    }
}

fn labels_of<'a>(frames: &'a [FrameFile], indices: &[usize]) -> BTreeSet<&'a Label> {
    indices.iter().map(|&frame| &frames[frame].label).collect()
}
