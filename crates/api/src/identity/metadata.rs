//! The public documents: metadata (RFC 8414, OpenID Connect Discovery) and keys (RFC 7517 §5).

use super::Identity;
use super::answer::{Failure, json, with_type};
use super::call::Call;
use axum::response::Response;
use countersign_oauth::metadata::Metadata;
use http::StatusCode;
use http::header::{self, HeaderValue};
use std::sync::Arc;

/// How long a document may be kept: shorter than any key is published before it signs.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");

pub(super) async fn document(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let algorithms = identity.fabric.keys().algorithms().to_vec();
    let document = Metadata::new(
        &call.tenant,
        &algorithms,
        identity.options.mtls_origin.as_deref(),
    )
    .with_detail_types(&call.tenant.detail_types)
    .with_registration(&call.tenant.registration);
    let mut response = json(StatusCode::OK, &document);
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    Ok(response)
}

pub(super) async fn keys(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let published = identity
        .fabric
        .keys()
        .jwks(&call.tenant.name)
        .ok_or(Failure::Unavailable)?;
    let mut response = with_type(
        StatusCode::OK,
        "application/jwk-set+json",
        published.body.clone(),
    );
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    Ok(response)
}
