//! The training process: its output, and why it ended.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::node::ros::context::NodeContext;
use crate::training::Progress;

/// Maximum length of the standard error that is kept for the error message, in bytes, rounded up to whole lines.
const MAX_STDERR_LEN: usize = 4096;
/// Prefix of a warning on the standard error of the process.
const WARNING_PREFIX: &str = " WARN ";

/// A running training process. Dropping it kills the process.
pub(super) struct TrainingProcess {
    context: NodeContext,
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Reads the standard error until its end.
    stderr: JoinHandle<String>,
}

impl TrainingProcess {
    /// Starts the process. Its standard output and standard error must be pipes.
    pub(super) fn spawn(mut command: Command, context: NodeContext) -> io::Result<TrainingProcess> {
        let mut child = command.spawn()?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("the output of the process is not a pipe"));
        };
        Ok(TrainingProcess {
            child,
            stdout: BufReader::new(stdout).lines(),
            stderr: tokio::spawn(read_stderr(stderr, context.clone())),
            context,
        })
    }

    /// Waits for the next report; `None` when the output has ended. Logs other lines.
    pub(super) async fn next_progress(&mut self) -> Option<Progress> {
        loop {
            let line = self.stdout.next_line().await.ok()??;
            match serde_json::from_str(&line) {
                Ok(progress) => return Some(progress),
                Err(error) => self.context.warn(&format!(
                    "unexpected output of the training process: {line:?}: {error}"
                )),
            }
        }
    }

    /// Waits for the process to end, and returns how it ended and what it wrote to its standard error.
    pub(super) async fn wait_for_exit(&mut self) -> String {
        let exit = self.child.wait().await;
        let stderr = (&mut self.stderr).await.unwrap_or_default();
        describe_exit(exit.ok(), &stderr)
    }

    /// Kills the process if it still runs, and waits for its end.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await.ok();
    }
}

/// Logs the warnings of the process, and returns the beginning of its other messages.
async fn read_stderr(stderr: ChildStderr, context: NodeContext) -> String {
    let mut kept = String::new();
    let mut lines = BufReader::new(stderr).split(b'\n');
    // Read to the end: a full pipe would block the process.
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        if let Some(warning) = line.strip_prefix(WARNING_PREFIX) {
            context.warn(&format!("training: {warning}"));
        } else if kept.len() < MAX_STDERR_LEN && !line.trim().is_empty() {
            let separator = if kept.is_empty() { "" } else { "; " };
            kept += &format!("{separator}{}", line.trim());
        }
    }
    kept
}

/// Why a process ended without a final report.
fn describe_exit(exit: Option<ExitStatus>, stderr: &str) -> String {
    const SIGKILL: i32 = 9;
    let reason = match exit.and_then(|exit| exit.signal()) {
        Some(SIGKILL) => {
            "the training process was killed, perhaps because the system ran out of memory".to_owned()
        }
        Some(signal) => format!("the training process was terminated by signal {signal}"),
        None => "the training process ended without a result".to_owned(),
    };
    if stderr.is_empty() {
        reason
    } else {
        format!("{reason}: {stderr}")
    }
}
