//! Versioned models on disk: publish, activate, roll back, delete.
//!
//! ```text
//! <store>/models/<id>/manifest.json model.onnx weights.safetensors model_int8.onnx hand.onnx    and other files of the draft
//! <store>/active.json                              ids of the active model and of the previously active one
//! <store>/engines/<id>-<key>/                      TensorRT engines of a model
//! <store>/pretrained/<network>.safetensors         imported weights, from which trainings start
//! ```
//! A model appears atomically: its directory is filled under a temporary name, then renamed. Its files never change afterwards.

mod active;
pub mod archive;
mod deletion;
mod error;
pub mod manifest;
mod network;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::dataset::Label;
use crate::disk::{self, DraftDirectory, WRITING_PREFIX};
use crate::file_kind::FileKind;
use crate::network::{Network, onnx};
use crate::preprocess::Preprocessing;
use crate::text::shorten;
use crate::weights::{Weights, WeightsError};

pub use self::error::StoreError;
use self::error::{damaged, io_error, json_error};
pub use manifest::{MANIFEST_VERSION, Manifest};
pub use network::ModelNetwork;

/// The fp32 model for ONNX Runtime; references the weights in [`WEIGHTS_FILE`].
pub const ONNX_FILE: &str = "model.onnx";
/// The int8 model for CPUs, with its own weights; exists only if its predictions agree with those of the fp32 model.
pub const INT8_FILE: &str = "model_int8.onnx";
/// The weights in fp32.
pub const WEIGHTS_FILE: &str = "weights.safetensors";
/// The classifier of landmarks; exists only if enough frames of the training show a hand.
pub const LANDMARKS_FILE: &str = "landmarks.safetensors";
/// What the model remembers of its training frames; imported models have none.
pub const FAMILIARITY_FILE: &str = "familiarity.safetensors";
const MANIFEST_FILE: &str = "manifest.json";
const ACTIVE_FILE: &str = "active.json";
pub(crate) const MODELS_DIRECTORY: &str = "models";
const PRETRAINED_DIRECTORY: &str = "pretrained";
/// Directory of TensorRT engines: one directory `<model id>-<key>` for each engine.
pub const ENGINES_DIRECTORY: &str = "engines";
/// Prefix of the name of a model or engine that is being written or deleted.
pub(crate) const DRAFT_PREFIX: &str = ".draft-";
/// Maximum length of a JSON file; the confusion matrix of a thousand labels has a fifth of it.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// A directory with models.
#[derive(Clone, Debug)]
pub struct ModelStore {
    root: PathBuf,
}

/// A model whose files were complete and unchanged when it was opened.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// The model's directory.
    pub directory: PathBuf,
    /// Content of `manifest.json`.
    pub manifest: Manifest,
}

/// An unpublished model: a temporary directory, which [`ModelStore::publish`] makes visible.
pub struct Draft {
    directory: DraftDirectory,
    /// Id of the model after publication.
    pub id: String,
}

/// Readable models, and errors for the others.
#[derive(Debug, Default)]
pub struct Listing {
    /// Manifests of the readable models, the last published first.
    pub models: Vec<Manifest>,
    /// One error for each directory without a readable model.
    pub unreadable: Vec<StoreError>,
}

