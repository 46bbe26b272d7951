//! `~/add_frame` and `~/get_frame`: image files that go into the dataset, and come out of it.

use std::collections::VecDeque;
use std::path::{Component, Path};
use std::time::Duration;

use r2r::thumb_gesture::srv::{AddFrame, GetFrame};
use time::OffsetDateTime;

use super::NodeDataset;
use crate::dataset::capture::{Burst, name_in_files};
use crate::dataset::{DatasetError, Label, LabelError};
use crate::disk;
use crate::file_kind::FileKind;
use crate::frame::{Frame, FrameError};
use crate::sync::lock;
use crate::text::{self, shorten};

/// Maximum length of a file that is added.
const MAX_ADDED_BYTES: usize = 16 << 20;
/// Maximum length of a file that is returned.
const MAX_RETURNED_BYTES: u64 = 64 << 20;
/// Maximum number of frames of a burst, as in a capture.
const MAX_FRAMES: usize = 1000;
/// Number of bursts that can be continued.
const OPEN_BURSTS: usize = 64;

/// The last bursts to which frames were added.
#[derive(Default)]
pub(super) struct AddedBursts {
    /// The last one that was used is the first one.
    bursts: VecDeque<AddedBurst>,
    /// Time of the last one: each has a time of its own, by which its files are named.
    last: Option<OffsetDateTime>,
}

struct AddedBurst {
    /// What the caller calls it; empty for a burst of one frame.
    id: String,
    label: Label,
    burst: Burst,
    frames: usize,
}

/// Why a frame was not added, or not returned.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Label(#[from] LabelError),
    #[error("{name} is {value:?}, must be at most 64 characters of a-z, A-Z, 0-9, '_' and '-'")]
    Name { name: &'static str, value: String },
    #[error("the image has {} MB, at most {} MB are allowed; make it smaller", .0 >> 20, MAX_ADDED_BYTES >> 20)]
    TooLong(usize),
    #[error("the image is not valid: {0}")]
    Image(#[from] FrameError),
    #[error("a burst has at most {MAX_FRAMES} frames; begin another one")]
    Full,
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error("there is no frame {0:?} in the dataset; ~/list_frames lists those there are")]
    Unknown(String),
    #[error("frame {frame:?} cannot be read: {cause}")]
    Io { frame: String, cause: std::io::Error },
}

impl NodeDataset {
    /// Answers `~/add_frame`.
    pub(crate) fn answer_add(&self, request: &AddFrame::Request) -> AddFrame::Response {
        match self.add(request) {
            Ok(frame) => {
                self.publish_summary();
                AddFrame::Response {
                    success: true,
                    message: format!("saved as {frame}"),
                    frame,
                }
            }
            Err(error) => AddFrame::Response {
                message: text::message(&error.to_string()),
                ..AddFrame::Response::default()
            },
        }
    }

    fn add(&self, request: &AddFrame::Request) -> Result<String, FileError> {
        let label = self.label(&request.label)?;
        for (name, value) in [
            ("burst", &request.burst),
            ("camera", &name_in_files(&request.camera)),
            ("change", &request.change),
        ] {
            check_name(name, value)?;
        }
        if request.image.len() > MAX_ADDED_BYTES {
            return Err(FileError::TooLong(request.image.len()));
        }
        let frame = Frame::from_compressed("", &request.image)?;
        let mut bursts = lock(&self.added);
        let added = bursts.open(self.root(), &label, &request.burst)?;
        let name = added.burst.file_name(&request.camera);
        added.burst.save(&frame, &request.camera)?;
        added.frames += 1;
        self.note_added(&label, added.burst.name(), &request.change);
        Ok(format!("{label}/{name}"))
    }

    /// Answers `~/get_frame`.
    pub(crate) fn answer_get(&self, request: &GetFrame::Request) -> GetFrame::Response {
        match self.get(&request.frame) {
            Ok((format, image)) => GetFrame::Response {
                success: true,
                format: format.to_owned(),
                image,
                ..GetFrame::Response::default()
            },
            Err(error) => GetFrame::Response {
                message: text::message(&error.to_string()),
                ..GetFrame::Response::default()
            },
        }
    }

