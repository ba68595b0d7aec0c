use super::*;
use std::sync::Arc;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(format: Format, write: impl FnOnce()) -> String {
    let kept = Kept::default();
    let subscriber = Registry::default().with(AllowListed::new(Level::INFO, format, kept.clone()));
    tracing::subscriber::with_default(subscriber, write);
    String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn allowed_fields_are_written() {
    let line = logged(Format::Text, || {
        tracing::info!(
            event = "listener_ready",
            address = "127.0.0.1:8443",
            count = 3_u64,
            tenant = "demo"
        );
    });
    for part in [
        "event=listener_ready",
        "address=127.0.0.1:8443",
        "count=3",
        "tenant=demo",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn json_lines_are_json() {
    let line = logged(Format::Json, || {
        tracing::warn!(event = "reload_refused", count = 2_u64)
    });
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["event"], "reload_refused");
    assert_eq!(value["count"], 2);
}

#[test]
fn nothing_else_reaches_a_line() {
    let canary = "canary-alice@example.com";
    let line = logged(Format::Json, || {
        tracing::info!("message with {canary}");
        tracing::info!(username = canary, "unlisted name");
        tracing::info!(
            event = canary,
            reason = "alice",
            tenant = canary,
            route = "Canary Person",
            address = canary
        );
        tracing::info!(event = ?canary, error = %canary);
        tracing::info!(count = "4111111111111111-canary");
        tracing::error!(target: "hyper::proto", token = canary, "{canary}");
    });
    assert!(
        !line.contains("canary") && !line.contains("alice") && !line.contains("4111"),
        "{line}"
    );
    assert!(!line.contains("hyper"), "{line}");
}

#[test]
fn levels_below_are_dropped() {
    assert_eq!(
        logged(Format::Text, || tracing::debug!(event = "listener_ready")),
        ""
    );
}
