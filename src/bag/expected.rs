//! The expected labels of a bag: a YAML file with time intervals, or one label for all of its frames.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::metadata::{parse_yaml, read_text};
use crate::dataset::Label;
use crate::decision::DecisionSettings;
use crate::disk;
use crate::gesture::Gesture;

/// Times below this (the year 1973) are seconds from the bag's first frame; others are seconds since the epoch.
const MIN_EPOCH_SECS: f64 = 1e8;

/// What a bag should show.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// This label in each frame.
    Label(String),
    /// Labels by time; nothing is expected of other frames.
    Intervals(Vec<Interval>),
}

/// A time interval with the label that its frames should get.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The inclusive start, seconds from the bag's first frame or since the epoch.
    pub from: f64,
    /// The exclusive end, on the same clock.
    pub to: f64,
    /// The expected label.
    pub label: String,
}

/// Why a file of intervals is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ExpectedError {
    /// The file cannot be read.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: String,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// A file of other intervals would be overwritten.
    #[error("{} exists; choose another output or remove it", .0.display())]
    Exists(PathBuf),
    /// The file is not a YAML list of intervals, or has none.
    #[error("{path}: {reason}; expected a list such as `- {{from: 0.0, to: 2.5, label: thumbs_up}}`")]
    Syntax {
        /// The file.
        path: String,
        /// The error of the parser, or that there are no intervals.
        reason: String,
    },
    /// An interval is empty, endless, or begins before the end of the previous one.
    #[error(
        "{path}: invalid interval from {from} to {to}; its times must be finite, it must end after it begins and begin after the previous one ends"
    )]
    Order {
        /// The file.
        path: String,
        /// The interval's start.
        from: f64,
        /// The interval's end.
        to: f64,
    },
    /// Some times are relative and others since the epoch.
    #[error(
        "{path}: the times mix seconds from the bag's first frame with seconds since the epoch; use one of them"
    )]
    MixedClocks {
        /// The file.
        path: String,
    },
    /// There is neither such a file nor such a label.
    #[error("{path} is neither a file nor a label of the model; its labels: {known}")]
    Unknown {
        /// What was given.
        path: String,
        /// The model's labels.
        known: String,
    },
    /// The model has no such label.
    #[error("{path}: unknown label {label:?}; the model's labels: {known}")]
    UnknownLabel {
        /// The file.
        path: String,
        /// The unknown label.
        label: String,
        /// The model's labels.
        known: String,
    },
}

impl Expected {
    /// One of the model's labels, or the file of this name. Other spellings of the model's labels are replaced by the model's.
    ///
    /// # Errors
    /// The file cannot be read or is not valid for a model with these labels.
    pub fn read(file_or_label: &Path, labels: &[Label]) -> Result<Expected, ExpectedError> {
        let label = file_or_label.to_str().and_then(|name| Label::find(labels, name));
        if let Some(index) = label.filter(|_| !file_or_label.is_file()) {
            return Ok(Expected::Label(labels[index].to_string()));
        }
        let path = || file_or_label.display().to_string();
        let known = || labels.iter().map(Label::as_str).collect::<Vec<_>>().join(", ");
        if !file_or_label.exists() {
            return Err(ExpectedError::Unknown {
                path: path(),
                known: known(),
            });
        }
        let mut intervals = read_intervals(file_or_label)?;
        for Interval { label, .. } in &mut intervals {
            let Some(index) = Label::find(labels, label) else {
                return Err(ExpectedError::UnknownLabel {
                    path: path(),
                    label: label.clone(),
                    known: known(),
                });
            };
            *label = labels[index].to_string();
        }
        Ok(Expected::Intervals(intervals))
    }

    /// The intervals in seconds from the bag's first frame, which was recorded at `start_secs` since the epoch. The other
    /// argument has the lowest and the highest time of a frame.
    pub fn intervals(&self, start_secs: f64, (first, last): (f64, f64)) -> Vec<Interval> {
        match self {
            Expected::Label(label) => vec![Interval {
                from: first,
                to: last.next_up(),
                label: label.clone(),
            }],
            Expected::Intervals(intervals) => {
                let intervals = intervals.iter();
                intervals
                    .map(|interval| interval.relative_to(start_secs))
                    .collect()
            }
        }
    }
}

/// What follows the path of a bag in that of the file with its expected labels.
pub const LABELS_SUFFIX: &str = ".labels.yaml";

