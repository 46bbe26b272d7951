//! What a bag should show: intervals with the label of what is seen in them.

use std::path::Path;

use serde::Deserialize;

use super::metadata::read_text;

use crate::dataset::Label;

/// Stamps below this are seconds from the bag's start, others since the epoch: 1973 is before ROS.
const FIRST_ABSOLUTE_SECS: f64 = 1e8;

/// A span of a bag in which one thing is seen.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Its beginning, seconds from the bag's first frame, or since the epoch.
    pub from: f64,
    /// Its end, which is not in it; the same.
    pub to: f64,
    /// What is seen.
    pub label: String,
}

/// Why intervals cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExpectedError {
    /// The system's word.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: String,
        /// The system's word.
        cause: std::io::Error,
    },
    /// It is not such a list.
    #[error("{path}: {reason}; it should be a list such as `- {{from: 0.0, to: 2.5, label: thumbs_up}}`")]
    Form {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// An interval ends before it begins, or another one does not.
    #[error("{path}: the interval from {from} to {to} ends before it begins, or lies in the one before it")]
    Order {
        /// The file.
        path: String,
        /// Its beginning.
        from: f64,
        /// Its end.
        to: f64,
    },
    /// Some are of one clock and some of the other.
    #[error(
        "{path}: some times are seconds from the bag's first frame, others since the epoch: it must be one of the two"
    )]
    Clocks {
        /// The file.
        path: String,
    },
    /// The model has no such label.
    #[error("{path}: the model does not know the label {label:?}; its labels: {known}")]
    Label {
        /// The file.
        path: String,
        /// The label.
        label: String,
        /// Those that it knows.
        known: String,
    },
}

/// Reads a file of intervals, which are in the order of their time and do not overlap.
///
/// # Errors
/// What is wrong with it.
pub fn read(file: &Path, labels: &[Label]) -> Result<Vec<Interval>, ExpectedError> {
    let path = file.display().to_string();
    let text = match read_text(file) {
        Ok(text) => text,
        Err(cause) => return Err(ExpectedError::Io { path, cause }),
    };
    let intervals: Vec<Interval> = match serde_saphyr::from_str(&text) {
        Ok(intervals) => intervals,
        Err(error) => {
            let reason = error.to_string();
            return Err(ExpectedError::Form { path, reason });
        }
    };
    let absolute = intervals.iter().flat_map(|interval| [interval.from, interval.to]);
    let absolute: Vec<bool> = absolute.map(|secs| secs >= FIRST_ABSOLUTE_SECS).collect();
    if absolute.contains(&true) && absolute.contains(&false) {
        return Err(ExpectedError::Clocks { path });
    }
    let mut last = f64::NEG_INFINITY;
    for Interval { from, to, label } in &intervals {
        let (from, to) = (*from, *to);
        if !(from < to && from >= last) {
            return Err(ExpectedError::Order { path, from, to });
        }
        last = to;
        if !labels.iter().any(|known| known.as_str() == label) {
            let known: Vec<&str> = labels.iter().map(Label::as_str).collect();
            return Err(ExpectedError::Label {
                path,
                label: label.clone(),
                known: known.join(", "),
            });
        }
    }
    Ok(intervals)
}

impl Interval {
    /// The same in seconds from the bag's first frame, whose time that is.
    pub fn from_start(&self, start_secs: f64) -> Interval {
        let relative = |secs: f64| {
            if secs >= FIRST_ABSOLUTE_SECS {
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

    /// True for a time in it, seconds from the bag's first frame.
    pub fn holds(&self, secs: f64) -> bool {
        (self.from..self.to).contains(&secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_intervals(text: &str) -> Result<Vec<Interval>, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("labels.yaml");
        std::fs::write(&file, text).expect("a file");
        let labels = ["none", "thumbs_up"].map(|label| Label::new(label).expect("a label"));
        read(&file, &labels).map_err(|error| error.to_string())
    }

    #[test]
    fn intervals_are_read_and_may_be_of_either_clock() {
        let relative =
            read_intervals("- {from: 0, to: 1.5, label: none}\n- {from: 1.5, to: 2, label: none}\n");
        let relative = relative.expect("well-formed");
        assert!(relative[0].from_start(1.7e9).holds(0.0) && !relative[0].holds(1.5));
        let absolute = read_intervals("- {from: 1700000002.0, to: 1700000003.0, label: thumbs_up}\n");
        assert!(absolute.expect("well-formed")[0].from_start(1.7e9).holds(2.5));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let refusals = [
            ("- {from: 2, to: 1, label: none}", "ends before it begins"),
            ("- {from: .nan, to: 1, label: none}", "ends before it begins"),
            (
                "- {from: 0, to: 2, label: none}\n- {from: 1, to: 3, label: none}",
                "lies in the one before",
            ),
            (
                "- {from: 0, to: 1, label: none}\n- {from: 1700000002.0, to: 1700000003.0, label: none}",
                "one of the two",
            ),
            ("- {from: 0, to: 2, label: wave}", "its labels: none, thumbs_up"),
            ("- {from: 0, label: none}", "should be a list such as"),
            ("none", "should be a list such as"),
        ];
        for (text, reason) in refusals {
            let error = read_intervals(text).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }
}
