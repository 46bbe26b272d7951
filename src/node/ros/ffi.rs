//! What C libraries can and no crate offers: an image's pixels where the middleware put them, rcl's level of a logger, whether it wants
//! `/rosout` and what it remaps a topic to, and glibc's memory given back. The one place with `unsafe`.
#![allow(
    unsafe_code,
    reason = "these are C; each call is given what its header asks for"
)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use r2r::sensor_msgs::msg::Image;
use r2r::{Node, QosProfile, WrappedTypesupport};
use r2r_rcl::{
    RCL_RET_OK, rcl_arguments_fini, rcl_arguments_t, rcl_get_zero_initialized_arguments,
    rcl_logging_rosout_enabled, rcl_parse_arguments, rcl_ret_t, rcutils_allocator_t,
    rcutils_get_default_allocator, rcutils_logging_get_logger_level, rcutils_logging_logger_is_enabled_for,
    rcutils_logging_set_logger_level,
};

use crate::node::ros::context::lock;

unsafe extern "C" {
    // From rcl/remap.h, which r2r_rcl makes no binding for.
    fn rcl_remap_topic_name(
        local_arguments: *const rcl_arguments_t,
        global_arguments: *const rcl_arguments_t,
        topic_name: *const c_char,
        node_name: *const c_char,
        node_namespace: *const c_char,
        allocator: rcutils_allocator_t,
        output_name: *mut *mut c_char,
    ) -> rcl_ret_t;
}

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    // From malloc.h.
    safe fn malloc_trim(pad: usize) -> c_int;
}

/// An image's message; its pixels are where the middleware put them.
pub struct ImageInPlace {
    /// All but the pixels.
    pub fields: Image,
    /// The pixels.
    pub pixels: Bytes,
}

/// An [`Image`] as C has it.
type NativeImage = <Image as WrappedTypesupport>::CStruct;

/// r2r's owner of a [`NativeImage`], whose type has no name outside of r2r, or its stream of such owners.
struct Native<T>(T);

// SAFETY: rcl has filled the message and forgotten it, and it lies in memory of C's malloc, which any thread may free. What a middleware
// lends would be another matter, but it lends no message of changing size. The stream is a channel, which is not `Send` only because its
// messages, as pointers, are not.
unsafe impl<T> Send for Native<T> {}

/// Subscribes to images without copying their pixels, as `Node::subscribe` would: those of a camera with 1080 lines are 6 MB each.
///
/// # Errors
/// rcl's word.
pub fn subscribe_to_images(
    node: &mut Node,
    topic: &str,
    qos: QosProfile,
) -> r2r::Result<impl Stream<Item = ImageInPlace> + Send + Unpin + use<>> {
    Ok(Native(node.subscribe_native::<Image>(topic, qos)?).map(in_place))
}

fn in_place(mut message: impl DerefMut<Target = NativeImage> + 'static) -> ImageInPlace {
    // While there are none, r2r copies no pixels.
    let length = std::mem::take(&mut message.data.size);
    let fields = Image::from_native(&message);
    message.data.size = length;
    ImageInPlace {
        fields,
        pixels: Bytes::from_owner(Native(message)),
    }
}

impl<S: Stream + Unpin> Stream for Native<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.0).poll_next(context)
    }
}

impl<M: Deref<Target = NativeImage>> AsRef<[u8]> for Native<M> {
    fn as_ref(&self) -> &[u8] {
        let pixels = &self.0.data;
        match pixels.data.is_null() {
            true => &[],
            // SAFETY: rosidl keeps `size` bytes there until the message is destroyed, and nobody writes to them.
            false => unsafe { std::slice::from_raw_parts(pixels.data, pixels.size) },
        }
    }
}

/// Gives the system the memory back that was freed: glibc keeps much of it, all the more after large pieces have come and gone.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    malloc_trim(0);
}

/// False with `--disable-rosout-logs`.
pub fn is_rosout_enabled() -> bool {
    // SAFETY: it reads a flag that rcl set when it started.
    unsafe { rcl_logging_rosout_enabled() }
}

/// How much a logger says; the numbers are rcutils'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// As `--log-level` has it, or rcl.
    Given = 0,
    /// Everything.
    Debug = 10,
    /// What is worth a line in normal running, and more.
    Info = 20,
    /// What someone should look at, and more.
    Warn = 30,
    /// What was lost, and more.
    Error = 40,
    /// Nearly nothing.
    Fatal = 50,
}

