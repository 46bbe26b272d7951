//! The stack machine of pickles.
//!
//! Each instruction makes at most one value, and items are moved and never copied, so that time and memory grow with the
//! input alone.

use std::collections::HashMap;

use super::reader::Reader;
use super::value::{Id, Value};
use super::{globals, literal, opcode};
use crate::weights::pytorch::Refusal;

/// The state between two instructions.
pub struct Machine<'a> {
    input: Reader<'a>,
    input_length: usize,
    /// All values that were ever made.
    pub values: Vec<Value<'a>>,
    /// What the next instructions work on.
    pub stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl<'a> Machine<'a> {
    /// A machine before the first instruction.
    pub fn new(input: &'a [u8]) -> Machine<'a> {
        Machine {
            input_length: input.len(),
            input: Reader::new(input),
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Bytes from the beginning of the input to the next instruction.
    pub fn offset(&self) -> usize {
        self.input_length - self.input.rest().len()
    }

    /// The next instruction, which is not executed yet.
    ///
    /// # Errors
    /// The input ends here.
    pub fn next_code(&mut self) -> Result<u8, Refusal> {
        Ok(u8::from_le_bytes(self.input.array()?))
    }

    /// All values, and which of them was pickled.
    ///
    /// # Errors
    /// There is none.
    pub fn finish(mut self) -> Result<(Vec<Value<'a>>, Id), Refusal> {
        let root = self.pop()?;
        Ok((self.values, root))
    }

    /// Executes an instruction. Whether it was one that is known.
    ///
    /// # Errors
    /// Something that contradicts what was before it, that is cut off, or that tensors do not need.
    pub fn execute(&mut self, code: u8) -> Result<bool, Refusal> {
        if let Some(value) = literal::read(code, &mut self.input)? {
            self.push(value);
            return Ok(true);
        }
        Ok(self.execute_memo(code)?
            || self.execute_container(code)?
            || self.execute_filling(code)?
            || self.execute_object(code)?)
    }

    /// Adds a value and puts it on the stack.
    pub fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// Takes the topmost value from the stack.
    ///
    /// # Errors
    /// There is none above the last mark.
    pub fn pop(&mut self) -> Result<Id, Refusal> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn execute_memo(&mut self, code: u8) -> Result<bool, Refusal> {
        let key = match code {
            opcode::BINPUT | opcode::BINGET => self.input.length_u8()?,
            opcode::LONG_BINPUT | opcode::LONG_BINGET => self.input.length_u32()?,
            opcode::PUT | opcode::GET => {
                let line = self.input.line()?;
                line.parse().map_err(|_| Refusal::Pickle("a bad memo key"))?
            }
            opcode::MEMOIZE => self.memo.len(),
            _ => return Ok(false),
        };
        if [opcode::GET, opcode::BINGET, opcode::LONG_BINGET].contains(&code) {
            let id = self
                .memo
                .get(&key)
                .ok_or(Refusal::Pickle("a memo that was never set"))?;
            self.stack.push(*id);
        } else {
            let top = self.top()?;
            self.memo.insert(key, top);
        }
        Ok(true)
    }

    fn execute_container(&mut self, code: u8) -> Result<bool, Refusal> {
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

    fn execute_filling(&mut self, code: u8) -> Result<bool, Refusal> {
        match code {
            opcode::MARK => self.marks.push(self.stack.len()),
            opcode::POP if self.at_mark() => {
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

    fn execute_object(&mut self, code: u8) -> Result<bool, Refusal> {
        match code {
            // An instruction that a newer protocol may have is refused when it comes.
            opcode::PROTO => {
                self.input.length_u8()?;
            }
            // A frame says how much may be read ahead. Here everything is in memory.
            opcode::FRAME => {
                self.input.length_u64()?;
            }
            opcode::GLOBAL => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.push(globals::global(module, name)?);
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop_text()?, self.pop_text()?);
                self.push(globals::global(module, name)?);
            }
            opcode::REDUCE | opcode::NEWOBJ => self.call()?,
            // The state of an object beside what it is made of: of tensors and dicts there is none that matters.
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

    fn append(&mut self, items: Vec<Id>) -> Result<(), Refusal> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(list) => list.extend(items),
            Value::Opaque => {}
            _ => return Err(Refusal::Pickle("it appends to what is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Refusal> {
        let entries = pairs(items)?;
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Dict(dict) => dict.extend(entries),
            Value::Opaque => {}
            _ => return Err(Refusal::Pickle("it sets items of what is no dict")),
        }
        Ok(())
    }

    /// Whether nothing lies above the last mark.
    fn at_mark(&self) -> bool {
        self.marks.last() == Some(&self.stack.len())
    }

    /// The topmost value above the last mark.
    fn top(&self) -> Result<Id, Refusal> {
        if self.at_mark() {
            return Err(Refusal::Pickle("it takes more from the stack than there is"));
        }
        let top = self.stack.last().copied();
        top.ok_or(Refusal::Pickle("it takes more from the stack than there is"))
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Refusal> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let start = self
            .stack
            .len()
            .checked_sub(count)
            .filter(|start| *start >= bottom);
        let start = start.ok_or(Refusal::Pickle("it takes more from the stack than there is"))?;
        Ok(self.stack.drain(start..).collect())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Refusal> {
        let mark = self
            .marks
            .pop()
            .ok_or(Refusal::Pickle("a mark that was never set"))?;
        Ok(self.stack.drain(mark..).collect())
    }

    fn pop_text(&mut self) -> Result<&'a str, Refusal> {
        let id = self.pop()?;
        match self.values[id] {
            Value::Text(text) => Ok(text),
            _ => Err(Refusal::Pickle("a name is not a text")),
        }
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, Refusal> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Refusal::Pickle("a key has no value"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}
