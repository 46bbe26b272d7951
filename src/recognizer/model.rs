//! Which model classifies frames, and how it is loaded.

use super::Recognizer;
use super::landmarks::{GESTURES, HandClassifier, LandmarkRecognizer};
use super::settings::{Method, RecognizerSettings};
use crate::classifier::settings::Settings;
use crate::classifier::{self, ClassifierError, EngineState, LoadedClassifier};
use crate::dataset::Label;
use crate::familiarity::Familiarity;
use crate::gesture::Gesture;
use crate::hand::taught::LandmarkClassifier;
use crate::model_store::{LANDMARKS_FILE, ModelStore, StoreError, StoredModel};
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
    #[error("the model {id} cannot be used with the recognizer {method}; set recognizer to auto")]
    Method {
        /// Id of the model.
        id: String,
        /// The requested method.
        method: Method,
    },
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
            (None, Method::Image) => store.active_id()?,
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
        self.load_with(settings, |stored, network| {
            Ok((classifier::load(stored, network)?, EngineState::UpToDate))
        })
    }

    /// Like [`Model::load`], but prefers what can be loaded at once over a TensorRT engine that would have to be built first.
    ///
    /// # Errors
    /// As for [`Model::load`].
    pub fn load_at_once(&self, settings: &RecognizerSettings) -> Result<LoadedModel, LoadError> {
        self.load_with(settings, classifier::load_at_once)
    }

    fn load_with(
        &self,
        settings: &RecognizerSettings,
        load_classifier: impl FnOnce(
            &StoredModel,
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
                Method::Image => Err(wrong_method()),
            };
        };
        if settings.method == Method::Landmarks {
            let (classifier, _) = taught(stored)?.ok_or_else(wrong_method)?;
            return by_landmarks(classifier, settings);
        }
        let (LoadedClassifier { classifier, reason }, engine) = load_classifier(stored, &settings.network)?;
        let taught = match settings.method {
            Method::Image => None,
            Method::Auto | Method::Landmarks => taught(stored)?,
        };
        let taught = taught.map(|(classifier, familiarity)| {
            let landmarks = LandmarkRecognizer::load(classifier, &settings.hands)?;
            Ok::<_, ClassifierError>((landmarks, familiarity))
        });
        let (recognizer, reason) = match taught.transpose() {
            Ok(Some((landmarks, familiarity))) => (
                Recognizer::by_both(landmarks, familiarity, classifier, &stored.manifest),
                reason,
            ),
            Ok(None) => (Recognizer::new(classifier, &stored.manifest), reason),
            // The image alone is better than nothing, as on a robot without the networks for hands.
            Err(error) => (
                Recognizer::new(classifier, &stored.manifest),
                joined(&reason, &format!("landmarks are not used: {error}")),
            ),
        };
        Ok(LoadedModel {
            recognizer,
            reason,
            engine,
        })
    }
}

/// Loads the networks for hands, whose landmarks alone decide.
fn by_landmarks(classifier: HandClassifier, settings: &RecognizerSettings) -> Result<LoadedModel, LoadError> {
    if settings.network.require_gpu {
        let reason = "the networks for hands run on the CPU only".to_owned();
        return Err(ClassifierError::NoGpu(reason).into());
    }
    Ok(LoadedModel {
        recognizer: Recognizer::by_landmarks(LandmarkRecognizer::load(classifier, &settings.hands)?),
        reason: String::new(),
        engine: EngineState::UpToDate,
    })
}

/// The classifier of landmarks of a stored model, and what is familiar to its network, if it has one.
fn taught(stored: &StoredModel) -> Result<Option<(HandClassifier, Familiarity)>, ClassifierError> {
    if stored.manifest.landmarks.is_none() {
        return Ok(None);
    }
    let weights = Weights::read(&stored.path(LANDMARKS_FILE))?;
    let classifier = LandmarkClassifier::from_weights(&weights, &stored.manifest.labels)?;
    let familiarity = Familiarity::from_weights(&weights)?;
    Ok(Some((HandClassifier::Taught(classifier), familiarity)))
}

/// Id of the active model if it has a classifier of landmarks.
fn active_with_landmarks(store: &ModelStore) -> Result<Option<String>, StoreError> {
    let Some(id) = store.active_id()? else {
        return Ok(None);
    };
    let has_landmarks = store.manifest(&id)?.landmarks.is_some();
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
    fn built_in_recognizer_is_rejected_where_the_image_is_to_decide() {
        let settings = RecognizerSettings {
            method: Method::Image,
            ..Settings::default().into()
        };
        let error = Model::builtin()
            .load(&settings)
            .err()
            .expect("an error")
            .to_string();
        assert!(
            error.contains("builtin cannot be used with the recognizer image"),
            "{error}"
        );
    }
}
