//! Interpreter for pickles that executes no code from the file.
//!
//! A pickle is a program for a stack machine. This machine ([`machine`]) only accepts the instructions in [`opcode`] and the
//! classes and functions in [`globals`]. Where Python would call a function, it records what the call stands for ([`call`]).

use self::machine::Machine;
pub(crate) use self::value::{Id, Rebuild, Storage, Value};
use super::error::ContentError;

mod call;
mod globals;
mod literal;
mod machine;
mod opcode;
pub(crate) mod reader;
mod value;

/// The optimizer state of the largest network in torchvision needs a few hundred thousand instructions. An instruction creates
/// at most one value of 32 bytes, so this limits the memory to 128 MiB.
const MAX_INSTRUCTIONS: usize = 1 << 22;

/// The values of a pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Parses the pickle at the beginning of `bytes`. Returns it with its length in bytes.
    ///
    /// # Errors
    /// The pickle is truncated or inconsistent, or references classes or functions that tensors do not need.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<(Pickle<'a>, usize), ContentError> {
        let mut machine = Machine::new(bytes);
        for _ in 0..MAX_INSTRUCTIONS {
            let offset = machine.offset();
            let code = machine.next_code()?;
            if code == opcode::STOP {
                let (values, root) = machine.finish()?;
                return Ok((Pickle { values, root }, offset + 1));
            }
            if !machine.execute(code)? {
                return Err(ContentError::Opcode { code, offset });
            }
        }
        Err(ContentError::TooLarge("pickle instructions"))
    }

    /// The pickled object.
    pub(crate) fn root(&self) -> &Value<'a> {
        self.value(self.root)
    }

    pub(crate) fn root_id(&self) -> Id {
        self.root
    }

    pub(crate) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id]
    }

    /// The value of the first entry with this key; `None` if there is none.
    pub(crate) fn lookup(&self, entries: &[(Id, Id)], key: &str) -> Option<&Value<'a>> {
        let mut entries = entries.iter();
        let (_, value) =
            entries.find(|(id, _)| matches!(self.value(*id), Value::Text(text) if *text == key))?;
        Some(self.value(*value))
    }

    /// All storages that the pickle references, in the order of the file.
    pub(crate) fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(&**storage),
            _ => None,
        })
    }
}
