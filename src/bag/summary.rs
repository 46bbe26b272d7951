//! What the evaluations of many bags add up to. Parts that were evaluated apart, on several machines, are merged to the same summary as all
//! bags at once, bit for bit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::agreement::Agreement;
use super::false_thumbs::FalseThumbs;
use super::predictions::BagPredictions;
use crate::dataset::Label;
use crate::disk::hex;
use crate::metrics::ConfusionMatrix;

/// Maximum number of parts.
const MAX_SHARDS: usize = 100_000;

/// One of several parts of a list of bags, written as `2/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Shard {
    /// 1 to `count`.
    number: usize,
    count: usize,
}

/// A part of a list of bags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Which one.
    shard: Shard,
    /// The number of bags in the list.
    bags: usize,
    /// SHA-256 of their paths: all parts must be of the same list.
    list: String,
}

/// What an evaluation had to be the same in to be merged with another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Id of the model.
    pub model_id: String,
    /// What ran it, such as `onnx/cpu/int8`.
    pub backend: String,
    /// The model's labels.
    pub labels: Vec<Label>,
    /// The decision's settings, as the command line names them.
    pub settings: BTreeMap<String, String>,
}

/// The evaluation of one bag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BagSummary {
    /// Its path.
    pub bag: String,
    /// The name of the topic; empty after an error.
    pub topic: String,
    /// The number of frames.
    pub frames: usize,
    /// The number of these without a gesture.
    pub unknown: usize,
    /// The number of messages that are not valid images.
    pub bad_frames: u64,
    /// What could not be read, as sentences.
    pub losses: Vec<String>,
    /// The comparison with the expected labels; `None` without any.
    pub agreement: Option<Agreement>,
    /// Why the bag could not be evaluated.
    pub error: Option<String>,
}

/// The sums over all bags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// The number of bags.
    pub bags: usize,
    /// The number of bags that could not be evaluated.
    pub failed: usize,
    /// The number of bags of which a part could not be read, or that have messages that are not valid images.
    pub damaged: usize,
    /// The number of frames.
    pub frames: usize,
    /// The number of frames that were compared with an expected label.
    pub compared: usize,
    /// The number of these with the expected gesture.
    pub correct: usize,
    /// `correct` / `compared`; `None` without such frames.
    pub accuracy: Option<f64>,
    /// The confusion matrix: a row for each expected label, a column for each label and a last one for unknown.
    pub confusion: ConfusionMatrix,
    /// The thumbs where other labels are expected; `None` if none are.
    pub false_thumbs: Option<FalseThumbs>,
}

/// The evaluations of bags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What they have in common.
    pub setup: Setup,
    /// Which part of a list of bags this is; `None` for all of it.
    pub part: Option<Part>,
    /// Each bag, sorted by its path.
    pub bags: Vec<BagSummary>,
    /// The sums.
    pub totals: Totals,
}

/// A recording that is worse than before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Regression {
    /// Its path.
    pub bag: String,
    /// The accuracy before.
    pub before: f64,
    /// The accuracy now; 0 if it can no longer be evaluated.
    pub now: f64,
}

/// Why a part of a list is not valid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a part and the number of parts, such as 2/8, at most 100000 parts")]
pub struct ShardError;

/// Why summaries cannot be merged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("no summaries")]
    Nothing,
    /// The evaluations differ in more than the bags.
    #[error("{0}; evaluate all parts with the same model, precision and settings")]
    Setup(String),
    /// A bag was evaluated twice, with different results.
    #[error(
        "{bag} has different results in two summaries; evaluate it again, with --precision fp32 if the machines have different CPUs"
    )]
    Different {
        /// The bag.
        bag: String,
    },
    /// The parts are of lists that were divided differently.
    #[error("{0} and {1} are parts of different divisions; give all parts of one of them")]
    Divisions(Shard, Shard),
    /// The parts are of different lists.
    #[error("parts {first} and {other} are of different lists of bags, {first_bags} and {other_bags}; evaluate all parts with the same list", first = .0.shard, other = .1.shard, first_bags = .0.bags, other_bags = .1.bags)]
    Lists(Part, Part),
    /// Some parts were not given.
    #[error("missing: part {0}; evaluate it, or give its file")]
    Missing(String),
}

