//! Deletion of models.

use std::fs;

use super::active::ActiveIds;
use super::error::io_error;
use super::{DRAFT_PREFIX, ENGINES_DIRECTORY, MODELS_DIRECTORY, ModelStore, StoreError, sync_directory};
use crate::disk;

impl ModelStore {
    /// Deletes a model and its TensorRT engines.
    ///
    /// # Errors
    /// There is no such model, it is the active one, or a file cannot be deleted.
    pub fn delete(&self, id: &str) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        self.delete_locked(id)
    }

    /// The caller holds [`ModelStore::lock`].
    fn delete_locked(&self, id: &str) -> Result<(), StoreError> {
        let directory = self.existing_directory(id)?;
        let active = self.read_active()?;
        if active.active.as_deref() == Some(id) {
            return Err(StoreError::DeleteActive(id.to_owned()));
        }
        // First, so that `previous` never names a deleted model, even if this process is killed.
        if active.previous.as_deref() == Some(id) {
            self.write_active(&ActiveIds {
                previous: None,
                ..active
            })?;
        }
        // The rename makes the model disappear atomically. If this process is killed, [`ModelStore::sweep`] removes the rest like a draft.
        let models = self.root.join(MODELS_DIRECTORY);
        let renamed = models.join(format!("{DRAFT_PREFIX}{id}"));
        let _draft = disk::lock_directory(&directory).map_err(|cause| io_error(&directory, cause))?;
        fs::rename(&directory, &renamed).map_err(|cause| io_error(&directory, cause))?;
        sync_directory(&models)?;
        fs::remove_dir_all(&renamed).map_err(|cause| io_error(&renamed, cause))?;
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

    /// Deletes all models except the newest `keep`, the active one and the previously active one. Returns the deleted ids.
    ///
    /// # Errors
    /// The models cannot be listed or deleted.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>, StoreError> {
        let _lock = self.lock()?;
        let active = self.read_active()?;
        let is_needed =
            |id: &String| active.active.as_ref() == Some(id) || active.previous.as_ref() == Some(id);
        let models = self.list()?.models.into_iter().map(|manifest| manifest.id);
        let deleted: Vec<String> = models.skip(keep).filter(|id| !is_needed(id)).collect();
        for id in &deleted {
            self.delete_locked(id)?;
        }
        Ok(deleted)
    }
}
