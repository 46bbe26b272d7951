//! The node's threads, none of which may panic unnoticed.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::Notify;

/// Starts threads, and tells when one has panicked.
#[derive(Clone, Default)]
pub struct Threads {
    panic: Arc<Notify>,
}

/// Held by a thread: tells when it is dropped in a panic.
struct TellPanic(Arc<Notify>);

impl Threads {
    /// Starts a thread.
    ///
    /// # Errors
    /// The system's word.
    pub fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        let tell = TellPanic(self.panic.clone());
        Builder::new().name(name.to_owned()).spawn(move || {
            let _tell = tell;
            work();
        })
    }

    /// Returns once a thread has panicked.
    pub async fn one_has_panicked(&self) {
        self.panic.notified().await;
    }
}

/// The CPUs on which this thread may run.
///
/// # Errors
/// The system's word.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let cpus = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| cpus.is_set(cpu)).collect())
}

/// Keeps the calling thread on these CPUs; with none, wherever it may run.
///
/// # Errors
/// The system's word.
pub fn stay_on(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    Ok(sched_setaffinity(None, &set)?)
}

impl Drop for TellPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_thread_stays_where_it_is_told_to() {
        let first = allowed_cpus().expect("Linux")[0];
        let stays = std::thread::spawn(move || {
            stay_on(&[first]).expect("may run there");
            allowed_cpus()
        });
        assert_eq!(stays.join().expect("runs").expect("Linux"), [first]);
    }

    #[test]
    fn a_panic_is_noticed_and_an_end_is_not() {
        let threads = Threads::default();
        let thread = threads.spawn("ends", || {}).expect("starts");
        thread.join().expect("it has ended");
        assert_eq!(threads.one_has_panicked().now_or_never(), None);
        let thread = threads
            .spawn("panics", || panic!("as the test wants it"))
            .expect("starts");
        thread.join().expect_err("it has panicked");
        futures::executor::block_on(threads.one_has_panicked());
    }
}
