//! Cache of TensorRT engines in the model store: building an engine can take minutes.
//!
//! ```text
//! <store>/engines/<model id>-<key>/    the engine and the timing cache, as ONNX Runtime's TensorRT provider writes them
//! ```
//! The provider looks an engine up by the names in the graph, not by the weights, so it would run the old engine for a retrained model.
//! Therefore each network of a model has its own directory. The key is a digest of the model's files, the network, the precision, the maximum batch size, the GPU
//! and ONNX Runtime's library (if `ORT_DYLIB_PATH` is the path of its file).
//!
//! A directory appears once its engine has run a frame. It is deleted together with its model, or if its engine cannot be loaded. All
//! directories may be deleted at any time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{self, DraftDirectory};
use crate::model_store::{DRAFT_PREFIX, ENGINES_DIRECTORY, ModelNetwork, StoredModel};

/// Model of a Jetson, and version of its software.
const JETSON_FILES: [&str; 2] = ["/proc/device-tree/model", "/etc/nv_tegra_release"];
/// Version of the driver on a PC.
const DRIVER_FILE: &str = "/proc/driver/nvidia/version";
/// One directory for each GPU of a PC.
const GPUS_DIRECTORY: &str = "/proc/driver/nvidia/gpus";

/// The cache entry of a model's engine, which may not be built yet.
pub(super) struct Engine {
    engines: PathBuf,
    name: String,
}

impl Engine {
    /// The engine for a network of a model, a precision, a maximum batch size, the GPU of this machine and a library of ONNX Runtime.
    pub(super) fn new(
        model: &StoredModel,
        network: ModelNetwork,
        precision: &str,
        batch: usize,
        library: &Path,
    ) -> Engine {
        let store = model.directory.ancestors().nth(2).unwrap_or(&model.directory);
        Engine {
            engines: store.join(ENGINES_DIRECTORY),
            name: format!(
                "{}-{}",
                model.manifest.id,
                key(
                    model,
                    network,
                    precision,
                    batch,
                    &gpu_identity(),
                    &file_identity(library)
                )
            ),
        }
    }

    /// The directory with the engine; `None` if it is not built yet.
    pub(super) fn built_directory(&self) -> Option<PathBuf> {
        let directory = self.directory();
        directory.is_dir().then_some(directory)
    }

    /// A temporary directory in which to build the engine.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub(super) fn draft(&self) -> io::Result<DraftDirectory> {
        disk::create_directory_inside(&self.engines)?;
        disk::sweep(&self.engines, DRAFT_PREFIX);
        DraftDirectory::create(&self.engines, DRAFT_PREFIX)
    }

    /// Moves an engine that was built into the cache.
    ///
    /// # Errors
    /// The directory cannot be renamed, for example because the engine exists.
    pub(super) fn publish(&self, draft: DraftDirectory) -> io::Result<()> {
        draft.publish(&self.directory())
    }

    /// Deletes the engine, if there is one.
    ///
    /// # Errors
    /// The directory cannot be deleted.
    pub(super) fn discard(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.directory()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn directory(&self) -> PathBuf {
        self.engines.join(&self.name)
    }
}

/// A digest that differs for other weights, another network, precision, batch size, GPU or library.
fn key(
    model: &StoredModel,
    network: ModelNetwork,
    precision: &str,
    batch: usize,
    gpu: &str,
    library: &str,
) -> String {
    let hashes = model.manifest.sha256.iter();
    let files = hashes.flat_map(|(name, hash)| [name.as_str(), hash.as_str()]);
    let batch = batch.to_string();
    // Without a name for the image network, whose engines were built before there was another one.
    let parts = files
        .chain((network == ModelNetwork::Hand).then(|| network.onnx_file()))
        .chain([precision, &batch, gpu, library])
        .map(str::as_bytes);
    disk::hash_key(&parts.collect::<Vec<_>>())
}

/// Models of the GPUs or of the Jetson, and version of the driver; empty without a GPU.
fn gpu_identity() -> String {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let gpus = fs::read_dir(GPUS_DIRECTORY).into_iter().flatten().flatten();
    let mut identity: Vec<String> = gpus
        .flat_map(|gpu| {
            let text = read(&gpu.path().join("information"));
            // Other lines, such as the interrupt number, change with each boot.
            let model = text.lines().find(|line| line.starts_with("Model"));
            model.map(str::to_owned)
        })
        .collect();
    identity.sort();
    let files = JETSON_FILES.into_iter().chain([DRIVER_FILE]);
    identity.extend(files.map(|path| read(Path::new(path))));
    identity.concat()
}

/// Canonical path, size and modification time.
fn file_identity(library: &Path) -> String {
    let path = fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    let metadata = fs::metadata(&path);
    let size_and_time =
        metadata.and_then(|metadata| Ok(format!("{} {:?}", metadata.len(), metadata.modified()?)));
    format!("{} {}", path.display(), size_and_time.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_store::ModelStore;
    use crate::model_store::tests::published_with;

    #[test]
    fn key_differs_for_another_model_network_precision_batch_size_gpu_or_library() {
        let root = tempfile::tempdir().expect("a directory");
        let store = ModelStore::open(root.path()).expect("opens");
        let model = published_with(&store, 1, b"weights");
        let retrained = published_with(&store, 2, b"others");
        use ModelNetwork::{Hand, Image};
        let keys = [
            key(&model, Hand, "fp16", 1, "Orin", "1.22"),
            key(&model, Image, "fp16", 1, "Orin", "1.22"),
            key(&retrained, Image, "fp16", 1, "Orin", "1.22"),
            key(&model, Image, "fp32", 1, "Orin", "1.22"),
            key(&model, Image, "fp16", 4, "Orin", "1.22"),
            key(&model, Image, "fp16", 1, "Thor", "1.22"),
            key(&model, Image, "fp16", 1, "Orin", "1.23"),
        ];
        let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(
            keys[1],
            key(&model, Image, "fp16", 1, "Orin", "1.22"),
            "equal for equal arguments"
        );
    }

    #[test]
    fn engine_is_published_complete_or_not_at_all() {
        let root = tempfile::tempdir().expect("a directory");
        let store = ModelStore::open(root.path()).expect("opens");
        let model = published_with(&store, 1, b"weights");
        let engine = Engine::new(
            &model,
            ModelNetwork::Image,
            "fp16",
            1,
            Path::new("/usr/lib/libonnxruntime.so"),
        );
        let draft = engine.draft().expect("a directory");
        fs::write(draft.path().join("part"), b"engine").expect("writes");
        assert_eq!(engine.built_directory(), None);
        drop(draft);
        assert_eq!(engine.built_directory(), None, "a failed build leaves nothing");

        let draft = engine.draft().expect("a directory");
        fs::write(draft.path().join("whole"), b"engine").expect("writes");
        engine.publish(draft).expect("publishes");
        let directory = engine.built_directory().expect("is built");
        assert_eq!(fs::read(directory.join("whole")).expect("reads"), b"engine");
        assert!(directory.starts_with(root.path().join("engines")));
        engine.discard().expect("deletes");
        assert_eq!(engine.built_directory(), None);
        engine.discard().expect("is deleted already");

        let draft = engine.draft().expect("a directory");
        engine.publish(draft).expect("publishes");
        store.delete(&model.manifest.id).expect("deletes");
        assert_eq!(
            engine.built_directory(),
            None,
            "the engine is deleted with its model"
        );
    }
}
