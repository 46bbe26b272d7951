//! From what is asked of a classifier to what is tried, in order, and why each is what it is.

use super::settings::{Backend, Device, Precision, Settings};
use crate::model_store::manifest::Int8Agreement;

/// What may run a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Runtime {
    /// ONNX Runtime with an execution provider from a library of its own.
    #[strum(to_string = "onnx/plugin")]
    OnnxPlugin,
    /// ONNX Runtime's TensorRT provider.
    #[strum(to_string = "onnx/tensorrt")]
    OnnxTensorRt,
    /// ONNX Runtime's CUDA provider.
    #[strum(to_string = "onnx/cuda")]
    OnnxCuda,
    /// ONNX Runtime on the CPU.
    #[strum(to_string = "onnx/cpu")]
    OnnxCpu,
    /// libtorch on a GPU.
    #[strum(to_string = "torch/cuda")]
    TorchCuda,
    /// libtorch on the CPU.
    #[strum(to_string = "torch/cpu")]
    TorchCpu,
}

/// One of the things to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What runs it.
    pub runtime: Runtime,
    /// What it computes with; never [`Precision::Auto`].
    pub precision: Precision,
    /// Why this precision, where that is worth a word.
    pub reason: Option<String>,
}

impl Attempt {
    /// As a backend is named, such as `onnx/cpu/int8`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.runtime, self.precision)
    }
}

/// What to try for a model, the best first. `is_there` says whether the GPU's runtimes could be used at all: where nobody asks for a GPU,
/// one that cannot is not worth a word.
pub fn attempts(
    settings: &Settings,
    int8: Option<&Int8Agreement>,
    is_there: impl Fn(Runtime) -> bool,
) -> Vec<Attempt> {
    let (on_gpu, on_cpu): (&[Runtime], _) = match settings.backend {
        Backend::Auto | Backend::Onnx => (&[Runtime::OnnxTensorRt, Runtime::OnnxCuda], Runtime::OnnxCpu),
        Backend::Torch => (&[Runtime::TorchCuda], Runtime::TorchCpu),
    };
    let is_asked_for = settings.device == Device::Cuda || settings.require_gpu;
    let on_gpu = on_gpu.iter().copied().filter(|runtime| match settings.device {
        Device::Cpu => false,
        Device::Auto | Device::Cuda => is_asked_for || is_there(*runtime),
    });
    let on_cpu = (!settings.require_gpu).then_some(on_cpu);
    let has_plugin = settings.provider_library.is_some() && settings.backend != Backend::Torch;
    let mut attempts: Vec<Attempt> = has_plugin
        .then_some(Runtime::OnnxPlugin)
        .into_iter()
        .chain(on_gpu)
        .chain(on_cpu)
        .map(|runtime| attempt(runtime, settings.precision, int8))
        .collect();
    // An int8 file that does not load leaves the other.
    if let Some(last) = attempts.last()
        && last.precision == Precision::Int8
    {
        attempts.push(Attempt {
            precision: Precision::Fp32,
            reason: None,
            ..*last
        });
    }
    attempts
}

/// What a runtime computes with, if that precision is asked for.
fn attempt(runtime: Runtime, asked: Precision, int8: Option<&Int8Agreement>) -> Attempt {
    let wide = match runtime {
        Runtime::OnnxTensorRt | Runtime::TorchCuda => Precision::Fp16,
        Runtime::OnnxPlugin | Runtime::OnnxCuda | Runtime::OnnxCpu | Runtime::TorchCpu => Precision::Fp32,
    };
    let can = match runtime {
        Runtime::OnnxTensorRt => [Precision::Fp32, Precision::Fp16].as_slice(),
        Runtime::OnnxCuda => &[Precision::Fp32],
        Runtime::OnnxPlugin | Runtime::OnnxCpu => &[Precision::Fp32, Precision::Int8],
        Runtime::TorchCuda => &[Precision::Fp32, Precision::Fp16, Precision::Bf16],
        Runtime::TorchCpu => &[Precision::Fp32, Precision::Bf16],
    };
    let (precision, reason) = match asked {
        Precision::Auto if runtime == Runtime::OnnxCpu => int8_or_fp32(int8),
        Precision::Int8 if can.contains(&asked) => int8_or_fp32(int8),
        Precision::Auto => (wide, None),
        asked if can.contains(&asked) => (asked, None),
        asked => {
            let reason = format!("{runtime} does not do {asked}");
            (wide, Some(reason))
        }
    };
    Attempt {
        runtime,
        precision,
        reason,
    }
}

