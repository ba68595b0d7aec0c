//! `/metrics`, `/healthz`, `/readyz`: plain HTTP on loopback, for the machine's own collector.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use countersign_authn::{Freshness, Revocations};
use countersign_control::Fabric;
use http::{StatusCode, header};
use std::sync::Arc;

pub(super) fn router(fabric: Arc<Fabric>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(fabric)
}

async fn metrics(State(fabric): State<Arc<Fabric>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], fabric.metrics().render())
}

/// Ready means: signing keys are there, revocations are current, and the store answers.
async fn ready(State(fabric): State<Arc<Fabric>>) -> (StatusCode, &'static str) {
    if fabric.keys().is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no signing keys\n");
    }
    if fabric.revocations().freshness(fabric.now()) == Freshness::Stale {
        return (StatusCode::SERVICE_UNAVAILABLE, "revocations are stale\n");
    }
    match fabric.store().read().await {
        Ok(_connection) => (StatusCode::OK, "ready\n"),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n",
        ),
    }
}
