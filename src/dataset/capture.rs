//! Saves camera frames to the dataset, burst by burst.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use time::OffsetDateTime;

use super::{DatasetError, Label};
use crate::disk::{self, DraftDirectory, WRITING_PREFIX};
use crate::frame::Frame;

/// JPEG quality of saved frames, 1 to 100. 95 is nearly lossless at a tenth of the raw size.
const JPEG_QUALITY: u8 = 95;

/// Writes the frames of one capture, which are often near-duplicates of each other.
///
/// The files are named `<UTC time of the burst>_<number>.jpg`, or `…_<number>_<camera>.jpg` if the camera has a name, with `-` for `/`:
/// sorting them by name sorts them by time, and the name identifies the burst.
pub(crate) struct Burst {
    /// That of the label, which the first frame creates.
    directory: PathBuf,
    name: String,
    /// The number of frames.
    frames: u32,
}

/// What was done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    Written,
    /// The file has the same content, because the same frames were saved before.
    Present,
}

impl Burst {
    /// Starts a burst and creates the directory of the dataset if it does not exist.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub(crate) fn open(dataset: &Path, label: &Label, now: OffsetDateTime) -> Result<Burst, DatasetError> {
        disk::create_private_directory(dataset).map_err(|cause| DatasetError::Io {
            path: dataset.to_owned(),
            cause,
        })?;
        Ok(Burst {
            directory: dataset.join(label.as_str()),
            name: disk::file_timestamp(now),
            frames: 0,
        })
    }

    /// The time in the names of its files.
    #[cfg(feature = "ros")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of the next file, if its frame is from this camera.
    pub(crate) fn file_name(&self, camera: &str) -> String {
        let separator = if camera.is_empty() { "" } else { "_" };
        let camera = name_in_files(camera);
        format!("{}_{:04}{separator}{camera}.jpg", self.name, self.frames)
    }

    /// Saves a frame of a camera, whose name may be empty, as JPEG. Writes the file atomically and never overwrites one.
    ///
    /// # Errors
    /// The file exists with other content or cannot be written, for example because the disk is full. Frames saved before are kept.
    pub(crate) fn save(&mut self, frame: &Frame, camera: &str) -> Result<Saved, DatasetError> {
        let name = self.file_name(camera);
        let path = self.directory.join(&name);
        let saved = write(&self.directory, &name, frame).map_err(|cause| DatasetError::Io { path, cause })?;
        self.frames += 1;
        Ok(saved)
    }
}

/// A camera's name in file names: `/robot1/camera` becomes `robot1-camera`.
pub(crate) fn name_in_files(camera: &str) -> String {
    camera.trim_start_matches('/').replace('/', "-")
}

fn write(directory: &Path, name: &str, frame: &Frame) -> io::Result<Saved> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
        .encode_image(&frame.to_rgb_image())
        .map_err(io::Error::other)?;
    if !directory.exists() {
        // The directory appears with its first frame: an empty one would stop a training.
        let draft = DraftDirectory::create(disk::parent(directory), WRITING_PREFIX)?;
        let filled = draft.path().join("label");
        disk::create_directory_inside(&filled)?;
        disk::write_once(&filled.join(name), &jpeg)?;
        match fs::rename(&filled, directory) {
            // Another process was faster.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) => {}
            renamed => return renamed.map(|()| Saved::Written),
        }
    }
    let is_written = disk::write_once(&directory.join(name), &jpeg)?;
    Ok(if is_written {
        Saved::Written
    } else {
        Saved::Present
    })
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
        burst.save(&frame(), "").expect("saves");
        burst.save(&frame(), "").expect("saves");

        let dataset = Dataset::read(root.path()).expect("reads");
        assert_eq!(dataset.frame_count(), 2);
        let first = root.path().join("thumbs_up/20260304T050607.089Z_0000.jpg");
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
        let open = || Burst::open(root.path(), &label, OffsetDateTime::UNIX_EPOCH).expect("opens");
        assert_eq!(open().save(&frame(), "").expect("saves"), Saved::Written);
        assert_eq!(open().save(&frame(), "").expect("is the same"), Saved::Present);
        let other = Frame::from_raw("bgr8", 1, 1, 3, vec![0; 3]).expect("a valid frame");
        open().save(&other, "").expect_err("the file exists");
        assert_eq!(
            Dataset::read(root.path()).expect("reads").frame_count(),
            1,
            "no partially written file is left"
        );
    }

    #[test]
    fn directory_of_a_label_appears_with_its_first_frame() {
        let root = tempfile::tempdir().expect("a directory");
        let entries = |path: &Path| fs::read_dir(path).expect("reads").count();
        let label = Label::new("none").expect("a label");
        let mut burst = Burst::open(root.path(), &label, OffsetDateTime::UNIX_EPOCH).expect("opens");
        assert_eq!(entries(root.path()), 0);
        burst.save(&frame(), "").expect("saves");
        assert_eq!((entries(root.path()), entries(&root.path().join("none"))), (1, 1));
    }
}
