//! Which strategy is right, where nobody says: by how many frames there are, and how well the frozen features already tell them apart.

use super::Candidate;
use super::strategy::Strategy;

/// Above this accuracy the last layer is enough.
const SEPARABLE: f64 = 0.95;
/// Frames of the smallest label from which on early layers can be trained too.
const MANY_FRAMES: usize = 1000;

/// What to do after the last layer was measured.
pub enum Next {
    /// It is enough, for this reason.
    Keep(String),
    /// This may be better, for this reason.
    Try(Strategy, String),
}

/// What to do with so many frames of the smallest label, when the last layer alone has this accuracy.
pub fn after_last_layer(accuracy: Option<f64>, smallest_label: usize) -> Next {
    let Some(accuracy) = accuracy else {
        return Next::Keep("auto: too few frames to hold some out and compare".to_owned());
    };
    let share = format!("{:.1} % of the held-out frames", accuracy * 100.0);
    if accuracy >= SEPARABLE {
        return Next::Keep(format!("auto: the frozen features already tell {share} apart"));
    }
    let (strategy, size) = match smallest_label >= MANY_FRAMES {
        true => (Strategy::Full, "many"),
        false => (Strategy::LateLayers, "few"),
    };
    let reason = format!(
        "auto: the frozen features tell only {share} apart, and {smallest_label} frames of the smallest label are {size}"
    );
    Next::Try(strategy, reason)
}

/// The candidate with the better accuracy, with both in its reason; the first, cheaper one where they are equal.
pub fn better<'a>(first: Candidate<'a>, second: Candidate<'a>) -> Candidate<'a> {
    let accuracy = |candidate: &Candidate| candidate.measured.accuracy().unwrap_or(0.0);
    let [of_first, of_second] = [&first, &second].map(accuracy);
    let outcome = format!(
        "{}; {} is right on {:.1} %, {} on {:.1} %",
        second.reason,
        first.recipe.strategy.name(),
        of_first * 100.0,
        second.recipe.strategy.name(),
        of_second * 100.0,
    );
    let better = if of_second > of_first { second } else { first };
    Candidate {
        reason: outcome,
        ..better
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(accuracy: f64, smallest_label: usize) -> Option<Strategy> {
        match after_last_layer(Some(accuracy), smallest_label) {
            Next::Keep(_) => None,
            Next::Try(strategy, reason) => {
                assert!(reason.contains("only"), "{reason}");
                Some(strategy)
            }
        }
    }

    #[test]
    fn it_goes_deeper_where_the_features_do_not_do_and_frames_allow() {
        assert_eq!(tried(0.99, 5000), None);
        assert_eq!(tried(0.8, 30), Some(Strategy::LateLayers));
        assert_eq!(tried(0.8, 5000), Some(Strategy::Full));
        assert!(matches!(after_last_layer(None, 1), Next::Keep(_)));
    }
}
