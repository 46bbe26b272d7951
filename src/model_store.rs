//! Versioned models on disk: publish, activate, roll back.
//!
//! ```text
//! <store>/models/<id>/manifest.json model.onnx weights.safetensors model_int8.onnx    and what else was put into the draft
//! <store>/active.json                              the active model, and the one before it
//! <store>/engines/<id>-<key>/                      what TensorRT made of a model
//! <store>/pretrained/<network>.safetensors         imported weights, from which trainings start
//! ```
//! A model is a directory that appears at once: it is filled under another name, then renamed. What is in it never changes.

pub mod manifest;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::dataset::Label;
use crate::disk::{self, Existing, WRITING_PREFIX};
use crate::network::{self, Network, UnknownNetwork, onnx};
use crate::weights::{Weights, WeightsError, places_in_file};

use manifest::Preprocessing;
pub use manifest::{MANIFEST_VERSION, Manifest};

/// The model as ONNX Runtime reads it; points into [`WEIGHTS_FILE`].
pub const ONNX_FILE: &str = "model.onnx";
/// The model in int8 for a CPU, weights and all; only where it says what the other does.
pub const INT8_FILE: &str = "model_int8.onnx";
/// The weights.
pub const WEIGHTS_FILE: &str = "weights.safetensors";
const MANIFEST_FILE: &str = "manifest.json";
const ACTIVE_FILE: &str = "active.json";
const MODELS_DIRECTORY: &str = "models";
const PRETRAINED_DIRECTORY: &str = "pretrained";
/// What TensorRT made of the models: directories whose names begin with the model's id and a dash.
pub const ENGINES_DIRECTORY: &str = "engines";
/// What a draft's name begins with.
const DRAFT_PREFIX: &str = ".draft-";

/// A directory of models.
#[derive(Clone, Debug)]
pub struct ModelStore {
    root: PathBuf,
}

/// A model whose files are all there and unchanged.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// The model's directory.
    pub directory: PathBuf,
    /// What the model says of itself.
    pub manifest: Manifest,
}

/// A model that is being made: a directory to fill, invisible until [`ModelStore::publish`].
pub struct Draft {
    directory: TempDir,
    /// The id that the model will have.
    pub id: String,
}

/// Every model that can be read, the newest first, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Listing {
    /// The models.
    pub models: Vec<Manifest>,
    /// The directories that hold no readable model, each with the reason.
    pub unreadable: Vec<StoreError>,
}

/// Why the store cannot do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system's word.
    #[error("{path}: {cause}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// A file of the store is not what it should be.
    #[error("{path} cannot be read: {cause}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        cause: serde_json::Error,
    },
    /// A manifest from a later version of this package.
    #[error("{path} is of format {found}; this version reads {MANIFEST_VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
    },
    /// A model's directory was renamed or copied.
    #[error("{path} is of the model {id:?}: name its directory so")]
    Renamed {
        /// The manifest.
        path: PathBuf,
        /// The id in it.
        id: String,
    },
    /// The model is of an architecture that is not known here.
    #[error(transparent)]
    Network(#[from] UnknownNetwork),
    /// The model's weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// No model of that id.
    #[error(
        "there is no model {id:?} in {store}; `thumb_gesture models --store {store}` lists those there are"
    )]
    NoSuchModel {
        /// The id asked for.
        id: String,
        /// The store.
        store: PathBuf,
    },
    /// Not a store.
    #[error("{0} is no store of models: `thumb_gesture train --store {0}` makes one")]
    NoStore(PathBuf),
    /// No model yet.
    #[error("there is no active model in {0}: train one first")]
    NoActiveModel(PathBuf),
    /// No model before the active one.
    #[error("there is no earlier model to go back to")]
    NoEarlierModel,
    /// What classifies must not vanish.
    #[error("{0} is the active model; activate another one first")]
    DeleteActive(String),
    /// A file was truncated or changed.
    #[error(
        "{path} is damaged: its sha256 is not the one in the manifest; delete this model or bring the file back"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Active {
    active: Option<String>,
    previous: Option<String>,
}

