//! The portal: a relying party as an application would be one. It pushes its requests, follows the pages like a browser, redeems and refreshes.

use super::browser::{Arrived, Browser};
use super::dpop::{AssertionKey, Learned, ProofKey};
use super::http::{Client, Failure, Response, value};
use countersign_crypto::Random;
use countersign_crypto::digest::sha256_base64url;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;
use url::Url;

pub(super) const CALLBACK: &str = "https://portal.demo.example/callback";
const CLIENT: &str = "portal";

/// Where the authorization server says its endpoints are.
pub(super) struct Endpoints {
    pub(super) issuer: String,
    pub(super) authorize: Url,
    pub(super) par: Url,
    pub(super) token: Url,
    pub(super) jwks: Url,
    pub(super) mtls_token: Option<Url>,
}

impl Endpoints {
    pub(super) async fn discover(client: &Client, metadata: &Url) -> Result<Self, Failure> {
        let metadata = client.get_json(metadata).await?;
        let text = |name: &str| {
            metadata
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let url = |name: &str| {
            text(name)
                .and_then(|text| Url::parse(&text).ok())
                .ok_or_else(|| Failure::new(format!("the metadata has no `{name}`")))
        };
        let alias = metadata
            .pointer("/mtls_endpoint_aliases/token_endpoint")
            .and_then(Value::as_str);
        Ok(Self {
            issuer: text("issuer").ok_or_else(|| Failure::new("the metadata has no `issuer`"))?,
            authorize: url("authorization_endpoint")?,
            par: url("pushed_authorization_request_endpoint")?,
            token: url("token_endpoint")?,
            jwks: url("jwks_uri")?,
            mtls_token: alias.and_then(|alias| Url::parse(alias).ok()),
        })
    }
}

/// The application.
pub(super) struct Portal<'a> {
    pub(super) client: &'a Client,
    pub(super) endpoints: &'a Endpoints,
    pub(super) assertions: &'a AssertionKey,
    pub(super) proofs: &'a ProofKey,
    pub(super) random: &'a Random,
}

/// What a sign-in brought to the callback.
pub(super) struct Code {
    pub(super) code: String,
    pub(super) verifier: String,
    pub(super) nonce: String,
}

/// The tokens of one response.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: Option<String>,
    pub(super) id: Option<String>,
}

impl Tokens {
    fn of(response: &Response) -> Result<Self, Failure> {
        let body = response.json()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        if text("token_type").as_deref() != Some("DPoP") {
            return Err(Failure::new("the token response is not of type DPoP"));
        }
        let access = text("access_token").ok_or_else(|| Failure::new("no access token"))?;
        Ok(Self {
            access,
            refresh: text("refresh_token"),
            id: text("id_token"),
        })
    }
}

