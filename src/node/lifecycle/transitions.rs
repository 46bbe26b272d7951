//! The work of the transitions. Each method may be called in any state, and again after it has failed.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::Stream;
use futures::stream::{AbortHandle, abortable};
use r2r::Node;
use r2r::sensor_msgs::msg::CompressedImage;
use tokio::task::spawn_blocking;

use crate::node::models::{ConfigureError, Models};
use crate::node::params::Params;
use crate::node::pipeline::camera::Camera;
use crate::node::pipeline::camera_thread::{CameraThread, ImageMessage};
use crate::node::pipeline::inbox::Inbox;
use crate::node::retrain::Retraining;
use crate::node::ros::context::NodeContext;
use crate::node::ros::executor::ExecutorHandle;
use crate::node::ros::ffi;
use crate::node::ros::qos::ImageTransport;
use crate::node::threads::Threads;
use crate::sync::lock;

/// Maximum time to wait for the process of a cancelled training to end.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
const CANCEL_POLL_PERIOD: Duration = Duration::from_millis(20);

/// Why a transition did not succeed.
#[derive(Debug)]
pub(crate) enum TransitionError {
    /// The transition is not possible; the node is unchanged.
    Failure(String),
    /// The transition was interrupted; the node may be partly changed.
    Error(String),
}

impl From<ConfigureError> for TransitionError {
    fn from(error: ConfigureError) -> TransitionError {
        match error {
            ConfigureError::Unavailable(_) => TransitionError::Failure(error.to_string()),
            ConfigureError::Store(_) | ConfigureError::Activate(_) => {
                TransitionError::Error(error.to_string())
            }
        }
    }
}

/// The parts of the node that transitions change.
pub(crate) struct Transitions {
    pub(crate) context: NodeContext,
    /// Creates the subscriptions.
    pub(crate) executor: ExecutorHandle,
    pub(crate) threads: Threads,
    pub(crate) params: Arc<Mutex<Params>>,
    pub(crate) cameras: Vec<Arc<Camera>>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) models: Arc<Models>,
    pub(crate) retraining: Arc<Retraining>,
    /// Empty unless the node is active.
    pub(crate) subscriptions: Mutex<Vec<Subscription>>,
}

/// The subscription to one camera.
pub(crate) struct Subscription {
    /// Ends the stream of messages, and with it the thread.
    stop: AbortHandle,
    thread: JoinHandle<()>,
}

impl Transitions {
    /// Loads the model and runs it once.
    pub(super) async fn configure(&self) -> Result<(), TransitionError> {
        let models = self.models.clone();
        let configured = joined(spawn_blocking(move || models.configure()).await)?;
        if configured.is_err() {
            // A training may have been started during the transition, and could not activate its model.
            self.cancel_training(CANCEL_TIMEOUT).await;
        }
        Ok(configured?)
    }

    /// Subscribes to all cameras, or to none on failure.
    pub(super) async fn activate(&self) -> Result<(), TransitionError> {
        let params = lock(&self.params).clone();
        let camera_thread = |(camera_index, camera): (usize, &Arc<Camera>)| CameraThread {
            context: self.context.clone(),
            camera: camera.clone(),
            camera_index,
            inbox: self.inbox.clone(),
        };
        let camera_threads: Vec<CameraThread> = self.cameras.iter().enumerate().map(camera_thread).collect();
        let threads = self.threads.clone();
        let subscribe_all = move |node: &mut Node| -> Result<Vec<Subscription>, String> {
            let mut subscriptions = Vec::new();
            for camera_thread in camera_threads {
                match subscribe(node, &params, camera_thread, &threads) {
                    Ok(subscription) => subscriptions.push(subscription),
                    Err(reason) => {
                        subscriptions
                            .iter()
                            .for_each(|subscription| subscription.stop.abort());
                        return Err(reason);
                    }
                }
            }
            Ok(subscriptions)
        };
        let subscribed = self.executor.run_on_node(subscribe_all).await;
        let subscribed = subscribed.unwrap_or_else(|| Err("the node is shutting down".to_owned()));
        *lock(&self.subscriptions) = subscribed.map_err(TransitionError::Error)?;
        Ok(())
    }

    /// Unsubscribes from the cameras, and publishes a last gesture with the reason `inactive` for each.
    ///
    /// r2r removes a subscription from the ROS graph when the next message for it arrives.
    pub(crate) async fn deactivate(&self) -> Result<(), TransitionError> {
        let subscriptions = std::mem::take(&mut *lock(&self.subscriptions));
        let stop_all = move || {
            subscriptions
                .iter()
                .for_each(|subscription| subscription.stop.abort());
            for subscription in subscriptions {
                // `Threads` has reported a panic.
                subscription.thread.join().ok();
            }
        };
        joined(spawn_blocking(stop_all).await)?;
        self.cameras.iter().for_each(|camera| camera.capture.close());
        self.inbox.deactivate().await;
        Ok(())
    }

    /// Cancels a training, and unloads the model.
    pub(super) async fn cleanup(&self) -> Result<(), TransitionError> {
        self.cancel_training(CANCEL_TIMEOUT).await;
        let models = self.models.clone();
        joined(spawn_blocking(move || models.unload()).await)?;
        // A training may have been started in between.
        self.cancel_training(CANCEL_TIMEOUT).await;
        self.inbox.unload().await;
        Ok(())
    }

    /// Cancels a running training and waits at most `timeout` for its process to end.
    pub(crate) async fn cancel_training(&self, timeout: Duration) {
        if self.retraining.cancel() {
            let ended = async {
                while self.retraining.is_running() {
                    tokio::time::sleep(CANCEL_POLL_PERIOD).await;
                }
            };
            // After the timeout the transition goes on; the task of the training still kills the process.
            tokio::time::timeout(timeout, ended).await.ok();
        }
    }
}

fn subscribe(
    node: &mut Node,
    params: &Params,
    camera_thread: CameraThread,
    threads: &Threads,
) -> Result<Subscription, String> {
    let camera = camera_thread.camera.clone();
    let (topic, qos) = (&camera.requested_topic, params.image_subscription().profile());
    match params.image_transport {
        ImageTransport::Compressed => start(
            node.subscribe::<CompressedImage>(topic, qos),
            camera_thread,
            threads,
        ),
        ImageTransport::Raw => start(ffi::subscribe_to_images(node, topic, qos), camera_thread, threads),
    }
}

/// Starts the thread that reads the messages of a subscription.
fn start<M: ImageMessage>(
    messages: r2r::Result<impl Stream<Item = M> + Send + Unpin + 'static>,
    camera_thread: CameraThread,
    threads: &Threads,
) -> Result<Subscription, String> {
    let messages =
        messages.map_err(|error| format!("cannot subscribe to {}: {error}", camera_thread.camera.topic))?;
    let (messages, stop) = abortable(messages);
    let thread = threads
        .spawn("camera", move || {
            futures::executor::block_on(camera_thread.run(messages))
        })
        .map_err(|error| format!("cannot start a camera thread: {error}"))?;
    Ok(Subscription { stop, thread })
}

/// The result of a blocking task, which may have panicked.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, TransitionError> {
    result.map_err(|error| TransitionError::Error(error.to_string()))
}
