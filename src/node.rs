//! The node: wires the camera, the classifier, capture and training to ROS, and ends in good order.
//!
//! Threads: one spins r2r and owns the node; one for each camera drains its topic; one owns the classifier; one draws; a small tokio
//! runtime answers services. A training is a process of its own.

mod capture;
mod diagnostics;
mod lifecycle;
mod models;
pub mod params;
mod pipeline;
mod retrain;
mod ros;
pub mod signals;
mod state;
mod threads;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use r2r::std_srvs::srv::Trigger;
use r2r::thumb_gesture::srv::{ActivateModel, CaptureFrames, ListModels, Retrain};
use r2r::{Context, Node, QosProfile, ServiceRequest, WrappedServiceTypeSupport};

use capture::Capture;
use diagnostics::Diagnostics;
use lifecycle::{Lifecycle, Transitions};
use models::Models;
use params::declarations::Params;
use params::services::Parameters;
use pipeline::camera::Camera;
use pipeline::classifier_thread::ClassifierThread;
use pipeline::gesture_output::{GestureOutput, GestureTopics};
use pipeline::inbox::{Inbox, RunningModel};
use pipeline::overlay_thread::overlay_thread;
use retrain::Retraining;
use ros::context::{NodeContext, Topic, lock};
use ros::executor::{self, Door};
use ros::ffi::{self, LogLevel};
use ros::tracing_layer;
use signals::Signals;
use state::NodeState;
use threads::Threads;

use crate::model_store::{ModelStore, StoreError};

