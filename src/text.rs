//! Text from outside, such as names in a recording, made safe to print.

use std::borrow::Cow;
use std::fmt::Write;

/// Text on one line without control characters, which could move a terminal's cursor or change its title.
///
/// They become `\u001b` and the like, which JSON understands as well; tabs are kept.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    let is_escaped = |letter: char| letter.is_control() && letter != '\t';
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_escaped(letter) {
            write!(escaped, "\\u{:04x}", u32::from(letter)).ok();
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_other_text_is_kept() {
        assert!(matches!(escape_controls("/câmera\tрука"), Cow::Borrowed(_)));
        let hostile = "a\u{1b}[31m\nb\u{9b}2J\0\u{7f}";
        assert_eq!(
            escape_controls(hostile),
            "a\\u001b[31m\\u000ab\\u009b2J\\u0000\\u007f"
        );
        let json = format!("\"{}\"", escape_controls(hostile));
        let parsed: String = serde_json::from_str(&json).expect("JSON");
        assert_eq!(parsed, hostile);
    }
}
