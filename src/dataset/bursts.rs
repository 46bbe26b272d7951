//! Groups frames that were captured in one burst or look alike.
//!
//! The frames of a group are near-duplicates of each other, so [`super::split`] holds out whole groups. [`file_name`] parses the
//! capture time from a file's name; [`super::fingerprint`] compares the appearance of frames.

mod file_name;
mod near_duplicates;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Label;
use super::background::{MIN_RUN, View};
use super::fingerprint::Fingerprint;
use file_name::FileName;

/// Maximum pause within a burst, in milliseconds.
///
/// Someone who captures frame by frame does so about once a second and moves the hand in between; a pause of more than ten seconds
/// separates two sessions. If the hand did not move in the pause, the frames look alike and are merged for that reason.
const MAX_PAUSE_MS: i64 = 10_000;

/// The year 2000 in milliseconds since 1970. A capture time before it is that of a clock that was never set.
const MIN_TIME_MS: i64 = 946_684_800_000;

/// What is known about the file of a frame.
#[derive(Clone, Debug)]
pub struct FrameFile {
    /// The label of the directory that the file is in.
    pub label: Label,
    /// The directory of the file: that of the label, or one below it.
    pub directory: PathBuf,
    /// File name without the directory.
    pub name: String,
    /// Time of the last modification; `None` if the file system does not provide it.
    pub modified: Option<SystemTime>,
    /// Of the file's content and of its image.
    pub fingerprint: Fingerprint,
}

/// The reason why frames are in one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupedBy {
    /// Their capture times, from their names or their modification times, are close.
    CaptureTime,
    /// Their names have the same prefix before a number.
    NumberedName,
    /// They look alike. A group of a single frame without known time or number also has this value.
    Appearance,
}

/// Frames of one label that belong on the same side of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Indices of the frames, in the order of their capture as far as it is known.
    pub frames: Vec<usize>,
    /// Of the first of the merged groups.
    pub grouped_by: GroupedBy,
    /// Number of groups that were merged into this one because they contain near-duplicates; 1 without a merge.
    pub merged_count: usize,
    /// Smallest SHA-256 of the files: identifies the group independently of paths and file names.
    pub content_id: [u8; 32],
}

/// All frames of one label, in groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelGroups {
    /// The label of all frames in the groups.
    pub label: Label,
    /// In the order of their first frames.
    pub groups: Vec<Group>,
}

/// Two files with the same content and different labels, one of which must be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Indices of the two frames.
    pub frames: [usize; 2],
}

impl FrameFile {
    /// Also reads the file's modification time.
    pub fn new(path: &Path, label: Label, fingerprint: Fingerprint) -> FrameFile {
        let name = path.file_name().unwrap_or_default();
        FrameFile {
            label,
            directory: path.parent().unwrap_or(path).to_owned(),
            name: name.to_string_lossy().into_owned(),
            modified: path.metadata().and_then(|metadata| metadata.modified()).ok(),
            fingerprint,
        }
    }

    fn modified_ms(&self) -> Option<i64> {
        let since = self.modified?.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    }
}

/// The burst and the camera in the name of a frame of [`super::capture`].
#[cfg(feature = "ros")]
pub(crate) fn burst_and_camera(file_name: &str) -> Option<(String, Option<String>)> {
    match FileName::parse(file_name) {
        FileName::Burst { burst, camera, .. } => Some((burst, camera)),
        _ => None,
    }
}

impl LabelGroups {
    /// Number of frames in all groups.
    pub fn frame_count(&self) -> usize {
        self.groups.iter().map(|group| group.frames.len()).sum()
    }
}

