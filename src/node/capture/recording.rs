//! `~/record`: saves frames for as long as the caller wants, and no longer than it is there.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{Stream, StreamExt};
use r2r::ServiceRequest;
use r2r::thumb_gesture::msg::Recording;
use r2r::thumb_gesture::srv::Record;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::burst::{CaptureError, MAX_FRAMES, OpenBurst, Source};
use crate::node::dataset::NodeDataset;
use crate::node::ros::context::NodeContext;
use crate::node::ros::messages::duration_message;
use crate::node::ros::service::respond;
use crate::node::ros::topic::Topic;
use crate::sync::lock;
use crate::text::{self, shorten};

/// Time within which a recording must be renewed. A caller that renews it every 0.25 s may miss two responses; one that is lost records
/// less than a second more.
const LEASE: Duration = Duration::from_millis(800);
/// Minimum time between two messages on `~/recording` while frames are saved.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);

// Constants of a service have the type of the C header.
const START: u8 = Record::Request::START as u8;
const RENEW: u8 = Record::Request::RENEW as u8;
const END: u8 = Record::Request::END as u8;

/// Answers `~/record`. One recording runs at a time.
pub(crate) struct Recordings {
    pub(crate) context: NodeContext,
    pub(crate) source: Arc<Source>,
    /// `~/recording`.
    pub(crate) topic: Arc<Topic<Recording>>,
}

/// The last recording, which may have ended.
struct Started {
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

/// What the task of a recording and the service share.
struct Shared {
    progress: Mutex<Progress>,
    /// The caller has ended the recording.
    end: Notify,
}

struct Progress {
    /// What `~/recording` says.
    message: Recording,
    deadline: Instant,
    is_ok: bool,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("action is {0}, must be START (0), RENEW (1) or END (2)")]
    Action(u8),
    #[error("there is no recording {0:?}; start one, and use the id of the response")]
    UnknownId(String),
    #[error("the recording was not renewed within {LEASE:?} and has ended")]
    Lost,
    #[error("a recording has at most {MAX_FRAMES} frames; start another one")]
    Full,
    #[error("{0}")]
    Ended(String),
}

impl Recordings {
    /// Publishes that nothing is recorded, and answers calls until the node ends.
    pub(crate) async fn serve(
        self,
        mut requests: impl Stream<Item = ServiceRequest<Record::Service>> + Unpin,
    ) {
        publish(&self.context, &self.topic, Recording::default());
        let mut started = None;
        while let Some(request) = requests.next().await {
            let response = self.answer(&mut started, &request.message).await;
            respond(&self.context, request, response);
        }
    }

    async fn answer(&self, started: &mut Option<Started>, request: &Record::Request) -> Record::Response {
        let result = match request.action {
            START => self.start(started, request).await,
            RENEW => renew(started.as_ref(), &request.id),
            END => end(started.as_mut(), &request.id).await,
            other => Err(RecordError::Action(other)),
        };
        let (success, message) = match result {
            Ok(message) => (true, message),
            Err(error) => (false, error.to_string()),
        };
        // Not those of somebody else's recording.
        let is_meant = |recording: &Recording| success || recording.id == request.id;
        let (id, saved) = match started.as_ref().map(|started| lock(&started.shared.progress)) {
            Some(progress) if is_meant(&progress.message) => {
                (progress.message.id.clone(), progress.message.saved)
            }
            _ => Default::default(),
        };
        Record::Response {
            success,
            message: text::message(&message),
            id,
            saved,
            lease: duration_message(LEASE),
        }
    }

    async fn start(
        &self,
        started: &mut Option<Started>,
        request: &Record::Request,
    ) -> Result<String, RecordError> {
        let label = self
            .source
            .dataset
            .label(&request.label)
            .map_err(CaptureError::from)?;
        let burst = self.source.open_at_once(label.clone(), &request.camera).await?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            progress: Mutex::new(Progress {
                message: Recording {
                    active: true,
                    // Ids of an earlier process of the node must not be valid.
                    id: format!("{:x}", since_epoch.as_nanos()),
                    label: label.to_string(),
                    camera: request.camera.clone(),
                    ..Recording::default()
                },
                deadline: Instant::now() + LEASE,
                is_ok: true,
            }),
            end: Notify::new(),
        });
        let task = RecordingTask {
            context: self.context.clone(),
            dataset: self.source.dataset.clone(),
            topic: self.topic.clone(),
            shared: shared.clone(),
        };
        *started = Some(Started {
            shared,
            task: Some(tokio::spawn(task.run(burst))),
        });
        Ok(format!("frames are saved under {label}"))
    }
}

