//! The path of a frame from the camera topic to the published gesture.
//!
//! A thread per camera ([`camera_thread`]) reads its [`subscriptions`], decodes messages and puts frames into the [`inbox`]. One thread ([`classifier_thread`])
//! takes them in batches, classifies them, and publishes through each camera's [`gesture_output`], with the threshold of [`tolerance`], and once more
//! as messages of [`vision_msgs`]. A further thread ([`overlay_thread`]) draws overlays.

pub(crate) mod camera;
pub(crate) mod camera_thread;
pub(crate) mod classifier_thread;
pub(crate) mod gesture_output;
pub(crate) mod inbox;
pub(crate) mod overlay_thread;
pub(crate) mod stamp_gaps;
pub(crate) mod subscriptions;
mod tolerance;
pub(crate) mod vision_msgs;
