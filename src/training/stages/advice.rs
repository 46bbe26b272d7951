//! What the scenes of a dataset lack: warnings, and one sentence on what to record next.

use std::path::Path;

use time::UtcOffset;
use time::macros::format_description;

use crate::dataset::Label;
use crate::gesture::Gesture;
use crate::metrics::Accuracy;
use crate::text::escape_controls;
use crate::training::report::SceneReport;

/// Minimum number of frames of a scene about which there is something to say.
const MIN_FRAMES: usize = 3;
/// Minimum share of a label's frames in a scene from which the model can learn that the scene means the label.
const MIN_SHARE: f64 = 0.2;
/// With a lower accuracy in other scenes, more of them are advised: the same limit as for another strategy.
const SUFFICIENT_ACCURACY: f64 = 0.9;

/// The scenes of a training with their labels.
struct Scenes<'a> {
    scenes: &'a [SceneReport],
    labels: &'a [Label],
}

/// Warns of labels that the model could tell apart by the room alone.
pub(super) fn warnings(scenes: &[SceneReport], labels: &[Label]) -> Vec<String> {
    let scenes = Scenes { scenes, labels };
    let of_scene = |(scene, label): (usize, usize)| {
        format!(
            "only {} was recorded in {}, so the model may take this place for the label; record the other labels there too",
            labels[label],
            scenes.name(scene)
        )
    };
    let single: Vec<(usize, usize)> = scenes.with_a_single_label().collect();
    if single.is_empty() {
        let apart = scenes.labels_without_a_common_scene();
        let of_pair = |[a, b]: [usize; 2]| {
            format!(
                "{} and {} were never recorded in the same scene, so the model may tell them apart by the room; record both in one",
                labels[a], labels[b]
            )
        };
        return apart.map(of_pair).into_iter().collect();
    }
    single.into_iter().map(of_scene).collect()
}

/// What to record next, one sentence.
pub(super) fn advice(scenes: &[SceneReport], labels: &[Label], new_scene: Option<&Accuracy>) -> String {
    let scenes = Scenes { scenes, labels };
    let single = scenes.with_a_single_label().next();
    if let Some((scene, _)) = single.or_else(|| scenes.with_a_missing_label()) {
        let missing: Vec<&str> = scenes.missing_labels(scene).map(Label::as_str).collect();
        return format!(
            "record {} in {} too, because it has no such frames",
            missing.join(" and "),
            scenes.name(scene)
        );
    }
    match new_scene {
        None if scenes.scenes.len() < 2 => {
            "record all labels in a second scene, that is another room or view: the accuracy anywhere else is unknown"
                .to_owned()
        }
        None => "record all labels in at least two scenes each: the accuracy in other scenes is unknown".to_owned(),
        Some(measured) if measured.accuracy < SUFFICIENT_ACCURACY => format!(
            "record all labels in one more scene: {} of {} frames are right in a scene that the model has not seen",
            measured.correct, measured.frames
        ),
        Some(_) => "nothing is missing; to check the model, run thumb_gesture evaluate on frames of another room".to_owned(),
    }
}

