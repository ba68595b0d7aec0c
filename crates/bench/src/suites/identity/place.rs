//! A server with clients and a person who is signed in: from it come the scripts of every case.

use super::scripts::{
    ClientCredentials, CodeFlow, EXCHANGED_AUDIENCE, Exchanges, Flow, Introspections, REDIRECT,
    Refreshes, Step,
};
use super::{CONNECTIONS, OPAQUE_TOKENS};
use crate::Failed;
use crate::answers::{self, Expected, text};
use crate::browser::{Browser, Cookies, Person};
use crate::clients::{AUDIENCE, Credential, SCOPE, TokenClient};
use crate::load::{Script, exchange};
use crate::running::Running;
use crate::suites::setting::fetch;
use crate::zipf::Dice;
use bytes::Bytes;
use countersign_crypto::jose::JwkSet;
use countersign_crypto::random::Random;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// The scripts of one case, one a connection.
pub(super) type Scripts = Vec<Box<dyn Script>>;

/// A server, and who may ask it for what.
pub(super) struct Place {
    running: Arc<dyn Running>,
    keys: Arc<JwkSet>,
    credentials: BTreeMap<String, Credential>,
    person: Person,
    cookies: Cookies,
    random: Random,
}

impl Place {
    /// Reads the server's keys. `credentials` are those of its clients, by their names.
    pub(super) async fn new(
        running: Arc<dyn Running>,
        credentials: BTreeMap<String, Credential>,
        person: Person,
    ) -> Result<Self, Failed> {
        let destination = running.destination()?;
        let mut sender = destination.connect().await?;
        let request = Request::builder()
            .uri(running.paths().keys)
            .header(header::HOST, destination.host())
            .body(Full::<Bytes>::default())?;
        let (parts, body) = exchange(&mut sender, request).await?;
        if parts.status != StatusCode::OK {
            return Err(format!("the keys: {}", parts.status).into());
        }
        Ok(Self {
            keys: answers::keys(&body)?,
            running,
            credentials,
            person,
            cookies: Cookies::default(),
            random: Random::system(),
        })
    }

    pub(super) fn running(&self) -> &Arc<dyn Running> {
        &self.running
    }

    fn client(&self, id: &str) -> Result<TokenClient, Failed> {
        let credential = self.credentials.get(id);
        Ok(TokenClient {
            id: id.to_owned(),
            credential: credential.ok_or("an unknown client")?.clone(),
            issuer: self.running.issuer(),
            proof: None,
            random: self.random.clone(),
        })
    }

    fn expected(&self, client: &str, audience: &str, scope: &str) -> Expected {
        Expected::new(&self.keys, self.running.issuer(), client, audience, scope)
    }

    /// `client` asks for tokens of its own. `audience` is what they are for.
    pub(super) fn client_credentials(
        &self,
        client: &str,
        audience: &str,
    ) -> Result<Scripts, Failed> {
        let script = ClientCredentials {
            client: self.client(client)?,
            path: self.running.paths().token,
            expected: self.expected(client, audience, SCOPE),
        };
        Ok(each(|_| Box::new(script.clone())))
    }

    /// A client of its own for each connection asks for tokens of its own.
    pub(super) fn client_credentials_each(
        &self,
        name: fn(u64) -> String,
    ) -> Result<Scripts, Failed> {
        (0..CONNECTIONS as u64)
            .map(|number| {
                let id = name(number);
                let script: Box<dyn Script> = Box::new(ClientCredentials {
                    client: self.client(&id)?,
                    path: self.running.paths().token,
                    expected: self.expected(&id, AUDIENCE, SCOPE),
                });
                Ok(script)
            })
            .collect()
    }

    /// One family of refresh tokens a connection.
    pub(super) async fn refresh(&self) -> Result<Scripts, Failed> {
        let mut scripts: Scripts = Vec::new();
        for _ in 0..CONNECTIONS {
            let answer = self.signed_in("portal", SCOPE).await?;
            scripts.push(Box::new(Refreshes {
                client: self.client("portal")?,
                expected: self.expected("portal", AUDIENCE, SCOPE),
                refresh_token: text(&answer, "refresh_token")?.to_owned(),
            }));
        }
        Ok(scripts)
    }

    /// The resource server asks about tokens of the client whose tokens are opaque.
    pub(super) async fn introspections(&self) -> Result<Scripts, Failed> {
        let destination = self.running.destination()?;
        let tokens = fetch(destination, self.client("machines")?, OPAQUE_TOKENS).await?;
        if tokens.iter().any(|token| token.contains('.')) {
            return Err("the tokens are not opaque".into());
        }
        let (tokens, asker) = (Arc::new(tokens), self.client("orders")?);
        Ok(each(|seed| {
            Box::new(Introspections {
                asker: asker.clone(),
                tokens: Arc::clone(&tokens),
                dice: Dice::new(seed),
                holder: "machines",
            })
        }))
    }

    /// One browser a connection, all of the same person and session.
    pub(super) async fn code_flow(&self) -> Result<Scripts, Failed> {
        let answer = self.signed_in("portal", CodeFlow::SCOPE).await?;
        let claims = answers::claims(text(&answer, "access_token")?)?;
        let mut expected = self.expected("portal", AUDIENCE, CodeFlow::SCOPE);
        expected.subject = Some(text(&claims, "sub")?.to_owned());
        let cookies = self
            .cookies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let client = self.client("portal")?;
        Ok(each(|_| {
            Box::new(CodeFlow {
                client: client.clone(),
                expected: expected.clone(),
                cookies: cookies.clone(),
                at: Step::Begin,
            })
        }))
    }

    /// The service exchanges one person's token, a token of its own for each connection.
    pub(super) async fn exchanges(&self) -> Result<Scripts, Failed> {
        let mut scripts: Scripts = Vec::new();
        for _ in 0..CONNECTIONS {
            let answer = self.signed_in("portal", SCOPE).await?;
            let token = text(&answer, "access_token")?;
            let mut expected = self.expected("orders", EXCHANGED_AUDIENCE, SCOPE);
            expected.subject = Some(text(&answers::claims(token)?, "sub")?.to_owned());
            scripts.push(Box::new(Exchanges {
                service: self.client("orders")?,
                expected,
                subject_token: token.to_owned(),
            }));
        }
        Ok(scripts)
    }

    /// Signs the person in, if there is no session, and redeems the code.
    async fn signed_in(&self, client: &str, scope: &str) -> Result<Value, Failed> {
        let destination = self.running.destination()?;
        let (cookies, person) = (Arc::clone(&self.cookies), self.person.clone());
        let mut browser = Browser::connect(&destination, cookies, person).await?;
        let client = self.client(client)?;
        let flow = Flow::begin(&client);
        let code = browser
            .authorize(&flow.path(&client, scope), REDIRECT)
            .await?;
        let mut sender = destination.connect().await?;
        let mut request = client.post("/token", flow.form(&code))?;
        request
            .headers_mut()
            .insert(header::HOST, destination.host().parse()?);
        let (parts, body) = exchange(&mut sender, request).await?;
        if parts.status != StatusCode::OK {
            let said = String::from_utf8_lossy(&body);
            return Err(format!("the code: {}: {said}", parts.status).into());
        }
        Ok(self.expected(&client.id, AUDIENCE, scope).check(&body)?)
    }
}

/// A script for every connection, told which one it is.
fn each(make: impl Fn(u64) -> Box<dyn Script>) -> Scripts {
    (0..CONNECTIONS as u64).map(make).collect()
}
