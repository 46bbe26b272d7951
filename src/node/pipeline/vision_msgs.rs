//! The topics with messages of `vision_msgs`, for the nodes that read these and not `ThumbGesture`.
//!
//! Without that package at build time there are no such topics, and this module's types do nothing: `absent` instead of `topics`.

#[cfg(not(has_vision_msgs))]
mod absent;
#[cfg(any(has_vision_msgs, test))]
mod hypotheses;
#[cfg(has_vision_msgs)]
mod topics;

#[cfg(not(has_vision_msgs))]
pub(crate) use absent::{ClassificationTopic, PipelineInfo};
#[cfg(has_vision_msgs)]
pub(crate) use topics::{ClassificationTopic, PipelineInfo};