impl ModelStore {
    /// Opens a store; makes its directory where it is new, and removes what killed processes left half-written.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(root: &Path) -> Result<ModelStore, StoreError> {
        let models = root.join(MODELS_DIRECTORY);
        fs::create_dir_all(&models).map_err(|cause| io_error(&models, cause))?;
        disk::remove_leftovers(&models, DRAFT_PREFIX).map_err(|cause| io_error(&models, cause))?;
        for directory in [root.to_owned(), root.join(PRETRAINED_DIRECTORY)] {
            disk::remove_leftovers(&directory, WRITING_PREFIX)
                .map_err(|cause| io_error(&directory, cause))?;
        }
        Ok(ModelStore {
            root: root.to_owned(),
        })
    }

    /// Opens a store that is there; makes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoStore`] for a directory that is none.
    pub fn open_existing(root: &Path) -> Result<ModelStore, StoreError> {
        if !root.join(MODELS_DIRECTORY).is_dir() {
            return Err(StoreError::NoStore(root.to_owned()));
        }
        Ok(ModelStore {
            root: root.to_owned(),
        })
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Begins a model. What is written into the draft's directory vanishes with the draft unless it is published.
    ///
    /// # Errors
    /// What the file system says.
    pub fn draft(&self, network: &str, now: OffsetDateTime) -> Result<Draft, StoreError> {
        let models = self.root.join(MODELS_DIRECTORY);
        let directory = tempfile::Builder::new()
            .prefix(&disk::own_prefix(DRAFT_PREFIX))
            .tempdir_in(&models)
            .map_err(|cause| io_error(&models, cause))?;
        Ok(Draft {
            directory,
            id: format!("{network}-{}", disk::file_timestamp(now)),
        })
    }

    /// Makes a draft a model: hashes its files, writes the manifest, and lets the directory appear under its id.
    ///
    /// # Errors
    /// A missing file, a full disk; then no model appears.
    pub fn publish(&self, draft: Draft, mut manifest: Manifest) -> Result<StoredModel, StoreError> {
        let directory = draft.directory.path();
        manifest.id = draft.id;
        for name in [ONNX_FILE, WEIGHTS_FILE, INT8_FILE] {
            let path = directory.join(name);
            if name == INT8_FILE && !path.exists() {
                continue;
            }
            let digest = sha256(&path).map_err(|cause| io_error(&path, cause))?;
            manifest.sha256.insert(name.to_owned(), digest);
        }
        for entry in fs::read_dir(directory).map_err(|cause| io_error(directory, cause))? {
            let path = entry.map_err(|cause| io_error(directory, cause))?.path();
            let sync = File::open(&path).and_then(|file| file.sync_all());
            sync.map_err(|cause| io_error(&path, cause))?;
        }
        write_json(&directory.join(MANIFEST_FILE), &manifest)?;
        sync_directory(directory)?;
        let target = self.model_directory(&manifest.id);
        fs::rename(directory, &target).map_err(|cause| io_error(&target, cause))?;
        // The directory has moved away from under its guard, which must not look for it any more.
        let _moved = draft.directory.keep();
        sync_directory(&self.root.join(MODELS_DIRECTORY))?;
        Ok(StoredModel {
            directory: target,
            manifest,
        })
    }

    /// Every model, the newest first.
    ///
    /// # Errors
    /// A store that cannot be listed; a single unreadable model is part of the answer.
    pub fn list(&self) -> Result<Listing, StoreError> {
        let directory = self.root.join(MODELS_DIRECTORY);
        let mut listing = Listing::default();
        for entry in fs::read_dir(&directory).map_err(|cause| io_error(&directory, cause))? {
            let entry = entry.map_err(|cause| io_error(&directory, cause))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match read_manifest(&entry.path()) {
                Ok(manifest) => listing.models.push(manifest),
                Err(error) => listing.unreadable.push(error),
            }
        }
        listing
            .models
            .sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        Ok(listing)
    }

    /// A model by its id, its files checked against the hashes in its manifest.
    ///
    /// # Errors
    /// No such model, a manifest that cannot be read, a file that is missing, truncated or changed.
    pub fn model(&self, id: &str) -> Result<StoredModel, StoreError> {
        let directory = self.existing_directory(id)?;
        let manifest = read_manifest(&directory)?;
        for (name, expected) in &manifest.sha256 {
            let path = directory.join(name);
            let found = sha256(&path).map_err(|cause| io_error(&path, cause))?;
            if found != *expected {
                return Err(StoreError::Damaged { path });
            }
        }
        Ok(StoredModel { directory, manifest })
    }

    /// What a model says of itself; its files are not looked at.
    ///
    /// # Errors
    /// No such model, a manifest that cannot be read.
    pub fn manifest(&self, id: &str) -> Result<Manifest, StoreError> {
        read_manifest(&self.existing_directory(id)?)
    }

    /// The active model's id, or `None` where none was activated yet.
    ///
    /// # Errors
    /// An `active.json` that cannot be read.
    pub fn active_id(&self) -> Result<Option<String>, StoreError> {
        Ok(self.read_active()?.active)
    }

    /// The id of the model that was active before the active one.
    ///
    /// # Errors
    /// [`StoreError::NoEarlierModel`] where there was none.
    pub fn previous_id(&self) -> Result<String, StoreError> {
        self.read_active()?.previous.ok_or(StoreError::NoEarlierModel)
    }

    /// The model of that id, or the active one.
    ///
    /// # Errors
    /// As [`ModelStore::model`], and no active model.
    pub fn model_or_active(&self, id: Option<&str>) -> Result<StoredModel, StoreError> {
        match id {
            Some(id) => self.model(id),
            None => match self.active_id()? {
                Some(id) => self.model(&id),
                None => Err(StoreError::NoActiveModel(self.root.clone())),
            },
        }
    }

    /// Makes a model the active one, and remembers the one before it.
    ///
    /// # Errors
    /// What the file system says; the active model then stays.
    pub fn activate(&self, model: &StoredModel) -> Result<(), StoreError> {
        let before = self.read_active()?;
        let id = &model.manifest.id;
        if before.active.as_ref() == Some(id) {
            return Ok(());
        }
        let after = Active {
            active: Some(id.clone()),
            previous: before.active,
        };
        write_json(&self.root.join(ACTIVE_FILE), &after)?;
        sync_directory(&self.root)
    }

    /// Deletes a model for good.
    ///
    /// # Errors
    /// No such model, the active one, and what the file system says.
    pub fn delete(&self, id: &str) -> Result<(), StoreError> {
        let directory = self.existing_directory(id)?;
        let active = self.read_active()?;
        if active.active.as_deref() == Some(id) {
            return Err(StoreError::DeleteActive(id.to_owned()));
        }
        // First, so that no killed process leaves a way back to a model that is gone.
        if active.previous.as_deref() == Some(id) {
            let after = Active {
                previous: None,
                ..active
            };
            write_json(&self.root.join(ACTIVE_FILE), &after)?;
        }
        // It vanishes at once, under a name that a killed process's drafts have: what is left of it is swept with theirs.
        let models = self.root.join(MODELS_DIRECTORY);
        let doomed = models.join(disk::own_prefix(DRAFT_PREFIX) + id);
        fs::rename(&directory, &doomed).map_err(|cause| io_error(&directory, cause))?;
        sync_directory(&models)?;
        fs::remove_dir_all(&doomed).map_err(|cause| io_error(&doomed, cause))?;
        self.delete_engines(id)
    }

    fn delete_engines(&self, id: &str) -> Result<(), StoreError> {
        let prefix = format!("{id}-");
        let engines = self.root.join(ENGINES_DIRECTORY);
        for engine in fs::read_dir(&engines).into_iter().flatten().flatten() {
            let path = engine.path();
            if engine.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_dir_all(&path).map_err(|cause| io_error(&path, cause))?;
            }
        }
        Ok(())
    }

    /// Deletes all models but the newest `kept`, the active one and the one before it; gives the ids of what was deleted.
    ///
    /// # Errors
    /// What the file system says.
    pub fn prune(&self, kept: usize) -> Result<Vec<String>, StoreError> {
        let active = self.read_active()?;
        let is_needed =
            |id: &String| active.active.as_ref() == Some(id) || active.previous.as_ref() == Some(id);
        let models = self.list()?.models.into_iter().map(|manifest| manifest.id);
        let doomed: Vec<String> = models.skip(kept).filter(|id| !is_needed(id)).collect();
        for id in &doomed {
            self.delete(id)?;
        }
        Ok(doomed)
    }

    /// Where imported weights of a network lie, or will lie.
    pub fn pretrained_file(&self, network: &str) -> PathBuf {
        self.root
            .join(PRETRAINED_DIRECTORY)
            .join(format!("{network}.safetensors"))
    }

    /// The directory of a model that is there.
    fn existing_directory(&self, id: &str) -> Result<PathBuf, StoreError> {
        // An id is the name of a directory in the store and nothing else: no way leads out of it.
        let directory = self.model_directory(id);
        let is_name = Path::new(id).file_name().is_some_and(|name| name == id) && !id.starts_with('.');
        if is_name && directory.is_dir() {
            return Ok(directory);
        }
        Err(StoreError::NoSuchModel {
            id: id.to_owned(),
            store: self.root.clone(),
        })
    }

    fn model_directory(&self, id: &str) -> PathBuf {
        self.root.join(MODELS_DIRECTORY).join(id)
    }

    fn read_active(&self) -> Result<Active, StoreError> {
        let path = self.root.join(ACTIVE_FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|cause| StoreError::Json { path, cause }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Active::default()),
            Err(cause) => Err(io_error(&path, cause)),
        }
    }
}