/// The node's name, unless a launch file gives another.
const NODE_NAME: &str = "thumb_gesture";
/// What is left of the time after a signal for tasks that do not end by themselves.
const GRACE_PERIOD: Duration = Duration::from_millis(500);

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// rcl's word, through r2r.
    #[error("ROS: {0}")]
    Ros(#[from] r2r::Error),
    /// A parameter breaks its rule.
    #[error("{0}")]
    Parameter(String),
    /// The store cannot be opened.
    #[error("parameter store: {0}")]
    Store(#[from] StoreError),
    /// A CPU that is not there, or is kept from this process.
    #[error("parameter affinity names CPU {cpu}; this process may run on {allowed:?}")]
    Affinity {
        /// The CPU.
        cpu: usize,
        /// Those that are there.
        allowed: Vec<usize>,
    },
    /// The system's word.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A part of the node has panicked, and has said why on standard error.
    #[error("a part of the node has failed; see above")]
    Thread,
}

/// What is common to all parts of a running node.
struct Parts {
    handle: NodeContext,
    parameters: Arc<Parameters>,
    params: Arc<Mutex<Params>>,
    cameras: Vec<Arc<Camera>>,
    inbox: Arc<Inbox>,
    running: RunningModel,
    models: Arc<Models>,
    retraining: Arc<Retraining>,
    state: NodeState,
}

/// Runs the node until SIGINT or SIGTERM.
///
/// # Errors
/// Why it did not start: a parameter that breaks its rule, a store that cannot be opened, ROS itself.
pub fn run() -> Result<(), NodeError> {
    // Signals are waited for from the very beginning: one that comes while the node starts must end it in good order too.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let entered = runtime.enter();
    let mut signals = Signals::new()?;

    let mut node = Node::create(Context::create()?, NODE_NAME, "")?;
    let parts = parts(&mut node)?;
    let threads = Threads::default();
    let classifier = start_classifier(&mut node, &parts, &threads)?;
    let (door, spinner) = executor::door();
    let lifecycle = lifecycle(&mut node, &parts, &door, &threads)?;
    serve(&mut node, &parts, &door)?;
    if lock(&parts.params).boolean("autostart") {
        lifecycle.autostart();
    }
    let is_ending = Arc::new(AtomicBool::new(false));
    let ends = is_ending.clone();
    let spinner = threads.spawn("ros", move || spinner.run(node, &ends))?;

    let has_failed = runtime.block_on(async {
        tokio::select! {
            () = signals.wait() => false,
            () = threads.one_has_panicked() => true,
        }
    });
    runtime.block_on(async {
        lifecycle.transitions().cancel_training(GRACE_PERIOD).await;
        // The cameras are left, and whoever waits for their frames hears of it.
        let _in_time = tokio::time::timeout(GRACE_PERIOD, lifecycle.transitions().deactivate()).await;
    });
    parts.inbox.stop();
    for thread in classifier {
        let _said_already = thread.join();
    }
    is_ending.store(true, Ordering::Relaxed);
    // The node goes with its thread, and with the node the streams that the cameras' threads read end.
    let _said_already = spinner.join();
    drop((lifecycle, parts, entered));
    runtime.shutdown_timeout(GRACE_PERIOD);
    match has_failed {
        true => Err(NodeError::Thread),
        false => Ok(()),
    }
}

fn parts(node: &mut Node) -> Result<Parts, NodeError> {
    let handle = NodeContext::new(node)?;
    let given = Params::given(&lock(&node.params)).map_err(NodeError::Parameter)?;
    let params = Arc::new(Mutex::new(given.clone()));
    ffi::set_log_level(handle.logger(), LogLevel::named(given.text("log_level")));
    tracing_layer::install(&handle);
    if given.boolean("use_sim_time") {
        node.get_time_source().enable_sim_time(node)?;
    }
    let allowed = threads::allowed_cpus()?;
    let mut affinity = given.classifier().affinity.into_iter();
    if let Some(cpu) = affinity.find(|cpu| !allowed.contains(cpu)) {
        return Err(NodeError::Affinity { cpu, allowed });
    }
    let store = ModelStore::open(&given.path("store"))?;
    let cameras = cameras(node, &given)?;
    let inbox = Arc::new(Inbox::new(cameras.len()));
    let parameters = Arc::new(Parameters::new(node, &handle, params.clone())?);
    let models = Arc::new(Models::new(
        handle.clone(),
        store,
        inbox.clone(),
        parameters.clone(),
        Arc::new(Topic::new(node, "~/model", latched())?),
    ));
    let state = NodeState::default();
    let retraining = Retraining::new(
        handle.clone(),
        models.clone(),
        params.clone(),
        state.clone(),
        Topic::new(node, "~/training", latched())?,
    );
    Ok(Parts {
        handle,
        parameters,
        params,
        cameras,
        inbox,
        running: Arc::default(),
        models,
        retraining: Arc::new(retraining),
        state,
    })
}

/// The cameras that the parameters name, or the one without a name.
fn cameras(node: &Node, params: &Params) -> r2r::Result<Vec<Arc<Camera>>> {
    let names = match params.names("cameras") {
        [] => vec![String::new()],
        names => names.to_vec(),
    };
    let (own_name, namespace) = (node.name()?, node.namespace()?);
    let topic = |name: &str| {
        let relative = Camera::image_topic(name, params.text("image_transport"));
        let absolute = format!("{}/{relative}", namespace.trim_end_matches('/'));
        ffi::remapped(&absolute, &own_name, &namespace)
    };
    let camera = |name: String| {
        let topic = topic(&name);
        Arc::new(Camera::new(name, topic))
    };
    Ok(names.into_iter().map(camera).collect())
}

/// The classifier's thread, and the one that draws what it has classified.
fn start_classifier(
    node: &mut Node,
    parts: &Parts,
    threads: &Threads,
) -> Result<[thread::JoinHandle<()>; 2], NodeError> {
    let mut outputs = Vec::new();
    for camera in &parts.cameras {
        let topics = GestureTopics {
            gesture: Topic::new(node, &camera.gesture_topic(), QosProfile::default().keep_last(10))?,
            overlay: Arc::new(Topic::new(
                node,
                &camera.overlay_topic(),
                QosProfile::sensor_data(),
            )?),
        };
        outputs.push(GestureOutput::new(parts.handle.clone(), camera.clone(), topics));
    }
    let (overlay, draw_overlays) = overlay_thread(outputs.len());
    let classifier_thread = ClassifierThread::new(
        parts.handle.clone(),
        parts.params.clone(),
        parts.inbox.clone(),
        parts.running.clone(),
        parts.models.topic(),
        outputs,
        overlay,
    );
    let (cpus, handle) = (lock(&parts.params).classifier().affinity, parts.handle.clone());
    let classifier = threads.spawn("classifier", move || {
        if let Err(error) = threads::stay_on(&cpus) {
            handle.error(&format!(
                "the classifier runs on any CPU, not on {cpus:?}: {error}"
            ));
        }
        classifier_thread.run();
    })?;
    Ok([classifier, threads.spawn("painter", draw_overlays)?])
}

fn lifecycle(node: &mut Node, parts: &Parts, door: &Door, threads: &Threads) -> r2r::Result<Arc<Lifecycle>> {
    let transitions = Transitions {
        context: parts.handle.clone(),
        executor: door.clone(),
        threads: threads.clone(),
        params: parts.params.clone(),
        cameras: parts.cameras.clone(),
        inbox: parts.inbox.clone(),
        models: parts.models.clone(),
        retraining: parts.retraining.clone(),
        subscriptions: Mutex::default(),
    };
    let lifecycle = Arc::new(Lifecycle::new(node, parts.state.clone(), transitions)?);
    lifecycle::serve(node, &lifecycle)?;
    Ok(lifecycle)
}

fn serve(node: &mut Node, parts: &Parts, door: &Door) -> Result<(), NodeError> {
    let handle = &parts.handle;
    params::services::serve(node, handle, parts.parameters.clone(), parts.models.clone())?;
    let capture = Capture {
        context: handle.clone(),
        dataset: lock(&parts.params).path("dataset"),
        cameras: parts.cameras.clone(),
        params: parts.params.clone(),
        state: parts.state.clone(),
        summary: Topic::new(node, "~/dataset", latched())?,
    };
    tokio::spawn(capture.serve(requests::<CaptureFrames::Service>(node, "~/capture")?));

    let retraining = parts.retraining.clone();
    tokio::spawn(retraining.serve(requests::<Retrain::Service>(node, "~/retrain")?));
    let retraining = parts.retraining.clone();
    answer::<Trigger::Service>(node, handle, "~/cancel_training", move |_| {
        retraining.answer_cancel()
    })?;
    let (models, state) = (parts.models.clone(), parts.state.clone());
    answer_from_disk::<ActivateModel::Service>(node, handle, "~/activate_model", move |request| {
        state.wait_until_settled();
        models.answer_activate(request)
    })?;
    let models = parts.models.clone();
    answer_from_disk::<ListModels::Service>(node, handle, "~/list_models", move |_| models.answer_list())?;

    let diagnostics = Diagnostics {
        handle: handle.clone(),
        door: door.clone(),
        state: parts.state.clone(),
        name: node.fully_qualified_name()?.trim_start_matches('/').to_owned(),
        cameras: parts.cameras.clone(),
        model: parts.running.clone(),
        retraining: parts.retraining.clone(),
        params: parts.params.clone(),
        diagnostics: Topic::new(node, "/diagnostics", QosProfile::default())?,
    };
    tokio::spawn(diagnostics.run());
    Ok(())
}

/// For what a newcomer must hear too: the last message is kept for it.
fn latched() -> QosProfile {
    QosProfile::default().keep_last(1).reliable().transient_local()
}

fn requests<T: WrappedServiceTypeSupport + 'static>(
    node: &mut Node,
    name: &str,
) -> r2r::Result<impl Stream<Item = ServiceRequest<T>> + Unpin + use<T>> {
    node.create_service::<T>(name, QosProfile::services_default())
}

