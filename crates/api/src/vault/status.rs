//! What anybody may ask: whether the vault is there, and open. The same of a vault that is open and of one that waits for its shares.

use axum::extract::Request;
use countersign_base::UnixTime;
use countersign_keys::seal::SealStatus;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// The answer, if that is what is asked.
pub(super) fn of(
    seal: &SealStatus,
    origin: &str,
    request: &Request,
    now: UnixTime,
) -> Option<(StatusCode, Value)> {
    let path = request.uri().path().strip_prefix("/v1/sys/")?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let query = request.uri().query().unwrap_or_default();
    match path.trim_end_matches('/') {
        "health" => Some((health_status(seal, query), health(seal, now))),
        "init" => Some((StatusCode::OK, json!({ "initialized": seal.initialized }))),
        "leader" => {
            let body = json!({
                "ha_enabled": false,
                "is_self": true,
                "leader_address": origin,
                "leader_cluster_address": "",
                "performance_standby": false,
            });
            Some((StatusCode::OK, body))
        }
        "seal-status" => Some((StatusCode::OK, seal_status(seal))),
        _ => None,
    }
}

fn health(seal: &SealStatus, now: UnixTime) -> Value {
    json!({
        "initialized": seal.initialized,
        "sealed": seal.sealed,
        "standby": false,
        "performance_standby": false,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": now.0,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// `sys/seal-status`, which is also what every step of unsealing answers.
pub(super) fn seal_status(seal: &SealStatus) -> Value {
    json!({
        "type": seal.kind,
        "initialized": seal.initialized,
        "sealed": seal.sealed,
        "t": seal.t,
        "n": seal.n,
        "progress": seal.progress,
        "nonce": seal.nonce,
        "version": env!("CARGO_PKG_VERSION"),
        "commit_date": "",
        "migration": seal.migration,
        "recovery_seal": seal.recovery_seal,
        "storage_type": "countersign",
    })
}

/// 200, 501 before there is a seal, 503 while it is closed; `activecode`, `uninitcode` and `sealedcode` name others.
fn health_status(seal: &SealStatus, query: &str) -> StatusCode {
    let (code, usual) = match (seal.initialized, seal.sealed) {
        (false, _) => ("uninitcode", StatusCode::NOT_IMPLEMENTED),
        (true, true) => ("sealedcode", StatusCode::SERVICE_UNAVAILABLE),
        (true, false) => ("activecode", StatusCode::OK),
    };
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let asked = pairs.find(|(name, _)| *name == code);
    asked
        .and_then(|(_, status)| StatusCode::from_bytes(status.as_bytes()).ok())
        .unwrap_or(usual)
}
