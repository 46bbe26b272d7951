pub mod camera;
pub mod classifier_thread;
pub mod gesture_output;
pub mod overlay_thread;
