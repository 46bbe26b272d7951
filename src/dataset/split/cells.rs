//! Divides the groups of a label into cells, which are split one by one.
//!
//! If a network is trained on a scene without one of its labels, it learns that the background excludes this label, and classifies the
//! held-out frames of the label worse than by chance. So that every training has seen all labels of a scene or none, the frames of a label
//! in a scene that it shares with others are a cell: a part of them is held out, never all. Scenes whose labels have a single frame
//! each cannot be divided, and are held out whole.

use std::collections::{BTreeMap, BTreeSet};

use super::random::random_number;
use crate::dataset::Label;
use crate::dataset::bursts::{FrameFile, Group, LabelGroups};
use crate::dataset::scenes::{Scene, scene_of_frames};

/// Groups of one label that are split on their own.
#[derive(Clone, Debug)]
pub(super) struct Cell<'a> {
    pub(super) groups: Vec<&'a Group>,
    /// The place of the scene among those that are held out whole; `None` if the cell is divided.
    pub(super) whole_scene: Option<usize>,
}

/// How the scenes of a dataset are divided.
pub(super) struct Cells {
    scene_of: Vec<usize>,
    /// For each scene whether it has frames of several labels.
    is_shared: Vec<bool>,
    /// The place of each scene that is held out whole.
    whole: BTreeMap<usize, usize>,
}

impl Cells {
    pub(super) fn new(frames: &[FrameFile], scenes: &[Scene], seed: u64) -> Cells {
        let labels_of = |scene: &Scene| -> BTreeSet<&Label> {
            scene.frames.iter().map(|&frame| &frames[frame].label).collect()
        };
        let labels: Vec<BTreeSet<&Label>> = scenes.iter().map(labels_of).collect();
        let is_single =
            |&scene: &usize| labels[scene].len() > 1 && scenes[scene].frames.len() == labels[scene].len();
        let mut whole: Vec<usize> = (0..scenes.len()).filter(is_single).collect();
        whole.sort_by_cached_key(|&scene| random_number(seed, 0, 0, &scenes[scene].content_id));
        // A frame of each label stays outside of them, so that every training knows all labels.
        let mut outside: BTreeMap<&Label, usize> = BTreeMap::new();
        for frame in frames {
            *outside.entry(&frame.label).or_default() += 1;
        }
        whole.retain(|&scene| {
            let has_others = labels[scene].iter().all(|label| outside[label] > 1);
            if has_others {
                labels[scene]
                    .iter()
                    .for_each(|label| *outside.entry(label).or_default() -= 1);
            }
            has_others
        });
        Cells {
            scene_of: scene_of_frames(scenes, frames.len()),
            is_shared: labels.iter().map(|labels| labels.len() > 1).collect(),
            whole: whole.into_iter().zip(0..).collect(),
        }
    }

    /// Number of scenes that are held out whole.
    pub(super) fn whole_scenes(&self) -> usize {
        self.whole.len()
    }

    /// A cell for each scene that the label shares with others, and one for its frames in other scenes.
    pub(super) fn of_label<'a>(&self, label: &'a LabelGroups) -> Vec<Cell<'a>> {
        let mut cells: BTreeMap<Option<usize>, Cell> = BTreeMap::new();
        for group in &label.groups {
            let scene = self.scene_of[group.frames[0]];
            let key = self.is_shared[scene].then_some(scene);
            let whole_scene = self.whole.get(&scene).copied();
            let cell = cells.entry(key).or_insert_with(|| Cell {
                groups: Vec::new(),
                whole_scene,
            });
            cell.groups.push(group);
        }
        cells.into_values().collect()
    }
}

impl Cell<'_> {
    /// Number of frames in all groups.
    pub(super) fn frame_count(&self) -> usize {
        self.groups.iter().map(|group| group.frames.len()).sum()
    }
}
