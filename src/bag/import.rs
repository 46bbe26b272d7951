//! Saves frames of a bag in a dataset: all that are selected, or few that are found in a first pass.

mod choice;
mod hard;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use time::OffsetDateTime;

use super::expected::{Interval, shows};
use super::frame_clock::FrameClock;
use super::image::{BagImage, is_image_topic};
use super::{Bag, BagError, DataLoss, ReasonCount, Topic, secs_between};
use crate::dataset::capture::{Burst, Saved};
use crate::dataset::fingerprint::Thumbnail;
use crate::dataset::{DatasetError, Label};
use crate::frame::Frame;
use crate::preprocess::Preprocessor;
pub use hard::{Hard, HardCounts, OtherLabel, find_hard};

/// Which frames of a bag are imported.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The inclusive start, seconds from the bag's first frame.
    pub from_secs: f64,
    /// The exclusive end, seconds from the bag's first frame.
    pub to_secs: f64,
    /// Take every n-th frame of this range, beginning with the first; at least 1.
    pub every: usize,
    /// Only frames that show the label according to these intervals, for `none` also those far from other labels; `None` for all.
    pub intervals: Option<Vec<Interval>>,
}

/// Where frames are saved.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The directory of the dataset.
    pub dataset: &'a Path,
    /// What the frames show.
    pub label: &'a Label,
}

/// The frames that a first pass found.
#[derive(Debug, Default)]
pub struct Found {
    /// The number of selected frames.
    pub frames: usize,
    /// Those of them that may be saved.
    pub candidates: Vec<Candidate>,
    /// The first of them that seems to show another label; `None` also if that was not asked.
    pub other_label: Option<OtherLabel>,
    /// Why messages are not valid images.
    pub bad_reasons: Vec<ReasonCount>,
    /// What could not be read of the bag.
    pub losses: Vec<DataLoss>,
}

/// A frame that may be saved.
#[derive(Debug)]
pub struct Candidate {
    /// Position among the valid frames of the topic.
    index: usize,
    /// To compare it with others.
    thumbnail: Thumbnail,
    /// Why it is hard; `None` if that was not asked.
    reason: Option<Hard>,
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// The number of frames saved.
    pub saved: usize,
    /// The number of frames that an earlier import of the same frames has saved.
    pub present: usize,
    /// The number of selected frames skipped because they look like the frame saved before, or like another one that a first pass found.
    pub near_duplicates: usize,
    /// Why the saved frames are hard; empty if that was not asked.
    pub hard: HardCounts,
    /// Why messages are not valid images.
    pub bad_reasons: Vec<ReasonCount>,
    /// What could not be read of the bag.
    pub losses: Vec<DataLoss>,
}

/// Saves the selected frames of a bag as one burst, without those that look like the one saved before, and calls `on_frame` after each
/// message read.
///
/// The burst is named after the time of its first frame, so that an import that was interrupted goes on where it stopped: frames that are
/// there already are not saved again.
///
/// # Errors
/// The bag cannot be read, a frame cannot be saved, or another import from this frame on has saved others. Frames saved before the error
/// are kept.
pub fn import_frames(
    bag: &Bag,
    topic: &Topic,
    selection: &Selection,
    target: Target,
    on_frame: impl FnMut(),
) -> Result<ImportSummary, BagError> {
    let mut selector = Selector::new(selection, target.label);
    save_frames(
        bag,
        topic,
        target,
        &mut |_, time_ns| selector.selects(time_ns),
        on_frame,
    )
}

