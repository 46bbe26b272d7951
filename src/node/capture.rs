//! `~/capture`: the next frames of the camera into the image directory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt};
use r2r::ServiceRequest;
use r2r::thumb_gesture::msg::DatasetSummary;
use r2r::thumb_gesture::srv::CaptureFrames;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::dataset::capture::Burst;
use crate::dataset::{self, Dataset, DatasetError, Label, LabelledFrames};
use crate::node::lifecycle::machine::State;
use crate::node::lifecycle::services::Lifecycle;
use crate::node::params::Params;
use crate::node::pipeline::camera::Camera;
use crate::node::ros::context::NodeContext;
use crate::node::ros::service::respond;
use crate::node::ros::topic::Topic;
use crate::node::sync::lock;

/// The most frames of one call.
const MOST_FRAMES: u32 = 1000;
/// Frames that may wait for the disk before the camera goes on without them.
const FRAMES_IN_WAITING: usize = 8;

/// Saves frames, one call after the other.
pub struct Capture {
    /// The node.
    pub handle: NodeContext,
    /// The dataset's directory.
    pub dataset: PathBuf,
    /// Where the frames come from.
    pub cameras: Vec<Arc<Camera>>,
    /// For the timeout.
    pub params: Arc<Mutex<Params>>,
    /// The node's state: no frame comes unless it is active.
    pub lifecycle: Arc<Lifecycle>,
    /// `~/dataset`.
    pub summary: Topic<DatasetSummary>,
}

/// Why fewer frames were saved than asked for.
#[derive(Debug, thiserror::Error)]
enum CaptureError {
    #[error(
        "the node is {0} and takes no frames: `ros2 lifecycle set <node> activate` changes that, unless it was shut down"
    )]
    Inactive(State),
    #[error("the node was deactivated meanwhile")]
    Deactivated,
    #[error("frames must be 1 to {MOST_FRAMES}, not {0}")]
    Count(u32),
    #[error("there is no camera {0:?}: {1}")]
    Camera(String, String),
    #[error(transparent)]
    Label(#[from] crate::dataset::LabelError),
    #[error(
        "no frame came for {0:?} on {1}: is the camera running, and does its QoS fit (image_reliability)?"
    )]
    NoFrame(Duration, String),
    #[error("of these frames none is of {0}: is that camera running? Name one that is in camera")]
    Silent(String),
    #[error("{0}")]
    Dataset(#[from] DatasetError),
    #[error("the node is shutting down")]
    Ending,
}

impl Capture {
    /// Answers calls until the node ends.
    pub async fn serve(
        self,
        mut requests: impl Stream<Item = ServiceRequest<CaptureFrames::Service>> + Unpin,
    ) {
        if self.dataset.exists()
            && let Err(error) = dataset::sweep(&self.dataset)
        {
            self.handle
                .warn(&format!("what an earlier node left half-written stays: {error}"));
        }
        self.publish_summary(&self.frames_by_label());
        while let Some(request) = requests.next().await {
            let response = self.answer(&request.message).await;
            respond(&self.handle, request, response);
        }
    }

    async fn answer(&self, request: &CaptureFrames::Request) -> CaptureFrames::Response {
        let mut saved = 0;
        let result = self.capture(request, &mut saved).await;
        let labels = self.frames_by_label();
        let of_label = labels
            .iter()
            .find(|frames| frames.label.as_str() == request.label);
        let total = of_label.map_or(0, count);
        if saved > 0 {
            self.publish_summary(&labels);
        }
        match result {
            Ok(()) => CaptureFrames::Response {
                success: true,
                message: format!("{saved} frames saved under {}", request.label),
                saved,
                total,
            },
            Err(error) => CaptureFrames::Response {
                success: false,
                message: format!("{error} ({saved} frames saved)"),
                saved,
                total,
            },
        }
    }

