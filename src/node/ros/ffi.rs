//! C functions that no crate wraps: image messages without a copy of their pixels, rcutils' log levels, rcl's remapping of topics, and
//! glibc's `malloc_trim`. The only module with `unsafe`.
#![allow(unsafe_code, reason = "each call meets the requirements of its C header")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
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

unsafe extern "C" {
    // From rcl/remap.h, for which r2r_rcl has no binding.
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

/// An image message whose pixels stay in the memory that the middleware allocated.
pub(crate) struct ImageInPlace {
    /// All fields except `data`.
    pub(crate) fields: Image,
    /// `data`.
    pub(crate) pixels: Bytes,
}

type NativeImage = <Image as WrappedTypesupport>::CStruct;

/// r2r's owner of a [`NativeImage`], which is of a private type, or r2r's stream of such owners.
struct Native<T>(T);

// SAFETY: rcl has filled the message and keeps no reference to it. Its memory comes from C's malloc, and any thread may free it: a
// middleware lends its own memory only for messages of fixed size. The stream is a channel, which is not `Send` only because its
// messages contain pointers.
unsafe impl<T> Send for Native<T> {}

/// Subscribes to images without the copy of the pixels that `Node::subscribe` makes: 6 MB for an image of 1920 x 1080 pixels.
///
/// # Errors
/// rcl reported an error.
pub(crate) fn subscribe_to_images(
    node: &mut Node,
    topic: &str,
    qos: QosProfile,
) -> r2r::Result<impl Stream<Item = ImageInPlace> + Send + Unpin + use<>> {
    Ok(Native(node.subscribe_native::<Image>(topic, qos)?).map(in_place))
}

fn in_place(mut message: impl DerefMut<Target = NativeImage> + 'static) -> ImageInPlace {
    // With a size of 0, r2r copies no pixels.
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
        if pixels.data.is_null() {
            return &[];
        }
        // SAFETY: rosidl keeps `size` bytes there until the message is destroyed, and nothing writes to them.
        unsafe { std::slice::from_raw_parts(pixels.data, pixels.size) }
    }
}

/// Returns freed memory to the operating system: glibc keeps much of it, in particular after large allocations.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    malloc_trim(0);
}

/// `false` with `--disable-rosout-logs`.
pub(super) fn is_rosout_enabled() -> bool {
    // SAFETY: it reads a flag that rcl set when it was initialized.
    unsafe { rcl_logging_rosout_enabled() }
}

/// The level that was set for a logger. Calls of this and the next two functions must not overlap: rcutils is not thread-safe here.
pub(super) fn logger_level(logger: &CStr) -> c_int {
    // SAFETY: `logger` is a C string, and rcutils does not keep the pointer.
    unsafe { rcutils_logging_get_logger_level(logger.as_ptr()) }
}

/// Sets the level of a logger.
pub(super) fn set_logger_level(logger: &CStr, level: c_int) {
    // SAFETY: `logger` is a C string, and rcutils copies it.
    let status = unsafe { rcutils_logging_set_logger_level(logger.as_ptr(), level) };
    debug_assert_eq!(status, RCL_RET_OK as rcl_ret_t);
}

/// `true` if a logger emits messages of this level.
pub(super) fn is_logger_enabled_for(logger: &CStr, level: c_int) -> bool {
    // SAFETY: `logger` is a C string, and rcutils does not keep the pointer.
    unsafe { rcutils_logging_logger_is_enabled_for(logger.as_ptr(), level) }
}

/// Applies the remapping rules in this process's arguments to an absolute topic name, for a node with this name and namespace.
pub(crate) fn remap_topic(topic: &str, node: &str, namespace: &str) -> String {
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
    // SAFETY: all strings outlive the calls. `parsed` is zero-initialized, and finalized after it was filled. The output was allocated by
    // rcutils' default allocator and is freed by the same one.
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
        if !output.is_null()
            && let Some(deallocate) = allocator.deallocate
        {
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
    fn topic_without_a_remapping_rule_is_unchanged() {
        assert_eq!(
            remap_topic("/jetbot/camera/image_raw", "thumb_gesture", "/jetbot"),
            "/jetbot/camera/image_raw"
        );
    }
}
