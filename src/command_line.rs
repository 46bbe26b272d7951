//! Parsing of command lines.

use std::borrow::Cow;
use std::ffi::OsString;

use clap::Parser;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error};

use crate::text::escape_controls;

/// Parses arguments, the first of which is the name of the program.
///
/// Prints the help, the version or an error, and ends the process, as [`Parser::parse`] does. What an error quotes of the arguments, which
/// may be names of files that a shell has filled in, is printed without control characters.
pub fn parse<T: Parser>(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> T {
    T::try_parse_from(arguments).unwrap_or_else(|error| with_escaped_values(error).exit())
}

/// The text as it is, or without its colors if an argument has brought characters that must be escaped.
fn restyled(text: &StyledStr) -> StyledStr {
    match escape_controls(&text.to_string()) {
        Cow::Borrowed(_) => text.clone(),
        Cow::Owned(escaped) => escaped.into(),
    }
}

fn with_escaped_values(mut error: Error) -> Error {
    let escape = |text: &String| escape_controls(text).into_owned();
    let escaped: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(escape(text)))),
            ContextValue::Strings(texts) => {
                Some((kind, ContextValue::Strings(texts.iter().map(escape).collect())))
            }
            // Suggestions repeat the argument.
            ContextValue::StyledStr(text) => Some((kind, ContextValue::StyledStr(restyled(text)))),
            ContextValue::StyledStrs(texts) => Some((
                kind,
                ContextValue::StyledStrs(texts.iter().map(restyled).collect()),
            )),
            _ => None,
        })
        .collect();
    for (kind, value) in escaped {
        error.insert(kind, value);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[arg(long)]
        count: Option<u32>,
        #[arg(long, value_parser = ["auto", "hand"])]
        recognizer: Option<String>,
        #[arg(value_parser = clap::value_parser!(u32))]
        numbers: Vec<u32>,
    }

    #[test]
    fn errors_quote_arguments_without_control_characters() {
        const HOSTILE: &str = "a\u{1b}]0;title\u{7}\nWarning: forged";
        let unknown_option = format!("--{HOSTILE}");
        for arguments in [
            ["program", &unknown_option, ""],
            ["program", HOSTILE, ""],
            ["program", "--count", HOSTILE],
            ["program", "--recognizer", HOSTILE],
        ] {
            let error = Arguments::try_parse_from(arguments).expect_err("is invalid");
            let text = with_escaped_values(error).to_string();
            assert!(
                text.contains("a\\u001b]0;title\\u0007\\u000aWarning: forged"),
                "{text}"
            );
            assert!(!text.contains('\u{1b}') && !text.contains("\nWarning"), "{text}");
        }
    }
}
