//! A frame on its way from the camera to the published gesture.

pub mod camera;
pub mod classifier_thread;
pub mod gesture_output;
pub mod overlay_thread;
