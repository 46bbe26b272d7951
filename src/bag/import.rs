//! Saves frames of a bag in a dataset.

use std::path::Path;

use time::OffsetDateTime;

use super::frame_clock::FrameClock;
use super::image::{BagImage, is_image_topic};
use super::{Bag, BagError, DataLoss, ReasonCount, Topic, secs_between};
use crate::dataset::capture::Burst;
use crate::dataset::fingerprint::Thumbnail;
use crate::dataset::{DatasetError, Label};
use crate::frame::Frame;
use crate::preprocess::Preprocessor;

/// Which frames of a bag are imported.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// The inclusive start, seconds from the bag's first frame.
    pub from_secs: f64,
    /// The exclusive end, seconds from the bag's first frame.
    pub to_secs: f64,
    /// Take every n-th frame of this range, beginning with the first; at least 1.
    pub every: usize,
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// The number of frames saved.
    pub saved: usize,
    /// The number of selected frames skipped because they look like the frame saved before.
    pub near_duplicates: usize,
    /// Why messages are not valid images.
    pub bad_reasons: Vec<ReasonCount>,
    /// What could not be read of the bag.
    pub losses: Vec<DataLoss>,
}

/// Saves the selected frames of a bag in a dataset, as one burst, and calls `on_frame` after each message read.
///
/// The burst is named after the time of its first frame, so that importing the same selection again fails instead of duplicating it.
///
/// # Errors
/// The bag cannot be read, or a frame cannot be saved. Frames saved before the error are kept.
pub fn import_frames(
    bag: &Bag,
    topic: &Topic,
    selection: Selection,
    dataset: &Path,
    label: &Label,
    mut on_frame: impl FnMut(),
) -> Result<ImportSummary, BagError> {
    let mut importer = Importer {
        selection,
        dataset,
        label,
        preprocessor: Preprocessor::new(),
        start_ns: None,
        frames_in_range: 0,
        burst: None,
        last_saved: None,
        summary: ImportSummary::default(),
    };
    let mut clock = FrameClock::new(bag, topic);
    let losses = bag.read(&|found| is_image_topic(found, topic), &mut |message| {
        on_frame();
        match BagImage::read(message.topic, message.data) {
            Ok(image) => {
                let time_ns = clock
                    .time_ns(image.stamp_ns, message.time_ns)
                    .map_err(|error| error.to_string())?;
                if importer.is_selected(time_ns) {
                    importer
                        .save(&image.frame, time_ns)
                        .map_err(|error| error.to_string())?;
                }
            }
            Err(error) => {
                ReasonCount::add(&mut importer.summary.bad_reasons, error.to_string());
            }
        }
        Ok(())
    })?;
    Ok(ImportSummary {
        losses,
        ..importer.summary
    })
}

/// The state of an import.
struct Importer<'a> {
    selection: Selection,
    dataset: &'a Path,
    label: &'a Label,
    preprocessor: Preprocessor,
    /// Time of the bag's first frame, nanoseconds since the epoch.
    start_ns: Option<i64>,
    /// The number of frames so far in the time range of the selection.
    frames_in_range: usize,
    /// Opened with the first frame.
    burst: Option<Burst>,
    last_saved: Option<Thumbnail>,
    summary: ImportSummary,
}

impl Importer<'_> {
    /// Whether the selection contains the bag's next frame.
    fn is_selected(&mut self, time_ns: i64) -> bool {
        let start_ns = *self.start_ns.get_or_insert(time_ns);
        let range = self.selection.from_secs..self.selection.to_secs;
        if !range.contains(&secs_between(start_ns, time_ns)) {
            return false;
        }
        let index = self.frames_in_range;
        self.frames_in_range += 1;
        index.is_multiple_of(self.selection.every.max(1))
    }

    /// Saves a frame, unless it looks like the one saved before.
    fn save(&mut self, frame: &Frame, time_ns: i64) -> Result<(), DatasetError> {
        let thumbnail = Thumbnail::from_square(&self.preprocessor.square_from_frame(frame));
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
                burst.insert(Burst::open(self.dataset, self.label, time)?)
            }
        };
        burst.save(frame)?;
        self.summary.saved += 1;
        self.last_saved = Some(thumbnail);
        Ok(())
    }
}
