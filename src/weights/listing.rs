//! What a file of weights holds, before the values of its tensors are read.

use serde_json::Value;

/// The float tensors of a file, and the names of classes that it carries.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In the order of the file.
    pub(crate) tensors: Vec<TensorInfo>,
    /// Lists that can be the names of the classes.
    pub(crate) class_names: Vec<ClassNames>,
}

/// A tensor without its values.
#[derive(Clone, Debug)]
pub(crate) struct TensorInfo {
    /// Its path in the file, such as `state_dict.features.0.weight`.
    pub(crate) name: String,
    /// Length of each dimension.
    pub(crate) shape: Vec<usize>,
    /// Number of the dict that holds it. A checkpoint has several: the weights, the state of the optimizer.
    pub(crate) dict: usize,
}

/// Names of classes, in the order of the outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassNames {
    /// Path of the list in the file.
    pub(crate) key: String,
    /// The names, which may be invalid as labels.
    pub(crate) names: Vec<String>,
}

/// Whether the name of an entry says that it holds names of classes: `class_names`, `classes`, `class_to_idx`, `labels`,
/// `categories`, `names`.
pub(crate) fn is_class_key(key: &str) -> bool {
    let key = key.to_lowercase();
    key == "names"
        || ["class", "label", "categor"]
            .iter()
            .any(|word| key.contains(word))
}

/// The names of classes in a JSON list, or in a JSON object from names to indices or the reverse.
pub(crate) fn class_names_from_json(json: &str) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match serde_json::from_str(json).ok()? {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Object(entries) => {
            let mut names = vec![None; entries.len()];
            for (key, value) in &entries {
                let (index, name) = match value.as_u64() {
                    Some(index) => (usize::try_from(index).ok()?, key.clone()),
                    None => (key.parse().ok()?, text(value)?),
                };
                *names.get_mut(index)? = Some(name);
            }
            names.into_iter().collect()
        }
        _ => None,
    }
}
