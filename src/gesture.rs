//! The gestures, and the one place that ties a label's name to a number of `ThumbGesture.msg`.

/// What a hand says.
///
/// The discriminants are the constants of `ThumbGesture.msg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Gesture {
    /// No thumb gesture: an empty room, another hand sign.
    None = 0,
    /// Thumbs up.
    ThumbsUp = 1,
    /// Thumbs down.
    ThumbsDown = 2,
    /// A label of the owner's own, beyond the three.
    Other = 254,
}

/// `ThumbGesture.msg`'s number for a frame without a prediction.
pub const UNKNOWN: u8 = 255;

impl Gesture {
    /// The three gestures this package is about, in the order of their numbers.
    pub const ALL: [Gesture; 3] = [Gesture::None, Gesture::ThumbsUp, Gesture::ThumbsDown];

    /// The gesture that a label names.
    ///
    /// Letter case, `_`, `-` and spaces do not count, so that the directories of a JetBot dataset (`thumbsup`, `thumbsdown`)
    /// mean what they say. Any other name is [`Gesture::Other`].
    pub fn from_label(label: &str) -> Gesture {
        let plain: String = label
            .chars()
            .filter(|c| !matches!(c, '_' | '-' | ' '))
            .flat_map(char::to_lowercase)
            .collect();
        match plain.as_str() {
            "none" => Gesture::None,
            "thumbsup" => Gesture::ThumbsUp,
            "thumbsdown" => Gesture::ThumbsDown,
            _ => Gesture::Other,
        }
    }

    /// The label that this package's own tools give the gesture.
    pub fn label(self) -> &'static str {
        match self {
            Gesture::None => "none",
            Gesture::ThumbsUp => "thumbs_up",
            Gesture::ThumbsDown => "thumbs_down",
            Gesture::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gesture_is_found_by_its_own_label() {
        for gesture in Gesture::ALL {
            assert_eq!(Gesture::from_label(gesture.label()), gesture);
        }
    }

    #[test]
    fn the_directories_of_a_jetbot_dataset_are_understood() {
        assert_eq!(Gesture::from_label("thumbsup"), Gesture::ThumbsUp);
        assert_eq!(Gesture::from_label("Thumbs-Down"), Gesture::ThumbsDown);
    }

    #[test]
    fn a_label_of_ones_own_is_other() {
        assert_eq!(Gesture::from_label("wave"), Gesture::Other);
    }

    #[test]
    fn the_numbers_are_those_of_the_message() {
        let message = include_str!("../msg/ThumbGesture.msg");
        let numbers = [
            ("NONE", Gesture::None as u8),
            ("THUMBS_UP", Gesture::ThumbsUp as u8),
            ("THUMBS_DOWN", Gesture::ThumbsDown as u8),
            ("OTHER", Gesture::Other as u8),
            ("UNKNOWN", UNKNOWN),
        ];
        for (name, number) in numbers {
            assert!(
                message.lines().any(|line| line
                    .split_whitespace()
                    .take(2)
                    .eq(["uint8", format!("{name}={number}").as_str()])),
                "{name}={number} is not in ThumbGesture.msg"
            );
        }
    }
}