impl Portal<'_> {
    /// Pushes a request (RFC 9126), signs `person` in with the forms of the pages, and comes back with the code.
    pub(super) async fn authorize(
        &self,
        person: &str,
        password: &str,
        scope: &str,
    ) -> Result<Code, Failure> {
        let (verifier, nonce, state) = (self.secret(), self.secret(), self.secret());
        let challenge = sha256_base64url(verifier.as_bytes());
        let jkt = self.proofs.thumbprint();
        let form = [
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", CALLBACK),
            ("scope", scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("dpop_jkt", &jkt),
        ];
        let pushed = self
            .post(&self.endpoints.par, &form)
            .await?
            .expect(StatusCode::CREATED)?
            .json()?;
        let request_uri = pushed
            .get("request_uri")
            .and_then(Value::as_str)
            .ok_or_else(|| Failure::new("PAR gave no request_uri"))?;
        let mut url = self.endpoints.authorize.clone();
        url.query_pairs_mut()
            .append_pair("client_id", CLIENT)
            .append_pair("request_uri", request_uri);
        let callback = self.through_the_pages(url, person, password).await?;
        self.read_callback(&callback, &state).map(|code| Code {
            code,
            verifier,
            nonce,
        })
    }

    async fn through_the_pages(
        &self,
        url: Url,
        person: &str,
        password: &str,
    ) -> Result<Url, Failure> {
        let mut browser = Browser::new(self.client);
        let mut arrived = browser.open(url, CALLBACK).await?;
        for step in ["Sign in", "Allow"] {
            let page = match arrived {
                Arrived::At(url) => return Ok(url),
                Arrived::On(page) => page,
            };
            let credentials = [("username", person), ("password", password)];
            let filled: &[(&str, &str)] = if step == "Sign in" { &credentials } else { &[] };
            arrived = browser.submit(&page, filled, step, CALLBACK).await?;
        }
        match arrived {
            Arrived::At(url) => Ok(url),
            Arrived::On(page) => Err(Failure::new(format!(
                "the pages end at {} instead of the callback",
                page.url.path()
            ))),
        }
    }

    /// Checks `state` and `iss` (RFC 9207) before it believes the code.
    fn read_callback(&self, callback: &Url, state: &str) -> Result<String, Failure> {
        let parameter = |name: &str| {
            callback
                .query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        if let Some(error) = parameter("error") {
            return Err(Failure::new(format!(
                "the authorization ended with `{error}`"
            )));
        }
        if parameter("state").as_deref() != Some(state)
            || parameter("iss") != Some(self.endpoints.issuer.clone())
        {
            return Err(Failure::new("`state` or `iss` of the answer is not ours"));
        }
        parameter("code").ok_or_else(|| Failure::new("no code in the answer"))
    }

    /// Redeems a code.
    pub(super) async fn redeem(&self, code: &Code) -> Result<Response, Failure> {
        self.redeem_with(code, &code.verifier).await
    }

    pub(super) async fn redeem_with(
        &self,
        code: &Code,
        verifier: &str,
    ) -> Result<Response, Failure> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code.code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.post(&self.endpoints.token, &form).await
    }

    /// Signs in and redeems.
    pub(super) async fn sign_in(
        &self,
        person: &str,
        password: &str,
        scope: &str,
    ) -> Result<(Tokens, Code), Failure> {
        let code = self.authorize(person, password, scope).await?;
        let response = self.redeem(&code).await?.expect(StatusCode::OK)?;
        Ok((Tokens::of(&response)?, code))
    }

    /// Uses a refresh token; the answer is the caller's to judge.
    pub(super) async fn try_refresh(&self, token: &str) -> Result<Response, Failure> {
        self.post(
            &self.endpoints.token,
            &[("grant_type", "refresh_token"), ("refresh_token", token)],
        )
        .await
    }

    pub(super) async fn refresh(&self, token: &str) -> Result<Tokens, Failure> {
        let response = self.try_refresh(token).await?.expect(StatusCode::OK)?;
        Tokens::of(&response)
    }

    /// Posts a form with a fresh assertion and proof, and once more with the nonce if the server asks for one (RFC 9449 §8).
    pub(super) async fn post(&self, url: &Url, form: &[(&str, &str)]) -> Result<Response, Failure> {
        let response = self.post_once(url, form).await?;
        let learned = self.proofs.learn(url, response.header("dpop-nonce"));
        if learned == Learned::Nonce
            && response
                .refused(StatusCode::BAD_REQUEST, "use_dpop_nonce")
                .is_ok()
        {
            return self.post_once(url, form).await;
        }
        Ok(response)
    }

    async fn post_once(&self, url: &Url, form: &[(&str, &str)]) -> Result<Response, Failure> {
        let assertion = self.assertions.assertion(CLIENT, &self.endpoints.issuer)?;
        let mut form = form.to_vec();
        form.push((
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ));
        form.push(("client_assertion", &assertion));
        let mut headers = HeaderMap::new();
        headers.insert(
            "dpop",
            value(&self.proofs.proof(&Method::POST, url, None)?)?,
        );
        self.client.post_form(url, headers, &form).await
    }

    fn secret(&self) -> String {
        self.random.token().expose().clone()
    }
}

/// A request to a protected resource with a bound token, and once more with the nonce if the server asks for one.
pub(super) async fn call(
    client: &Client,
    proofs: &ProofKey,
    method: Method,
    url: &Url,
    token: &str,
) -> Result<Response, Failure> {
    call_with(client, proofs, method, url, token, "").await
}

/// The same with a body of JSON.
pub(super) async fn call_with(
    client: &Client,
    proofs: &ProofKey,
    method: Method,
    url: &Url,
    token: &str,
    body: &str,
) -> Result<Response, Failure> {
    let response = call_once(client, proofs, method.clone(), url, token, body).await?;
    let learned = proofs.learn(url, response.header("dpop-nonce"));
    let asks = response
        .header("www-authenticate")
        .is_some_and(|challenge| challenge.contains("use_dpop_nonce"));
    if learned == Learned::Nonce && asks {
        return call_once(client, proofs, method, url, token, body).await;
    }
    Ok(response)
}

async fn call_once(
    client: &Client,
    proofs: &ProofKey,
    method: Method,
    url: &Url,
    token: &str,
    body: &str,
) -> Result<Response, Failure> {
    let proof = proofs.proof(&method, url, Some(token))?;
    let mut headers = proven(token, &proof)?;
    if !body.is_empty() {
        headers.insert(header::CONTENT_TYPE, value("application/json")?);
    }
    client.send(method, url, headers, body.to_owned()).await
}

/// The same with a proof that the caller made.
pub(super) async fn with_proof(
    client: &Client,
    method: Method,
    url: &Url,
    token: &str,
    proof: &str,
) -> Result<Response, Failure> {
    let headers = proven(token, proof)?;
    client.send(method, url, headers, String::new()).await
}

fn proven(token: &str, proof: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value(&format!("DPoP {token}"))?);
    headers.insert("dpop", value(proof)?);
    Ok(headers)
}

/// A request with the token as a plain bearer.
pub(super) async fn as_bearer(
    client: &Client,
    method: Method,
    url: &Url,
    token: &str,
) -> Result<Response, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value(&format!("Bearer {token}"))?);
    client.send(method, url, headers, String::new()).await
}
