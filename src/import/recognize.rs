//! Finds the network in a file by the names and shapes of its tensors.
//!
//! Trainings wrap networks, and each wrapper adds parts to the names of the tensors: `module` of `DataParallel`, `_orig_mod` of
//! `torch.compile`, `model` of a Lightning module, `state_dict` of a checkpoint, `ema` of an averaged copy. No list of wrappers is
//! needed: a tensor stands for a parameter if its name ends with that of the parameter, apart from parts that no parameter of the
//! network has. What precedes it is the prefix, and the tensors with the same prefix must match all parameters of a network.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use strum::{IntoEnumIterator, VariantNames};

use super::{IMAGENET_CLASSES, ImportError};
use crate::network::{Architecture, Network, parameters};
use crate::text::printable;
use crate::weights::ParameterSpec;
use crate::weights::listing::{Listing, TensorInfo};

/// Number of tensors that an error message lists.
const MAX_LISTED: usize = 6;
/// Number of first parts of names that an error message lists.
const MAX_PARTS: usize = 20;
/// Maximum number of parts before the name of a parameter.
const MAX_PREFIX_PARTS: usize = 16;
/// Number of prefixes of a network that are compared in search of the closest one.
const MAX_COMPARED: usize = 4;

/// A network in a file.
#[derive(Debug)]
pub(super) struct Recognized {
    /// With the outputs of the file.
    pub(super) network: Network,
    /// False for a backbone alone.
    pub(super) has_classifier: bool,
    /// What precedes the names of the parameters, without the last dot.
    pub(super) prefix: String,
    /// Name in the file and name in the network of each parameter.
    pub(super) names: BTreeMap<String, String>,
}

/// The networks in a file, at least one. With `prefix` only the tensors under it are considered; `.` stands for the names without
/// any prefix.
///
/// # Errors
/// The tensors do not match any supported network; the error names the closest one.
pub(super) fn recognize(
    path: &Path,
    listing: &Listing,
    prefix: Option<&str>,
) -> Result<Vec<Recognized>, ImportError> {
    let tensors = match prefix {
        Some(prefix) => under_prefix(path, listing, prefix)?,
        None => listing.tensors.iter().collect(),
    };
    let patterns = Pattern::all();
    let found: Vec<Hits> = patterns
        .iter()
        .map(|pattern| pattern.find(&tensors, Place::Together))
        .collect();
    let mut complete = complete_fits(&patterns, &found, &tensors);
    let explained: HashSet<usize> = complete.iter().flat_map(Fit::used).collect();
    if prefix == Some(".") {
        complete.retain(|fit| fit.prefix.is_empty());
    }
    complete.retain(|fit| fit.unexpected(&tensors, &explained).is_empty());
    if complete.is_empty() && prefix != Some(".") {
        complete = divided_fits(&patterns, &tensors);
    }
    if complete.is_empty() {
        return Err(rejection(path, &patterns, &found, &tensors, &explained));
    }
    complete.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    Ok(complete.iter().map(|fit| fit.recognized(&tensors)).collect())
}

/// The networks for all of whose parameters tensors stand, or for all of the backbone's.
fn complete_fits(patterns: &[Pattern], found: &[Hits], tensors: &[&TensorInfo]) -> Vec<Fit> {
    let mut complete: Vec<Fit> = Vec::new();
    for (pattern, hits) in patterns.iter().zip(found) {
        let candidates = hits
            .iter()
            .filter(|(_, hits)| hits.len() >= pattern.feature_parameters);
        for (prefix, hits) in candidates {
            let fit = Fit::new(pattern, prefix, hits, tensors);
            if fit.is_complete(tensors) {
                complete.push(fit);
            }
        }
    }
    // A backbone with a linear classifier also contains the backbone alone.
    let parts: Vec<(String, usize)> = complete
        .iter()
        .map(|fit| (fit.prefix.clone(), fit.used().count()))
        .collect();
    complete.retain(|fit| {
        let is_larger =
            |(prefix, used): &(String, usize)| *prefix == fit.prefix && *used > fit.used().count();
        !parts.iter().any(is_larger)
    });
    complete
}

