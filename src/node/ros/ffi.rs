//! C functions that no crate wraps: image messages without a copy of their pixels, the middleware's rules of QoS, definitions of interfaces,
//! rcutils' log levels, rcl's arguments and errors, and glibc's `malloc_trim`. The only module with `unsafe`.
#![allow(unsafe_code, reason = "each call meets the requirements of its C header")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use r2r::sensor_msgs::msg::Image;
use r2r::type_description_interfaces::msg::{TypeDescription, TypeSource};
use r2r::{
    Node, ParameterValue, QosProfile, WrappedNativeMsgUntyped, WrappedServiceTypeSupport, WrappedTypesupport,
};
use r2r_rcl::{
    RCL_RET_OK, rcl_arguments_fini, rcl_arguments_get_count_unparsed, rcl_arguments_get_count_unparsed_ros,
    rcl_arguments_get_param_overrides, rcl_arguments_t, rcl_get_zero_initialized_arguments,
    rcl_logging_rosout_enabled, rcl_parse_arguments, rcl_ret_t, rcl_variant_t, rcl_yaml_node_struct_fini,
    rcutils_allocator_t, rcutils_get_default_allocator, rcutils_get_error_string,
    rcutils_logging_get_logger_level, rcutils_logging_logger_is_enabled_for,
    rcutils_logging_set_logger_level, rcutils_reset_error, rmw_get_implementation_identifier,
    rmw_qos_compatibility_type_t, rmw_qos_profile_check_compatible, rosidl_runtime_c__String,
    rosidl_runtime_c__type_description__TypeDescription,
    rosidl_runtime_c__type_description__TypeSource__Sequence, rosidl_type_hash_t,
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

    // From rcl/type_description_conversions.h, the same.
    fn rcl_convert_type_description_runtime_to_msg(
        description: *const rosidl_runtime_c__type_description__TypeDescription,
    ) -> *mut <TypeDescription as WrappedTypesupport>::CStruct;
}

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    // From malloc.h.
    safe fn malloc_trim(pad: usize) -> c_int;
}

