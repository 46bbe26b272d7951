//! Which model classifies frames, and how it is loaded.

use super::Recognizer;
use super::auto::FRAMES_PER_SEARCH;
use super::hand::HandRecognizer;
use super::image::ImageRecognizer;
use super::landmarks::{GESTURES, HandClassifier, LandmarkRecognizer};
use super::settings::{Method, RecognizerSettings};
use super::tracker::HandTracker;
use crate::classifier::settings::{Device, Settings};
use crate::classifier::{self, ClassifierError, EngineState, LoadedClassifier};
use crate::dataset::Label;
use crate::familiarity::Familiarity;
use crate::gesture::Gesture;
use crate::hand::taught::LandmarkClassifier;
use crate::model_store::manifest::HandNetwork;
use crate::model_store::{
    FAMILIARITY_FILE, LANDMARKS_FILE, Manifest, ModelNetwork, ModelStore, StoreError, StoredModel,
};
use crate::weights::Weights;

/// Id of the built-in recognizer.
pub const BUILTIN: &str = "builtin";

/// What classifies frames: a stored model, or the built-in recognizer of thumbs, which needs no training.
#[derive(Clone, Debug)]
pub struct Model {
    id: String,
    labels: Vec<Label>,
    /// `None` for the built-in recognizer.
    stored: Option<StoredModel>,
}

/// A model that is ready for its first frame.
pub struct LoadedModel {
    /// Classifies frames with the model.
    pub recognizer: Recognizer,
    /// Why this backend was selected, including the failures of better ones; may be empty.
    pub reason: String,
    /// Whether a TensorRT engine was left out that has to be built first.
    pub engine: EngineState,
}

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A network is missing or cannot be run.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
    /// The model has nothing that the method could use.
    #[error("the model {id} cannot be used with the recognizer {method}; {}", remedy(*method))]
    Method {
        /// Id of the model.
        id: String,
        /// The requested method.
        method: Method,
    },
}

/// What to do about a model that has nothing that a method could use.
fn remedy(method: Method) -> &'static str {
    match method {
        Method::Hand => {
            "train a model with at least three frames of each label that show a hand, or set recognizer to auto"
        }
        _ => "set recognizer to auto",
    }
}

impl From<StoredModel> for Model {
    fn from(stored: StoredModel) -> Model {
        Model {
            id: stored.manifest.id.clone(),
            labels: stored.manifest.labels.clone(),
            stored: Some(stored),
        }
    }
}

impl Model {
    /// The built-in recognizer. It works by the networks for hands, which [`Model::load`] loads.
    pub fn builtin() -> Model {
        let label = |gesture: Gesture| Label::new(gesture.label()).expect("a valid label");
        Model {
            id: BUILTIN.to_owned(),
            labels: GESTURES.map(label).to_vec(),
            stored: None,
        }
    }

    /// Id of the model that a method uses: the one with the id `named`, otherwise the active one of the store or the built-in recognizer.
    /// `None` if there is none. The active model is no model for landmarks if it has no classifier of landmarks.
    ///
    /// # Errors
    /// `active.json` cannot be read.
    pub fn requested_id(
        store: &ModelStore,
        named: Option<&str>,
        method: Method,
    ) -> Result<Option<String>, StoreError> {
        let builtin = || Some(BUILTIN.to_owned());
        Ok(match (named, method) {
            (Some(id), _) => Some(id.to_owned()),
            (None, Method::Landmarks) => active_with_landmarks(store)?.or_else(builtin),
            (None, Method::Auto) => store.active_id()?.or_else(builtin),
            (None, Method::Image | Method::Hand) => store.active_id()?,
        })
    }

    /// The model with this id, whose files are complete and unchanged.
    ///
    /// # Errors
    /// As for [`ModelStore::model`].
    pub fn open(store: &ModelStore, id: &str) -> Result<Model, StoreError> {
        match id {
            BUILTIN => Ok(Model::builtin()),
            id => Ok(store.model(id)?.into()),
        }
    }

    /// Id of the model in the store, or [`BUILTIN`].
    pub fn id(&self) -> &str {
        &self.id
    }

    /// In the order of the probabilities.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The model in the store; `None` for the built-in recognizer.
    pub fn stored(&self) -> Option<&StoredModel> {
        self.stored.as_ref()
    }

