//! The file of weights that is imported.

use std::path::Path;

use super::ImportError;
use super::recognize::{Recognized, recognize};
use crate::file_kind::FileKind;
use crate::weights::listing::Listing;
use crate::weights::pytorch;
use crate::weights::{self, Weights};

/// A file of weights.
pub(super) struct Source {
    pub(super) listing: Listing,
    /// The tensors of a safetensors file. Those of a PyTorch file are read when their names are known, since a checkpoint also
    /// holds the state of the optimizer, which is larger than the network.
    tensors: Option<Weights>,
}

impl Source {
    /// # Errors
    /// The file cannot be read, or is not a file of weights.
    pub(super) fn open(file: &Path) -> Result<Source, ImportError> {
        let kind = FileKind::of_file(file).map_err(|cause| ImportError::Io {
            path: file.to_owned(),
            cause,
        })?;
        match kind {
            FileKind::Safetensors => {
                let (weights, listing) = weights::read_with_listing(file)?;
                Ok(Source {
                    listing,
                    tensors: Some(weights),
                })
            }
            // The reader says what is damaged.
            FileKind::PytorchZip | FileKind::PytorchLegacy | FileKind::DamagedZip => Ok(Source {
                listing: pytorch::list(file)?,
                tensors: None,
            }),
            kind => Err(ImportError::FileKind {
                path: file.to_owned(),
                kind: kind.name(),
                fix: fix(kind),
            }),
        }
    }

    /// The network in the file, with its weights under the names of its parameters.
    ///
    /// # Errors
    /// There is none, or there are several that differ.
    pub(super) fn network(
        &self,
        file: &Path,
        prefix: Option<&str>,
    ) -> Result<(Recognized, Weights), ImportError> {
        let mut all = recognize(file, &self.listing, prefix)?.into_iter();
        let first = all
            .next()
            .unwrap_or_else(|| unreachable!("at least one is recognized"));
        let weights = self.weights(file, &first)?;
        // Two names may stand for one network, whose weights are then equal.
        for other in all.as_slice() {
            if other.network != first.network || self.weights(file, other)? != weights {
                return Err(several(file, std::iter::once(&first).chain(all.as_slice())));
            }
        }
        Ok((first, weights))
    }

    fn weights(&self, file: &Path, recognized: &Recognized) -> Result<Weights, ImportError> {
        match &self.tensors {
            Some(tensors) => Ok(tensors.renamed(&recognized.names)),
            None => Ok(pytorch::read_renamed(file, &recognized.names)?),
        }
    }
}

/// How to get weights that can be imported.
fn fix(kind: FileKind) -> &'static str {
    if let Some(fix) = kind.fix() {
        return fix;
    }
    match kind {
        FileKind::TorchScript => {
            "save its weights with torch.save(torch.jit.load(path).state_dict(), \"weights.pth\") and import those"
        }
        FileKind::TorchExport => {
            "save its weights with torch.save(torch.export.load(path).state_dict, \"weights.pth\") and import those"
        }
        FileKind::Onnx | FileKind::OpenVino => {
            "import the PyTorch weights that it was exported from, written by torch.save(model.state_dict(), path)"
        }
        FileKind::TensorRt => {
            "it only runs on the GPU and TensorRT version it was compiled for; import the PyTorch weights that it was made from"
        }
        FileKind::Hdf5
        | FileKind::Keras
        | FileKind::TfLite
        | FileKind::TensorFlow
        | FileKind::MessagePack => {
            "models of TensorFlow, Keras and JAX cannot be imported; train one of the supported networks in PyTorch or with `thumb_gesture train`"
        }
        FileKind::Pickle => {
            "import a file of torch.save(model.state_dict(), path); if it is data.pkl of an unpacked .pth file, use the .pth file itself"
        }
        _ => "import a file of torch.save(model.state_dict(), path), or a safetensors file",
    }
}

fn several<'r>(file: &Path, networks: impl Iterator<Item = &'r Recognized>) -> ImportError {
    const ROOT: &str = ".";
    let networks: Vec<(&str, &str)> = networks
        .map(|recognized| match recognized.prefix.as_str() {
            "" => (ROOT, recognized.network.name()),
            prefix => (prefix, recognized.network.name()),
        })
        .collect();
    let described: Vec<String> = networks
        .iter()
        .map(|(prefix, network)| format!("{prefix} ({network})"))
        .collect();
    ImportError::SeveralNetworks {
        path: file.to_owned(),
        networks: described.join(", "),
        example: networks.first().map_or(ROOT, |(prefix, _)| prefix).to_owned(),
    }
}
