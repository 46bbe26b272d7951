//! The palm detector and the hand landmark network.

use std::path::Path;
use std::time::{Duration, Instant};

use strum::{Display, EnumString, VariantNames};

use super::detector::{ANCHORS, BOX_VALUES, PALM_SIDE, Palm, anchors, decode};
use super::sampling::{Outside, sample};
use super::tiles::Tile;
use super::{Hand, LANDMARKS, Region};
use crate::classifier::ClassifierError;
use crate::classifier::onnx::OnnxNetwork;
use crate::frame::Frame;
use crate::weights;

/// Width and height of the landmark network's input, in pixels.
const LANDMARK_SIDE: usize = 224;
/// Palms with a lower score are ignored. MediaPipe's limit is 0.5; here the landmark network decides, so that fewer hands are missed.
const MIN_PALM_SCORE: f32 = 0.3;

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
}

impl HandNetworks {
    /// Loads the networks that are installed with this program. Both are the lite ones, with which a followed hand takes 5 ms, and on one
    /// thread: with a busy second core, two threads are slower than one.
    ///
    /// # Errors
    /// As for [`HandNetworks::load`].
    pub fn installed() -> Result<HandNetworks, ClassifierError> {
        let directory = weights::installed_directory().join("hand");
        HandNetworks::load(&directory, Size::Lite, Size::Lite, 1)
    }

    /// Loads the networks from a directory with the files that `scripts/convert_hand_models.py` writes.
    ///
    /// # Errors
    /// ONNX Runtime or a file is missing, or a file is damaged.
    pub fn load(
        directory: &Path,
        palm_detector: Size,
        landmark_network: Size,
        threads: usize,
    ) -> Result<HandNetworks, ClassifierError> {
        let load = |name: &str, size: Size, side: usize| {
            let path = directory.join(format!("{name}_{size}.onnx"));
            if !path.exists() {
                return Err(ClassifierError::NoHandNetwork(path));
            }
            OnnxNetwork::load(&path, side, threads)
        };
        Ok(HandNetworks {
            palm_detector: load("palm_detection", palm_detector, PALM_SIDE)?,
            landmark_network: load("hand_landmark", landmark_network, LANDMARK_SIDE)?,
            anchors: anchors(),
            palm_input: vec![0.0; 3 * PALM_SIDE * PALM_SIDE],
            boxes: vec![0.0; ANCHORS * BOX_VALUES],
            scores: vec![0.0; ANCHORS],
            landmark_input: vec![0.0; 3 * LANDMARK_SIDE * LANDMARK_SIDE],
            sampling_time: Duration::ZERO,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_file_is_named() {
        let directory = Path::new("no/such/directory");
        let error = HandNetworks::load(directory, Size::Lite, Size::Full, 1)
            .err()
            .expect("an error");
        let message = error.to_string();
        assert!(
            message.contains("no/such/directory/palm_detection_lite.onnx is missing"),
            "{message}"
        );
    }
}
