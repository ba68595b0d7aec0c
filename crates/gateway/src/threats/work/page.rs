//! What a challenge looks like: a page that solves it, and a document (RFC 9457) that programs read.
//!
//! The page is whole: its script and style stand in it and are allowed by their digests, nothing else runs or loads, and it speaks with its own origin alone. Without scripts it says what is needed.

use super::{CHALLENGE_SECONDS, Form, PROOF_OF_WORK, Posed};
use countersign_base::RequestId;
use countersign_crypto::digest::sha256;
use http::HeaderValue;
use serde_json::json;
use std::sync::LazyLock;

const PAGE: &str = include_str!("page.html");
pub(super) const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// What a browser lets the page do.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        source(SCRIPT),
        source(STYLE)
    );
    HeaderValue::from_str(&policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

/// The page without what differs from one to the next.
static FRAME: LazyLock<String> = LazyLock::new(|| {
    let page = PAGE.replace("{{style}}", STYLE);
    page.replace("{{script}}", SCRIPT)
});

/// An element's text as a source of Content Security Policy Level 3 §2.3.1, in the base64 of RFC 4648 §4.
fn source(text: &str) -> String {
    format!("'sha256-{}'", base64(&sha256(text.as_bytes())))
}

fn base64(digest: &[u8; 32]) -> String {
    let text = countersign_crypto::base64url::encode(digest);
    format!("{}=", text.replace('-', "+").replace('_', "/"))
}

/// The text of an answer, its media type, and what a browser lets it do.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) media_type: &'static str,
    pub(crate) policy: Option<HeaderValue>,
}

/// Tells a challenge. Nothing in it was written by the caller.
pub(crate) fn told(posed: &Posed, request: RequestId) -> Told {
    match posed.form {
        Form::Document => Told {
            text: format!("{}\n", document(posed, request)),
            media_type: "application/problem+json",
            policy: None,
        },
        Form::Page => Told {
            text: FRAME
                .replace("{{challenge}}", &posed.challenge)
                .replace("{{bits}}", &posed.bits.get().to_string())
                .replace("{{request}}", &request.to_string()),
            media_type: "text/html; charset=utf-8",
            policy: Some(POLICY.clone()),
        },
    }
}

fn document(posed: &Posed, request: RequestId) -> serde_json::Value {
    json!({
        "type": "urn:countersign:problem:proof-of-work",
        "title": "A proof of work is needed",
        "status": 403,
        "detail": "Find a NONCE of up to 20 digits for which the SHA-256 digest of CHALLENGE.NONCE begins with so many zero bits, send it to this address in the field, and come back with the cookie of the answer.",
        "challenge": posed.challenge,
        "bits": posed.bits.get(),
        "digest": "sha-256",
        "field": PROOF_OF_WORK.as_str(),
        "expires_in": CHALLENGE_SECONDS,
        "request_id": request.to_string(),
    })
}
