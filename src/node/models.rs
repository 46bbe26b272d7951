//! Which model classifies: at the start, by `~/activate_model`, after a training. And `~/list_models`.

use std::sync::{Arc, Mutex};

use r2r::builtin_interfaces::msg::Time;
use r2r::thumb_gesture::msg::ModelInfo;
use r2r::thumb_gesture::srv::{ActivateModel, ListModels};

use super::classify::{Inbox, LoadedModel};
use super::handle::{NodeHandle, Topic, lock, or_nan};
use crate::classifier::settings::Settings;
use crate::classifier::{self, ClassifierError, EngineState};
use crate::dataset::Label;
use crate::model_store::{Manifest, ModelStore, StoreError, StoredModel};

/// Loads models and hands them to the classifier's thread.
pub struct Models {
    handle: NodeHandle,
    store: ModelStore,
    inbox: Arc<Inbox>,
    settings: Settings,
    topic: Arc<Topic<ModelInfo>>,
    /// One change of model at a time; true once there was one.
    has_changed: Arc<Mutex<bool>>,
}

/// A model that can classify at once.
struct LoadedAtOnce {
    stored: StoredModel,
    model: LoadedModel,
    engine: EngineState,
}

/// Why a model was not made active; the running one stays.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// The store's word.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime's word.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
}

impl Models {
    /// Nothing is loaded yet.
    pub fn new(
        handle: NodeHandle,
        store: ModelStore,
        inbox: Arc<Inbox>,
        settings: Settings,
        topic: Arc<Topic<ModelInfo>>,
    ) -> Models {
        Models {
            handle,
            store,
            inbox,
            settings,
            topic,
            has_changed: Arc::default(),
        }
    }

    /// `~/model`.
    pub fn topic(&self) -> Arc<Topic<ModelInfo>> {
        self.topic.clone()
    }

    /// The folder of models.
    pub fn store(&self) -> &ModelStore {
        &self.store
    }

    /// Loads the model that the store calls active. Without one, or with a broken one, `~/model` says what to do.
    pub fn load_active(&self) {
        let has_changed = lock(&self.has_changed);
        // A model that was made active meanwhile is newer than what the store said at the start.
        if *has_changed {
            return;
        }
        let advice = match self.store.active_id() {
            Ok(None) => {
                "no model yet: capture frames of two labels or more with ~/capture, then call ~/retrain"
                    .to_owned()
            }
            Ok(Some(id)) => match self.load(&id) {
                Ok(loaded) => return self.put(loaded),
                Err(error) => format!("the active model cannot be loaded: {error}"),
            },
            Err(error) => format!("the store cannot be read: {error}"),
        };
        self.handle.warn(&advice);
        self.topic.publish(&ModelInfo {
            accuracy: f32::NAN,
            calibration_error: f32::NAN,
            message: advice,
            ..ModelInfo::default()
        });
    }

    /// Makes a model the one that classifies: it is loaded and run once before the running one gives way.
    ///
    /// # Errors
    /// No such model, a damaged one, one that does not run; then all stays as it was.
    pub fn activate(&self, id: &str) -> Result<(), ActivateError> {
        self.change(|| Ok(id.to_owned())).map(drop)
    }

    /// Deletes all models but the newest ones; what cannot be deleted is reported and stays.
    pub fn prune(&self, kept: usize) {
        let _no_change_meanwhile = lock(&self.has_changed);
        if let Err(error) = self.store.prune(kept) {
            self.handle.warn(&format!("old models stay: {error}"));
        }
    }

    /// Answers `~/activate_model`.
    pub fn answer_activate(&self, request: &ActivateModel::Request) -> ActivateModel::Response {
        let result = self.change(|| match request.model_id.as_str() {
            "" => self.store.previous_id(),
            id => Ok(id.to_owned()),
        });
        match result {
            Ok(id) => ActivateModel::Response {
                success: true,
                message: format!("{id} classifies from the next frame on"),
            },
            Err(error) => ActivateModel::Response {
                success: false,
                message: format!("{error}; the running model stays"),
            },
        }
    }

