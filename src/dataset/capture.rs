//! Saves camera frames to the dataset, burst by burst.

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use time::OffsetDateTime;

use super::{DatasetError, Label};
use crate::disk::{self, Existing};
use crate::frame::Frame;

/// JPEG quality of saved frames, 1 to 100. 95 is nearly lossless at a tenth of the raw size.
const JPEG_QUALITY: u8 = 95;

/// Writes the frames of one capture, which are often near-duplicates of each other.
///
/// The files are named `<UTC time of the burst>_<number>.jpg`: sorting them by name sorts them by time, and the name identifies
/// the burst.
pub(crate) struct Burst {
    directory: PathBuf,
    name: String,
    saved: u32,
}

impl Burst {
    /// Starts a burst and creates the directory of its label if it does not exist.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub(crate) fn open(dataset: &Path, label: &Label, now: OffsetDateTime) -> Result<Burst, DatasetError> {
        let directory = dataset.join(label.as_str());
        std::fs::create_dir_all(&directory).map_err(|cause| DatasetError::Io {
            path: directory.clone(),
            cause,
        })?;
        Ok(Burst {
            directory,
            name: disk::file_timestamp(now),
            saved: 0,
        })
    }

    /// Saves a frame as JPEG and returns the path. Writes the file atomically and never overwrites one.
    ///
    /// # Errors
    /// The file exists or cannot be written, for example because the disk is full. Frames saved before are kept.
    pub(crate) fn save(&mut self, frame: &Frame) -> Result<PathBuf, DatasetError> {
        let path = self
            .directory
            .join(format!("{}_{:04}.jpg", self.name, self.saved));
        let image = frame.to_rgb_image();
        let write = disk::write_atomic(&path, Existing::Keep, |writer| {
            JpegEncoder::new_with_quality(writer, JPEG_QUALITY)
                .encode_image(&image)
                .map_err(std::io::Error::other)
        });
        write.map_err(|cause| DatasetError::Io {
            path: path.clone(),
            cause,
        })?;
        self.saved += 1;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::dataset::Dataset;

    fn frame() -> Frame {
        Frame::from_raw("bgr8", 32, 24, 96, [10, 20, 200].repeat(32 * 24)).expect("a valid frame")
    }

    #[test]
    fn saved_frames_are_listed_in_the_dataset() {
        let root = tempfile::tempdir().expect("a directory");
        let label = Label::new("thumbs_up").expect("a label");
        let now = datetime!(2026-03-04 05:06:07.089 UTC);
        let mut burst = Burst::open(root.path(), &label, now).expect("opens");
        let first = burst.save(&frame()).expect("saves");
        burst.save(&frame()).expect("saves");
        assert!(
            first.ends_with("thumbs_up/20260304T050607.089Z_0000.jpg"),
            "{first:?}"
        );

        let dataset = Dataset::read(root.path()).expect("reads");
        assert_eq!(dataset.frame_count(), 2);
        let saved = Frame::from_file(&first).expect("decodes").to_rgb_image();
        assert!(
            saved.get_pixel(16, 12).0[0].abs_diff(200) < 8,
            "red and blue are swapped"
        );
    }

    #[test]
    fn existing_files_are_not_overwritten() {
        let root = tempfile::tempdir().expect("a directory");
        let label = Label::new("none").expect("a label");
        let now = OffsetDateTime::UNIX_EPOCH;
        Burst::open(root.path(), &label, now)
            .expect("opens")
            .save(&frame())
            .expect("saves");
        let mut second = Burst::open(root.path(), &label, now).expect("opens");
        second.save(&frame()).expect_err("the file exists");
        assert_eq!(
            Dataset::read(root.path()).expect("reads").frame_count(),
            1,
            "no partially written file is left"
        );
    }
}
