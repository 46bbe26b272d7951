//! The classes and functions that a file may name, and what naming them means here. None of them is ever called.

use super::value::{Rebuild, Value};
use crate::weights::pytorch::dtype::Dtype;
use crate::weights::pytorch::{Refusal, shown};

/// What a call would give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// A tensor.
    Tensor(Rebuild),
    /// An empty dict, or one of the pairs in a list.
    OrderedDict,
    /// Its first argument: a parameter is its tensor, a size is its tuple.
    FirstArgument,
    /// Something that stands beside the tensors of a checkpoint and is not looked at.
    Opaque,
}

/// Modules whose classes are parts of a network: the network itself was saved, not its weights. Those of `__torch__` come
/// from TorchScript.
const MODEL_MODULES: [&str; 3] = ["torch.nn.", "torchvision.", "__torch__"];

/// What stands for a class or function.
///
/// # Errors
/// It is not one that tensors or checkpoints need.
pub fn global<'a>(module: &str, name: &str) -> Result<Value<'a>, Refusal> {
    if let Some(function) = function(module, name) {
        return Ok(Value::Function(function));
    }
    if let ("torch" | "torch.storage", Some(dtype)) = (module, Dtype::from_storage(name)) {
        return Ok(Value::StorageClass(dtype));
    }
    if let ("torch", Some(dtype)) = (module, Dtype::from_name(name)) {
        return Ok(Value::Dtype(dtype));
    }
    let full_name = shown(&format!("{module}.{name}"));
    if MODEL_MODULES.iter().any(|prefix| module.starts_with(prefix)) {
        return Err(Refusal::WholeModel(full_name));
    }
    Err(Refusal::Global(full_name))
}

fn function(module: &str, name: &str) -> Option<Function> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Function::OrderedDict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Function::Tensor(Rebuild::Typed),
        ("torch._utils", "_rebuild_tensor_v3") => Function::Tensor(Rebuild::WithDtype),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Function::FirstArgument,
        // Before torch 0.4 a parameter was pickled as a call of its class.
        ("torch.nn.parameter", "Parameter") => Function::FirstArgument,
        ("torch", "Size") => Function::FirstArgument,
        ("torch", "device") => Function::Opaque,
        // The best accuracy of a training run is often a scalar of NumPy.
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct") => Function::Opaque,
        ("numpy", "dtype" | "ndarray") | ("_codecs", "encode") => Function::Opaque,
        ("argparse", "Namespace") | ("collections", "Counter" | "defaultdict") => Function::Opaque,
        ("builtins" | "__builtin__", "set" | "dict" | "list" | "int" | "float") => Function::Opaque,
        _ => return None,
    })
}
