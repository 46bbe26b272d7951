//! The tensors in a saved object, which may be a state dict or a checkpoint of nested dicts, lists and tuples.

use std::collections::HashSet;

use super::error::ContentError;
use super::pickle::{Id, Pickle, Value};
use super::tensor::TensorView;
use crate::text::printable;
use crate::weights::listing::{ClassNames, is_class_key};

/// Longest name of a tensor, in bytes.
const MAX_NAME_LEN: usize = 1024;
/// Maximum number of tensors; the optimizer state of the largest network in torchvision has a few thousand.
const MAX_TENSORS: usize = 1 << 16;
/// Maximum depth of nested dicts, lists and tuples. Deeper ones are skipped.
const MAX_DEPTH: usize = 16;

/// What a saved object holds.
pub(super) struct Contents<'p, 'a> {
    /// In the order of the file.
    pub(super) tensors: Vec<NamedTensor<'p, 'a>>,
    /// Lists that can be the names of the classes.
    pub(super) class_names: Vec<ClassNames>,
}

/// A tensor with its path in the saved object.
pub(super) struct NamedTensor<'p, 'a> {
    /// The keys on the path, joined with dots.
    pub(super) name: String,
    /// Number of the dict, list or tuple that holds the tensor.
    pub(super) dict: usize,
    value: &'p Value<'a>,
}

impl<'p, 'a> Contents<'p, 'a> {
    /// Collects the tensors. A dict, list or tuple that occurs several times counts once.
    ///
    /// # Errors
    /// There are no tensors, too many, or those of torch2trt.
    pub(super) fn of(pickle: &'p Pickle<'a>) -> Result<Contents<'p, 'a>, ContentError> {
        let mut walk = Walk {
            pickle,
            visited: HashSet::new(),
            contents: Contents {
                tensors: Vec::new(),
                class_names: Vec::new(),
            },
        };
        walk.visit(pickle.root_id(), "", 0)?;
        if walk.contents.tensors.is_empty() {
            return Err(ContentError::NoStateDict);
        }
        Ok(walk.contents)
    }
}

impl<'p, 'a> NamedTensor<'p, 'a> {
    /// # Errors
    /// The description of the tensor is invalid.
    pub(super) fn view(&self, pickle: &'p Pickle<'a>) -> Result<TensorView<'p, 'a>, ContentError> {
        TensorView::from_value(pickle, self.value).map_err(|defect| self.error(defect))
    }

    pub(super) fn error(&self, defect: &'static str) -> ContentError {
        ContentError::Tensor {
            name: printable(&self.name),
            defect,
        }
    }
}

struct Walk<'p, 'a> {
    pickle: &'p Pickle<'a>,
    /// The dicts, lists and tuples so far, which may share parts and form cycles.
    visited: HashSet<Id>,
    contents: Contents<'p, 'a>,
}

impl Walk<'_, '_> {
    /// Visits the entries of a dict, list or tuple at this path.
    fn visit(&mut self, container: Id, path: &str, depth: usize) -> Result<(), ContentError> {
        if depth == MAX_DEPTH || !self.visited.insert(container) {
            return Ok(());
        }
        let dict = self.visited.len();
        match self.pickle.value(container) {
            Value::Dict(entries) => {
                if self.is_torch2trt(entries) {
                    return Err(ContentError::Torch2Trt);
                }
                for (key, value) in entries {
                    match self.pickle.value(*key) {
                        Value::Text(key) => self.visit_entry(dict, path, key, *value, depth)?,
                        Value::Int(key) => self.visit_entry(dict, path, &key.to_string(), *value, depth)?,
                        _ => {}
                    }
                }
            }
            Value::List(items) | Value::Tuple(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.visit_entry(dict, path, &index.to_string(), *item, depth)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_entry(
        &mut self,
        dict: usize,
        path: &str,
        key: &str,
        entry: Id,
        depth: usize,
    ) -> Result<(), ContentError> {
        let value = self.pickle.value(entry);
        if !matches!(
            value,
            Value::Tensor { .. } | Value::Dict(_) | Value::List(_) | Value::Tuple(_)
        ) {
            return Ok(());
        }
        if path.len() + key.len() >= MAX_NAME_LEN {
            return Err(ContentError::TooLarge("bytes in a name"));
        }
        let name = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        if matches!(value, Value::Tensor { .. }) {
            if self.contents.tensors.len() == MAX_TENSORS {
                return Err(ContentError::TooLarge("tensors"));
            }
            self.contents.tensors.push(NamedTensor { name, dict, value });
            return Ok(());
        }
        if is_class_key(key)
            && let Some(names) = self.class_names(value)
        {
            self.contents.class_names.push(ClassNames {
                key: name.clone(),
                names,
            });
        }
        self.visit(entry, &name, depth + 1)
    }

    /// Whether a module of torch2trt wrote these entries. Its names may have a prefix.
    fn is_torch2trt(&self, entries: &[(Id, Id)]) -> bool {
        let is_engine = |(key, value): &(Id, Id)| {
            let prefix = match (self.pickle.value(*key), self.pickle.value(*value)) {
                (Value::Text(key), Value::Opaque) => key.strip_suffix("engine"),
                _ => None,
            };
            prefix.is_some_and(|prefix| {
                let names = format!("{prefix}input_names");
                self.pickle.lookup(entries, &names).is_some()
            })
        };
        entries.iter().any(is_engine)
    }

    /// The names in a list, or in a dict from names to indices or the reverse, in the order of the indices.
    fn class_names(&self, value: &Value) -> Option<Vec<String>> {
        let text = |id: &Id| match self.pickle.value(*id) {
            Value::Text(text) => Some((*text).to_owned()),
            _ => None,
        };
        let index = |id: &Id| match self.pickle.value(*id) {
            Value::Int(index) => usize::try_from(*index).ok(),
            Value::Text(index) => index.parse().ok(),
            _ => None,
        };
        match value {
            Value::List(items) | Value::Tuple(items) => items.iter().map(text).collect(),
            Value::Dict(entries) => {
                let mut names = vec![None; entries.len()];
                for (key, value) in entries {
                    let (index, name) = match self.pickle.value(*value) {
                        Value::Int(_) => (index(value)?, text(key)?),
                        _ => (index(key)?, text(value)?),
                    };
                    *names.get_mut(index)? = Some(name);
                }
                names.into_iter().collect()
            }
            _ => None,
        }
    }
}
