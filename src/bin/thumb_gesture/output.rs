//! What the commands share in talking to people and to programs.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use thumb_gesture::dataset::Label;
use thumb_gesture::evaluation::Confusion;

/// One JSON object on one line of standard output.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(&serde_json::to_string(value)?)
}

/// A line on standard output; unlike `println!` it does not panic when nobody reads any more.
pub fn print_line(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// True where standard output was closed by its reader (`| head`), which is no failure.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// An error with what caused it, each said once: the library's errors often tell their cause themselves.
pub fn in_words(error: &anyhow::Error) -> String {
    let words = error.chain().map(ToString::to_string);
    let joined = words.reduce(|told, cause| match told.contains(&cause) {
        true => told,
        false => format!("{told}: {cause}"),
    });
    joined.unwrap_or_default()
}

/// A progress bar on standard error, where that is a terminal.
pub fn bar(title: &str, total: usize) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {elapsed} {msg}")
        .expect("the template is well-formed")
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(total as u64), target)
        .with_style(style)
        .with_prefix(title.to_owned())
}

/// A line on standard error; where nobody reads it, nothing happens.
pub fn complain(line: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "{line}");
}

/// A count of frames on standard error, where that is a terminal: for work whose end is not known.
pub fn counter(title: &str) -> ProgressBar {
    let target = match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{prefix:>12} {spinner} {pos} frames, {per_sec} {elapsed}")
        .expect("the template is well-formed");
    ProgressBar::with_draw_target(None, target)
        .with_style(style)
        .with_prefix(title.to_owned())
}

/// A share as a person reads it; `None` where nothing was measured.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || "not measured".to_owned(),
        |share| format!("{:.1} %", share * 100.0),
    )
}

/// What was taken for what as a table, truths down, predictions across.
pub fn confusion_table(labels: &[Label], confusion: &Confusion) -> String {
    let width = labels
        .iter()
        .map(|label| label.as_str().len())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut table = format!("{:>width$}  seen as", "");
    for label in labels {
        table += &format!(" {label:>width$}");
    }
    for (label, row) in labels.iter().zip(confusion.rows()) {
        table += &format!("\n{label:>width$}         ");
        for count in row {
            table += &format!(" {count:>width$}");
        }
    }
    table
}
