//! Runs a network with one image as its input and named outputs, on the CPU.

use std::path::Path;

use ort::session::Session;
use ort::value::TensorRef;

use super::session::{Provider, session};
use crate::classifier::ClassifierError;
use crate::classifier::settings::{Precision, Settings};

const INPUT_NAME: &str = "image";

/// A network of another architecture than this package's own, in a session of ONNX Runtime.
pub struct OnnxNetwork {
    session: Session,
    /// Width and height of the input, in pixels.
    side: usize,
}

impl OnnxNetwork {
    /// Loads an ONNX file of a precision, with an input of `side` by `side` pixels.
    ///
    /// # Errors
    /// ONNX Runtime or the file is missing, or the file is damaged.
    pub fn load(
        path: &Path,
        precision: Precision,
        side: usize,
        threads: usize,
    ) -> Result<OnnxNetwork, ClassifierError> {
        let settings = Settings {
            threads,
            ..Settings::default()
        };
        Ok(OnnxNetwork {
            session: session(path, precision, &settings, Provider::Cpu)?,
            side,
        })
    }

    /// Computes outputs for an image, `image[channel][row][column]`.
    ///
    /// # Errors
    /// ONNX Runtime failed, or an output does not exist or has another number of values.
    pub fn run(&mut self, image: &[f32], outputs: &mut [(&str, &mut [f32])]) -> Result<(), ClassifierError> {
        let side = self.side as i64;
        let image = TensorRef::from_array_view(([1, 3, side, side], image))?;
        let found = self.session.run(ort::inputs![INPUT_NAME => image])?;
        for (name, values) in outputs {
            let output = found.get(*name).map(|output| output.try_extract_tensor::<f32>());
            match output.transpose()? {
                Some((_, output)) if output.len() == values.len() => values.copy_from_slice(output),
                _ => {
                    let expected = values.len();
                    let reason = format!("the network has no output {name} of {expected} values");
                    return Err(ClassifierError::Onnx(reason));
                }
            }
        }
        Ok(())
    }
}
