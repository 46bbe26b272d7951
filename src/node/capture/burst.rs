//! Frames of the cameras, saved as one burst.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::{OwnedMutexGuard, mpsc};

use crate::dataset::capture::Burst;
use crate::dataset::{DatasetError, Label, LabelError};
use crate::node::dataset::NodeDataset;
use crate::node::params::Params;
use crate::node::pipeline::camera::{Camera, Cameras, CapturedFrame};
use crate::node::state::{NodeState, State};
use crate::sync::lock;
use crate::text::shorten;

/// Maximum number of frames of a burst.
pub(super) const MAX_FRAMES: u32 = 1000;
/// Frames per camera that may wait to be written; further ones are skipped.
const QUEUE_LEN: usize = 8;

/// Where the frames come from, and where they are saved.
pub(crate) struct Source {
    pub(crate) dataset: Arc<NodeDataset>,
    pub(crate) cameras: Arc<Cameras>,
    pub(crate) params: Arc<Mutex<Params>>,
    /// Frames arrive in the active state only.
    pub(crate) state: NodeState,
    /// Locked by a burst: a camera gives its frames to one at a time.
    pub(crate) in_use: Arc<tokio::sync::Mutex<()>>,
}

/// Why fewer frames were saved than requested.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaptureError {
    #[error("the node is {0}, must be active; {advice}", advice = how_to_activate(*.0))]
    Inactive(State),
    #[error("the node was deactivated, or the camera removed, during the capture")]
    Deactivated,
    #[error("another capture or recording is running; wait until it ends")]
    InUse,
    #[error("frames is {0}, must be 1 to {MAX_FRAMES}")]
    Count(u32),
    #[error("unknown camera {name:?}; {known}")]
    UnknownCamera { name: String, known: String },
    #[error(transparent)]
    Label(#[from] LabelError),
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

/// What makes a node active that is in this state.
fn how_to_activate(state: State) -> &'static str {
    match state {
        State::Inactive => "run `ros2 lifecycle set <node> activate`",
        State::Finalized => "restart the node",
        _ => "run `ros2 lifecycle set <node> configure`, then `ros2 lifecycle set <node> activate`",
    }
}

/// A burst that is being saved. Receives frames until it is dropped.
pub(super) struct OpenBurst {
    dataset: Arc<NodeDataset>,
    cameras: Vec<Arc<Camera>>,
    frames: mpsc::Receiver<CapturedFrame>,
    label: Label,
    /// Opened with the first frame, so that a label without frames gets no directory.
    burst: Option<Burst>,
    /// Maximum time without a frame.
    timeout: Duration,
    /// Minimum time between two frames of a camera.
    interval: Duration,
    /// When the last frame arrived, or the burst was opened.
    last_frame: Instant,
    /// When a frame of each camera was saved last.
    last_saved: Vec<Option<Instant>>,
    _in_use: OwnedMutexGuard<()>,
}

impl Source {
    /// Starts a burst of a camera, or of all cameras if the name is empty, and waits for the end of another one.
    ///
    /// # Errors
    /// The camera is unknown, or the node is not active.
    pub(super) async fn open(&self, label: Label, camera: &str) -> Result<OpenBurst, CaptureError> {
        let cameras = self.select_cameras(camera)?;
        let in_use = self.in_use.clone().lock_owned().await;
        self.receive(label, cameras, in_use).await
    }

    /// As [`Source::open`], but fails if there is another burst.
    ///
    /// # Errors
    /// As [`Source::open`], or [`CaptureError::InUse`].
    pub(super) async fn open_at_once(&self, label: Label, camera: &str) -> Result<OpenBurst, CaptureError> {
        let cameras = self.select_cameras(camera)?;
        let in_use = self.in_use.clone().try_lock_owned();
        self.receive(label, cameras, in_use.map_err(|_| CaptureError::InUse)?)
            .await
    }

