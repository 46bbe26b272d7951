//! The log of rcutils: its levels, and messages on the console and in the log file.

use std::ffi::{CString, c_int};
use std::sync::Mutex;

use strum::{EnumString, VariantNames};

use super::ffi;
use crate::sync::lock;

/// Severity of a message, and minimum severity of a logger; the numbers are those of rcutils.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum LogLevel {
    /// The level that `--log-level` gave, or rcl's default.
    Default = 0,
    Debug = 10,
    Info = 20,
    Warn = 30,
    Error = 40,
    Fatal = 50,
}

/// The level that the node's logger had before the first change, which is that of `--log-level`.
///
/// The lock serializes all uses of rcutils' table of levels, which is not thread-safe.
static INITIAL_LEVEL: Mutex<Option<c_int>> = Mutex::new(None);

/// Writes a message, which has no NUL, if the logger's level permits it; returns whether it did.
pub(super) fn log(logger: &str, level: LogLevel, message: &str) -> bool {
    let _guard = lock(&INITIAL_LEVEL);
    // The name of a logger has no NUL, because it comes from rcl.
    let is_enabled =
        CString::new(logger).map_or(true, |logger| ffi::is_logger_enabled_for(&logger, level as c_int));
    if !is_enabled {
        return false;
    }
    match level {
        LogLevel::Info => r2r::log_info!(logger, "{message}"),
        LogLevel::Warn => r2r::log_warn!(logger, "{message}"),
        LogLevel::Error | LogLevel::Fatal => r2r::log_error!(logger, "{message}"),
        LogLevel::Default | LogLevel::Debug => r2r::log_debug!(logger, "{message}"),
    }
    true
}

/// Runs `work` without rcl's own messages below fatal ones.
pub(super) fn without_messages_of_rcl<T>(work: impl FnOnce() -> T) -> T {
    let _guard = lock(&INITIAL_LEVEL);
    ffi::set_logger_level(c"rcl", LogLevel::Fatal as c_int);
    let result = work();
    ffi::set_logger_level(c"rcl", LogLevel::Default as c_int);
    result
}

/// Sets the minimum severity of the node's logger.
pub(crate) fn set_log_level(logger: &str, level: LogLevel) {
    let mut initial_level = lock(&INITIAL_LEVEL);
    let Ok(logger) = CString::new(logger) else {
        return;
    };
    let initial_level = *initial_level.get_or_insert_with(|| ffi::logger_level(&logger));
    let level = match level {
        LogLevel::Default => initial_level,
        level => level as c_int,
    };
    ffi::set_logger_level(&logger, level);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_levels_are_those_of_the_parameter() {
        let names = ["default", "debug", "info", "warn", "error", "fatal"];
        assert_eq!(LogLevel::VARIANTS, names);
        let levels = names.map(|name| name.parse::<LogLevel>().expect(name) as i32);
        assert_eq!(levels, [0, 10, 20, 30, 40, 50]);
    }
}
