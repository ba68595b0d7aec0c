//! One connection to the identity listener, as a client's back channel and as a person's browser.

use super::form::{HtmlForm, forms};
use super::ledger::{Accepted, IssuedCode, Ledger, lock};
use super::{PASSWORD, REDIRECT};
use crate::Failed;
use crate::clients::{AUDIENCE, Prover, SCOPE, escape};
use crate::load::{Destination, exchange};
use bytes::Bytes;
use countersign_crypto::digest::sha256_base64url;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use std::time::Instant;
use url::Url;

/// The connection.
pub(crate) struct Session<'a> {
    destination: Destination,
    sender: SendRequest<Full<Bytes>>,
    ledger: &'a Ledger,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// A member of a JSON answer.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(value.get(name)?.as_str()?.to_owned())
    }

    /// Whether the request was refused because its proof carried no nonce, or an old one (RFC 9449 §8).
    fn wants_nonce(&self) -> bool {
        self.text("error").as_deref() == Some("use_dpop_nonce")
    }

    /// The answer as a problem.
    pub(crate) fn problem(&self) -> Failed {
        format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)).into()
    }
}

impl<'a> Session<'a> {
    pub(crate) async fn connect(
        destination: &Destination,
        ledger: &'a Ledger,
    ) -> Result<Self, Failed> {
        Ok(Self {
            destination: destination.clone(),
            sender: destination.connect().await?,
            ledger,
        })
    }

    async fn send(
        &mut self,
        request: http::request::Builder,
        body: String,
    ) -> Result<Answer, Failed> {
        let request = request
            .header(header::HOST, self.destination.host())
            .body(Full::new(Bytes::from(body)))?;
        let (parts, body) = exchange(&mut self.sender, request).await?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    /// Posts a client's form with a proof, once more if that is refused for want of a nonce. Gives the answer and the request as it was sent last.
    ///
    /// Every answer may bring a newer nonce (RFC 9449 §8.2): only the error says that this one was missing it.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        form: &str,
        authorization: Option<&str>,
        prover: &mut Prover,
    ) -> Result<(Answer, Accepted), Failed> {
        let sent = self.proven(path, form, authorization, prover)?;
        let answer = self.replay(path, &sent).await?;
        prover.learn(&answer.headers);
        if !answer.wants_nonce() {
            return Ok((answer, sent));
        }
        let sent = self.proven(path, form, authorization, prover)?;
        let answer = self.replay(path, &sent).await?;
        prover.learn(&answer.headers);
        if answer.wants_nonce() {
            return Err("the server asks for one nonce after another".into());
        }
        Ok((answer, sent))
    }

    fn proven(
        &self,
        path: &str,
        form: &str,
        authorization: Option<&str>,
        prover: &Prover,
    ) -> Result<Accepted, Failed> {
        let proof = prover.proof(
            &Method::POST,
            &format!("{}{path}", self.ledger.issuer),
            None,
            &self.ledger.random,
        )?;
        Ok(Accepted {
            form: form.to_owned(),
            authorization: authorization.map(str::to_owned),
            proof: Some(proof),
        })
    }

    /// Sends a request exactly as it was sent before.
    pub(crate) async fn replay(&mut self, path: &str, sent: &Accepted) -> Result<Answer, Failed> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in [
            ("authorization", &sent.authorization),
            ("dpop", &sent.proof),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        self.send(request, sent.form.clone()).await
    }

    /// Signs in if there is no session, and gets a code bound to a fresh key.
    pub(crate) async fn code(&mut self) -> Result<IssuedCode, Failed> {
        let mut prover = Prover::new()?;
        let verifier = self.ledger.random.token().expose().clone();
        let form = format!(
            "client_id=phone&response_type=code&redirect_uri={}&scope={}&resource={}&state=s&code_challenge={}&code_challenge_method=S256",
            escape(REDIRECT),
            escape(&format!("openid {SCOPE}")),
            escape(AUDIENCE),
            sha256_base64url(verifier.as_bytes())
        );
        let (pushed, _) = self.post("/par", &form, None, &mut prover).await?;
        let request_uri = pushed.text("request_uri").ok_or_else(|| pushed.problem())?;
        let code = self
            .authorize(&format!(
                "/authorize?client_id=phone&request_uri={}",
                escape(&request_uri)
            ))
            .await?;
        Ok(IssuedCode {
            code,
            verifier,
            prover,
            arrived: Instant::now(),
        })
    }

    /// Follows redirects and fills in forms until the code arrives at the redirect URI.
    async fn authorize(&mut self, path: &str) -> Result<String, Failed> {
        let mut answer = self.browse(Method::GET, path, String::new()).await?;
        let mut at = path.to_owned();
        for _ in 0..8 {
            if let Some(location) = answer
                .headers
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok())
            {
                if location.starts_with(REDIRECT) {
                    let url: Url = location.parse()?;
                    let code = url
                        .query_pairs()
                        .find(|(name, _)| name == "code")
                        .map(|(_, code)| code.into_owned());
                    return code.ok_or_else(|| format!("no code in {location}").into());
                }
                at = local(location);
                answer = self.browse(Method::GET, &at.clone(), String::new()).await?;
            } else {
                let page = String::from_utf8_lossy(&answer.body).into_owned();
                let (target, body) = filled(&page, &at).ok_or_else(|| answer.problem())?;
                answer = self.browse(Method::POST, &target, body).await?;
            }
        }
        Err("the sign-in does not end".into())
    }

    async fn browse(&mut self, method: Method, path: &str, body: String) -> Result<Answer, Failed> {
        let cookies: Vec<String> = lock(&self.ledger.cookies)
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::COOKIE, cookies.join("; "));
        if method == Method::POST {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(header::ORIGIN, &self.ledger.issuer);
        }
        let answer = self.send(request, body).await?;
        let mut jar = lock(&self.ledger.cookies);
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                jar.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        Ok(answer)
    }
}

/// Path and query of an address at the issuer.
fn local(location: &str) -> String {
    location.parse::<Url>().map_or_else(
        |_| location.to_owned(),
        |url| {
            url.query().map_or_else(
                || url.path().to_owned(),
                |query| format!("{}?{query}", url.path()),
            )
        },
    )
}

/// The sign-in or consent form of a page, filled in: where it goes and its body.
fn filled(page: &str, at: &str) -> Option<(String, String)> {
    let wanted = ["Sign in", "Allow"];
    let found = forms(page).into_iter().find_map(|form| {
        let button = form
            .buttons
            .iter()
            .find(|(label, ..)| wanted.contains(&label.as_str()))
            .cloned()?;
        Some((form, button))
    });
    let (
        HtmlForm {
            action, mut fields, ..
        },
        (_, name, value),
    ) = found?;
    for (name, value) in &mut fields {
        match name.as_str() {
            "username" => "alice".clone_into(value),
            "password" => PASSWORD.clone_into(value),
            _ => {}
        }
    }
    if !name.is_empty() {
        fields.push((name, value));
    }
    let body: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    Some((
        if action.is_empty() {
            at.to_owned()
        } else {
            local(&action)
        },
        body.join("&"),
    ))
}