    async fn capture(&self, request: &CaptureFrames::Request, saved: &mut u32) -> Result<(), CaptureError> {
        let label = Label::new(&request.label)?;
        if !(1..=MOST_FRAMES).contains(&request.frames) {
            return Err(CaptureError::Count(request.frames));
        }
        let cameras = self.chosen(&request.camera)?;
        let (sender, mut frames) = mpsc::channel(FRAMES_IN_WAITING * cameras.len());
        for (number, camera) in cameras.iter().enumerate() {
            camera.tap.open((number, sender.clone()));
        }
        drop(sender);
        let _closes_the_taps = CloseOnDrop(&cameras);
        // Only now: a deactivation from here on closes them too.
        match self.lifecycle.settled().await {
            State::Active => {}
            state => return Err(CaptureError::Inactive(state)),
        }
        let timeout = lock(&self.params).capture_timeout;
        let mut burst: Option<Burst> = None;
        let mut of_cameras = vec![0; cameras.len()];
        while *saved < request.frames {
            let (number, frame) = match tokio::time::timeout(timeout, frames.recv()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Err(CaptureError::Deactivated),
                Err(_) => {
                    let topics: Vec<&str> = cameras.iter().map(|camera| camera.topic.as_str()).collect();
                    return Err(CaptureError::NoFrame(timeout, topics.join(" and ")));
                }
            };
            // The directory is made with the first frame: a label of which there is none leaves no trace.
            let (dataset, label) = (self.dataset.clone(), label.clone());
            let opened = burst.take();
            let saving = tokio::task::spawn_blocking(move || {
                let mut burst = match opened {
                    Some(burst) => burst,
                    None => Burst::open(&dataset, &label, OffsetDateTime::now_utc())?,
                };
                burst.save(&frame.frame)?;
                Ok::<Burst, DatasetError>(burst)
            });
            burst = Some(saving.await.map_err(|_| CaptureError::Ending)??);
            *saved += 1;
            of_cameras[number] += 1;
        }
        let silent = cameras
            .iter()
            .zip(&of_cameras)
            .filter(|(_, frames)| **frames == 0);
        let silent: Vec<&str> = silent.map(|(camera, _)| camera.topic.as_str()).collect();
        match silent.as_slice() {
            [] => Ok(()),
            silent => Err(CaptureError::Silent(silent.join(" and "))),
        }
    }

    /// The camera of a name; all of them where there is no name.
    fn chosen(&self, name: &str) -> Result<Vec<Arc<Camera>>, CaptureError> {
        if name.is_empty() {
            return Ok(self.cameras.clone());
        }
        let named = self.cameras.iter().find(|camera| camera.name == name);
        let Some(camera) = named else {
            let names: Vec<&str> = self.cameras.iter().map(|camera| camera.name.as_str()).collect();
            let known = match names.concat().as_str() {
                "" => "the parameter cameras names none, leave camera empty".to_owned(),
                _ => format!("there are {}", names.join(", ")),
            };
            return Err(CaptureError::Camera(name.to_owned(), known));
        };
        Ok(vec![camera.clone()])
    }

    fn frames_by_label(&self) -> Vec<LabelledFrames> {
        match Dataset::read(&self.dataset) {
            Ok(dataset) => dataset.labels,
            // Nothing was captured yet.
            Err(_) if !self.dataset.exists() => Vec::new(),
            Err(error) => {
                self.handle.warn(&format!("the dataset cannot be read: {error}"));
                Vec::new()
            }
        }
    }

    fn publish_summary(&self, labels: &[LabelledFrames]) {
        self.summary.publish(&DatasetSummary {
            stamp: self.handle.stamp(),
            path: self.dataset.display().to_string(),
            frames: labels.iter().map(count).collect(),
            labels: labels.iter().map(|frames| frames.label.to_string()).collect(),
        });
    }
}

fn count(frames: &LabelledFrames) -> u32 {
    u32::try_from(frames.files.len()).unwrap_or(u32::MAX)
}

struct CloseOnDrop<'a>(&'a [Arc<Camera>]);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|camera| camera.tap.close());
    }
}
