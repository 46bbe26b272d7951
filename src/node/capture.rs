//! `~/capture`: saves the next frames of the cameras in the dataset.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use r2r::ServiceRequest;
use r2r::thumb_gesture::msg::DatasetSummary;
use r2r::thumb_gesture::srv::CaptureFrames;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::dataset::capture::Burst;
use crate::dataset::{self, Dataset, DatasetError, DatasetReader, Label, existing_spelling};
use crate::node::params::Params;
use crate::node::pipeline::camera::{Camera, CapturedFrame};
use crate::node::ros::context::NodeContext;
use crate::node::ros::service::respond;
use crate::node::ros::topic::Topic;
use crate::node::state::{NodeState, State};
use crate::sync::lock;
use crate::text::{self, shorten};

/// Maximum number of frames per call.
const MAX_FRAMES: u32 = 1000;
/// Frames per camera that may wait to be written; further ones are skipped.
const QUEUE_LEN: usize = 8;

/// Saves frames, one call after the other.
pub(crate) struct Capture {
    pub(crate) context: NodeContext,
    /// The dataset's directory.
    pub(crate) dataset: PathBuf,
    pub(crate) cameras: Vec<Arc<Camera>>,
    pub(crate) params: Arc<Mutex<Params>>,
    /// Frames arrive in the active state only.
    pub(crate) state: NodeState,
    /// `~/dataset`.
    pub(crate) summary: Topic<DatasetSummary>,
    /// Shared with the threads that read the dataset.
    pub(crate) reader: Arc<Mutex<DatasetReader>>,
}

/// Why fewer frames were saved than requested.
#[derive(Debug, thiserror::Error)]
enum CaptureError {
    #[error(
        "the node is {0}, must be active; run `ros2 lifecycle set <node> activate`, or restart the node after a shutdown"
    )]
    Inactive(State),
    #[error("the node was deactivated during the capture")]
    Deactivated,
    #[error("frames is {0}, must be 1 to {MAX_FRAMES}")]
    Count(u32),
    #[error("unknown camera {name:?}; {known}")]
    UnknownCamera { name: String, known: String },
    #[error(transparent)]
    Label(#[from] crate::dataset::LabelError),
    #[error(
        "no frame for {timeout:?} on {topics}; check that the camera runs, and that its QoS matches the parameter image_reliability"
    )]
    NoFrame { timeout: Duration, topics: String },
    #[error("no frame on {0}; check that the camera runs, or capture one camera only with the field camera")]
    NoFrameFromCamera(String),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error("the node is shutting down")]
    ShuttingDown,
}

/// Receives frames of cameras until it is dropped.
struct FrameReceiver<'a> {
    cameras: &'a [Arc<Camera>],
    frames: mpsc::Receiver<CapturedFrame>,
}

impl Capture {
    /// Deletes temporary files in the dataset, publishes its summary, and answers calls until the node ends.
    pub(crate) async fn serve(
        self,
        mut requests: impl Stream<Item = ServiceRequest<CaptureFrames::Service>> + Unpin,
    ) {
        dataset::sweep(&self.dataset);
        self.publish_summary().await;
        while let Some(request) = requests.next().await {
            let response = self.answer(&request.message).await;
            respond(&self.context, request, response);
        }
    }

    async fn answer(&self, request: &CaptureFrames::Request) -> CaptureFrames::Response {
        let mut saved = 0;
        let label = Label::new(&request.label).map(|label| existing_spelling(&self.dataset, &label));
        let name = label.as_ref().map(ToString::to_string).unwrap_or_default();
        let result = match label {
            Ok(label) => self.capture(request, label, &mut saved).await,
            Err(error) => Err(error.into()),
        };
        let total = self
            .publish_summary()
            .await
            .get(&name)
            .copied()
            .unwrap_or_default();
        let (success, message) = match result {
            Ok(()) if name != request.label => (
                true,
                format!(
                    "{saved} frames saved under {name}, which is how the dataset spells {}",
                    request.label
                ),
            ),
            Ok(()) => (true, format!("{saved} frames saved under {name}")),
            Err(error) => (false, format!("{error} ({saved} frames saved)")),
        };
        CaptureFrames::Response {
            success,
            message: text::message(&message),
            saved,
            total,
        }
    }

