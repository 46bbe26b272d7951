//! Classifies the frames of a bag as the node would, with the same recognizer and decision, with the recorder's clock for the arrivals.
//!
//! The same bag and the same model give the same predictions, bit for bit.

use std::sync::mpsc;

use serde::Serialize;

use super::frame_clock::FrameClock;
use super::image::{BagImage, is_image_topic};
use super::{Bag, BagError, DataLoss, ReasonCount, Topic, secs_between};
use crate::classifier::ClassifierError;
use crate::decision::{Decision, DecisionSettings, FrameInfo, GestureFilter, UnknownReason};
use crate::frame::RecentFrames;
use crate::recognizer::{Basis, Recognizer, Source};

/// Number of frames that are read in advance of the classifier.
const FRAMES_AHEAD: usize = 8;

/// The prediction and gesture of one frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FramePrediction {
    /// The stamp, nanoseconds since the epoch; if it is zero, the time of recording on the clock of the other stamps.
    pub time_ns: i64,
    /// Index of the label with the highest smoothed probability, or of the one kept by hysteresis.
    pub label: usize,
    /// The label's smoothed probability, 0 to 1.
    pub confidence: f32,
    /// Why the gesture is unknown, as in `ThumbGesture.msg`; empty if it is known.
    pub reason: &'static str,
    /// Whether the gesture is stable.
    pub stable: bool,
    /// Whether a hand was seen; false if the recognizer does not look for hands.
    pub hand: bool,
    /// The probabilities before smoothing, in the order of the model's labels.
    pub probabilities: Vec<f32>,
    /// What decided.
    pub recognizer: Basis,
    /// How much the frame resembles the training frames, 0 to 1; `None` if it was not measured.
    pub familiarity: Option<f32>,
}

/// The predictions for a bag.
#[derive(Clone, Debug, Serialize)]
pub struct BagPredictions {
    /// The name of the topic.
    pub topic: String,
    /// One prediction per valid frame.
    pub frames: Vec<FramePrediction>,
    /// The number of messages that are not valid images.
    pub bad_frames: u64,
    /// Why they are not valid.
    pub bad_reasons: Vec<ReasonCount>,
    /// What could not be read of the bag.
    pub losses: Vec<DataLoss>,
    /// The times of each frame, for [`BagPredictions::decide`].
    #[serde(skip)]
    pub(super) infos: Vec<FrameInfo>,
}

/// Why a bag could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyBagError {
    /// The bag cannot be read.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// The runtime failed.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
}

/// Classifies each frame of a topic, and calls `on_frame` after each. Frames are read and decoded in a second thread.
///
/// Messages that are not valid images are counted and skipped.
///
/// # Errors
/// The bag cannot be read, or the runtime failed.
pub fn classify_bag(
    bag: &Bag,
    topic: &Topic,
    recognizer: &mut Recognizer,
    settings: &DecisionSettings,
    mut on_frame: impl FnMut(&FramePrediction, &BagImage),
) -> Result<BagPredictions, ClassifyBagError> {
    // A bag does not depend on those before it.
    recognizer.forget_streams();
    let mut filter = GestureFilter::default();
    let mut clock = FrameClock::new(bag, topic);
    let mut recent_frames = RecentFrames::default();
    let mut predictions = BagPredictions {
        topic: topic.name.clone(),
        frames: Vec::new(),
        bad_frames: 0,
        bad_reasons: Vec::new(),
        losses: Vec::new(),
        infos: Vec::new(),
    };
    std::thread::scope(|scope| {
        let (sender, images) = mpsc::sync_channel(FRAMES_AHEAD);
        let reader = scope.spawn(move || {
            bag.read(&|found| is_image_topic(found, topic), &mut |message| {
                let image = BagImage::read(message.topic, message.data);
                let sent = sender.send((message.time_ns, image));
                sent.map_err(|_| "classification was stopped".to_owned())
            })
        });
        for (recorded_ns, image) in images {
            let image = match image {
                Ok(image) => image,
                Err(error) => {
                    predictions.bad_frames += 1;
                    ReasonCount::add(&mut predictions.bad_reasons, error.to_string());
                    continue;
                }
            };
            let classified = recognizer.classify_frame(Source::Stream(0), &image.frame)?;
            let repeats_pixels = settings.detect_frozen_camera && recent_frames.repeats(&image.frame);
            let info = FrameInfo {
                is_familiar: classified.is_familiar,
                ..FrameInfo::recorded(image.stamp_ns, recorded_ns, repeats_pixels)
            };
            let decision = filter.update(settings, classified.probabilities, &info);
            let prediction = FramePrediction {
                time_ns: clock.time_ns(image.stamp_ns, recorded_ns)?,
                label: decision.label,
                confidence: decision.confidence,
                reason: decision.unknown_reason.map_or("", UnknownReason::reason),
                stable: decision.is_stable,
                hand: !classified.hands.is_empty(),
                probabilities: classified.probabilities.to_vec(),
                recognizer: classified.basis,
                familiarity: classified.familiarity,
            };
            on_frame(&prediction, &image);
            predictions.frames.push(prediction);
            predictions.infos.push(info);
        }
        let read = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        predictions.losses = read?;
        Ok(predictions)
    })
}

impl FramePrediction {
    /// The index of the gesture's label; `None` if the gesture is unknown.
    pub fn gesture(&self) -> Option<usize> {
        self.reason.is_empty().then_some(self.label)
    }

    /// Whether the gesture is unknown because the frame is unfamiliar.
    pub fn is_unfamiliar(&self) -> bool {
        self.reason == UnknownReason::Unfamiliar.reason()
    }
}

impl BagPredictions {
    /// The decisions that other settings give for the same frames.
    pub(super) fn decide(&self, settings: DecisionSettings) -> impl Iterator<Item = Decision> {
        let mut filter = GestureFilter::default();
        let frames = self.frames.iter().zip(&self.infos);
        frames.map(move |(frame, info)| filter.update(&settings, &frame.probabilities, info))
    }

    /// The time of a frame, seconds from the first frame.
    pub fn secs(&self, frame: &FramePrediction) -> f64 {
        let start_ns = self.frames.first().map_or(0, |first| first.time_ns);
        secs_between(start_ns, frame.time_ns)
    }
}
