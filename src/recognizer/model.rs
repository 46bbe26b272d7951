//! Which model classifies frames, and how it is loaded.

use super::Recognizer;
use super::landmarks::{GESTURES, LandmarkRecognizer};
use super::settings::{Method, RecognizerSettings};
use crate::classifier::settings::Settings;
use crate::classifier::{self, ClassifierError, EngineState, LoadedClassifier};
use crate::dataset::Label;
use crate::gesture::Gesture;
use crate::model_store::{ModelStore, StoreError, StoredModel};

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
    /// `None` if there is none.
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
            (None, Method::Landmarks) => builtin(),
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
        match (&self.stored, settings.method) {
            (Some(stored), Method::Auto | Method::Image) => {
                let (loaded, engine) = load_classifier(stored, &settings.network)?;
                Ok(LoadedModel {
                    recognizer: Recognizer::new(loaded.classifier, &stored.manifest),
                    reason: loaded.reason,
                    engine,
                })
            }
            (None, Method::Auto | Method::Landmarks) => {
                if settings.network.require_gpu {
                    let reason = "the networks for hands run on the CPU only".to_owned();
                    return Err(ClassifierError::NoGpu(reason).into());
                }
                Ok(LoadedModel {
                    recognizer: Recognizer::by_landmarks(LandmarkRecognizer::load(&settings.hands)?),
                    reason: String::new(),
                    engine: EngineState::UpToDate,
                })
            }
            (Some(_), Method::Landmarks) | (None, Method::Image) => Err(LoadError::Method {
                id: self.id.clone(),
                method: settings.method,
            }),
        }
    }
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
