//! What a recognizer does if a GPU fails while it classifies, for example because another program has taken the GPU's memory.

use super::Recognizer;
use super::model::LoadError;
use crate::classifier::{self, ClassifierError};

/// Loads the same model on the CPU.
pub(super) type LoadOnCpu = Box<dyn FnOnce() -> Result<Recognizer, LoadError> + Send>;

impl Recognizer {
    /// Loads another recognizer with `load` if this one fails.
    pub(super) fn with_fallback(self, load: LoadOnCpu) -> Recognizer {
        Recognizer {
            load_on_cpu: Some(load),
            ..self
        }
    }

    /// Continues on the CPU after `error`, and notes why. Hands are no longer followed, and are searched again.
    ///
    /// # Errors
    /// Returns `error` if there is no fallback, or if it cannot be loaded either.
    pub(super) fn fall_back(&mut self, error: ClassifierError) -> Result<(), ClassifierError> {
        let Some(load) = self.load_on_cpu.take() else {
            return Err(error);
        };
        let failed = format!("{} failed: {}", self.backend(), classifier::for_people(&error));
        match load() {
            Ok(mut on_cpu) => {
                if let Some(threshold) = self.familiarity_threshold() {
                    on_cpu.set_familiarity_threshold(threshold);
                }
                self.method = on_cpu.method;
                tracing::warn!("{failed}; {} is used from now on", self.backend());
                self.fallback_reason = Some(failed);
                Ok(())
            }
            Err(cause) => {
                tracing::warn!("{failed}, and the model cannot be loaded on the CPU: {cause}");
                Err(error)
            }
        }
    }

    /// Why the model has been running on the CPU since the last call; `None` if nothing has changed.
    pub fn take_fallback_reason(&mut self) -> Option<String> {
        self.fallback_reason.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::Classifier;
    use crate::frame::Frame;
    use crate::model_store::tests::manifest;
    use crate::recognizer::Source;

    /// A classifier that fails after some calls.
    struct Limited {
        calls: usize,
        backend: &'static str,
    }

    impl Classifier for Limited {
        fn logits_and_features(
            &mut self,
            _: &[f32],
            logits: &mut [f32],
            _: &mut [f32],
        ) -> Result<(), ClassifierError> {
            let Some(calls) = self.calls.checked_sub(1) else {
                return Err(ClassifierError::Onnx("CUDA failure 2: out of memory".to_owned()));
            };
            self.calls = calls;
            logits.fill(0.0);
            Ok(())
        }

        fn feature_values(&self) -> usize {
            0
        }

        fn backend(&self) -> &str {
            self.backend
        }
    }

    fn frame() -> Frame {
        Frame::from_raw("mono8", 8, 8, 8, vec![0; 64]).expect("a valid frame")
    }

    fn recognizer(calls: usize, backend: &'static str) -> Recognizer {
        Recognizer::new(
            Box::new(Limited { calls, backend }),
            &manifest(time::OffsetDateTime::UNIX_EPOCH),
        )
    }

    #[test]
    fn frame_at_which_the_gpu_fails_is_classified_on_the_cpu_and_so_are_the_next_ones() {
        let mut recognizer = recognizer(2, "onnx/cuda/fp32")
            .with_fallback(Box::new(|| Ok(self::recognizer(9, "onnx/cpu/fp32"))));
        recognizer.set_familiarity_threshold(0.25);
        let frame = frame();
        for number in 0..5 {
            recognizer
                .classify_frame(Source::Still, &frame)
                .expect("classifies");
            let reason = recognizer.take_fallback_reason();
            match number {
                2 => assert_eq!(
                    reason.as_deref(),
                    Some(
                        "onnx/cuda/fp32 failed: the GPU has too little free memory; nvidia-smi lists the programs that use it"
                    )
                ),
                _ => assert_eq!(reason, None, "frame {number}"),
            }
        }
        assert_eq!(recognizer.backend(), "onnx/cpu/fp32");
    }

    #[test]
    fn only_onnx_runtimes_own_provider_for_the_cpu_needs_no_fallback() {
        for (backend, is_on_cpu) in [
            ("onnx/cpu/int8", true),
            ("onnx/cuda/fp32", false),
            ("onnx/OpenVINOExecutionProvider/fp32", false),
        ] {
            assert_eq!(recognizer(1, backend).is_on_cpu(), is_on_cpu, "{backend}");
        }
    }

    #[test]
    fn without_a_fallback_or_if_it_fails_too_the_error_is_returned() {
        let frame = frame();
        let mut alone = recognizer(0, "onnx/cuda/fp32");
        assert!(alone.classify_frame(Source::Still, &frame).is_err());
        let missing = || Err(LoadError::Classifier(ClassifierError::Onnx("no file".to_owned())));
        let mut broken = recognizer(0, "onnx/cuda/fp32").with_fallback(Box::new(missing));
        for _ in 0..2 {
            let error = broken.classify_frame(Source::Still, &frame).err().expect("fails");
            assert!(error.to_string().contains("out of memory"), "{error}");
        }
        assert_eq!(broken.take_fallback_reason(), None);
    }
}
