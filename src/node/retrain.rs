//! `~/retrain` and `~/cancel_training`: one training at a time, in a child process.
//!
//! The process is `thumb_gesture train`. Each line that it prints is a [`Progress`](crate::training::Progress), which is published on
//! `~/training`. A crash of the process does not affect the node and its model. At the end, the node loads the new model.

mod child_process;
mod command_line;
mod service;
mod status;

pub(crate) use service::Retraining;