    /// Saves the requested frames; counts them in `saved`, also on failure.
    async fn capture(
        &self,
        request: &CaptureFrames::Request,
        label: Label,
        saved: &mut u32,
    ) -> Result<(), CaptureError> {
        if !(1..=MAX_FRAMES).contains(&request.frames) {
            return Err(CaptureError::Count(request.frames));
        }
        let cameras = self.select_cameras(&request.camera)?;
        let mut frames = FrameReceiver::open(&cameras);
        // Checked after the receiver was opened: a later deactivation closes it.
        match self.state.settled().await {
            State::Active => {}
            state => return Err(CaptureError::Inactive(state)),
        }
        let (timeout, interval) = {
            let params = lock(&self.params);
            (params.capture_timeout, params.capture_interval)
        };
        let mut burst = None;
        let mut saved_per_camera = vec![0; cameras.len()];
        let mut last_saved: Vec<Option<Instant>> = vec![None; cameras.len()];
        while *saved < request.frames {
            let (camera_index, frame) = frames.next(timeout).await?;
            if last_saved[camera_index].is_some_and(|time| time.elapsed() < interval) {
                continue;
            }
            last_saved[camera_index] = Some(Instant::now());
            // The burst is opened with the first frame, so that a label without frames gets no directory.
            let (dataset, label) = (self.dataset.clone(), label.clone());
            let saving = tokio::task::spawn_blocking(move || {
                let mut burst = match burst {
                    Some(burst) => burst,
                    None => Burst::open(&dataset, &label, OffsetDateTime::now_utc())?,
                };
                burst.save(&frame.frame)?;
                Ok::<Burst, DatasetError>(burst)
            });
            burst = Some(saving.await.map_err(|_| CaptureError::ShuttingDown)??);
            *saved += 1;
            saved_per_camera[camera_index] += 1;
        }
        let silent: Vec<&str> = cameras
            .iter()
            .zip(saved_per_camera)
            .filter(|(_, saved)| *saved == 0)
            .map(|(camera, _)| camera.topic.as_str())
            .collect();
        if !silent.is_empty() {
            return Err(CaptureError::NoFrameFromCamera(silent.join(" and ")));
        }
        Ok(())
    }

    /// The camera with this name; all cameras if the name is empty.
    fn select_cameras(&self, name: &str) -> Result<Vec<Arc<Camera>>, CaptureError> {
        if name.is_empty() {
            return Ok(self.cameras.clone());
        }
        if let Some(camera) = self.cameras.iter().find(|camera| camera.name == name) {
            return Ok(vec![camera.clone()]);
        }
        let names: Vec<&str> = self.cameras.iter().map(|camera| camera.name.as_str()).collect();
        let known = match names.concat().as_str() {
            "" => "the parameter cameras is empty, so leave camera empty".to_owned(),
            _ => format!("known: {}", names.join(", ")),
        };
        Err(CaptureError::UnknownCamera {
            name: shorten(name),
            known,
        })
    }

    /// Publishes what the dataset has, and returns the number of frames of each label.
    async fn publish_summary(&self) -> HashMap<String, u32> {
        let (root, reader) = (self.dataset.clone(), self.reader.clone());
        let reading = tokio::task::spawn_blocking(move || lock(&reader).read(&root));
        let mut summary = match reading.await {
            Ok(Ok(dataset)) => summary_of(&dataset),
            // Nothing has been captured yet.
            _ if !self.dataset.exists() => DatasetSummary::default(),
            Ok(Err(error)) => self.unreadable(&error.to_string()),
            Err(panic) => self.unreadable(&panic.to_string()),
        };
        summary.stamp = self.context.stamp();
        summary.path = self.dataset.display().to_string();
        self.summary.publish(&summary);
        summary.labels.into_iter().zip(summary.frames).collect()
    }

    fn unreadable(&self, error: &str) -> DatasetSummary {
        let message = text::message(&format!("cannot read the dataset: {error}"));
        self.context.warn(&message);
        DatasetSummary {
            message,
            ..DatasetSummary::default()
        }
    }
}

fn summary_of(dataset: &Dataset) -> DatasetSummary {
    let count = |files: usize| u32::try_from(files).unwrap_or(u32::MAX);
    let labels = dataset.labels.iter();
    DatasetSummary {
        labels: labels.clone().map(|frames| frames.label.to_string()).collect(),
        frames: labels.clone().map(|frames| count(frames.files.len())).collect(),
        skipped: labels.map(|frames| count(frames.skipped.len())).collect(),
        message: text::message(&dataset.warnings().join("\n")),
        ..DatasetSummary::default()
    }
}

impl<'a> FrameReceiver<'a> {
    fn open(cameras: &'a [Arc<Camera>]) -> FrameReceiver<'a> {
        let (sender, frames) = mpsc::channel(QUEUE_LEN * cameras.len());
        for (camera_index, camera) in cameras.iter().enumerate() {
            camera.capture.open(camera_index, sender.clone());
        }
        FrameReceiver { cameras, frames }
    }

    async fn next(&mut self, timeout: Duration) -> Result<CapturedFrame, CaptureError> {
        match tokio::time::timeout(timeout, self.frames.recv()).await {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(CaptureError::Deactivated),
            Err(_) => {
                let topics: Vec<&str> = self.cameras.iter().map(|camera| camera.topic.as_str()).collect();
                Err(CaptureError::NoFrame {
                    timeout,
                    topics: topics.join(" and "),
                })
            }
        }
    }
}

impl Drop for FrameReceiver<'_> {
    fn drop(&mut self) {
        self.cameras.iter().for_each(|camera| camera.capture.close());
    }
}
