//! What the library and its crates report through `tracing` goes where the node's own messages go: to rcl's log, and with it to the
//! console, the log file and `/rosout`.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::node::ros::context::NodeContext;

/// Hands events on to rcl.
struct Bridge(NodeContext);

/// An event's message, then its other fields.
#[derive(Default)]
struct Line(String);

/// Hands events on from now on. Does nothing where somebody listens to them already.
pub fn install(handle: &NodeContext) {
    let subscriber = registry().with(Bridge(handle.clone()));
    let _somebody_listens = tracing::subscriber::set_global_default(subscriber);
}

impl<S: Subscriber> Layer<S> for Bridge {
    /// Of other crates only what someone should look at: ONNX Runtime tells of each of its steps.
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
        written.expect("a string takes everything");
    }
}