impl LogLevel {
    const ALL: [LogLevel; 6] = [
        LogLevel::Given,
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
        LogLevel::Fatal,
    ];
    /// As parameters name them.
    pub const NAMES: [&str; 6] = ["default", "debug", "info", "warn", "error", "fatal"];

    /// The level of a name, [`LogLevel::Given`] for one that is none.
    pub fn named(name: &str) -> LogLevel {
        let place = LogLevel::NAMES.iter().position(|known| *known == name);
        place.map_or(LogLevel::Given, |place| LogLevel::ALL[place])
    }
}

/// rcutils keeps the loggers' levels in a table that is not made for several threads. Within, the level that the node's logger had
/// before it was first set: what `--log-level` gave it.
static LEVELS: Mutex<Option<c_int>> = Mutex::new(None);

/// Has something logged, if a logger says what is of that level.
pub fn log(logger: &str, level: LogLevel, say: impl FnOnce()) -> bool {
    let _one_at_a_time = lock(&LEVELS);
    let is_logged = is_logged(logger, level);
    if is_logged {
        say();
    }
    is_logged
}

/// Sets how much the node's logger says.
pub fn set_log_level(logger: &str, level: LogLevel) {
    let mut levels = lock(&LEVELS);
    let Ok(logger) = CString::new(logger) else {
        return;
    };
    // SAFETY: the name is a C string that outlives the calls, which copy it.
    let status = unsafe {
        let given = *levels.get_or_insert_with(|| rcutils_logging_get_logger_level(logger.as_ptr()));
        let level = match level {
            LogLevel::Given => given,
            level => level as c_int,
        };
        rcutils_logging_set_logger_level(logger.as_ptr(), level)
    };
    debug_assert_eq!(status, RCL_RET_OK as rcl_ret_t);
}

/// True where a logger says what is of that level.
fn is_logged(logger: &str, level: LogLevel) -> bool {
    let Ok(logger) = CString::new(logger) else {
        return true;
    };
    // SAFETY: as above; the caller holds `LEVELS`.
    unsafe { rcutils_logging_logger_is_enabled_for(logger.as_ptr(), level as c_int) }
}

/// What an absolute topic name has been remapped to by this process's arguments, for a node of that name and namespace; the name itself
/// where no rule fits.
pub fn remapped(topic: &str, node: &str, namespace: &str) -> String {
    let arguments: Vec<CString> = std::env::args()
        .filter_map(|arg| CString::new(arg).ok())
        .collect();
    let arguments: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    let (Ok(name), Ok(node), Ok(namespace)) =
        (CString::new(topic), CString::new(node), CString::new(namespace))
    else {
        return topic.to_owned();
    };
    let count = c_int::try_from(arguments.len()).unwrap_or_default();
    // SAFETY: all strings outlive the calls; `parsed` is initialised as rcl wants it, and finalised once it was filled; the name that
    // comes out was allocated by rcutils' default allocator, which is C's malloc, and is freed with its counterpart.
    unsafe {
        let allocator = rcutils_get_default_allocator();
        let mut parsed = rcl_get_zero_initialized_arguments();
        if rcl_parse_arguments(count, arguments.as_ptr(), allocator, &mut parsed) != RCL_RET_OK as rcl_ret_t {
            return topic.to_owned();
        }
        let mut output: *mut c_char = std::ptr::null_mut();
        let status = rcl_remap_topic_name(
            std::ptr::null(),
            &parsed,
            name.as_ptr(),
            node.as_ptr(),
            namespace.as_ptr(),
            allocator,
            &mut output,
        );
        let found = (status == RCL_RET_OK as rcl_ret_t && !output.is_null())
            .then(|| CStr::from_ptr(output).to_string_lossy().into_owned());
        if let (false, Some(deallocate)) = (output.is_null(), allocator.deallocate) {
            deallocate(output.cast(), allocator.state);
        }
        rcl_arguments_fini(&mut parsed);
        found.unwrap_or_else(|| topic.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_rule_a_topic_is_itself() {
        assert_eq!(
            remapped("/jetbot/camera/image_raw", "thumb_gesture", "/jetbot"),
            "/jetbot/camera/image_raw"
        );
    }

    #[test]
    fn every_level_has_a_name() {
        let levels: Vec<i32> = LogLevel::NAMES
            .iter()
            .map(|name| LogLevel::named(name) as i32)
            .collect();
        assert_eq!(levels, [0, 10, 20, 30, 40, 50]);
    }
}
