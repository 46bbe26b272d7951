//! Instructions that are followed by their value: numbers, strings and bytes.

use super::opcode;
use super::reader::Reader;
use super::value::Value;
use crate::weights::pytorch::error::ContentError;

/// Reads the value of an instruction; `None` if the instruction is not a literal.
///
/// # Errors
/// The input is truncated.
pub(crate) fn read<'a>(code: u8, input: &mut Reader<'a>) -> Result<Option<Value<'a>>, ContentError> {
    Ok(Some(match code {
        opcode::NONE => Value::None,
        opcode::NEWTRUE => Value::Bool(true),
        opcode::NEWFALSE => Value::Bool(false),
        opcode::BININT => Value::Int(i32::from_le_bytes(input.array()?).into()),
        opcode::BININT1 => Value::Int(u8::from_le_bytes(input.array()?).into()),
        opcode::BININT2 => Value::Int(u16::from_le_bytes(input.array()?).into()),
        opcode::LONG1 => long(input.bytes_u8()?),
        opcode::LONG4 => long(input.bytes_u32()?),
        opcode::INT | opcode::LONG => decimal(input.line()?),
        opcode::BINFLOAT => opaque(input.take(8)?),
        opcode::FLOAT => opaque(input.line()?.as_bytes()),
        opcode::SHORT_BINUNICODE | opcode::SHORT_BINSTRING => text(input.bytes_u8()?),
        opcode::BINUNICODE | opcode::BINSTRING => text(input.bytes_u32()?),
        opcode::BINUNICODE8 => text(input.bytes_u64()?),
        opcode::SHORT_BINBYTES => opaque(input.bytes_u8()?),
        opcode::BINBYTES => opaque(input.bytes_u32()?),
        opcode::BINBYTES8 | opcode::BYTEARRAY8 => opaque(input.bytes_u64()?),
        _ => return Ok(None),
    }))
}

/// An integer of any length, little-endian in two's complement.
fn long(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = if is_negative { [0xff; 8] } else { [0; 8] };
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

/// An integer of protocol 0 or 1. `00` and `01` are booleans; a trailing `L` marks a Python 2 long.
fn decimal<'a>(line: &str) -> Value<'a> {
    match line {
        "00" => Value::Bool(false),
        "01" => Value::Bool(true),
        _ => line
            .trim_end_matches('L')
            .parse()
            .map_or(Value::Opaque, Value::Int),
    }
}

/// A string; opaque if it is not UTF-8, since Python 2 also pickled bytes as strings.
fn text(bytes: &[u8]) -> Value<'_> {
    std::str::from_utf8(bytes).map_or(Value::Opaque, Value::Text)
}

fn opaque<'a>(_: &[u8]) -> Value<'a> {
    Value::Opaque
}
