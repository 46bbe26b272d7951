//! Creates the cameras that the parameter `cameras` names, and adds and removes them when it changes.

use std::sync::{Arc, Mutex};

use r2r::{Node, QosProfile};

use crate::node::models::Models;
use crate::node::params::Params;
use crate::node::params::services::{ApplyParams, Change};
use crate::node::pipeline::camera::{Camera, Cameras, MAX_CAMERAS, gesture_topic};
use crate::node::pipeline::gesture_output::{GestureOutput, GestureTopics};
use crate::node::pipeline::inbox::Inbox;
use crate::node::pipeline::subscriptions::Subscriptions;
use crate::node::pipeline::vision_msgs::ClassificationTopic;
use crate::node::ros::arguments::RosArguments;
use crate::node::ros::context::NodeContext;
use crate::node::ros::executor::ExecutorHandle;
use crate::node::ros::image_topic::{ImageTopic, absolute_name};
use crate::node::ros::qos::ImageTransport;
use crate::node::ros::topic::Topic;
use crate::node::state::NodeState;
use crate::sync::lock;

/// Why cameras cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// Two names stand for one camera.
    #[error("cameras has {0} and {1}, which are the same in the namespace of the node")]
    Same(String, String),
    /// rcl reported an error.
    #[error("camera {name}: {error}")]
    Ros {
        /// The name in the parameter.
        name: String,
        /// The error of rcl.
        error: r2r::Error,
    },
    /// A camera cannot be subscribed to.
    #[error("{0}")]
    Subscription(String),
    /// The executor has ended.
    #[error("the node is shutting down")]
    ShuttingDown,
}

/// What cameras are created with, and the parts of the node that must know of them.
#[derive(Clone)]
pub(crate) struct CameraSetup {
    pub(crate) arguments: RosArguments,
    pub(crate) context: NodeContext,
    pub(crate) executor: ExecutorHandle,
    pub(crate) cameras: Arc<Cameras>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) models: Arc<Models>,
    pub(crate) state: NodeState,
    pub(crate) params: Arc<Mutex<Params>>,
}

impl CameraSetup {
    /// Creates the first cameras, before the executor runs and the node is active.
    ///
    /// # Errors
    /// Two names stand for one camera, or rcl reported an error.
    pub(crate) fn create_first(&self, node: &mut Node) -> Result<(), CameraError> {
        let wanted = names(&lock(&self.params));
        self.cameras.set(self.add_missing(node, &wanted)?);
        Ok(())
    }

    /// The cameras of these names: the present ones, and new ones, whose gestures are published from now on.
    ///
    /// # Errors
    /// As [`CameraSetup::create_first`], or a camera cannot be subscribed to. No camera was added then.
    fn add_missing(&self, node: &mut Node, wanted: &[String]) -> Result<Vec<Arc<Camera>>, CameraError> {
        check_distinct(node, wanted)?;
        let present = self.cameras.all();
        let mut free = (0..MAX_CAMERAS).filter(|index| present.iter().all(|camera| camera.index != *index));
        let mut outputs = Vec::new();
        let mut camera = |name: &String| {
            if let Some(camera) = present.iter().find(|camera| camera.name == *name) {
                return Ok(camera.clone());
            }
            let index = free.next().expect("there are indices for twice as many cameras");
            let created = self.create(node, index, name);
            let (camera, output) = created.map_err(|error| CameraError::Ros {
                name: name.clone(),
                error,
            })?;
            outputs.push(output);
            Ok(camera)
        };
        let cameras: Result<Vec<Arc<Camera>>, CameraError> = wanted.iter().map(&mut camera).collect();
        let subscribed = cameras.and_then(|cameras| {
            let added = self.subscriptions.add(node, &without(&cameras, &present));
            added.map(|()| cameras).map_err(CameraError::Subscription)
        });
        match subscribed {
            Ok(_) => outputs
                .into_iter()
                .for_each(|output| self.inbox.add_camera(output)),
            Err(_) => close(node, outputs.into_iter().map(GestureOutput::into_topics)),
        }
        subscribed
    }