    async fn receive(
        &self,
        label: Label,
        cameras: Vec<Arc<Camera>>,
        in_use: OwnedMutexGuard<()>,
    ) -> Result<OpenBurst, CaptureError> {
        let (sender, frames) = mpsc::channel(QUEUE_LEN * cameras.len());
        for (camera_index, camera) in cameras.iter().enumerate() {
            camera.capture.open(camera_index, sender.clone());
        }
        let (timeout, interval) = {
            let params = lock(&self.params);
            (params.capture_timeout, params.capture_interval)
        };
        let burst = OpenBurst {
            dataset: self.dataset.clone(),
            last_frame: Instant::now(),
            last_saved: vec![None; cameras.len()],
            cameras,
            frames,
            label,
            burst: None,
            timeout,
            interval,
            _in_use: in_use,
        };
        // Checked after the receiver was opened: a later deactivation closes it.
        match self.state.settled().await {
            State::Active => Ok(burst),
            state => Err(CaptureError::Inactive(state)),
        }
    }

    /// The camera with this name; all cameras if the name is empty.
    fn select_cameras(&self, name: &str) -> Result<Vec<Arc<Camera>>, CaptureError> {
        let cameras = self.cameras.all();
        if name.is_empty() {
            return Ok(cameras);
        }
        if let Some(camera) = cameras.iter().find(|camera| camera.name == name) {
            return Ok(vec![camera.clone()]);
        }
        let names: Vec<&str> = cameras.iter().map(|camera| camera.name.as_str()).collect();
        let known = match names.concat().as_str() {
            "" => "the parameter cameras is empty, so leave camera empty".to_owned(),
            _ => format!("known: {}", names.join(", ")),
        };
        Err(CaptureError::UnknownCamera {
            name: shorten(name),
            known,
        })
    }
}

impl OpenBurst {
    /// Waits for the next frame. No frame is lost if the future is dropped.
    ///
    /// # Errors
    /// No frame arrives, or the node is deactivated.
    pub(super) async fn next(&mut self) -> Result<CapturedFrame, CaptureError> {
        let deadline = (self.last_frame + self.timeout).into();
        let next = tokio::time::timeout_at(deadline, self.frames.recv()).await;
        let frame = next
            .map_err(|_| self.no_frame())?
            .ok_or(CaptureError::Deactivated)?;
        self.last_frame = Instant::now();
        Ok(frame)
    }

    /// Saves a frame unless it comes too soon after another of its camera. Returns whether it was saved. The future must not be dropped.
    ///
    /// # Errors
    /// The frame cannot be written. Frames saved before are kept.
    pub(super) async fn save(&mut self, (camera_index, frame): CapturedFrame) -> Result<bool, CaptureError> {
        if self.last_saved[camera_index].is_some_and(|time| time.elapsed() < self.interval) {
            return Ok(false);
        }
        self.last_saved[camera_index] = Some(Instant::now());
        let (dataset, label, burst) = (self.dataset.clone(), self.label.clone(), self.burst.take());
        let camera = self.cameras[camera_index].clone();
        let saving = tokio::task::spawn_blocking(move || {
            let mut burst = match burst {
                Some(burst) => burst,
                None => Burst::open(dataset.root(), &label, OffsetDateTime::now_utc())?,
            };
            burst.save(&frame.frame, &camera.name)?;
            dataset.note_added(&label, burst.name(), "");
            Ok::<Burst, DatasetError>(burst)
        });
        self.burst = Some(saving.await.map_err(|_| CaptureError::ShuttingDown)??);
        Ok(true)
    }

    /// Checks that frames of all cameras were saved.
    ///
    /// # Errors
    /// [`CaptureError::NoFrameFromCamera`].
    pub(super) fn check_cameras(&self) -> Result<(), CaptureError> {
        let cameras = self.cameras.iter().zip(&self.last_saved);
        let silent: Vec<&str> = cameras
            .filter(|(_, saved)| saved.is_none())
            .map(|(camera, _)| camera.topic.as_str())
            .collect();
        match silent.as_slice() {
            [] => Ok(()),
            _ => Err(CaptureError::NoFrameFromCamera(silent.join(" and "))),
        }
    }

    fn no_frame(&self) -> CaptureError {
        let topics: Vec<&str> = self.cameras.iter().map(|camera| camera.topic.as_str()).collect();
        CaptureError::NoFrame {
            timeout: self.timeout,
            topics: topics.join(" and "),
        }
    }
}

impl Drop for OpenBurst {
    fn drop(&mut self) {
        self.cameras.iter().for_each(|camera| camera.capture.close());
    }
}
