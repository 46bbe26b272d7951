//! The settings of a recognizer: method, hands, and how its network runs.

use strum::{Display, EnumString, VariantNames};

use crate::classifier::settings::Settings;

/// Default of the familiarity below which a frame is unfamiliar; the familiarity is scaled so that this is the threshold that each model has
/// learned.
pub const FAMILIARITY_THRESHOLD: f32 = 0.5;

/// How frames are classified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Method {
    /// By the landmarks of hands, and familiar frames without a hand by the network of the model.
    #[default]
    Auto,
    /// By the network of the model, which sees the whole frame.
    Image,
    /// By the network of the model for crops of hands; a frame without a hand shows no gesture.
    Hand,
    /// By the landmarks of hands; a frame without a hand shows no gesture.
    Landmarks,
}

/// How to classify frames.
#[derive(Clone, Debug, PartialEq)]
pub struct RecognizerSettings {
    /// How frames are classified.
    pub method: Method,
    /// How hands are found and judged.
    pub hands: HandSettings,
    /// How the network of a model runs.
    pub network: Settings,
}

/// How hands are found and judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HandSettings {
    /// Maximum number of hands in a frame.
    pub max_hands: usize,
    /// Rotation of the camera around its optical axis in degrees, clockwise as seen from behind it.
    pub camera_roll_deg: f32,
}

impl Default for HandSettings {
    /// Two hands, an upright camera.
    fn default() -> HandSettings {
        HandSettings {
            max_hands: 2,
            camera_roll_deg: 0.0,
        }
    }
}

impl From<Settings> for RecognizerSettings {
    /// The default method.
    fn from(network: Settings) -> RecognizerSettings {
        RecognizerSettings {
            method: Method::default(),
            hands: HandSettings::default(),
            network,
        }
    }
}
