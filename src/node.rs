//! The ROS node: connects cameras, classifier, capture and training to ROS.
//!
//! The path of a frame: camera thread -> inbox -> classifier thread -> gesture topic (`pipeline`). The lifecycle determines whether a
//! model is loaded and whether the cameras are subscribed to (`lifecycle`, `models`). `capture` saves training frames, and `retrain`
//! trains models on them.
//!
//! Threads: one spins r2r and owns the node, each camera has one that reads its topic, one owns the classifier, and one draws overlays.
//! tokio's threads answer services. A training runs in a process of its own.

mod cameras;
mod capture;
mod comparison;
mod dataset;
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
mod throttle;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use r2r::std_srvs::srv::Trigger;
use r2r::thumb_gesture::srv::{
    ActivateModel, AddFrame, CaptureFrames, CompareModels, DeleteFrames, DeleteModel, GetFrame, GetReport,
    GetResults, ListFrames, ListModels, Record, RelabelFrames, Retrain,
};
use r2r::{Node, QosProfile};
use tokio::runtime::Runtime;

use cameras::CameraSetup;
use capture::recording::Recordings;
use capture::{Capture, Source};
use comparison::answer_compare;
use dataset::NodeDataset;
use diagnostics::Diagnostics;
use lifecycle::{Lifecycle, Transitions};
use models::Models;
use params::services::ParameterServer;
use params::{DECLARATIONS, ParameterError, Params};
use pipeline::camera::Cameras;
use pipeline::classifier_thread::ClassifierThread;
use pipeline::inbox::{Inbox, RunningModel};
use pipeline::overlay_thread::create_overlay_thread;
use pipeline::subscriptions::Subscriptions;
use pipeline::vision_msgs::PipelineInfo;
use retrain::Retraining;
use ros::log::set_log_level;
use ros::service::{answer, answer_from_disk, requests};
use ros::start::StartError;
use ros::topic::Topic;
use ros::{tracing_layer, type_description};
use signals::Signals;
use state::NodeState;
use threads::Threads;

use crate::model_store::{ModelStore, StoreError};
use crate::sync::lock;

pub use cameras::CameraError;
pub use ros::arguments::RosArguments;
pub use ros::context::NodeContext;
pub use ros::executor::{ExecutorHandle, NodeExecutor, spin};
pub use ros::ffi::{ImageInPlace, subscribe_to_images};
pub use ros::image_topic::{ImageTopic, absolute_name};
pub use ros::overrides::ParameterOverrides;
pub use ros::qos::{ImageTransport, transient_local};
pub use ros::start::{create_node, run_program};

