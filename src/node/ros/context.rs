//! The node's clock and log.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use r2r::QosProfile;
use r2r::builtin_interfaces::msg::Time;
use r2r::rcl_interfaces::msg::Log;

use super::ffi;
use super::log::{LogLevel, log};
use super::topic::Topic;
use crate::sync::lock;
use crate::text;

/// QoS history depth and lifespan of `/rosout` in rcl.
const ROSOUT_DEPTH: usize = 1000;
const ROSOUT_LIFESPAN: Duration = Duration::from_secs(10);

/// Clock and log of the node, for any thread.
#[derive(Clone)]
pub struct NodeContext {
    logger: Arc<str>,
    clock: Arc<Mutex<r2r::Clock>>,
    /// `/rosout`, which rcl does not publish for r2r's log macros; `None` with `--disable-rosout-logs`.
    rosout: Option<Arc<Topic<Log>>>,
}

impl NodeContext {
    /// The clock and the log of this node.
    ///
    /// # Errors
    /// rcl reported an error.
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

    /// Name of the node's logger.
    pub fn logger(&self) -> &str {
        &self.logger
    }

    /// ROS time since the epoch; 0 with `use_sim_time` before the first message on `/clock`.
    pub fn now(&self) -> Duration {
        lock(&self.clock).get_now().unwrap_or_default()
    }

    /// [`NodeContext::now`] as a time stamp.
    pub fn stamp(&self) -> Time {
        r2r::Clock::to_builtin_time(&self.now())
    }

    /// Logs a message of this severity.
    pub fn debug(&self, message: &str) {
        self.log(LogLevel::Debug, message);
    }

    /// Logs a message of this severity.
    pub fn info(&self, message: &str) {
        self.log(LogLevel::Info, message);
    }

    /// Logs a message of this severity.
    pub fn warn(&self, message: &str) {
        self.log(LogLevel::Warn, message);
    }

    /// Logs a message of this severity.
    pub fn error(&self, message: &str) {
        self.log(LogLevel::Error, message);
    }

    /// Writes to the console, the log file and `/rosout` if the logger's level permits it.
    fn log(&self, level: LogLevel, message: &str) {
        let message = text::message(message);
        if !log(&self.logger, level, &message) {
            return;
        }
        if let Some(rosout) = &self.rosout {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
            rosout.publish(&Log {
                stamp: r2r::Clock::to_builtin_time(&since_epoch.unwrap_or_default()),
                level: level as u8,
                name: self.logger.to_string(),
                msg: message,
                ..Log::default()
            });
        }
    }
}
