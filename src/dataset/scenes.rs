//! Finds scenes: the bursts, of any labels, that show one room from one place.
//!
//! All frames of a scene have the same background. A network that was trained on a scene knows it, so the accuracy in other scenes is
//! measured on scenes that are held out whole, in all labels at once. Where a label was not recorded in a scene, the background alone
//! tells the labels apart.

use super::background::{MIN_LIKENESS, MIN_LIKENESS_SOON, MIN_RUN, MIN_STILL, View};
use super::bursts::{FrameFile, Group, LabelGroups, capture_times_ms};
use super::disjoint_sets::DisjointSets;
use super::sample::evenly_spaced;

/// Maximum number of frames of a burst from which its background is computed.
const MAX_VIEWS: usize = 9;
/// Bursts at most this far apart are of one scene even if the backgrounds differ somewhat: a robot is carried to another room and started
/// there in no less than a minute.
const SOON_MS: i64 = 60_000;
/// Maximum pause between two bursts of one drive.
const MAX_DRIVE_PAUSE_MS: i64 = 600_000;
/// A scene with fewer frames is a stray one: frames that an obstacle hides, rather than a place.
const MIN_SCENE_FRAMES: usize = MIN_RUN;
/// Maximum share of the frames that are strays; more are scenes of their own.
const MAX_STRAYS: f64 = 0.2;

/// The frames of one scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// Indices of the frames, of all labels.
    pub frames: Vec<usize>,
    /// When the first of them was captured, in milliseconds since 1970; `None` if unknown.
    pub captured_ms: Option<i64>,
    /// Smallest SHA-256 of the files: identifies the scene independently of paths and file names.
    pub(super) content_id: [u8; 32],
}

/// A burst, as far as scenes depend on it.
struct Burst<'a> {
    group: &'a Group,
    /// Some of the frames.
    views: Vec<View>,
    /// What most of them show.
    background: View,
    /// Whether the camera moved, so that they have no common background.
    is_moving: bool,
    /// First and last capture time, in milliseconds since 1970.
    span_ms: Option<[i64; 2]>,
}

/// Finds the scenes of a dataset, the largest first.
///
/// `groups` must be the result of [`super::bursts::group_frames`] for `frames`; a group is in one scene as a whole. Two bursts are of one
/// scene if their backgrounds are alike. Bursts of a moving camera have no common background: those of one drive are one scene, and so are
/// all of them if their times are unknown; with another burst they are one scene if half of their frames are like its background. The
/// scenes do not depend on the location of the dataset or the order of `frames`.
///
/// Compares the bursts pair by pair: 5000 single frames take about a second.
pub fn find_scenes(frames: &[FrameFile], groups: &[LabelGroups]) -> Vec<Scene> {
    let times = capture_times_ms(frames);
    let groups = groups.iter().flat_map(|label| &label.groups);
    let bursts: Vec<Burst> = groups.map(|group| Burst::new(frames, &times, group)).collect();
    let mut sets = DisjointSets::new(bursts.len());
    for (a, burst) in bursts.iter().enumerate() {
        for (b, other) in bursts.iter().enumerate().skip(a + 1) {
            if !sets.are_joined(a, b) && burst.is_in_scene_of(other) {
                sets.join(a, b);
            }
        }
    }
    join_strays(&bursts, &mut sets);
    let mut scenes: Vec<Option<Scene>> = vec![None; bursts.len()];
    for (index, burst) in bursts.iter().enumerate() {
        scenes[sets.root(index)]
            .get_or_insert_with(Scene::empty)
            .add(burst);
    }
    let mut scenes: Vec<Scene> = scenes.into_iter().flatten().collect();
    scenes.sort_by_key(|scene| (std::cmp::Reverse(scene.frames.len()), scene.content_id));
    scenes
}

/// The index of the scene that each of `count` frames is in.
pub(super) fn scene_of_frames(scenes: &[Scene], count: usize) -> Vec<usize> {
    let mut scene_of = vec![0; count];
    for (index, scene) in scenes.iter().enumerate() {
        scene.frames.iter().for_each(|&frame| scene_of[frame] = index);
    }
    scene_of
}

