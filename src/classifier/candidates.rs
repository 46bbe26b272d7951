//! Which runtimes and precisions to try for a model and its settings, in which order, and why.

use super::settings::{Device, Precision, Settings};
use crate::model_store::manifest::Int8Agreement;

/// A runtime and the device that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Runtime {
    /// ONNX Runtime with an execution provider from a separate library, [`Settings::provider_library`].
    #[strum(to_string = "onnx/plugin")]
    OnnxPlugin,
    /// ONNX Runtime with its TensorRT execution provider.
    #[strum(to_string = "onnx/tensorrt")]
    OnnxTensorRt,
    /// ONNX Runtime with the TensorRT for RTX that the set-up installs beside it.
    #[strum(to_string = "onnx/tensorrt_rtx")]
    OnnxTensorRtRtx,
    /// ONNX Runtime with its CUDA execution provider.
    #[strum(to_string = "onnx/cuda")]
    OnnxCuda,
    /// ONNX Runtime on the CPU.
    #[strum(to_string = "onnx/cpu")]
    OnnxCpu,
}

/// A runtime and a precision that may run a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The runtime and device.
    pub runtime: Runtime,
    /// The number format of the computation; never [`Precision::Auto`].
    pub precision: Precision,
    /// Why this precision was chosen, if that is not obvious.
    pub reason: Option<String>,
}

impl Candidate {
    /// The backend, such as `onnx/cpu/int8`.
    pub fn backend(&self) -> String {
        format!("{}/{}", self.runtime, self.precision)
    }
}

/// The candidates for a model, the best first. Unless the settings ask for a GPU, GPU runtimes that are not available are left out, so that
/// their absence is not reported as a failure.
pub(super) fn candidates(
    settings: &Settings,
    int8: Option<&Int8Agreement>,
    is_available: impl Fn(Runtime) -> bool,
) -> Vec<Candidate> {
    let is_gpu_requested = settings.device == Device::Cuda || settings.require_gpu;
    let on_gpu = [Runtime::OnnxTensorRt, Runtime::OnnxTensorRtRtx, Runtime::OnnxCuda];
    let on_gpu = on_gpu.into_iter().filter(|runtime| match settings.device {
        Device::Cpu => false,
        // TensorRT's fp32 is TF32.
        _ if *runtime != Runtime::OnnxCuda && settings.precision == Precision::Fp32 => false,
        // Most GPUs do not support it, so that its absence is nothing to report.
        _ if *runtime == Runtime::OnnxTensorRtRtx => is_available(*runtime),
        Device::Auto | Device::Cuda => is_gpu_requested || is_available(*runtime),
    });
    let on_cpu = (!settings.require_gpu).then_some(Runtime::OnnxCpu);
    let plugin = settings.provider_library.as_ref().map(|_| Runtime::OnnxPlugin);
    let mut candidates: Vec<Candidate> = plugin
        .into_iter()
        .chain(on_gpu)
        .chain(on_cpu)
        .map(|runtime| candidate(runtime, settings.precision, int8))
        .collect();
    // If the int8 file cannot be loaded, the fp32 file can.
    if let Some(last) = candidates.last()
        && last.precision == Precision::Int8
    {
        candidates.push(Candidate {
            precision: Precision::Fp32,
            reason: None,
            ..*last
        });
    }
    candidates
}

/// A runtime with the requested precision, or with its default precision if it does not support the requested one.
fn candidate(runtime: Runtime, requested: Precision, int8: Option<&Int8Agreement>) -> Candidate {
    let default = match runtime {
        Runtime::OnnxTensorRt => Precision::Fp16,
        Runtime::OnnxTensorRtRtx => Precision::Tf32,
        Runtime::OnnxPlugin | Runtime::OnnxCuda | Runtime::OnnxCpu => Precision::Fp32,
    };
    let supported = match runtime {
        Runtime::OnnxTensorRt => [Precision::Tf32, Precision::Fp16].as_slice(),
        // It computes a file in the precision of the file, in TF32 if that is fp32.
        Runtime::OnnxTensorRtRtx => &[Precision::Tf32],
        Runtime::OnnxCuda => &[Precision::Fp32, Precision::Tf32],
        Runtime::OnnxPlugin | Runtime::OnnxCpu => &[Precision::Fp32, Precision::Int8],
    };
    let (precision, reason) = match requested {
        Precision::Auto if runtime == Runtime::OnnxCpu => int8_or_fp32(int8),
        Precision::Int8 if supported.contains(&requested) => int8_or_fp32(int8),
        Precision::Auto => (default, None),
        requested if supported.contains(&requested) => (requested, None),
        requested => {
            let reason = format!("{runtime} does not support {requested}");
            (default, Some(reason))
        }
    };
    Candidate {
        runtime,
        precision,
        reason,
    }
}