/// The networks whose backbone and classifier have different prefixes, such as `backbone` and `head`.
fn divided_fits(patterns: &[Pattern], tensors: &[&TensorInfo]) -> Vec<Fit> {
    let found: Vec<Hits> = patterns
        .iter()
        .map(|pattern| pattern.find(tensors, Place::Divided))
        .collect();
    let mut fits = complete_fits(patterns, &found, tensors);
    let explained: HashSet<usize> = fits.iter().flat_map(Fit::used).collect();
    fits.retain(|fit| fit.has_any_classifier() && fit.unexpected(tensors, &explained).is_empty());
    // What precedes the longest common prefix is a prefix too.
    fits.sort_by_key(|fit| std::cmp::Reverse(fit.prefix.len()));
    let mut longest: Vec<Fit> = Vec::new();
    for fit in fits {
        if !longest.iter().any(|other| other.tensors == fit.tensors) {
            longest.push(fit);
        }
    }
    longest
}

fn under_prefix<'l>(
    path: &Path,
    listing: &'l Listing,
    prefix: &str,
) -> Result<Vec<&'l TensorInfo>, ImportError> {
    let prefix = prefix.trim_end_matches('.');
    let is_under = |tensor: &&TensorInfo| {
        prefix.is_empty()
            || tensor
                .name
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with('.'))
    };
    let tensors: Vec<&TensorInfo> = listing.tensors.iter().filter(is_under).collect();
    if tensors.is_empty() {
        let first_part = |tensor: &TensorInfo| tensor.name.split('.').next().unwrap_or_default().to_owned();
        let parts: BTreeSet<String> = listing.tensors.iter().map(first_part).collect();
        let known: Vec<String> = parts.iter().take(MAX_PARTS).map(|part| printable(part)).collect();
        return Err(ImportError::UnknownPrefix {
            path: path.to_owned(),
            prefix: prefix.to_owned(),
            known: known.join(", "),
        });
    }
    Ok(tensors)
}

/// For each prefix, the tensors that can stand for a parameter: index of the tensor, index of the parameter.
type Hits = HashMap<String, Vec<(usize, usize)>>;

/// Where the tensors of a network are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first part after the prefix is that of a parameter.
    Together,
    /// Other parts may follow the prefix, and not the same ones for each tensor.
    Divided,
}

/// A network to search for, with torchvision's classifier or with a linear one.
struct Pattern {
    architecture: Architecture,
    is_linear: bool,
    /// Index of each parameter by its name.
    parameters: HashMap<String, usize>,
    /// Number of parameters before the classifier.
    feature_parameters: usize,
    /// The parts of all names.
    parts: HashSet<String>,
    /// Name of the last layer.
    last_layer: String,
}

impl Pattern {
    fn all() -> Vec<Pattern> {
        Architecture::iter()
            .flat_map(|architecture| [false, true].map(|is_linear| Pattern::new(architecture, is_linear)))
            .collect()
    }

    fn new(architecture: Architecture, is_linear: bool) -> Pattern {
        let network = network(architecture, is_linear, 1);
        let names: Vec<String> = parameters(&network.layers)
            .into_iter()
            .map(|parameter| parameter.name)
            .collect();
        let last_layer = names.last().and_then(|name| Some(name.rsplit_once('.')?.0));
        Pattern {
            architecture,
            is_linear,
            feature_parameters: parameters(network.features()).len(),
            parts: names
                .iter()
                .flat_map(|name| name.split('.').map(str::to_owned))
                .collect(),
            last_layer: last_layer.unwrap_or_default().to_owned(),
            parameters: names.into_iter().zip(0..).collect(),
        }
    }

    fn find(&self, tensors: &[&TensorInfo], place: Place) -> Hits {
        let mut hits = Hits::new();
        for (index, tensor) in tensors.iter().enumerate() {
            let parts: Vec<&str> = tensor.name.split('.').collect();
            for start in 0..parts.len().min(MAX_PREFIX_PARTS) {
                if let Some(parameter) = self.parameter(&parts[start..], place) {
                    let prefix = parts[..start].join(".");
                    hits.entry(prefix).or_default().push((index, parameter));
                }
            }
        }
        hits
    }

