//! Stage beside those of the network: the hands in the frames, which are found once and cached like features.

use std::fs;
use std::path::PathBuf;
use std::thread;

use super::cache::{Entry, FeatureCache};
use super::features::LabeledFile;
use super::prepare::PreparedDataset;
use crate::all_cores;
use crate::classifier::settings::{Device, Settings};
use crate::disk;
use crate::frame::Frame;
use crate::gesture::Gesture;
use crate::hand::finder::HandFinder;
use crate::hand::rule::classify;
use crate::hand::{Hand, HandNetworks, Region};
use crate::model_store::ModelStore;
use crate::training::error::TrainingError;
use crate::training::progress::Progress;

/// Part of the cache key; change it when the code finds other hands with the same networks.
const VERSION: &[u8] = b"3";
/// Maximum number of threads that search hands; each has networks of its own.
const MAX_FINDERS: usize = 4;
/// Number of frames that each thread searches between two reports of the progress.
const FRAMES_PER_FINDER: usize = 4;

/// The surest hand of each frame, if it is certain.
pub(super) struct Hands {
    /// As an upright camera sees it.
    pub(super) upright: Vec<Option<Hand>>,
    /// Its crop.
    pub(super) crops: Vec<Option<Region>>,
    pub(super) camera_roll_deg: f32,
    /// A hash of everything but frame and camera roll that the hands depend on.
    pub(super) cache_key: String,
}

/// Finds the hands in all frames, in the parts of a frame that are searched in streams too; `None` if the networks for hands are not
/// installed.
///
/// # Errors
/// A frame cannot be read anymore, or ONNX Runtime failed.
pub(super) fn find_hands(
    store: &ModelStore,
    prepared: &PreparedDataset,
    camera_roll_deg: f32,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Option<Hands>, TrainingError> {
    // The GPU belongs to the node, which runs at the same time.
    let settings = Settings {
        device: Device::Cpu,
        ..Settings::default()
    };
    let networks = match HandNetworks::installed(&settings) {
        Ok(networks) => networks,
        Err(error) => {
            tracing::debug!("no landmarks are taught: {error}");
            return Ok(None);
        }
    };
    let key = cache_key(networks.files())?;
    let cache = FeatureCache::open(store.root(), &key, Hand::VALUES);
    let cached = |frame: usize| Some(cache.read(&prepared.fingerprint(frame).sha256, 1)?.rows);
    let mut values: Vec<Option<Vec<f32>>> = prepared.all_frames().into_iter().map(cached).collect();
    let missing: Vec<usize> = (0..values.len())
        .filter(|frame| values[*frame].is_none())
        .collect();
    let mut finders = vec![HandFinder::new(networks, 1)];
    while finders.len() < missing.len().min(all_cores()).min(MAX_FINDERS) {
        let networks = HandNetworks::installed(&settings).map_err(TrainingError::Hands)?;
        finders.push(HandFinder::new(networks, 1));
    }
    let mut is_cached = true;
    let mut done = values.len() - missing.len();
    for frames in missing.chunks(FRAMES_PER_FINDER * finders.len()) {
        for (&frame, rows) in frames.iter().zip(search(&mut finders, &prepared.files, frames)?) {
            let fingerprint = prepared.fingerprint(frame);
            let entry = Entry {
                thumbnail: fingerprint.thumbnail.clone(),
                rows,
            };
            // The training does not depend on the cache; the warning about features names the reason.
            is_cached = is_cached && cache.write(&fingerprint.sha256, &entry).is_ok();
            values[frame] = Some(entry.rows);
        }
        done += frames.len();
        on_progress(Progress::Hands {
            done,
            total: values.len(),
        });
    }
    let certain = |values: Vec<f32>| Hand::from_values(&values).filter(Hand::is_certain);
    let hands = values.into_iter().map(|values| values.and_then(certain));
    let hands: Vec<Option<Hand>> = hands.collect();
    let camera_roll = camera_roll_deg.to_radians();
    let crop = |hand: &Option<Hand>| hand.as_ref().map(|hand| hand.crop(camera_roll));
    let crops = hands.iter().map(crop).collect();
    let upright = |hand: Option<Hand>| hand.map(|hand| hand.upright(camera_roll));
    Ok(Some(Hands {
        crops,
        upright: hands.into_iter().map(upright).collect(),
        camera_roll_deg,
        cache_key: key,
    }))
}

/// The values of the surest hand of each frame, or zeros without one; each finder searches a share of the frames on a thread of its own.
fn search(
    finders: &mut [HandFinder],
    files: &[LabeledFile],
    frames: &[usize],
) -> Result<Vec<Vec<f32>>, TrainingError> {
    let find = |finder: &mut HandFinder, frame: &usize| {
        let image = Frame::from_file(&files[*frame].content)?;
        let hands = finder.search_as_in_streams(&image);
        let hands = hands.map_err(TrainingError::Hands)?;
        Ok(hands
            .first()
            .map_or_else(|| vec![0.0; Hand::VALUES], Hand::to_values))
    };
    let share = frames.len().div_ceil(finders.len());
    thread::scope(|scope| {
        let shares = finders.iter_mut().zip(frames.chunks(share));
        let workers: Vec<_> = shares
            .map(|(finder, frames)| {
                scope.spawn(|| -> Vec<Result<Vec<f32>, TrainingError>> {
                    frames.iter().map(|frame| find(finder, frame)).collect()
                })
            })
            .collect();
        let found = workers.into_iter().flat_map(|worker| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        found.collect()
    })
}

/// A hash of everything but the frame that its cached hands depend on. Other networks find other landmarks.
fn cache_key(networks: &[PathBuf; 2]) -> Result<String, TrainingError> {
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|cause| TrainingError::Io {
            path: path.clone(),
            cause,
        })
    };
    let [palm_detector, landmark_network] = networks;
    let networks = [read(palm_detector)?, read(landmark_network)?];
    Ok(disk::hash_key(&[b"hands", VERSION, &networks[0], &networks[1]]))
}

impl Hands {
    /// Adds the hands to the files of the frames, as the camera sees them.
    pub(super) fn add_to(&self, prepared: &mut PreparedDataset) {
        prepared.hands_key.clone_from(&self.cache_key);
        for (file, hand) in prepared.files.iter_mut().zip(&self.upright) {
            let as_seen = hand
                .as_ref()
                .map(|hand| hand.upright(-self.camera_roll_deg.to_radians()));
            file.hand = as_seen.map(|hand| hand.landmarks.iter().map(|[x, y, _]| [*x, *y]).collect());
        }
    }

    /// What the built-in recognizer finds in a frame.
    pub(super) fn gesture_by_rule(&self, frame: usize) -> Gesture {
        let thumb = self.upright[frame].as_ref().map(|hand| classify(hand, 0.0));
        let thumb = thumb.filter(|thumb| thumb.confidence > 0.5);
        thumb.map_or(Gesture::None, |thumb| thumb.gesture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_of_other_networks_are_not_taken_from_the_cache() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = ["palm", "landmarks"].map(|name| directory.path().join(name));
        let key = |contents: [&str; 2]| {
            for (file, content) in files.iter().zip(contents) {
                fs::write(file, content).expect("writes");
            }
            cache_key(&files).expect("reads")
        };
        let lite = key(["palm", "lite"]);
        assert_eq!(lite, key(["palm", "lite"]));
        assert_ne!(lite, key(["palm", "full"]));
    }
}