/// Groups the frames of each label, sorted by label. The groups do not depend on the order of `frames`.
///
/// The first step groups the frames of each directory by their capture time, as far as it is known; frames of different directories
/// are never of one burst:
/// - frames of [`super::capture`] by the burst in their names;
/// - frames with a version 1 UUID as their name, and bursts of a single frame, at pauses of more than ten seconds;
/// - numbered files by the text before the number, and where the background changes once in a while;
/// - other files at pauses between their modification times, if [those are plausible](modification_times_ms).
///
/// The second step merges groups that contain near-duplicates of each other. It compares frames of similar brightness pair by pair:
/// in the worst case, 10,000 frames of one label take about three seconds.
pub fn group_frames(frames: &[FrameFile]) -> Vec<LabelGroups> {
    let mut by_label: BTreeMap<&Label, Vec<usize>> = BTreeMap::new();
    for (index, frame) in frames.iter().enumerate() {
        by_label.entry(&frame.label).or_default().push(index);
    }
    let groups_of = |(label, mut members): (&Label, Vec<usize>)| {
        let directory_of = |index: usize| &frames[index].directory;
        members.sort_by_key(|&index| {
            let frame = &frames[index];
            (&frame.directory, &frame.name, frame.fingerprint.sha256)
        });
        let groups = members
            .chunk_by(|&a, &b| directory_of(a) == directory_of(b))
            .flat_map(|members| group_by_time(frames, members));
        let groups = near_duplicates::merge(frames, groups.collect());
        LabelGroups {
            label: label.clone(),
            groups,
        }
    };
    by_label.into_iter().map(groups_of).collect()
}

/// When each frame was captured, in milliseconds since 1970, by its name, or else by its modification time if [those are
/// plausible](modification_times_ms). For a burst of [`super::capture`] it is the time of the first frame.
pub(super) fn capture_times_ms(frames: &[FrameFile]) -> Vec<Option<i64>> {
    let by_name = |frame: &FrameFile| match FileName::parse(&frame.name) {
        FileName::Burst { time_ms, .. } | FileName::Uuid1(time_ms) => Some(time_ms),
        FileName::Numbered { .. } | FileName::Other => None,
    };
    let mut times: Vec<Option<i64>> = frames.iter().map(by_name).collect();
    let others: Vec<usize> = (0..frames.len())
        .filter(|&frame| times[frame].is_none())
        .collect();
    for (time_ms, frame) in modification_times_ms(frames, &others).unwrap_or_default() {
        times[frame] = Some(time_ms);
    }
    let is_set = |time: Option<i64>| time.filter(|&time_ms| time_ms >= MIN_TIME_MS);
    times.into_iter().map(is_set).collect()
}

/// Finds files with the content of an earlier file that has another label.
pub fn conflicts(frames: &[FrameFile]) -> Vec<Conflict> {
    let mut first_of: HashMap<[u8; 32], usize> = HashMap::new();
    let mut conflicts = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let first = *first_of.entry(frame.fingerprint.sha256).or_insert(index);
        if frames[first].label != frame.label {
            conflicts.push(Conflict {
                frames: [first, index],
            });
        }
    }
    conflicts
}

impl Group {
    fn new(frames: &[FrameFile], members: Vec<usize>, grouped_by: GroupedBy) -> Group {
        let hashes = members.iter().map(|&index| frames[index].fingerprint.sha256);
        Group {
            content_id: hashes.min().unwrap_or_default(),
            frames: members,
            grouped_by,
            merged_count: 1,
        }
    }
}

/// Frames with the numbers in their names.
type Numbered = Vec<(u64, usize)>;

/// Groups the frames of one directory, which must be sorted by name.
fn group_by_time(frames: &[FrameFile], members: &[usize]) -> Vec<Group> {
    let mut bursts: BTreeMap<String, (i64, Numbered)> = BTreeMap::new();
    let mut series: BTreeMap<String, Numbered> = BTreeMap::new();
    let (mut timed, mut other) = (Vec::new(), Vec::new());
    for &index in members {
        match FileName::parse(&frames[index].name) {
            FileName::Burst {
                burst,
                time_ms,
                number,
                ..
            } => {
                let (_, numbered) = bursts.entry(burst).or_insert((time_ms, Vec::new()));
                numbered.push((number, index));
            }
            FileName::Numbered { prefix, number } => series.entry(prefix).or_default().push((number, index)),
            FileName::Uuid1(time_ms) => timed.push((time_ms, index)),
            FileName::Other => other.push(index),
        }
    }
    let mut groups = Vec::new();
    for numbered in series.into_values() {
        // A single numbered file is not a series.
        match numbered[..] {
            [(_, index)] => other.push(index),
            _ => groups.extend(cut_at_scenes(
                frames,
                group_by_number(frames, numbered, GroupedBy::NumberedName),
            )),
        }
    }
    for (time_ms, numbered) in bursts.into_values() {
        // Bursts of a single frame were captured one by one, like frames with a UUID.
        match numbered[..] {
            [(_, index)] => timed.push((time_ms, index)),
            _ => groups.push(group_by_number(frames, numbered, GroupedBy::CaptureTime)),
        }
    }
    match modification_times_ms(frames, &other) {
        Some(times) => groups.extend(group_at_pauses(frames, times)),
        None => groups.extend(
            other
                .iter()
                .map(|&index| Group::new(frames, vec![index], GroupedBy::Appearance)),
        ),
    }
    groups.extend(group_at_pauses(frames, timed));
    groups
}

