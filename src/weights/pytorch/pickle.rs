//! A pickle, taken apart without executing it.
//!
//! A pickle is a program for a stack machine. The one here ([`machine`]) knows the instructions of [`opcode`] and the names
//! of [`globals`], and refuses everything else. It calls nothing: where Python would, it notes down what the call stands for
//! ([`call`]). Which bytes of the file are a tensor's values is left to the caller.

use self::machine::Machine;
pub use self::value::{Id, Rebuild, Storage, Value};
use super::Refusal;

mod call;
mod globals;
mod literal;
mod machine;
mod opcode;
pub mod reader;
mod value;

/// The state of the largest torchvision network's optimizer needs some hundred thousand. At 32 bytes a value these are
/// 128 MiB.
const MOST_INSTRUCTIONS: usize = 1 << 22;

/// All values of a pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Takes apart the pickle at the beginning of these bytes. Returns with it how many bytes it has.
    ///
    /// # Errors
    /// A pickle that is cut off, that contradicts itself, or that asks for anything but tensors and plain values.
    pub fn parse(bytes: &'a [u8]) -> Result<(Pickle<'a>, usize), Refusal> {
        let mut machine = Machine::new(bytes);
        for _ in 0..MOST_INSTRUCTIONS {
            let offset = machine.offset();
            let code = machine.next_code()?;
            if code == opcode::STOP {
                let (values, root) = machine.finish()?;
                return Ok((Pickle { values, root }, offset + 1));
            }
            if !machine.execute(code)? {
                return Err(Refusal::Opcode { code, offset });
            }
        }
        Err(Refusal::TooLarge("pickle instructions"))
    }

    /// The value that was pickled.
    pub fn root(&self) -> &Value<'a> {
        self.value(self.root)
    }

    /// The value of an id of this pickle.
    pub fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id]
    }

    /// The value of the first entry with this key.
    pub fn lookup(&self, entries: &[(Id, Id)], key: &str) -> Option<&Value<'a>> {
        let mut entries = entries.iter();
        let (_, value) =
            entries.find(|(id, _)| matches!(self.value(*id), Value::Text(text) if *text == key))?;
        Some(self.value(*value))
    }

    /// All storages that are named anywhere, in the file's order.
    pub fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(&**storage),
            _ => None,
        })
    }
}
