//! The subscriptions to the cameras, with the QoS that fits their publishers.
//!
//! When the publishers change, a camera is subscribed to once more with another QoS, and its thread reads from the previous subscription
//! until the first message of the new one, so that no frame is lost.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::stream::{AbortHandle, BoxStream, abortable, pending};
use futures::{Stream, StreamExt};
use r2r::builtin_interfaces::msg::Time;
use r2r::sensor_msgs::msg::CompressedImage;
use r2r::{Node, QosProfile};

use crate::node::params::Params;
use crate::node::pipeline::camera::{Camera, Cameras};
use crate::node::pipeline::camera_thread::{CameraThread, ImageMessage};
use crate::node::pipeline::inbox::Inbox;
use crate::node::ros::context::NodeContext;
use crate::node::ros::executor::ExecutorHandle;
use crate::node::ros::ffi::ImageInPlace;
use crate::node::ros::qos::{ImageQos, ImageSubscription, ImageTransport, RemotePublisher, publishers};
use crate::node::threads::Threads;
use crate::sync::lock;

/// Subscribes to the cameras of the node.
pub(crate) struct Subscriptions {
    pub(crate) context: NodeContext,
    /// Creates the subscriptions.
    pub(crate) executor: ExecutorHandle,
    pub(crate) threads: Threads,
    pub(crate) params: Arc<Mutex<Params>>,
    pub(crate) cameras: Arc<Cameras>,
    pub(crate) inbox: Arc<Inbox>,
    /// `None` unless the node is active.
    pub(crate) active: Mutex<Option<Vec<Subscription>>>,
}

/// The subscription to one camera.
pub(crate) struct Subscription {
    camera: Arc<Camera>,
    qos: ImageQos,
    /// Subscribes once more with this QoS.
    subscribe: Box<Subscribe>,
    /// Ends the stream of messages, and with it the thread.
    stop: AbortHandle,
    thread: JoinHandle<()>,
}

type Subscribe = dyn Fn(&mut Node, QosProfile) -> r2r::Result<()> + Send;

/// The publishers on a camera's topics, and the QoS of the subscription to its images, which fits theirs.
pub(crate) struct Source {
    pub(crate) camera: Arc<Camera>,
    pub(crate) publishers: Vec<RemotePublisher>,
    /// Those of its gestures, the node's own among them.
    pub(crate) gesture_publishers: Vec<RemotePublisher>,
    pub(crate) qos: ImageQos,
}

impl Subscriptions {
    /// Subscribes to all cameras, or to none on failure.
    ///
    /// # Errors
    /// A subscription or a thread could not be created.
    pub(crate) async fn start(self: &Arc<Self>) -> Result<(), String> {
        let this = self.clone();
        let subscribed = self.executor.run_on_node(move |node| this.subscribe(node)).await;
        subscribed.unwrap_or_else(|| Err("the node is shutting down".to_owned()))
    }

    fn subscribe(&self, node: &mut Node) -> Result<(), String> {
        let subscriptions = self.subscribe_to(node, &self.cameras.all())?;
        *lock(&self.active) = Some(subscriptions);
        Ok(())
    }

    /// Subscribes to further cameras if the node is active: to all of them, or to none on failure.
    ///
    /// # Errors
    /// As [`Subscriptions::start`].
    pub(crate) fn add(&self, node: &mut Node, cameras: &[Arc<Camera>]) -> Result<(), String> {
        if let Some(active) = &mut *lock(&self.active) {
            active.extend(self.subscribe_to(node, cameras)?);
        }
        Ok(())
    }

    fn subscribe_to(&self, node: &mut Node, cameras: &[Arc<Camera>]) -> Result<Vec<Subscription>, String> {
        let requested = lock(&self.params).image_subscription();
        let mut subscriptions = Vec::new();
        for camera in cameras {
            let camera_thread = CameraThread {
                context: self.context.clone(),
                camera: camera.clone(),
                inbox: self.inbox.clone(),
            };
            let subscribed = match requested.transport {
                ImageTransport::Raw => {
                    Subscription::new::<ImageInPlace>(node, &requested, camera_thread, &self.threads)
                }
                ImageTransport::Compressed => {
                    Subscription::new::<CompressedImage>(node, &requested, camera_thread, &self.threads)
                }
            };
            match subscribed {
                Ok(subscription) => subscriptions.push(subscription),
                Err(reason) => {
                    subscriptions.iter().for_each(Subscription::stop);
                    return Err(reason);
                }
            }
        }
        Ok(subscriptions)
    }

    /// Unsubscribes from the cameras, and ends their threads and captures.
    ///
    /// r2r removes a subscription from the ROS graph when the next message for it arrives.
    pub(crate) fn stop(&self) {
        let subscriptions = lock(&self.active).take();
        end(subscriptions.unwrap_or_default());
        self.cameras
            .all()
            .iter()
            .for_each(|camera| camera.capture.close());
    }

    /// As [`Subscriptions::stop`], for some of the cameras.
    pub(crate) fn remove(&self, cameras: &[Arc<Camera>]) {
        let is_removed = |subscription: &mut Subscription| {
            cameras
                .iter()
                .any(|camera| Arc::ptr_eq(camera, &subscription.camera))
        };
        let mut removed = Vec::new();
        if let Some(active) = &mut *lock(&self.active) {
            removed.extend(active.extract_if(.., is_removed));
        }
        end(removed);
        cameras.iter().for_each(|camera| camera.capture.close());
    }

