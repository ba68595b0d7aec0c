//! The operational log: one typed, allow-listed layer.
//!
//! A field of an event reaches the output only if its name stands in [`FIELDS`] and its value has the type that stands beside it. Everything else,
//! the free text of a message included, is dropped: a line says *where* it was written (a static place in the code) and what the allow-listed fields say.
//! So neither a secret nor personal data can reach a log line, whoever wrote the event, a dependency included.
//!
//! Not here: the audit log, which has its own store and its own rules.

use countersign_base::{EventId, GrantId, Kid, RequestId, RouteId, SessionId, Tenant};
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// For people.
    Text,
}

/// What a field's value must be.
#[derive(Clone, Copy)]
enum Kind {
    Address,
    Event,
    Grant,
    Kid,
    /// A name that stands in the code: lower-case words joined by `_`, at least two of them, so that no person's name is one.
    Name,
    Number,
    Request,
    Route,
    Session,
    Tenant,
}

impl Kind {
    fn admits(self, text: &str) -> bool {
        match self {
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Event => text.parse::<EventId>().is_ok(),
            Self::Grant => text.parse::<GrantId>().is_ok(),
            Self::Kid => text.parse::<Kid>().is_ok() && text.len() <= 64,
            Self::Name => is_name(text),
            Self::Number => text.parse::<i128>().is_ok(),
            Self::Request => text.parse::<RequestId>().is_ok(),
            Self::Route => text.parse::<RouteId>().is_ok(),
            Self::Session => text.parse::<SessionId>().is_ok(),
            Self::Tenant => text.parse::<Tenant>().is_ok(),
        }
    }
}

fn is_name(text: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() <= 64 && text.contains('_') && text.split('_').all(word)
}

/// Every field that may be written, and its type. Personal data has no name here.
const FIELDS: &[(&str, Kind)] = &[
    ("address", Kind::Address),
    ("count", Kind::Number),
    ("event", Kind::Name),
    ("event_id", Kind::Event),
    ("grant", Kind::Grant),
    ("kid", Kind::Kid),
    ("micros", Kind::Number),
    ("reason", Kind::Name),
    ("request_id", Kind::Request),
    ("route", Kind::Route),
    ("session", Kind::Session),
    ("status", Kind::Number),
    ("surface", Kind::Name),
    ("tenant", Kind::Tenant),
];

/// The layer that writes lines.
pub struct AllowListed<W> {
    level: Level,
    format: Format,
    output: Mutex<W>,
}

impl<W: Write + Send + 'static> AllowListed<W> {
    /// A layer that writes events of at least `level` to `output`.
    pub const fn new(level: Level, format: Format, output: W) -> Self {
        Self {
            level,
            format,
            output: Mutex::new(output),
        }
    }
}

impl<S: Subscriber, W: Write + Send + 'static> Layer<S> for AllowListed<W> {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.level
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields {
            written: Vec::new(),
        };
        event.record(&mut fields);
        let metadata = event.metadata();
        // A dependency's event without one allowed field says nothing; ours at least says where it happened.
        if fields.written.is_empty() && !metadata.target().starts_with("countersign") {
            return;
        }
        let line = match self.format {
            Format::Json => json_line(metadata, &fields.written),
            Format::Text => text_line(metadata, &fields.written),
        };
        if let Ok(mut output) = self.output.lock() {
            // Nowhere to report a log that cannot be written.
            let _ = output.write_all(line.as_bytes());
        }
    }
}

struct Fields {
    written: Vec<(&'static str, String)>,
}

impl Fields {
    fn admit(&mut self, field: &Field, text: &str) {
        let allowed = FIELDS.iter().find(|(name, _)| *name == field.name());
        if let Some((name, kind)) = allowed
            && kind.admits(text)
        {
            self.written.push((name, text.to_owned()));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.admit(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.admit(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.admit(field, &value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.admit(field, &value.to_string());
    }
}

fn json_line(metadata: &Metadata<'_>, fields: &[(&'static str, String)]) -> String {
    let mut object = serde_json::Map::new();
    object.insert("level".to_owned(), metadata.level().as_str().into());
    object.insert("at".to_owned(), place(metadata).into());
    for (name, value) in fields {
        object.insert(
            (*name).to_owned(),
            value
                .parse::<i64>()
                .map_or_else(|_| value.as_str().into(), Into::into),
        );
    }
    let mut line = serde_json::Value::Object(object).to_string();
    line.push('\n');
    line
}

fn text_line(metadata: &Metadata<'_>, fields: &[(&'static str, String)]) -> String {
    let mut line = format!("{:5} {}", metadata.level().as_str(), place(metadata));
    for (name, value) in fields {
        line.push_str(&format!(" {name}={value}"));
    }
    line.push('\n');
    line
}

fn place(metadata: &Metadata<'_>) -> String {
    format!(
        "{}:{}",
        metadata.target(),
        metadata.line().unwrap_or_default()
    )
}

/// Makes the layer the process's own, and panics silent but for their place. Later calls change nothing.
pub fn install(level: Level, format: Format) {
    let layer = AllowListed::new(level, format, std::io::stderr());
    let subscriber = Registry::default().with(layer);
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            // The payload of a panic may quote data; its place may not.
            let place = panic
                .location()
                .map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
            let _ = writeln!(std::io::stderr(), "PANIC {place}");
        }));
    }
}

#[cfg(test)]
mod tests;