impl Started {
    fn has_id(&self, id: &str) -> bool {
        lock(&self.shared.progress).message.id == id
    }
}

fn unknown(id: &str) -> RecordError {
    RecordError::UnknownId(shorten(id))
}

fn renew(started: Option<&Started>, id: &str) -> Result<String, RecordError> {
    let started = started.filter(|started| started.has_id(id));
    let mut progress = lock(&started.ok_or_else(|| unknown(id))?.shared.progress);
    if !progress.message.active {
        return Err(RecordError::Ended(progress.message.message.clone()));
    }
    progress.deadline = Instant::now() + LEASE;
    Ok(String::new())
}

/// Ends a recording and waits until its last frame is saved. The call may be repeated.
async fn end(started: Option<&mut Started>, id: &str) -> Result<String, RecordError> {
    let started = started.filter(|started| started.has_id(id));
    let started = started.ok_or_else(|| unknown(id))?;
    started.shared.end.notify_one();
    if let Some(task) = started.task.take() {
        // The panic hook has reported a panic.
        task.await.ok();
    }
    let progress = lock(&started.shared.progress);
    match progress.is_ok {
        true => Ok(progress.message.message.clone()),
        false => Err(RecordError::Ended(progress.message.message.clone())),
    }
}

/// Saves the frames of one recording.
struct RecordingTask {
    context: NodeContext,
    dataset: Arc<NodeDataset>,
    topic: Arc<Topic<Recording>>,
    shared: Arc<Shared>,
}

impl RecordingTask {
    async fn run(self, mut burst: OpenBurst) {
        self.publish();
        let end = self.save_frames(&mut burst).await;
        {
            let mut progress = lock(&self.shared.progress);
            progress.is_ok = end.is_ok();
            let Recording { label, saved, .. } = &progress.message;
            let message = match end {
                Ok(()) => format!("{saved} frames saved under {label}"),
                Err(error) => format!("{error} ({saved} frames saved under {label})"),
            };
            progress.message.message = text::message(&message);
            progress.message.active = false;
        }
        // Before the next recording can begin.
        self.publish();
        drop(burst);
        self.dataset.publish_summary_in_background().await;
    }

    /// Saves frames until the caller ends the recording.
    ///
    /// # Errors
    /// The recording has ended by itself.
    async fn save_frames(&self, burst: &mut OpenBurst) -> Result<(), RecordError> {
        let mut published = Instant::now();
        loop {
            let deadline = lock(&self.shared.progress).deadline;
            let frame = tokio::select! {
                // An end that arrives with a frame wins.
                biased;
                () = self.shared.end.notified() => return Ok(()),
                () = tokio::time::sleep_until(deadline) => {
                    if Instant::now() >= lock(&self.shared.progress).deadline {
                        return Err(RecordError::Lost);
                    }
                    continue;
                }
                frame = burst.next() => frame?,
            };
            if !burst.save(frame).await? {
                continue;
            }
            let saved = {
                let mut progress = lock(&self.shared.progress);
                progress.message.saved += 1;
                progress.message.saved
            };
            if saved == MAX_FRAMES {
                return Err(RecordError::Full);
            }
            if published.elapsed() >= PUBLISH_INTERVAL {
                published = Instant::now();
                self.publish();
            }
        }
    }

    fn publish(&self) {
        let message = lock(&self.shared.progress).message.clone();
        publish(&self.context, &self.topic, message);
    }
}

/// Publishes a message with the current time.
fn publish(context: &NodeContext, topic: &Topic<Recording>, message: Recording) {
    topic.publish(&Recording {
        stamp: context.stamp(),
        ..message
    });
}