/// int8 if the training accepted it, otherwise fp32; with the result of the comparison of both.
fn int8_or_fp32(int8: Option<&Int8Agreement>) -> (Precision, Option<String>) {
    let (precision, reason) = match int8 {
        None => (Precision::Fp32, "the model has no int8 file".to_owned()),
        Some(int8) if int8.accepted => {
            let same = int8.frames - int8.flips;
            let reason = format!(
                "int8 predicts the same label as fp32 on {same} of {} held-out frames",
                int8.frames
            );
            (Precision::Int8, reason)
        }
        Some(int8) => {
            let reason = format!(
                "int8 predicts another label than fp32 on {} of {} held-out frames",
                int8.flips, int8.frames
            );
            (Precision::Fp32, reason)
        }
    };
    (precision, Some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(flips: usize, accepted: bool) -> Int8Agreement {
        Int8Agreement {
            frames: 40,
            flips,
            confident_flips: 0,
            accepted,
        }
    }

    fn backends(settings: &Settings, int8: Option<Int8Agreement>, has_gpu: bool) -> Vec<String> {
        let candidates = candidates(settings, int8.as_ref(), |_| has_gpu);
        candidates.iter().map(Candidate::backend).collect()
    }

    #[test]
    fn fastest_accepted_candidate_is_the_default() {
        let (settings, accepted) = (Settings::default(), Some(agreement(0, true)));
        assert_eq!(
            backends(&settings, accepted, false),
            ["onnx/cpu/int8", "onnx/cpu/fp32"]
        );
        assert_eq!(
            backends(&settings, accepted, true),
            [
                "onnx/tensorrt/fp16",
                "onnx/tensorrt_rtx/tf32",
                "onnx/cuda/fp32",
                "onnx/cpu/int8",
                "onnx/cpu/fp32"
            ]
        );
        assert_eq!(
            backends(&settings, Some(agreement(3, false)), false),
            ["onnx/cpu/fp32"]
        );
        assert_eq!(backends(&settings, None, false), ["onnx/cpu/fp32"]);
    }

    #[test]
    fn requested_gpu_is_tried_first_and_required_gpu_alone() {
        let mut settings = Settings {
            device: Device::Cuda,
            ..Settings::default()
        };
        assert_eq!(
            backends(&settings, None, false),
            ["onnx/tensorrt/fp16", "onnx/cuda/fp32", "onnx/cpu/fp32"]
        );
        settings.require_gpu = true;
        assert_eq!(
            backends(&settings, None, false),
            ["onnx/tensorrt/fp16", "onnx/cuda/fp32"]
        );
    }

    #[test]
    fn fp32_is_never_tf32() {
        let backends = |precision| {
            let settings = Settings {
                precision,
                ..Settings::default()
            };
            backends(&settings, None, true)
        };
        assert_eq!(backends(Precision::Fp32), ["onnx/cuda/fp32", "onnx/cpu/fp32"]);
        assert_eq!(
            backends(Precision::Tf32),
            [
                "onnx/tensorrt/tf32",
                "onnx/tensorrt_rtx/tf32",
                "onnx/cuda/tf32",
                "onnx/cpu/fp32"
            ]
        );
    }

    #[test]
    fn plugin_is_tried_first_and_with_int8_only_if_requested() {
        let mut settings = Settings {
            provider_library: Some("provider.so".into()),
            ..Settings::default()
        };
        let accepted = Some(agreement(0, true));
        assert_eq!(
            backends(&settings, accepted, false),
            ["onnx/plugin/fp32", "onnx/cpu/int8", "onnx/cpu/fp32"]
        );
        settings.precision = Precision::Int8;
        assert_eq!(backends(&settings, accepted, false)[0], "onnx/plugin/int8");
    }

    #[test]
    fn unsupported_precision_is_replaced_with_a_reason() {
        let settings = Settings {
            device: Device::Cpu,
            precision: Precision::Fp16,
            ..Settings::default()
        };
        let [candidate] = &candidates(&settings, Some(&agreement(0, true)), |_| true)[..] else {
            panic!("there must be one candidate");
        };
        assert_eq!(candidate.precision, Precision::Fp32);
        assert_eq!(
            candidate.reason.as_deref(),
            Some("onnx/cpu does not support fp16")
        );
    }
}
