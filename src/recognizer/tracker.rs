//! Finds the hands in still images, and follows those of streams.

use std::time::Duration;

use super::Source;
use super::settings::{HandSettings, RecognizerSettings};
use crate::classifier::ClassifierError;
use crate::classifier::settings::Settings;
use crate::frame::Frame;
use crate::gesture::Gesture;
use crate::hand::finder::{Followed, HandFinder};
use crate::hand::{Hand, HandNetworks};

/// The networks for hands, and what is known of each stream.
pub(super) struct HandTracker {
    finder: HandFinder,
    /// One of this number of frames of a stream is searched while no sure hand is followed.
    frames_per_search: usize,
    /// One for each stream so far.
    followed: Vec<Followed>,
    /// Radians, clockwise.
    pub(super) camera_roll: f32,
    /// Why the networks for hands run where they do, including the failures of better devices; may be empty.
    pub(super) reason: String,
}

impl HandTracker {
    /// Loads the installed networks for hands, and runs them once. They are the ones that [`Settings::require_gpu`] concerns if no network
    /// of a model does: then they may fall back to the CPU.
    ///
    /// # Errors
    /// A network is not installed, the runtime failed, or there is no required GPU.
    pub(super) fn load(
        settings: &RecognizerSettings,
        has_model_network: bool,
    ) -> Result<HandTracker, ClassifierError> {
        let HandSettings {
            max_hands,
            camera_roll_deg,
        } = settings.hands;
        let networks = HandNetworks::installed(&Settings {
            require_gpu: settings.network.require_gpu && !has_model_network,
            ..settings.network.clone()
        })?;
        Ok(HandTracker {
            reason: match networks.reason.as_str() {
                "" => String::new(),
                reason => format!("networks for hands: {reason}"),
            },
            finder: HandFinder::new(networks, max_hands),
            frames_per_search: 1,
            followed: Vec::new(),
            camera_roll: camera_roll_deg.to_radians(),
        })
    }

    /// Searches only one of `frames` frames of a stream.
    pub(super) fn searching_one_of(self, frames: usize) -> HandTracker {
        HandTracker {
            frames_per_search: frames,
            ..self
        }
    }

    pub(super) fn backend(&self) -> &str {
        self.finder.backend()
    }

    /// The hands in a frame, the surest first.
    pub(super) fn hands(&mut self, source: Source, frame: &Frame) -> Result<Vec<Hand>, ClassifierError> {
        match source {
            Source::Still => self.finder.search(frame),
            Source::Stream(stream) => {
                if self.followed.len() <= stream {
                    self.followed.resize_with(stream + 1, Followed::default);
                }
                let followed = &mut self.followed[stream];
                self.finder.follow(frame, followed, self.frames_per_search)
            }
        }
    }

    /// The time to compute the inputs of the networks since the last call.
    pub(super) fn take_sampling_time(&mut self) -> Duration {
        self.finder.take_sampling_time()
    }

    pub(super) fn forget_streams(&mut self) {
        self.followed.clear();
    }
}

/// The probabilities of a frame, from those of each of its hands: the ones of the hand whose gesture is the most probable one.
///
/// A frame without a hand shows no gesture. If there is no label for that, no label is more probable than another.
pub(super) fn of_surest_hand(hands: impl Iterator<Item = Vec<f32>>, gestures: &[Gesture]) -> Vec<f32> {
    let of_gestures = |row: &Vec<f32>| {
        let gestures = row.iter().zip(gestures);
        let gestures = gestures.filter(|(_, gesture)| **gesture != Gesture::None);
        gestures.map(|(probability, _)| *probability).fold(0.0, f32::max)
    };
    hands
        .max_by(|a, b| of_gestures(a).total_cmp(&of_gestures(b)))
        .unwrap_or_else(|| {
            let none = gestures.iter().position(|gesture| *gesture == Gesture::None);
            let without_hand = |index| match none {
                Some(none) => f32::from(u8::from(index == none)),
                None => 1.0 / gestures.len() as f32,
            };
            (0..gestures.len()).map(without_hand).collect()
        })
}
