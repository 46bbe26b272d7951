//! The classes and functions that a file may reference, with the placeholders for them. None of them is ever called.

use super::value::{Function, Rebuild, Value};
use crate::text::printable;
use crate::weights::pytorch::dtype::Dtype;
use crate::weights::pytorch::error::ContentError;

/// Prefixes of modules with classes of networks. A file that references them holds a whole model instead of its weights.
/// Classes in `__torch__` come from TorchScript.
const MODEL_MODULES: [&str; 3] = ["torch.nn.", "torchvision.", "__torch__"];

/// The placeholder for a class or function.
///
/// # Errors
/// Tensors and checkpoints do not need this class or function.
pub(crate) fn global<'a>(module: &str, name: &str) -> Result<Value<'a>, ContentError> {
    if let Some(function) = function(module, name) {
        return Ok(Value::Function(function));
    }
    if let ("torch" | "torch.storage", Some(dtype)) = (module, Dtype::from_storage(name)) {
        return Ok(Value::StorageClass(dtype));
    }
    if let ("torch", Some(dtype)) = (module, Dtype::from_name(name)) {
        return Ok(Value::Dtype(dtype));
    }
    if module.split('.').next() == Some("torch2trt") {
        return Err(ContentError::Torch2Trt);
    }
    if let ("torch._utils", "_rebuild_qtensor") = (module, name) {
        return Err(ContentError::Quantized);
    }
    let full_name = printable(&format!("{module}.{name}"));
    if MODEL_MODULES.iter().any(|prefix| module.starts_with(prefix)) {
        return Err(ContentError::WholeModel(full_name));
    }
    Err(ContentError::Global(full_name))
}

fn function(module: &str, name: &str) -> Option<Function> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Function::OrderedDict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Function::Tensor(Rebuild::Typed),
        ("torch._utils", "_rebuild_tensor_v3") => Function::Tensor(Rebuild::WithDtype),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Function::FirstArgument,
        // torch before 0.4 pickled a parameter as a call of its class.
        ("torch.nn.parameter", "Parameter") => Function::FirstArgument,
        ("torch", "Size") => Function::FirstArgument,
        ("torch", "device") => Function::Opaque,
        // Checkpoints often hold the best accuracy as a NumPy scalar.
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct") => Function::Opaque,
        ("numpy", "dtype" | "ndarray") | ("_codecs", "encode") => Function::Opaque,
        ("argparse", "Namespace") | ("collections", "Counter" | "defaultdict") => Function::Opaque,
        ("builtins" | "__builtin__", "set" | "dict" | "list" | "int" | "float" | "bytearray") => {
            Function::Opaque
        }
        // The options of a training often hold the path of its output.
        (
            "pathlib" | "pathlib._local",
            "Path" | "PosixPath" | "WindowsPath" | "PurePosixPath" | "PureWindowsPath",
        ) => Function::Opaque,
        // The hyperparameters in a checkpoint of PyTorch Lightning.
        (
            "pytorch_lightning.utilities.parsing"
            | "lightning_fabric.utilities.data"
            | "lightning.fabric.utilities.data",
            "AttributeDict",
        ) => Function::Opaque,
        // The configuration of a training.
        ("types", "SimpleNamespace") | ("typing", "Any") | ("easydict", "EasyDict") => Function::Opaque,
        ("datetime", "datetime" | "date" | "timedelta") | ("collections", "deque") => Function::Opaque,
        (module, _) if module.starts_with("omegaconf.") => Function::Opaque,
        ("torch.torch_version", "TorchVersion") => Function::Opaque,
        _ => return None,
    })
}