    /// Loads the networks into the best runtime that the settings allow, and runs them once. Builds a TensorRT engine if necessary.
    ///
    /// # Errors
    /// As for [`classifier::load`]; the networks for hands are not installed; the model has nothing that the method could use.
    pub fn load(&self, settings: &RecognizerSettings) -> Result<LoadedModel, LoadError> {
        let loaded = self.load_with(settings, |stored, network, settings| {
            Ok((
                classifier::load(stored, network, settings)?,
                EngineState::UpToDate,
            ))
        });
        Ok(self.with_fallback(loaded?, settings))
    }

    /// Like [`Model::load`], but prefers what can be loaded at once over a TensorRT engine that would have to be built first.
    ///
    /// # Errors
    /// As for [`Model::load`].
    pub fn load_at_once(&self, settings: &RecognizerSettings) -> Result<LoadedModel, LoadError> {
        let loaded = self.load_with(settings, classifier::load_at_once);
        Ok(self.with_fallback(loaded?, settings))
    }

    fn load_with(
        &self,
        settings: &RecognizerSettings,
        load_classifier: impl FnOnce(
            &StoredModel,
            ModelNetwork,
            &Settings,
        ) -> Result<(LoadedClassifier, EngineState), ClassifierError>,
    ) -> Result<LoadedModel, LoadError> {
        let wrong_method = || LoadError::Method {
            id: self.id.clone(),
            method: settings.method,
        };
        let Some(stored) = &self.stored else {
            return match settings.method {
                Method::Auto | Method::Landmarks => by_landmarks(HandClassifier::Rule, settings),
                Method::Image | Method::Hand => Err(wrong_method()),
            };
        };
        match settings.method {
            Method::Auto | Method::Image => {
                let loaded = load_classifier(stored, ModelNetwork::Image, &settings.network)?;
                let taught = match settings.method {
                    Method::Auto => taught(stored)?,
                    _ => None,
                };
                by_image_and(taught, loaded, stored, settings)
            }
            Method::Landmarks => by_landmarks(taught(stored)?.ok_or_else(wrong_method)?, settings),
            Method::Hand => {
                let network = stored.manifest.hand.ok_or_else(wrong_method)?;
                let loaded = load_classifier(stored, ModelNetwork::Hand, &settings.network)?;
                by_hand(&network, loaded, &stored.manifest, settings)
            }
        }
    }

    /// Makes a model that runs on a GPU or a plugin continue on the CPU if that fails, unless a GPU is required.
    fn with_fallback(&self, loaded: LoadedModel, settings: &RecognizerSettings) -> LoadedModel {
        if loaded.recognizer.is_on_cpu() || settings.network.require_gpu {
            return loaded;
        }
        let mut on_cpu = settings.clone();
        on_cpu.network.device = Device::Cpu;
        on_cpu.network.provider_library = None;
        let model = self.clone();
        let load = move || Ok(model.load(&on_cpu)?.recognizer);
        LoadedModel {
            recognizer: loaded.recognizer.with_fallback(Box::new(load)),
            ..loaded
        }
    }
}

/// The network for crops of hands decides.
fn by_hand(
    network: &HandNetwork,
    (LoadedClassifier { classifier, reason }, engine): (LoadedClassifier, EngineState),
    manifest: &Manifest,
    settings: &RecognizerSettings,
) -> Result<LoadedModel, LoadError> {
    let tracker = HandTracker::load(settings, true)?;
    Ok(LoadedModel {
        reason: joined(&reason, &tracker.reason),
        recognizer: Recognizer::by_hand(
            HandRecognizer::new(tracker, classifier, manifest, network),
            manifest,
        ),
        engine,
    })
}

