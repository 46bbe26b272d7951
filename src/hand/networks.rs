//! The palm detector and the hand landmark network.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use strum::Display;

use super::detector::{ANCHORS, BOX_VALUES, PALM_SIDE, Palm, anchors, decode};
use super::sampling::{Outside, sample};
use super::tiles::Tile;
use super::{Hand, LANDMARKS, Point, Region};
use crate::classifier::candidates::{Candidate, Runtime};
use crate::classifier::onnx::OnnxNetwork;
use crate::classifier::settings::{Precision, Settings};
use crate::classifier::{self, ClassifierError};
use crate::frame::Frame;
use crate::weights;

/// Width and height of the landmark network's input, in pixels.
const LANDMARK_SIDE: usize = 224;
/// Palms with a lower score are ignored. MediaPipe's limit is 0.5; here the landmark network decides, so that fewer hands are missed.
const MIN_PALM_SCORE: f32 = 0.3;

/// The file of the palm detector.
const PALM_DETECTOR: &str = "palm_detection_lite.onnx";

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
    /// The most accurate network for a runtime: with CUDA the full one, on a CPU one that takes no more time than the lite one.
    fn choose(
        runtime: Runtime,
        has_int8_dot_product: bool,
        is_installed: impl Fn(LandmarkNetwork) -> bool,
    ) -> LandmarkNetwork {
        let best = match runtime {
            Runtime::OnnxCuda => LandmarkNetwork::Full,
            _ => LandmarkNetwork::FullInt8,
        };
        let reason = if best == LandmarkNetwork::FullInt8 && !has_int8_dot_product {
            "this CPU has no dot product of int8 numbers (VNNI)"
        } else if !is_installed(best) {
            "its file is missing; run scripts/setup.sh and build the package again"
        } else {
            return best;
        };
        tracing::debug!("landmarks are computed by the lite network, not by {best}: {reason}");
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
    palm_detector: OnnxNetwork,
    landmark_network: OnnxNetwork,
    anchors: Vec<[f32; 2]>,
    palm_input: Vec<f32>,
    boxes: Vec<f32>,
    scores: Vec<f32>,
    landmark_input: Vec<f32>,
    /// Time to compute inputs so far.
    pub(super) sampling_time: Duration,
    /// What runs the landmark network, as `<runtime>/<device>/<precision>`.
    pub backend: String,
    /// Why this backend was selected, including the failures of better ones; may be empty.
    pub reason: String,
}

impl HandNetworks {
    /// Loads the networks that are installed with this program: the lite palm detector, and the landmark network that suits the device.
    ///
    /// # Errors
    /// As for [`HandNetworks::load`].
    pub fn installed(settings: &Settings) -> Result<HandNetworks, ClassifierError> {
        let directory = installed_directory();
        let is_installed = |network: LandmarkNetwork| network.file(&directory).exists();
        HandNetworks::load_with(&directory, settings, |runtime| {
            LandmarkNetwork::choose(runtime, has_int8_dot_product(), is_installed)
        })
    }

    /// The files of the installed palm detector and full landmark network, in fp32, which every runtime can run.
    pub(crate) fn installed_fp32_files() -> [PathBuf; 2] {
        let directory = installed_directory();
        [
            directory.join(PALM_DETECTOR),
            LandmarkNetwork::Full.file(&directory),
        ]
    }

    /// Loads the lite palm detector and a landmark network from a directory with the files that `scripts/convert_hand_models.py` and
    /// `scripts/quantize_hand_models.py` write, with CUDA or on the CPU, and runs them once. On the CPU they use one thread: with a busy
    /// second core, two threads are slower than one.
    ///
    /// # Errors
    /// ONNX Runtime or a file is missing, a file is damaged, or [`Settings::require_gpu`] is set and no GPU can be used.
    pub fn load(
        directory: &Path,
        network: LandmarkNetwork,
        settings: &Settings,
    ) -> Result<HandNetworks, ClassifierError> {
        HandNetworks::load_with(directory, settings, |_| network)
    }

    /// As [`HandNetworks::load`], with the landmark network that is chosen for a runtime.
    fn load_with(
        directory: &Path,
        settings: &Settings,
        choose: impl Fn(Runtime) -> LandmarkNetwork,
    ) -> Result<HandNetworks, ClassifierError> {
        let settings = Settings {
            threads: 1,
            ..settings.clone()
        };
        let (networks, reason) = classifier::load_without_store(&settings, |candidate| {
            HandNetworks::load_candidate(directory, choose(candidate.runtime), candidate, &settings)
        })?;
        Ok(HandNetworks { reason, ..networks })
    }

    fn load_candidate(
        directory: &Path,
        network: LandmarkNetwork,
        candidate: &Candidate,
        settings: &Settings,
    ) -> Result<HandNetworks, ClassifierError> {
        let files = [directory.join(PALM_DETECTOR), network.file(directory)];
        if let Some(missing) = files.iter().find(|file| !file.exists()) {
            return Err(ClassifierError::NoHandNetwork(missing.clone()));
        }
        let landmark_candidate = Candidate {
            precision: network.precision(),
            ..candidate.clone()
        };
        let [palm_file, landmark_file] = &files;
        Ok(HandNetworks {
            palm_detector: OnnxNetwork::load(palm_file, PALM_SIDE, candidate, settings)?,
            landmark_network: OnnxNetwork::load(landmark_file, LANDMARK_SIDE, &landmark_candidate, settings)?,
            files,
            backend: landmark_candidate.backend(),
            reason: String::new(),
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
        let landmarks = landmarks.map(|[x, y, depth]| {
            let [x, y] = to_frame.apply([x, y]);
            [x, y, depth * to_frame.scale()]
        });
        let (width, height) = (frame.width() as f32, frame.height() as f32);
        let is_visible = |[x, y, _]: &&Point| (0.0..width).contains(x) && (0.0..height).contains(y);
        Ok(Hand {
            landmarks,
            world: world.map(|[x, y, depth]| {
                let (sin, cos) = region.rotation.sin_cos();
                [x * cos - y * sin, x * sin + y * cos, depth]
            }),
            presence: presence[0],
            visible: landmarks.iter().filter(is_visible).count() as f32 / LANDMARKS as f32,
            right: right[0],
            region,
        })
    }
}

fn installed_directory() -> PathBuf {
    weights::installed_directory().join("hand")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_accurate_network_is_chosen_that_the_device_computes_fast_if_it_is_installed() {
        use LandmarkNetwork::{Full, FullInt8, Lite};
        let choose = |runtime, has_int8_dot_product, installed: &[LandmarkNetwork]| {
            LandmarkNetwork::choose(runtime, has_int8_dot_product, |network| {
                installed.contains(&network)
            })
        };
        let all = [Lite, Full, FullInt8];
        assert_eq!(choose(Runtime::OnnxCpu, true, &all), FullInt8);
        assert_eq!(choose(Runtime::OnnxCpu, false, &all), Lite);
        assert_eq!(choose(Runtime::OnnxCpu, true, &[Lite, Full]), Lite);
        assert_eq!(choose(Runtime::OnnxCuda, false, &all), Full);
        assert_eq!(choose(Runtime::OnnxCuda, true, &[Lite]), Lite);
    }

    #[test]
    fn missing_file_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let missing = || {
            let network = LandmarkNetwork::FullInt8;
            let error = HandNetworks::load(directory.path(), network, &Settings::default()).err();
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
