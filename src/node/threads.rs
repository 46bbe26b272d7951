//! The node's threads. A panic of one of them ends the node.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::Notify;

/// Spawns threads and reports panics.
#[derive(Clone, Default)]
pub(crate) struct Threads {
    panicked: Arc<Notify>,
}

/// Owned by a thread; notifies when a panic drops it.
struct PanicGuard(Arc<Notify>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.notify_one();
        }
    }
}

impl Threads {
    /// Spawns a thread with this name.
    ///
    /// # Errors
    /// The operating system could not create the thread.
    pub(crate) fn spawn(
        &self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let guard = PanicGuard(self.panicked.clone());
        Builder::new().name(name.to_owned()).spawn(move || {
            let _guard = guard;
            work();
        })
    }

    /// Returns once a thread has panicked.
    pub(crate) async fn wait_for_panic(&self) {
        self.panicked.notified().await;
    }
}

/// The CPUs that the calling thread may run on.
///
/// # Errors
/// The operating system reported an error.
pub(crate) fn allowed_cpus() -> io::Result<Vec<usize>> {
    let cpus = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| cpus.is_set(cpu)).collect())
}

/// Pins the calling thread to these CPUs; does nothing if there are none.
///
/// # Errors
/// The operating system reported an error, for example because a CPU does not exist.
pub(crate) fn pin_current_thread(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn pinned_thread_runs_only_on_its_cpus() {
        let first = allowed_cpus().expect("Linux")[0];
        let pinned = std::thread::spawn(move || {
            pin_current_thread(&[first]).expect("an allowed CPU");
            allowed_cpus()
        });
        assert_eq!(pinned.join().expect("no panic").expect("Linux"), [first]);
    }

    #[test]
    fn panics_are_reported_and_normal_ends_are_not() {
        let threads = Threads::default();
        let thread = threads.spawn("ends", || {}).expect("a thread");
        thread.join().expect("no panic");
        assert_eq!(threads.wait_for_panic().now_or_never(), None);
        let thread = threads
            .spawn("panics", || panic!("intended by the test"))
            .expect("a thread");
        thread.join().expect_err("a panic");
        futures::executor::block_on(threads.wait_for_panic());
    }
}
