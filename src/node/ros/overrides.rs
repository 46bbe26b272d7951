//! The values that the arguments give to the parameters of a node, as in rclcpp.

use r2r::ParameterValue;
use r2r::indexmap::IndexMap;

use super::arguments::{ParameterSource, RosArguments};

/// Minimum similarity of a misspelled name to the one that was meant, 0 to 1.
const MIN_SIMILARITY: f64 = 0.8;

/// Beginnings of the names of parameters that rclcpp declares for every node, and that may therefore be in a file for all nodes.
const OF_EVERY_NODE: [&str; 3] = [
    "start_type_description_service",
    "qos_overrides./clock.",
    "qos_overrides./parameter_events.",
];

/// The values that the arguments give to the parameters of a node.
pub struct ParameterOverrides {
    values: IndexMap<String, Override>,
    /// What the arguments give to other nodes although it is probably meant for this one.
    warnings: Vec<String>,
}

/// A value that an argument gives to a parameter.
pub(crate) struct Override {
    pub(crate) value: ParameterValue,
    /// The argument, human-readable.
    pub(crate) source: String,
}

impl ParameterOverrides {
    /// The values for a node with this full name.
    pub fn new(arguments: &RosArguments, node: &str) -> ParameterOverrides {
        // rcl merges all sources: a key has the place of its first occurrence, and the last of several keys takes precedence. -p has the
        // key /**.
        let mut keys: IndexMap<&str, IndexMap<&str, Override>> = IndexMap::new();
        for source in arguments.sources() {
            for key in &source.keys {
                let parameters = key.parameters.iter().map(|(name, value)| {
                    let (value, source) = (value.clone(), source.name.clone());
                    (name.as_str(), Override { value, source })
                });
                keys.entry(&key.key).or_default().extend(parameters);
            }
        }
        let matching = keys.into_iter().filter(|(key, _)| is_match(key, node));
        let values = matching.flat_map(|(_, parameters)| parameters);
        ParameterOverrides {
            values: values.map(|(name, value)| (name.to_owned(), value)).collect(),
            warnings: arguments
                .sources()
                .iter()
                .filter_map(|source| mismatch(source, node))
                .collect(),
        }
    }

    /// `true` if a parameter is set to `true`.
    pub fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some(ParameterValue::Bool(true)))
    }

    /// The value that is given to a parameter.
    pub fn get(&self, name: &str) -> Option<&ParameterValue> {
        Some(&self.values.get(name)?.value)
    }

    pub(crate) fn values(&self) -> &IndexMap<String, Override> {
        &self.values
    }

    /// What is ignored, for a node that declares the parameters `known`: other parameters, and those of other nodes.
    pub fn warnings(&self, known: &[&str]) -> Vec<String> {
        let is_known = |name: &str| {
            known.contains(&name) || OF_EVERY_NODE.iter().any(|beginning| name.starts_with(beginning))
        };
        let unknown = self.values.iter().filter(|(name, _)| !is_known(name));
        let unknown = unknown.map(|(name, Override { source, .. })| {
            let advice = closest(name, known).map_or_else(
                || "see ros2 param list".to_owned(),
                |closest| format!("did you mean {closest}?"),
            );
            format!("{source}: the unknown parameter {name} is ignored; {advice}")
        });
        self.warnings.iter().cloned().chain(unknown).collect()
    }
}

/// Says which keys of a source are for other nodes, if there are only such keys, or if they end with this node's name.
fn mismatch(source: &ParameterSource, node: &str) -> Option<String> {
    let name = node.rsplit('/').next();
    let has_name = |key: &&str| key.rsplit('/').next() == name;
    let keys = source.keys.iter().map(|key| key.key.as_str());
    let (own, others): (Vec<&str>, Vec<&str>) = keys.partition(|key| is_match(key, node));
    let ignored: Vec<&str> = if own.is_empty() {
        others
    } else if own.iter().any(has_name) {
        Vec::new()
    } else {
        others.into_iter().filter(has_name).collect()
    };
    let source = &source.name;
    if own.is_empty() && ignored.is_empty() {
        return Some(format!("{source} contains no parameters"));
    }
    let ignored = (!ignored.is_empty()).then(|| ignored.join(", "))?;
    Some(format!(
        "{source}: the parameters of {ignored} are not for this node and are ignored; the key must be {node} or a pattern such as /**"
    ))
}

/// `true` if a key of a parameter file stands for a node: `*` is one token of its name, `**` any number of them.
fn is_match(key: &str, node: &str) -> bool {
    fn do_match(key: &[&str], node: &[&str]) -> bool {
        match key {
            [] => node.is_empty(),
            ["**", rest @ ..] => (0..=node.len()).any(|skipped| do_match(rest, &node[skipped..])),
            [token, rest @ ..] => {
                let is_first = node.first().is_some_and(|first| token == first || *token == "*");
                is_first && do_match(rest, &node[1..])
            }
        }
    }
    let [key, node] = [key, node].map(|name| name.trim_start_matches('/').split('/').collect::<Vec<_>>());
    do_match(&key, &node)
}

/// The name that is most similar to an unknown one; `None` if all are very different.
fn closest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let similarities = known.iter().map(|&name| (strsim::jaro(unknown, name), name));
    let similar = similarities.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY);
    similar.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "/jetbot/thumb_gesture";

    #[test]
    fn keys_match_as_in_rclcpp() {
        let own = [
            "/**",
            "**",
            "/*/*",
            "/**/*",
            "/*/**",
            "/**/**",
            "/jetbot/*",
            "/jetbot/**",
            "/*/thumb_gesture",
            "*/thumb_gesture",
            "/**/thumb_gesture",
            "/**/jetbot/thumb_gesture",
            "/jetbot/**/thumb_gesture",
            "jetbot/thumb_gesture",
            NODE,
        ];
        for key in own {
            assert!(is_match(key, NODE), "{key}");
        }
        let others = [
            "/*",
            "/thumb_gesture",
            "thumb_gesture",
            "/jetbot",
            "/jetbot/*/thumb_gesture",
            "/*/*/*",
            "/jetbot/thumb",
            "/jet*/thumb_gesture",
            "/left/thumb_gesture",
            "/jetbot/thumb_gesture/*",
            "/**/camera",
        ];
        for key in others {
            assert!(!is_match(key, NODE), "{key}");
        }
        assert!(is_match("thumb_gesture", "/thumb_gesture"));
    }

    #[test]
    fn closest_name_is_found_for_a_typo_only() {
        let known = ["hold_time", "threshold", "require_gpu"];
        assert_eq!(closest("hold_tme", &known), Some("hold_time"));
        assert_eq!(closest("treshold", &known), Some("threshold"));
        assert_eq!(closest("requireGpu", &known), Some("require_gpu"));
        assert_eq!(closest("robot_description", &known), None);
    }
}
