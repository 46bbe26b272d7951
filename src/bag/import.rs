//! Frames of a bag into the image directory.

use std::path::Path;

use time::OffsetDateTime;

use super::image::BagImage;
use super::{Bag, BagError, Loss, Topic, secs_between};
use crate::dataset::capture::Burst;
use crate::dataset::fingerprint::Thumbnail;
use crate::dataset::{DatasetError, Label};
use crate::preprocess::Preprocessor;

/// Which frames are taken.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// From this time on, seconds from the bag's first frame.
    pub from_secs: f64,
    /// Up to this time, which is not in it.
    pub to_secs: f64,
    /// Of so many frames one.
    pub every: usize,
}

/// What became of a bag's frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Saved in the dataset.
    pub saved: usize,
    /// Left out, because they look like the one saved before.
    pub near_duplicates: usize,
    /// Messages that are no images.
    pub bad_frames: u64,
    /// What is wrong with the first of them.
    pub bad_reason: Option<String>,
    /// What could not be read of the bag.
    pub losses: Vec<Loss>,
}

/// Saves frames of a bag under a label, as one burst, which a split of the dataset keeps together. It goes by the time of its first
/// frame: the same selection is not saved twice.
///
/// `progress` is called after each frame that was read.
///
/// # Errors
/// A bag that is none, and what the file system says; what was saved before stays.
pub fn import(
    bag: &Bag,
    topic: &Topic,
    selection: Selection,
    dataset: &Path,
    label: &Label,
    mut progress: impl FnMut(),
) -> Result<Imported, BagError> {
    let mut imported = Imported::default();
    let mut preprocessor = Preprocessor::new();
    let (mut start_ns, mut count) = (None, 0);
    let mut last: Option<Thumbnail> = None;
    let mut burst: Option<Burst> = None;
    let losses = bag.read(&|found| found == topic, &mut |message| {
        progress();
        let image = match BagImage::read(message.topic, message.data) {
            Ok(image) => image,
            Err(error) => {
                imported.bad_frames += 1;
                imported.bad_reason.get_or_insert_with(|| error.to_string());
                return Ok(());
            }
        };
        let time_ns = image.time_ns(message.time_ns);
        let secs = secs_between(*start_ns.get_or_insert(time_ns), time_ns);
        if !(selection.from_secs..selection.to_secs).contains(&secs) {
            return Ok(());
        }
        count += 1;
        if (count - 1) % selection.every.max(1) != 0 {
            return Ok(());
        }
        let thumbnail = Thumbnail::from_square(&preprocessor.square_from_frame(&image.frame));
        if last
            .as_ref()
            .is_some_and(|last| last.is_near_duplicate(&thumbnail))
        {
            imported.near_duplicates += 1;
            return Ok(());
        }
        let open = || {
            let time = OffsetDateTime::from_unix_timestamp_nanos(time_ns.into());
            Burst::open(dataset, label, time.unwrap_or(OffsetDateTime::UNIX_EPOCH))
        };
        let mut save = || -> Result<(), DatasetError> {
            let burst = match &mut burst {
                Some(burst) => burst,
                none => none.insert(open()?),
            };
            burst.save(&image.frame).map(drop)
        };
        save().map_err(|error| error.to_string())?;
        imported.saved += 1;
        last = Some(thumbnail);
        Ok(())
    })?;
    imported.losses = losses;
    Ok(imported)
}
