//! The palm detector and the hand landmark network.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use strum::Display;

use super::detector::{ANCHORS, BOX_VALUES, PALM_SIDE, Palm, anchors, decode};
use super::sampling::{Outside, sample};
use super::tiles::Tile;
use super::{Hand, LANDMARKS, Region};
use crate::classifier::ClassifierError;
use crate::classifier::onnx::OnnxNetwork;
use crate::classifier::settings::Precision;
use crate::frame::Frame;
use crate::weights;

/// Width and height of the landmark network's input, in pixels.
const LANDMARK_SIDE: usize = 224;
/// Palms with a lower score are ignored. MediaPipe's limit is 0.5; here the landmark network decides, so that fewer hands are missed.
const MIN_PALM_SCORE: f32 = 0.3;

/// A hand landmark network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display)]
#[strum(serialize_all = "snake_case")]
pub enum LandmarkNetwork {
    /// Takes half as long as the full one, and is the least accurate.
    Lite,
    /// The most accurate one.
    Full,
    /// The full one in int8: almost as accurate, and as fast as the lite one, but only on a CPU with [`has_int8_dot_product`].
    FullInt8,
}

impl LandmarkNetwork {
    /// The most accurate network that takes no more time than the lite one.
    fn choose(has_int8_dot_product: bool, is_installed: impl Fn(LandmarkNetwork) -> bool) -> LandmarkNetwork {
        let reason = if !has_int8_dot_product {
            "this CPU has no dot product of int8 numbers (VNNI)"
        } else if !is_installed(LandmarkNetwork::FullInt8) {
            "its file is missing; run scripts/setup.sh and build the package again"
        } else {
            return LandmarkNetwork::FullInt8;
        };
        tracing::debug!("landmarks are computed by the lite network, not by the full one in int8: {reason}");
        LandmarkNetwork::Lite
    }

    fn file(self, directory: &Path) -> PathBuf {
        directory.join(format!("hand_landmark_{self}.onnx"))
    }

    fn precision(self) -> Precision {
        match self {
            LandmarkNetwork::Lite | LandmarkNetwork::Full => Precision::Fp32,
            LandmarkNetwork::FullInt8 => Precision::Int8,
        }
    }
}

/// Whether the CPU multiplies int8 numbers and adds up the products in one instruction.
fn has_int8_dot_product() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512vnni")
        || std::arch::is_x86_feature_detected!("avxvnni");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// Both networks with their buffers.
pub struct HandNetworks {
    /// Of the palm detector and the landmark network.
    files: [PathBuf; 2],
    precision: Precision,
    palm_detector: OnnxNetwork,
    landmark_network: OnnxNetwork,
    anchors: Vec<[f32; 2]>,
    palm_input: Vec<f32>,
    boxes: Vec<f32>,
    scores: Vec<f32>,
    landmark_input: Vec<f32>,
    /// Time to compute inputs so far.
    pub(super) sampling_time: Duration,
}

impl HandNetworks {
    /// Loads the networks that are installed with this program: the lite palm detector, and the landmark network that suits the CPU. They use
    /// one thread: with a busy second core, two threads are slower than one.
    ///
    /// # Errors
    /// As for [`HandNetworks::load`].
    pub fn installed() -> Result<HandNetworks, ClassifierError> {
        let directory = weights::installed_directory().join("hand");
        let is_installed = |network: LandmarkNetwork| network.file(&directory).exists();
        let network = LandmarkNetwork::choose(has_int8_dot_product(), is_installed);
        HandNetworks::load(&directory, network, 1)
    }

    /// Loads the lite palm detector and a landmark network from a directory with the files that `scripts/convert_hand_models.py` and
    /// `scripts/quantize_hand_models.py` write.
    ///
    /// # Errors
    /// ONNX Runtime or a file is missing, or a file is damaged.
    pub fn load(
        directory: &Path,
        network: LandmarkNetwork,
        threads: usize,
    ) -> Result<HandNetworks, ClassifierError> {
        let files = [
            directory.join("palm_detection_lite.onnx"),
            network.file(directory),
        ];
        if let Some(missing) = files.iter().find(|file| !file.exists()) {
            return Err(ClassifierError::NoHandNetwork(missing.clone()));
        }
        let [palm_file, landmark_file] = &files;
        let precision = network.precision();
        Ok(HandNetworks {
            palm_detector: OnnxNetwork::load(palm_file, Precision::Fp32, PALM_SIDE, threads)?,
            landmark_network: OnnxNetwork::load(landmark_file, precision, LANDMARK_SIDE, threads)?,
            files,
            precision,
            anchors: anchors(),
            palm_input: vec![0.0; 3 * PALM_SIDE * PALM_SIDE],
            boxes: vec![0.0; ANCHORS * BOX_VALUES],
            scores: vec![0.0; ANCHORS],
            landmark_input: vec![0.0; 3 * LANDMARK_SIDE * LANDMARK_SIDE],
            sampling_time: Duration::ZERO,
        })
    }

