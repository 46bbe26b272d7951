//! Text from outside, such as names in a recording, made safe to print.

use std::borrow::Cow;
use std::fmt::Write;

/// Maximum length of a text from outside that a message quotes, in characters.
const MAX_QUOTED_CHARS: usize = 120;
/// Maximum length of a name from outside that is passed on, in characters.
#[cfg(feature = "ros")]
const MAX_NAME_CHARS: usize = 255;
/// Maximum length of a message, in characters.
const MAX_MESSAGE_CHARS: usize = 4096;

/// Text on one line without characters that would change how it or the text around it is shown: control characters, which could move a
/// terminal's cursor or change its title, line separators, and those that change the direction of writing.
///
/// They become `\u001b` and the like, which JSON understands as well; tabs are kept.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    let is_escaped = |letter: char| {
        letter != '\t'
            && (letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
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

/// Each line of a text as [`escape_controls`] returns it. The text has line breaks of its own, and none from outside.
pub fn escape_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(escape_controls).collect();
    lines.join("\n")
}

/// A message that may quote text from outside, for a log or a field of a ROS message: [`escape_controls`] of at most 4096 characters.
///
/// It is one line: a line break can only come from outside, and what follows it would look like another message.
pub fn message(text: &str) -> String {
    cut(&escape_controls(text), MAX_MESSAGE_CHARS)
}

/// Several messages, one on each line.
#[cfg(feature = "ros")]
pub(crate) fn messages(texts: impl IntoIterator<Item = impl ToString>) -> String {
    let lines: Vec<String> = texts.into_iter().map(|text| text.to_string()).collect();
    let lines: Vec<_> = lines.iter().map(|line| escape_controls(line)).collect();
    cut(&lines.join("\n"), MAX_MESSAGE_CHARS)
}

/// The beginning of a text from outside, at most 120 characters, for a message that quotes it with `{:?}`.
pub(crate) fn shorten(text: &str) -> String {
    cut(text, MAX_QUOTED_CHARS)
}

/// [`shorten`] on one line, for a message that contains the text without quotes.
pub(crate) fn printable(text: &str) -> String {
    escape_controls(&shorten(text)).into_owned()
}

/// A name from outside that is passed on, such as a `frame_id`: unchanged unless it has control characters or more than 255 characters.
#[cfg(feature = "ros")]
pub(crate) fn printable_name(name: String) -> String {
    // A character has at least one byte.
    if name.len() <= MAX_NAME_CHARS && matches!(escape_controls(&name), Cow::Borrowed(_)) {
        return name;
    }
    escape_controls(&cut(&name, MAX_NAME_CHARS)).into_owned()
}

/// The first characters of a text, with `…` for the others.
fn cut(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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

    #[test]
    fn message_is_one_line_and_limited() {
        assert_eq!(message("a\0b\nc\u{1b}"), "a\\u0000b\\u000ac\\u001b");
        let long = message(&"é\n".repeat(MAX_MESSAGE_CHARS));
        assert_eq!(long.chars().count(), MAX_MESSAGE_CHARS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    #[cfg(feature = "ros")]
    fn messages_have_a_line_each() {
        assert_eq!(messages(["a\nb", "c"]), "a\\u000ab\nc");
    }

    #[test]
    fn text_that_changes_the_direction_of_writing_is_escaped() {
        // Would be shown as photo.exe.png in some terminals.
        assert_eq!(escape_controls("photo\u{202e}gnp.exe"), "photo\\u202egnp.exe");
        assert_eq!(escape_controls("a\u{2028}b\u{2069}"), "a\\u2028b\\u2069");
        // Emoji and scripts that join their letters need this one.
        assert!(matches!(escape_controls("a\u{200d}b"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_text_is_shortened_visibly() {
        let name = "é".repeat(MAX_QUOTED_CHARS);
        assert_eq!(shorten(&name), name);
        assert_eq!(shorten(&format!("{name}x")), format!("{name}…"));
        assert_eq!(printable("a\nb"), "a\\u000ab");
    }

    #[test]
    #[cfg(feature = "ros")]
    fn name_is_passed_on_unless_it_is_long_or_not_printable() {
        let longest = "é".repeat(MAX_NAME_CHARS);
        assert_eq!(printable_name(longest.clone()), longest);
        assert_eq!(printable_name(format!("{longest}x")), format!("{longest}…"));
        assert_eq!(printable_name("a\u{1b}[31m".to_owned()), "a\\u001b[31m");
    }
}