/// Makes one group, in the order of the numbers.
fn group_by_number(frames: &[FrameFile], mut numbered: Numbered, grouped_by: GroupedBy) -> Group {
    // The sort is stable: frames with the same number stay in the order of their names.
    numbered.sort_by_key(|(number, _)| *number);
    let members = numbered.into_iter().map(|(_, index)| index).collect();
    Group::new(frames, members, grouped_by)
}

/// Cuts a series where the background changes, because the numbers may go on from one room to the next. A series in which it changes all
/// the time stays whole: the camera moved. Fewer than [`MIN_RUN`] frames with another background stay with the frames before.
fn cut_at_scenes(frames: &[FrameFile], series: Group) -> Vec<Group> {
    let is_same_scene = |a: &usize, b: &usize| {
        let [a, b] = [a, b].map(|&frame| View::new(&frames[frame].fingerprint.thumbnail));
        a.is_like(&b)
    };
    let runs: Vec<&[usize]> = series.frames.chunk_by(is_same_scene).collect();
    if runs.len() * MIN_RUN > series.frames.len() {
        return vec![series];
    }
    let mut cut: Vec<Vec<usize>> = Vec::new();
    let mut last_of_long_run: Option<usize> = None;
    for run in runs {
        let is_long = run.len() >= MIN_RUN;
        let goes_on = !is_long || last_of_long_run.is_none_or(|last| is_same_scene(&last, &run[0]));
        match cut.last_mut() {
            Some(before) if goes_on => before.extend(run),
            _ => cut.push(run.to_vec()),
        }
        if is_long {
            last_of_long_run = run.last().copied();
        }
    }
    let group = |members| Group::new(frames, members, series.grouped_by);
    cut.into_iter().map(group).collect()
}

/// Starts a new group after each pause of more than [`MAX_PAUSE_MS`].
fn group_at_pauses(frames: &[FrameFile], mut timed: Vec<(i64, usize)>) -> Vec<Group> {
    // The sort is stable: frames with the same time stay in the order of their names.
    timed.sort_by_key(|(time_ms, _)| *time_ms);
    timed
        .chunk_by(|(before, _), (after, _)| after.saturating_sub(*before) <= MAX_PAUSE_MS)
        .map(|group| group.iter().map(|(_, index)| *index).collect())
        .map(|members| Group::new(frames, members, GroupedBy::CaptureTime))
        .collect()
}

/// Returns the modification times with the frames' indices if they are plausible as capture times.
///
/// Copying, unpacking and cloning write many files per second, whereas frame-by-frame capture writes at most about one. The times
/// are plausible if they fall into at least two different seconds, and into at least half as many different seconds as there are
/// files.
fn modification_times_ms(frames: &[FrameFile], members: &[usize]) -> Option<Vec<(i64, usize)>> {
    let time_of = |&index: &usize| Some((frames[index].modified_ms()?, index));
    let times: Vec<(i64, usize)> = members.iter().map(time_of).collect::<Option<_>>()?;
    let seconds: BTreeSet<i64> = times.iter().map(|(time_ms, _)| time_ms / 1000).collect();
    (seconds.len() >= 2 && 2 * seconds.len() >= times.len()).then_some(times)
}

#[cfg(test)]
mod tests;