/// Joins the stray scenes with the scenes that they resemble most, if there are few strays.
fn join_strays(bursts: &[Burst], sets: &mut DisjointSets) {
    let mut frames_of = vec![0; bursts.len()];
    for (index, burst) in bursts.iter().enumerate() {
        frames_of[sets.root(index)] += burst.group.frames.len();
    }
    let (strays, others): (Vec<usize>, Vec<usize>) =
        (0..bursts.len()).partition(|&index| frames_of[sets.root(index)] < MIN_SCENE_FRAMES);
    let frame_count = |bursts_of: &[usize]| -> usize {
        let counts = bursts_of.iter().map(|&index| bursts[index].group.frames.len());
        counts.sum()
    };
    let total = frame_count(&strays) + frame_count(&others);
    if others.is_empty() || frame_count(&strays) as f64 > MAX_STRAYS * total as f64 {
        return;
    }
    for stray in strays {
        let likeness = |&other: &usize| {
            let other = &bursts[other];
            let likeness = bursts[stray].background.likeness(&other.background);
            (likeness, other.group.content_id)
        };
        if let Some(&nearest) = others.iter().max_by_key(|other| likeness(other)) {
            sets.join(stray, nearest);
        }
    }
}

impl Scene {
    fn empty() -> Scene {
        Scene {
            frames: Vec::new(),
            captured_ms: None,
            content_id: [u8::MAX; 32],
        }
    }

    fn add(&mut self, burst: &Burst) {
        self.frames.extend(&burst.group.frames);
        let start = burst.span_ms.map(|[start, _]| start);
        self.captured_ms = self.captured_ms.into_iter().chain(start).min();
        self.content_id = self.content_id.min(burst.group.content_id);
    }
}

impl<'a> Burst<'a> {
    fn new(frames: &'a [FrameFile], times: &[Option<i64>], group: &'a Group) -> Burst<'a> {
        let sample = evenly_spaced(&group.frames, MAX_VIEWS).into_iter();
        let views: Vec<View> = sample
            .map(|&frame| View::new(&frames[frame].fingerprint.thumbnail))
            .collect();
        let times = group.frames.iter().filter_map(|&frame| times[frame]);
        let times: Vec<i64> = times.collect();
        Burst {
            is_moving: group.frames.len() >= MIN_SCENE_FRAMES && mean_likeness(&views) < MIN_STILL,
            background: View::background(&views),
            span_ms: times
                .iter()
                .min()
                .zip(times.iter().max())
                .map(|(&start, &end)| [start, end]),
            views,
            group,
        }
    }

    fn is_in_scene_of(&self, other: &Burst) -> bool {
        let pause_ms = self.pause_ms(other);
        if self.is_moving && other.is_moving && pause_ms.is_none_or(|pause| pause <= MAX_DRIVE_PAUSE_MS) {
            return true;
        }
        let min_likeness = match pause_ms {
            Some(..=SOON_MS) => MIN_LIKENESS_SOON,
            _ => MIN_LIKENESS,
        };
        let shows = |burst: &Burst, background: &View| {
            let is_like = |view: &&View| view.likeness(background) >= min_likeness;
            2 * burst.views.iter().filter(is_like).count() >= burst.views.len()
        };
        match (self.is_moving, other.is_moving) {
            (false, false) => self.background.likeness(&other.background) >= min_likeness,
            (true, false) => shows(self, &other.background),
            (false, true) => shows(other, &self.background),
            (true, true) => false,
        }
    }

    /// From the end of one burst to the start of the other, 0 if they overlap; `None` if a time is unknown.
    fn pause_ms(&self, other: &Burst) -> Option<i64> {
        let ([start, end], [other_start, other_end]) = (self.span_ms?, other.span_ms?);
        Some(start.max(other_start).saturating_sub(end.min(other_end)).max(0))
    }
}

/// The mean likeness of the pairs of views.
fn mean_likeness(views: &[View]) -> usize {
    let pairs = views
        .iter()
        .enumerate()
        .flat_map(|(index, view)| views[index + 1..].iter().map(move |other| (view, other)));
    let likenesses: Vec<usize> = pairs.map(|(a, b)| a.likeness(b)).collect();
    likenesses.iter().sum::<usize>() / likenesses.len().max(1)
}

#[cfg(test)]
mod tests;
