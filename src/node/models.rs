//! Loads and activates models: when the node is configured, for `~/activate_model`, after a training, and for changed parameters. Also
//! answers `~/list_models`, `~/delete_model`, `~/get_report` and `~/get_results`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use r2r::thumb_gesture::msg::ModelInfo;
use r2r::thumb_gesture::srv::{ActivateModel, DeleteModel, GetReport, GetResults, ListModels};

use crate::classifier::EngineState;
use crate::disk;
use crate::model_store::{Manifest, ModelStore, StoreError};
use crate::node::params::Params;
use crate::node::params::services::{Change, ParameterServer};
use crate::node::pipeline::inbox::{Inbox, LoadedModel};
use crate::node::ros::context::NodeContext;
use crate::node::ros::messages::model_info;
use crate::node::ros::topic::Topic;
use crate::recognizer::model::{BUILTIN, LoadError, Model};
use crate::recognizer::settings::{Method, RecognizerSettings};
use crate::sync::lock;
use crate::text;
use crate::training::{REPORT_PAGE, results};

/// What `~/model` says without a model.
const NO_MODEL: &str =
    "no model yet; capture frames of at least two labels with ~/capture, then call ~/retrain";

/// Maximum length of a report; one with the pictures of a large dataset has some megabytes.
const MAX_REPORT_BYTES: u64 = 64 << 20;

/// Loads models, marks them as active in the store, and hands them to the classifier thread.
pub(crate) struct Models {
    context: NodeContext,
    store: ModelStore,
    inbox: Arc<Inbox>,
    parameters: Arc<ParameterServer>,
    /// `~/model`.
    topic: Arc<Topic<ModelInfo>>,
    /// Whether the node is configured. Locked while the model or the parameters change.
    is_configured: Arc<Mutex<bool>>,
}

/// A model that was loaded and run once.
struct ReadyModel {
    model: Model,
    loaded: LoadedModel,
    engine: EngineState,
    /// Whether it stands in for the active model, which the store keeps.
    is_fallback: bool,
}

/// Why a model was not activated; the running model stays in use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActivateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(
        "the node is not configured; run `ros2 lifecycle set <node> configure`, or restart the node after a shutdown"
    )]
    Unconfigured,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("model {0} has no report: it was imported, or `thumb_gesture purge` has deleted the report")]
    Missing(String),
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

/// Why the node cannot be configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigureError {
    /// The requested model or GPU is not available.
    #[error("{0}")]
    Unavailable(String),
    #[error("cannot read the model store: {0}")]
    Store(StoreError),
    /// The model was loaded, but could not be made the active one.
    #[error(transparent)]
    Activate(#[from] ActivateError),
}

impl Models {
    /// Starts unconfigured, without a model.
    pub(crate) fn new(
        context: NodeContext,
        store: ModelStore,
        inbox: Arc<Inbox>,
        parameters: Arc<ParameterServer>,
        topic: Arc<Topic<ModelInfo>>,
    ) -> Models {
        Models {
            context,
            store,
            inbox,
            parameters,
            topic,
            is_configured: Arc::default(),
        }
    }

    /// `~/model`.
    pub(crate) fn topic(&self) -> Arc<Topic<ModelInfo>> {
        self.topic.clone()
    }

    pub(crate) fn store(&self) -> &ModelStore {
        &self.store
    }

    /// How frames are classified at present.
    pub(crate) fn recognizer_settings(&self) -> RecognizerSettings {
        self.parameters.current().recognizer_settings()
    }