    fn get(&self, frame: &str) -> Result<(&'static str, Vec<u8>), FileError> {
        let unknown = || FileError::Unknown(shorten(frame));
        if !is_frame_path(frame) {
            return Err(unknown());
        }
        let image =
            disk::read_file(&self.root().join(frame), MAX_RETURNED_BYTES).map_err(|cause| {
                match cause.kind() {
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => unknown(),
                    _ => FileError::Io {
                        frame: shorten(frame),
                        cause,
                    },
                }
            })?;
        let format = format(FileKind::of_bytes(&image)).ok_or_else(unknown)?;
        Ok((format, image))
    }
}

impl AddedBursts {
    /// The burst that the caller calls `id`, or a new one.
    fn open(&mut self, root: &Path, label: &Label, id: &str) -> Result<&mut AddedBurst, FileError> {
        let is_meant = |added: &AddedBurst| !id.is_empty() && added.id == id && added.label == *label;
        let added = match self.bursts.iter().position(is_meant) {
            Some(index) if self.bursts[index].frames >= MAX_FRAMES => return Err(FileError::Full),
            Some(index) => self.bursts.remove(index),
            None => {
                let after_last = self.last.map(|last| last + Duration::from_millis(1));
                let now = OffsetDateTime::now_utc();
                let time = after_last.map_or(now, |after_last| now.max(after_last));
                self.last = Some(time);
                // One without an id cannot be continued: the next one takes its place.
                self.bursts.retain(|added| !added.id.is_empty());
                self.bursts.truncate(OPEN_BURSTS - 1);
                Some(AddedBurst {
                    id: id.to_owned(),
                    label: label.clone(),
                    burst: Burst::open(root, label, time)?,
                    frames: 0,
                })
            }
        };
        if let Some(added) = added {
            self.bursts.push_front(added);
        }
        Ok(&mut self.bursts[0])
    }
}

fn check_name(name: &'static str, value: &str) -> Result<(), FileError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match value.len() <= 64 && value.chars().all(is_allowed) {
        true => Ok(()),
        false => Err(FileError::Name {
            name,
            value: shorten(value),
        }),
    }
}

/// Whether a path is that of a file below the directory of a label, no part of which is hidden.
fn is_frame_path(frame: &str) -> bool {
    let path = Path::new(frame);
    let is_visible = |part: Component| match part {
        Component::Normal(name) => !name.to_string_lossy().starts_with('.'),
        _ => false,
    };
    let label = frame.split('/').next().unwrap_or_default();
    path.components().all(is_visible)
        && path.components().count() >= 2
        && Label::new(label).is_ok()
        && !frame.contains('\0')
}

/// The name of an image's kind, as in `sensor_msgs/CompressedImage`; `None` if it is no training frame.
fn format(kind: FileKind) -> Option<&'static str> {
    Some(match kind {
        FileKind::Jpeg => "jpeg",
        FileKind::Png => "png",
        FileKind::WebP => "webp",
        FileKind::Gif => "gif",
        FileKind::Bmp => "bmp",
        FileKind::Tiff => "tiff",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_a_label_are_frames() {
        for path in ["none/a.jpg", "thumbs_up/sub/b c.png", "none/ä.jpg"] {
            assert!(is_frame_path(path), "{path}");
        }
        for path in [
            "",
            "a.jpg",
            "/none/a.jpg",
            "../none/a.jpg",
            "none/../../a.jpg",
            "none/.hidden.jpg",
            ".trash/00000001/none/a.jpg",
            "none/./../.trash/a.jpg",
            "none//../a.jpg",
            "-x/a.jpg",
            "none/a\0.jpg",
        ] {
            assert!(!is_frame_path(path), "{path}");
        }
    }

    #[test]
    fn frames_of_one_id_and_label_share_a_burst() {
        let root = tempfile::tempdir().expect("a directory");
        let label = |name: &str| Label::new(name).expect("a label");
        let mut bursts = AddedBursts::default();
        let mut name = |label: &Label, id: &str| {
            let added = bursts.open(root.path(), label, id).expect("opens");
            added.burst.name().to_owned()
        };
        let first = name(&label("none"), "a");
        assert_eq!(name(&label("none"), "a"), first);
        assert_ne!(name(&label("fist"), "a"), first);
        assert_ne!(name(&label("none"), "b"), first);
        let alone = name(&label("none"), "");
        assert_ne!(name(&label("none"), ""), alone, "no id, no common burst");
        assert_eq!(name(&label("none"), "a"), first);
        for number in 0..2 * OPEN_BURSTS {
            name(&label("none"), "");
            if number % 2 == 0 {
                name(&label("none"), &number.to_string());
            }
            assert_eq!(name(&label("none"), "a"), first, "one that is in use stays open");
        }
    }
}
