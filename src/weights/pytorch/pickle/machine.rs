//! The stack machine.
//!
//! Each instruction creates at most one value, and items are moved instead of copied. Time and memory are therefore linear in
//! the length of the input.

use std::collections::HashMap;

use super::reader::Reader;
use super::value::{Id, Value};
use super::{globals, literal, opcode};
use crate::weights::pytorch::error::ContentError;

const STACK_UNDERFLOW: ContentError =
    ContentError::Pickle("an instruction needs more values than the stack holds");

/// Input and state of the machine.
pub(crate) struct Machine<'a> {
    input: Reader<'a>,
    input_len: usize,
    /// All values created so far.
    pub(crate) values: Vec<Value<'a>>,
    pub(crate) stack: Vec<Id>,
    /// Height of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Machine<'a> {
        Machine {
            input_len: input.len(),
            input: Reader::new(input),
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Offset of the next instruction from the beginning of the input, in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.input_len - self.input.rest().len()
    }

    /// Reads the next instruction without executing it.
    ///
    /// # Errors
    /// The input is truncated.
    pub(crate) fn next_code(&mut self) -> Result<u8, ContentError> {
        Ok(u8::from_le_bytes(self.input.array()?))
    }

    /// All values, and the id of the pickled object.
    ///
    /// # Errors
    /// The stack is empty.
    pub(crate) fn finish(mut self) -> Result<(Vec<Value<'a>>, Id), ContentError> {
        let root = self.pop()?;
        Ok((self.values, root))
    }

    /// Executes an instruction. Returns false if the instruction is unknown.
    ///
    /// # Errors
    /// The instruction is inconsistent with the stack or truncated, or references a class or function that tensors do not need.
    pub(crate) fn execute(&mut self, code: u8) -> Result<bool, ContentError> {
        if let Some(value) = literal::read(code, &mut self.input)? {
            self.push(value);
            return Ok(true);
        }
        Ok(self.execute_memo(code)?
            || self.execute_container(code)?
            || self.execute_stack(code)?
            || self.execute_object(code)?)
    }

    /// Creates a value and pushes it onto the stack.
    pub(crate) fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// Pops the topmost value.
    ///
    /// # Errors
    /// There is no value above the last mark.
    pub(crate) fn pop(&mut self) -> Result<Id, ContentError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn execute_memo(&mut self, code: u8) -> Result<bool, ContentError> {
        let key = match code {
            opcode::BINPUT | opcode::BINGET => self.input.length_u8()?,
            opcode::LONG_BINPUT | opcode::LONG_BINGET => self.input.length_u32()?,
            opcode::PUT | opcode::GET => {
                let line = self.input.line()?;
                line.parse()
                    .map_err(|_| ContentError::Pickle("an invalid memo key"))?
            }
            opcode::MEMOIZE => self.memo.len(),
            _ => return Ok(false),
        };
        if [opcode::GET, opcode::BINGET, opcode::LONG_BINGET].contains(&code) {
            let id = self
                .memo
                .get(&key)
                .ok_or(ContentError::Pickle("an unknown memo key"))?;
            self.stack.push(*id);
        } else {
            let top = self.top()?;
            self.memo.insert(key, top);
        }
        Ok(true)
    }

    fn execute_container(&mut self, code: u8) -> Result<bool, ContentError> {
        let value = match code {
            opcode::EMPTY_TUPLE => Value::Tuple(Vec::new()),
            opcode::TUPLE1 => Value::Tuple(self.pop_many(1)?),
            opcode::TUPLE2 => Value::Tuple(self.pop_many(2)?),
            opcode::TUPLE3 => Value::Tuple(self.pop_many(3)?),
            opcode::TUPLE => Value::Tuple(self.pop_to_mark()?),
            opcode::EMPTY_LIST => Value::List(Vec::new()),
            opcode::LIST => Value::List(self.pop_to_mark()?),
            opcode::EMPTY_DICT => Value::Dict(Vec::new()),
            opcode::DICT => Value::Dict(pairs(&self.pop_to_mark()?)?),
            opcode::EMPTY_SET => Value::Opaque,
            opcode::FROZENSET => {
                self.pop_to_mark()?;
                Value::Opaque
            }
            _ => return Ok(false),
        };
        self.push(value);
        Ok(true)
    }

    fn execute_stack(&mut self, code: u8) -> Result<bool, ContentError> {
        match code {
            opcode::MARK => self.marks.push(self.stack.len()),
            opcode::POP if self.is_at_mark() => {
                self.marks.pop();
            }
            opcode::POP => {
                self.pop()?;
            }
            opcode::POP_MARK => {
                self.pop_to_mark()?;
            }
            opcode::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            opcode::APPEND => {
                let items = self.pop_many(1)?;
                self.append(items)?;
            }
            opcode::APPENDS | opcode::ADDITEMS => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            opcode::SETITEM => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            opcode::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn execute_object(&mut self, code: u8) -> Result<bool, ContentError> {
        match code {
            // The version does not matter: unknown instructions of newer protocols are rejected one by one.
            opcode::PROTO => {
                self.input.length_u8()?;
            }
            // The length of a frame is a hint for reading ahead, which is not needed in memory.
            opcode::FRAME => {
                self.input.length_u64()?;
            }
            opcode::GLOBAL => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.push(globals::global(module, name)?);
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop_string()?, self.pop_string()?);
                self.push(globals::global(module, name)?);
            }
            opcode::REDUCE | opcode::NEWOBJ => self.call()?,
            // Sets additional attributes of an object, which tensors and dicts do not need.
            opcode::BUILD => {
                self.pop()?;
                self.top()?;
            }
            opcode::BINPERSID => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Value::Storage(Box::new(storage)));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), ContentError> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(list) => list.extend(items),
            Value::Opaque => {}
            _ => return Err(ContentError::Pickle("an append to a value that is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), ContentError> {
        let entries = pairs(items)?;
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Dict(dict) => dict.extend(entries),
            Value::Opaque => {}
            _ => return Err(ContentError::Pickle("a key is set in a value that is not a dict")),
        }
        Ok(())
    }

    /// Whether no value is above the last mark.
    fn is_at_mark(&self) -> bool {
        self.marks.last() == Some(&self.stack.len())
    }

    fn top(&self) -> Result<Id, ContentError> {
        if self.is_at_mark() {
            return Err(STACK_UNDERFLOW);
        }
        let top = self.stack.last().copied();
        top.ok_or(STACK_UNDERFLOW)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, ContentError> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let start = self
            .stack
            .len()
            .checked_sub(count)
            .filter(|start| *start >= bottom);
        let start = start.ok_or(STACK_UNDERFLOW)?;
        Ok(self.stack.drain(start..).collect())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, ContentError> {
        let mark = self.marks.pop().ok_or(ContentError::Pickle("a missing mark"))?;
        Ok(self.stack.drain(mark..).collect())
    }

    fn pop_string(&mut self) -> Result<&'a str, ContentError> {
        let id = self.pop()?;
        match self.values[id] {
            Value::Text(text) => Ok(text),
            _ => Err(ContentError::Pickle(
                "the name of a class or function is not a string",
            )),
        }
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, ContentError> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ContentError::Pickle("a key has no value"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}