    /// The files of both networks.
    pub(crate) fn files(&self) -> &[PathBuf; 2] {
        &self.files
    }

    /// That of the landmark network.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The palms in a part of a frame; the same palm may occur several times.
    ///
    /// # Errors
    /// ONNX Runtime failed.
    pub(super) fn palms(&mut self, frame: &Frame, tile: Tile) -> Result<Vec<Palm>, ClassifierError> {
        let to_frame = tile.to_frame(PALM_SIDE);
        let start = Instant::now();
        sample(frame, &to_frame, PALM_SIDE, Outside::Black, &mut self.palm_input);
        self.sampling_time += start.elapsed();
        let outputs = &mut [("boxes", &mut self.boxes[..]), ("scores", &mut self.scores[..])];
        self.palm_detector.run(&self.palm_input, outputs)?;
        Ok(decode(
            &self.anchors,
            &self.boxes,
            &self.scores,
            &to_frame,
            MIN_PALM_SCORE,
        ))
    }

    /// The hand in a region of a frame, if there is one: see [`Hand::presence`].
    ///
    /// # Errors
    /// ONNX Runtime failed.
    pub(super) fn hand(&mut self, frame: &Frame, region: Region) -> Result<Hand, ClassifierError> {
        let to_frame = region.to_frame(LANDMARK_SIDE);
        let start = Instant::now();
        sample(
            frame,
            &to_frame,
            LANDMARK_SIDE,
            Outside::Nearest,
            &mut self.landmark_input,
        );
        self.sampling_time += start.elapsed();
        let mut landmarks = [[0.0; 3]; LANDMARKS];
        let mut world = [[0.0; 3]; LANDMARKS];
        let (mut presence, mut right) = ([0.0], [0.0]);
        let outputs = &mut [
            ("landmarks", landmarks.as_flattened_mut()),
            ("world_landmarks", world.as_flattened_mut()),
            ("presence", &mut presence[..]),
            ("handedness", &mut right[..]),
        ];
        self.landmark_network.run(&self.landmark_input, outputs)?;
        Ok(Hand {
            landmarks: landmarks.map(|[x, y, depth]| {
                let [x, y] = to_frame.apply([x, y]);
                [x, y, depth * to_frame.scale()]
            }),
            world: world.map(|[x, y, depth]| {
                let (sin, cos) = region.rotation.sin_cos();
                [x * cos - y * sin, x * sin + y * cos, depth]
            }),
            presence: presence[0],
            right: right[0],
            region,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int8_is_chosen_on_a_cpu_that_computes_it_fast_if_it_is_installed() {
        use LandmarkNetwork::{FullInt8, Lite};
        let choose = |has_int8_dot_product, installed: &[LandmarkNetwork]| {
            LandmarkNetwork::choose(has_int8_dot_product, |network| installed.contains(&network))
        };
        assert_eq!(choose(true, &[Lite, FullInt8]), FullInt8);
        assert_eq!(choose(false, &[Lite, FullInt8]), Lite);
        assert_eq!(choose(true, &[Lite]), Lite);
    }

    #[test]
    fn missing_file_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let missing = || {
            let error = HandNetworks::load(directory.path(), LandmarkNetwork::FullInt8, 1).err();
            error.expect("an error").to_string()
        };
        let message = missing();
        assert!(
            message.contains("/palm_detection_lite.onnx is missing"),
            "{message}"
        );
        std::fs::write(directory.path().join("palm_detection_lite.onnx"), "").expect("writes");
        let message = missing();
        assert!(
            message.contains("/hand_landmark_full_int8.onnx is missing"),
            "{message}"
        );
    }
}
