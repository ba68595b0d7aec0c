//! `[telemetry]`: how much the operational log says, and where traces go. Which fields may appear in either is fixed in code.
//!
//! Traces are off without `otlp`. What stands here takes effect at the next start.

use super::error::Mistakes;
use super::upstreams::is_loopback;
use countersign_control::traces::{Incoming, SampleRatio};
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;
use url::Url;

/// `service.name` where nothing else is said.
const SERVICE: &str = "countersign";
/// Characters of a service's name.
const SERVICE_MAX: usize = 100;

/// `[telemetry]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTelemetry {
    level: LogLevel,
    format: LogFormat,
    /// `http://127.0.0.1:4318`: the collector's base address; spans go to `v1/traces` below it. Without it there are no traces. Plain HTTP
    /// stays on loopback.
    otlp: Option<Spanned<String>>,
    /// A file with the certificate authority of the collector's certificate; without it, the local development authority.
    otlp_ca: Option<Spanned<PathBuf>>,
    /// Which share of new traces is sampled, from 0 to 1; without it, all.
    sample_ratio: Option<Spanned<f64>>,
    /// The name under which the collector shows this process; without it, `countersign`.
    service_name: Option<Spanned<String>>,
    /// Whether callers may name the trace that their request belongs to (`traceparent`), and with it whether it is sampled. Otherwise what
    /// they say is removed.
    trust_traceparent: bool,
}

/// `[telemetry]` as used.
#[derive(Debug, Clone, Default)]
pub struct TelemetrySection {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
    /// What callers say about their trace.
    pub incoming: Incoming,
    /// Where traces go; absent is off.
    pub otlp: Option<OtlpSection>,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpSection {
    /// The collector's base address.
    pub collector: Url,
    /// The certificate authority of its certificate, if not the local one.
    pub ca: Option<PathBuf>,
    /// Which share of new traces is sampled.
    pub sample: SampleRatio,
    /// `service.name`.
    pub service: String,
}

/// Severity of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Errors alone.
    Error,
    /// What someone should look at.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// How it happened.
    Debug,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

pub(crate) fn check(raw: RawTelemetry, mistakes: &mut Mistakes<'_>) -> TelemetrySection {
    let incoming = if raw.trust_traceparent {
        Incoming::Trusted
    } else {
        Incoming::Removed
    };
    let (level, format) = (raw.level, raw.format);
    let sample = sample(raw.sample_ratio.as_ref(), mistakes);
    let service = service(raw.service_name.as_ref(), mistakes);
    let Some(otlp) = raw.otlp else {
        let idle = [
            raw.otlp_ca.as_ref().map(|given| ("otlp_ca", given.span())),
            raw.sample_ratio
                .as_ref()
                .map(|given| ("sample_ratio", given.span())),
            raw.service_name
                .as_ref()
                .map(|given| ("service_name", given.span())),
        ];
        for (key, span) in idle.into_iter().flatten() {
            mistakes.at(
                &span,
                format!("`{key}` without `otlp` does nothing"),
                "name the collector: `otlp = \"http://127.0.0.1:4318\"`",
            );
        }
        return TelemetrySection {
            level,
            format,
            incoming,
            otlp: None,
        };
    };
    let otlp = collector(&otlp, mistakes).map(|collector| OtlpSection {
        collector,
        ca: raw.otlp_ca.map(Spanned::into_inner),
        sample,
        service,
    });
    TelemetrySection {
        level,
        format,
        incoming,
        otlp,
    }
}

fn collector(given: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<Url> {
    let url = Url::parse(given.get_ref())
        .ok()
        .filter(|url| url.host_str().is_some() && matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        mistakes.at(
            &given.span(),
            "not the address of a collector",
            "write `https://HOST:PORT`, or `http://127.0.0.1:4318` for one on this machine",
        );
        return None;
    };
    if url.scheme() == "http" && !is_loopback(&url) {
        mistakes.at(
            &given.span(),
            "plain HTTP to a collector on another machine",
            "use https; on loopback alone, http will do",
        );
        return None;
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        mistakes.at(
            &given.span(),
            "the address of a collector holds more than scheme, host, port and path",
            "a credential never stands in the configuration",
        );
        return None;
    }
    Some(url)
}

fn sample(given: Option<&Spanned<f64>>, mistakes: &mut Mistakes<'_>) -> SampleRatio {
    let Some(given) = given else {
        return SampleRatio::ALL;
    };
    SampleRatio::new(*given.get_ref()).unwrap_or_else(|| {
        mistakes.at(
            &given.span(),
            "`sample_ratio` is no share",
            "a number from 0.0 (none) to 1.0 (all)",
        );
        SampleRatio::ALL
    })
}

fn service(given: Option<&Spanned<String>>, mistakes: &mut Mistakes<'_>) -> String {
    let Some(given) = given else {
        return SERVICE.to_owned();
    };
    let name = given.get_ref();
    if name.is_empty() || name.chars().count() > SERVICE_MAX || name.chars().any(char::is_control) {
        mistakes.at(
            &given.span(),
            "not the name of a service",
            format!("1 to {SERVICE_MAX} printable characters"),
        );
    }
    name.clone()
}
