//! Trains the classifier layers on features.

use tch::nn::OptimizerConfig;
use tch::{Device, Kind, Reduction, TchError, Tensor, nn};

use super::Progress;
use super::features::Examples;
use crate::network::Network;
use crate::network::torch::{TorchError, TorchModule};

const BATCH: i64 = 16;
/// For AdamW on randomly started fully connected layers of AlexNet's size: ten times more diverges now and then.
const LEARNING_RATE: f64 = 1e-4;

/// Trains the network's classifier for some epochs, reporting each.
///
/// Seed libtorch before, for the same result each time.
///
/// # Errors
/// libtorch's word, such as too little memory.
pub fn fit(
    network: &Network,
    train: &Examples,
    validation: &Examples,
    epochs: u32,
    device: Device,
    mut on_progress: impl FnMut(Progress),
) -> Result<TorchModule, TorchError> {
    let classifier = TorchModule::with_random_weights(network.classifier(), device)?;
    let mut optimizer = nn::AdamW::default().build(classifier.variables(), LEARNING_RATE)?;
    for epoch in 1..=epochs {
        let train_loss = train_epoch(&classifier, &mut optimizer, train)?;
        let (validation_loss, accuracy) = match validation.len() {
            0 => (None, None),
            _ => validate(&classifier, validation).map(|(loss, accuracy)| (Some(loss), Some(accuracy)))?,
        };
        on_progress(Progress::Epoch {
            epoch,
            epochs,
            train_loss,
            validation_loss,
            accuracy,
        });
    }
    Ok(classifier)
}

/// One round over the examples in random order; gives their mean loss.
fn train_epoch(
    classifier: &TorchModule,
    optimizer: &mut nn::Optimizer,
    train: &Examples,
) -> Result<f64, TorchError> {
    let count = train.len() as i64;
    let order = Tensor::f_randperm(count, (Kind::Int64, train.labels.device()))?;
    let mut loss_sum = 0.0;
    for start in (0..count).step_by(BATCH as usize) {
        let picked = order.f_narrow(0, start, BATCH.min(count - start))?;
        let features = train.features.f_index_select(0, &picked)?;
        let labels = train.labels.f_index_select(0, &picked)?;
        let logits = classifier.forward(&features, true)?;
        let loss = cross_entropy(&logits, &labels)?;
        loss_sum += loss.f_double_value(&[])? * picked.size()[0] as f64;
        optimizer.zero_grad();
        loss.f_backward()?;
        optimizer.step();
    }
    Ok(loss_sum / count as f64)
}

/// Mean loss and accuracy on held-out examples.
fn validate(classifier: &TorchModule, validation: &Examples) -> Result<(f64, f64), TorchError> {
    tch::no_grad(|| {
        let logits = classifier.forward(&validation.features, false)?;
        let loss = cross_entropy(&logits, &validation.labels)?.f_double_value(&[])?;
        let hits = logits.f_argmax(-1, false)?.f_eq_tensor(&validation.labels)?;
        let accuracy = hits.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?.f_double_value(&[])?;
        Ok((loss, accuracy))
    })
}

fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor, TchError> {
    const NO_LABEL: i64 = -100;
    logits.f_cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, NO_LABEL, 0.0)
}
