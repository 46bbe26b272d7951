//! Which model classifies: once the node is configured, by `~/activate_model`, after a training. And `~/list_models`.

use std::sync::{Arc, Mutex, MutexGuard};

use r2r::thumb_gesture::msg::ModelInfo;
use r2r::thumb_gesture::srv::{ActivateModel, ListModels};

use crate::classifier::settings::Settings;
use crate::classifier::{self, ClassifierError, EngineState};
use crate::model_store::{Manifest, ModelStore, StoreError, StoredModel};
use crate::node::lifecycle::transitions::Obstacle;
use crate::node::params::Params;
use crate::node::params::services::{ApplyParams, Change, ParameterServer};
use crate::node::pipeline::classifier_thread::{Inbox, LoadedModel};
use crate::node::ros::context::NodeContext;
use crate::node::ros::messages::info_of;
use crate::node::ros::topic::Topic;
use crate::node::sync::lock;

/// Loads models and hands them to the classifier's thread.
pub struct Models {
    handle: NodeContext,
    store: ModelStore,
    inbox: Arc<Inbox>,
    parameters: Arc<ParameterServer>,
    topic: Arc<Topic<ModelInfo>>,
    /// One change of model at a time; true while the node is configured.
    is_configured: Arc<Mutex<bool>>,
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
    /// The node holds no model.
    #[error(
        "the node is not configured: `ros2 lifecycle set <node> configure` does that, unless it was shut down"
    )]
    Unconfigured,
}

impl Models {
    /// Nothing is loaded yet.
    pub fn new(
        handle: NodeContext,
        store: ModelStore,
        inbox: Arc<Inbox>,
        parameters: Arc<ParameterServer>,
        topic: Arc<Topic<ModelInfo>>,
    ) -> Models {
        Models {
            handle,
            store,
            inbox,
            parameters,
            topic,
            is_configured: Arc::default(),
        }
    }

    /// `~/model`.
    pub fn topic(&self) -> Arc<Topic<ModelInfo>> {
        self.topic.clone()
    }

    /// The directory of models.
    pub fn store(&self) -> &ModelStore {
        &self.store
    }

    /// Loads the model that the parameter `model` names, or else the one that the store calls active. Without one, or with one that
    /// cannot be loaded, `~/model` says what to do: frames can be captured and a model trained all the same.
    ///
    /// # Errors
    /// A model, or a GPU, that was asked for by name and cannot be had; a store that cannot be read.
    pub fn configure(&self) -> Result<(), Obstacle> {
        let mut is_configured = self.hold();
        let params = self.parameters.current();
        let wanted = self.wanted_id(&params).map_err(|error| {
            let reason = format!("the store cannot be read: {error}");
            self.say_none(&reason);
            Obstacle::Error(reason)
        })?;
        let advice = match &wanted {
            None => "no model yet: capture frames of two labels or more with ~/capture, then call ~/retrain"
                .to_owned(),
            Some(id) => match self.load(id, &params.classifier()) {
                Ok(loaded) => {
                    self.make_active(loaded, || {})
                        .map_err(|error| Obstacle::Error(error.to_string()))?;
                    *is_configured = true;
                    return Ok(());
                }
                Err(error) => format!("the model {id} cannot be loaded: {error}"),
            },
        };
        self.say_none(&advice);
        if wanted.is_some() && (params.model.is_some() || params.require_gpu) {
            return Err(Obstacle::Failure(advice));
        }
        self.handle.warn(&advice);
        *is_configured = true;
        Ok(())
    }

    /// From now on no model may be made active; the caller has the classifier's thread drop the one that it holds.
    pub fn unload(&self) {
        *self.hold() = false;
    }

    /// `~/model` says that none is held.
    pub fn say_unloaded(&self) {
        self.say_none("the node is unconfigured and holds no model");
    }

    fn say_none(&self, message: &str) {
        self.topic.publish(&ModelInfo {
            accuracy: f32::NAN,
            calibration_error: f32::NAN,
            message: message.to_owned(),
            ..ModelInfo::default()
        });
    }

