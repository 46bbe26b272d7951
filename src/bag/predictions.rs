//! A model on a bag: every frame in order through the node's own path, preprocessing, classifier and decision, on the clock of the frames'
//! stamps. The same bag and the same model give the same predictions, to the bit.

use std::sync::mpsc;

use serde::Serialize;

use super::expected::Interval;
use super::image::{BagImage, TYPES};
use super::{Bag, BagError, Loss, Topic, secs_between};
use crate::classifier::ClassifierError;
use crate::dataset::Label;
use crate::decision::{DecisionSettings, GestureFilter, UnknownReason};
use crate::metrics::Confusion;
use crate::recognizer::Recognizer;

/// Of so many messages that are no images the reasons are kept.
const REASONS_KEPT: usize = 10;
/// Frames that are read before they are classified.
const FRAMES_AHEAD: usize = 8;

/// What a model made of one frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FramePrediction {
    /// The frame's time on the decision's clock, nanoseconds since the epoch: its stamp, or where that is zero the recorder's time.
    pub time_ns: i64,
    /// Index of the likeliest label.
    pub label: usize,
    /// Its smoothed probability, 0 to 1.
    pub confidence: f32,
    /// Why it is no prediction all the same, as `ThumbGesture.msg` has it; else empty.
    pub reason: &'static str,
    /// True where it can be acted on.
    pub stable: bool,
    /// One for each label of the model.
    pub probabilities: Vec<f32>,
}

/// What a model made of a bag.
#[derive(Clone, Debug, Serialize)]
pub struct BagPredictions {
    /// The topic.
    pub topic: String,
    /// One for each frame.
    pub frames: Vec<FramePrediction>,
    /// Messages that are no images.
    pub bad_frames: u64,
    /// What is wrong with the first of them.
    pub bad_reasons: Vec<String>,
    /// What could not be read of the bag.
    pub losses: Vec<Loss>,
}

/// How a bag's predictions compare with what it should show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Frames in the intervals.
    pub frames: usize,
    /// Those with the right gesture; one without a prediction is not right.
    pub correct: usize,
    /// `correct` / `frames`; none where there were no frames.
    pub accuracy: Option<f64>,
    /// What was taken for what: a row for each label, a column for each label and a last one for no prediction.
    pub confusion: Confusion,
    /// Each interval.
    pub intervals: Vec<IntervalAgreement>,
}

/// The same of one interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IntervalAgreement {
    /// Its beginning, seconds from the first frame.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// What is seen in it.
    pub label: String,
    /// Frames in it.
    pub frames: usize,
    /// Those with the right gesture.
    pub correct: usize,
    /// From its beginning to the first stable gesture that is right, seconds; none where there is none.
    pub stable_after: Option<f64>,
}

/// Why a bag was not classified.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyError {
    /// The bag's.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// The runtime's.
    #[error(transparent)]
    Classifier(#[from] ClassifierError),
}

/// The topic of a bag that holds its images: the one that is named, or the only one.
///
/// # Errors
/// No such topic, or several and none is named.
pub fn image_topic(bag: &Bag, named: Option<&str>) -> Result<Topic, BagError> {
    let mut topics = bag.topics()?;
    let known = list(&topics);
    if let Some(name) = named {
        let found = topics.into_iter().find(|topic| topic.name == name);
        return match found {
            Some(topic) if TYPES.contains(&topic.message.as_str()) => Ok(topic),
            Some(topic) => Err(BagError::NoTopic {
                topic: format!("{name} with images, it holds {}", topic.message),
                known,
            }),
            None => Err(BagError::NoTopic {
                topic: name.to_owned(),
                known,
            }),
        };
    }
    topics.retain(|topic| TYPES.contains(&topic.message.as_str()));
    match topics.as_slice() {
        [topic] => Ok(topic.clone()),
        [] => Err(BagError::NoTopic {
            topic: "with images".to_owned(),
            known,
        }),
        several => Err(BagError::NoTopic {
            topic: format!("named, and there are several with images: {}", list(several)),
            known,
        }),
    }
}

fn list(topics: &[Topic]) -> String {
    let named: Vec<String> = topics
        .iter()
        .map(|topic| format!("{} ({})", topic.name, topic.message))
        .collect();
    match named.is_empty() {
        true => "no messages at all".to_owned(),
        false => named.join(", "),
    }
}

