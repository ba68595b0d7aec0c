//! From `[telemetry]` to where spans go: the file of a collector's authority is read here.

use crate::config::error::ConfigError;
use crate::config::{Config, FILE};
use countersign_control::TraceOptions;
use countersign_control::traces::ExportOptions;
use countersign_net::TrustRoots;
use std::path::Path;

pub(super) fn options(config: &Config) -> Result<TraceOptions, ConfigError> {
    let telemetry = &config.telemetry;
    let mut export = None;
    if let Some(otlp) = &telemetry.otlp {
        let ca = match &otlp.ca {
            None => None,
            Some(path) => Some(certificates(config, path)?),
        };
        export = Some(ExportOptions {
            collector: otlp.collector.clone(),
            ca,
            service: otlp.service.clone(),
            sample: otlp.sample,
        });
    }
    Ok(TraceOptions {
        incoming: telemetry.incoming,
        export,
    })
}

/// A file of certificates that the configuration names, once it is known to hold some.
fn certificates(config: &Config, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let path = config.dir.join(path);
    let refused = |why: String| {
        let message = format!("`{}`: {why}", path.display());
        ConfigError::in_file(&config.dir.join(FILE), message)
    };
    let pem = std::fs::read(&path).map_err(|error| refused(error.kind().to_string()))?;
    TrustRoots::from_pem(&pem).map_err(|error| refused(error.to_string()))?;
    Ok(pem)
}
