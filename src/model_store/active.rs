//! Which model is active, and which one was active before: `active.json`.

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

use super::error::{io_error, json_error};
use super::{ACTIVE_FILE, MAX_JSON_BYTES, ModelStore, StoreError, StoredModel, sync_directory, write_json};
use crate::disk;

/// Content of `active.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ActiveIds {
    pub(super) active: Option<String>,
    pub(super) previous: Option<String>,
}

impl ModelStore {
    /// Id of the active model; `None` if no model has been activated yet.
    ///
    /// # Errors
    /// `active.json` cannot be read.
    pub fn active_id(&self) -> Result<Option<String>, StoreError> {
        Ok(self.read_active()?.active)
    }

    /// Id of the previously active model.
    ///
    /// # Errors
    /// [`StoreError::NoEarlierModel`] if there is none; `active.json` cannot be read.
    pub fn previous_id(&self) -> Result<String, StoreError> {
        self.read_active()?.previous.ok_or(StoreError::NoEarlierModel)
    }

    /// Makes a model the active one, and records the previously active one.
    ///
    /// # Errors
    /// The model was deleted, or `active.json` cannot be read or written; the active model is then unchanged.
    pub fn activate(&self, model: &StoredModel) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let before = self.read_active()?;
        let id = &model.manifest.id;
        self.existing_directory(id)?;
        if before.active.as_ref() == Some(id) {
            return Ok(());
        }
        let earlier = [before.active, before.previous].into_iter().flatten();
        let after = ActiveIds {
            active: Some(id.clone()),
            previous: earlier
                .filter(|earlier| earlier != id)
                .find(|earlier| self.model(earlier).is_ok()),
        };
        self.write_active(&after)
    }

    /// Prevents other processes and threads from publishing, activating and deleting models until the result is dropped.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        disk::lock_directory(&self.root).map_err(|cause| io_error(&self.root, cause))
    }

    pub(super) fn read_active(&self) -> Result<ActiveIds, StoreError> {
        let path = self.root.join(ACTIVE_FILE);
        match disk::read_file(&path, MAX_JSON_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|cause| json_error(&path, &bytes, cause)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ActiveIds::default()),
            Err(cause) => Err(io_error(&path, cause)),
        }
    }

    /// The caller holds [`ModelStore::lock`].
    pub(super) fn write_active(&self, ids: &ActiveIds) -> Result<(), StoreError> {
        write_json(&self.root.join(ACTIVE_FILE), ids)?;
        sync_directory(&self.root)
    }
}
