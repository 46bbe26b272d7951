//! What stands for the result of a call that Python would make, and for an object outside the pickle.

use super::globals::Function;
use super::machine::Machine;
use super::value::{Id, Part, Storage, Value};
use crate::weights::pytorch::Refusal;

impl<'a> Machine<'a> {
    /// Puts in the place of a function and its arguments what the call stands for.
    ///
    /// # Errors
    /// They do not belong together.
    pub fn call(&mut self) -> Result<(), Refusal> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Function(function) = self.values[function] else {
            return Err(Refusal::Pickle("it calls what is no function"));
        };
        let Value::Tuple(items) = &self.values[arguments] else {
            return Err(Refusal::Pickle("the arguments of a call are not a tuple"));
        };
        let first = items.first().copied();
        match function {
            Function::Tensor(rebuild) => self.push(Value::Tensor { rebuild, arguments }),
            Function::OrderedDict => {
                let entries = first.map_or(Ok(Vec::new()), |list| self.entries_from_list(list))?;
                self.push(Value::Dict(entries));
            }
            Function::FirstArgument => {
                let first = first.ok_or(Refusal::Pickle("a call lacks its argument"))?;
                self.stack.push(first);
            }
            Function::Opaque => self.push(Value::Opaque),
        }
        Ok(())
    }

    /// The entries of an ordered dict as Python 2 pickled it: a list of pairs, which is emptied.
    fn entries_from_list(&mut self, list: Id) -> Result<Vec<(Id, Id)>, Refusal> {
        let Value::List(items) = &mut self.values[list] else {
            return Err(Refusal::Pickle("an ordered dict is not made from a list"));
        };
        let items = std::mem::take(items);
        let entry = |item: Id| match &self.values[item] {
            Value::List(pair) | Value::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => Err(Refusal::Pickle("an ordered dict is not made from pairs")),
        };
        items.into_iter().map(entry).collect()
    }

    /// The storage that a persistent id names: `("storage", class, key, location, count)`, in legacy files one more.
    ///
    /// # Errors
    /// It names something else.
    pub fn storage(&self, id: Id) -> Result<Storage<'a>, Refusal> {
        let bad = Refusal::Pickle("a persistent id names no storage");
        let Value::Tuple(items) = &self.values[id] else {
            return Err(bad);
        };
        let item = |index: usize| items.get(index).map(|id| &self.values[*id]);
        let (Some(Value::Text("storage")), Some(Value::StorageClass(dtype))) = (item(0), item(1)) else {
            return Err(bad);
        };
        let (Some(Value::Text(key)), Some(value_count)) = (item(2), item(4).and_then(count)) else {
            return Err(bad);
        };
        let part = match item(5) {
            None | Some(Value::None) => None,
            Some(value) => Some(self.part(value).ok_or(bad)?),
        };
        Ok(Storage {
            key,
            dtype,
            value_count,
            part,
        })
    }

    /// The part of a storage: `(key of the part, offset, count)`.
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
