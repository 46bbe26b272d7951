//! Logits to probabilities, and to the predicted label: the one softmax and the one argmax of the package.

use num_traits::Float;

/// Replaces logits by softmax(logits / temperature): positive and summing to 1 for finite logits and a temperature above 0.
///
/// The greatest logit is subtracted first, so that no exponential overflows.
pub fn softmax<F: Float>(values: &mut [F], temperature: F) {
    let greatest = values.iter().copied().fold(F::neg_infinity(), F::max);
    let mut sum = F::zero();
    for value in values.iter_mut() {
        *value = ((*value - greatest) / temperature).exp();
        sum = sum + *value;
    }
    values.iter_mut().for_each(|value| *value = *value / sum);
}

/// Index of the greatest of some logits or probabilities: the first one in a tie, 0 if there are none. NaN is never the greatest.
pub fn argmax<F: Float>(values: &[F]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] || (values[best].is_nan() && !value.is_nan()) {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_is_the_first_greatest_value_and_never_nan() {
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
    fn a_higher_temperature_is_less_sure_and_keeps_the_prediction() {
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
}
