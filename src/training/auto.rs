//! Which strategy is right, where nobody says: by how many frames there are, and how well the frozen features already tell them apart.

use super::Candidate;
use super::strategy::Strategy;

/// From this accuracy on the last layer is enough.
const SEPARABLE: f64 = 0.9;
/// With fewer frames of the smallest label there is too little to train more than the last layer.
const FEW_FRAMES: usize = 100;
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
    let found = format!("auto: the frozen features tell {share} apart");
    let frames = format!("{smallest_label} frames of the smallest label");
    match smallest_label {
        ..FEW_FRAMES => Next::Keep(format!(
            "{found}, but {frames} are too few to train more; capture more of what it errs on"
        )),
        FEW_FRAMES..MANY_FRAMES => {
            Next::Try(Strategy::LateLayers, format!("{found}, and there are {frames}"))
        }
        MANY_FRAMES.. => Next::Try(Strategy::Full, format!("{found}, and there are {frames}")),
    }
}

/// The candidate with the better accuracy, with both in its reason; the first, cheaper one unless the second is better by more than
/// one standard error.
pub fn better(first: Candidate, second: Candidate) -> Candidate {
    let accuracy = |candidate: &Candidate| candidate.measured.accuracy().unwrap_or(0.0);
    let [of_first, of_second] = [&first, &second].map(accuracy);
    let reason = format!(
        "{}; {} is right on {:.1} %, {} on {:.1} %",
        second.reason,
        first.recipe.strategy,
        of_first * 100.0,
        second.recipe.strategy,
        of_second * 100.0,
    );
    let margin = standard_error(of_first, first.measured.logits.len());
    let better = if of_second > of_first + margin {
        second
    } else {
        first
    };
    Candidate { reason, ..better }
}

/// Of a share of so many frames, by the binomial distribution.
fn standard_error(share: f64, frames: usize) -> f64 {
    (share * (1.0 - share) / frames.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(accuracy: f64, smallest_label: usize) -> Option<Strategy> {
        match after_last_layer(Some(accuracy), smallest_label) {
            Next::Keep(_) => None,
            Next::Try(strategy, reason) => {
                assert!(reason.contains("80.0 %"), "{reason}");
                Some(strategy)
            }
        }
    }

    #[test]
    fn the_error_of_a_share_gets_smaller_with_more_frames() {
        assert!((standard_error(0.8, 100) - 0.04).abs() < 1e-9);
        assert!(standard_error(0.8, 10_000) < 0.005);
    }

    #[test]
    fn it_goes_deeper_where_the_features_do_not_do_and_frames_allow() {
        assert_eq!(tried(0.99, 5000), None);
        assert_eq!(tried(0.8, 30), None);
        assert_eq!(tried(0.8, 300), Some(Strategy::LateLayers));
        assert_eq!(tried(0.8, 5000), Some(Strategy::Full));
        assert!(matches!(after_last_layer(None, 1), Next::Keep(_)));
    }
}