/// Offers a service whose answer takes no time.
fn answer<T: WrappedServiceTypeSupport + 'static>(
    node: &mut Node,
    handle: &NodeContext,
    name: &str,
    answer: impl Fn(&T::Request) -> T::Response + Send + 'static,
) -> r2r::Result<()> {
    let handle = handle.clone();
    tokio::spawn(requests::<T>(node, name)?.for_each(move |request| {
        let response = answer(&request.message);
        respond(&handle, request, response);
        std::future::ready(())
    }));
    Ok(())
}

/// Offers a service whose answer reads from the disk, which is not for a worker of the runtime.
fn answer_from_disk<T: WrappedServiceTypeSupport + 'static>(
    node: &mut Node,
    handle: &NodeContext,
    name: &str,
    answer: impl Fn(&T::Request) -> T::Response + Send + Sync + 'static,
) -> r2r::Result<()> {
    let handle = handle.clone();
    let answer = Arc::new(answer);
    tokio::spawn(requests::<T>(node, name)?.for_each(move |request| {
        let (handle, answer) = (handle.clone(), answer.clone());
        let work = tokio::task::spawn_blocking(move || {
            let response = answer(&request.message);
            respond(&handle, request, response);
        });
        // A panic in there has been reported by the panic hook; the node goes on.
        work.map(drop)
    }));
    Ok(())
}

fn respond<T: WrappedServiceTypeSupport + 'static>(
    handle: &NodeContext,
    request: ServiceRequest<T>,
    response: T::Response,
) {
    if let Err(error) = request.respond(response) {
        handle.error(&format!("an answer could not be sent: {error}"));
    }
}
