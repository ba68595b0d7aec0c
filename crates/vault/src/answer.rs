//! What an engine answers, before it is written as the API's envelope.

use crate::error::VaultError;
use crate::timestamp;
use crate::work::Then;
use countersign_base::{Duration, RequestId, Secret, UnixTime};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

/// How a step ended that was not refused.
pub enum Outcome {
    /// It is done.
    Done(Box<Answer>),
    /// Its changes are committed, an effect happens, and another step follows.
    Then(Box<Then>),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self::Done(Box::new(answer))
    }
}

/// What a caller is answered. It may hold secrets: no `Debug`.
#[derive(Default)]
pub struct Answer {
    /// `data`.
    pub data: Option<Json>,
    /// `auth`.
    pub auth: Option<Auth>,
    /// The lease of what is answered.
    pub lease: Option<LeaseGiven>,
    /// `wrap_info`, when the answer itself was put away.
    pub wrap_info: Option<WrapInfo>,
    /// `warnings`.
    pub warnings: Vec<String>,
    /// How it is written.
    pub form: Form,
}

/// How an answer is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Form {
    /// `data` as the whole body, with this status: what `sys/health` and its like answer.
    Bare(u16),
    /// The envelope, with status 200; without any content, 204.
    #[default]
    Envelope,
    /// The envelope, with this status: a batch of which items failed.
    EnvelopeWith(u16),
    /// Not JSON of the API at all: certificates, revocation lists, ACME. Nothing else of the answer is written.
    Raw(Box<Raw>),
    /// An envelope that was put away whole, written as it stands: what unwrapping answers.
    Written,
}

/// A response as it leaves. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further header fields. Their values are visible ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Status 204.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// An envelope with data.
    #[must_use]
    pub fn data(data: Json) -> Self {
        Self {
            data: Some(data),
            ..Self::default()
        }
    }

    /// A listing: `keys`, or 404 when there are none, as clients expect.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] when there are none.
    pub fn keys<T: Into<String>>(keys: impl IntoIterator<Item = T>) -> Result<Self, VaultError> {
        let keys: Vec<Json> = keys
            .into_iter()
            .map(|key| Json::String(key.into()))
            .collect();
        if keys.is_empty() {
            return Err(VaultError::NotFound);
        }
        Ok(Self::data(Json::Object(Map::from_iter([(
            "keys".to_owned(),
            Json::Array(keys),
        )]))))
    }

    /// An answer without the envelope.
    #[must_use]
    pub fn bare(status: u16, body: Json) -> Self {
        Self {
            data: Some(body),
            form: Form::Bare(status),
            ..Self::default()
        }
    }

    /// An answer that is a token.
    #[must_use]
    pub fn auth(auth: Auth) -> Self {
        Self {
            auth: Some(auth),
            ..Self::default()
        }
    }

    /// Whether it has no content at all: status 204.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.data.is_none()
            && self.auth.is_none()
            && self.lease.is_none()
            && self.wrap_info.is_none()
            && self.warnings.is_empty()
    }

    /// With a warning.
    #[must_use]
    pub fn warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }
}

/// The lease of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseGiven {
    /// `lease_id`.
    pub id: String,
    /// `lease_duration`.
    pub lasts: Duration,
    /// `renewable`.
    pub renewable: bool,
}

/// A token that an answer gives.
pub struct Auth {
    /// `client_token`.
    pub client_token: Secret<String>,
    /// `accessor`.
    pub accessor: String,
    /// `policies` and `token_policies`.
    pub policies: Vec<String>,
    /// `metadata`.
    pub metadata: std::collections::BTreeMap<String, String>,
    /// `lease_duration`.
    pub lasts: Duration,
    /// `renewable`.
    pub renewable: bool,
    /// `entity_id`.
    pub entity_id: String,
    /// `orphan`.
    pub orphan: bool,
    /// `num_uses`.
    pub uses: u32,
}

impl Auth {
    fn json(&self) -> Json {
        json!({
            "client_token": self.client_token.expose(),
            "accessor": self.accessor,
            "policies": self.policies,
            "token_policies": self.policies,
            "metadata": if self.metadata.is_empty() { Json::Null } else { json!(self.metadata) },
            "lease_duration": self.lasts.as_secs(),
            "renewable": self.renewable,
            "entity_id": self.entity_id,
            "token_type": "service",
            "orphan": self.orphan,
            "mfa_requirement": null,
            "num_uses": self.uses,
        })
    }
}

