//! The node's parameters.
//!
//! Each one is declared once: the table below makes [`DECLARATIONS`], which ROS sees, and the fields of [`Values`], which the node reads.
//! The doc comment is the description. Tests hold `config/thumb_gesture.yaml` and the table in `docs/reference.md` against it.

use std::path::PathBuf;
use std::time::Duration;

use r2r::ParameterValue;
use strum::VariantNames;

use super::conversion::FromParameter;
use super::validation::{Declaration, boolean, cameras, choice, double, integer, integers, text};
use crate::classifier::settings::{Device, Precision};
use crate::network::Architecture;
use crate::node::ros::log::LogLevel;
use crate::node::ros::qos::{Durability, ImageTransport, Reliability};
use crate::recognizer::settings::Method;

macro_rules! parameters {
    ($($(#[doc = $description:literal])+ $name:ident: $type:ty = $declaration:expr,)+) => {
        /// Every parameter of the node.
        pub const DECLARATIONS: &[Declaration] = &[$(Declaration {
            name: stringify!($name),
            description: concat!($($description),+).trim_ascii_start(),
            ..$declaration
        },)+];

        /// The values of all parameters, each in its own type.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct Values {
            $($(#[doc = $description])+ pub(crate) $name: $type,)+
        }

        impl Values {
            /// Converts validated values, which are in the order of [`DECLARATIONS`]. The error is the name of the parameter.
            pub(super) fn convert(values: &[ParameterValue]) -> Result<Values, &'static str> {
                let mut values = values.iter();
                Ok(Values {
                    $($name: values.next().and_then(FromParameter::from_parameter).ok_or(stringify!($name))?,)+
                })
            }
        }
    };
}

parameters! {
    /// Directory of the captured frames, with one subdirectory per label.
    dataset: PathBuf = text("~/.ros/thumb_gesture/dataset"),

    /// Directory of the trained models.
    store: PathBuf = text("~/.ros/thumb_gesture/store"),

    /// Id of the model to use.
    /// Empty: the active model of the store.
    /// If it is set, ~/activate_model and ~/retrain change it to the model that they activate.
    model: Option<String> = text("").live(),

    /// What classifies frames: landmarks of hands, the crop of a hand, the whole image, or auto: landmarks where a hand is seen, the image elsewhere.
    /// Without a model, auto and landmarks recognize thumbs up and down.
    recognizer: Method = choice("auto", Method::VARIANTS).live(),

    /// Maximum number of hands in a frame.
    max_hands: usize = integer(2, 1.0..=4.0).live(),

    /// Rotation of the camera around its optical axis in degrees, clockwise as seen from behind it; landmarks are judged by it.
    camera_roll: f32 = double(0.0, -180.0..=180.0).live(),

    /// Network that ~/retrain trains.
    /// All except alexnet and vgg16 need imported pretrained weights.
    network: Architecture = choice("alexnet", Architecture::VARIANTS),

    /// Number of newest models to keep in the store after a training.
    /// The active and the previously active model are always kept.
    keep_models: usize = integer(10, 1.0..=1000.0).live(),

    /// Namespaces of several cameras, such as [front, /robot1/camera]: the node subscribes to front/image_raw and publishes front/thumb_gesture.
    /// Empty: a single camera, camera/image_raw, with gestures on thumb_gesture.
    cameras: Vec<String> = cameras().live(),

    /// Transport of the images: raw subscribes to image_raw, compressed to image_raw/compressed.
    image_transport: ImageTransport = choice("raw", ImageTransport::VARIANTS),

    /// QoS reliability of the image subscription: auto is reliable if all publishers offer it, best_effort otherwise.
    /// reliable does not match a best-effort publisher.
    image_reliability: Reliability = choice("auto", Reliability::VARIANTS),

    /// QoS history depth of the image subscription, in frames; of those that wait, only the newest is used.
    /// With 1, a reliable subscription gives up a frame of which a part was lost when the next one arrives.
    image_depth: usize = integer(5, 1.0..=10.0),

    /// QoS durability of the image subscription: auto is transient_local if all publishers offer it, volatile otherwise.
    /// transient_local also receives the last frame before the subscription, and does not match a volatile publisher.
    image_durability: Durability = choice("auto", Durability::VARIANTS),

    /// Device of the network: cuda uses TensorRT or CUDA, auto a GPU if ONNX Runtime supports it and the CPU otherwise.
    device: Device = choice("auto", Device::VARIANTS).live(),

    /// Precision of the network.
    /// auto is int8 on a CPU if the model's training accepted it, fp16 with TensorRT, and fp32 otherwise.
    precision: Precision = choice("auto", Precision::VARIANTS).live(),

    /// Library of an ONNX Runtime execution provider that is tried first, such as TensorRT RTX from PyPI.
    /// Empty: none.
    provider_library: Option<PathBuf> = text(""),

    /// Fail instead of falling back to the CPU.
    require_gpu: bool = boolean(false).live(),

    /// Number of CPU threads that run the network.
    threads: usize = integer(2, 1.0..=64.0).live(),

    /// CPUs that these threads are pinned to, such as [2, 3].
    /// Empty: not pinned.
    affinity: Vec<usize> = integers(0.0..=1023.0),

    /// Minimum probability of a gesture.
    threshold: f32 = double(0.5, 0.0..=1.0).live(),

    /// Stable thumbs per minute that are tolerated while none is shown: a higher threshold is used if the held-out frames of the model ask for it.
    /// Negative: only threshold is used.
    max_false_thumbs_per_minute: f32 = double(-1.0, -1.0..=60.0).live(),

    /// Minimum difference between the probability of a gesture and the next highest one.
    margin: f32 = double(0.1, 0.0..=1.0).live(),

    /// How far the current gesture may fall below threshold and margin before it is dropped.
    hysteresis: f32 = double(0.05, 0.0..=1.0).live(),

    /// Minimum familiarity of a frame that the whole image may decide on.
    /// 0.5 is what the model has learned from its training frames, 0 disables the check.
    familiarity_threshold: f32 = double(0.5, 0.0..=1.0).live(),

    /// Time constant of the exponential smoothing of probabilities, in seconds; 0 disables smoothing.
    smoothing: Duration = double(0.0, 0.0..=60.0).live(),

    /// Time until an unchanged gesture is stable, in seconds, by the stamps and by the arrivals of the frames.
    hold_time: Duration = double(0.5, 0.0..=60.0).live(),

    /// Time without a frame, a new stamp or a new image until the gesture is unknown with reason stale, and maximum age of a frame, in seconds.
    stale_timeout: Duration = double(1.0, 0.05..=60.0).live(),

    /// Images that repeat the last 8, bit for bit, for stale_timeout are stale.
    /// false for cameras without noise, such as simulators.
    detect_frozen_camera: bool = boolean(true).live(),

    /// Time without a frame until ~/capture fails, in seconds.
    capture_timeout: Duration = double(5.0, 0.1..=60.0).live(),

    /// Minimum time between two frames of a camera that ~/capture saves, in seconds, such as 0.6 for 100 frames in a minute; 0 saves every frame.
    capture_interval: Duration = double(0.0, 0.0..=60.0).live(),

    /// Publish frames with their gestures drawn on them on ~/overlay/compressed while it has subscribers.
    overlay: bool = boolean(true).live(),

    /// Minimum severity of log messages; default is the level of --log-level.
    log_level: LogLevel = choice("default", LogLevel::VARIANTS).live(),

    /// Configure and activate the node when it starts.
    /// Otherwise a lifecycle manager or ros2 lifecycle set does so.
    autostart: bool = boolean(true),

    /// Use the time of /clock, as needed for bag playback and simulation.
    use_sim_time: bool = boolean(false),
}

/// Position of a parameter in [`DECLARATIONS`].
pub(super) fn index_of(name: &str) -> Option<usize> {
    DECLARATIONS
        .iter()
        .position(|declaration| declaration.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid() {
        for declaration in DECLARATIONS {
            let default: ParameterValue = declaration.default.into();
            let validated = declaration.validate(&default).expect(declaration.name);
            assert_eq!(validated, default);
        }
    }

    #[test]
    fn every_default_and_every_choice_can_be_converted() {
        let defaults: Vec<ParameterValue> = DECLARATIONS
            .iter()
            .map(|declaration| declaration.default.into())
            .collect();
        Values::convert(&defaults).expect("the defaults");
        for (index, declaration) in DECLARATIONS.iter().enumerate() {
            for choice in declaration.choices {
                let mut values = defaults.clone();
                values[index] = ParameterValue::String((*choice).to_owned());
                Values::convert(&values).expect(choice);
            }
        }
    }

    #[test]
    fn configuration_file_contains_exactly_the_defaults() {
        let mut expected = "/**:\n  ros__parameters:\n".to_owned();
        for Declaration {
            name,
            default,
            description,
            ..
        } in DECLARATIONS
        {
            expected += &format!("    {name}: {default}  # {description}\n");
        }
        let found: String = include_str!("../../../config/thumb_gesture.yaml")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn reference_describes_every_parameter() {
        let reference = include_str!("../../../docs/reference.md");
        for declaration in DECLARATIONS {
            let Declaration {
                name,
                default,
                description,
                is_live,
                ..
            } = declaration;
            let live = if *is_live { "yes" } else { "no" };
            let row = format!(
                "| `{name}` | `{default}` | {} | {live} | {description} |",
                declaration.constraint()
            );
            assert!(reference.contains(&row), "docs/reference.md lacks the row\n{row}");
        }
    }
}
