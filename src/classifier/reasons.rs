//! What is missing if a runtime cannot use a GPU, and how to get it: one line for people, from the messages of ONNX Runtime and CUDA.

use super::ClassifierError;
use crate::text;

/// A part of a runtime's message, and what it means. The first one that occurs applies.
const CAUSES: &[(&str, &str)] = &[
    (
        "libcuda.so",
        "NVIDIA's driver (libcuda.so.1) is not installed; install it, and start a container with --gpus all",
    ),
    (
        "libnvidia-ml.so",
        "NVIDIA's driver (libnvidia-ml.so.1) is not installed; install it, and start a container with --gpus all",
    ),
    (
        "driver version is insufficient",
        "NVIDIA's driver is missing or too old; CUDA 13 needs 580.65 or later, CUDA 12 needs 525.60",
    ),
    (
        "no CUDA-capable device",
        "no NVIDIA GPU is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES",
    ),
    (
        "no kernel image",
        "this GPU's compute capability is not supported; CUDA 13 needs 7.5 or later",
    ),
    (
        "out of memory",
        "the GPU has too little free memory; nvidia-smi lists the programs that use it",
    ),
    (
        "Failed to allocate memory",
        "the GPU has too little free memory; nvidia-smi lists the programs that use it",
    ),
    (
        "TensorRT execution provider is not enabled in this build",
        "this ONNX Runtime is built without TensorRT",
    ),
    (
        "execution provider is not enabled in this build",
        "this ONNX Runtime is built without CUDA; run scripts/setup.sh on a machine with an NVIDIA GPU, or set ORT_DYLIB_PATH to the libonnxruntime.so of onnxruntime-gpu",
    ),
    (
        "libnvinfer.so",
        "TensorRT is not installed; install libnvonnxparsers10 from NVIDIA's apt repository",
    ),
    (
        "libnvonnxparser.so",
        "TensorRT's parser is not installed; install libnvonnxparsers10 from NVIDIA's apt repository",
    ),
];

/// Libraries of CUDA, by the beginning of their names.
const CUDA_LIBRARIES: [&str; 8] = [
    "libcublas",
    "libcudart",
    "libcudnn",
    "libcufft",
    "libcurand",
    "libnvrtc",
    "libcusparse",
    "libnvJitLink",
];

/// Why a runtime cannot run a model, in one line; without the C++ function names and source files in the runtime's message.
pub(crate) fn for_people(error: &ClassifierError) -> String {
    let message = match error {
        ClassifierError::Onnx(message) | ClassifierError::Plugin { reason: message, .. } => message,
        other => return other.to_string(),
    };
    let missing = message.split_once(": cannot open shared object file");
    let library = missing.and_then(|(before, _)| before.rsplit([' ', ':']).next());
    if let Some(library) = library
        && CUDA_LIBRARIES.iter().any(|name| library.starts_with(name))
    {
        return format!(
            "CUDA's library {} is missing; run scripts/setup.sh, or add its directory to LD_LIBRARY_PATH",
            text::printable(library)
        );
    }
    let cause = CAUSES.iter().find(|(part, _)| message.contains(part));
    cause.map_or_else(|| error.to_string(), |(_, meaning)| (*meaning).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages as ONNX Runtime 1.31 gives them, with their line breaks.
    #[test]
    fn runtimes_message_becomes_one_line_that_says_what_to_do() {
        let failed_to_load = |library: &str, cause: &str| {
            format!(
                "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library /opt/{library} with error: {cause}: cannot open shared object file: No such file or directory\n"
            )
        };
        let cuda_failure = |number: u32, cause: &str| {
            format!(
                "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:123 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*) [with ERRTYPE = cudaError]\nCUDA failure {number}: {cause} ; GPU=-1 ; hostname=robot"
            )
        };
        let cases = [
            (
                failed_to_load("libonnxruntime_providers_cuda.so", "libcublasLt.so.13"),
                "CUDA's library libcublasLt.so.13 is missing; run scripts/setup.sh",
            ),
            (
                failed_to_load("libonnxruntime_providers_cuda.so", "libcuda.so.1"),
                "NVIDIA's driver (libcuda.so.1) is not installed",
            ),
            (
                failed_to_load("libonnxruntime_providers_tensorrt.so", "libnvinfer.so.10"),
                "TensorRT is not installed",
            ),
            (
                cuda_failure(35, "CUDA driver version is insufficient for CUDA runtime version"),
                "NVIDIA's driver is missing or too old",
            ),
            (
                cuda_failure(100, "no CUDA-capable device is detected"),
                "no NVIDIA GPU is visible",
            ),
            (
                cuda_failure(209, "no kernel image is available for execution on the device"),
                "this GPU's compute capability is not supported",
            ),
            (
                cuda_failure(2, "out of memory"),
                "the GPU has too little free memory",
            ),
            (
                "`CUDAExecutionProvider`: CUDA execution provider is not enabled in this build.".to_owned(),
                "this ONNX Runtime is built without CUDA",
            ),
        ];
        for (message, expected) in cases {
            let reason = for_people(&ClassifierError::Onnx(message));
            assert!(reason.starts_with(expected), "{reason}");
            assert!(reason.len() < 180 && !reason.contains('\n'), "{reason}");
        }
        let unknown = for_people(&ClassifierError::Onnx("a new message".to_owned()));
        assert_eq!(unknown, "ONNX Runtime: a new message");
    }
}