impl Scenes<'_> {
    /// Number and an example, by which a person recognizes a scene.
    fn name(&self, scene: usize) -> String {
        let SceneReport {
            example, captured, ..
        } = &self.scenes[scene];
        let path = Path::new(example);
        let directory = path.parent().and_then(Path::file_name).unwrap_or_default();
        let file = Path::new(directory).join(path.file_name().unwrap_or_default());
        let file = escape_controls(&file.display().to_string()).into_owned();
        let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
        let utc = captured.and_then(|time| time.checked_to_offset(UtcOffset::UTC));
        let time = utc.and_then(|time| time.format(&format).ok());
        let time = time.map_or_else(String::new, |time| format!(", {time}"));
        format!("scene {} ({file}{time})", scene + 1)
    }

    /// Scenes with a single label, whose frames there are many of the label's.
    fn with_a_single_label(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.scenes.len()).filter_map(|scene| {
            let mut labels = self.labels_of(scene);
            let label = labels.next()?;
            let is_alone = labels.next().is_none();
            // Scenes without gestures show what the robot sees anyway, if it was also recorded elsewhere.
            let is_background = self.is_none(label) && self.shared_scenes(label) > 0;
            (is_alone && !is_background && self.is_large(scene, label)).then_some((scene, label))
        })
    }

    /// The first large scene that lacks a label.
    fn with_a_missing_label(&self) -> Option<(usize, usize)> {
        let is_lacking = |scene: &usize| {
            let mut labels = self.labels_of(*scene);
            let is_shared = self.labels_of(*scene).count() > 1;
            is_shared
                && self.missing_labels(*scene).next().is_some()
                && labels.any(|label| self.is_large(*scene, label))
        };
        let scene = (0..self.scenes.len()).find(is_lacking)?;
        Some((scene, self.labels_of(scene).next()?))
    }

    /// The first two labels that have large scenes, but none in common.
    fn labels_without_a_common_scene(&self) -> Option<[usize; 2]> {
        let has_large = |label: &usize| (0..self.scenes.len()).any(|scene| self.is_large(scene, *label));
        let labels: Vec<usize> = (0..self.labels.len()).filter(has_large).collect();
        let are_apart = |a: usize, b: usize| {
            let mut scenes = self.scenes.iter();
            !scenes.any(|scene| scene.frames[a] > 0 && scene.frames[b] > 0)
        };
        let pairs = labels.iter().enumerate();
        let mut pairs = pairs.flat_map(|(index, &a)| labels[index + 1..].iter().map(move |&b| [a, b]));
        pairs.find(|&[a, b]| are_apart(a, b))
    }

    fn missing_labels(&self, scene: usize) -> impl Iterator<Item = &Label> {
        let frames = self.labels.iter().zip(&self.scenes[scene].frames);
        frames.filter(|(_, frames)| **frames == 0).map(|(label, _)| label)
    }

    fn labels_of(&self, scene: usize) -> impl Iterator<Item = usize> {
        let frames = self.scenes[scene].frames.iter().enumerate();
        frames.filter(|(_, frames)| **frames > 0).map(|(label, _)| label)
    }

    /// Number of scenes that have the label and another one.
    fn shared_scenes(&self, label: usize) -> usize {
        let is_shared =
            |scene: &usize| self.scenes[*scene].frames[label] > 0 && self.labels_of(*scene).count() > 1;
        (0..self.scenes.len()).filter(is_shared).count()
    }

    /// Whether many of a label's frames are in a scene.
    fn is_large(&self, scene: usize, label: usize) -> bool {
        let frames = self.scenes[scene].frames[label];
        let total: usize = self.scenes.iter().map(|scene| scene.frames[label]).sum();
        frames >= MIN_FRAMES && frames as f64 >= MIN_SHARE * total as f64
    }

    fn is_none(&self, label: usize) -> bool {
        Gesture::from_label(self.labels[label].as_str()) == Gesture::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<Label> {
        let names = ["none", "thumbs_down", "thumbs_up"];
        names.map(|name| Label::new(name).expect("a label")).to_vec()
    }

    /// Scenes with these numbers of frames of each label.
    fn scenes(frames: &[[usize; 3]]) -> Vec<SceneReport> {
        let scene = |(number, frames): (usize, &[usize; 3])| SceneReport {
            example: format!("/data/thumbs_up/room_{number}.jpg"),
            captured: None,
            frames: frames.to_vec(),
            new_scene_correct: None,
        };
        frames.iter().enumerate().map(scene).collect()
    }

    fn advised(frames: &[[usize; 3]], new_scene: Option<(usize, usize)>) -> String {
        let new_scene = new_scene.and_then(|(correct, frames)| Accuracy::new(correct, frames));
        advice(&scenes(frames), &labels(), new_scene.as_ref())
    }

    #[test]
    fn room_with_a_single_label_is_warned_of() {
        let found = warnings(&scenes(&[[9, 0, 9], [9, 9, 9], [0, 0, 9]]), &labels());
        assert_eq!(
            found,
            ["only thumbs_up was recorded in scene 3 (thumbs_up/room_2.jpg), \
              so the model may take this place for the label; record the other labels there too"]
        );
        let kitchen_and_hall = warnings(&scenes(&[[0, 20, 0], [0, 0, 20], [20, 0, 0]]), &labels());
        assert_eq!(kitchen_and_hall.len(), 3, "{kitchen_and_hall:?}");
        let apart = warnings(&scenes(&[[20, 20, 0], [20, 0, 20]]), &labels());
        assert_eq!(apart.len(), 1);
        assert!(
            apart[0].starts_with("thumbs_down and thumbs_up were never"),
            "{apart:?}"
        );
    }

    #[test]
    fn other_rooms_without_gestures_and_single_frames_are_not_warned_of() {
        for frames in [
            &[[20, 20, 20]][..],
            &[[20, 20, 20], [60, 0, 0]],
            &[[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]],
            &[[20, 20, 20], [0, 2, 0]],
        ] {
            assert!(warnings(&scenes(frames), &labels()).is_empty(), "{frames:?}");
        }
    }

    #[test]
    fn advice_names_what_is_missing_most() {
        let all = [20, 20, 20];
        assert!(advised(&[all], None).starts_with("record all labels in a second scene"));
        let missing = advised(&[all, [0, 20, 20]], None);
        assert!(
            missing.starts_with("record none in scene 2 (thumbs_up/room_1.jpg) too"),
            "{missing}"
        );
        let single = advised(&[all, [20, 0, 20], [0, 20, 0]], None);
        assert!(
            single.starts_with("record none and thumbs_up in scene 3"),
            "{single}"
        );
        let low = advised(&[all, all], Some((60, 120)));
        assert!(low.contains("60 of 120"), "{low}");
        assert!(advised(&[all, all], Some((119, 120))).starts_with("nothing is missing"));
        assert!(advised(&[all, [20, 0, 0]], None).starts_with("record all labels in at least two"));
    }

    #[test]
    fn scene_is_named_by_its_time_and_escaped() {
        let mut scenes = scenes(&[[9, 9, 0], [9, 0, 9]]);
        scenes[0].captured = Some(time::macros::datetime!(2026-03-04 05:06:07 UTC));
        scenes[0].example = "/data/none/a\u{1b}[0m.jpg".to_owned();
        let found = advice(&scenes, &labels(), None);
        assert!(
            found.contains("2026-03-04 05:06 UTC") && !found.contains('\u{1b}'),
            "{found}"
        );
    }
}
