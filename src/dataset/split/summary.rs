//! Describes how a label was split, for the report that shows the accuracy.

use std::fmt;

use super::units::{Plan, Unit};
use crate::dataset::Label;
use crate::dataset::bursts::{Group, GroupedBy, LabelGroups};

/// How one label was split; displays as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitSummary {
    pub(super) label: Label,
    /// Number of frames of the label.
    pub(super) frames: usize,
    /// Number of these frames that are validated on in any fold.
    pub validated: usize,
    pub(super) method: SplitMethod,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SplitMethod {
    /// Whole groups are held out.
    WholeGroups {
        /// Number of groups that are held out.
        held_out: usize,
        /// Number of groups of the label.
        groups: usize,
        /// Number of folds that hold out at least one group.
        folds: usize,
        /// `None` if it differs between the groups.
        grouped_by: Option<GroupedBy>,
    },
    /// The largest group was cut into segments. This makes the measured accuracy higher than on a new burst.
    CutGroup {
        /// Number of frames of the group.
        frames: usize,
        /// As in [`Group::merged_count`].
        merged_count: usize,
        segments: usize,
        grouped_by: GroupedBy,
        /// Whether near-duplicates remain on both sides of the split.
        has_leakage: bool,
    },
    /// A single frame, which is trained on.
    TrainingOnly,
}

impl SplitSummary {
    pub(super) fn new(label: &LabelGroups, plan: &Plan, folds: usize, has_leakage: bool) -> SplitSummary {
        let held_out: Vec<&Unit> = plan.units.iter().filter(|unit| unit.fold.is_some()).collect();
        let method = match plan.cut {
            _ if held_out.is_empty() => SplitMethod::TrainingOnly,
            Some(group) => SplitMethod::CutGroup {
                frames: group.frames.len(),
                merged_count: group.merged_count,
                segments: plan.units.len() - (label.groups.len() - 1),
                grouped_by: group.grouped_by,
                has_leakage,
            },
            None => SplitMethod::WholeGroups {
                held_out: held_out.len(),
                groups: plan.units.len(),
                folds: folds.min(held_out.len()),
                grouped_by: common_reason(&label.groups),
            },
        };
        SplitSummary {
            label: label.label.clone(),
            frames: label.frame_count(),
            validated: held_out.iter().map(|unit| unit.frames.len()).sum(),
            method,
        }
    }
}

impl fmt::Display for SplitSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, total, validated) = (&self.label, self.frames, self.validated);
        match &self.method {
            SplitMethod::WholeGroups {
                held_out,
                groups,
                folds: 0 | 1,
                grouped_by,
            } => write!(
                f,
                "{label}: {held_out} of {groups} {} held out, {validated} of {total} frames",
                plural(*grouped_by)
            ),
            SplitMethod::WholeGroups {
                groups,
                folds,
                grouped_by,
                ..
            } => write!(
                f,
                "{label}: {groups} {} in {folds} folds, each held out once",
                plural(*grouped_by)
            ),
            SplitMethod::CutGroup {
                frames,
                merged_count,
                segments,
                grouped_by,
                has_leakage,
            } => {
                let (group, advice) = describe_cut_group(*merged_count, singular(*grouped_by));
                let leakage = if *has_leakage {
                    " with near-duplicates on both sides"
                } else {
                    ""
                };
                write!(
                    f,
                    "{label}: {group} ({frames} of {total} frames) cut into {segments} segments{leakage}, \
                     so the measured accuracy is too high: {advice}"
                )
            }
            SplitMethod::TrainingOnly => write!(
                f,
                "{label}: none of {total} frame(s) held out, \
                 so the measured accuracy does not cover this label: capture more frames"
            ),
        }
    }
}

/// Describes a group by the number of groups that were merged into it, and says what to capture for a better split.
fn describe_cut_group(merged_count: usize, noun: &str) -> (String, &'static str) {
    match merged_count {
        1 => (format!("one {noun}"), "capture another burst"),
        count => (
            format!("{count} {noun}s that look alike"),
            "capture another burst with the hand and the camera in other positions",
        ),
    }
}

/// The reason that all groups have in common.
fn common_reason(groups: &[Group]) -> Option<GroupedBy> {
    let first = groups.first()?.grouped_by;
    groups
        .iter()
        .all(|group| group.grouped_by == first)
        .then_some(first)
}

fn plural(grouped_by: Option<GroupedBy>) -> &'static str {
    match grouped_by {
        Some(GroupedBy::CaptureTime | GroupedBy::NumberedName) => "bursts",
        Some(GroupedBy::Appearance) => "frames or groups of similar frames",
        None => "groups",
    }
}

fn singular(grouped_by: GroupedBy) -> &'static str {
    match grouped_by {
        GroupedBy::CaptureTime | GroupedBy::NumberedName => "burst",
        GroupedBy::Appearance => "frame",
    }
}
