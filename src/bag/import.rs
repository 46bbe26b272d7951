//! Saves frames of a bag in a dataset.

use std::path::Path;

use time::OffsetDateTime;

use super::image::BagImage;
use super::{Bag, BagError, DataLoss, Topic, secs_between};
use crate::dataset::capture::Burst;
use crate::dataset::fingerprint::Thumbnail;
use crate::dataset::{DatasetError, Label};
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
    /// The number of messages that are not valid images.
    pub bad_frames: u64,
    /// Why the first of them is not valid.
    pub bad_reason: Option<String>,
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
    let mut summary = ImportSummary::default();
    let mut preprocessor = Preprocessor::new();
    let (mut start_ns, mut in_range) = (None, 0);
    let mut last_saved: Option<Thumbnail> = None;
    let mut burst: Option<Burst> = None;
    let losses = bag.read(&|found| found == topic, &mut |message| {
        on_frame();
        let image = match BagImage::read(message.topic, message.data) {
            Ok(image) => image,
            Err(error) => {
                summary.bad_frames += 1;
                summary.bad_reason.get_or_insert_with(|| error.to_string());
                return Ok(());
            }
        };
        let time_ns = image.time_ns(message.time_ns);
        let secs = secs_between(*start_ns.get_or_insert(time_ns), time_ns);
        if !(selection.from_secs..selection.to_secs).contains(&secs) {
            return Ok(());
        }
        in_range += 1;
        if (in_range - 1) % selection.every.max(1) != 0 {
            return Ok(());
        }
        let thumbnail = Thumbnail::from_square(&preprocessor.square_from_frame(&image.frame));
        if last_saved
            .as_ref()
            .is_some_and(|last| last.is_near_duplicate(&thumbnail))
        {
            summary.near_duplicates += 1;
            return Ok(());
        }
        let open_burst = || {
            let time = OffsetDateTime::from_unix_timestamp_nanos(time_ns.into());
            Burst::open(dataset, label, time.unwrap_or(OffsetDateTime::UNIX_EPOCH))
        };
        let mut save = || -> Result<(), DatasetError> {
            let burst = match &mut burst {
                Some(burst) => burst,
                none => none.insert(open_burst()?),
            };
            burst.save(&image.frame).map(drop)
        };
        save().map_err(|error| error.to_string())?;
        summary.saved += 1;
        last_saved = Some(thumbnail);
        Ok(())
    })?;
    summary.losses = losses;
    Ok(summary)
}
