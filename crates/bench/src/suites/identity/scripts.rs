//! What one connection does in each case, and what it takes for an answer to count. The same scripts go to every server.

use crate::Failed;
use crate::answers::{Expected, check_id_token, text};
use crate::browser::{cookie_header, keep_cookies, location, parameter};
use crate::clients::{AUDIENCE, SCOPE, TokenClient, escape};
use crate::load::{Script, Wanted};
use crate::zipf::Dice;
use bytes::Bytes;
use countersign_crypto::digest::sha256_base64url;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where codes arrive.
pub(super) const REDIRECT: &str = "https://portal.example/callback";
/// What exchanged tokens are for.
pub(super) const EXCHANGED_AUDIENCE: &str = "https://billing.example";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn counted(checked: Result<(), String>) -> Wanted {
    match checked {
        Ok(()) => Wanted::Yes,
        Err(reason) => Wanted::Wrong(reason),
    }
}

/// A client asks for a token of its own.
#[derive(Clone)]
pub(super) struct ClientCredentials {
    pub(super) client: TokenClient,
    pub(super) path: &'static str,
    pub(super) expected: Expected,
}

impl Script for ClientCredentials {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        self.client.request_at(self.path)
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Wanted {
        match status {
            StatusCode::OK => counted(self.expected.check(body).map(drop)),
            _ => Wanted::No,
        }
    }
}

/// A client refreshes one person's token again and again; each answer brings the next refresh token.
pub(super) struct Refreshes {
    pub(super) client: TokenClient,
    pub(super) expected: Expected,
    pub(super) refresh_token: String,
}

impl Script for Refreshes {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        let form = format!(
            "grant_type=refresh_token&refresh_token={}",
            escape(&self.refresh_token)
        );
        self.client.post("/token", form)
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Wanted {
        if status != StatusCode::OK {
            return Wanted::No;
        }
        let checked = self.expected.check(body).and_then(|answer| {
            let next = text(&answer, "refresh_token")?;
            if next == self.refresh_token {
                return Err("the refresh token was not replaced".to_owned());
            }
            next.clone_into(&mut self.refresh_token);
            Ok(())
        });
        counted(checked)
    }
}

/// A resource server asks about opaque tokens of another client, chosen at random.
pub(super) struct Introspections {
    pub(super) asker: TokenClient,
    pub(super) tokens: Arc<Vec<String>>,
    pub(super) dice: Dice,
    /// Whose tokens they are.
    pub(super) holder: &'static str,
}

impl Introspections {
    fn check(&self, body: &[u8]) -> Result<(), String> {
        let answer: Value = serde_json::from_slice(body).map_err(|_| "no JSON")?;
        if answer.get("active") != Some(&Value::Bool(true)) {
            return Err(format!("it is not active: {answer}"));
        }
        for (name, expected) in [
            ("client_id", self.holder),
            ("scope", SCOPE),
            ("aud", AUDIENCE),
        ] {
            if text(&answer, name)? != expected {
                return Err(format!("`{name}` is not `{expected}`: {answer}"));
            }
        }
        Ok(())
    }
}

impl Script for Introspections {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        let place = usize::try_from(self.dice.next() % self.tokens.len().max(1) as u64)?;
        let token = self.tokens.get(place).ok_or("no tokens")?;
        let form = format!("token={}", escape(token));
        self.asker.post("/introspect", form)
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Wanted {
        match status {
            StatusCode::OK => counted(self.check(body)),
            _ => Wanted::No,
        }
    }
}

/// A person who is signed in is sent to the server by a client and comes back with a code, which the client redeems: two requests that count as one.
pub(super) struct CodeFlow {
    pub(super) client: TokenClient,
    pub(super) expected: Expected,
    pub(super) cookies: BTreeMap<String, String>,
    pub(super) at: Step,
}

/// Where a flow stands.
pub(super) enum Step {
    /// At its beginning.
    Begin,
    /// The browser is on its way.
    Authorize(Flow),
    /// The code has arrived.
    Redeem(Flow, String),
}

/// What a client remembers of a flow.
pub(super) struct Flow {
    pub(super) verifier: String,
    state: String,
    nonce: String,
}

impl Flow {
    pub(super) fn begin(client: &TokenClient) -> Self {
        let random = || client.random.token().expose().clone();
        Self {
            verifier: random(),
            state: random(),
            nonce: random(),
        }
    }

