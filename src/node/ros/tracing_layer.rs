//! Forwards the events that the library and its dependencies report through `tracing` to the node's log.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

use super::context::NodeContext;

struct NodeLogLayer(NodeContext);

/// An event's message, followed by its other fields.
#[derive(Default)]
struct Line(String);

/// Forwards events from now on, unless the process has a global subscriber already.
pub(crate) fn install(context: &NodeContext) {
    let subscriber = registry().with(NodeLogLayer(context.clone()));
    tracing::subscriber::set_global_default(subscriber).ok();
}

impl<S: Subscriber> Layer<S> for NodeLogLayer {
    /// Ignores other crates below warnings: ONNX Runtime logs each of its steps.
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let is_own = metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
        *metadata.level() <= if is_own { Level::DEBUG } else { Level::WARN }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let message = format!("{}: {}", event.metadata().target(), line.0);
        match *event.metadata().level() {
            Level::ERROR => self.0.error(&message),
            Level::WARN => self.0.warn(&message),
            Level::INFO => self.0.info(&message),
            _ => self.0.debug(&message),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("writing to a string does not fail");
    }
}
