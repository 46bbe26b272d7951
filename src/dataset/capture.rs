//! Frames from the camera into the image directory, one burst at a time.

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use time::OffsetDateTime;

use super::{DatasetError, Label};
use crate::disk::{self, Existing};
use crate::frame::Frame;

/// JPEG quality of saved frames, 1 to 100: near lossless, at a tenth of the raw size.
const JPEG_QUALITY: u8 = 95;

/// The frames of one capture, which may be near-duplicates of each other.
///
/// They are named `<UTC time of the burst>_<number>.jpg`, so that sorting by name is sorting by time, and a burst can be told from its files.
pub struct Burst {
    directory: PathBuf,
    name: String,
    saved: u32,
}

impl Burst {
    /// Opens a burst under a label; makes the label's directory where it is new.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(dataset: &Path, label: &Label, now: OffsetDateTime) -> Result<Burst, DatasetError> {
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

    /// Saves a frame as JPEG. The file appears whole or not at all, and nothing is overwritten.
    ///
    /// # Errors
    /// What the file system says, such as a full disk; what was saved before stays.
    pub fn save(&mut self, frame: &Frame) -> Result<PathBuf, DatasetError> {
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
        Frame::from_raw("bgr8", 32, 24, 96, [10, 20, 200].repeat(32 * 24)).expect("a good frame")
    }

    #[test]
    fn saved_frames_are_read_back_as_the_dataset() {
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
        assert_eq!(dataset.count(&label), 2);
        let saved = Frame::from_file(&first).expect("an image").to_rgb_image();
        assert!(saved.get_pixel(16, 12).0[0].abs_diff(200) < 8, "red stayed red");
    }

    #[test]
    fn nothing_is_overwritten() {
        let root = tempfile::tempdir().expect("a directory");
        let label = Label::new("none").expect("a label");
        let now = OffsetDateTime::UNIX_EPOCH;
        Burst::open(root.path(), &label, now)
            .expect("opens")
            .save(&frame())
            .expect("saves");
        let mut second = Burst::open(root.path(), &label, now).expect("opens");
        second.save(&frame()).expect_err("a file of that name is there");
        assert_eq!(
            Dataset::read(root.path()).expect("reads").frames(),
            1,
            "and nothing half-written"
        );
    }
}