    /// Where the browser is sent.
    pub(super) fn path(&self, client: &TokenClient, scope: &str) -> String {
        // A nonce belongs to an ID token (OpenID Connect Core §3.1.2.1).
        let nonce = if scope.starts_with("openid ") {
            format!("&nonce={}", self.nonce)
        } else {
            String::new()
        };
        format!(
            "/authorize?client_id={}&response_type=code&redirect_uri={}&scope={}&resource={}&state={}{nonce}&code_challenge={}&code_challenge_method=S256",
            escape(&client.id),
            escape(REDIRECT),
            escape(scope),
            escape(AUDIENCE),
            self.state,
            sha256_base64url(self.verifier.as_bytes())
        )
    }

    /// What redeems the code.
    pub(super) fn form(&self, code: &str) -> String {
        format!(
            "grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={}&resource={}",
            escape(code),
            escape(REDIRECT),
            self.verifier,
            escape(AUDIENCE)
        )
    }

    fn arrived(&self, headers: &HeaderMap, issuer: &str) -> Result<String, String> {
        let to = location(headers).ok_or("the browser is sent nowhere")?;
        if !to.starts_with(REDIRECT) {
            return Err(format!("the browser is sent to {to}"));
        }
        for (name, expected) in [("state", self.state.as_str()), ("iss", issuer)] {
            if parameter(to, name).as_deref() != Some(expected) {
                return Err(format!("`{name}` is not `{expected}` in {to}"));
            }
        }
        parameter(to, "code").ok_or_else(|| format!("no code in {to}"))
    }
}

impl CodeFlow {
    /// The scope that is asked for: an ID token comes with it.
    pub(super) const SCOPE: &'static str = "openid orders:read";

    fn redeemed(&mut self, flow: &Flow, body: &[u8]) -> Result<(), String> {
        let answer = self.expected.check(body)?;
        check_id_token(&answer, &self.expected, &flow.nonce)?;
        text(&answer, "refresh_token").map(drop)
    }
}

impl Script for CodeFlow {
    fn begin(&mut self) {
        self.at = Step::Begin;
    }

    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        match &self.at {
            Step::Redeem(flow, code) => self.client.post("/token", flow.form(code)),
            Step::Begin | Step::Authorize(_) => {
                let flow = Flow::begin(&self.client);
                let request = Request::builder()
                    .method(Method::GET)
                    .uri(flow.path(&self.client, Self::SCOPE))
                    .header(header::COOKIE, cookie_header(&self.cookies))
                    .body(Full::default())?;
                self.at = Step::Authorize(flow);
                Ok(request)
            }
        }
    }

    fn judge(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Wanted {
        match std::mem::replace(&mut self.at, Step::Begin) {
            Step::Begin => Wanted::Wrong("an answer that nothing asked for".to_owned()),
            Step::Authorize(flow) if status.is_redirection() => {
                keep_cookies(&mut self.cookies, headers);
                match flow.arrived(headers, &self.expected.issuer) {
                    Ok(code) => {
                        self.at = Step::Redeem(flow, code);
                        Wanted::Partly
                    }
                    Err(reason) => Wanted::Wrong(reason),
                }
            }
            Step::Redeem(flow, _) if status == StatusCode::OK => {
                counted(self.redeemed(&flow, body))
            }
            Step::Authorize(_) | Step::Redeem(..) => Wanted::No,
        }
    }
}

/// A service exchanges a person's token for one of its own audience, in which it stands as the actor (RFC 8693).
pub(super) struct Exchanges {
    pub(super) service: TokenClient,
    pub(super) expected: Expected,
    pub(super) subject_token: String,
}

impl Exchanges {
    fn check(&mut self, body: &[u8]) -> Result<(), String> {
        let answer = self.expected.check(body)?;
        if text(&answer, "issued_token_type")? != ACCESS_TOKEN {
            return Err("another type of token".to_owned());
        }
        let claims = crate::answers::claims(text(&answer, "access_token")?)?;
        let actor = claims.pointer("/act/sub").and_then(Value::as_str);
        if actor != Some(self.service.id.as_str()) {
            return Err(format!("the actor is {actor:?}"));
        }
        Ok(())
    }
}

impl Script for Exchanges {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        let form = format!(
            "grant_type={}&subject_token={}&subject_token_type={}&audience={}&scope={}",
            escape("urn:ietf:params:oauth:grant-type:token-exchange"),
            escape(&self.subject_token),
            escape(ACCESS_TOKEN),
            escape(EXCHANGED_AUDIENCE),
            escape(SCOPE),
        );
        self.service.post("/token", form)
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Wanted {
        match status {
            StatusCode::OK => counted(self.check(body)),
            _ => Wanted::No,
        }
    }
}
