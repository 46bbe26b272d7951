//! What could not be read of a bag, with reasons that are listed once and counted.

use std::collections::HashMap;

use serde::Serialize;

use crate::text::escape_controls;

/// Maximum number of files that a summary names.
const NAMED_FILES: usize = 3;
/// Maximum number of different reasons kept for messages that are not valid images.
const MAX_REASONS: usize = 10;

/// A part of a bag that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataLoss {
    /// The affected file.
    pub file: String,
    /// How many messages are lost; `None` if unknown.
    pub messages: Option<u64>,
    /// Why the part could not be read.
    pub reason: String,
}

/// A reason and the number of messages that it applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: String,
    /// The number of messages.
    pub messages: u64,
}

impl DataLoss {
    /// One line for each reason, with the affected files and, if known, the number of lost messages. Control characters are escaped.
    pub fn summaries(losses: &[DataLoss]) -> Vec<String> {
        let mut groups: Vec<Vec<&DataLoss>> = Vec::new();
        let mut group_of: HashMap<&str, usize> = HashMap::new();
        for loss in losses {
            let group = *group_of.entry(&loss.reason).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(same) => same.push(loss),
                None => groups.push(vec![loss]),
            }
        }
        groups.iter().map(|group| summary(group)).collect()
    }
}

/// Describes losses with the same reason.
fn summary(group: &[&DataLoss]) -> String {
    let named: Vec<&str> = group
        .iter()
        .take(NAMED_FILES)
        .map(|loss| loss.file.as_str())
        .collect();
    let more = match group.len().saturating_sub(NAMED_FILES) {
        0 => String::new(),
        1 => " and 1 more file".to_owned(),
        more => format!(" and {more} more files"),
    };
    let messages = group
        .iter()
        .try_fold(0_u64, |sum, loss| Some(sum.saturating_add(loss.messages?)));
    let count = match messages {
        None => String::new(),
        Some(1) => " (1 message lost)".to_owned(),
        Some(messages) => format!(" ({messages} messages lost)"),
    };
    let reason = group.first().map_or("", |loss| loss.reason.as_str());
    escape_controls(&format!("{}{more}: {reason}{count}", named.join(", "))).into_owned()
}

impl ReasonCount {
    /// Counts a message under its reason. After ten different reasons the other ones are counted together.
    pub fn add(counts: &mut Vec<ReasonCount>, reason: String) {
        const OTHER: &str = "other reasons";
        let reason = if counts.len() < MAX_REASONS || counts.iter().any(|count| count.reason == reason) {
            reason
        } else {
            OTHER.to_owned()
        };
        match counts.iter_mut().find(|count| count.reason == reason) {
            Some(count) => count.messages += 1,
            None => counts.push(ReasonCount { reason, messages: 1 }),
        }
    }

    /// The number of messages for all reasons.
    pub fn total(counts: &[ReasonCount]) -> u64 {
        counts.iter().map(|count| count.messages).sum()
    }

    /// One line about messages that are not valid images; `None` if there are none.
    pub fn summary(counts: &[ReasonCount]) -> Option<String> {
        let (total, reasons) = match counts {
            [] => return None,
            [only] => (only.messages, only.reason.clone()),
            several => {
                let reasons: Vec<String> = several
                    .iter()
                    .map(|count| format!("{} ({})", count.reason, count.messages))
                    .collect();
                (ReasonCount::total(several), reasons.join("; "))
            }
        };
        Some(match total {
            1 => format!("1 message is not a valid image: {reasons}"),
            total => format!("{total} messages are not valid images: {reasons}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_reason_in_many_files_is_one_line() {
        let loss = |file: u32, messages, reason: &str| DataLoss {
            file: format!("bag_{file}.mcap"),
            messages,
            reason: reason.to_owned(),
        };
        let mut losses: Vec<DataLoss> = (0..5).map(|file| loss(file, Some(2), "damaged")).collect();
        losses.insert(1, loss(9, None, "not found"));
        assert_eq!(
            DataLoss::summaries(&losses),
            [
                "bag_0.mcap, bag_1.mcap, bag_2.mcap and 2 more files: damaged (10 messages lost)",
                "bag_9.mcap: not found",
            ]
        );
        let hostile = [loss(0, None, "a\nWarning: forged")];
        assert_eq!(
            DataLoss::summaries(&hostile),
            ["bag_0.mcap: a\\u000aWarning: forged"]
        );
        // A summary may count any number.
        let huge = [
            loss(0, Some(u64::MAX), "too few"),
            loss(1, Some(u64::MAX), "too few"),
        ];
        let expected = format!("bag_0.mcap, bag_1.mcap: too few ({} messages lost)", u64::MAX);
        assert_eq!(DataLoss::summaries(&huge), [expected]);
    }

    #[test]
    fn reasons_are_listed_once_and_limited() {
        let mut counts = Vec::new();
        assert_eq!(ReasonCount::summary(&counts), None);
        for index in 0..30 {
            ReasonCount::add(&mut counts, format!("reason {}", index % 15));
        }
        assert_eq!((counts.len(), ReasonCount::total(&counts)), (11, 30));
        assert_eq!((counts[0].messages, counts[10].messages), (2, 10));
        let line = ReasonCount::summary(&counts[..2]).expect("two reasons");
        assert_eq!(
            line,
            "4 messages are not valid images: reason 0 (2); reason 1 (2)"
        );
    }
}
