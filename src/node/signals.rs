//! SIGINT and SIGTERM, waited for.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that end a program in good order. From its making on they do not kill.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over; needs a tokio runtime around it.
    ///
    /// # Errors
    /// The system's word.
    pub fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns once one of them has come.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
