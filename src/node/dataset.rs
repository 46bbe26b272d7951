//! The dataset of the node: its summary on `~/dataset`, and the services that list, add, return, delete and relabel frames.

mod files;
mod history;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use r2r::std_srvs::srv::Trigger;
use r2r::thumb_gesture::msg::{DatasetSummary, FrameInfo};
use r2r::thumb_gesture::srv::{DeleteFrames, ListFrames, RelabelFrames};

use crate::dataset::bursts::burst_and_camera;
use crate::dataset::edits::{self, EditError};
use crate::dataset::{Dataset, DatasetError, DatasetReader, Label, LabelError, existing_spelling};
use crate::frame::Frame;
use crate::node::ros::context::NodeContext;
use crate::node::ros::topic::Topic;
use crate::sync::lock;
use crate::{text, thumbnail};
use files::AddedBursts;
use history::{Addition, Change, History, Undone};

/// Maximum number of frames in a response of `~/list_frames`.
const MAX_LISTED: u32 = 200;
/// The same if the request has none.
const DEFAULT_LISTED: u32 = 50;

/// The dataset's directory, which all services of the node share. Its methods block on the disk.
pub(crate) struct NodeDataset {
    context: NodeContext,
    root: PathBuf,
    /// `~/dataset`.
    summary: Topic<DatasetSummary>,
    reader: Mutex<DatasetReader>,
    /// Locked during an edit: one after the other can be undone.
    edits: Mutex<()>,
    /// Never locked while the disk is read.
    history: Mutex<History>,
    /// The bursts of `~/add_frame`.
    added: Mutex<AddedBursts>,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Label(#[from] LabelError),
    #[error("limit is {0}, must be at most {MAX_LISTED}")]
    Limit(u32),
    #[error("there is no burst of this node to take back; delete frames with ~/delete_frames")]
    NoBurst,
    #[error("there is nothing to redo: nothing was undone, or something was changed since")]
    NothingToRedo,
    #[error("there is no label {0:?} in the dataset; ~/dataset has those there are")]
    UnknownLabel(String),
}

impl NodeDataset {
    pub(crate) fn new(context: NodeContext, root: PathBuf, summary: Topic<DatasetSummary>) -> NodeDataset {
        NodeDataset {
            context,
            root,
            summary,
            reader: Mutex::default(),
            edits: Mutex::default(),
            history: Mutex::default(),
            added: Mutex::default(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A valid label in the spelling that the dataset has already.
    pub(crate) fn label(&self, name: &str) -> Result<Label, LabelError> {
        Label::new(name).map(|label| existing_spelling(&self.root, &label))
    }

    /// Remembers that a frame was added to a burst. All with the same `change` are taken back together; if it is empty, those of a burst.
    pub(crate) fn note_added(&self, label: &Label, burst: &str, change: &str) {
        // The same time is in the names of bursts of several labels if they began at once.
        let id = match change {
            "" => format!("{label}/{burst}"),
            change => change.to_owned(),
        };
        lock(&self.history).add(&id, label, burst);
    }

    /// Lists the frames.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub(crate) fn read(&self) -> Result<Dataset, DatasetError> {
        lock(&self.reader).read(&self.root)
    }

    /// Publishes what the dataset has, and returns the number of frames of each label.
    pub(crate) fn publish_summary(&self) -> HashMap<String, u32> {
        // Held until the summary is published: the last one must be the newest.
        let mut reader = lock(&self.reader);
        let mut summary = match reader.read(&self.root) {
            Ok(dataset) => summary_of(&dataset),
            // Nothing has been captured yet.
            Err(_) if !self.root.exists() => DatasetSummary::default(),
            Err(error) => {
                let message = text::message(&format!("cannot read the dataset: {error}"));
                self.context.warn(&message);
                DatasetSummary {
                    message,
                    ..DatasetSummary::default()
                }
            }
        };
        summary.undo_label = lock(&self.history)
            .last_change()
            .and_then(Addition::label)
            .map(Label::to_string)
            .unwrap_or_default();
        summary.stamp = self.context.stamp();
        summary.path = self.root.display().to_string();
        self.summary.publish(&summary);
        summary.labels.into_iter().zip(summary.frames).collect()
    }

    /// As [`NodeDataset::publish_summary`], without blocking.
    pub(crate) async fn publish_summary_in_background(self: &Arc<NodeDataset>) -> HashMap<String, u32> {
        let dataset = self.clone();
        let reading = tokio::task::spawn_blocking(move || dataset.publish_summary());
        // The panic hook has reported a panic.
        reading.await.unwrap_or_default()
    }

    /// Answers `~/list_frames`.
    pub(crate) fn answer_list(&self, request: &ListFrames::Request) -> ListFrames::Response {
        match self.list(request) {
            Ok((total, frames)) => ListFrames::Response {
                success: true,
                total,
                frames,
                ..ListFrames::Response::default()
            },
            Err(error) => ListFrames::Response {
                message: text::message(&error.to_string()),
                ..ListFrames::Response::default()
            },
        }
    }

    fn list(&self, request: &ListFrames::Request) -> Result<(u32, Vec<FrameInfo>), RequestError> {
        let limit = match request.limit {
            0 => DEFAULT_LISTED,
            limit if limit > MAX_LISTED => return Err(RequestError::Limit(limit)),
            limit => limit,
        };
        if !self.root.exists() && request.label.is_empty() {
            return Ok((0, Vec::new()));
        }
        let dataset = self.read()?;
        let is_listed = |label: &Label| request.label.is_empty() || label.as_str() == request.label;
        if !request.label.is_empty() && !dataset.labels.iter().any(|frames| is_listed(&frames.label)) {
            return Err(RequestError::UnknownLabel(text::shorten(&request.label)));
        }
        let labeled = dataset.labels.iter().filter(|frames| is_listed(&frames.label));
        let mut files: Vec<(&str, &Label, &PathBuf)> = labeled
            .flat_map(|frames| frames.files.iter().map(|file| (&frames.label, file)))
            .filter_map(|(label, file)| Some((edits::frame_id(&self.root, file)?, label, file)))
            .collect();
        files.sort_unstable_by_key(|(id, ..)| *id);
        let page = files.iter().skip(request.offset as usize).take(limit as usize);
        let frames = page.map(|(id, label, file)| frame_info(id, label, file, request.thumbnails));
        Ok((u32::try_from(files.len()).unwrap_or(u32::MAX), frames.collect()))
    }

    /// Answers `~/delete_frames`.
    pub(crate) fn answer_delete(&self, request: &DeleteFrames::Request) -> DeleteFrames::Response {
        let result = self.edit(|dataset| Ok(edits::delete(dataset, &request.frames)?));
        let (success, message) = described(result, |moved| {
            format!("{moved} frames moved to the trash; ~/undo_edit brings them back")
        });
        DeleteFrames::Response { success, message }
    }

    /// Answers `~/relabel_frames`.
    pub(crate) fn answer_relabel(&self, request: &RelabelFrames::Request) -> RelabelFrames::Response {
        let label = self.label(&request.label);
        let name = label.as_ref().map(Label::to_string).unwrap_or_default();
        let result = self.edit(|dataset| Ok(edits::relabel(dataset, &request.frames, &label?)?));
        let (success, message) = described(result, |moved| match moved {
            0 => format!("all of these frames are {name} already"),
            moved => format!("{moved} frames are {name} now; ~/undo_edit moves them back"),
        });
        RelabelFrames::Response { success, message }
    }

    /// Answers `~/delete_last_burst`.
    pub(crate) fn answer_delete_last_burst(&self) -> Trigger::Response {
        let result = self.edit(|dataset| {
            let last = lock(&self.history).last_burst().ok_or(RequestError::NoBurst)?;
            match frames_of_bursts(dataset, &[last]) {
                frames if frames.is_empty() => Err(RequestError::NoBurst),
                frames => Ok(edits::delete(dataset, &frames)?),
            }
        });
        let (success, message) = described(result, |moved| {
            format!("the last burst, {moved} frames, was moved to the trash; ~/undo_edit brings it back")
        });
        Trigger::Response { success, message }
    }

    /// Answers `~/undo_edit`.
    pub(crate) fn answer_undo(&self) -> Trigger::Response {
        self.answer_change(|| self.undo())
    }

    /// Answers `~/redo_edit`.
    pub(crate) fn answer_redo(&self) -> Trigger::Response {
        self.answer_change(|| self.redo())
    }

    fn answer_change(&self, change: impl FnOnce() -> Result<String, RequestError>) -> Trigger::Response {
        let _one_at_a_time = lock(&self.edits);
        let result = change();
        self.publish_summary();
        let (success, message) = described(result, |message| message);
        Trigger::Response { success, message }
    }

    /// Takes the last change back. Changes of which nothing is left, because somebody has removed the files, are skipped.
    fn undo(&self) -> Result<String, RequestError> {
        loop {
            let change = lock(&self.history).take_done();
            let has_history = change.is_some();
            if let Some(Change::Addition(addition)) = change {
                let withdrawn = self.withdraw(&addition);
                match &withdrawn {
                    Ok(None) => continue,
                    Ok(Some(_)) => lock(&self.history).put_undone(Undone::Addition(addition)),
                    Err(_) => lock(&self.history).put_done(Change::Addition(addition)),
                }
                return withdrawn.map(Option::unwrap_or_default);
            }
            // Without a history it is one of an earlier process.
            match edits::undo(&self.root) {
                Ok(moves) => {
                    let message = format!("{} frames moved back", moves.len());
                    lock(&self.history).put_undone(Undone::Edit(moves));
                    return Ok(message);
                }
                Err(EditError::NothingToUndo) if has_history => {}
                Err(error) => {
                    if has_history {
                        lock(&self.history).put_done(Change::Edit);
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// Moves frames that were added to the trash; `None` if there are none of them any more.
    fn withdraw(&self, addition: &Addition) -> Result<Option<String>, RequestError> {
        let dataset = self.read()?;
        let frames = frames_of_bursts(&dataset, addition.bursts());
        if frames.is_empty() {
            return Ok(None);
        }
        let moved = edits::withdraw(&dataset, &frames)?;
        // Each of them once, in the order of the alphabet.
        let labels: BTreeSet<&str> = addition
            .bursts()
            .iter()
            .map(|(label, _)| label.as_str())
            .collect();
        let labels: Vec<&str> = labels.into_iter().collect();
        Ok(Some(format!(
            "{moved} frames of {} taken back; ~/redo_edit brings them back",
            labels.join(" and ")
        )))
    }

    fn redo(&self) -> Result<String, RequestError> {
        let undone = lock(&self.history).take_undone();
        let before = edits::last(&self.root);
        let (result, change) = match undone.ok_or(RequestError::NothingToRedo)? {
            Undone::Addition(addition) => (edits::restore(&self.root), Change::Addition(addition)),
            Undone::Edit(moves) => (edits::redo(&self.root, &moves), Change::Edit),
        };
        // A failed one may have moved some frames, too.
        if result.is_ok() || edits::last(&self.root) != before {
            lock(&self.history).put_done(change);
        }
        Ok(format!("{} frames moved again", result?))
    }

    /// Answers `~/clear_trash`.
    pub(crate) fn answer_clear_trash(&self) -> Trigger::Response {
        let _one_at_a_time = lock(&self.edits);
        let result = edits::clear_trash(&self.root).map_err(RequestError::from);
        lock(&self.history).forget_edits();
        let (success, message) = described(result, |frames| {
            format!("{frames} frames were deleted permanently")
        });
        Trigger::Response { success, message }
    }

    /// Performs an edit and publishes the summary, also of a failed one, which may have moved some frames.
    fn edit(
        &self,
        edit: impl FnOnce(&Dataset) -> Result<usize, RequestError>,
    ) -> Result<usize, RequestError> {
        let _one_at_a_time = lock(&self.edits);
        let dataset = self.read()?;
        let before = edits::last(&self.root);
        let result = edit(&dataset);
        if edits::last(&self.root) != before {
            lock(&self.history).edit();
        }
        self.publish_summary();
        result
    }
}

/// `success` and `message` of a response.
fn described<T>(result: Result<T, RequestError>, message: impl FnOnce(T) -> String) -> (bool, String) {
    let message_of = |error: RequestError| text::message(&error.to_string());
    let success = result.is_ok();
    (success, result.map_or_else(message_of, message))
}

fn frames_of_bursts(dataset: &Dataset, bursts: &[(Label, String)]) -> Vec<String> {
    let is_meant = |label: &Label, file: &Path| {
        burst_of(file).is_some_and(|(found, _)| {
            bursts
                .iter()
                .any(|(each, burst)| each == label && *burst == found)
        })
    };
    let labeled = dataset.labels.iter();
    let files = labeled.flat_map(|frames| frames.files.iter().map(|file| (&frames.label, file)));
    files
        .filter(|(label, file)| is_meant(label, file))
        .filter_map(|(_, file)| Some(edits::frame_id(&dataset.root, file)?.to_owned()))
        .collect()
}

fn burst_of(file: &Path) -> Option<(String, Option<String>)> {
    burst_and_camera(file.file_name()?.to_str()?)
}

fn frame_info(id: &str, label: &Label, file: &Path, has_thumbnail: bool) -> FrameInfo {
    let (burst, camera) = burst_of(file).unwrap_or_default();
    let thumbnail = || {
        Frame::from_file(file)
            .and_then(|frame| thumbnail::jpeg_of(&frame))
            .ok()
    };
    FrameInfo {
        frame: id.to_owned(),
        label: label.to_string(),
        burst,
        camera: camera.unwrap_or_default(),
        thumbnail: has_thumbnail.then(thumbnail).flatten().unwrap_or_default(),
    }
}

fn summary_of(dataset: &Dataset) -> DatasetSummary {
    let count = |files: usize| u32::try_from(files).unwrap_or(u32::MAX);
    let labels = dataset.labels.iter();
    DatasetSummary {
        labels: labels.clone().map(|frames| frames.label.to_string()).collect(),
        frames: labels.clone().map(|frames| count(frames.files.len())).collect(),
        skipped: labels.map(|frames| count(frames.skipped.len())).collect(),
        message: text::messages(dataset.warnings()),
        ..DatasetSummary::default()
    }
}
