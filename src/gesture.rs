//! The gestures, and the mapping of labels to the constants of `ThumbGesture.msg`.

/// A gesture. The discriminants are the constants of `ThumbGesture.msg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Gesture {
    /// No thumb gesture, such as an empty room or another hand sign.
    None = 0,
    /// Thumbs up.
    ThumbsUp = 1,
    /// Thumbs down.
    ThumbsDown = 2,
    /// A label other than these three.
    Other = 254,
}

/// The constant of `ThumbGesture.msg` for a frame without a gesture.
pub const UNKNOWN: u8 = 255;

impl Gesture {
    /// The gestures of this package, in the order of their constants; without [`Gesture::Other`].
    pub const ALL: [Gesture; 3] = [Gesture::None, Gesture::ThumbsUp, Gesture::ThumbsDown];

    /// The gesture with this label; [`Gesture::Other`] if the label is not one of the three.
    ///
    /// Ignores letter case, `_`, `-`, spaces and the `s` of `thumbs`, so that the directories of a JetBot dataset (`thumbsup`,
    /// `thumbsdown`) are recognized.
    pub fn from_label(label: &str) -> Gesture {
        let plain: String = label
            .chars()
            .filter(|c| !matches!(c, '_' | '-' | ' '))
            .flat_map(char::to_lowercase)
            .collect();
        match plain.as_str() {
            "none" => Gesture::None,
            "thumbsup" | "thumbup" => Gesture::ThumbsUp,
            "thumbsdown" | "thumbdown" => Gesture::ThumbsDown,
            _ => Gesture::Other,
        }
    }

    /// The label that this package's tools use for the gesture.
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
    fn every_gesture_is_recognized_by_its_label() {
        for gesture in Gesture::ALL {
            assert_eq!(Gesture::from_label(gesture.label()), gesture);
        }
    }

    #[test]
    fn directories_of_a_jetbot_dataset_are_recognized() {
        assert_eq!(Gesture::from_label("thumbsup"), Gesture::ThumbsUp);
        assert_eq!(Gesture::from_label("Thumbs-Down"), Gesture::ThumbsDown);
        assert_eq!(Gesture::from_label("thumb up"), Gesture::ThumbsUp);
    }

    #[test]
    fn unknown_label_is_other() {
        assert_eq!(Gesture::from_label("wave"), Gesture::Other);
    }

    #[test]
    fn discriminants_are_the_constants_of_the_message() {
        let message = include_str!("../msg/ThumbGesture.msg");
        let constants = [
            ("NONE", Gesture::None as u8),
            ("THUMBS_UP", Gesture::ThumbsUp as u8),
            ("THUMBS_DOWN", Gesture::ThumbsDown as u8),
            ("OTHER", Gesture::Other as u8),
            ("UNKNOWN", UNKNOWN),
        ];
        for (name, value) in constants {
            assert!(
                message.lines().any(|line| line
                    .split_whitespace()
                    .take(2)
                    .eq(["uint8", format!("{name}={value}").as_str()])),
                "{name}={value} is not in ThumbGesture.msg"
            );
        }
    }
}