    /// Loads the model that the parameters ask for, or the built-in recognizer: see [`Model::requested_id`].
    ///
    /// Succeeds without a model if none of `model`, `require_gpu` and `recognizer: landmarks` is set, so that frames can be captured and a
    /// model trained. `~/model` then contains the reason and what to do.
    ///
    /// # Errors
    /// The model that `model` names, with `require_gpu` the GPU, or with `recognizer: landmarks` the built-in recognizer is not available.
    /// The store cannot be read or written.
    pub(crate) fn configure(&self) -> Result<(), ConfigureError> {
        let mut is_configured = self.lock_changes();
        let params = self.parameters.current();
        let id = self
            .requested_id(&params)
            .map_err(ConfigureError::Store)
            .inspect_err(|error| self.publish_no_model(&error.to_string()))?;
        let is_required =
            (params.model.is_some() || params.require_gpu || params.recognizer == Method::Landmarks)
                && id.as_ref().is_some_and(|id| !is_optional(id, &params));
        let reason = match id {
            None => NO_MODEL.to_owned(),
            Some(id) => match self.load_or_previous(&id, &params) {
                Ok(ready) => {
                    match self.mark_active(&ready) {
                        // A read-only store, for example.
                        Err(error @ StoreError::Io { .. }) => self.context.warn(&format!(
                            "cannot mark model {id} as the active one: {error}; it is used nevertheless"
                        )),
                        result => result.map_err(ActivateError::from)?,
                    }
                    self.put_model(ready);
                    *is_configured = true;
                    return Ok(());
                }
                Err(error) if is_optional(&id, &params) => no_builtin(&error),
                Err(error) => format!("cannot load model {id}: {error}"),
            },
        };
        self.publish_no_model(&reason);
        if is_required {
            return Err(ConfigureError::Unavailable(reason));
        }
        self.context.warn(&reason);
        *is_configured = true;
        Ok(())
    }

    /// Rejects activations until the next [`Models::configure`]. The caller unloads the model from the classifier thread.
    pub(crate) fn unload(&self) {
        *self.lock_changes() = false;
    }

    /// Reports on `~/model` that the node is unconfigured.
    pub(crate) fn publish_unloaded(&self) {
        self.publish_no_model("the node is unconfigured, no model is loaded");
    }

    fn publish_no_model(&self, message: &str) {
        self.topic.publish(&ModelInfo {
            accuracy: f32::NAN,
            new_scene_accuracy: f32::NAN,
            calibration_error: f32::NAN,
            message: text::message(message),
            ..ModelInfo::default()
        });
    }

