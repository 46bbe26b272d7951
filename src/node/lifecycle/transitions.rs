//! What the node does in each transition of its lifecycle. Each of these may be called again after it broke off, and in any state.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::Stream;
use futures::stream::{AbortHandle, abortable};
use r2r::Node;
use r2r::sensor_msgs::msg::CompressedImage;
use tokio::task::spawn_blocking;

use crate::node::models::Models;
use crate::node::params::Params;
use crate::node::pipeline::camera::{Camera, Drain, ImageMessage};
use crate::node::pipeline::classifier_thread::Inbox;
use crate::node::retrain::Retraining;
use crate::node::ros::context::NodeContext;
use crate::node::ros::executor::ExecutorHandle;
use crate::node::ros::ffi;
use crate::node::ros::qos::ImageTransport;
use crate::node::sync::lock;
use crate::node::threads::Threads;

/// How long a cancelled training may take to be gone.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Why a transition was not made.
#[derive(Debug)]
pub enum Obstacle {
    /// What was asked for cannot be had; all is as it was.
    Failure(String),
    /// Something broke.
    Error(String),
}

/// What the transitions work on.
pub struct Managed {
    /// The node.
    pub handle: NodeContext,
    /// The way to it.
    pub executor: ExecutorHandle,
    /// Starts the cameras' threads.
    pub threads: Threads,
    /// The parameters.
    pub params: Arc<Mutex<Params>>,
    /// The cameras.
    pub cameras: Vec<Arc<Camera>>,
    /// The way to the classifier.
    pub inbox: Arc<Inbox>,
    /// The models.
    pub models: Arc<Models>,
    /// The training.
    pub retraining: Arc<Retraining>,
    /// The subscriptions that there are.
    pub subscriptions: Mutex<Vec<Subscription>>,
}

/// A camera's subscription and the thread that drains it.
pub struct Subscription {
    stop: AbortHandle,
    drain: JoinHandle<()>,
}

impl Managed {
    /// Loads the model and runs it once.
    pub async fn configure(&self) -> Result<(), Obstacle> {
        let models = self.models.clone();
        let configured = joined(spawn_blocking(move || models.configure()).await)?;
        if configured.is_err() {
            // One that was started meanwhile would have nowhere to put its model.
            self.end_training(CANCEL_TIMEOUT).await;
        }
        configured
    }

    /// Subscribes to the cameras: frames come, gestures go out.
    pub async fn activate(&self) -> Result<(), Obstacle> {
        let params = lock(&self.params).clone();
        let drain = |(lane, camera): (usize, &Arc<Camera>)| Drain {
            handle: self.handle.clone(),
            camera: camera.clone(),
            lane,
            inbox: self.inbox.clone(),
        };
        let drains: Vec<Drain> = self.cameras.iter().enumerate().map(drain).collect();
        let threads = self.threads.clone();
        let subscribe_all = move |node: &mut Node| -> Result<Vec<Subscription>, String> {
            let mut made = Vec::new();
            for drain in drains {
                match subscribe(node, &params, drain, &threads) {
                    Ok(subscription) => made.push(subscription),
                    Err(reason) => {
                        // All cameras, or none.
                        made.iter().for_each(|subscription| subscription.stop.abort());
                        return Err(reason);
                    }
                }
            }
            Ok(made)
        };
        let subscribed = self.executor.run_on_node(subscribe_all).await;
        let subscribed = subscribed.unwrap_or_else(|| Err("the node is ending".to_owned()));
        *lock(&self.subscriptions) = subscribed.map_err(Obstacle::Error)?;
        Ok(())
    }

    /// Leaves the cameras; a last gesture says that no more will come.
    ///
    /// r2r takes a subscription from the graph with the next message that comes for it.
    pub async fn deactivate(&self) -> Result<(), Obstacle> {
        let subscriptions = std::mem::take(&mut *lock(&self.subscriptions));
        let stop_all = move || {
            subscriptions
                .iter()
                .for_each(|subscription| subscription.stop.abort());
            for subscription in subscriptions {
                let _said_already = subscription.drain.join();
            }
        };
        joined(spawn_blocking(stop_all).await)?;
        self.cameras.iter().for_each(|camera| camera.tap.close());
        self.inbox.rest().await;
        Ok(())
    }

    /// Ends a training, and frees what the model holds.
    pub async fn cleanup(&self) -> Result<(), Obstacle> {
        self.end_training(CANCEL_TIMEOUT).await;
        let models = self.models.clone();
        joined(spawn_blocking(move || models.unload()).await)?;
        // One that was started meanwhile.
        self.end_training(CANCEL_TIMEOUT).await;
        self.inbox.unload().await;
        Ok(())
    }

    /// Ends a running training and waits for its process to be gone.
    pub async fn end_training(&self, timeout: Duration) {
        if self.retraining.cancel() {
            let gone = async {
                while self.retraining.is_running() {
                    tokio::time::sleep(CANCEL_POLL).await;
                }
            };
            let _in_time = tokio::time::timeout(timeout, gone).await;
        }
    }
}

fn subscribe(
    node: &mut Node,
    params: &Params,
    drain: Drain,
    threads: &Threads,
) -> Result<Subscription, String> {
    let topic = Camera::image_topic(&drain.camera.name, params.image_transport);
    let qos = params.image_subscription().profile();
    match params.image_transport {
        ImageTransport::Compressed => drained(node.subscribe::<CompressedImage>(&topic, qos), drain, threads),
        ImageTransport::Raw => drained(ffi::subscribe_to_images(node, &topic, qos), drain, threads),
    }
}

fn drained<M: ImageMessage>(
    messages: r2r::Result<impl Stream<Item = M> + Send + Unpin + 'static>,
    drain: Drain,
    threads: &Threads,
) -> Result<Subscription, String> {
    let messages = messages.map_err(|error| format!("no subscription to {}: {error}", drain.camera.topic))?;
    let (messages, stop) = abortable(messages);
    let started = threads.spawn("camera", move || futures::executor::block_on(drain.run(messages)));
    let drain = started.map_err(|error| format!("no thread for a camera: {error}"))?;
    Ok(Subscription { stop, drain })
}

/// The result of a thread, which may have panicked.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, Obstacle> {
    result.map_err(|error| Obstacle::Error(error.to_string()))
}
