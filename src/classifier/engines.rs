//! TensorRT's engines, kept in the store: building one takes a minute on a Jetson.
//!
//! ```text
//! <store>/engines/<model id>-<key>/    what ONNX Runtime's TensorRT provider writes: the engine and its timings
//! ```
//! The provider finds an engine by the names in the graph, not by the weights: a retrained model would run the old one. So each
//! model has a directory of its own, whose key also stands for the precision, the most frames at once, the GPU and ONNX Runtime's library, as far as `ORT_DYLIB_PATH`
//! names its file. The directory goes with the model. A directory appears once its engine
//! has run a frame, and goes again where its engine does not load. All of it may be deleted at any time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::disk;
use crate::model_store::{ENGINES_DIRECTORY, StoredModel};

const DRAFT_PREFIX: &str = ".draft-";
/// What a Jetson is, and its software.
const JETSON_TEXTS: [&str; 2] = ["/proc/device-tree/model", "/etc/nv_tegra_release"];
/// The version of a graphics card's driver, and a directory for each card.
const DRIVER_TEXT: &str = "/proc/driver/nvidia/version";
const CARDS_DIRECTORY: &str = "/proc/driver/nvidia/gpus";

/// Where a model's engine lies.
pub struct Engine {
    engines: PathBuf,
    name: String,
}

impl Engine {
    /// The engine of a model for `batch` frames at once in a precision, on this GPU, by this library of ONNX Runtime.
    pub fn of(model: &StoredModel, precision: &str, batch: usize, library: &Path) -> Engine {
        let store = model.directory.ancestors().nth(2).unwrap_or(&model.directory);
        Engine {
            engines: store.join(ENGINES_DIRECTORY),
            name: format!(
                "{}-{}",
                model.manifest.id,
                key(model, precision, batch, &gpu(), &identity(library))
            ),
        }
    }

    /// The directory with the engine; none where it is still to be built.
    pub fn ready(&self) -> Option<PathBuf> {
        let directory = self.directory();
        directory.is_dir().then_some(directory)
    }

    /// A directory in which to build one; it vanishes unless it is kept.
    ///
    /// # Errors
    /// What the file system says.
    pub fn draft(&self) -> io::Result<TempDir> {
        fs::create_dir_all(&self.engines)?;
        disk::remove_leftovers(&self.engines, DRAFT_PREFIX)?;
        tempfile::Builder::new()
            .prefix(&disk::own_prefix(DRAFT_PREFIX))
            .tempdir_in(&self.engines)
    }

    /// Keeps what was built.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep(&self, draft: TempDir) -> io::Result<()> {
        fs::rename(draft.path(), self.directory())?;
        // The directory has moved away from under its guard, which must not look for it any more.
        let _moved = draft.keep();
        Ok(())
    }

    /// Deletes an engine that does not load.
    ///
    /// # Errors
    /// What the file system says.
    pub fn discard(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.directory()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn directory(&self) -> PathBuf {
        self.engines.join(&self.name)
    }
}

/// Another key for other weights, another graph, precision, batch, GPU or library.
fn key(model: &StoredModel, precision: &str, batch: usize, gpu: &str, library: &str) -> String {
    let hashes = model.manifest.sha256.iter();
    let files = hashes.flat_map(|(name, hash)| [name.as_str(), hash.as_str()]);
    let batch = batch.to_string();
    let parts = files.chain([precision, &batch, gpu, library]).map(str::as_bytes);
    disk::hash_key(&parts.collect::<Vec<_>>())
}

/// Which GPU there is, in the driver's words; empty where there is none.
fn gpu() -> String {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let cards = fs::read_dir(CARDS_DIRECTORY).into_iter().flatten().flatten();
    let mut models: Vec<String> = cards
        .flat_map(|card| {
            let text = read(&card.path().join("information"));
            // The rest, such as the interrupt, is another after each start of the machine.
            let model = text.lines().find(|line| line.starts_with("Model"));
            model.map(str::to_owned)
        })
        .collect();
    models.sort();
    let texts = JETSON_TEXTS.into_iter().chain([DRIVER_TEXT]);
    models.extend(texts.map(|path| read(Path::new(path))));
    models.concat()
}

/// Which library it is: its real path, its size, and when it was put there.
fn identity(library: &Path) -> String {
    let path = fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    let metadata = fs::metadata(&path);
    let told = metadata.and_then(|metadata| Ok(format!("{} {:?}", metadata.len(), metadata.modified()?)));
    format!("{} {}", path.display(), told.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_store::ModelStore;
    use crate::model_store::tests::published_with;

    #[test]
    fn a_retrained_model_and_all_else_that_matters_has_another_key() {
        let root = tempfile::tempdir().expect("a directory");
        let store = ModelStore::open(root.path()).expect("opens");
        let model = published_with(&store, 1, b"weights");
        let retrained = published_with(&store, 2, b"others");
        let keys = [
            key(&model, "fp16", 1, "Orin", "1.22"),
            key(&retrained, "fp16", 1, "Orin", "1.22"),
            key(&model, "fp32", 1, "Orin", "1.22"),
            key(&model, "fp16", 4, "Orin", "1.22"),
            key(&model, "fp16", 1, "Thor", "1.22"),
            key(&model, "fp16", 1, "Orin", "1.23"),
        ];
        let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(
            keys[0],
            key(&model, "fp16", 1, "Orin", "1.22"),
            "and the same of the same"
        );
    }

    #[test]
    fn an_engine_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().expect("a directory");
        let store = ModelStore::open(root.path()).expect("opens");
        let model = published_with(&store, 1, b"weights");
        let engine = Engine::of(&model, "fp16", 1, Path::new("/usr/lib/libonnxruntime.so"));
        let draft = engine.draft().expect("a directory");
        fs::write(draft.path().join("half"), b"an engine").expect("writes");
        assert_eq!(engine.ready(), None);
        drop(draft);
        assert_eq!(engine.ready(), None, "a build that failed leaves nothing");

        let draft = engine.draft().expect("a directory");
        fs::write(draft.path().join("whole"), b"engine").expect("writes");
        engine.keep(draft).expect("keeps");
        let directory = engine.ready().expect("is there");
        assert_eq!(fs::read(directory.join("whole")).expect("reads"), b"engine");
        assert!(directory.starts_with(root.path().join("engines")));
        engine.discard().expect("deletes");
        assert_eq!(engine.ready(), None);
        engine.discard().expect("is gone already");

        let draft = engine.draft().expect("a directory");
        engine.keep(draft).expect("keeps");
        store.delete(&model.manifest.id).expect("deletes");
        assert_eq!(engine.ready(), None, "it goes with its model");
    }
}
