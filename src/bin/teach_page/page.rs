//! What all parts of the program share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::OptionFuture;
use r2r::Node;
use serde_json::{Value, json};
use thumb_gesture::node::{ExecutorHandle, NodeContext, RosArguments};
use thumb_gesture::sync::lock;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::access::Access;
use crate::assets::Assets;
use crate::board::Board;
use crate::browser_camera::BrowserCamera;
use crate::cameras::Cameras;
use crate::gesture_node::GestureNode;
use crate::parameters::{self, Parameters};
use crate::settings::Settings;
use crate::topics;

/// Time between two checks of whether the node is there, and which cameras are wanted.
const WATCH_PERIOD: Duration = Duration::from_millis(250);
/// Maximum number of open pages.
const MAX_VIEWERS: usize = 32;
/// Maximum number of uploads at the same time.
const MAX_UPLOADS: usize = 4;

pub(crate) struct Page {
    pub(crate) settings: Settings,
    pub(crate) context: NodeContext,
    pub(crate) assets: Assets,
    pub(crate) access: Access,
    pub(crate) board: Arc<Board>,
    pub(crate) cameras: Arc<Cameras>,
    pub(crate) gesture_node: GestureNode,
    pub(crate) parameters: Parameters,
    /// `None` if visitors may not use theirs.
    pub(crate) browser_camera: Option<BrowserCamera>,
    /// Permits for uploads, each of which is in memory as a whole.
    pub(crate) uploads: Semaphore,
    executor: ExecutorHandle,
    viewers: AtomicUsize,
    corrections: AtomicUsize,
    lifecycle: Mutex<String>,
}

/// Counts an open page until it is dropped.
pub(crate) struct Viewer(Arc<Page>);

impl Page {
    pub(crate) fn new(
        settings: Settings,
        context: NodeContext,
        assets: Assets,
        node: &mut Node,
        executor: ExecutorHandle,
        ros_arguments: &RosArguments,
    ) -> anyhow::Result<Page> {
        let board = Arc::new(Board::new());
        let browser_camera = settings
            .browser_camera
            .then(|| BrowserCamera::new(node, ros_arguments));
        Ok(Page {
            access: Access::new(&settings)?,
            cameras: Arc::new(Cameras::new(board.clone())),
            gesture_node: GestureNode::new(node, &settings.gesture_node)?,
            parameters: Parameters::default(),
            browser_camera: browser_camera.transpose()?,
            uploads: Semaphore::new(MAX_UPLOADS),
            viewers: AtomicUsize::new(0),
            corrections: AtomicUsize::new(0),
            lifecycle: Mutex::default(),
            settings,
            context,
            assets,
            board,
            executor,
        })
    }

    /// Subscribes to the topics with the gesture node's state.
    ///
    /// # Errors
    /// rcl reported an error.
    pub(crate) fn subscribe(self: &Arc<Page>, node: &mut Node) -> r2r::Result<()> {
        self.set_node("");
        self.show_viewers();
        topics::subscribe(self, node)
    }

    /// The full name of a topic below the gesture node.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}/{name}", self.gesture_node.name)
    }

    /// What the node has said about its lifecycle, or empty.
    pub(crate) fn set_node(&self, lifecycle: &str) {
        lifecycle.clone_into(&mut lock(&self.lifecycle));
        self.show_node();
    }

    fn show_node(&self) {
        let is_present = self.gesture_node.presence.is_present();
        let lifecycle = match is_present {
            true => lock(&self.lifecycle).clone(),
            false => String::new(),
        };
        let node = json!({ "present": is_present, "lifecycle": lifecycle, "name": self.gesture_node.name });
        self.board.set("node", node);
    }

    /// Watches the node, reads its parameters, and keeps the subscriptions to cameras that are wanted.
    pub(crate) async fn watch(self: Arc<Page>) {
        let mut ticks = tokio::time::interval(WATCH_PERIOD);
        let mut has_parameters = false;
        // In a task of its own: a node that has just started or ended may not respond for seconds.
        let mut reading: Option<JoinHandle<bool>> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.cameras.wanted.notified() => {}
                () = self.parameters.refresh.notified() => {
                    has_parameters = false;
                    reading = None;
                }
                Some(is_read) = OptionFuture::from(reading.as_mut()) => {
                    has_parameters = is_read.unwrap_or(false);
                    reading = None;
                }
            }
            self.show_node();
            if !self.gesture_node.presence.is_present() {
                has_parameters = false;
                reading = None;
            } else if !has_parameters && reading.is_none() {
                let page = self.clone();
                reading = Some(tokio::spawn(async move { parameters::read(&page).await.is_ok() }));
            }
            self.review_cameras().await;
        }
    }

    async fn review_cameras(&self) {
        let has_viewers = self.viewers.load(Ordering::Relaxed) > 0;
        for wanted in self.cameras.review(has_viewers) {
            let (cameras, runtime) = (self.cameras.clone(), tokio::runtime::Handle::current());
            let subscribe = move |node: &mut Node| cameras.subscribe(node, wanted, &runtime);
            if let Some(Err(error)) = self.executor.run_on_node(subscribe).await {
                self.context
                    .warn(&format!("cannot subscribe to a camera: {error}"));
            }
        }
    }

    /// Counts another open page; `None` if there are too many.
    pub(crate) fn enter(self: &Arc<Page>) -> Option<Viewer> {
        let enter = |count: usize| (count < MAX_VIEWERS).then_some(count + 1);
        self.viewers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter)
            .ok()?;
        self.show_viewers();
        Some(Viewer(self.clone()))
    }

    fn show_viewers(&self) {
        let page = json!({
            "browser_camera": self.browser_camera.is_some(),
            "viewers": self.viewers.load(Ordering::Relaxed),
            "version": env!("CARGO_PKG_VERSION"),
        });
        self.board.set("page", page);
    }

    /// A number that no correction had before. Those of an earlier process are other ones.
    pub(crate) fn next_correction(&self) -> String {
        let count = self.corrections.fetch_add(1, Ordering::Relaxed);
        format!("{}-{count}", std::process::id())
    }

    /// Whether this is the recording that runs.
    pub(crate) fn is_recording(&self, id: Option<&str>) -> bool {
        let recording = self.board.get("recording");
        recording["active"] == Value::Bool(true) && id.is_some_and(|id| recording["id"] == id)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.viewers.fetch_sub(1, Ordering::Relaxed);
        self.0.show_viewers();
    }
}