impl Draft {
    /// Puts a network into the draft: its weights, and the ONNX file that points into them.
    ///
    /// `weights` are those of the whole network, `labels` stand in the order of its outputs.
    ///
    /// # Errors
    /// A weight that is missing or misshaped, and what the file system says, such as a full disk.
    pub fn write_network(
        &self,
        network: &Network,
        weights: &Weights,
        labels: &[Label],
        temperature: f64,
    ) -> Result<(), WeightsError> {
        let weights_file = self.path(WEIGHTS_FILE);
        weights.write(&weights_file)?;
        let metadata = metadata(&self.id, labels, temperature);
        onnx::write(&self.path(ONNX_FILE), network, &weights_file, &metadata)
    }

    /// Where to put a file of the model.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl StoredModel {
    /// A file of the model.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The network that the weights are of: that of the manifest's name, or the same with a linear classifier.
    ///
    /// # Errors
    /// A name that is not known here, weights that cannot be read.
    pub fn network(&self) -> Result<Network, StoreError> {
        let network = Network::named(&self.manifest.network, self.manifest.labels.len())?;
        let places = places_in_file(&self.path(WEIGHTS_FILE))?;
        let mut parameters = network::parameters(&network.layers).into_iter();
        match parameters.all(|parameter| places.contains_key(&parameter.name)) {
            true => Ok(network),
            false => Ok(network.with_linear_classifier()),
        }
    }

