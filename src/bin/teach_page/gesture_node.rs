//! The gesture node, which this page is for: its name, whether it is there, and its services.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use r2r::Node;
use r2r::rcl_interfaces::srv::{DescribeParameters, GetParameters, SetParameters};
use r2r::thumb_gesture::srv::{AddFrame, GetFrame, GetReport, ListFrames, Record};
use thumb_gesture::node::absolute_name;
use thumb_gesture::sync::lock;

use crate::services::{Bridge, LONG_TIMEOUT, ServiceClient, Services};

/// Time without a message of the node until it counts as gone. It publishes diagnostics once a second; DDS itself notices a killed process
/// only after 20 s.
const PRESENCE_TIMEOUT: Duration = Duration::from_millis(2500);

/// When the last message of the node arrived.
#[derive(Default)]
pub(crate) struct Presence(Mutex<Option<Instant>>);

impl Presence {
    pub(crate) fn is_present(&self) -> bool {
        lock(&self.0).is_some_and(|last| last.elapsed() < PRESENCE_TIMEOUT)
    }

    /// A message of the node has arrived.
    pub(crate) fn mark(&self) {
        *lock(&self.0) = Some(Instant::now());
    }
}

/// A request to a node that has just started may be lost; it is read again then.
const PARAMETERS_TIMEOUT: Duration = Duration::from_secs(2);

/// Names and services of the gesture node.
pub(crate) struct GestureNode {
    /// Full name.
    pub(crate) name: String,
    pub(crate) presence: Arc<Presence>,
    pub(crate) services: Bridge,
    pub(crate) record: ServiceClient<Record::Service>,
    pub(crate) list_frames: Arc<ServiceClient<ListFrames::Service>>,
    pub(crate) add_frame: ServiceClient<AddFrame::Service>,
    pub(crate) get_frame: ServiceClient<GetFrame::Service>,
    pub(crate) get_report: ServiceClient<GetReport::Service>,
    pub(crate) describe_parameters: ServiceClient<DescribeParameters::Service>,
    pub(crate) get_parameters: ServiceClient<GetParameters::Service>,
    pub(crate) set_parameters: ServiceClient<SetParameters::Service>,
}

impl GestureNode {
    /// Creates the clients. The name is relative to the namespace of `node`, unless it begins with `/`.
    ///
    /// # Errors
    /// rcl reported an error.
    pub(crate) fn new(node: &mut Node, name: &str) -> r2r::Result<GestureNode> {
        let name = absolute_name(&node.namespace()?, name);
        let presence = Arc::new(Presence::default());
        let mut services = Services {
            node,
            server: &name,
            presence: &presence,
        };
        let list_frames = services.client_within("list_frames", LONG_TIMEOUT)?;
        let list_frames = Arc::new(list_frames);
        Ok(GestureNode {
            services: Bridge::new(&mut services, list_frames.clone())?,
            record: services.client("record")?,
            list_frames,
            add_frame: services.client("add_frame")?,
            get_frame: services.client("get_frame")?,
            get_report: services.client("get_report")?,
            describe_parameters: services.client_within("describe_parameters", PARAMETERS_TIMEOUT)?,
            get_parameters: services.client_within("get_parameters", PARAMETERS_TIMEOUT)?,
            set_parameters: services.client("set_parameters")?,
            presence,
            name,
        })
    }
}