/// The network for whole images decides, together with the landmarks if there are any.
fn by_image_and(
    taught: Option<HandClassifier>,
    (LoadedClassifier { classifier, reason }, engine): (LoadedClassifier, EngineState),
    stored: &StoredModel,
    settings: &RecognizerSettings,
) -> Result<LoadedModel, LoadError> {
    let familiarity = familiarity(stored, classifier.feature_values())?;
    let image = ImageRecognizer::new(classifier, &stored.manifest, familiarity);
    let taught = taught.map(|classifier| {
        let tracker = HandTracker::load(settings, true)?.searching_one_of(FRAMES_PER_SEARCH);
        Ok::<_, ClassifierError>((tracker, classifier))
    });
    let (recognizer, reason) = match taught.transpose() {
        Ok(Some((tracker, classifier))) => {
            let reason = joined(&reason, &tracker.reason);
            let landmarks = LandmarkRecognizer::new(tracker, classifier);
            (Recognizer::by_both(landmarks, image), reason)
        }
        Ok(None) => (Recognizer::by_image(image), reason),
        // The image alone is better than nothing, as on a robot without the networks for hands.
        Err(error) => (
            Recognizer::by_image(image),
            joined(&reason, &format!("landmarks are not used: {error}")),
        ),
    };
    Ok(LoadedModel {
        recognizer,
        reason,
        engine,
    })
}

/// Loads the networks for hands, whose landmarks alone decide.
fn by_landmarks(classifier: HandClassifier, settings: &RecognizerSettings) -> Result<LoadedModel, LoadError> {
    let tracker = HandTracker::load(settings, false)?;
    Ok(LoadedModel {
        reason: tracker.reason.clone(),
        recognizer: Recognizer::by_landmarks(LandmarkRecognizer::new(tracker, classifier)),
        engine: EngineState::UpToDate,
    })
}

/// The classifier of landmarks of a stored model, if it has one.
fn taught(stored: &StoredModel) -> Result<Option<HandClassifier>, ClassifierError> {
    if stored.manifest.landmarks.is_none() {
        return Ok(None);
    }
    let weights = Weights::read(&stored.path(LANDMARKS_FILE))?;
    let classifier = LandmarkClassifier::from_weights(&weights, &stored.manifest.labels)?;
    Ok(Some(HandClassifier::Taught(classifier)))
}

/// What a stored model remembers of its training frames, if anything, for a network with this number of features.
fn familiarity(stored: &StoredModel, features: usize) -> Result<Option<Familiarity>, ClassifierError> {
    let path = stored.path(FAMILIARITY_FILE);
    let read = stored
        .has(FAMILIARITY_FILE)
        .then(|| Familiarity::read(&path, features));
    Ok(read.transpose()?)
}

/// Id of the active model if it has a classifier of landmarks, or if its manifest cannot be read, which its loading then reports.
fn active_with_landmarks(store: &ModelStore) -> Result<Option<String>, StoreError> {
    let Some(id) = store.active_id()? else {
        return Ok(None);
    };
    let manifest = store.manifest(&id);
    let has_landmarks = manifest.map_or(true, |manifest| manifest.landmarks.is_some());
    Ok(has_landmarks.then_some(id))
}

fn joined(first: &str, second: &str) -> String {
    let reasons = [first, second].into_iter().filter(|reason| !reason.is_empty());
    reasons.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_model_the_built_in_recognizer_is_used_unless_the_image_is_to_decide() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ModelStore::open(directory.path()).expect("a store");
        let requested = |named, method| {
            let id = Model::requested_id(&store, named, method);
            id.expect("reads").unwrap_or_default()
        };
        assert_eq!(requested(None, Method::Auto), BUILTIN);
        assert_eq!(requested(None, Method::Landmarks), BUILTIN);
        assert_eq!(requested(None, Method::Image), "");
        assert_eq!(requested(None, Method::Hand), "");
        assert_eq!(requested(Some("alexnet-1"), Method::Auto), "alexnet-1");
    }

    #[test]
    fn labels_of_the_built_in_recognizer_are_in_the_order_of_a_dataset() {
        let labels = Model::builtin().labels;
        assert_eq!(
            labels,
            ["none", "thumbs_down", "thumbs_up"].map(|name| Label::new(name).expect(name))
        );
        assert!(labels.is_sorted());
    }

    #[test]
    fn built_in_recognizer_is_rejected_where_a_network_of_a_model_is_to_decide() {
        let error = |method| {
            let settings = RecognizerSettings {
                method,
                ..Settings::default().into()
            };
            let error = Model::builtin().load(&settings).err();
            error.expect("an error").to_string()
        };
        let image = error(Method::Image);
        assert!(
            image.contains("builtin cannot be used with the recognizer image"),
            "{image}"
        );
        let hand = error(Method::Hand);
        assert!(
            hand.contains("recognizer hand; train a model with at least three frames"),
            "{hand}"
        );
    }
}