/// Name of the node, unless `__node` is remapped.
const NODE_NAME: &str = "thumb_gesture";
/// Maximum time that each step of the shutdown waits for its tasks.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum time for blocking work after that, such as loading a model, which crashes if the process ends meanwhile. `ros2 launch` sends
/// SIGTERM after 5 s.
const BLOCKING_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the node could not start, or ended without a signal.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// rcl reported an error.
    #[error("ROS reported an error: {0}")]
    Ros(#[from] r2r::Error),
    /// The node could not be created.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The value of a parameter is rejected.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The cameras cannot be created.
    #[error(transparent)]
    Cameras(#[from] CameraError),
    /// The model store cannot be opened.
    #[error("parameter store: {0}")]
    Store(#[from] StoreError),
    /// `affinity` contains a CPU that does not exist, or that this process must not use.
    #[error("affinity contains CPU {cpu}, but this process may run on {allowed:?}")]
    Affinity {
        /// The unavailable CPU.
        cpu: usize,
        /// The available CPUs.
        allowed: Vec<usize>,
    },
    /// A thread, the tokio runtime or the signal handlers could not be created.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A thread has panicked; the panic hook has written the reason to standard error.
    #[error("a thread of the node has panicked; see the message above")]
    Panic,
}

/// What the services and threads of the node share.
struct Components {
    context: NodeContext,
    subscriptions: Arc<Subscriptions>,
    threads: Threads,
    params: Arc<Mutex<Params>>,
    parameter_server: Arc<ParameterServer>,
    camera_setup: Arc<CameraSetup>,
    inbox: Arc<Inbox>,
    running_model: RunningModel,
    models: Arc<Models>,
    retraining: Arc<Retraining>,
    state: NodeState,
}

/// The node after its start.
struct RunningNode {
    components: Components,
    lifecycle: Arc<Lifecycle>,
    pipeline_threads: [JoinHandle<()>; 2],
    executor_thread: JoinHandle<()>,
    is_executor_stopped: Arc<AtomicBool>,
}

/// Runs the node until SIGINT or SIGTERM.
///
/// # Errors
/// The node could not start, or one of its threads has panicked.
pub fn run(arguments: &RosArguments) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let runtime_guard = runtime.enter();
    // Before anything else: a signal during the start must also shut the node down properly.
    let mut signals = Signals::new()?;

    let node = RunningNode::start(arguments)?;
    let has_panicked = runtime.block_on(async {
        tokio::select! {
            () = signals.wait() => false,
            () = node.components.threads.wait_for_panic() => true,
        }
    });
    node.shut_down(&runtime);

    drop(runtime_guard);
    runtime.shutdown_timeout(BLOCKING_TIMEOUT);
    if has_panicked {
        Err(NodeError::Panic)
    } else {
        Ok(())
    }
}

impl RunningNode {
    fn start(arguments: &RosArguments) -> Result<RunningNode, NodeError> {
        let mut node = create_node(NODE_NAME)?;
        let (executor, executor_handle) = NodeExecutor::new();
        let components = Components::new(arguments, &mut node, executor_handle)?;
        let pipeline_info = PipelineInfo::new(arguments, &mut node, components.context.clone())?;
        let pipeline_threads = components.start_pipeline(pipeline_info)?;
        components.camera_setup.create_first(&mut node)?;
        let lifecycle = components.create_lifecycle(&mut node)?;
        components.create_services(&mut node)?;
        components.start_diagnostics(&mut node)?;
        if lock(&components.params).autostart {
            lifecycle.autostart();
        }
        let is_executor_stopped = Arc::new(AtomicBool::new(false));
        let is_stopped = is_executor_stopped.clone();
        let executor_thread = components
            .threads
            .spawn("ros", move || executor.spin(node, &is_stopped))?;
        Ok(RunningNode {
            components,
            lifecycle,
            pipeline_threads,
            executor_thread,
            is_executor_stopped,
        })
    }

    fn shut_down(self, runtime: &Runtime) {
        runtime.block_on(async {
            let transitions = self.lifecycle.transitions();
            transitions.cancel_training(SHUTDOWN_TIMEOUT).await;
            // Ends the camera threads, and captures that wait for frames.
            tokio::time::timeout(SHUTDOWN_TIMEOUT, transitions.deactivate())
                .await
                .ok();
        });
        self.components.inbox.stop();
        // The panic hook has reported a panic of a thread.
        for thread in self.pipeline_threads {
            thread.join().ok();
        }
        // The executor drops the node, which also ends the streams of subscriptions that were not stopped in time.
        self.is_executor_stopped.store(true, Ordering::Relaxed);
        self.executor_thread.join().ok();
    }
}

impl Components {
    fn new(
        arguments: &RosArguments,
        node: &mut Node,
        executor: ExecutorHandle,
    ) -> Result<Components, NodeError> {
        let context = NodeContext::new(node)?;
        let overrides = ParameterOverrides::new(arguments, &node.fully_qualified_name()?);
        let initial = Params::from_overrides(overrides.values())?;
        check_affinity(&initial)?;
        set_log_level(context.logger(), initial.log_level);
        let known: Vec<&str> = DECLARATIONS.iter().map(|declaration| declaration.name).collect();
        for warning in overrides.warnings(&known) {
            context.warn(&warning);
        }
        tracing_layer::install(&context);
        if initial.use_sim_time {
            node.get_time_source().enable_sim_time(node)?;
        }
        let store = ModelStore::open(&initial.store)?;
        let inbox = Arc::new(Inbox::new());
        let params = Arc::new(Mutex::new(initial));
        let parameter_server = Arc::new(ParameterServer::new(node, &context, params.clone())?);
        let models = Arc::new(Models::new(
            context.clone(),
            store,
            inbox.clone(),
            parameter_server.clone(),
            Arc::new(Topic::new(node, "~/model", transient_local())?),
        ));
        let threads = Threads::default();
        let cameras = Arc::new(Cameras::default());
        let subscriptions = Arc::new(Subscriptions {
            context: context.clone(),
            executor: executor.clone(),
            threads: threads.clone(),
            params: params.clone(),
            cameras: cameras.clone(),
            inbox: inbox.clone(),
            active: Mutex::default(),
        });
        let state = NodeState::default();
        let camera_setup = Arc::new(CameraSetup {
            arguments: arguments.clone(),
            context: context.clone(),
            executor,
            cameras,
            subscriptions: subscriptions.clone(),
            inbox: inbox.clone(),
            models: models.clone(),
            state: state.clone(),
            params: params.clone(),
        });
        let retraining = Arc::new(Retraining::new(
            context.clone(),
            models.clone(),
            params.clone(),
            state.clone(),
            Topic::new(node, "~/training", transient_local())?,
        ));
        Ok(Components {
            context,
            subscriptions,
            threads,
            params,
            parameter_server,
            camera_setup,
            inbox,
            running_model: RunningModel::default(),
            models,
            retraining,
            state,
        })
    }

    /// Starts the classifier thread and the overlay thread.
    fn start_pipeline(&self, pipeline_info: PipelineInfo) -> Result<[JoinHandle<()>; 2], NodeError> {
        let (overlay, draw_overlays) = create_overlay_thread();
        let classifier = ClassifierThread::new(
            self.context.clone(),
            self.params.clone(),
            self.inbox.clone(),
            self.running_model.clone(),
            self.models.topic(),
            pipeline_info,
            overlay,
        );
        let (affinity, context) = (lock(&self.params).affinity.clone(), self.context.clone());
        let classifier_thread = self.threads.spawn("classifier", move || {
            if let Err(error) = threads::pin_current_thread(&affinity) {
                context.error(&format!(
                    "cannot pin the classifier thread to the CPUs {affinity:?}: {error}"
                ));
            }
            classifier.run();
        })?;
        Ok([classifier_thread, self.threads.spawn("overlay", draw_overlays)?])
    }

    fn create_lifecycle(&self, node: &mut Node) -> r2r::Result<Arc<Lifecycle>> {
        let transitions = Transitions {
            context: self.context.clone(),
            subscriptions: self.subscriptions.clone(),
            inbox: self.inbox.clone(),
            models: self.models.clone(),
            retraining: self.retraining.clone(),
        };
        let lifecycle = Arc::new(Lifecycle::new(node, self.state.clone(), transitions)?);
        lifecycle::serve(node, &lifecycle)?;
        Ok(lifecycle)
    }

    /// Creates the services for parameters, descriptions of types, capture, training and models.
    fn create_services(&self, node: &mut Node) -> r2r::Result<()> {
        let context = &self.context;
        params::services::serve(node, context, &self.parameter_server, &self.camera_setup)?;
        type_description::serve(node, context)?;

        let dataset = Arc::new(NodeDataset::new(
            context.clone(),
            lock(&self.params).dataset.clone(),
            Topic::new(node, "~/dataset", transient_local())?,
        ));
        self.create_capture(node, &dataset)?;
        self.create_editing(node, &dataset)?;

        let retraining = self.retraining.clone();
        tokio::spawn(retraining.serve(requests::<Retrain::Service>(node, "~/retrain")?));
        let retraining = self.retraining.clone();
        answer::<Trigger::Service>(node, context, "~/cancel_training", move |_| {
            retraining.answer_cancel()
        })?;

        let (models, state) = (self.models.clone(), self.state.clone());
        answer_from_disk::<ActivateModel::Service>(node, context, "~/activate_model", move |request| {
            state.wait_until_settled();
            models.answer_activate(request)
        })?;
        let models = self.models.clone();
        answer_from_disk::<ListModels::Service>(node, context, "~/list_models", move |_| {
            models.answer_list()
        })?;
        let models = self.models.clone();
        answer_from_disk::<DeleteModel::Service>(node, context, "~/delete_model", move |request| {
            models.answer_delete(request)
        })?;
        let models = self.models.clone();
        answer_from_disk::<GetReport::Service>(node, context, "~/get_report", move |request| {
            models.answer_report(request)
        })?;
        let (models, data) = (self.models.clone(), dataset.clone());
        answer_from_disk::<GetResults::Service>(node, context, "~/get_results", move |request| {
            models.answer_results(request, data.root())
        })?;
        let models = self.models.clone();
        answer_from_disk::<CompareModels::Service>(node, context, "~/compare_models", move |request| {
            answer_compare(&models, &dataset, request)
        })
    }

    /// Creates the services that save frames.
    fn create_capture(&self, node: &mut Node, dataset: &Arc<NodeDataset>) -> r2r::Result<()> {
        let source = Arc::new(Source {
            dataset: dataset.clone(),
            cameras: self.camera_setup.cameras.clone(),
            params: self.params.clone(),
            state: self.state.clone(),
            in_use: Arc::default(),
        });
        let capture = Capture {
            context: self.context.clone(),
            source: source.clone(),
        };
        tokio::spawn(capture.serve(requests::<CaptureFrames::Service>(node, "~/capture")?));
        let recordings = Recordings {
            context: self.context.clone(),
            source,
            topic: Arc::new(Topic::new(node, "~/recording", transient_local())?),
        };
        tokio::spawn(recordings.serve(requests::<Record::Service>(node, "~/record")?));
        Ok(())
    }

    /// Creates the services that show and edit the dataset.
    fn create_editing(&self, node: &mut Node, dataset: &Arc<NodeDataset>) -> r2r::Result<()> {
        let context = &self.context;
        let data = dataset.clone();
        answer_from_disk::<AddFrame::Service>(node, context, "~/add_frame", move |request| {
            data.answer_add(request)
        })?;
        let data = dataset.clone();
        answer_from_disk::<GetFrame::Service>(node, context, "~/get_frame", move |request| {
            data.answer_get(request)
        })?;
        let data = dataset.clone();
        answer_from_disk::<ListFrames::Service>(node, context, "~/list_frames", move |request| {
            data.answer_list(request)
        })?;
        let data = dataset.clone();
        answer_from_disk::<DeleteFrames::Service>(node, context, "~/delete_frames", move |request| {
            data.answer_delete(request)
        })?;
        let data = dataset.clone();
        answer_from_disk::<RelabelFrames::Service>(node, context, "~/relabel_frames", move |request| {
            data.answer_relabel(request)
        })?;
        let data = dataset.clone();
        answer_from_disk::<Trigger::Service>(node, context, "~/delete_last_burst", move |_| {
            data.answer_delete_last_burst()
        })?;
        let data = dataset.clone();
        answer_from_disk::<Trigger::Service>(node, context, "~/undo_edit", move |_| data.answer_undo())?;
        let data = dataset.clone();
        answer_from_disk::<Trigger::Service>(node, context, "~/redo_edit", move |_| data.answer_redo())?;
        let data = dataset.clone();
        answer_from_disk::<Trigger::Service>(node, context, "~/clear_trash", move |_| {
            data.answer_clear_trash()
        })
    }

    fn start_diagnostics(&self, node: &mut Node) -> r2r::Result<()> {
        let diagnostics = Diagnostics {
            context: self.context.clone(),
            subscriptions: self.subscriptions.clone(),
            state: self.state.clone(),
            node_name: node.fully_qualified_name()?.trim_start_matches('/').to_owned(),
            model: self.running_model.clone(),
            retraining: self.retraining.clone(),
            params: self.params.clone(),
            topic: Topic::new(node, "/diagnostics", QosProfile::default())?,
        };
        tokio::spawn(diagnostics.run());
        Ok(())
    }
}

fn check_affinity(params: &Params) -> Result<(), NodeError> {
    let allowed = threads::allowed_cpus()?;
    match params.affinity.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(&cpu) => Err(NodeError::Affinity { cpu, allowed }),
        None => Ok(()),
    }
}