/// The file with the expected labels of a bag, beside it.
pub fn labels_beside(bag: &Path) -> PathBuf {
    // Removes a trailing slash.
    let mut file = bag.components().collect::<PathBuf>().into_os_string();
    file.push(LABELS_SUFFIX);
    file.into()
}

/// Reads a YAML file of intervals, which must be sorted by time and must not overlap.
///
/// # Errors
/// The file cannot be read, or is not such a file.
pub fn read_intervals(file: &Path) -> Result<Vec<Interval>, ExpectedError> {
    let path = file.display().to_string();
    let text = match read_text(file) {
        Ok(text) => text,
        Err(cause) => return Err(ExpectedError::Io { path, cause }),
    };
    let intervals: Vec<Interval> = match parse_yaml(&text) {
        Ok(intervals) => intervals,
        Err(reason) => return Err(ExpectedError::Syntax { path, reason }),
    };
    // The parser takes an empty file for an empty list.
    if intervals.is_empty() {
        let reason = "no intervals".to_owned();
        return Err(ExpectedError::Syntax { path, reason });
    }
    let times = intervals.iter().flat_map(|interval| [interval.from, interval.to]);
    let mut times = times.filter(|secs| secs.is_finite());
    let is_absolute = |secs: f64| secs >= MIN_EPOCH_SECS;
    if times.clone().any(is_absolute) && !times.all(is_absolute) {
        return Err(ExpectedError::MixedClocks { path });
    }
    let mut previous_end = f64::NEG_INFINITY;
    for Interval { from, to, .. } in &intervals {
        let (from, to) = (*from, *to);
        let is_finite = from.is_finite() && to.is_finite();
        if !(is_finite && from < to && from >= previous_end) {
            return Err(ExpectedError::Order { path, from, to });
        }
        previous_end = to;
    }
    Ok(intervals)
}

/// Writes a file of intervals atomically. It may exist with the same text, because an interrupted export leaves it. Returns whether it was
/// written.
///
/// # Errors
/// The file exists with another text, or cannot be written.
pub fn write_intervals(file: &Path, yaml: &str) -> Result<bool, ExpectedError> {
    match disk::write_once(file, yaml.as_bytes()) {
        Ok(is_written) => Ok(is_written),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            Err(ExpectedError::Exists(file.to_owned()))
        }
        Err(cause) => Err(ExpectedError::Io {
            path: file.display().to_string(),
            cause,
        }),
    }
}

/// Whether a frame at a time shows a label according to intervals on the same clock: it is in one of the label, or none is shown and it is in
/// no interval. A hand is raised and lowered around an interval with a gesture; the default hold time, after which a robot acts on a gesture,
/// belongs to neither.
pub(super) fn shows(intervals: &[Interval], label: &Label, secs: f64) -> bool {
    let hold_secs = DecisionSettings::default().hold_secs;
    let is_none = Gesture::from_label(label.as_str()) == Gesture::None;
    let is_labeled = |interval: &Interval| label.is_spelling_of(&interval.label);
    let (labeled, others): (Vec<&Interval>, Vec<&Interval>) =
        intervals.iter().partition(|interval| is_labeled(interval));
    let is_near = |interval: &&Interval| (interval.from - hold_secs..interval.to + hold_secs).contains(&secs);
    labeled.iter().any(|interval| interval.contains(secs)) || is_none && !others.iter().any(is_near)
}

impl Interval {
    /// The interval in seconds from the bag's first frame, which was recorded at `start_secs` since the epoch.
    pub fn relative_to(&self, start_secs: f64) -> Interval {
        let relative = |secs: f64| {
            if secs >= MIN_EPOCH_SECS {
                secs - start_secs
            } else {
                secs
            }
        };
        Interval {
            from: relative(self.from),
            to: relative(self.to),
            label: self.label.clone(),
        }
    }

