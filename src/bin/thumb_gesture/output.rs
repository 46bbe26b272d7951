//! Output that the commands share: text, JSON, progress bars and tables.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use thumb_gesture::dataset::Label;
use thumb_gesture::metrics::ConfusionMatrix;
use thumb_gesture::text::{escape_controls, escape_lines};

/// Prints a value as JSON on one line of standard output.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(&serde_json::to_string(value)?)
}

/// Prints a line on standard output; returns an error if standard output is closed, where `println!` would panic.
///
/// It may quote text from outside: a line break in it is escaped as well.
pub(crate) fn print_line(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", escape_controls(line))?)
}

/// Prints several lines as [`print_line`] does. Text from outside must have been escaped with [`escape_controls`].
pub(crate) fn print_text(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", escape_lines(text))?)
}

/// Whether the reader of standard output closed it, as `| head` does. That is not a failure of the command.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// An error and its causes. A cause that the error message already contains is not repeated.
pub(crate) fn error_chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// A progress bar on standard error; hidden if that is not a terminal.
pub(crate) fn bar(title: &str, total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {elapsed} {msg}")
        .expect("the template is well-formed")
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(total as u64), draw_target())
        .with_style(style)
        .with_prefix(title.to_owned())
}

/// Prints a line on standard error; the line is lost if standard error is closed, where `eprintln!` would panic.
///
/// It may quote text from outside: a line break in it is escaped as well.
pub(crate) fn print_error_line(line: &str) {
    writeln!(std::io::stderr(), "{}", escape_controls(line)).ok();
}

/// Prints a warning on standard error.
pub(crate) fn print_warning(message: &str) {
    print_error_line(&format!("Warning: {message}"));
}

/// A frame counter on standard error, for work of unknown length; hidden if standard error is not a terminal.
pub(crate) fn counter(title: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>12} {spinner} {pos} frames, {per_sec} {elapsed}")
        .expect("the template is well-formed");
    ProgressBar::with_draw_target(None, draw_target())
        .with_style(style)
        .with_prefix(title.to_owned())
}

fn draw_target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

/// A share of 0 to 1 in percent, or `not measured`.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || "not measured".to_owned(),
        |share| format!("{:.1} %", share * 100.0),
    )
}

/// A confusion matrix as a table: one row for each true label, one column for each predicted label.
pub(crate) fn confusion_table(labels: &[Label], confusion: &ConfusionMatrix) -> String {
    let width = labels
        .iter()
        .map(|label| label.as_str().len())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut table = format!("{:>width$}  predicted", "");
    for label in labels {
        table += &format!(" {label:>width$}");
    }
    for (label, row) in labels.iter().zip(confusion.rows()) {
        table += &format!("\n{label:>width$}           ");
        for count in row {
            table += &format!(" {count:>width$}");
        }
    }
    table
}
