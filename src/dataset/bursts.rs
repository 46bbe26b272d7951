//! Which frames belong together: those of one burst, one take, one look.
//!
//! They are near-duplicates of each other, so they are the unit in which [`super::split`] holds frames out. What a name
//! tells is read by `clue`, what frames look like by [`super::fingerprint`].

mod clue;
mod likeness;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Label;
use super::fingerprint::Fingerprint;
use clue::Clue;

/// The longest pause within a burst, in milliseconds.
///
/// Who clicks frame by frame does so about once a second and moves the hand meanwhile; after ten seconds without a click
/// they have done something else. Where they have not, the frames still look alike and are joined for that.
const GAP_MS: i64 = 10_000;

/// What is known of a file with a frame in it.
#[derive(Clone, Debug)]
pub struct FrameFile {
    /// The label it lies under.
    pub label: Label,
    /// Its name without the directory.
    pub name: String,
    /// When it was last written, where the file system tells.
    pub modified: Option<SystemTime>,
    /// Its content and its look.
    pub fingerprint: Fingerprint,
}

/// What told that frames belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A name or a file's time said when they were taken.
    Burst,
    /// Their names are numbers behind the same text.
    Take,
    /// They look alike; a frame that looks like no other stands alone.
    Likeness,
}

/// Frames of one label that must stand on the same side of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Indices of the frames, in the order in which they were taken as far as that is known.
    pub frames: Vec<usize>,
    /// What told that they belong together.
    pub origin: Origin,
    /// How many bursts, takes or single frames look so much alike that they were joined to this group; 1 is the rule.
    pub joined: usize,
    /// The least SHA-256 of its frames: the same wherever the directory lies and whatever the files are called.
    pub identity: [u8; 32],
}

/// The groups of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelGroups {
    /// The label.
    pub label: Label,
    /// Every frame of the label is in one of them.
    pub groups: Vec<Group>,
}

/// One and the same file under two labels: one of them is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Indices of the two frames.
    pub frames: [usize; 2],
}

impl FrameFile {
    /// The frame in a file; asks the file system when it was last written.
    pub fn new(path: &Path, label: Label, fingerprint: Fingerprint) -> FrameFile {
        let name = path.file_name().unwrap_or_default();
        FrameFile {
            label,
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

impl LabelGroups {
    /// How many frames the label has.
    pub fn frames(&self) -> usize {
        self.groups.iter().map(|group| group.frames.len()).sum()
    }
}

/// Groups the frames of each label, sorted by label; the groups do not depend on the order of `frames`.
///
/// First by what is known of their time: our own bursts by name; frames with a UUID of version 1 for a name, and bursts of a
/// single frame, by pauses of more than ten seconds; numbered files by the text before the number; the rest by pauses between
/// the times of the files, where those tell something. Then groups that share a near-duplicate are joined.
///
/// Frames of like brightness are compared pair by pair: at worst, ten thousand of one label take some three seconds.
pub fn group_frames(frames: &[FrameFile]) -> Vec<LabelGroups> {
    let mut by_label: BTreeMap<&Label, Vec<usize>> = BTreeMap::new();
    for (index, frame) in frames.iter().enumerate() {
        by_label.entry(&frame.label).or_default().push(index);
    }
    let groups_of = |(label, mut members): (&Label, Vec<usize>)| {
        members.sort_by_key(|&index| (&frames[index].name, frames[index].fingerprint.sha256));
        let groups = likeness::join(frames, groups_by_time(frames, &members));
        LabelGroups {
            label: label.clone(),
            groups,
        }
    };
    by_label.into_iter().map(groups_of).collect()
}

/// Files that lie under more than one label: each with the first of the same content.
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
    fn new(frames: &[FrameFile], members: Vec<usize>, origin: Origin) -> Group {
        let hashes = members.iter().map(|&index| frames[index].fingerprint.sha256);
        Group {
            identity: hashes.min().unwrap_or_default(),
            frames: members,
            origin,
            joined: 1,
        }
    }
}

/// The frames of one label, which are sorted by name, by what is known of their time.
fn groups_by_time(frames: &[FrameFile], members: &[usize]) -> Vec<Group> {
    let mut named: BTreeMap<(bool, String), Vec<(u64, usize)>> = BTreeMap::new();
    let (mut timed, mut unnamed) = (Vec::new(), Vec::new());
    let mut burst_times = BTreeMap::new();
    for &index in members {
        match Clue::of(&frames[index].name) {
            Clue::Burst {
                burst,
                time_ms,
                number,
            } => {
                burst_times.insert(burst.clone(), time_ms);
                named.entry((true, burst)).or_default().push((number, index));
            }
            Clue::Numbered { prefix, number } => {
                named.entry((false, prefix)).or_default().push((number, index));
            }
            Clue::Time(time_ms) => timed.push((time_ms, index)),
            Clue::Nothing => unnamed.push(index),
        }
    }
    let mut groups = Vec::new();
    for ((is_burst, name), mut numbered) in named {
        match (is_burst, &numbered[..]) {
            // A burst of a single frame is a click like any other, and a single number tells of no take.
            (true, [(_, index)]) => timed.push((burst_times[&name], *index)),
            (false, [(_, index)]) => unnamed.push(*index),
            _ => {
                numbered.sort_by_key(|(number, _)| *number);
                let members = numbered.into_iter().map(|(_, index)| index).collect();
                let origin = if is_burst { Origin::Burst } else { Origin::Take };
                groups.push(Group::new(frames, members, origin));
            }
        }
    }
    match file_times(frames, &unnamed) {
        Some(times) => groups.extend(groups_by_gap(frames, times)),
        None => groups.extend(
            unnamed
                .iter()
                .map(|&index| Group::new(frames, vec![index], Origin::Likeness)),
        ),
    }
    groups.extend(groups_by_gap(frames, timed));
    groups
}

/// A new group begins after each pause of more than [`GAP_MS`].
fn groups_by_gap(frames: &[FrameFile], mut timed: Vec<(i64, usize)>) -> Vec<Group> {
    // Sorting is stable: frames of one moment stay in the order of their names.
    timed.sort_by_key(|(time_ms, _)| *time_ms);
    timed
        .chunk_by(|(before, _), (after, _)| after.saturating_sub(*before) <= GAP_MS)
        .map(|group| group.iter().map(|(_, index)| *index).collect())
        .map(|members| Group::new(frames, members, Origin::Burst))
        .collect()
}

/// When the files were written, where that tells when the frames were taken.
///
/// Copying, unpacking and cloning write many files a second, clicking one a second at most: the times tell something where
/// there are at least half as many different seconds as files.
fn file_times(frames: &[FrameFile], members: &[usize]) -> Option<Vec<(i64, usize)>> {
    let time_of = |&index: &usize| Some((frames[index].modified_ms()?, index));
    let times: Vec<(i64, usize)> = members.iter().map(time_of).collect::<Option<_>>()?;
    let seconds: BTreeSet<i64> = times.iter().map(|(time_ms, _)| time_ms / 1000).collect();
    (seconds.len() >= 2 && 2 * seconds.len() >= times.len()).then_some(times)
}

#[cfg(test)]
mod tests;
