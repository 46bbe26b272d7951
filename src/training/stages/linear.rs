//! Initial weights of the last layer by ridge regression from the features to one-hot labels.
//!
//! Least squares weights all examples equally, whereas gradient descent on the cross entropy is dominated by the few hardest ones;
//! with few frames it misclassifies less: docs/concepts/training.md has the figures. Training continues from these weights, so that
//! trained features are not distorted by a random last layer (Kumar et al., "Fine-tuning can distort pretrained features and
//! underperform out-of-distribution", arXiv:2202.10054).

use tch::{Device, Kind, TchError, Tensor};

/// The ridge, as a fraction of the mean squared norm of the examples.
const REGULARIZATION: f64 = 0.1;
/// Factor that turns the regression targets 0 and 1 into logits of a confident prediction.
const SCALE: f64 = 8.0;

/// The weight (labels x features) and bias (labels) of the weighted ridge regression from features to one-hot labels.
///
/// `rows` has the shape examples x features; `labels` and `weights` have one value per example, the weights positive. The system
/// is solved in the smaller one of its two forms: memory grows with the square of the number of examples or of features, whichever is less.
///
/// # Errors
/// libtorch reported an error, such as too little memory.
pub(super) fn ridge(
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
    let targets = to_double(&((targets - &target_mean) * &root))?;

    let weight = if rows.size()[1] < labels.len() as i64 {
        solve_primal(&rows, &targets)?
    } else {
        solve_dual(&rows, &targets)?
    };
    let bias = target_mean - weight.f_mv(&row_mean)?;
    Ok([weight * SCALE, bias * SCALE])
}

/// The weight (labels x features), from a system with one equation per example. `targets` are doubles on the CPU.
fn solve_dual(rows: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    let gram = to_double(&rows.f_matmul(&rows.f_tr()?)?)?;
    let dual = solve(gram, targets, rows.size()[0])?;
    let dual = dual.f_to_kind(Kind::Float)?.f_to_device(rows.device())?;
    dual.f_tr()?.f_matmul(rows)
}

/// The same weight, from a system with one equation per feature.
fn solve_primal(rows: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    let targets = targets.f_to_kind(Kind::Float)?.f_to_device(rows.device())?;
    let transposed = rows.f_tr()?;
    let matrix = to_double(&transposed.f_matmul(rows)?)?;
    let targets = to_double(&transposed.f_matmul(&targets)?)?;
    let primal = solve(matrix, &targets, rows.size()[0])?;
    primal.f_tr()?.f_to_kind(Kind::Float)?.f_to_device(rows.device())
}

/// The values as doubles on the CPU.
fn to_double(values: &Tensor) -> Result<Tensor, TchError> {
    values.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)
}

/// Solves a system with the ridge on its diagonal. Both forms have the same trace, the sum of the squared norms of the examples.
fn solve(matrix: Tensor, targets: &Tensor, examples: i64) -> Result<Tensor, TchError> {
    let ridge = matrix.f_trace()? * (REGULARIZATION / examples as f64);
    let identity = Tensor::f_eye(matrix.size()[0], (Kind::Double, Device::Cpu))?;
    Tensor::f_linalg_solve(&(matrix + identity * ridge), targets, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_the_same_weight() {
        for [examples, features] in [[7, 3], [3, 7]] {
            let rows = Tensor::arange(examples * features, (Kind::Float, Device::Cpu)).sin();
            let rows = rows.reshape([examples, features]);
            let targets = Tensor::arange(examples * 2, (Kind::Double, Device::Cpu)).cos();
            let targets = targets.reshape([examples, 2]);
            let dual = solve_dual(&rows, &targets).expect("solves");
            let primal = solve_primal(&rows, &targets).expect("solves");
            assert_eq!(dual.size(), [2, features]);
            assert!((dual - primal).abs().max().double_value(&[]) < 1e-4);
        }
    }

    #[test]
    fn decision_boundary_lies_halfway_between_two_clusters() {
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
    fn weight_of_two_is_like_a_repeated_example() {
        let rows = Tensor::from_slice(&[0.0f32, 1.0, 3.0]).reshape([3, 1]);
        let repeated = Tensor::from_slice(&[0.0f32, 1.0, 3.0, 3.0]).reshape([4, 1]);
        let [weight, bias] = ridge(&rows, &[0, 0, 1], &[1.0, 1.0, 2.0], 2).expect("solves");
        let [expected_weight, expected_bias] = ridge(&repeated, &[0, 0, 1, 1], &[1.0; 4], 2).expect("solves");
        // The ridge is a fraction of a mean over the examples, which the repetition changes a little.
        assert!((weight - expected_weight).abs().max().double_value(&[]) < 0.15);
        assert!((bias - expected_bias).abs().max().double_value(&[]) < 0.3);
    }
}
