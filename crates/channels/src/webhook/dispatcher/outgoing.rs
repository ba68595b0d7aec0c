//! What is sent in one attempt: the body as the endpoint wants it, and the header fields that prove whose it is.
//!
//! The id is the same in every attempt and at every endpoint, the timestamp that of the attempt. Every secret that is in force signs, so that a receiver which rotates
//! verifies with either. Over an encrypted payload the signature is of what is sent: a receiver checks it before it decrypts.

pub use countersign_control::webhooks::webhook_id;

use super::endpoints::{Endpoint, Target, ToReceiver};
use super::to_service::ToService;
use bytes::Bytes;
use countersign_base::{Secret, UnixTime};
use countersign_crypto::jose::{
    ContentEncryption, EncryptionKey, KeyManagement, Labels, encrypt_content,
};
use countersign_crypto::random::Random;
use countersign_store::tables::webhook_endpoints::{WebhookPayload, WebhookSigning};
use countersign_store::webhooks::WebhookMessage;
use countersign_wire::HeadView;
use countersign_wire::webhook::http_signature::{self, SecretAs};
use countersign_wire::webhook::standard;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use url::Position;

/// As whom we send.
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("countersign-webhooks/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// A compact JWE (RFC 7515 §9.2.1).
const JOSE: HeaderValue = HeaderValue::from_static("application/jose");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What is sent.
pub(super) struct Outgoing {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Makes what is sent; the reason, where that is not possible now.
pub(super) fn outgoing(
    endpoint: &Endpoint,
    message: &WebhookMessage,
    body: &Secret<Vec<u8>>,
    random: &Random,
    now: UnixTime,
) -> Result<Outgoing, &'static str> {
    let id = webhook_id(message.id);
    match &endpoint.target {
        Target::Receiver(to) => to_receiver(to, message, (&id, body), random, now),
        Target::Service(to) => to_service(to, (&id, body), now),
        Target::Unusable(reason) => Err(reason),
    }
}

fn to_receiver(
    to: &ToReceiver,
    message: &WebhookMessage,
    (id, body): (&str, &Secret<Vec<u8>>),
    random: &Random,
    now: UnixTime,
) -> Result<Outgoing, &'static str> {
    let said = match to.payload {
        WebhookPayload::Full => body.expose().clone(),
        WebhookPayload::Thin => thin(message, id),
    };
    let (media_type, body) = match &to.encryption {
        None => (JSON, said),
        Some(key) => (JOSE, encrypted(key, &said, random)?),
    };
    let mut headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, media_type),
        (header::USER_AGENT, USER_AGENT),
    ]);
    if to.secrets.is_empty() {
        return Err("secret_missing");
    }
    headers.insert(HeaderName::from_static(standard::ID), field(id)?);
    let fields = match to.signing {
        WebhookSigning::V1 | WebhookSigning::V1a => {
            standard::headers(&to.secrets, id, now, &body).map_err(|_| "signature_failed")?
        }
        WebhookSigning::HttpSignature => by_http_signature(to, &headers, &body, random, now)?,
    };
    for (name, value) in fields {
        headers.insert(HeaderName::from_static(name), field(&value)?);
    }
    Ok(Outgoing {
        headers,
        body: body.into(),
    })
}

/// RFC 9421 by the profile for webhooks: the method, the address and the digest of the body are covered too. Each key is named by the id of its secret.
fn by_http_signature(
    to: &ToReceiver,
    headers: &HeaderMap,
    body: &[u8],
    random: &Random,
    now: UnixTime,
) -> Result<[(&'static str, String); 3], &'static str> {
    let fields: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let url = to.receiver.url();
    let head = HeadView {
        method: "POST",
        scheme: url.scheme(),
        authority: &url[Position::BeforeHost..Position::AfterPort],
        path_and_query: &url[Position::BeforePath..Position::AfterQuery],
        fields: &fields,
    };
    let named: Vec<SecretAs<'_>> = to
        .key_ids
        .iter()
        .zip(&to.secrets)
        .map(|(id, secret)| SecretAs { id, secret })
        .collect();
    http_signature::headers(&named, &head, body, random, now).map_err(|_| "signature_failed")
}

/// A service gets what came in as it came in, signed by us if it wants that. The key names the message, however often it is brought.
fn to_service(
    to: &ToService,
    (id, body): (&str, &Secret<Vec<u8>>),
    now: UnixTime,
) -> Result<Outgoing, &'static str> {
    let mut headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, field(to.media_type())?),
        (header::USER_AGENT, USER_AGENT),
        (HeaderName::from_static(standard::ID), field(id)?),
        (IDEMPOTENCY_KEY, field(&format!("\"{id}\""))?),
    ]);
    if !to.signing().is_empty() {
        let fields = standard::headers(to.signing(), id, now, body.expose());
        for (name, value) in fields.map_err(|_| "signature_failed")? {
            headers.insert(HeaderName::from_static(name), field(&value)?);
        }
    }
    Ok(Outgoing {
        headers,
        body: body.expose().clone().into(),
    })
}

/// What names the message and nothing of what is in it: who wants to know more asks, with the right to.
fn thin(message: &WebhookMessage, id: &str) -> Vec<u8> {
    let thin = json!({
        "type": message.event_type.as_str(),
        "version": message.version,
        "timestamp": message.created.0,
        "data": { "id": id },
    });
    thin.to_string().into_bytes()
}

fn encrypted(key: &EncryptionKey, body: &[u8], random: &Random) -> Result<Vec<u8>, &'static str> {
    let labels = Labels {
        typ: None,
        cty: "application/json",
    };
    let management = KeyManagement::ALL
        .into_iter()
        .find(|management| key.fits(*management))
        .ok_or("encryption_key")?;
    encrypt_content(
        body,
        labels,
        key,
        management,
        ContentEncryption::A256Gcm,
        random,
    )
    .map(String::into_bytes)
    .map_err(|_| "encryption_failed")
}

fn field(text: &str) -> Result<HeaderValue, &'static str> {
    HeaderValue::from_str(text).map_err(|_| "header_value")
}

#[cfg(test)]
mod tests;
