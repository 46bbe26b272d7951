//! What every part of the node needs of ROS: its clock, its log, and topics to publish on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use r2r::builtin_interfaces::msg as builtin;
use r2r::rcl_interfaces::msg::Log;
use r2r::{Publisher, QosProfile, WrappedTypesupport};

use crate::node::ros::ffi::{self, LogLevel};

/// As many messages as rcl keeps on `/rosout`, for so long.
const ROSOUT_DEPTH: usize = 1000;
const ROSOUT_LIFESPAN: Duration = Duration::from_secs(10);

/// The node's clock and log, for any thread.
#[derive(Clone)]
pub struct NodeContext {
    logger: Arc<str>,
    clock: Arc<Mutex<r2r::Clock>>,
    /// `/rosout`, which r2r leaves out of rcl's log; none with `--disable-rosout-logs`.
    rosout: Option<Arc<Topic<Log>>>,
}

impl NodeContext {
    /// The handle of a node.
    ///
    /// # Errors
    /// rcl's word.
    pub fn new(node: &mut r2r::Node) -> r2r::Result<NodeContext> {
        let qos = QosProfile::default().keep_last(ROSOUT_DEPTH).reliable();
        let qos = qos.transient_local().lifespan(ROSOUT_LIFESPAN);
        let rosout = ffi::is_rosout_enabled().then(|| Topic::new(node, "/rosout", qos));
        Ok(NodeContext {
            logger: node.logger().into(),
            clock: node.get_ros_clock(),
            rosout: rosout.transpose()?.map(Arc::new),
        })
    }

    /// The logger's name.
    pub fn logger(&self) -> &str {
        &self.logger
    }

    /// The ROS time, which is the bag's under `use_sim_time` and 0 before its first `/clock`.
    pub fn now(&self) -> Duration {
        lock(&self.clock).get_now().unwrap_or_default()
    }

    /// The ROS time as a stamp.
    pub fn stamp(&self) -> builtin::Time {
        r2r::Clock::to_builtin_time(&self.now())
    }

    /// For whoever looks for a fault.
    pub fn debug(&self, message: &str) {
        self.log(LogLevel::Debug, message);
    }

    /// For what is worth a line in normal running.
    pub fn info(&self, message: &str) {
        self.log(LogLevel::Info, message);
    }

    /// For what someone should look at.
    pub fn warn(&self, message: &str) {
        self.log(LogLevel::Warn, message);
    }

    /// For what was lost.
    pub fn error(&self, message: &str) {
        self.log(LogLevel::Error, message);
    }

    /// To the console, the log file and `/rosout`, where the logger's level lets it.
    fn log(&self, level: LogLevel, message: &str) {
        let (logger, message) = (&self.logger, printable(message));
        let is_logged = ffi::log(logger, level, || match level {
            LogLevel::Info => r2r::log_info!(logger, "{message}"),
            LogLevel::Warn => r2r::log_warn!(logger, "{message}"),
            LogLevel::Error | LogLevel::Fatal => r2r::log_error!(logger, "{message}"),
            LogLevel::Given | LogLevel::Debug => r2r::log_debug!(logger, "{message}"),
        });
        if !is_logged {
            return;
        }
        if let Some(rosout) = &self.rosout {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
            rosout.publish(&Log {
                stamp: r2r::Clock::to_builtin_time(&since_epoch.unwrap_or_default()),
                level: level as u8,
                name: logger.to_string(),
                msg: message,
                ..Log::default()
            });
        }
    }
}

/// A topic that the node publishes on, from any thread.
pub struct Topic<T: WrappedTypesupport> {
    logger: String,
    name: String,
    // r2r's publisher may change threads, but two may not use it at once.
    publisher: Mutex<Publisher<T>>,
}

impl<T: WrappedTypesupport + 'static> Topic<T> {
    /// Makes the topic known; `name` may begin with `~/`.
    ///
    /// # Errors
    /// rcl's word.
    pub fn new(node: &mut r2r::Node, name: &str, qos: r2r::QosProfile) -> r2r::Result<Topic<T>> {
        Ok(Topic {
            logger: node.logger().to_owned(),
            name: name.to_owned(),
            publisher: Mutex::new(node.create_publisher(name, qos)?),
        })
    }

    /// Publishes; where that fails, the log says so.
    pub fn publish(&self, message: &T) {
        if let Err(error) = lock(&self.publisher).publish(message) {
            r2r::log_error!(&self.logger, "{} could not be published: {error}", self.name);
        }
    }

    /// True while anybody subscribes.
    pub fn has_subscribers(&self) -> bool {
        lock(&self.publisher)
            .get_inter_process_subscription_count()
            .unwrap_or(0)
            > 0
    }
}

/// Lets one message through in a while, so that a fault at camera rate does not fill the log.
#[derive(Default)]
pub struct Throttle {
    last: Option<Instant>,
    held_back: u64,
}

impl Throttle {
    const PERIOD: Duration = Duration::from_secs(5);

    /// Where it is time again: how many were held back since the last one let through.
    pub fn pass(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < Throttle::PERIOD) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.held_back))
    }
}

/// Locks what threads share. One that panicked while it held the lock left nothing half-done: each holder changes one value.
pub fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of a message, NaN where there is none.
pub fn or_nan(value: Option<f64>) -> f32 {
    value.map_or(f32::NAN, |value| value as f32)
}

/// Seconds since the epoch of a stamp.
pub fn secs_of(stamp: &builtin::Time) -> f64 {
    f64::from(stamp.sec) + f64::from(stamp.nanosec) * 1e-9
}

/// A span as a message has it.
pub fn duration_message(span: Duration) -> builtin::Duration {
    builtin::Duration {
        sec: i32::try_from(span.as_secs()).unwrap_or(i32::MAX),
        nanosec: span.subsec_nanos(),
    }
}

/// r2r panics on a NUL in a string that goes out.
fn printable(message: &str) -> String {
    message.replace('\0', "\\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_of_messages_one_passes() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.pass(), Some(0));
        assert!((0..100).all(|_| throttle.pass().is_none()));
        assert_eq!(throttle.held_back, 100);
    }

    #[test]
    fn a_nul_does_not_reach_the_log() {
        assert_eq!(printable("a\0b"), "a\\0b");
    }
}