    /// The ONNX file.
    pub fn onnx_file(&self) -> PathBuf {
        self.directory.join(ONNX_FILE)
    }
}

/// What an ONNX file says of the model in it: how to feed it, and what its outputs mean.
pub fn metadata(id: &str, labels: &[Label], temperature: f64) -> [(&'static str, String); 6] {
    let labels: Vec<&str> = labels.iter().map(Label::as_str).collect();
    let numbers = |numbers: [f32; 3]| numbers.map(|number| number.to_string()).join(",");
    let preprocessing = Preprocessing::current();
    [
        ("model_id", id.to_owned()),
        ("labels", labels.join(",")),
        ("temperature", temperature.to_string()),
        (
            "input",
            format!(
                "RGB, 0 to 1, {0}x{0}, minus mean, divided by std",
                preprocessing.side_px
            ),
        ),
        ("mean", numbers(preprocessing.mean)),
        ("std", numbers(preprocessing.std)),
    ]
}

fn read_manifest(directory: &Path) -> Result<Manifest, StoreError> {
    let path = directory.join(MANIFEST_FILE);
    let bytes = fs::read(&path).map_err(|cause| io_error(&path, cause))?;
    let json_error = |cause| StoreError::Json {
        path: path.clone(),
        cause,
    };
    // The version first: a later format may lack or add fields that the rest would stumble over.
    let version: manifest::Version = serde_json::from_slice(&bytes).map_err(json_error)?;
    if version.version != MANIFEST_VERSION {
        return Err(StoreError::Version {
            path,
            found: version.version,
        });
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(json_error)?;
    // What names a model everywhere must be what finds it again.
    if directory.file_name() != Some(manifest.id.as_ref()) {
        return Err(StoreError::Renamed {
            path,
            id: manifest.id,
        });
    }
    Ok(manifest)
}

/// Writes a file that appears whole or not at all.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let write = disk::write_atomic(path, Existing::Replace, |writer| {
        Ok(serde_json::to_writer_pretty(writer, value)?)
    });
    write.map_err(|cause| io_error(path, cause))
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            length => hasher.update(&chunk[..length]),
        }
    }
    Ok(disk::hex(&hasher.finalize()))
}

/// A rename is on disk only once its directory is.
fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| io_error(directory, cause))
}

fn io_error(path: &Path, cause: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
pub mod tests;