    /// Prevents other changes of the model and the parameters. The value is whether the node is configured.
    fn lock_changes(&self) -> MutexGuard<'_, bool> {
        lock(&self.is_configured)
    }

    /// Validates a change of parameters, calls `prepare` with the parameters after it, loads the model that they require, and makes them the
    /// current ones.
    ///
    /// # Errors
    /// A value is rejected, `prepare` has failed, or the model is not available. No parameter has changed.
    pub(crate) fn change_parameters(
        &self,
        change: Change,
        prepare: impl FnOnce(&Params) -> Result<(), String>,
    ) -> Result<(), String> {
        let is_configured = self.lock_changes();
        let change = change.validate().map_err(|error| error.to_string())?;
        prepare(change.params())?;
        self.apply_parameters(*is_configured, change.params(), || change.commit())
            .map_err(|error| error.to_string())
    }

    /// Calls `commit`, which stores changed parameters. If they require another model or another backend, it is first loaded and
    /// run once, and then used from the next frame on. The caller holds [`Models::lock_changes`].
    ///
    /// # Errors
    /// The model or the backend is not available. `commit` was not called, and the running model stays in use.
    fn apply_parameters(
        &self,
        is_configured: bool,
        new_params: &Params,
        commit: impl FnOnce(),
    ) -> Result<(), ActivateError> {
        let current = self.parameters.current();
        let settings = new_params.recognizer_settings();
        let is_same = settings == current.recognizer_settings() && new_params.model == current.model;
        if is_same || !is_configured {
            commit();
            return Ok(());
        }
        let reason = match self.requested_id(new_params)? {
            None => NO_MODEL.to_owned(),
            Some(id) => match self.load_or_previous(&id, new_params) {
                Ok(ready) => return self.make_active(ready, commit),
                Err(error) if is_optional(&id, new_params) => no_builtin(&error),
                Err(error) => return Err(error),
            },
        };
        commit();
        self.inbox.drop_model();
        self.publish_no_model(&reason);
        Ok(())
    }

    /// Loads a model, runs it once, and uses it from the next frame on.
    ///
    /// # Errors
    /// The node is not configured, or the model does not exist, is damaged or does not run. The running model stays in use.
    pub(crate) fn activate(&self, id: &str) -> Result<(), ActivateError> {
        self.change_model(|| Ok(id.to_owned())).map(drop)
    }

    /// Deletes all models except the `kept` newest, the active and the previously active one; logs an error.
    pub(crate) fn prune(&self, kept: usize) {
        let _no_change = self.lock_changes();
        if let Err(error) = self.store.prune(kept) {
            self.context.warn(&format!("cannot delete old models: {error}"));
        }
    }

    /// Answers `~/activate_model`.
    pub(crate) fn answer_activate(&self, request: &ActivateModel::Request) -> ActivateModel::Response {
        let result = self.change_model(|| match request.model_id.as_str() {
            "" => self.store.previous_id(),
            id => Ok(id.to_owned()),
        });
        match result {
            Ok(id) => ActivateModel::Response {
                success: true,
                message: format!("model {id} is in use from the next frame on"),
            },
            Err(error) => ActivateModel::Response {
                success: false,
                message: text::message(&format!("{error}; the running model stays in use")),
            },
        }
    }

    /// Uses the model that `choose` returns. `choose` is called while no other change is possible.
    fn change_model(
        &self,
        choose: impl FnOnce() -> Result<String, StoreError>,
    ) -> Result<String, ActivateError> {
        let is_configured = self.lock_changes();
        if !*is_configured {
            return Err(ActivateError::Unconfigured);
        }
        let id = choose()?;
        let ready = self.load(&id, &self.parameters.current().recognizer_settings())?;
        self.make_active(ready, || self.parameters.follow_model(&id))?;
        Ok(id)
    }

    /// See [`Model::requested_id`].
    fn requested_id(&self, params: &Params) -> Result<Option<String>, StoreError> {
        Model::requested_id(&self.store, params.model.as_deref(), params.recognizer)
    }

    /// Answers `~/list_models`.
    pub(crate) fn answer_list(&self) -> ListModels::Response {
        let listed = self.store.list();
        let (listing, active) = match listed.and_then(|listing| Ok((listing, self.store.active_id()?))) {
            Ok(answer) => answer,
            Err(error) => {
                return ListModels::Response {
                    models: Vec::new(),
                    message: text::message(&error.to_string()),
                };
            }
        };
        let info = |manifest: &Manifest| ModelInfo {
            active: active.as_ref() == Some(&manifest.id),
            ..model_info(manifest, &self.store.model_directory(&manifest.id))
        };
        ListModels::Response {
            models: listing.models.iter().map(info).collect(),
            message: text::messages(&listing.unreadable),
        }
    }

    /// Answers `~/delete_model`.
    pub(crate) fn answer_delete(&self, request: &DeleteModel::Request) -> DeleteModel::Response {
        let _no_change = self.lock_changes();
        let id = &request.model_id;
        let (success, message) = match self.store.delete(id) {
            Ok(()) => (true, format!("model {id} was deleted")),
            Err(error) => (false, text::message(&error.to_string())),
        };
        DeleteModel::Response { success, message }
    }

    /// Answers `~/get_report`.
    pub(crate) fn answer_report(&self, request: &GetReport::Request) -> GetReport::Response {
        match self.report(&request.model_id) {
            Ok(html) => GetReport::Response {
                success: true,
                html,
                ..GetReport::Response::default()
            },
            Err(error) => GetReport::Response {
                message: text::message(&error.to_string()),
                ..GetReport::Response::default()
            },
        }
    }

    fn report(&self, id: &str) -> Result<String, ReportError> {
        let path = self.store.existing_directory(id)?.join(REPORT_PAGE);
        match disk::read_file(&path, MAX_REPORT_BYTES) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ReportError::Missing(id.to_owned())),
            Err(cause) => Err(ReportError::Io { path, cause }),
        }
    }

    /// Answers `~/get_results`; frames are named relative to the directory of the dataset.
    pub(crate) fn answer_results(
        &self,
        request: &GetResults::Request,
        dataset: &Path,
    ) -> GetResults::Response {
        match self.results(&request.model_id, dataset) {
            Ok(results) => GetResults::Response {
                success: true,
                results,
                ..GetResults::Response::default()
            },
            Err(error) => GetResults::Response {
                message: text::message(&error.to_string()),
                ..GetResults::Response::default()
            },
        }
    }

    fn results(&self, id: &str, dataset: &Path) -> Result<String, ReportError> {
        let directory = self.store.existing_directory(id)?;
        match results(&directory, dataset) {
            Ok(Some(results)) => Ok(results.to_string()),
            Ok(None) => Err(ReportError::Missing(id.to_owned())),
            Err(cause) => Err(ReportError::Io {
                path: directory,
                cause,
            }),
        }
    }

    fn load(&self, id: &str, settings: &RecognizerSettings) -> Result<ReadyModel, ActivateError> {
        let model = Model::open(&self.store, id)?;
        let loaded = model.load_at_once(settings)?;
        Ok(ReadyModel {
            engine: loaded.engine,
            loaded: LoadedModel::new(&model, loaded),
            model,
            is_fallback: false,
        })
    }

    /// Loads the model that the parameters ask for. If it is the active one and its files are missing or damaged, loads the model that was
    /// active before it instead, and logs an error.
    fn load_or_previous(&self, id: &str, params: &Params) -> Result<ReadyModel, ActivateError> {
        let settings = params.recognizer_settings();
        let error = match self.load(id, &settings) {
            Err(error @ ActivateError::Store(_)) if params.model.is_none() && id != BUILTIN => error,
            result => return result,
        };
        let Ok(previous) = self.store.previous_id() else {
            return Err(error);
        };
        let Ok(ready) = self.load(&previous, &settings) else {
            return Err(error);
        };
        self.context.error(&format!(
            "cannot load the active model {id}: {error}; model {previous}, which was active before it, is used instead; \
             restore the files of {id}, or call ~/activate_model or ~/retrain"
        ));
        Ok(ReadyModel {
            is_fallback: true,
            ..ready
        })
    }

    /// Marks a stored model as active in the store, calls `commit`, and hands the model to the classifier thread. The caller holds
    /// [`Models::lock_changes`].
    fn make_active(&self, ready: ReadyModel, commit: impl FnOnce()) -> Result<(), ActivateError> {
        self.mark_active(&ready)?;
        commit();
        self.put_model(ready);
        Ok(())
    }

    /// Marks a stored model as active in the store, unless it stands in for the active one.
    fn mark_active(&self, ready: &ReadyModel) -> Result<(), StoreError> {
        match ready.model.stored() {
            Some(stored) if !ready.is_fallback => self.store.activate(stored),
            _ => Ok(()),
        }
    }

    /// Hands a model to the classifier thread.
    fn put_model(&self, ready: ReadyModel) {
        self.inbox.put_model(ready.loaded);
        if ready.engine == EngineState::ToBuild {
            self.build_engine(ready.model);
        }
    }

    /// Builds a model's TensorRT engine on a thread of its own, while another backend runs the model. The engine is then used, if no other
    /// model was activated and the settings are unchanged.
    fn build_engine(&self, model: Model) {
        let (context, store, inbox) = (self.context.clone(), self.store.clone(), self.inbox.clone());
        let (parameters, is_configured) = (self.parameters.clone(), self.is_configured.clone());
        let settings = parameters.current().recognizer_settings();
        let active = store.active_id().ok();
        let build = move || match model.load(&settings) {
            Ok(loaded) if loaded.recognizer.backend().contains("tensorrt") => {
                let is_configured = lock(&is_configured);
                let is_in_use = store.active_id().ok() == active;
                if *is_configured && is_in_use && parameters.current().recognizer_settings() == settings {
                    inbox.put_model(LoadedModel::new(&model, loaded));
                }
            }
            Ok(loaded) => context.warn(&format!("cannot build a TensorRT engine: {}", loaded.reason)),
            Err(error) => context.warn(&format!("cannot build a TensorRT engine: {error}")),
        };
        std::thread::spawn(build);
    }
}

/// Whether nobody has asked for this model: the built-in recognizer, where it is only a start.
fn is_optional(id: &str, params: &Params) -> bool {
    id == BUILTIN && params.model.is_none() && params.recognizer == Method::Auto
}

/// Why there is no model, not even the built-in recognizer.
fn no_builtin(error: &ActivateError) -> String {
    format!("{NO_MODEL}; without one, thumbs are not recognized: {error}")
}
