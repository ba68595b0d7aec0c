//! Somebody who calls a server over TLS on loopback: a client, with or without a certificate, or a browser that keeps its cookies.
//!
//! Not here: starting the server; the `countersign` crate's own tests do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use countersign_crypto::base64url;
use countersign_net::tls::Alpn;
use countersign_net::{
    ClientOptions, EgressPolicy, HttpClient, TlsClient, TlsIdentity, TrustRoots,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use url::Url;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose server answers otherwise has failed"
)]
impl Answer {
    /// The body, if it is JSON; `null` otherwise.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A text member of the JSON body.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        let found = self
            .json()
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned);
        found.unwrap_or_else(|| panic!("{name} in {} {}", self.status, self.text))
    }

    /// Where it sends the browser, as it is written.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn location(&self) -> &str {
        let found = self.headers.get(header::LOCATION);
        let found = found.unwrap_or_else(|| panic!("{}: {}", self.status, self.text));
        found.to_str().expect("text")
    }

    /// A parameter of the address that it sends the browser to.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn redirected(&self, name: &str) -> String {
        let url = Url::parse(self.location()).expect("a URL");
        let found = url.query_pairs().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_else(|| panic!("{name} in {url}"))
    }

    /// What stands between this text and the next quotation mark.
    ///
    /// # Panics
    /// When the text is not there.
    #[must_use]
    pub fn quoted(&self, before: &str) -> &str {
        self.text
            .split(before)
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_else(|| panic!("{before} in {}", self.text))
    }
}

/// Who calls.
pub struct Caller(HttpClient);

#[expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test without its setting has nothing to test"
)]
impl Caller {
    /// Believes this authority (PEM), and shows this certificate.
    ///
    /// # Panics
    /// When there is no certificate in the PEM.
    #[must_use]
    pub fn new(authority: &str, identity: Option<&TlsIdentity>) -> Self {
        let roots = TrustRoots::from_pem(authority.as_bytes()).expect("an authority");
        let tls = TlsClient::new(&roots, identity, Alpn::Http1).expect("TLS");
        let egress = EgressPolicy::public_only().allowing("localhost");
        Self(HttpClient::new(tls, egress, ClientOptions::default()))
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let answer = self.0.send(method, url, map, Bytes::from(body)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        Answer {
            status: answer.status,
            headers: answer.headers,
            text: String::from_utf8(answer.body.to_vec()).expect("text"),
        }
    }

    /// Reads a page.
    pub async fn get(&self, url: &Url, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, url, headers, String::new()).await
    }

    /// Posts a form.
    pub async fn post(&self, url: &Url, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [headers, &[kind]].concat();
        self.send(Method::POST, url, &headers, body).await
    }
}

/// The cookies of a browser: one of a name, none that is to go.
#[derive(Debug, Default)]
pub struct CookieJar(Vec<String>);

impl CookieJar {
    /// Keeps what an answer sets.
    pub fn keep(&mut self, answer: &Answer) {
        let name = |pair: &str| pair.split('=').next().map(str::to_owned);
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap_or_default();
            let pair = text.split(';').next().unwrap_or_default();
            self.0.retain(|kept| name(kept) != name(pair));
            if !text.contains("Max-Age=0") {
                self.0.push(pair.to_owned());
            }
        }
    }

    /// The value of the header field `cookie`.
    #[must_use]
    pub fn header(&self) -> String {
        self.0.join("; ")
    }
}

/// The value of `authorization` of a client with a secret (RFC 6749 §2.3.1).
#[must_use]
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// What a JWT says, unverified.
///
/// # Panics
/// When it is none.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without its token has failed")]
pub fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT");
    let payload = base64url::decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}