/// int8 where the training accepted it.
fn int8_or_fp32(int8: Option<&Int8Agreement>) -> (Precision, Option<String>) {
    let Some(int8) = int8 else {
        return (Precision::Fp32, Some("the model has no int8 file".to_owned()));
    };
    let compared = format!("of {} held-out frames", int8.frames);
    match int8.accepted {
        true => (
            Precision::Int8,
            Some(format!(
                "int8 says what fp32 does on {} {compared}",
                int8.frames - int8.flips
            )),
        ),
        false => (
            Precision::Fp32,
            Some(format!(
                "int8 says something else than fp32 on {} {compared}",
                int8.flips
            )),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(flips: usize, accepted: bool) -> Int8Agreement {
        Int8Agreement {
            frames: 40,
            flips,
            confident_flips: 0,
            accepted,
        }
    }

    fn tried(settings: &Settings, int8: Option<Int8Agreement>, has_gpu: bool) -> Vec<String> {
        let attempts = attempts(settings, int8.as_ref(), |_| has_gpu);
        attempts.iter().map(Attempt::name).collect()
    }

    #[test]
    fn by_default_the_best_there_is() {
        let (settings, accepted) = (Settings::default(), Some(compared(0, true)));
        assert_eq!(
            tried(&settings, accepted, false),
            ["onnx/cpu/int8", "onnx/cpu/fp32"]
        );
        assert_eq!(
            tried(&settings, accepted, true),
            [
                "onnx/tensorrt/fp16",
                "onnx/cuda/fp32",
                "onnx/cpu/int8",
                "onnx/cpu/fp32"
            ]
        );
        assert_eq!(
            tried(&settings, Some(compared(3, false)), false),
            ["onnx/cpu/fp32"]
        );
        assert_eq!(tried(&settings, None, false), ["onnx/cpu/fp32"]);
    }

    #[test]
    fn a_gpu_that_is_asked_for_is_tried_and_one_that_is_required_is_all() {
        let mut settings = Settings {
            device: Device::Cuda,
            ..Settings::default()
        };
        assert_eq!(
            tried(&settings, None, false),
            ["onnx/tensorrt/fp16", "onnx/cuda/fp32", "onnx/cpu/fp32"]
        );
        settings.require_gpu = true;
        settings.backend = Backend::Torch;
        assert_eq!(tried(&settings, None, false), ["torch/cuda/fp16"]);
    }

    #[test]
    fn a_plugin_comes_first_and_computes_as_it_will_unless_int8_is_asked_for() {
        let mut settings = Settings {
            provider_library: Some("provider.so".into()),
            ..Settings::default()
        };
        let accepted = Some(compared(0, true));
        assert_eq!(
            tried(&settings, accepted, false),
            ["onnx/plugin/fp32", "onnx/cpu/int8", "onnx/cpu/fp32"]
        );
        settings.precision = Precision::Int8;
        assert_eq!(tried(&settings, accepted, false)[0], "onnx/plugin/int8");
        settings.backend = Backend::Torch;
        assert_eq!(tried(&settings, None, false), ["torch/cpu/fp32"]);
    }

    #[test]
    fn what_a_runtime_cannot_do_is_said() {
        let settings = Settings {
            backend: Backend::Torch,
            device: Device::Cpu,
            precision: Precision::Int8,
            ..Settings::default()
        };
        let [attempt] = &attempts(&settings, Some(&compared(0, true)), |_| true)[..] else {
            panic!("one");
        };
        assert_eq!(attempt.precision, Precision::Fp32);
        assert_eq!(attempt.reason.as_deref(), Some("torch/cpu does not do int8"));
    }
}
