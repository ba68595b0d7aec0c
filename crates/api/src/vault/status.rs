//! What anybody may ask: whether the vault is there, and open.

use super::Door;
use axum::extract::Request;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Shares of a seal that opens by itself.
const SHARES: u8 = 1;

/// The answer, if that is what is asked.
pub(super) fn of(door: &Door, request: &Request) -> Option<(StatusCode, Value)> {
    let path = request.uri().path().strip_prefix("/v1/sys/")?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let body = match path.trim_end_matches('/') {
        "health" => json!({
            "initialized": true,
            "sealed": false,
            "standby": false,
            "performance_standby": false,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "server_time_utc": door.fabric.now().0,
            "version": env!("CARGO_PKG_VERSION"),
        }),
        "init" => json!({ "initialized": true }),
        "leader" => json!({
            "ha_enabled": false,
            "is_self": true,
            "leader_address": &*door.origin,
            "leader_cluster_address": "",
            "performance_standby": false,
        }),
        "seal-status" => json!({
            "type": "static",
            "initialized": true,
            "sealed": false,
            "t": SHARES,
            "n": SHARES,
            "progress": 0,
            "nonce": "",
            "version": env!("CARGO_PKG_VERSION"),
            "commit_date": "",
            "migration": false,
            "recovery_seal": false,
            "storage_type": "countersign",
        }),
        _ => return None,
    };
    let status = health_status(path, request.uri().query().unwrap_or_default());
    Some((status, body))
}

/// `activecode` of `sys/health` names the status of an open vault.
fn health_status(path: &str, query: &str) -> StatusCode {
    let asked = || {
        let (_, code) = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == "activecode")?;
        StatusCode::from_bytes(code.as_bytes()).ok()
    };
    match path {
        "health" => asked().unwrap_or(StatusCode::OK),
        _ => StatusCode::OK,
    }
}