impl ModelStore {
    /// Opens a store. Creates its directory if it does not exist, and [sweeps](ModelStore::sweep) it.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn open(root: &Path) -> Result<ModelStore, StoreError> {
        check_root(root)?;
        let models = root.join(MODELS_DIRECTORY);
        disk::create_private_directory(root)
            .and_then(|()| disk::create_directory_inside(&models))
            .map_err(|cause| io_error(&models, cause))?;
        let store = ModelStore {
            root: root.to_owned(),
        };
        store.sweep();
        Ok(store)
    }

    /// Checks that a model could be published and activated now.
    ///
    /// # Errors
    /// [`StoreError::NotWritable`].
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        let probe = || {
            disk::draft_file(&self.root)?;
            DraftDirectory::create(&self.root.join(MODELS_DIRECTORY), DRAFT_PREFIX).map(drop)
        };
        probe().map_err(|cause| StoreError::NotWritable {
            store: self.root.clone(),
            cause,
        })
    }

    /// Removes the incomplete files of killed processes. What cannot be removed is a warning.
    pub fn sweep(&self) {
        for drafts in [MODELS_DIRECTORY, ENGINES_DIRECTORY] {
            disk::sweep(&self.root.join(drafts), DRAFT_PREFIX);
        }
        disk::sweep(&self.root, WRITING_PREFIX);
        disk::sweep(&self.root.join(PRETRAINED_DIRECTORY), WRITING_PREFIX);
    }

    /// Opens an existing store without changing it.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`] or [`StoreError::InsideStore`] if the directory is not a store.
    pub fn open_existing(root: &Path) -> Result<ModelStore, StoreError> {
        check_root(root)?;
        if !root.join(MODELS_DIRECTORY).is_dir() {
            return Err(StoreError::NotAStore(root.to_owned()));
        }
        Ok(ModelStore {
            root: root.to_owned(),
        })
    }

    /// Root directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates a draft, whose directory is deleted on drop unless it is published. Its id has the time `now`, or the next millisecond that
    /// no other model or draft has, such as one of another process.
    ///
    /// # Errors
    /// The directory cannot be created, or the store is locked for long.
    pub fn draft(&self, network: &str, now: OffsetDateTime) -> Result<Draft, StoreError> {
        let models = self.root.join(MODELS_DIRECTORY);
        let _lock = self.lock()?;
        let names: io::Result<Vec<String>> = fs::read_dir(&models).and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect()
        });
        let names = names.map_err(|cause| io_error(&models, cause))?;
        let mut created = now;
        let id = loop {
            let id = format!("{network}-{}", disk::file_timestamp(created));
            // A draft has the id of its model in its name.
            let has_id = |name: &String| name.strip_prefix(DRAFT_PREFIX).unwrap_or(name).starts_with(&id);
            if !names.iter().any(has_id) {
                break id;
            }
            created += time::Duration::MILLISECOND;
        };
        let directory = DraftDirectory::create(&models, &format!("{DRAFT_PREFIX}{id}-"))
            .map_err(|cause| io_error(&models, cause))?;
        Ok(Draft { directory, id })
    }

    /// Publishes a draft: hashes its files, writes the manifest, and renames the directory to the model's id.
    ///
    /// # Errors
    /// A file is missing or cannot be written, for example because the disk is full; no model is published then.
    pub fn publish(&self, draft: Draft, mut manifest: Manifest) -> Result<StoredModel, StoreError> {
        let directory = draft.directory.path();
        manifest.id = draft.id;
        let files = [ModelNetwork::Image, ModelNetwork::Hand]
            .map(|network| [network.onnx_file(), network.weights_file(), network.int8_file()]);
        for name in files
            .into_iter()
            .flatten()
            .chain([LANDMARKS_FILE, FAMILIARITY_FILE])
        {
            let path = directory.join(name);
            if !matches!(name, ONNX_FILE | WEIGHTS_FILE) && !path.exists() {
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
        let lock = self.lock()?;
        self.add(draft.directory, manifest, &lock)
    }

    /// Makes a model of a directory whose files are complete. The lock is that of the store.
    fn add(
        &self,
        draft: DraftDirectory,
        mut manifest: Manifest,
        _lock: &File,
    ) -> Result<StoredModel, StoreError> {
        let directory = draft.path();
        let models = self.list()?.models;
        manifest.sequence = models
            .first()
            .map_or(0, |newest| newest.sequence)
            .saturating_add(1);
        write_json(&directory.join(MANIFEST_FILE), &manifest)?;
        sync_directory(directory)?;
        let target = self.model_directory(&manifest.id);
        let publish = draft.publish(&target);
        publish.map_err(|cause| io_error(&target, cause))?;
        sync_directory(&self.root.join(MODELS_DIRECTORY))?;
        Ok(StoredModel {
            directory: target,
            manifest,
        })
    }

    /// Lists all models. Unreadable models are part of the result.
    ///
    /// # Errors
    /// The directory of the models cannot be read.
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
            .sort_by(|a, b| (b.sequence, b.created, &b.id).cmp(&(a.sequence, a.created, &a.id)));
        Ok(listing)
    }

    /// Opens a model by its id, and verifies its files with the hashes in the manifest.
    ///
    /// # Errors
    /// There is no such model, its manifest is invalid, or a file is missing, truncated or changed.
    pub fn model(&self, id: &str) -> Result<StoredModel, StoreError> {
        let directory = self.existing_directory(id)?;
        let manifest = read_manifest(&directory)?;
        for (name, expected) in &manifest.sha256 {
            let path = directory.join(name);
            let found = sha256(&path).map_err(|cause| io_error(&path, cause))?;
            if found != *expected {
                return Err(damaged(path));
            }
        }
        Ok(StoredModel { directory, manifest })
    }

    /// Reads the manifest of a model without verifying its files.
    ///
    /// # Errors
    /// There is no such model, or its manifest is invalid.
    pub fn manifest(&self, id: &str) -> Result<Manifest, StoreError> {
        read_manifest(&self.existing_directory(id)?)
    }

    /// Opens the model with this id, or the active model if `id` is `None`.
    ///
    /// # Errors
    /// As for [`ModelStore::model`]; [`StoreError::NoActiveModel`] if there is no active model.
    pub fn model_or_active(&self, id: Option<&str>) -> Result<StoredModel, StoreError> {
        match id {
            Some(id) => self.model(id),
            None => match self.active_id()? {
                Some(id) => self.model(&id),
                None => Err(StoreError::NoActiveModel(self.root.clone())),
            },
        }
    }

    /// Path of the imported pretrained weights of a network, which may not exist.
    pub fn pretrained_file(&self, network: &str) -> PathBuf {
        self.root
            .join(PRETRAINED_DIRECTORY)
            .join(format!("{network}.safetensors"))
    }

    /// The directory of an existing model.
    pub(crate) fn existing_directory(&self, id: &str) -> Result<PathBuf, StoreError> {
        // An id must be a plain directory name, so that it cannot lead out of the store.
        let directory = self.model_directory(id);
        let is_name = Path::new(id).file_name().is_some_and(|name| name == id) && !id.starts_with('.');
        if is_name && directory.is_dir() {
            return Ok(directory);
        }
        Err(StoreError::NoSuchModel {
            id: shorten(id),
            store: self.root.clone(),
        })
    }

    pub(crate) fn model_directory(&self, id: &str) -> PathBuf {
        self.root.join(MODELS_DIRECTORY).join(id)
    }
}