/// Classifies every frame of a topic; `seen` is called after each. One thread reads ahead while this one classifies.
///
/// # Errors
/// A bag that is none, and the runtime's word. A message that is no image is counted and left out.
pub fn classify(
    bag: &Bag,
    topic: &Topic,
    recognizer: &mut Recognizer,
    settings: &DecisionSettings,
    mut seen: impl FnMut(&FramePrediction, &BagImage),
) -> Result<BagPredictions, ClassifyError> {
    let mut filter = GestureFilter::default();
    let mut predictions = BagPredictions {
        topic: topic.name.clone(),
        frames: Vec::new(),
        bad_frames: 0,
        bad_reasons: Vec::new(),
        losses: Vec::new(),
    };
    std::thread::scope(|scope| {
        let (sender, images) = mpsc::sync_channel(FRAMES_AHEAD);
        let reader = scope.spawn(move || {
            bag.read(&|found| found == topic, &mut |message| {
                let image = BagImage::read(message.topic, message.data);
                let sent = sender.send((message.time_ns, image));
                sent.map_err(|_| "nobody classifies any more".to_owned())
            })
        });
        for (recorded_ns, image) in images {
            let image = match image {
                Ok(image) => image,
                Err(error) => {
                    predictions.bad_frames += 1;
                    if predictions.bad_reasons.len() < REASONS_KEPT {
                        predictions.bad_reasons.push(error.to_string());
                    }
                    continue;
                }
            };
            let probabilities = recognizer.probabilities(&image.frame)?;
            let time_ns = image.time_ns(recorded_ns);
            let prediction = filter.update(settings, probabilities, time_ns as f64 * 1e-9);
            let prediction = FramePrediction {
                time_ns,
                label: prediction.label,
                confidence: prediction.confidence,
                reason: prediction.unknown_reason.map_or("", UnknownReason::reason),
                stable: prediction.stable,
                probabilities: probabilities.to_vec(),
            };
            seen(&prediction, &image);
            predictions.frames.push(prediction);
        }
        let read = reader
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        predictions.losses = read?;
        Ok(predictions)
    })
}

impl FramePrediction {
    /// The index of the label that is the gesture; none where there is no prediction.
    pub fn gesture(&self) -> Option<usize> {
        self.reason.is_empty().then_some(self.label)
    }
}

impl BagPredictions {
    /// The time of a frame, seconds from the first one.
    pub fn secs(&self, frame: &FramePrediction) -> f64 {
        let start_ns = self.frames.first().map_or(0, |first| first.time_ns);
        secs_between(start_ns, frame.time_ns)
    }

    /// How they compare with what the bag should show.
    pub fn agreement(&self, expected: &[Interval], labels: &[Label]) -> Agreement {
        let start_secs = self
            .frames
            .first()
            .map_or(0.0, |first| first.time_ns as f64 * 1e-9);
        let mut confusion = Confusion::with_unknown(labels.len());
        let interval = |interval: &Interval| {
            let interval = interval.from_start(start_secs);
            let truth = labels.iter().position(|label| label.as_str() == interval.label);
            let truth = truth.unwrap_or_default();
            let mut agreement = IntervalAgreement {
                from: interval.from,
                to: interval.to,
                label: interval.label.clone(),
                frames: 0,
                correct: 0,
                stable_after: None,
            };
            for frame in self
                .frames
                .iter()
                .filter(|frame| interval.holds(self.secs(frame)))
            {
                let seen = frame.gesture().unwrap_or(labels.len());
                confusion.count(truth, seen);
                agreement.frames += 1;
                if seen == truth {
                    agreement.correct += 1;
                    if frame.stable {
                        let after = self.secs(frame) - interval.from;
                        agreement.stable_after.get_or_insert(after);
                    }
                }
            }
            agreement
        };
        let intervals: Vec<IntervalAgreement> = expected.iter().map(interval).collect();
        let frames = intervals.iter().map(|interval| interval.frames).sum();
        let correct = intervals.iter().map(|interval| interval.correct).sum();
        Agreement {
            frames,
            correct,
            accuracy: (frames > 0).then(|| correct as f64 / frames as f64),
            confusion,
            intervals,
        }
    }
}
