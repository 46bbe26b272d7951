use super::*;
use crate::bag::expected::Expected;
use crate::decision::{FrameInfo, UnknownReason};
use crate::recognizer::Basis;

const STEP_NS: i64 = 100_000_000;

fn labels() -> [Label; 3] {
    ["none", "thumbs_down", "thumbs_up"].map(|label| Label::new(label).expect(label))
}

/// A bag at 10 Hz, given the probability of thumbs up for each frame; the others show none.
fn bag(thumbs_up: &[f32], settings: &DecisionSettings) -> BagPredictions {
    let mut predictions = BagPredictions {
        topic: String::new(),
        frames: Vec::new(),
        bad_frames: 0,
        bad_reasons: Vec::new(),
        losses: Vec::new(),
        infos: Vec::new(),
    };
    for (time_ns, probability) in (STEP_NS..).step_by(STEP_NS as usize).zip(thumbs_up) {
        predictions
            .infos
            .push(FrameInfo::recorded(time_ns, time_ns, false));
        predictions.frames.push(crate::bag::predictions::FramePrediction {
            time_ns,
            label: 0,
            confidence: 0.0,
            reason: "",
            stable: false,
            hand: false,
            probabilities: vec![1.0 - probability, 0.0, *probability],
            recognizer: Basis::Landmarks,
            familiarity: None,
        });
    }
    let decisions: Vec<_> = predictions.decide(*settings).collect();
    for (frame, decision) in predictions.frames.iter_mut().zip(decisions) {
        frame.label = decision.label;
        frame.reason = decision.unknown_reason.map_or("", UnknownReason::reason);
        frame.stable = decision.is_stable;
    }
    predictions
}

fn expected(
    predictions: &BagPredictions,
    intervals: &[(f64, f64, &str)],
) -> (Option<FalseThumbs>, Option<Recommendation>) {
    let intervals: Vec<Interval> = intervals
        .iter()
        .map(|(from, to, label)| Interval {
            from: *from,
            to: *to,
            label: (*label).to_owned(),
        })
        .collect();
    let settings = DecisionSettings::default();
    let frames = ExpectedFrames::new(predictions, &intervals, &labels(), &settings);
    (frames.false_thumbs(), frames.recommendation(0.0))
}

/// Two seconds without a thumb, one with, and so on.
fn two_false_thumbs(confidence: f32) -> Vec<f32> {
    let pause = vec![0.0; 20];
    let thumb = vec![confidence; 10];
    [&pause[..], &thumb, &pause, &thumb, &pause].concat()
}

#[test]
fn onsets_of_stable_thumbs_are_counted_per_recorded_minute() {
    let mut probabilities = two_false_thumbs(0.8);
    // Not stable: shorter than the hold time.
    probabilities.splice(5..8, [0.9; 3]);
    let predictions = bag(&probabilities, &DecisionSettings::default());
    let (found, recommended) = expected(&predictions, &[(0.0, 100.0, "none")]);
    let found = found.expect("frames without thumbs");
    assert_eq!(
        (found.frames, found.thumb_frames, found.stable_thumbs),
        (80, 23, 2)
    );
    assert!((found.seconds - 7.9).abs() < 1e-9);
    let per_minute = found.per_minute.expect("recorded time");
    assert!((per_minute - 2.0 * 60.0 / 7.9).abs() < 1e-9);
    assert!(found.max_per_minute > Some(40.0), "two events say little");
    assert!(found.exceeds(15.0) && !found.exceeds(16.0));
    let recommended = recommended.expect("a threshold");
    assert_eq!(recommended.threshold, 0.81);
    assert_eq!((recommended.per_minute, recommended.thumbs), (0.0, 0));
    assert!(recommended.to_string().contains("not measured"), "{recommended}");
}

#[test]
fn only_labels_other_than_thumbs_are_counted_and_gaps_are_not() {
    let mut predictions = bag(&two_false_thumbs(0.8), &DecisionSettings::default());
    let (found, recommended) = expected(&predictions, &[(0.0, 4.0, "thumbs_up"), (4.0, 8.0, "none")]);
    assert_eq!(found.map(|found| found.stable_thumbs), Some(1));
    let recommended = recommended.expect("a threshold");
    assert_eq!((recommended.thumbs_kept, recommended.thumbs), (0, 10));
    assert!(recommended.to_string().contains("keep 0 %"), "{recommended}");
    assert_eq!(expected(&predictions, &[(0.0, 8.0, "thumbs_down")]).0, None);
    assert_eq!(expected(&predictions, &[(50.0, 60.0, "none")]).0, None);
    // A minute of the recording was lost.
    predictions.frames[79].time_ns += 60_000_000_000;
    let found = expected(&predictions, &[(0.0, 100.0, "none")]).0.expect("frames");
    assert!((found.seconds - 8.8).abs() < 1e-9, "{found}");
}

#[test]
fn threshold_keeps_the_thumbs_that_are_surer_than_the_false_ones() {
    let probabilities = [two_false_thumbs(0.7), vec![0.95; 20]].concat();
    let predictions = bag(&probabilities, &DecisionSettings::default());
    let intervals = [(0.0, 8.0, "none"), (8.0, 10.0, "thumbs_up")];
    let recommended = expected(&predictions, &intervals).1.expect("a threshold");
    assert_eq!(recommended.threshold, 0.71);
    assert_eq!((recommended.thumbs_kept, recommended.thumbs), (20, 20));
    let sure = bag(&two_false_thumbs(1.0), &DecisionSettings::default());
    assert_eq!(expected(&sure, &intervals).1, None);
}

#[test]
fn three_frames_are_too_short_for_a_small_bound() {
    let predictions = bag(&[0.0; 3], &DecisionSettings::default());
    let settings = DecisionSettings::default();
    let whole = Expected::Label("none".to_owned()).intervals(0.0, (0.0, 0.2));
    let found = ExpectedFrames::new(&predictions, &whole, &labels(), &settings).false_thumbs();
    let found = found.expect("frames");
    assert_eq!((found.frames, found.per_minute), (3, Some(0.0)));
    assert!(found.max_per_minute > Some(800.0), "{found}");
    let one = bag(&[0.0], &settings);
    let found = expected(&one, &[(0.0, 1.0, "none")]).0.expect("a frame");
    assert_eq!(found.per_minute, None);
    assert!(found.to_string().contains("too short for a rate") && !found.exceeds(0.0));
}