impl Shard {
    /// Whether the bag with this index in the sorted list is in this part.
    pub fn contains(self, index: usize) -> bool {
        index % self.count == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let (number, count) = text.split_once('/').ok_or(ShardError)?;
        let number = number.parse().map_err(|_| ShardError)?;
        let count = count.parse().map_err(|_| ShardError)?;
        match (1..=count).contains(&number) && count <= MAX_SHARDS {
            true => Ok(Shard { number, count }),
            false => Err(ShardError),
        }
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Shard, ShardError> {
        text.parse()
    }
}

impl Part {
    /// A part of the bags with these paths.
    pub fn new(shard: Shard, bags: &[PathBuf]) -> Part {
        let mut hasher = Sha256::new();
        for bag in bags {
            hasher.update(bag.as_os_str().as_encoded_bytes());
            hasher.update([0]);
        }
        Part {
            shard,
            bags: bags.len(),
            list: hex(&hasher.finalize()),
        }
    }
}

impl BagSummary {
    /// What was found in a bag.
    pub fn new(
        bag: String,
        predictions: &BagPredictions,
        agreement: Option<Agreement>,
        losses: Vec<String>,
    ) -> BagSummary {
        let unknown = predictions
            .frames
            .iter()
            .filter(|frame| frame.gesture().is_none());
        BagSummary {
            bag,
            topic: predictions.topic.clone(),
            frames: predictions.frames.len(),
            unknown: unknown.count(),
            bad_frames: predictions.bad_frames,
            losses,
            agreement,
            error: None,
        }
    }

    /// A bag that could not be evaluated.
    pub fn failed(bag: String, error: String) -> BagSummary {
        BagSummary {
            bag,
            topic: String::new(),
            frames: 0,
            unknown: 0,
            bad_frames: 0,
            losses: Vec::new(),
            agreement: None,
            error: Some(error),
        }
    }

    /// Whether frames of it were compared with expected labels.
    pub fn is_compared(&self) -> bool {
        self.agreement
            .as_ref()
            .is_some_and(|agreement| agreement.frames > 0)
    }

    /// The accuracy; 0 if the bag could not be evaluated, `None` if nothing was expected of it.
    pub fn accuracy(&self) -> Option<f64> {
        match &self.agreement {
            Some(agreement) => agreement.accuracy,
            None => self.error.as_ref().map(|_| 0.0),
        }
    }
}

impl Summary {
    /// The summary of bags.
    pub fn new(setup: Setup, part: Option<Part>, mut bags: Vec<BagSummary>) -> Summary {
        bags.sort_by(|a, b| a.bag.cmp(&b.bag));
        Summary {
            totals: Totals::new(&bags, setup.labels.len()),
            setup,
            part,
            bags,
        }
    }

    /// The summary of all bags of several summaries. A part, or a bag, may be there several times.
    ///
    /// # Errors
    /// The evaluations differ in more than the bags, a bag has different results, or a part is missing.
    pub fn merge(parts: impl IntoIterator<Item = Summary>) -> Result<Summary, MergeError> {
        let mut parts = parts.into_iter();
        let Summary {
            setup,
            part: first,
            bags,
            ..
        } = parts.next().ok_or(MergeError::Nothing)?;
        let mut known_parts: BTreeSet<Part> = first.into_iter().collect();
        let mut all: BTreeMap<String, BagSummary> =
            bags.into_iter().map(|bag| (bag.bag.clone(), bag)).collect();
        for part in parts {
            if let Some(difference) = setup.difference(&part.setup) {
                return Err(MergeError::Setup(difference));
            }
            known_parts.extend(part.part);
            for bag in part.bags {
                let known = all.entry(bag.bag.clone()).or_insert_with(|| bag.clone());
                if *known != bag {
                    return Err(MergeError::Different { bag: bag.bag });
                }
            }
        }
        check_complete(&known_parts)?;
        Ok(Summary::new(setup, None, all.into_values().collect()))
    }

    /// The bags of which something was expected, the one with the lowest accuracy first.
    pub fn worst(&self) -> Vec<(&BagSummary, f64)> {
        let compared = self.bags.iter().filter_map(|bag| Some((bag, bag.accuracy()?)));
        let mut compared: Vec<(&BagSummary, f64)> = compared.collect();
        compared.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        compared
    }

    fn compared(&self) -> impl Iterator<Item = &str> {
        let compared = self.bags.iter().filter(|bag| bag.accuracy().is_some());
        compared.map(|bag| bag.bag.as_str())
    }