    /// The parameter for which a tensor with this name stands. The name may have additional parts in between.
    fn parameter(&self, parts: &[&str], place: Place) -> Option<usize> {
        let (first, leaf) = (*parts.first()?, *parts.last()?);
        // A foreign last part is another value than the parameter, such as the scale of a quantization.
        let is_foreign = place == Place::Together && !self.parts.contains(first);
        if is_foreign || !self.parts.contains(leaf) {
            return None;
        }
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let known: Vec<&str> = parts
            .iter()
            .copied()
            .filter(|part| self.parts.contains(*part) || is_number(part))
            .collect();
        let name = known.join(".");
        if let Some(parameter) = self.parameters.get(&name) {
            return Some(*parameter);
        }
        // The last layer may be in a Sequential, usually after a dropout. Several layers there stand for the same parameter, which
        // makes the network incomplete.
        let rest = name.strip_prefix(&self.last_layer)?.strip_prefix('.')?;
        let (numbers, leaf) = rest.rsplit_once('.')?;
        if !numbers.split('.').all(is_number) {
            return None;
        }
        self.parameters
            .get(&format!("{}.{leaf}", self.last_layer))
            .copied()
    }
}

fn network(architecture: Architecture, is_linear: bool, outputs: usize) -> Network {
    let network = Network::new(architecture, outputs);
    if is_linear {
        network.with_linear_classifier()
    } else {
        network
    }
}

/// A network, and the tensors with one prefix that stand for its parameters.
struct Fit {
    network: Network,
    is_linear: bool,
    prefix: String,
    parameters: Vec<ParameterSpec>,
    /// Number of parameters before the classifier.
    feature_parameters: usize,
    /// The tensor for each parameter.
    tensors: Vec<Option<usize>>,
    /// The parameters for which several tensors stand.
    ambiguous: HashSet<usize>,
}

impl Fit {
    fn new(pattern: &Pattern, prefix: &str, hits: &[(usize, usize)], tensors: &[&TensorInfo]) -> Fit {
        let mut chosen = vec![None; pattern.parameters.len()];
        let mut ambiguous = HashSet::new();
        for (tensor, parameter) in hits {
            if chosen[*parameter].is_some() {
                ambiguous.insert(*parameter);
            }
            chosen[*parameter].get_or_insert(*tensor);
        }
        let last = chosen.last().copied().flatten();
        let outputs = last.and_then(|tensor| tensors[tensor].shape.first().copied());
        let outputs = outputs.unwrap_or(IMAGENET_CLASSES).max(1);
        let network = network(pattern.architecture, pattern.is_linear, outputs);
        Fit {
            parameters: parameters(&network.layers),
            feature_parameters: pattern.feature_parameters,
            network,
            is_linear: pattern.is_linear,
            prefix: prefix.to_owned(),
            tensors: chosen,
            ambiguous,
        }
    }

    fn used(&self) -> impl Iterator<Item = usize> {
        self.tensors.iter().flatten().copied()
    }

    fn is_matched(&self, parameter: usize, tensors: &[&TensorInfo]) -> bool {
        self.tensors[parameter]
            .is_some_and(|tensor| tensors[tensor].shape == self.parameters[parameter].shape)
    }

    fn matched(&self, tensors: &[&TensorInfo]) -> usize {
        let all = 0..self.parameters.len();
        all.filter(|parameter| self.is_matched(*parameter, tensors))
            .count()
    }

    fn has_features(&self, tensors: &[&TensorInfo]) -> bool {
        (0..self.feature_parameters).all(|parameter| self.is_matched(parameter, tensors))
    }

    fn has_any_classifier(&self) -> bool {
        self.tensors[self.feature_parameters..]
            .iter()
            .any(Option::is_some)
    }

    fn has_classifier(&self, tensors: &[&TensorInfo]) -> bool {
        let mut classifier = self.feature_parameters..self.parameters.len();
        classifier.all(|parameter| self.is_matched(parameter, tensors))
    }