    /// Looks at the publishers on each camera's topics, and subscribes once more where another QoS fits them now.
    pub(crate) async fn review(self: &Arc<Self>) -> Vec<Source> {
        let this = self.clone();
        let sources = self.executor.run_on_node(move |node| this.fit_all(node)).await;
        sources.unwrap_or_default()
    }

    fn fit_all(&self, node: &mut Node) -> Vec<Source> {
        let requested = lock(&self.params).image_subscription();
        let mut active = lock(&self.active);
        let mut sources = Vec::new();
        for camera in self.cameras.all() {
            let gesture_publishers = publishers(node, &camera.gesture_topic);
            let publishers = publishers(node, &camera.topic);
            let mut subscriptions = active.iter_mut().flatten();
            let qos = match subscriptions.find(|subscription| Arc::ptr_eq(&subscription.camera, &camera)) {
                Some(subscription) => {
                    let qos = requested.fitting(&publishers, subscription.qos);
                    if qos != subscription.qos {
                        // Also if it fails, so that it does not fail every second.
                        subscription.qos = qos;
                        match (subscription.subscribe)(node, requested.profile(qos)) {
                            Ok(()) => self.context.info(&subscribed_again(&camera, qos)),
                            Err(error) => self.context.error(&cannot_subscribe(&camera, &error)),
                        }
                    }
                    qos
                }
                None => requested.fitting(&publishers, ImageQos::default()),
            };
            sources.push(Source {
                camera,
                publishers,
                gesture_publishers,
                qos,
            });
        }
        sources
    }
}

impl Subscription {
    /// Subscribes to a camera, and starts the thread that reads its messages.
    fn new<M: ImageMessage>(
        node: &mut Node,
        requested: &ImageSubscription,
        camera_thread: CameraThread,
        threads: &Threads,
    ) -> Result<Subscription, String> {
        let camera = camera_thread.camera.clone();
        let (sender, streams) = unbounded();
        let topic = camera.requested_topic.clone();
        let subscribe = move |node: &mut Node, profile: QosProfile| {
            // The thread no longer receives when it ends, as this subscription does.
            sender.unbounded_send(M::subscribe(node, &topic, profile)?).ok();
            Ok(())
        };
        let qos = requested.fitting(&publishers(node, &camera.topic), ImageQos::default());
        subscribe(node, requested.profile(qos)).map_err(|error| cannot_subscribe(&camera, &error))?;
        let (messages, stop) = abortable(NewestStream::new(streams));
        let thread = threads
            .spawn("camera", move || {
                futures::executor::block_on(camera_thread.run(messages))
            })
            .map_err(|error| format!("cannot start a camera thread: {error}"))?;
        Ok(Subscription {
            camera,
            qos,
            subscribe: Box::new(subscribe),
            stop,
            thread,
        })
    }

    fn stop(&self) {
        self.stop.abort();
    }
}

/// Ends subscriptions, and waits for the end of their threads.
fn end(subscriptions: Vec<Subscription>) {
    subscriptions.iter().for_each(Subscription::stop);
    for subscription in subscriptions {
        // `Threads` has reported a panic.
        subscription.thread.join().ok();
    }
}

fn subscribed_again(camera: &Camera, qos: ImageQos) -> String {
    let (reliability, durability) = qos.names();
    format!(
        "subscribed to {} with reliability {reliability} and durability {durability}, because its publishers have changed",
        camera.topic
    )
}

fn cannot_subscribe(camera: &Camera, error: &r2r::Error) -> String {
    format!("cannot subscribe to {}: {error}", camera.topic)
}

/// The messages of the newest of several streams from its first message on, and until then those of the previous one.
struct NewestStream<M> {
    streams: UnboundedReceiver<BoxStream<'static, M>>,
    current: BoxStream<'static, M>,
    next: Option<BoxStream<'static, M>>,
    /// Of the last message.
    stamp: Option<Time>,
}

impl<M: ImageMessage> NewestStream<M> {
    fn new(streams: UnboundedReceiver<BoxStream<'static, M>>) -> NewestStream<M> {
        NewestStream {
            streams,
            current: pending().boxed(),
            next: None,
            stamp: None,
        }
    }

    fn with_stamp(&mut self, message: Option<M>) -> Option<M> {
        self.stamp = message.as_ref().map(|message| message.stamp().clone());
        message
    }
}

impl<M: ImageMessage> Stream for NewestStream<M> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<M>> {
        while let Poll::Ready(Some(stream)) = self.streams.poll_next_unpin(context) {
            self.next = Some(stream);
        }
        if let Some(mut next) = self.next.take() {
            match next.poll_next_unpin(context) {
                Poll::Pending => self.next = Some(next),
                Poll::Ready(message) => {
                    self.current = next;
                    // Both subscriptions have received the last message.
                    if message.as_ref().map(ImageMessage::stamp) != self.stamp.as_ref() {
                        return Poll::Ready(self.with_stamp(message));
                    }
                }
            }
        }
        let message = ready!(self.current.poll_next_unpin(context));
        Poll::Ready(self.with_stamp(message))
    }
}
