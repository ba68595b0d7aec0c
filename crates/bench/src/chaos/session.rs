//! One connection to the identity listener, as a client's back channel and as a person's browser.

use super::ledger::{Accepted, IssuedCode, Ledger};
use super::{PASSWORD, REDIRECT};
use crate::Failed;
use crate::browser::{Answer, Browser, Person};
use crate::clients::{AUDIENCE, Prover, SCOPE, escape};
use crate::load::Destination;
use countersign_crypto::digest::sha256_base64url;
use http::{Method, Request, header};
use std::time::Instant;

/// The connection.
pub(crate) struct Session<'a> {
    browser: Browser,
    ledger: &'a Ledger,
}

/// Whether the request was refused because its proof carried no nonce, or an old one (RFC 9449 §8).
fn wants_nonce(answer: &Answer) -> bool {
    answer.text("error").as_deref() == Some("use_dpop_nonce")
}

impl<'a> Session<'a> {
    pub(crate) async fn connect(
        destination: &Destination,
        ledger: &'a Ledger,
    ) -> Result<Self, Failed> {
        let person = Person {
            username: "alice".to_owned(),
            password: PASSWORD.to_owned(),
        };
        Self::connect_as(person, destination, ledger).await
    }

    /// The browser of somebody else.
    pub(crate) async fn connect_as(
        person: Person,
        destination: &Destination,
        ledger: &'a Ledger,
    ) -> Result<Self, Failed> {
        Ok(Self {
            browser: Browser::connect(destination, ledger.cookies.clone(), person).await?,
            ledger,
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
        if !wants_nonce(&answer) {
            return Ok((answer, sent));
        }
        let sent = self.proven(path, form, authorization, prover)?;
        let answer = self.replay(path, &sent).await?;
        prover.learn(&answer.headers);
        if wants_nonce(&answer) {
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
        self.browser.send(request, sent.form.clone()).await
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
            .browser
            .authorize(
                &format!(
                    "/authorize?client_id=phone&request_uri={}",
                    escape(&request_uri)
                ),
                REDIRECT,
            )
            .await?;
        Ok(IssuedCode {
            code,
            verifier,
            prover,
            arrived: Instant::now(),
        })
    }
}