    /// Changes to the model whose id `choose` gives, which is asked when no other change is under way.
    fn change(&self, choose: impl FnOnce() -> Result<String, StoreError>) -> Result<String, ActivateError> {
        let mut has_changed = lock(&self.has_changed);
        let id = choose()?;
        let loaded = self.load(&id)?;
        self.store.activate(&loaded.stored)?;
        self.put(loaded);
        *has_changed = true;
        Ok(id)
    }

    /// Answers `~/list_models`.
    pub fn answer_list(&self) -> ListModels::Response {
        let (listing, active) = match self
            .store
            .list()
            .and_then(|list| Ok((list, self.store.active_id()?)))
        {
            Ok(answer) => answer,
            Err(error) => {
                return ListModels::Response {
                    models: Vec::new(),
                    message: error.to_string(),
                };
            }
        };
        let info = |manifest: &Manifest| ModelInfo {
            active: active.as_ref() == Some(&manifest.id),
            ..info_of(manifest)
        };
        let unreadable: Vec<String> = listing.unreadable.iter().map(ToString::to_string).collect();
        ListModels::Response {
            models: listing.models.iter().map(info).collect(),
            message: unreadable.join("\n"),
        }
    }

    fn load(&self, id: &str) -> Result<LoadedAtOnce, ActivateError> {
        let stored = self.store.model(id)?;
        let (loaded, engine) = classifier::load_at_once(&stored, &self.settings)?;
        Ok(LoadedAtOnce {
            model: LoadedModel::new(&stored, loaded),
            stored,
            engine,
        })
    }

    /// Lets a model classify; the caller holds `has_changed`.
    fn put(&self, loaded: LoadedAtOnce) {
        self.inbox.put_model(loaded.model);
        if loaded.engine == EngineState::ToBuild {
            self.build_engine(loaded.stored);
        }
    }

    /// Has TensorRT build a model's engine on a thread of its own, while something else serves; then the engine serves, if the model is
    /// still the active one.
    fn build_engine(&self, stored: StoredModel) {
        let (handle, store, inbox) = (self.handle.clone(), self.store.clone(), self.inbox.clone());
        let (settings, has_changed) = (self.settings.clone(), self.has_changed.clone());
        let build = move || match classifier::load(&stored, &settings) {
            Ok(loaded) if loaded.classifier.backend().contains("tensorrt") => {
                let _no_change_meanwhile = lock(&has_changed);
                let active = store.active_id().ok().flatten();
                if active.as_ref() == Some(&stored.manifest.id) {
                    inbox.put_model(LoadedModel::new(&stored, loaded));
                }
            }
            Ok(loaded) => handle.warn(&format!("no engine of TensorRT: {}", loaded.reason)),
            Err(error) => handle.warn(&format!("no engine of TensorRT: {error}")),
        };
        std::thread::spawn(build);
    }
}

/// What a manifest says, as a message.
pub fn info_of(manifest: &Manifest) -> ModelInfo {
    let frames = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let metrics = manifest.metrics.as_ref();
    let interval = metrics.and_then(|metrics| metrics.interval);
    ModelInfo {
        created: Time {
            sec: i32::try_from(manifest.created.unix_timestamp()).unwrap_or(i32::MAX),
            nanosec: manifest.created.nanosecond(),
        },
        model_id: manifest.id.clone(),
        network: manifest.network.clone(),
        labels: manifest.labels.iter().map(Label::to_string).collect(),
        strategy: manifest.strategy.clone(),
        accuracy: or_nan(manifest.accuracy()),
        accuracy_interval: interval.into_iter().flatten().map(|bound| bound as f32).collect(),
        calibration_error: or_nan(metrics.and_then(|metrics| metrics.ece)),
        train_frames: frames(manifest.frames.train),
        validation_frames: frames(manifest.frames.validation),
        ..ModelInfo::default()
    }
}