    /// Whether all parameters are there, or all of the backbone and none of the classifier.
    fn is_complete(&self, tensors: &[&TensorInfo]) -> bool {
        let is_backbone = !self.is_linear && !self.has_any_classifier();
        self.ambiguous.is_empty()
            && self.has_features(tensors)
            && (is_backbone || self.has_classifier(tensors))
    }

    /// Tensors that may belong to the network, but do not stand for one of its parameters: those in the same dict, and weights and
    /// biases elsewhere, such as a classifier that was saved separately. The state of an optimizer is neither.
    fn unexpected(&self, tensors: &[&TensorInfo], explained: &HashSet<usize>) -> Vec<usize> {
        let used: HashSet<usize> = self.used().collect();
        let dicts: HashSet<usize> = used.iter().map(|tensor| tensors[*tensor].dict).collect();
        let may_belong = |tensor: &TensorInfo| {
            let leaf = tensor.name.rsplit('.').next();
            dicts.contains(&tensor.dict) || matches!(leaf, Some("weight" | "bias"))
        };
        (0..tensors.len())
            .filter(|index| !used.contains(index) && !explained.contains(index))
            .filter(|index| may_belong(tensors[*index]))
            .collect()
    }

    fn recognized(&self, tensors: &[&TensorInfo]) -> Recognized {
        let name = |(tensor, parameter): (&Option<usize>, &ParameterSpec)| {
            Some((tensors[(*tensor)?].name.clone(), parameter.name.clone()))
        };
        Recognized {
            network: self.network.clone(),
            has_classifier: self.has_any_classifier(),
            prefix: self.prefix.clone(),
            names: self
                .tensors
                .iter()
                .zip(&self.parameters)
                .filter_map(name)
                .collect(),
        }
    }

    /// Describes each parameter that is missing or has another shape.
    fn differences(&self, tensors: &[&TensorInfo]) -> Vec<String> {
        let is_backbone = !self.has_any_classifier();
        let count = if is_backbone {
            self.feature_parameters
        } else {
            self.parameters.len()
        };
        let difference = |index: usize| {
            let parameter = &self.parameters[index];
            match self.tensors[index] {
                None => {
                    let name = printable(&with_prefix(&self.prefix, &parameter.name));
                    Some(format!("{name} {:?} is missing", parameter.shape))
                }
                Some(tensor) if tensors[tensor].shape != parameter.shape => {
                    let TensorInfo { name, shape, .. } = tensors[tensor];
                    Some(format!(
                        "{} has the shape {shape:?} instead of {:?}",
                        printable(name),
                        parameter.shape
                    ))
                }
                Some(_) => None,
            }
        };
        (0..count).filter_map(difference).collect()
    }
}

/// Describes the network with the most tensors in common.
fn rejection(
    path: &Path,
    patterns: &[Pattern],
    found: &[Hits],
    tensors: &[&TensorInfo],
    explained: &HashSet<usize>,
) -> ImportError {
    let mut fits = Vec::new();
    for (pattern, hits) in patterns.iter().zip(found) {
        let mut hits: Vec<_> = hits.iter().collect();
        hits.sort_by_key(|(prefix, hits)| (std::cmp::Reverse(hits.len()), (*prefix).clone()));
        let largest = hits.into_iter().take(MAX_COMPARED);
        fits.extend(largest.map(|(prefix, hits)| Fit::new(pattern, prefix, hits, tensors)));
    }
    // In a tie the one with fewer differences, then the first one.
    // The last layer alone says nothing, since its number of outputs is that of the file.
    let has_a_feature =
        |fit: &&Fit| (0..fit.feature_parameters).any(|parameter| fit.is_matched(parameter, tensors));
    let closest = fits.iter().filter(has_a_feature).min_by_key(|fit| {
        let differences = fit.differences(tensors).len();
        (std::cmp::Reverse(fit.matched(tensors)), differences)
    });
    let Some(closest) = closest else {
        return ImportError::NoNetwork {
            path: path.to_owned(),
            supported: Architecture::VARIANTS.join(", "),
            tensors: described(tensors.iter().copied()),
        };
    };
    let unexpected = closest.unexpected(tensors, explained);
    if let Some(classifier) = foreign_classifier(closest, tensors, &unexpected) {
        return ImportError::UnknownClassifier {
            path: path.to_owned(),
            network: closest.network.name(),
            classifier,
            supported: supported_classifiers(closest.network.architecture),
        };
    }
    let mut differences = closest.differences(tensors);
    let is_outside = |index: &usize| {
        let rest = tensors[*index].name.strip_prefix(&closest.prefix);
        !closest.prefix.is_empty() && !rest.is_some_and(|rest| rest.starts_with('.'))
    };
    let is_only_outside = differences.is_empty() && unexpected.iter().all(is_outside);
    differences.extend(unexpected.iter().map(|index| {
        let TensorInfo { name, shape, .. } = tensors[*index];
        format!("{} {shape:?} is unexpected", printable(name))
    }));
    let mut differences = summary(&differences);
    if is_only_outside {
        let prefix = &closest.prefix;
        differences += &format!(
            "; if the network does not need it, import only what is under {prefix}: --prefix {prefix}"
        );
    }
    ImportError::UnknownNetwork {
        path: path.to_owned(),
        network: closest.network.name(),
        differences,
    }
}

