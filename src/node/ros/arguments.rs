//! The command line of a ROS program: the arguments of ROS, which rcl parses, and the others.
//!
//! Each argument of ROS is parsed on its own, so that a message can name the one that is wrong, and where a parameter comes from.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::ffi::{KeyParameters, ParsedArguments};
use super::log::without_messages_of_rcl;

/// The flag that begins the arguments of ROS, and the one that ends them.
const BEGIN: &str = "--ros-args";
const END: &str = "--";
const PARAMETER_FILE: &str = "--params-file";
const LOG_CONFIGURATION: &str = "--log-config-file";

/// The options of ROS that have a value, and what it must be.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &["-r", "--remap"],
        "FROM:=TO, such as camera/image_raw:=/usb_cam/image_raw",
    ),
    (
        &["-p", "--param"],
        "NAME:=VALUE with a value in YAML, such as hold_time:=1.0",
    ),
    (
        &[PARAMETER_FILE],
        "a YAML file, indented with spaces, of NODE: {ros__parameters: {NAME: VALUE}}",
    ),
    (
        &["--log-level"],
        "debug, info, warn, error or fatal, or LOGGER:=LEVEL",
    ),
    (&[LOG_CONFIGURATION], "a file"),
    (&["--log-file-name"], "the beginning of a file name"),
    (&["-e", "--enclave"], "an absolute name, such as /jetbot"),
];

/// Beginnings of remapping rules that are not for topics and services, and what such a rule must be.
const RULES: &[(&str, &str)] = &[
    ("__ns:=", "an absolute namespace, such as __ns:=/jetbot"),
    (
        "__node:=",
        "a name of letters, digits and _, such as __node:=gestures",
    ),
    (
        "__name:=",
        "a name of letters, digits and _, such as __name:=gestures",
    ),
];

/// An argument that is not valid.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    /// It cannot be a name or a path in ROS.
    #[error("the argument {0:?} is not UTF-8")]
    NotUnicode(OsString),
    /// ROS has no such argument.
    #[error(
        "unknown ROS argument {0}; a value follows its option without =, and the arguments of the program itself come before {BEGIN}, or after {END}"
    )]
    Unknown(String),
    /// Its value is missing, or is not valid.
    #[error("invalid ROS argument {argument}: {reason}must be {expected}")]
    Invalid {
        /// The argument with its value.
        argument: String,
        /// rcl's reason, or empty.
        reason: String,
        /// Valid values, human-readable.
        expected: &'static str,
    },
    /// Each one is valid, but all together are not.
    #[error("invalid ROS arguments: {0}")]
    Together(String),
    /// Its file cannot be read.
    #[error("cannot read the file of {argument}: {error}")]
    File {
        /// The argument with the path.
        argument: String,
        /// Why it cannot be read.
        error: io::Error,
    },
}

/// The command line of this process.
#[derive(Clone)]
pub struct RosArguments {
    all: Arc<ParsedArguments>,
    plain: Vec<String>,
    sources: Vec<ParameterSource>,
}

/// An argument that gives parameters, in a file or directly.
#[derive(Clone)]
pub(super) struct ParameterSource {
    /// The argument, human-readable.
    pub(super) name: String,
    pub(super) keys: Vec<KeyParameters>,
}

/// An option of ROS with its value, if it has one.
#[derive(Clone, Copy)]
struct RosOption<'a> {
    flag: &'a str,
    value: Option<&'a str>,
}

impl RosArguments {
    /// Parses the arguments of this process.
    ///
    /// # Errors
    /// An argument of ROS is not valid.
    pub fn from_env() -> Result<RosArguments, ArgumentError> {
        let words: Result<Vec<String>, OsString> = std::env::args_os().map(OsString::into_string).collect();
        RosArguments::parse(&words.map_err(ArgumentError::NotUnicode)?)
    }