    /// The bags that were compared with expected labels in an earlier summary, and are not any more.
    pub fn no_longer_compared<'a>(&self, before: &'a Summary) -> Vec<&'a str> {
        let now: BTreeSet<&str> = self.compared().collect();
        before.compared().filter(|bag| !now.contains(bag)).collect()
    }

    /// The bags whose accuracy is lower than in an earlier summary, the one that has lost most first.
    pub fn regressions(&self, before: &Summary) -> Vec<Regression> {
        let before: BTreeMap<&str, f64> = before
            .bags
            .iter()
            .filter_map(|bag| Some((bag.bag.as_str(), bag.accuracy()?)))
            .collect();
        let regression = |bag: &BagSummary| {
            let (before, now) = (*before.get(bag.bag.as_str())?, bag.accuracy()?);
            (now < before).then(|| Regression {
                bag: bag.bag.clone(),
                before,
                now,
            })
        };
        let mut found: Vec<Regression> = self.bags.iter().filter_map(regression).collect();
        found.sort_by(|a, b| (b.before - b.now).total_cmp(&(a.before - a.now)));
        found
    }
}

/// # Errors
/// A part is missing, or of another list.
fn check_complete(parts: &BTreeSet<Part>) -> Result<(), MergeError> {
    let Some(first) = parts.first() else {
        return Ok(());
    };
    let count = first.shard.count;
    if let Some(other) = parts.iter().find(|part| part.shard.count != count) {
        return Err(MergeError::Divisions(first.shard, other.shard));
    }
    if let Some(other) = parts.iter().find(|part| part.list != first.list) {
        return Err(MergeError::Lists(first.clone(), other.clone()));
    }
    let given: BTreeSet<usize> = parts.iter().map(|part| part.shard.number).collect();
    let missing: Vec<String> = (1..=count)
        .filter(|number| !given.contains(number))
        .map(|number| Shard { number, count }.to_string())
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(MergeError::Missing(missing.join(", ")))
    }
}

impl Setup {
    /// What another setup differs in.
    fn difference(&self, other: &Setup) -> Option<String> {
        if self.model_id != other.model_id || self.labels != other.labels {
            return Some(format!(
                "the models differ: {} and {}",
                self.model_id, other.model_id
            ));
        }
        if self.backend != other.backend {
            return Some(format!(
                "the runtimes differ: {} and {}",
                self.backend, other.backend
            ));
        }
        let mut settings = self.settings.iter();
        let different = settings.find(|(name, value)| other.settings.get(*name) != Some(value));
        different.map(|(name, value)| match other.settings.get(name) {
            Some(other) => format!("{name} differs: {value} and {other}"),
            None => format!("{name} is missing in one"),
        })
    }
}

