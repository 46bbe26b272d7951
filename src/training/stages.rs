//! The stages of a training. Each takes the results of the previous ones and returns its own.

mod advice;
mod auto;
mod cache;
mod copies;
mod cross_validation;
mod evaluate;
mod export;
mod features;
mod fit;
mod found_hands;
mod gate;
mod hand;
mod landmarks;
mod linear;
mod new_scenes;
mod plan;
mod prepare;
mod pretrained;
mod publish;
mod select;
mod snapshot;
mod source;
mod stopwatch;
mod trainer;

use super::error::TrainingError;
use super::options::TrainingOptions;
use super::progress::{Progress, Summary};
use super::usable::{usable, warning_without_none};
use crate::dataset::Dataset;
use crate::model_store::{ModelStore, StoredModel};
use crate::network::Network;
use evaluate::evaluate;
use export::export;
use fit::fit;
use found_hands::find_hands;
use gate::gate;
use hand::fit_hand;
use landmarks::fit_landmarks;
use new_scenes::measure_new_scenes;
use prepare::{PreparedDataset, prepare};
use pretrained::PretrainedNetwork;
use publish::{Results, publish};
use select::select;
use stopwatch::Stopwatch;

/// Why neither landmarks nor crops of hands are taught.
const NO_HAND_NETWORKS: &str = "the networks for hands are not installed";

/// Trains a model on a dataset and publishes it in the store, without activating it.
///
/// `on_progress` receives all events except [`Progress::Finished`] and [`Progress::Failed`].
///
/// # Errors
/// The training failed and the store is unchanged, except for cached features.
pub fn train(
    dataset: &Dataset,
    store: &ModelStore,
    options: &TrainingOptions,
    mut on_progress: impl FnMut(Progress),
) -> Result<(StoredModel, Summary), TrainingError> {
    let mut warnings = Vec::new();
    let on_progress = &mut |progress: Progress| {
        if let Progress::Warning { message } = &progress {
            if warnings.contains(message) {
                return;
            }
            warnings.push(message.clone());
        }
        on_progress(progress);
    };
    let mut stopwatch = Stopwatch::start();
    store.check_writable()?;
    for message in dataset.warnings() {
        on_progress(Progress::Warning { message });
    }
    let (pretrained, mut prepared) = load_and_prepare(dataset, store, options, on_progress)?;
    for message in advice::warnings(&prepared.scene_reports(), &prepared.labels) {
        on_progress(Progress::Warning { message });
    }
    stopwatch.lap("features");
    let hands = find_hands(store, &prepared, options.camera_roll_deg, on_progress)?;
    let hand = match &hands {
        Some(hands) => fit_hand(store, &pretrained, &prepared, hands, on_progress)?,
        None => Err(NO_HAND_NETWORKS.to_owned()),
    };
    if let Some(hands) = &hands {
        hands.add_to(&mut prepared);
    }
    stopwatch.lap("hands");
    let selected = select(
        &pretrained,
        &prepared,
        options,
        store.root(),
        &mut stopwatch,
        on_progress,
    )?;
    let held_out = &selected.validation.held_out;
    let landmarks = match &hands {
        Some(hands) => fit_landmarks(&prepared, hands, held_out)?,
        None => Err(NO_HAND_NETWORKS.to_owned()),
    };
    let evaluated = evaluate(
        &prepared,
        &selected,
        landmarks.as_ref().ok(),
        hand.as_ref().ok(),
        on_progress,
    )?;
    let deciding_hands = hands.as_ref().filter(|_| landmarks.is_ok());
    let scenes = measure_new_scenes(&prepared, &selected, deciding_hands, on_progress)?;
    stopwatch.lap("new scenes");
    let trained = fit(&prepared, &selected, on_progress)?;
    stopwatch.lap("training");
    let temperature = evaluated.metrics.temperature;
    let exported = export(
        store,
        &prepared,
        &selected,
        &trained,
        temperature,
        hand.as_ref().ok().zip(hands.as_ref()),
        on_progress,
    )?;
    stopwatch.lap("export");
    let gate = gate(
        store,
        options,
        &prepared,
        &selected,
        &trained,
        hands.as_ref(),
        landmarks.as_ref().ok(),
    );
    stopwatch.lap("comparison");
    let results = Results {
        pretrained: &pretrained,
        prepared: &prepared,
        selected: &selected,
        evaluated,
        scenes,
        trained,
        landmarks,
        hand,
        exported,
        gate,
        warnings,
    };
    let published = publish(store, results, &stopwatch)?;
    if let Err(error) = cache::trim(store.root()) {
        tracing::warn!("old features were not deleted from the store: {error}");
    }
    Ok(published)
}

/// Loads the pretrained network and prepares the labels that can be used.
fn load_and_prepare(
    dataset: &Dataset,
    store: &ModelStore,
    options: &TrainingOptions,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<(PretrainedNetwork, PreparedDataset), TrainingError> {
    let mut dataset = usable(dataset, options.skip_empty_labels)?;
    if let Some(message) = warning_without_none(&dataset) {
        on_progress(Progress::Warning { message });
    }
    let network = Network::named(&options.network, dataset.labels.len())?;
    let pretrained = PretrainedNetwork::load(network, store, options.pretrained.as_deref())?;
    match prepare(&dataset, &pretrained, store.root(), options, on_progress) {
        Err(TrainingError::NoReadableFrames { label, skipped }) if options.skip_empty_labels => {
            let message = format!("label {label} is left out: none of its files is a readable image");
            on_progress(Progress::Warning { message });
            for frames in dataset.labels.iter_mut().filter(|frames| frames.label == label) {
                frames.files.clear();
                frames.skipped.extend(skipped.iter().cloned());
            }
            load_and_prepare(&dataset, store, options, on_progress)
        }
        prepared => Ok((pretrained, prepared?)),
    }
}