/// Finds all selected frames.
///
/// # Errors
/// The bag cannot be read.
pub fn find_selected(
    bag: &Bag,
    topic: &Topic,
    selection: &Selection,
    label: &Label,
    on_frame: impl FnMut(),
) -> Result<Found, BagError> {
    let mut selector = Selector::new(selection, label);
    let mut thumbnails = Thumbnails::default();
    let mut candidates = Vec::new();
    let (bad_reasons, losses) = read_frames(bag, topic, on_frame, |index, time_ns, frame| {
        if selector.selects(time_ns) {
            candidates.push(Candidate {
                index,
                thumbnail: thumbnails.of(frame),
                reason: None,
            });
        }
        Ok(())
    })?;
    Ok(Found {
        frames: candidates.len(),
        candidates,
        other_label: None,
        bad_reasons,
        losses,
    })
}

impl Found {
    /// The number of frames that are taken for another label.
    pub fn wrong(&self) -> usize {
        let reasons = self.candidates.iter().filter_map(|candidate| candidate.reason);
        reasons.filter(|reason| matches!(reason, Hard::Wrong(_))).count()
    }

    /// Saves at most `count` of the frames, evenly spread over them and without near-duplicates; otherwise as [`import_frames`].
    ///
    /// # Errors
    /// As for [`import_frames`].
    pub fn import(
        &self,
        bag: &Bag,
        topic: &Topic,
        count: usize,
        target: Target,
        on_frame: impl FnMut(),
    ) -> Result<ImportSummary, BagError> {
        let chosen = choice::choose(&self.candidates, count);
        let chosen = || chosen.iter().map(|position| &self.candidates[*position]);
        let mut hard = HardCounts::new();
        for reason in chosen().filter_map(|candidate| candidate.reason) {
            *hard.entry(reason).or_default() += 1;
        }
        if chosen().next().is_none() {
            return Ok(ImportSummary {
                bad_reasons: self.bad_reasons.clone(),
                losses: self.losses.clone(),
                ..ImportSummary::default()
            });
        }
        let indices: BTreeSet<usize> = chosen().map(|candidate| candidate.index).collect();
        let summary = save_frames(
            bag,
            topic,
            target,
            &mut |index, _| indices.contains(&index),
            on_frame,
        )?;
        let others = self.candidates.len() - indices.len();
        Ok(ImportSummary {
            hard,
            // With fewer frames than wanted, all others are near-duplicates.
            near_duplicates: if indices.len() < count { others } else { 0 },
            ..summary
        })
    }
}

/// Saves the frames of which `is_selected` holds, given their position and their time.
fn save_frames(
    bag: &Bag,
    topic: &Topic,
    target: Target,
    is_selected: &mut dyn FnMut(usize, i64) -> bool,
    on_frame: impl FnMut(),
) -> Result<ImportSummary, BagError> {
    let mut importer = Importer {
        target,
        thumbnails: Thumbnails::default(),
        burst: None,
        last_saved: None,
        summary: ImportSummary::default(),
    };
    let (bad_reasons, losses) = read_frames(bag, topic, on_frame, |index, time_ns, frame| {
        if is_selected(index, time_ns) {
            let saved = importer.save(frame, time_ns);
            saved.map_err(|error| importer.failure(&error))?;
        }
        Ok(())
    })?;
    Ok(ImportSummary {
        bad_reasons,
        losses,
        ..importer.summary
    })
}

/// Calls `on_image` with the position, the time and the pixels of each valid frame, and `on_message` for each message. Returns why other
/// messages are not valid images, and what could not be read.
fn read_frames(
    bag: &Bag,
    topic: &Topic,
    mut on_message: impl FnMut(),
    mut on_image: impl FnMut(usize, i64, &Frame) -> Result<(), String>,
) -> Result<(Vec<ReasonCount>, Vec<DataLoss>), BagError> {
    let mut clock = FrameClock::new(bag, topic);
    let mut bad_reasons = Vec::new();
    let mut index = 0;
    let losses = bag.read(&|found| is_image_topic(found, topic), &mut |message| {
        on_message();
        match BagImage::read(message.topic, message.data) {
            Ok(image) => {
                let time_ns = clock.time_ns(image.stamp_ns, message.time_ns);
                on_image(index, time_ns.map_err(|error| error.to_string())?, &image.frame)?;
                index += 1;
            }
            Err(error) => ReasonCount::add(&mut bad_reasons, error.to_string()),
        }
        Ok(())
    })?;
    Ok((bad_reasons, losses))
}