    /// Whether the interval contains a time on the same clock.
    pub fn contains(&self, secs: f64) -> bool {
        (self.from..self.to).contains(&secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> [Label; 2] {
        ["none", "thumbs_up"].map(|label| Label::new(label).expect("a valid label"))
    }

    fn read_intervals(text: &str) -> Result<Vec<Interval>, String> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("labels.yaml");
        std::fs::write(&file, text).expect("writable");
        match Expected::read(&file, &labels()) {
            Ok(Expected::Intervals(intervals)) => Ok(intervals),
            Ok(Expected::Label(label)) => panic!("a file, not the label {label}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn label_is_expected_of_each_frame_unless_a_file_has_its_name() {
        let expected = Expected::read(Path::new("Thumbs-Up"), &labels()).expect("a label");
        let intervals = expected.intervals(1.7e9, (-2.0, 5.0));
        assert_eq!(intervals[0].label, "thumbs_up");
        assert!([-2.0, 0.0, 5.0].iter().all(|secs| intervals[0].contains(*secs)));
        let error = Expected::read(Path::new("wave"), &labels()).expect_err("neither");
        assert!(
            error
                .to_string()
                .starts_with("wave is neither a file nor a label"),
            "{error}"
        );
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("none")).expect("writable");
        let file = directory.path().join("thumbs_up");
        std::fs::write(&file, "- {from: 0, to: 1, label: none}").expect("writable");
        let expected = Expected::read(&file, &labels()).expect("a file");
        assert!(matches!(expected, Expected::Intervals(_)), "{expected:?}");
    }

    #[test]
    fn frames_of_none_are_those_far_from_other_labels() {
        let intervals =
            read_intervals("- {from: 2, to: 4, label: thumbs_up}\n- {from: 4, to: 5, label: none}\n");
        let intervals = intervals.expect("valid");
        let [none, thumbs_up] = labels();
        let of_none = [0.0, 1.49, 4.0, 4.9, 5.0, 9.0];
        assert!(of_none.iter().all(|secs| shows(&intervals, &none, *secs)));
        assert!(
            [1.5, 2.0, 3.9]
                .iter()
                .all(|secs| !shows(&intervals, &none, *secs))
        );
        assert!(shows(&intervals, &thumbs_up, 2.0) && !shows(&intervals, &thumbs_up, 1.9));
    }

    #[test]
    fn times_may_be_relative_or_since_the_epoch() {
        let relative =
            read_intervals("- {from: 0, to: 1.5, label: none}\n- {from: 1.5, to: 2, label: none}\n");
        let relative = relative.expect("valid");
        assert!(relative[0].relative_to(1.7e9).contains(0.0) && !relative[0].contains(1.5));
        let absolute = read_intervals("- {from: 1700000002.0, to: 1700000003.0, label: thumbs_up}\n");
        assert!(absolute.expect("valid")[0].relative_to(1.7e9).contains(2.5));
    }

    #[test]
    fn other_spellings_of_a_label_are_those_of_the_model() {
        let intervals =
            read_intervals("- {from: 0, to: 1, label: Thumbs Up}\n- {from: 1, to: 2, label: NONE}\n");
        let labels: Vec<String> = intervals
            .expect("valid")
            .into_iter()
            .map(|interval| interval.label)
            .collect();
        assert_eq!(labels, ["thumbs_up", "none"]);
    }

    #[test]
    fn invalid_files_are_rejected_with_the_reason() {
        let invalid = [
            ("- {from: 2, to: 1, label: none}", "must end after it begins"),
            ("- {from: .nan, to: 1, label: none}", "must be finite"),
            ("- {from: 0, to: .inf, label: none}", "must be finite"),
            (
                "- {from: 0, to: 2, label: none}\n- {from: 1, to: 3, label: none}",
                "begin after the previous one ends",
            ),
            (
                "- {from: 0, to: 1, label: none}\n- {from: 1700000002.0, to: 1700000003.0, label: none}",
                "use one of them",
            ),
            ("- {from: 0, to: 2, label: wave}", "labels: none, thumbs_up"),
            ("- {from: 0, label: none}", "expected a list such as"),
            ("none", "expected a list such as"),
            ("", "no intervals; expected a list such as"),
            ("# - {from: 0, to: 1, label: none}\n", "no intervals"),
            ("[]", "no intervals"),
        ];
        for (text, reason) in invalid {
            let error = read_intervals(text).expect_err(reason);
            assert!(error.contains(reason) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn what_is_no_text_or_too_long_is_rejected_by_what_it_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("labels.yaml");
        let error = |path: &Path| Expected::read(path, &[]).expect_err("is rejected").to_string();
        std::fs::write(&file, b"\xff\xfe-\0 \0").expect("writable");
        let utf16 = error(&file);
        assert!(
            utf16.ends_with("it is text in UTF-16; save it in UTF-8"),
            "{utf16}"
        );
        let interval = "- {from: 0, to: 1, label: none}\n";
        std::fs::write(&file, interval.repeat(1 << 20)).expect("writable");
        assert!(error(&file).contains("at most 16 MB"), "{}", error(&file));
        assert!(error(directory.path()).contains("a directory, not a file"));
    }
}