    /// Keeps all others from changing the model or the parameters; true while the node is configured.
    pub fn hold(&self) -> MutexGuard<'_, bool> {
        lock(&self.is_configured)
    }

    /// Takes on other values of the parameters: where they ask for another model, or to run it in another way, that is loaded and run
    /// once before `commit` is called and the running one gives way. The caller holds [`Models::hold`].
    ///
    /// # Errors
    /// What was asked for cannot be had; then all stays as it was.
    pub fn take_on(
        &self,
        is_configured: bool,
        wanted: &Params,
        commit: impl FnOnce(),
    ) -> Result<(), ActivateError> {
        let current = self.parameters.current();
        let is_same = wanted.classifier() == current.classifier() && wanted.model == current.model;
        let id = match is_same || !is_configured {
            true => None,
            false => self.wanted_id(wanted)?,
        };
        let Some(id) = id else {
            commit();
            return Ok(());
        };
        let loaded = self.load(&id, &wanted.classifier())?;
        self.make_active(loaded, commit)
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
        let _no_change_meanwhile = self.hold();
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
                message: format!("{id} is in use from the next frame on"),
            },
            Err(error) => ActivateModel::Response {
                success: false,
                message: format!("{error}; the running model stays"),
            },
        }
    }

    /// Changes to the model whose id `choose` gives, which is asked when no other change is under way.
    fn change(&self, choose: impl FnOnce() -> Result<String, StoreError>) -> Result<String, ActivateError> {
        let is_configured = self.hold();
        if !*is_configured {
            return Err(ActivateError::Unconfigured);
        }
        let id = choose()?;
        let loaded = self.load(&id, &self.parameters.current().classifier())?;
        self.make_active(loaded, || self.parameters.follow_model(&id))?;
        Ok(id)
    }

    /// The model that the parameters ask for; none where they leave it to the store, and the store has none.
    fn wanted_id(&self, params: &Params) -> Result<Option<String>, StoreError> {
        match &params.model {
            None => self.store.active_id(),
            Some(id) => Ok(Some(id.clone())),
        }
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

    fn load(&self, id: &str, settings: &Settings) -> Result<LoadedAtOnce, ActivateError> {
        let stored = self.store.model(id)?;
        let (loaded, engine) = classifier::load_at_once(&stored, settings)?;
        Ok(LoadedAtOnce {
            model: LoadedModel::new(&stored, loaded),
            stored,
            engine,
        })
    }

    /// Has the store call a model the active one, calls `commit`, and lets the model classify; the caller holds [`Models::hold`].
    fn make_active(&self, loaded: LoadedAtOnce, commit: impl FnOnce()) -> Result<(), ActivateError> {
        self.store.activate(&loaded.stored)?;
        commit();
        self.inbox.put_model(loaded.model);
        if loaded.engine == EngineState::ToBuild {
            self.build_engine(loaded.stored);
        }
        Ok(())
    }

    /// Has TensorRT build a model's engine on a thread of its own, while something else serves; then the engine serves, if the model is
    /// still the active one.
    fn build_engine(&self, stored: StoredModel) {
        let (handle, store, inbox) = (self.handle.clone(), self.store.clone(), self.inbox.clone());
        let (parameters, is_configured) = (self.parameters.clone(), self.is_configured.clone());
        let settings = parameters.current().classifier();
        let build = move || match classifier::load(&stored, &settings) {
            Ok(loaded) if loaded.classifier.backend().contains("tensorrt") => {
                let is_configured = lock(&is_configured);
                let is_active = store.active_id().ok().flatten().as_ref() == Some(&stored.manifest.id);
                if *is_configured && is_active && parameters.current().classifier() == settings {
                    inbox.put_model(LoadedModel::new(&stored, loaded));
                }
            }
            Ok(loaded) => handle.warn(&format!("no engine of TensorRT: {}", loaded.reason)),
            Err(error) => handle.warn(&format!("no engine of TensorRT: {error}")),
        };
        std::thread::spawn(build);
    }
}

impl ApplyParams for Models {
    fn apply(&self, change: Change) -> Result<(), String> {
        let is_configured = self.hold();
        let change = change.validate().map_err(|error| error.to_string())?;
        self.take_on(*is_configured, change.params(), || change.commit())
            .map_err(|error| error.to_string())
    }
}