impl Totals {
    fn new(bags: &[BagSummary], labels: usize) -> Totals {
        let mut confusion = ConfusionMatrix::with_unknown(labels);
        let agreements = || bags.iter().filter_map(|bag| bag.agreement.as_ref());
        for agreement in agreements() {
            confusion.add(&agreement.confusion);
        }
        let compared = agreements().map(|agreement| agreement.frames).sum();
        let correct = agreements().map(|agreement| agreement.correct).sum();
        let is_damaged = |bag: &&BagSummary| bag.bad_frames > 0 || !bag.losses.is_empty();
        Totals {
            bags: bags.len(),
            failed: bags.iter().filter(|bag| bag.error.is_some()).count(),
            damaged: bags.iter().filter(is_damaged).count(),
            frames: bags.iter().map(|bag| bag.frames).sum(),
            compared,
            correct,
            accuracy: (compared > 0).then(|| correct as f64 / compared as f64),
            confusion,
            false_thumbs: FalseThumbs::sum(
                agreements().filter_map(|agreement| agreement.false_thumbs.as_ref()),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Setup {
        Setup {
            model_id: "alexnet-1".to_owned(),
            backend: "onnx/cpu/fp32".to_owned(),
            labels: ["none", "thumbs_up"]
                .map(|name| Label::new(name).expect("a label"))
                .into(),
            settings: BTreeMap::from([("threshold".to_owned(), "0.5".to_owned())]),
        }
    }

    /// A bag with frames of thumbs up, some of which are right.
    fn bag(name: &str, frames: usize, correct: usize) -> BagSummary {
        let mut confusion = ConfusionMatrix::with_unknown(2);
        for frame in 0..frames {
            confusion.count(1, if frame < correct { 1 } else { 2 });
        }
        let agreement = Agreement {
            frames,
            correct,
            accuracy: confusion.accuracy(),
            unfamiliar: 0,
            familiar_accuracy: confusion.accuracy(),
            confusion,
            intervals: Vec::new(),
            false_thumbs: Some(FalseThumbs::new(0.1 * frames as f64, frames, 1, correct % 2)),
            recommended: None,
        };
        BagSummary {
            bag: name.to_owned(),
            topic: "/camera".to_owned(),
            frames,
            unknown: frames - correct,
            bad_frames: 0,
            losses: Vec::new(),
            agreement: Some(agreement),
            error: None,
        }
    }

    fn shard(text: &str) -> Shard {
        text.parse().expect("a part")
    }

    fn bags() -> Vec<BagSummary> {
        (0..10)
            .map(|index| bag(&format!("bag_{index}"), 30 + index, 3 * index))
            .collect()
    }

    fn list() -> Vec<PathBuf> {
        bags().into_iter().map(|bag| bag.bag.into()).collect()
    }

    fn parts(count: usize) -> Vec<Summary> {
        let part = |number: usize| {
            let shard = Shard { number, count };
            let bags = bags().into_iter().enumerate();
            let own = bags
                .filter(|(index, _)| shard.contains(*index))
                .map(|(_, bag)| bag);
            Summary::new(setup(), Some(Part::new(shard, &list())), own.collect())
        };
        (1..=count).map(part).collect()
    }

    #[test]
    fn merged_parts_equal_the_whole_bit_for_bit_also_through_a_file() {
        let whole = serde_json::to_string(&Summary::new(setup(), None, bags())).expect("JSON");
        for count in [1, 3, 10, 14] {
            // In another order, and one of them twice, as a worker that was believed dead delivers it.
            let mut parts = parts(count);
            parts.reverse();
            parts.push(parts[0].clone());
            let read = parts.iter().map(|part| {
                let text = serde_json::to_string(part).expect("JSON");
                serde_json::from_str::<Summary>(&text).expect("a summary")
            });
            let merged = Summary::merge(read).expect("merges");
            assert_eq!(
                serde_json::to_string(&merged).expect("JSON"),
                whole,
                "{count} parts"
            );
        }
    }

    #[test]
    fn missing_and_different_parts_are_named() {
        let mut some = parts(4);
        some.remove(2);
        let error = Summary::merge(some.clone()).expect_err("one is missing");
        assert_eq!(
            error.to_string(),
            "missing: part 3/4; evaluate it, or give its file"
        );
        let mut other = parts(4).swap_remove(2);
        other.part = Some(Part::new(shard("3/4"), &list()[1..]));
        let error = Summary::merge(some.iter().cloned().chain([other])).expect_err("another list");
        assert!(
            error.to_string().contains("different lists of bags, 10 and 9"),
            "{error}"
        );
        some.extend(parts(5));
        assert_eq!(
            Summary::merge(some),
            Err(MergeError::Divisions(shard("1/4"), shard("1/5")))
        );
        let mut different = parts(2);
        different[1]
            .setup
            .settings
            .insert("threshold".to_owned(), "0.6".to_owned());
        let error = Summary::merge(different).expect_err("other settings").to_string();
        assert!(error.starts_with("threshold differs: 0.5 and 0.6; "), "{error}");
        let changed = Summary::new(setup(), None, vec![bag("bag_0", 30, 7)]);
        let error = Summary::merge(parts(1).into_iter().chain([changed])).expect_err("other results");
        assert_eq!(
            error,
            MergeError::Different {
                bag: "bag_0".to_owned()
            }
        );
        assert_eq!(Summary::merge([]), Err(MergeError::Nothing));
    }

    #[test]
    fn worst_recordings_and_what_became_worse_come_first() {
        let broken = BagSummary::failed("broken".to_owned(), "not a bag".to_owned());
        let before = Summary::new(
            setup(),
            None,
            vec![bag("a", 10, 9), bag("b", 10, 10), bag("broken", 10, 5)],
        );
        let now = Summary::new(setup(), None, vec![bag("a", 10, 8), bag("b", 10, 2), broken]);
        let worst: Vec<&str> = now.worst().iter().map(|(bag, _)| bag.bag.as_str()).collect();
        assert_eq!(worst, ["broken", "b", "a"]);
        let regressions = now.regressions(&before);
        let lost: Vec<(&str, f64)> = regressions
            .iter()
            .map(|found| (found.bag.as_str(), found.now))
            .collect();
        assert_eq!(lost, [("b", 0.2), ("broken", 0.0), ("a", 0.8)]);
        assert_eq!(
            (now.totals.failed, now.totals.compared, now.totals.correct),
            (1, 20, 10)
        );
    }

    #[test]
    fn shard_is_a_part_and_the_number_of_parts() {
        for text in ["0/3", "4/3", "1", "1/0", "-1/3", "1/100001", "a/b", "1/3/2", ""] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text}");
        }
        let covered: Vec<bool> = (0..7).map(|index| shard("2/3").contains(index)).collect();
        assert_eq!(covered, [false, true, false, false, true, false, false]);
    }
}
