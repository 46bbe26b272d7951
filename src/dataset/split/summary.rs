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
    /// The largest group of each cell was cut into segments. This makes the measured accuracy higher than on a new burst.
    CutGroups {
        /// Number of groups that were cut.
        groups: usize,
        /// Number of their frames.
        frames: usize,
        /// As in [`Group::merged_count`], of all these groups.
        merged_count: usize,
        /// Maximum number of segments of a group.
        segments: usize,
        /// `None` if it differs between the groups.
        grouped_by: Option<GroupedBy>,
        /// Whether near-duplicates remain on both sides of the split.
        has_leakage: bool,
    },
    /// A single frame, which is trained on.
    TrainingOnly,
}

impl SplitSummary {
    pub(super) fn new(label: &LabelGroups, plans: &[Plan], folds: usize, has_leakage: bool) -> SplitSummary {
        let units = plans.iter().flat_map(|plan| &plan.units);
        let held_out: Vec<&Unit> = units.filter(|unit| unit.fold.is_some()).collect();
        let cut: Vec<&Group> = plans.iter().filter_map(|plan| plan.cut).collect();
        let method = if held_out.is_empty() {
            SplitMethod::TrainingOnly
        } else if cut.is_empty() {
            SplitMethod::WholeGroups {
                held_out: held_out.len(),
                groups: label.groups.len(),
                folds: folds.min(held_out.len()),
                grouped_by: common_reason(label.groups.iter()),
            }
        } else {
            SplitMethod::CutGroups {
                groups: cut.len(),
                frames: cut.iter().map(|group| group.frames.len()).sum(),
                merged_count: cut.iter().map(|group| group.merged_count).sum(),
                segments: plans.iter().map(Plan::segments).max().unwrap_or(0),
                grouped_by: common_reason(cut.iter().copied()),
                has_leakage,
            }
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
            SplitMethod::CutGroups {
                groups,
                frames,
                merged_count,
                segments,
                grouped_by,
                has_leakage,
            } => {
                let (group, advice) = describe_cut_groups(*groups, *merged_count, *grouped_by);
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

/// Describes the groups that were cut, and says what to capture for a better split.
fn describe_cut_groups(
    groups: usize,
    merged_count: usize,
    grouped_by: Option<GroupedBy>,
) -> (String, &'static str) {
    match (groups, merged_count) {
        (1, 1) => (format!("one {}", singular(grouped_by)), "capture another burst"),
        (1, count) => (
            format!("{count} {}s that look alike", singular(grouped_by)),
            "capture another burst with the hand and the camera in other positions",
        ),
        (groups, _) => (
            format!(
                "{groups} {}s, each of which has most frames of its scene,",
                singular(grouped_by)
            ),
            "capture another burst in each scene",
        ),
    }
}

/// The reason that all groups have in common.
fn common_reason<'a>(mut groups: impl Iterator<Item = &'a Group>) -> Option<GroupedBy> {
    let first = groups.next()?.grouped_by;
    groups.all(|group| group.grouped_by == first).then_some(first)
}

fn plural(grouped_by: Option<GroupedBy>) -> &'static str {
    match grouped_by {
        Some(GroupedBy::CaptureTime | GroupedBy::NumberedName) => "bursts",
        Some(GroupedBy::Appearance) => "frames or groups of similar frames",
        None => "groups",
    }
}

fn singular(grouped_by: Option<GroupedBy>) -> &'static str {
    match grouped_by {
        Some(GroupedBy::CaptureTime | GroupedBy::NumberedName) => "burst",
        Some(GroupedBy::Appearance) => "frame",
        None => "group",
    }
}
