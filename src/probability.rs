//! From logits to probabilities, and from those to the predicted label: the only softmax and the only argmax of the package.

use num_traits::Float;

/// Replaces logits by softmax(logits / temperature): positive and summing to 1 for finite logits and a temperature above 0.
pub fn softmax<F: Float>(values: &mut [F], temperature: F) {
    // Without the subtraction the exponential of a large logit would overflow.
    let max = max(values);
    let mut sum = F::zero();
    for value in values.iter_mut() {
        *value = ((*value - max) / temperature).exp();
        sum = sum + *value;
    }
    values.iter_mut().for_each(|value| *value = *value / sum);
}

/// -ln(softmax(logits / temperature)\[label\]) in nats, finite even if the probability itself underflows to 0.
///
/// # Panics
/// `label` is not an index into `logits`.
pub fn negative_log_likelihood<F: Float>(logits: &[F], label: usize, temperature: F) -> F {
    let max = max(logits);
    let scaled = |logit: F| (logit - max) / temperature;
    let sum = logits
        .iter()
        .fold(F::zero(), |sum, logit| sum + scaled(*logit).exp());
    sum.ln() - scaled(logits[label])
}

/// Index of the highest of some logits or probabilities: the first one in a tie, 0 for an empty slice. NaN is never the highest.
pub fn argmax<F: Float>(values: &[F]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] || (values[best].is_nan() && !value.is_nan()) {
            best = index;
        }
    }
    best
}

fn max<F: Float>(values: &[F]) -> F {
    values.iter().copied().fold(F::neg_infinity(), F::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_is_the_first_highest_value_and_never_nan() {
        assert_eq!(argmax(&[0.1, 0.6, 0.3]), 1);
        assert_eq!(argmax(&[0.5, 0.5]), 0);
        assert_eq!(argmax(&[f32::NAN, 0.2, 0.7]), 2);
        assert_eq!(argmax::<f32>(&[]), 0);
    }

    #[test]
    fn probabilities_sum_to_one_and_keep_the_order() {
        let mut values = [1.0, 3.0, 2.0];
        softmax(&mut values, 1.0);
        assert!((values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(values[1] > values[2] && values[2] > values[0]);
    }

    #[test]
    fn higher_temperature_lowers_the_confidence_and_keeps_the_prediction() {
        let (mut plain, mut hot) = ([2.0, 0.0], [2.0, 0.0]);
        softmax(&mut plain, 1.0);
        softmax(&mut hot, 2.0);
        assert!(hot[0] < plain[0] && hot[0] > 0.5, "{hot:?}");
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let mut values = [1e30, -1e30];
        softmax(&mut values, 1.0);
        assert_eq!(values, [1.0, 0.0]);
    }

    #[test]
    fn likelihood_is_that_of_the_softmax_and_finite_even_if_it_underflows() {
        let logits = [1.0, 3.0, 2.0];
        let mut probabilities = logits;
        softmax(&mut probabilities, 2.0);
        for (label, probability) in probabilities.iter().enumerate() {
            let difference = negative_log_likelihood(&logits, label, 2.0) + probability.ln();
            assert!(difference.abs() < 1e-12, "{difference}");
        }
        assert_eq!(negative_log_likelihood(&[2e30, 0.0], 1, 2.0), 1e30);
    }
}
