//! Conversions to and from the fields of messages.

use std::path::Path;
use std::time::Duration;

use r2r::builtin_interfaces::msg::{Duration as DurationMessage, Time};
use r2r::thumb_gesture::msg::ModelInfo;

use crate::dataset::Label;
use crate::model_store::Manifest;
use crate::recognizer::model::Model;
use crate::text;

/// NaN for `None`.
pub(crate) fn or_nan(value: Option<f64>) -> f32 {
    value.map_or(f32::NAN, |value| value as f32)
}

/// Nanoseconds since the epoch.
pub(crate) fn nanos_of(stamp: &Time) -> i64 {
    i64::from(stamp.sec) * 1_000_000_000 + i64::from(stamp.nanosec)
}

pub(crate) fn duration_message(duration: Duration) -> DurationMessage {
    DurationMessage {
        sec: i32::try_from(duration.as_secs()).unwrap_or(i32::MAX),
        nanosec: duration.subsec_nanos(),
    }
}

/// Describes a stored model or the built-in recognizer; backend, message and whether it is active are left empty.
pub(crate) fn info_of(model: &Model) -> ModelInfo {
    match model.stored() {
        Some(stored) => model_info(&stored.manifest, &stored.directory),
        None => ModelInfo {
            model_id: model.id().to_owned(),
            network: "hand_landmark".to_owned(),
            labels: model.labels().iter().map(Label::to_string).collect(),
            strategy: "rule".to_owned(),
            accuracy: f32::NAN,
            new_scene_accuracy: f32::NAN,
            calibration_error: f32::NAN,
            ..ModelInfo::default()
        },
    }
}

/// Describes a stored model; backend, message and whether it is active are left empty.
pub(crate) fn model_info(manifest: &Manifest, directory: &Path) -> ModelInfo {
    let frames = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let metrics = manifest.metrics.as_ref();
    let interval = metrics.and_then(|metrics| metrics.interval);
    ModelInfo {
        created: Time {
            sec: i32::try_from(manifest.created.unix_timestamp()).unwrap_or(i32::MAX),
            nanosec: manifest.created.nanosecond(),
        },
        model_id: manifest.id.clone(),
        network: text::message(&manifest.network),
        labels: manifest.labels.iter().map(Label::to_string).collect(),
        strategy: text::message(&manifest.strategy),
        accuracy: or_nan(manifest.accuracy()),
        accuracy_interval: interval.into_iter().flatten().map(|bound| bound as f32).collect(),
        scenes: frames(manifest.scenes.map_or(0, |scenes| scenes.scenes)),
        new_scene_accuracy: or_nan(manifest.new_scene_accuracy()),
        calibration_error: or_nan(metrics.and_then(|metrics| metrics.ece)),
        train_frames: frames(manifest.frames.train),
        validation_frames: frames(manifest.frames.validation),
        bytes: manifest.bytes_in(directory),
        ..ModelInfo::default()
    }
}
