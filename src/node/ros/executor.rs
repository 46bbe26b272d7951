//! The executor spins the node on its own thread. Other threads send it work that needs the node.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use r2r::Node;
use tokio::sync::oneshot;

/// Maximum time that r2r waits for an event before the executor checks for work and for the end.
const SPIN_PERIOD: Duration = Duration::from_millis(20);

type Work = Box<dyn FnOnce(&mut Node) + Send>;

/// Spins the node. There is one, on the thread that owns the node.
pub struct NodeExecutor(Receiver<Work>);

/// Sends work to the [`NodeExecutor`].
#[derive(Clone)]
pub struct ExecutorHandle(Sender<Work>);

impl NodeExecutor {
    /// The executor, and the handle that sends work to it.
    pub fn new() -> (NodeExecutor, ExecutorHandle) {
        let (sender, receiver) = mpsc::channel();
        (NodeExecutor(receiver), ExecutorHandle(sender))
    }

    /// Spins until `is_stopped`, then drops the node.
    pub fn spin(self, node: Node, is_stopped: &AtomicBool) {
        spin(node, is_stopped, |node| {
            while let Ok(work) = self.0.try_recv() {
                work(node);
            }
        });
    }
}

/// Spins a node until `is_stopped`, then drops it. `after_each` is called after each event, and every 20 ms without one.
pub fn spin(mut node: Node, is_stopped: &AtomicBool, mut after_each: impl FnMut(&mut Node)) {
    while !is_stopped.load(Ordering::Relaxed) {
        node.spin_once(SPIN_PERIOD);
        after_each(&mut node);
    }
}

impl ExecutorHandle {
    /// Runs `work` with the node on the executor's thread, within about 20 ms; `None` if the executor has ended.
    pub async fn run_on_node<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Node) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        let work = move |node: &mut Node| {
            // Fails if the caller no longer waits.
            sender.send(work(node)).ok();
        };
        self.0.send(Box::new(work)).ok()?;
        result.await.ok()
    }
}
