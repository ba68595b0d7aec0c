//! What one connection asks a vault in each case, and what it takes for an answer to count.

use crate::Failed;
use crate::load::{Script, Wanted};
use crate::zipf::Dice;
use bytes::Bytes;
use countersign_crypto::digest::sha256_base64url;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

/// Secrets that are read and written.
pub(super) const SECRETS: u64 = 1_000;
/// Plaintexts of one batch.
pub(super) const BATCH: u32 = 100;
/// 64 bytes, as transit takes them.
const PLAINTEXT: &str =
    "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";

/// The version of KV that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The body is the secret.
    One,
    /// The secret is a member of the body, and has a history.
    Two,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// Transit: many plaintexts at once.
    Batch,
    /// Transit: one plaintext.
    Encrypt,
    /// KV: a secret is read.
    Read,
    /// KV: a secret is written.
    Write,
}

/// What a secret holds as long as nobody has written another.
pub(super) fn secret(number: u64) -> Value {
    json!({
        "username": format!("service-{number:04}"),
        "password": sha256_base64url(&number.to_be_bytes()),
    })
}

/// Builds requests with a token.
#[derive(Clone)]
pub(super) struct Asker {
    token: HeaderValue,
    version: Version,
}

impl Asker {
    pub(super) fn new(token: &str, version: Version) -> Result<Self, Failed> {
        Ok(Self {
            token: token.parse()?,
            version,
        })
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .header("x-vault-token", self.token.clone());
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::new(body.into()))?)
    }

    fn path(&self, number: u64) -> String {
        match self.version {
            Version::One => format!("secret/bench/{number}"),
            Version::Two => format!("secret/data/bench/{number}"),
        }
    }

    /// A writing of a secret.
    pub(super) fn write(
        &self,
        number: u64,
        secret: &Value,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let body = match self.version {
            Version::One => secret.to_string(),
            Version::Two => json!({ "data": secret }).to_string(),
        };
        self.request(Method::POST, &self.path(number), body)
    }

    /// What one connection sends.
    pub(super) fn script(&self, engine: Engine, seed: u64) -> Box<dyn Script> {
        Box::new(Calls {
            asker: self.clone(),
            engine,
            dice: Dice::new(seed),
            asked: 0,
        })
    }
}

/// One call after the other.
struct Calls {
    asker: Asker,
    engine: Engine,
    dice: Dice,
    /// The secret that was asked for.
    asked: u64,
}

impl Script for Calls {
    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        self.asked = self.dice.next() % SECRETS;
        match self.engine {
            Engine::Batch => {
                let one = json!({ "plaintext": PLAINTEXT });
                let body = json!({ "batch_input": vec![one; BATCH as usize] }).to_string();
                self.asker
                    .request(Method::POST, "transit/encrypt/bench", body)
            }
            Engine::Encrypt => {
                let body = json!({ "plaintext": PLAINTEXT }).to_string();
                self.asker
                    .request(Method::POST, "transit/encrypt/bench", body)
            }
            Engine::Read => {
                let path = self.asker.path(self.asked);
                self.asker.request(Method::GET, &path, String::new())
            }
            // The same names and another password each time; readers know it by its length.
            Engine::Write => {
                let mut secret = secret(self.asked);
                let other = sha256_base64url(&self.dice.next().to_be_bytes());
                if let Some(password) = secret.get_mut("password") {
                    *password = other.into();
                }
                self.asker.write(self.asked, &secret)
            }
        }
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Wanted {
        if !status.is_success() {
            return Wanted::No;
        }
        let judged = match (self.engine, self.asker.version) {
            // It answers nothing.
            (Engine::Write, Version::One) => Ok(()),
            (engine, version) => serde_json::from_slice(body)
                .map_err(|problem| problem.to_string())
                .and_then(|answer| judged(engine, version, self.asked, &answer)),
        };
        match judged {
            Ok(()) => Wanted::Yes,
            Err(reason) => Wanted::Wrong(reason),
        }
    }
}

/// Holds an answer against what was asked.
fn judged(engine: Engine, version: Version, asked: u64, answer: &Value) -> Result<(), String> {
    let right = match engine {
        Engine::Batch => {
            let results = answer.pointer("/data/batch_results");
            let results = results.and_then(Value::as_array);
            results.is_some_and(|results| {
                results.len() == BATCH as usize
                    && results
                        .iter()
                        .all(|result| is_ciphertext(result.get("ciphertext")))
            })
        }
        Engine::Encrypt => is_ciphertext(answer.pointer("/data/ciphertext")),
        Engine::Read => {
            let found = match version {
                Version::One => answer.pointer("/data"),
                Version::Two => answer.pointer("/data/data"),
            };
            let text = |name: &str| found?.get(name)?.as_str();
            text("username") == Some(&format!("service-{asked:04}"))
                && text("password").is_some_and(|password| password.len() == 43)
        }
        Engine::Write => {
            let written = answer.pointer("/data/version");
            written
                .and_then(Value::as_u64)
                .is_some_and(|version| version > 0)
        }
    };
    if right {
        Ok(())
    } else {
        Err(answer.to_string())
    }
}

fn is_ciphertext(value: Option<&Value>) -> bool {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    text.strip_prefix("vault:v1:")
        .is_some_and(|body| body.len() > PLAINTEXT.len())
}

#[cfg(test)]
mod tests {
    use super::{Engine, Version, judged, secret};
    use serde_json::{Value, json};

    #[track_caller]
    fn check(engine: Engine, version: Version, answer: &Value, counts: bool) {
        assert_eq!(
            judged(engine, version, 7, answer).is_ok(),
            counts,
            "{answer}"
        );
    }

    #[test]
    fn another_secret_than_the_one_that_was_asked_for_is_wrong() {
        let (asked, other) = (secret(7), secret(8));
        for (version, right, wrong) in [
            (
                Version::One,
                json!({ "data": asked }),
                json!({ "data": other }),
            ),
            (
                Version::Two,
                json!({ "data": { "data": asked } }),
                json!({ "data": { "data": other } }),
            ),
        ] {
            check(Engine::Read, version, &right, true);
            check(Engine::Read, version, &wrong, false);
        }
    }

    #[test]
    fn a_ciphertext_or_version_that_is_none_is_wrong() {
        let long = format!("vault:v1:{}", "A".repeat(120));
        let one = |text: &str| json!({ "data": { "ciphertext": text } });
        check(Engine::Encrypt, Version::Two, &one(&long), true);
        check(Engine::Encrypt, Version::Two, &one("vault:v1:AA"), false);
        let batch = |count| json!({ "data": { "batch_results": vec![json!({ "ciphertext": long }); count] } });
        check(Engine::Batch, Version::Two, &batch(100), true);
        check(Engine::Batch, Version::Two, &batch(99), false);
        let written = |version: u64| json!({ "data": { "version": version } });
        check(Engine::Write, Version::Two, &written(1), true);
        check(Engine::Write, Version::Two, &written(0), false);
    }
}
