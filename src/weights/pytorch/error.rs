//! Errors in the content of a PyTorch file.

/// What is wrong with the content of a PyTorch file.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The file is in neither of PyTorch's two formats.
    #[error("it is neither a zip archive of torch.save nor in the format of torch before 1.6")]
    Format,
    /// The archive is damaged or uses a feature that `torch.save` does not.
    #[error("damaged or truncated zip archive: {0}; copy or download it again")]
    Zip(#[from] zip::result::ZipError),
    /// An entry of the archive is missing.
    #[error("the zip archive has no entry {0}, which torch.save writes")]
    MissingEntry(String),
    /// The file ends too early.
    #[error("it is truncated; copy or download it again")]
    Truncated,
    /// A big-endian machine wrote the file.
    #[error("its values are big-endian; supported: little-endian")]
    BigEndian,
    /// A pickle instruction that `torch.save` does not write.
    #[error("pickle instruction {code:#04x} at byte {offset} is not written by torch.save")]
    Opcode {
        /// The instruction.
        code: u8,
        /// Bytes from the beginning of its pickle.
        offset: usize,
    },
    /// A class or function that tensors do not need. It may be harmless or an attack.
    #[error("its pickle references {0}, which tensors do not need; save only model.state_dict()")]
    Global(String),
    /// The file was written by `torch.save(model)` instead of `torch.save(model.state_dict())`.
    #[error(
        "it holds a whole model ({0}), which cannot be loaded without its source code; save model.state_dict() instead"
    )]
    WholeModel(String),
    /// The file was written by `torch.save(model_trt.state_dict())` of torch2trt.
    #[error(
        "it holds a TensorRT engine of torch2trt, which only runs on the GPU and TensorRT version it was compiled for; import the PyTorch weights that it was converted from, such as best_model.pth instead of best_model_trt.pth"
    )]
    Torch2Trt,
    /// The file holds the weights of a quantized network.
    #[error("it holds quantized weights; import those of the float model that was quantized")]
    Quantized,
    /// The instructions of the pickle are inconsistent.
    #[error("its pickle is invalid: {0}")]
    Pickle(&'static str),
    /// The file holds more than the weights of any supported network.
    #[error("it holds more {0} than the weights of a network can")]
    TooLarge(&'static str),
    /// The file holds no state dict.
    #[error("it holds no named tensors; save model.state_dict(), alone or as an entry of a dict")]
    NoStateDict,
    /// A tensor whose data type is neither a supported float nor an integer.
    #[error("tensor {name} is {dtype}; supported: float32, float64, float16, bfloat16")]
    Dtype {
        /// Name of the tensor.
        name: String,
        /// PyTorch's name of the data type.
        dtype: &'static str,
    },
    /// The description of a tensor is inconsistent or does not match its storage.
    #[error("tensor {name} is invalid: {defect}")]
    Tensor {
        /// Name of the tensor.
        name: String,
        /// What is wrong with it.
        defect: &'static str,
    },
}