/// The tensors of the classifier, if only that differs from the network's.
fn foreign_classifier(fit: &Fit, tensors: &[&TensorInfo], unexpected: &[usize]) -> Option<String> {
    let has_own_classifier = fit.has_classifier(tensors) && fit.ambiguous.is_empty();
    if !fit.has_features(tensors) || has_own_classifier {
        return None;
    }
    let first_part = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let features = &fit.parameters[..fit.feature_parameters];
    let feature_parts: HashSet<String> = features
        .iter()
        .map(|parameter| first_part(&parameter.name))
        .collect();
    let without_prefix = |name: &str| match name.strip_prefix(&fit.prefix) {
        Some(rest) => first_part(rest.trim_start_matches('.')),
        None => first_part(name),
    };
    let is_feature = |index: &usize| feature_parts.contains(&without_prefix(&tensors[*index].name));
    if unexpected.iter().any(is_feature) {
        return None;
    }
    let misshaped = (fit.feature_parameters..fit.parameters.len())
        .filter(|parameter| !fit.is_matched(*parameter, tensors) || fit.ambiguous.contains(parameter))
        .filter_map(|parameter| fit.tensors[parameter]);
    let mut classifier: Vec<usize> = misshaped.chain(unexpected.iter().copied()).collect();
    classifier.sort_unstable();
    let weights = classifier.iter().map(|index| tensors[*index]);
    (!classifier.is_empty()).then(|| described(weights))
}

/// The weights of the classifiers that can be imported.
fn supported_classifiers(architecture: Architecture) -> String {
    let describe = |is_linear| {
        let network = network(architecture, is_linear, 1);
        let classifier = parameters(network.classifier());
        let weights: Vec<&ParameterSpec> = classifier
            .iter()
            .filter(|parameter| parameter.shape.len() > 1)
            .collect();
        let describe = |(index, weight): (usize, &&ParameterSpec)| {
            let is_last = index + 1 == weights.len();
            let dims = weight.shape.iter().enumerate().map(|(axis, length)| {
                if is_last && axis == 0 {
                    "outputs".to_owned()
                } else {
                    length.to_string()
                }
            });
            format!("{} [{}]", weight.name, dims.collect::<Vec<_>>().join(", "))
        };
        let described: Vec<String> = weights.iter().enumerate().map(describe).collect();
        described.join(", ")
    };
    format!("{}, or {} alone", describe(false), describe(true))
}

fn with_prefix(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

fn described<'t>(tensors: impl Iterator<Item = &'t TensorInfo>) -> String {
    let described: Vec<String> = tensors
        .map(|tensor| format!("{} {:?}", printable(&tensor.name), tensor.shape))
        .collect();
    summary(&described)
}

fn summary(items: &[String]) -> String {
    let listed = items.len().min(MAX_LISTED);
    let mut summary = items[..listed].join(", ");
    if items.len() > listed {
        summary += &format!(", and {} more", items.len() - listed);
    }
    summary
}

#[cfg(test)]
mod tests;