impl Draft {
    /// Writes the weights of a network, and the ONNX file that references them.
    ///
    /// `weights` holds all parameters of the layers in `network`; `labels` are in the order of its outputs.
    ///
    /// # Errors
    /// A weight is missing or misshaped, or a file cannot be written, for example because the disk is full.
    pub fn write_network(
        &self,
        kind: ModelNetwork,
        network: &Network,
        weights: &Weights,
        labels: &[Label],
        temperature: f64,
        preprocessing: &Preprocessing,
    ) -> Result<(), WeightsError> {
        let weights_file = self.path(kind.weights_file());
        weights.write(&weights_file)?;
        let metadata = metadata(&self.id, labels, temperature, preprocessing);
        onnx::write(&self.path(kind.onnx_file()), network, &weights_file, &metadata)
    }

    /// Path of a file in the draft.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl StoredModel {
    /// Path of a file of the model.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Whether the model was published with this file.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.manifest.sha256.contains_key(name)
    }
}

/// Metadata of an ONNX file: id, meaning of the outputs, and preprocessing of the input.
pub fn metadata(
    id: &str,
    labels: &[Label],
    temperature: f64,
    preprocessing: &Preprocessing,
) -> [(&'static str, String); 6] {
    let labels: Vec<&str> = labels.iter().map(Label::as_str).collect();
    let numbers = |numbers: [f32; 3]| numbers.map(|number| number.to_string()).join(",");
    let Preprocessing {
        side_px,
        color_order,
        mean,
        std,
    } = preprocessing;
    let color_order = color_order.to_string().to_uppercase();
    [
        ("model_id", id.to_owned()),
        ("labels", labels.join(",")),
        ("temperature", temperature.to_string()),
        (
            "input",
            format!("{color_order}, 0 to 1, {side_px}x{side_px}, minus mean, divided by std"),
        ),
        ("mean", numbers(*mean)),
        ("std", numbers(*std)),
    ]
}

fn read_manifest(directory: &Path) -> Result<Manifest, StoreError> {
    let path = directory.join(MANIFEST_FILE);
    let bytes = disk::read_file(&path, MAX_JSON_BYTES).map_err(|cause| io_error(&path, cause))?;
    let manifest = parse_manifest(&path, &bytes)?;
    // The id and the name of the directory must be the same, since models are found by id.
    if directory.file_name() != Some(manifest.id.as_ref()) {
        return Err(StoreError::Renamed {
            path,
            id: manifest.id,
        });
    }
    Ok(manifest)
}

fn parse_manifest(path: &Path, bytes: &[u8]) -> Result<Manifest, StoreError> {
    let json_error = |cause| json_error(path, bytes, cause);
    // The version first, since another format may have other fields.
    let version: manifest::Version = serde_json::from_slice(bytes).map_err(json_error)?;
    if version.version != MANIFEST_VERSION {
        return Err(StoreError::Version {
            path: path.to_owned(),
            found: version.version,
        });
    }
    serde_json::from_slice(bytes).map_err(json_error)
}

/// # Errors
/// The path is that of a file, or a directory inside a store.
fn check_root(root: &Path) -> Result<(), StoreError> {
    if root.is_file() {
        let kind = FileKind::of_file(root).map_err(|cause| io_error(root, cause))?;
        return Err(StoreError::Kind {
            path: root.to_owned(),
            reason: kind.mismatch("the directory of a model store", "pass the directory"),
        });
    }
    let is_store = |path: &Path| path.join(ACTIVE_FILE).is_file() && path.join(MODELS_DIRECTORY).is_dir();
    let is_part = root.ends_with(MODELS_DIRECTORY) || root.join(MANIFEST_FILE).is_file();
    match root.ancestors().skip(1).take(2).find(|path| is_store(path)) {
        Some(store) if is_part && !is_store(root) => Err(StoreError::InsideStore {
            directory: root.to_owned(),
            store: store.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Writes a file atomically.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let write = disk::write_atomic(path, |writer| Ok(serde_json::to_writer_pretty(writer, value)?));
    write.map_err(|cause| io_error(path, cause))
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = disk::open_file(path)?;
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            length => hasher.update(&chunk[..length]),
        }
    }
    Ok(disk::hex(&hasher.finalize()))
}

/// Makes a rename durable, which is only on disk after a sync of the directory.
fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| io_error(directory, cause))
}

#[cfg(test)]
pub(crate) mod tests;
