//! The thread that spins r2r and owns the node, and the door through which others have it do something with the node.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use r2r::Node;
use tokio::sync::oneshot;

/// How long r2r waits for something to do before it looks whether there is work at the door, or the node ends.
const SPIN_PERIOD: Duration = Duration::from_millis(20);

type Work = Box<dyn FnOnce(&mut Node) + Send>;

/// The way to the node for all other threads.
#[derive(Clone)]
pub struct Door(Sender<Work>);

/// The thread's end of the door.
pub struct Spinner(Receiver<Work>);

/// A door and the end of it that belongs to the thread.
pub fn door() -> (Door, Spinner) {
    let (sender, receiver) = mpsc::channel();
    (Door(sender), Spinner(receiver))
}

impl Door {
    /// Has the thread do something with the node, within about 20 ms; none where the node is gone.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Node) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let work = move |node: &mut Node| {
            // Whoever asked may have gone meanwhile.
            let _result = done.send(work(node));
        };
        self.0.send(Box::new(work)).ok()?;
        result.await.ok()
    }
}

impl Spinner {
    /// Spins until `is_ending`; the node goes with this.
    pub fn run(self, mut node: Node, is_ending: &AtomicBool) {
        while !is_ending.load(Ordering::Relaxed) {
            node.spin_once(SPIN_PERIOD);
            while let Ok(work) = self.0.try_recv() {
                work(&mut node);
            }
        }
    }
}
