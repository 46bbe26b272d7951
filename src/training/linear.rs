//! The start of the last layer, computed: ridge regression from the frozen features to the labels.
//!
//! Gradient descent on the cross entropy cares for the few examples that are hardest to tell apart; least squares
//! regards all of them alike, and on few frames it errs less: docs/training.md has the figures. What is trained goes on from here,
//! and the features that it changes are not distorted by a random last layer first (Kumar et al., "Fine-tuning can distort pretrained
//! features and underperform out-of-distribution", arXiv:2202.10054).

use tch::{Device, Kind, TchError, Tensor};

/// Of the mean squared length of an example, so much is added to the diagonal.
const REGULARISATION: f64 = 0.1;
/// Least squares gives 0 and 1; times this they are logits of a plain probability.
const SCALE: f64 = 8.0;

/// The weight (labels x features) and the bias (labels) that best give one-hot labels, with examples weighted.
///
/// `rows` are examples x features, `labels` and `weights` one for each example, the weights positive. The system is solved in
/// its dual form: time and memory go with the square of the number of examples, not of the features.
///
/// # Errors
/// libtorch's word, such as too little memory.
pub fn ridge(
    rows: &Tensor,
    labels: &[i64],
    weights: &[f64],
    label_count: usize,
) -> Result<[Tensor; 2], TchError> {
    let device = rows.device();
    let count = labels.len() as f64;
    let targets = Tensor::f_from_slice(labels)?
        .f_one_hot(label_count as i64)?
        .f_to_kind(Kind::Float)?
        .f_to_device(device)?;
    let weights = Tensor::f_from_slice(weights)?
        .f_to_kind(Kind::Float)?
        .f_to_device(device)?;
    let weights = (&weights / weights.f_mean(Kind::Float)?).f_unsqueeze(1)?;

    let mean = |values: &Tensor| -> Result<Tensor, TchError> {
        Ok((values * &weights).f_sum_dim_intlist(0i64, false, Kind::Float)? / count)
    };
    let (row_mean, target_mean) = (mean(rows)?, mean(&targets)?);
    let root = weights.f_sqrt()?;
    let rows = (rows - &row_mean) * &root;
    let targets = ((targets - &target_mean) * &root)
        .f_to_device(Device::Cpu)?
        .f_to_kind(Kind::Double)?;

    let gram = rows
        .f_matmul(&rows.f_tr()?)?
        .f_to_device(Device::Cpu)?
        .f_to_kind(Kind::Double)?;
    let ridge = gram.f_diag(0)?.f_mean(Kind::Double)? * REGULARISATION;
    let identity = Tensor::f_eye(labels.len() as i64, (Kind::Double, Device::Cpu))?;
    let dual = Tensor::f_linalg_solve(&(gram + identity * ridge), &targets, true)?;
    let dual = dual.f_to_kind(Kind::Float)?.f_to_device(device)?;

    let weight = dual.f_tr()?.f_matmul(&rows)?;
    let bias = target_mean - weight.f_mv(&row_mean)?;
    Ok([weight * SCALE, bias * SCALE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clouds_are_told_apart_with_the_border_between_them() {
        let rows = Tensor::from_slice(&[0.0f32, 1.0, 0.2, 0.0, -0.2, 2.0, 4.0, 1.0, 4.2, 0.0, 3.8, 2.0]);
        let rows = rows.reshape([6, 2]);
        let [weight, bias] = ridge(&rows, &[0, 0, 0, 1, 1, 1], &[1.0; 6], 2).expect("solves");
        let logits = rows.matmul(&weight.tr()) + &bias;
        let predictions = Vec::<i64>::try_from(logits.argmax(-1, false)).expect("whole numbers");
        assert_eq!(predictions, [0, 0, 0, 1, 1, 1]);
        let middle = Tensor::from_slice(&[2.0f32, 1.0]);
        let logits = Vec::<f32>::try_from(weight.mv(&middle) + bias).expect("numbers");
        assert!((logits[0] - logits[1]).abs() < 1e-3, "{logits:?}");
    }

    #[test]
    fn weights_count_like_repeated_examples() {
        let rows = Tensor::from_slice(&[0.0f32, 1.0, 3.0]).reshape([3, 1]);
        let repeated = Tensor::from_slice(&[0.0f32, 1.0, 3.0, 3.0]).reshape([4, 1]);
        let [weight, bias] = ridge(&rows, &[0, 0, 1], &[1.0, 1.0, 2.0], 2).expect("solves");
        let [expected_weight, expected_bias] = ridge(&repeated, &[0, 0, 1, 1], &[1.0; 4], 2).expect("solves");
        // The ridge itself goes with the mean over examples, which repeating changes a little.
        assert!((weight - expected_weight).abs().max().double_value(&[]) < 0.15);
        assert!((bias - expected_bias).abs().max().double_value(&[]) < 0.3);
    }
}
