//! Placeholders for the results of function calls and for persistent objects, which are stored outside the pickle.

use super::machine::Machine;
use super::value::{Function, Id, Part, Storage, Value};
use crate::weights::pytorch::error::ContentError;

impl<'a> Machine<'a> {
    /// Replaces a function and its arguments on the stack by the value that the call stands for.
    ///
    /// # Errors
    /// The value is not a function, or its arguments do not match.
    pub(crate) fn call(&mut self) -> Result<(), ContentError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Function(function) = self.values[function] else {
            return Err(ContentError::Pickle("a call of a value that is not a function"));
        };
        let Value::Tuple(items) = &self.values[arguments] else {
            return Err(ContentError::Pickle("the arguments of a call are not a tuple"));
        };
        let first = items.first().copied();
        match function {
            Function::Tensor(rebuild) => self.push(Value::Tensor { rebuild, arguments }),
            Function::OrderedDict => {
                let entries = first.map_or(Ok(Vec::new()), |list| self.entries_from_list(list))?;
                self.push(Value::Dict(entries));
            }
            Function::FirstArgument => {
                let first = first.ok_or(ContentError::Pickle("a call has no argument"))?;
                self.stack.push(first);
            }
            Function::Opaque => self.push(Value::Opaque),
        }
        Ok(())
    }

    /// The entries of an `OrderedDict` pickled by Python 2, which is a list of pairs. Empties the list.
    fn entries_from_list(&mut self, list: Id) -> Result<Vec<(Id, Id)>, ContentError> {
        let Value::List(items) = &mut self.values[list] else {
            return Err(ContentError::Pickle("the argument of OrderedDict is not a list"));
        };
        let items = std::mem::take(items);
        let entry = |item: Id| match &self.values[item] {
            Value::List(pair) | Value::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err(ContentError::Pickle(
                "the argument of OrderedDict is not a list of pairs",
            )),
        };
        items.into_iter().map(entry).collect()
    }

    /// The storage of a persistent id: `("storage", class, key, location, count)`, in legacy files with a sixth item for a part.
    ///
    /// # Errors
    /// The persistent id does not describe a storage.
    pub(crate) fn storage(&self, id: Id) -> Result<Storage<'a>, ContentError> {
        let invalid = ContentError::Pickle("a persistent id does not describe a storage");
        let Value::Tuple(items) = &self.values[id] else {
            return Err(invalid);
        };
        let item = |index: usize| items.get(index).map(|id| &self.values[*id]);
        let (Some(Value::Text("storage")), Some(Value::StorageClass(dtype))) = (item(0), item(1)) else {
            return Err(invalid);
        };
        let (Some(Value::Text(key)), Some(value_count)) = (item(2), item(4).and_then(count)) else {
            return Err(invalid);
        };
        let part = match item(5) {
            None | Some(Value::None) => None,
            Some(value) => Some(self.part(value).ok_or(invalid)?),
        };
        Ok(Storage {
            key,
            dtype,
            value_count,
            part,
        })
    }

    /// Reads the part of a storage: `(key of the part, offset, count)`.
    fn part(&self, value: &Value) -> Option<Part> {
        let Value::Tuple(items) = value else {
            return None;
        };
        let count_at = |index: usize| count(&self.values[*items.get(index)?]);
        Some(Part {
            offset: count_at(1)?,
            value_count: count_at(2)?,
        })
    }
}

fn count(value: &Value) -> Option<usize> {
    match value {
        Value::Int(count) => usize::try_from(*count).ok(),
        _ => None,
    }
}