    /// Creates a camera and its publishers.
    fn create(&self, node: &mut Node, index: usize, name: &str) -> r2r::Result<(Arc<Camera>, GestureOutput)> {
        let (transport, use_sim_time) = {
            let params = lock(&self.params);
            (params.image_transport, params.use_sim_time)
        };
        let topic = ImageTopic::resolve(&self.arguments, node, &Camera::image_topic(name), transport)?;
        let gesture = ImageTopic::resolve(&self.arguments, node, &gesture_topic(name), ImageTransport::Raw)?;
        let camera = Arc::new(Camera::new(index, name.to_owned(), topic, gesture.full_name));
        let base = camera.overlay_topic();
        let overlay = ImageTopic::resolve(&self.arguments, node, &base, ImageTransport::Compressed)?;
        // Reliable, so that tools receive it whatever reliability they request.
        let qos_of_overlay = QosProfile::default().keep_last(1);
        let topics = GestureTopics {
            gesture: Topic::new(node, &gesture.name, QosProfile::default().keep_last(10))?,
            classification: ClassificationTopic::new(node, &camera.classification_topic())?,
            overlay: Arc::new(Topic::new(node, &overlay.name, qos_of_overlay)?),
        };
        let output = GestureOutput::new(self.context.clone(), camera.clone(), topics, use_sim_time);
        Ok((camera, output))
    }

    /// Runs [`CameraSetup::add_missing`] on the executor.
    fn add(&self, params: &Params) -> Result<Vec<Arc<Camera>>, CameraError> {
        let (setup, wanted) = (self.clone(), names(params));
        let work = self
            .executor
            .run_on_node(move |node| setup.add_missing(node, &wanted));
        tokio::runtime::Handle::current()
            .block_on(work)
            .unwrap_or(Err(CameraError::ShuttingDown))
    }

    /// Ends the subscriptions and the publishers of cameras, after a last gesture with the reason `inactive`.
    fn remove(&self, cameras: &[Arc<Camera>]) {
        self.subscriptions.remove(cameras);
        let closed = async {
            let mut topics = Vec::new();
            for camera in cameras {
                topics.extend(self.inbox.remove_camera(camera.index).await);
            }
            self.executor.run_on_node(move |node| close(node, topics)).await
        };
        tokio::runtime::Handle::current().block_on(closed);
    }
}

impl ApplyParams for CameraSetup {
    fn apply(&self, change: Change) -> Result<(), String> {
        if !change.sets("cameras") {
            return self.models.change_parameters(change, |_| Ok(()));
        }
        // Cameras are added to an active node, and to one that is not, but not during the transition between both.
        let _no_transition = self.state.lock_transitions_blocking();
        let present = self.cameras.all();
        let mut changed = present.clone();
        let prepared = self.models.change_parameters(change, |params| {
            changed = self.add(params).map_err(|error| error.to_string())?;
            Ok(())
        });
        match prepared {
            Ok(()) => {
                let removed = without(&present, &changed);
                self.cameras.set(changed);
                self.remove(&removed);
            }
            Err(_) => self.remove(&without(&changed, &present)),
        }
        prepared
    }
}

/// The names of the cameras; an empty one for the only camera of a node whose parameter `cameras` is empty.
fn names(params: &Params) -> Vec<String> {
    let mut names = params.cameras.clone();
    if names.is_empty() {
        names.push(String::new());
    }
    names
}

/// # Errors
/// A relative name and an absolute one stand for the same camera.
fn check_distinct(node: &Node, names: &[String]) -> Result<(), CameraError> {
    let namespace = node.namespace().unwrap_or_default();
    for (place, name) in names.iter().enumerate() {
        let is_same =
            |earlier: &&String| absolute_name(&namespace, earlier) == absolute_name(&namespace, name);
        if let Some(earlier) = names[..place].iter().find(is_same) {
            return Err(CameraError::Same(earlier.clone(), name.clone()));
        }
    }
    Ok(())
}

/// The cameras that are not among `others`.
fn without(cameras: &[Arc<Camera>], others: &[Arc<Camera>]) -> Vec<Arc<Camera>> {
    let is_other = |camera: &&Arc<Camera>| others.iter().all(|other| !Arc::ptr_eq(camera, other));
    cameras.iter().filter(is_other).cloned().collect()
}

fn close(node: &mut Node, topics: impl IntoIterator<Item = GestureTopics>) {
    for topics in topics {
        topics.close(node);
    }
}
