//! CIBA notifications (CIBA Core §10.2): the client is told that there is an answer, and asks for it at the token endpoint.
//!
//! What a client answers has no meaning beyond its status, and no redirect is followed. A client that refuses is not told again: it still may poll.

use super::Attempted;
use crate::CibaNotice;
use crate::fabric::Fabric;
use countersign_base::Duration;
use countersign_oauth::client::DeliveryMode;
use countersign_oauth::decoupled::PingDelivery;
use countersign_store::Delivery;
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::json;

/// How long a client may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn attempt(fabric: &Fabric, delivery: &Delivery) -> Attempted {
    let Ok(what) = serde_json::from_str::<PingDelivery>(&delivery.record) else {
        return Attempted::Hopeless("record_unreadable");
    };
    let found = fabric.directory().client(&delivery.tenant, &what.client);
    let client = match found.await {
        Ok(Some(client)) if client.enabled => client,
        Ok(_) => return Attempted::Hopeless("client_gone"),
        Err(_) => return Attempted::Failed("store_failed"),
    };
    // As it is registered now: an address that was taken back is not written to.
    let endpoint = match &client.ciba.delivery {
        DeliveryMode::Ping { endpoint } => endpoint.url(),
        DeliveryMode::Poll => return Attempted::Hopeless("not_registered"),
    };
    let opened = CibaNotice::open(
        what.notice.as_str(),
        fabric.secrets(),
        &delivery.tenant,
        what.grant,
    );
    let Ok(notice) = opened else {
        return Attempted::Hopeless("notice_unreadable");
    };
    let bearer = format!("Bearer {}", notice.token.expose());
    let Ok(mut bearer) = HeaderValue::from_str(&bearer) else {
        return Attempted::Hopeless("notice_unreadable");
    };
    bearer.set_sensitive(true);
    let kind = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, kind),
        (header::AUTHORIZATION, bearer),
    ]);
    let body = json!({ "auth_req_id": notice.auth_req_id.expose() }).to_string();
    let told = fabric
        .outside()
        .deliver(endpoint, headers, body.into(), TIMEOUT);
    match told.await {
        Ok(status) if status.is_success() => Attempted::Delivered,
        // CIBA Core §10.2: 401 and its like will not change, and a redirect is not followed (CIBA-30 to 32).
        Ok(status) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Attempted::Failed("status")
        }
        Ok(_) => Attempted::Hopeless("refused"),
        Err(error) => Attempted::unanswered(&error),
    }
}