/// An image message whose pixels stay in the memory that the middleware allocated.
pub struct ImageInPlace {
    /// All fields except `data`.
    pub fields: Image,
    /// `data`.
    pub pixels: Bytes,
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
pub fn subscribe_to_images(
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

/// Whether the middleware delivers the messages of such a publisher to such a subscription.
pub(super) fn are_compatible(publisher: QosProfile, subscription: QosProfile) -> bool {
    let mut compatibility = rmw_qos_compatibility_type_t::RMW_QOS_COMPATIBILITY_ERROR;
    // SAFETY: `compatibility` is written to, and no reason is requested.
    let status = unsafe {
        rmw_qos_profile_check_compatible(
            publisher.into(),
            subscription.into(),
            &raw mut compatibility,
            std::ptr::null_mut(),
            0,
        )
    };
    status == RCL_RET_OK as rcl_ret_t
        && compatibility != rmw_qos_compatibility_type_t::RMW_QOS_COMPATIBILITY_ERROR
}

/// A message or service, as rosidl has described it.
pub(super) struct InterfaceDefinition {
    /// `RIHS01_` and a SHA-256.
    pub(super) hash: String,
    pub(super) description: TypeDescription,
    /// Its file, and those of the interfaces in it.
    pub(super) sources: Vec<TypeSource>,
}

/// The definition of a message such as `sensor_msgs/msg/Image`; `None` if it is in no package that the program was built with.
pub(super) fn message_definition(name: &str) -> Option<InterfaceDefinition> {
    let support = WrappedNativeMsgUntyped::new_from(name).ok()?.ts;
    // SAFETY: the functions of a type support only return pointers to constants of its library, which stays loaded.
    unsafe {
        definition_of(
            support.get_type_hash_func?(support),
            support.get_type_description_func?(support),
            support.get_type_description_sources_func?(support),
        )
    }
}

/// The definition of a service.
pub(super) fn service_definition<T: WrappedServiceTypeSupport>() -> Option<InterfaceDefinition> {
    let support = T::get_ts();
    // SAFETY: as above.
    unsafe {
        definition_of(
            support.get_type_hash_func?(support),
            support.get_type_description_func?(support),
            support.get_type_description_sources_func?(support),
        )
    }
}

/// # Safety
/// The pointers are null or valid.
unsafe fn definition_of(
    hash: *const rosidl_type_hash_t,
    description: *const rosidl_runtime_c__type_description__TypeDescription,
    sources: *const rosidl_runtime_c__type_description__TypeSource__Sequence,
) -> Option<InterfaceDefinition> {
    // SAFETY: the pointers are null or valid, and rcl returns a message, or null, which belongs to the caller.
    unsafe {
        let (hash, sources) = (hash.as_ref()?, sources.as_ref()?);
        let digits = hash.value.iter().map(|byte| format!("{byte:02x}"));
        let sources = array(sources.data, sources.size).iter().map(|source| TypeSource {
            type_name: string_of(&source.type_name),
            encoding: string_of(&source.encoding),
            raw_file_contents: string_of(&source.raw_file_contents),
        });
        let native = rcl_convert_type_description_runtime_to_msg(description);
        let description = TypeDescription::from_native(native.as_ref()?);
        TypeDescription::destroy_msg(native);
        Some(InterfaceDefinition {
            hash: format!("RIHS{:02}_{}", hash.version, digits.collect::<String>()),
            description,
            sources: sources.collect(),
        })
    }
}

/// Name of the middleware, such as `rmw_fastrtps_cpp`.
pub(crate) fn middleware() -> String {
    // SAFETY: it returns a C string that is never freed.
    unsafe { text_of(rmw_get_implementation_identifier()) }.unwrap_or_default()
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

/// The reason of the last error that rcl reported on this thread, without the places in its source code; empty if there is none.
pub(super) fn take_error() -> String {
    // SAFETY: the text ends with a NUL, within the array that is returned by value.
    let text = unsafe {
        let error = rcutils_get_error_string();
        rcutils_reset_error();
        CStr::from_ptr(error.str_.as_ptr()).to_string_lossy().into_owned()
    };
    reason_of(&text)
}

/// The reason in an error text of rcl, `Couldn't parse WHAT. Error: REASON, at FILE:LINE, at FILE:LINE`.
pub(super) fn reason_of(text: &str) -> String {
    let text = text.split_once("Error: ").map_or(text, |(_, reason)| reason);
    let reason = text.split(", at ").next().unwrap_or_default();
    reason.replace("error not set", "").trim().to_owned()
}

/// Arguments that rcl has parsed. They never change.
pub(super) struct ParsedArguments(rcl_arguments_t);

// SAFETY: rcl allocates them without regard to threads, and only reads them until they are dropped.
unsafe impl Send for ParsedArguments {}
// SAFETY: as above.
unsafe impl Sync for ParsedArguments {}

/// The parameters that arguments give to the nodes that a key stands for, such as `/**`.
#[derive(Clone)]
pub(super) struct KeyParameters {
    pub(super) key: String,
    pub(super) parameters: Vec<(String, ParameterValue)>,
}

impl ParsedArguments {
    /// Parses arguments; those of ROS follow `--ros-args`.
    ///
    /// # Errors
    /// rcl's reason, which may be empty.
    pub(super) fn parse(arguments: &[&str]) -> Result<ParsedArguments, String> {
        let arguments: Result<Vec<CString>, _> = arguments.iter().map(|&word| CString::new(word)).collect();
        let arguments = arguments.map_err(|error| error.to_string())?;
        let words: Vec<*const c_char> = arguments.iter().map(|word| word.as_ptr()).collect();
        let count = c_int::try_from(words.len()).map_err(|error| error.to_string())?;
        // SAFETY: the words outlive the call, which copies them, and the output is zero-initialized. On failure rcl frees what it has
        // allocated.
        unsafe {
            let mut parsed = rcl_get_zero_initialized_arguments();
            let status = rcl_parse_arguments(
                count,
                words.as_ptr(),
                rcutils_get_default_allocator(),
                &mut parsed,
            );
            if status != RCL_RET_OK as rcl_ret_t {
                return Err(take_error());
            }
            Ok(ParsedArguments(parsed))
        }
    }

    /// Number of arguments that rcl does not know, among those of ROS and the others.
    pub(super) fn unknown_count(&self) -> c_int {
        // SAFETY: rcl has filled the arguments.
        unsafe { rcl_arguments_get_count_unparsed_ros(&self.0) + rcl_arguments_get_count_unparsed(&self.0) }
    }

    /// Applies the remapping rules to an absolute topic name, for a node with this name and namespace; `None` if no rule matches.
    pub(super) fn remap_topic(&self, topic: &str, node: &str, namespace: &str) -> Option<String> {
        let (topic, node) = (CString::new(topic).ok()?, CString::new(node).ok()?);
        let namespace = CString::new(namespace).ok()?;
        // SAFETY: all strings outlive the call. The output was allocated by rcutils' default allocator and is freed by the same one.
        unsafe {
            let allocator = rcutils_get_default_allocator();
            let mut output: *mut c_char = std::ptr::null_mut();
            rcl_remap_topic_name(
                std::ptr::null(),
                &self.0,
                topic.as_ptr(),
                node.as_ptr(),
                namespace.as_ptr(),
                allocator,
                &mut output,
            );
            let remapped = text_of(output);
            if let (Some(_), Some(deallocate)) = (&remapped, allocator.deallocate) {
                deallocate(output.cast(), allocator.state);
            }
            remapped
        }
    }

    /// The parameters that the arguments give, in their order.
    pub(super) fn parameters(&self) -> Vec<KeyParameters> {
        let mut all = Vec::new();
        // SAFETY: rcl returns a copy, which is freed at the end, or null. Its arrays have the lengths that it says.
        unsafe {
            let mut copy = std::ptr::null_mut();
            rcl_arguments_get_param_overrides(&self.0, &mut copy);
            let Some(nodes) = copy.as_ref() else {
                return all;
            };
            let keys = array(nodes.node_names, nodes.num_nodes);
            for (&key, node) in keys.iter().zip(array(nodes.params, nodes.num_nodes)) {
                let names = array(node.parameter_names, node.num_params);
                let values = array(node.parameter_values, node.num_params);
                all.push(KeyParameters {
                    key: text_of(key).unwrap_or_default(),
                    parameters: names
                        .iter()
                        .zip(values)
                        .filter_map(|(&name, value)| Some((text_of(name)?, value_of(value))))
                        .collect(),
                });
            }
            rcl_yaml_node_struct_fini(copy);
        }
        all
    }
}

impl Drop for ParsedArguments {
    fn drop(&mut self) {
        // SAFETY: rcl has filled the arguments, and they are finalized once.
        unsafe {
            rcl_arguments_fini(&mut self.0);
        }
    }
}

/// Copies a C string; `None` if it is null.
///
/// # Safety
/// `text` is null or a C string.
unsafe fn text_of(text: *const c_char) -> Option<String> {
    // SAFETY: it is a C string.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Copies a string of rosidl; in descriptions of types, its size includes the NUL at the end.
///
/// # Safety
/// It is valid.
unsafe fn string_of(text: &rosidl_runtime_c__String) -> String {
    // SAFETY: its data is null or has this size.
    let bytes = unsafe { array(text.data.cast::<u8>(), text.size) };
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

/// A C array, which is empty if the pointer is null.
///
/// # Safety
/// `values` is null or points to `length` values, which live for `'a`.
unsafe fn array<'a, T>(values: *const T, length: usize) -> &'a [T] {
    if values.is_null() {
        return &[];
    }
    // SAFETY: the array has this length.
    unsafe { std::slice::from_raw_parts(values, length) }
}

/// Converts a value; r2r's own conversion is private.
///
/// # Safety
/// The pointers are null or valid, as rcl_yaml_param_parser leaves them.
unsafe fn value_of(value: &rcl_variant_t) -> ParameterValue {
    // SAFETY: the pointers are null or valid.
    unsafe {
        if let Some(&value) = value.bool_value.as_ref() {
            ParameterValue::Bool(value)
        } else if let Some(&value) = value.integer_value.as_ref() {
            ParameterValue::Integer(value)
        } else if let Some(&value) = value.double_value.as_ref() {
            ParameterValue::Double(value)
        } else if let Some(text) = text_of(value.string_value) {
            ParameterValue::String(text)
        } else if let Some(values) = value.byte_array_value.as_ref() {
            ParameterValue::ByteArray(array(values.values, values.size).to_vec())
        } else if let Some(values) = value.bool_array_value.as_ref() {
            ParameterValue::BoolArray(array(values.values, values.size).to_vec())
        } else if let Some(values) = value.integer_array_value.as_ref() {
            ParameterValue::IntegerArray(array(values.values, values.size).to_vec())
        } else if let Some(values) = value.double_array_value.as_ref() {
            ParameterValue::DoubleArray(array(values.values, values.size).to_vec())
        } else if let Some(texts) = value.string_array_value.as_ref() {
            let texts = array(texts.data, texts.size).iter();
            ParameterValue::StringArray(texts.filter_map(|&text| text_of(text)).collect())
        } else {
            ParameterValue::NotSet
        }
    }
}
