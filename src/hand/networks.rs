//! The palm detector and the hand landmark network.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use strum::{Display, EnumString, VariantNames};

use super::detector::{ANCHORS, BOX_VALUES, PALM_SIDE, Palm, anchors, decode};
use super::sampling::{Outside, sample};
use super::tiles::Tile;
use super::{Hand, LANDMARKS, Region};
use crate::classifier::onnx::OnnxNetwork;
use crate::classifier::settings::Settings;
use crate::classifier::{self, ClassifierError};
use crate::frame::Frame;
use crate::weights;

/// Width and height of the landmark network's input, in pixels.
const LANDMARK_SIDE: usize = 224;
/// Palms with a lower score are ignored. MediaPipe's limit is 0.5; here the landmark network decides, so that fewer hands are missed.
const MIN_PALM_SCORE: f32 = 0.3;

/// Names of the files, without the size.
const PALM_DETECTOR: &str = "palm_detection";
const LANDMARK_NETWORK: &str = "hand_landmark";
/// The networks that are used unless a caller loads others.
const INSTALLED_SIZE: Size = Size::Lite;

/// The size of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Size {
    /// The faster one.
    Lite,
    /// The more accurate one.
    #[default]
    Full,
}

/// Both networks with their buffers.
pub struct HandNetworks {
    palm_detector: OnnxNetwork,
    landmark_network: OnnxNetwork,
    anchors: Vec<[f32; 2]>,
    palm_input: Vec<f32>,
    boxes: Vec<f32>,
    scores: Vec<f32>,
    landmark_input: Vec<f32>,
    /// Time to compute inputs so far.
    pub(super) sampling_time: Duration,
    /// What runs the networks, as `<runtime>/<device>/<precision>`.
    pub backend: String,
    /// Why this backend was selected, including the failures of better ones; may be empty.
    pub reason: String,
}

impl HandNetworks {
    /// Loads the networks that are installed with this program. Both are the lite ones, with which a followed hand takes 5 ms.
    ///
    /// # Errors
    /// As for [`HandNetworks::load`].
    pub fn installed(settings: &Settings) -> Result<HandNetworks, ClassifierError> {
        HandNetworks::load(
            &HandNetworks::installed_directory(),
            INSTALLED_SIZE,
            INSTALLED_SIZE,
            settings,
        )
    }

    /// The files of the palm detector and the landmark network that [`HandNetworks::installed`] loads.
    pub fn installed_files() -> [PathBuf; 2] {
        let directory = HandNetworks::installed_directory();
        [PALM_DETECTOR, LANDMARK_NETWORK].map(|name| file(&directory, name, INSTALLED_SIZE))
    }

    fn installed_directory() -> PathBuf {
        weights::installed_directory().join("hand")
    }

    /// Loads the networks from a directory with the files that `scripts/convert_hand_models.py` writes, in fp32 with CUDA or on the CPU, and
    /// runs them once. On the CPU they run on one thread: with a busy second core, two threads are slower than one.
    ///
    /// # Errors
    /// ONNX Runtime or a file is missing, a file is damaged, or [`Settings::require_gpu`] is set and no GPU can be used.
    pub fn load(
        directory: &Path,
        palm_detector: Size,
        landmark_network: Size,
        settings: &Settings,
    ) -> Result<HandNetworks, ClassifierError> {
        let palm_detector = file(directory, PALM_DETECTOR, palm_detector);
        let landmark_network = file(directory, LANDMARK_NETWORK, landmark_network);
        for path in [&palm_detector, &landmark_network] {
            if !path.exists() {
                return Err(ClassifierError::NoHandNetwork(path.clone()));
            }
        }
        let settings = Settings {
            threads: 1,
            ..settings.clone()
        };
        let ((palm_detector, landmark_network, backend), reason) =
            classifier::load_without_store(&settings, |candidate| {
                Ok((
                    OnnxNetwork::load(&palm_detector, PALM_SIDE, candidate, &settings)?,
                    OnnxNetwork::load(&landmark_network, LANDMARK_SIDE, candidate, &settings)?,
                    candidate.backend(),
                ))
            })?;
        Ok(HandNetworks {
            palm_detector,
            landmark_network,
            anchors: anchors(),
            palm_input: vec![0.0; 3 * PALM_SIDE * PALM_SIDE],
            boxes: vec![0.0; ANCHORS * BOX_VALUES],
            scores: vec![0.0; ANCHORS],
            landmark_input: vec![0.0; 3 * LANDMARK_SIDE * LANDMARK_SIDE],
            sampling_time: Duration::ZERO,
            backend,
            reason,
        })
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

fn file(directory: &Path, name: &str, size: Size) -> PathBuf {
    directory.join(format!("{name}_{size}.onnx"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_file_is_named() {
        let directory = Path::new("no/such/directory");
        let error = HandNetworks::load(directory, Size::Lite, Size::Full, &Settings::default())
            .err()
            .expect("an error");
        let message = error.to_string();
        assert!(
            message.contains("no/such/directory/palm_detection_lite.onnx is missing"),
            "{message}"
        );
    }
}