    /// Parses these arguments, of which the first one is the name of the program.
    pub(super) fn parse(words: &[String]) -> Result<RosArguments, ArgumentError> {
        let (options, plain) = split(words);
        let mut sources = Vec::new();
        for option in options {
            let parsed = option.parse()?;
            let name = match option.flag {
                PARAMETER_FILE => option.value.unwrap_or_default().to_owned(),
                _ => option.to_string(),
            };
            if matches!(option.flag, PARAMETER_FILE | "-p" | "--param") {
                let keys = parsed.parameters();
                sources.push(ParameterSource { name, keys });
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let is_remap = |word: &str| parse_quietly(&[word]).is_ok_and(|parsed| parsed.unknown_count() == 0);
        Ok(RosArguments {
            // Last, because a parameter file may be a pipe, which can be read only once.
            all: Arc::new(parse_quietly(&words).map_err(ArgumentError::Together)?),
            // rcl accepts FROM:=TO also without a flag.
            plain: plain.into_iter().filter(|word| !is_remap(word)).collect(),
            sources,
        })
    }

    /// The name of the program, and the arguments that are not for ROS.
    pub fn plain(&self) -> &[String] {
        &self.plain
    }

    /// The arguments that give parameters, in their order.
    pub(super) fn sources(&self) -> &[ParameterSource] {
        &self.sources
    }

    /// Applies the remapping rules to an absolute topic name, for a node with this name and namespace; `None` if no rule matches.
    pub(crate) fn remap_topic(&self, topic: &str, node: &str, namespace: &str) -> Option<String> {
        self.all.remap_topic(topic, node, namespace)
    }
}

/// Separates the options of ROS from the other arguments, as rcl does.
fn split(words: &[String]) -> (Vec<RosOption<'_>>, Vec<String>) {
    let (mut options, mut plain) = (Vec::new(), Vec::new());
    let mut is_ros = false;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match (is_ros, word) {
            (_, BEGIN) => is_ros = true,
            (true, END) => is_ros = false,
            (true, flag) => {
                let value = expected_value(flag).and_then(|_| words.next());
                options.push(RosOption { flag, value });
            }
            (false, _) => plain.push(word.to_owned()),
        }
    }
    (options, plain)
}

/// What the value of an option must be; `None` if it has none, or is unknown.
fn expected_value(flag: &str) -> Option<&'static str> {
    let option = OPTIONS.iter().find(|(flags, _)| flags.contains(&flag));
    option.map(|(_, expected)| *expected)
}

impl RosOption<'_> {
    fn parse(self) -> Result<ParsedArguments, ArgumentError> {
        if let (PARAMETER_FILE | LOG_CONFIGURATION, Some(path)) = (self.flag, self.value) {
            check_file(path).map_err(|error| ArgumentError::File {
                argument: self.to_string(),
                error,
            })?;
        }
        let words: Vec<&str> = [BEGIN, self.flag].into_iter().chain(self.value).collect();
        let parsed = parse_quietly(&words).map_err(|reason| self.invalid(&reason))?;
        // rcl checks this only when it is initialized.
        let is_enclave = matches!(self.flag, "-e" | "--enclave");
        if is_enclave && !self.value.is_some_and(is_absolute_name) {
            return Err(self.invalid(""));
        }
        if parsed.unknown_count() > 0 {
            return Err(ArgumentError::Unknown(self.to_string()));
        }
        Ok(parsed)
    }

    fn invalid(self, reason: &str) -> ArgumentError {
        let rule = RULES
            .iter()
            .find(|(beginning, _)| self.value.is_some_and(|value| value.starts_with(beginning)));
        let expected = rule.map(|(_, expected)| *expected).or(expected_value(self.flag));
        ArgumentError::Invalid {
            argument: self.to_string(),
            // The other reasons are about rcl's lexer.
            reason: match (self.flag, self.value) {
                (PARAMETER_FILE, Some(_)) => format!("{reason}; "),
                _ => String::new(),
            },
            expected: expected.unwrap_or_default(),
        }
    }
}

impl fmt::Display for RosOption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.flag)?;
        self.value.map_or(Ok(()), |value| write!(f, " {value}"))
    }
}

fn is_absolute_name(name: &str) -> bool {
    name.starts_with('/')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '/')
}

/// rcl does not say why it cannot read a file.
fn check_file(path: &str) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    // A pipe can be opened only once.
    if metadata.is_file() {
        File::open(path)?;
    }
    Ok(())
}

/// Parses arguments without the messages of rcl's logger, which come again when r2r parses them.
fn parse_quietly(words: &[&str]) -> Result<ParsedArguments, String> {
    without_messages_of_rcl(|| ParsedArguments::parse(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn arguments_of_ros_are_separated_from_those_of_the_program() {
        let line = "program --rate 5 a:=b --ros-args -r c:=d --log-level warn --ros-args -p e:=1 -- --count 2 -p --ros-args";
        let arguments = RosArguments::parse(&words(line)).expect("valid arguments");
        assert_eq!(arguments.plain(), words("program --rate 5 --count 2 -p"));
        let names: Vec<&str> = arguments
            .sources()
            .iter()
            .map(|source| source.name.as_str())
            .collect();
        assert_eq!(names, ["-p e:=1"]);
        assert_eq!(arguments.remap_topic("/c", "node", "/").as_deref(), Some("/d"));
        assert_eq!(arguments.remap_topic("/a", "node", "/").as_deref(), Some("/b"));
    }

    #[test]
    fn error_names_the_invalid_argument() {
        let line = "program --ros-args -r a:=b -p c:=1 --remap d -p e:=2";
        let error = RosArguments::parse(&words(line)).err().expect("d is not a rule");
        let expected =
            "invalid ROS argument --remap d: must be FROM:=TO, such as camera/image_raw:=/usb_cam/image_raw";
        assert_eq!(error.to_string(), expected);
    }
}