/// Selects frames one after the other.
struct Selector<'a> {
    selection: &'a Selection,
    label: &'a Label,
    /// Time of the bag's first frame, nanoseconds since the epoch.
    start_ns: Option<i64>,
    /// Those of the selection, in seconds from the bag's first frame.
    intervals: Option<Vec<Interval>>,
    /// The number of frames so far that the selection contains, apart from `every`.
    frames: usize,
}

impl<'a> Selector<'a> {
    fn new(selection: &'a Selection, label: &'a Label) -> Selector<'a> {
        Selector {
            selection,
            label,
            start_ns: None,
            intervals: None,
            frames: 0,
        }
    }

    /// The time of a frame in seconds from the bag's first frame.
    fn secs(&self, time_ns: i64) -> f64 {
        secs_between(self.start_ns.unwrap_or(time_ns), time_ns)
    }

    /// Whether the selection contains the bag's next frame.
    fn selects(&mut self, time_ns: i64) -> bool {
        let start_ns = *self.start_ns.get_or_insert_with(|| {
            let start_secs = time_ns as f64 * 1e-9;
            let relative = |interval: &Interval| interval.relative_to(start_secs);
            let intervals = self.selection.intervals.as_ref();
            self.intervals = intervals.map(|intervals| intervals.iter().map(relative).collect());
            time_ns
        });
        let secs = secs_between(start_ns, time_ns);
        let is_in_range = (self.selection.from_secs..self.selection.to_secs).contains(&secs);
        let intervals = self.intervals.as_ref();
        if !is_in_range || intervals.is_some_and(|intervals| !shows(intervals, self.label, secs)) {
            return false;
        }
        let index = self.frames;
        self.frames += 1;
        index.is_multiple_of(self.selection.every.max(1))
    }
}

/// Computes thumbnails.
#[derive(Default)]
struct Thumbnails(Preprocessor);

impl Thumbnails {
    fn of(&mut self, frame: &Frame) -> Thumbnail {
        Thumbnail::from_square(&self.0.square_from_frame(frame))
    }
}

/// The state of an import.
struct Importer<'a> {
    target: Target<'a>,
    thumbnails: Thumbnails,
    /// Opened with the first frame.
    burst: Option<Burst>,
    last_saved: Option<Thumbnail>,
    summary: ImportSummary,
}

impl Importer<'_> {
    /// Saves a frame, unless it looks like the one saved before.
    fn save(&mut self, frame: &Frame, time_ns: i64) -> Result<(), DatasetError> {
        let thumbnail = self.thumbnails.of(frame);
        let last_saved = self.last_saved.as_ref();
        if last_saved.is_some_and(|last| last.is_near_duplicate(&thumbnail)) {
            self.summary.near_duplicates += 1;
            return Ok(());
        }
        let burst = match &mut self.burst {
            Some(burst) => burst,
            burst => {
                let time = OffsetDateTime::from_unix_timestamp_nanos(time_ns.into());
                let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
                burst.insert(Burst::open(self.target.dataset, self.target.label, time)?)
            }
        };
        match burst.save(frame, "")? {
            Saved::Written => self.summary.saved += 1,
            Saved::Present => self.summary.present += 1,
        }
        self.last_saved = Some(thumbnail);
        Ok(())
    }

    /// Why the import ended, and what was saved until then.
    fn failure(&self, error: &DatasetError) -> String {
        let fix = match error {
            DatasetError::Io { cause, .. } if cause.kind() == ErrorKind::AlreadyExists => {
                "; an import of other frames has saved it before; delete the files with the same time in their names to import these"
            }
            _ => "",
        };
        format!("{error}{fix} ({} frames saved)", self.summary.saved)
    }
}