/// Where an answer was put away.
pub struct WrapInfo {
    /// `token`.
    pub token: Secret<String>,
    /// `accessor`.
    pub accessor: String,
    /// `ttl`.
    pub ttl: Duration,
    /// `creation_time`.
    pub created: UnixTime,
    /// `creation_path`.
    pub path: String,
    /// `wrapped_accessor`, when what is wrapped is a token.
    pub wrapped_accessor: Option<String>,
}

impl WrapInfo {
    fn json(&self) -> Json {
        let mut info = json!({
            "token": self.token.expose(),
            "accessor": self.accessor,
            "ttl": self.ttl.as_secs(),
            "creation_time": timestamp::text(self.created),
            "creation_path": self.path,
        });
        if let (Some(accessor), Some(members)) = (&self.wrapped_accessor, info.as_object_mut()) {
            members.insert(
                "wrapped_accessor".to_owned(),
                Json::String(accessor.clone()),
            );
        }
        info
    }
}

/// Something that happens outside, after the commit that says it is about to happen.
#[derive(Debug)]
pub enum Effect {
    /// An operation that waits for a quorum of operators is given up, though whoever asks has not its nonce.
    CancelQuorum(QuorumOperation),
    /// A look at the key that seals the tenant's entries.
    DataKey,
    /// A look at an `http-01` challenge of ACME; done when the answer is the expected one.
    HttpChallenge(HttpChallenge),
    /// Another key seals the tenant's entries from now on.
    RotateDataKey,
    /// The root key is let go of, and every door closes.
    Seal,
    /// Statements on a PostgreSQL database, in one transaction after what is committed first.
    Sql(SqlEffect),
}

/// An operation that a quorum of operators authorizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuorumOperation {
    /// New shares, or new recovery keys.
    Rekey,
    /// A root token.
    RootToken,
}

/// What a host has to answer to `GET http://HOST/PATH` (RFC 8555 §8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpChallenge {
    /// The host: a name in lower case, or an address, in brackets if it is one of IPv6.
    pub host: String,
    /// The path, with its leading slash.
    pub path: String,
    /// What it has to answer, but for white space at its end.
    pub expected: String,
    /// Networks that may be connected to, beside public addresses: `10.0.0.0/8`.
    pub networks: Vec<String>,
}

/// Statements for a database.
pub struct SqlEffect {
    /// `postgresql://...`, with the credentials.
    pub connection: Secret<String>,
    /// The same with the other password that may hold: tried when the database refuses the first. While a password is rotated, nobody knows which does.
    pub otherwise: Option<Secret<String>>,
    /// The authorities behind the server's certificate, in PEM. Without them, a server whose certificate the URL wants verified is refused.
    pub authorities: Option<String>,
    /// The most connections to this database at once.
    pub connections_max: u16,
    /// Statements that are committed by themselves before the others: what stays done when those fail. When one of these fails, the others are not run.
    pub before: Vec<Secret<String>>,
    /// The statements, in order. They may hold passwords. None at all is a connection that is tried.
    pub statements: Vec<Secret<String>>,
}

impl std::fmt::Debug for SqlEffect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SqlEffect({} statements)",
            self.before.len() + self.statements.len()
        )
    }
}

/// The envelope of an answer, with every member that clients insist on, also where it says nothing: vaultrs reads no answer without `request_id`, `lease_id`,
/// `lease_duration` and `renewable`. It may hold secrets.
#[must_use]
pub fn envelope(answer: &Answer, request: RequestId) -> Json {
    let lease = answer.lease.as_ref();
    json!({
        "request_id": request.to_string(),
        "lease_id": lease.map_or("", |lease| lease.id.as_str()),
        "renewable": lease.is_some_and(|lease| lease.renewable),
        "lease_duration": lease.map_or(0, |lease| lease.lasts.as_secs()),
        "data": answer.data,
        "wrap_info": answer.wrap_info.as_ref().map(WrapInfo::json),
        "warnings": Some(&answer.warnings).filter(|warnings| !warnings.is_empty()),
        "auth": answer.auth.as_ref().map(Auth::json),
    })
}

/// A value as JSON; for answers, whose types cannot fail to be written.
#[must_use]
pub fn json<T: Serialize>(value: &T) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests;
