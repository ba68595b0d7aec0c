//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0 §2.5): a logout token, posted to the address that the client registered.
//!
//! The token is signed for each attempt. The client's answer counts only by its status: 200 or 204.

use super::Attempted;
use crate::fabric::Fabric;
use crate::mint::logout::logout_token;
use countersign_base::Duration;
use countersign_oauth::logout::LogoutDelivery;
use countersign_store::Delivery;
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use url::Url;

/// How long a client may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn attempt(fabric: &Fabric, delivery: &Delivery) -> Attempted {
    let Ok(what) = serde_json::from_str::<LogoutDelivery>(&delivery.record) else {
        return Attempted::Hopeless("record_unreadable");
    };
    let Some(tenant) = fabric.directory().tenant(&delivery.tenant) else {
        return Attempted::Hopeless("tenant_gone");
    };
    let client = match fabric
        .directory()
        .client(&delivery.tenant, &what.client)
        .await
    {
        Ok(Some(client)) if client.enabled => client,
        Ok(Some(_)) => return Attempted::Hopeless("client_disabled"),
        Ok(None) => return Attempted::Hopeless("client_gone"),
        Err(_) => return Attempted::Failed("store_failed"),
    };
    // As it is registered now: an address that was taken back is not written to.
    let address = client.logout.backchannel_uri.as_ref();
    let Some(url) = address.and_then(|address| Url::parse(address.as_str()).ok()) else {
        return Attempted::Hopeless("not_registered");
    };
    let minted = logout_token(
        &tenant,
        &client,
        (delivery, &what),
        fabric.keys(),
        fabric.now(),
    );
    let Ok(token) = minted else {
        return Attempted::Failed("not_signed");
    };
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
    // A compact token needs no escaping: base64url and dots.
    let body = format!("logout_token={}", token.expose()).into();
    match fabric.outside().deliver(&url, headers, body, TIMEOUT).await {
        Ok(StatusCode::OK | StatusCode::NO_CONTENT) => Attempted::Delivered,
        Ok(_) => Attempted::Failed("status"),
        Err(error) => Attempted::unanswered(&error),
    }
}
