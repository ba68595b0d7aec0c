//! The doors of a process whose root key is away: the vault's takes shares, and every other one says that it is sealed (503), whatever it is asked.

use super::answer::bare;
use super::quorum::texts;
use super::status;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use countersign_base::{Clock, Secret};
use countersign_control::seal::{ClosedSeal, SealError};
use countersign_keys::shamir::Share;
use countersign_vault::{Body as Members, VaultError};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::sync::Arc;

/// Bytes of a body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Shares, if nobody says how many.
const SHARES: u8 = 5;
/// Shares that open, if nobody says how many.
const THRESHOLD: u8 = 3;

#[derive(Clone)]
struct Door {
    seal: Arc<ClosedSeal>,
    origin: Arc<str>,
    clock: Clock,
}

/// The vault's door: `sys/init`, `sys/unseal`, and what anybody may ask.
pub fn router(seal: Arc<ClosedSeal>, origin: &str, clock: Clock) -> Router {
    let door = Door {
        seal,
        origin: origin.into(),
        clock,
    };
    Router::new().fallback(any(call)).with_state(door)
}

/// Any other door.
pub fn closed() -> Router {
    Router::new().fallback(any(async || sealed()))
}

fn sealed() -> Response {
    errors(StatusCode::SERVICE_UNAVAILABLE, "Vault is sealed")
}

pub(super) fn errors(status: StatusCode, text: &str) -> Response {
    bare(status, &json!({ "errors": [text] }))
}

async fn call(State(door): State<Door>, request: Request) -> Response {
    let status = door.seal.status();
    if let Some((status, body)) = status::of(&status, &door.origin, &request, door.clock.now()) {
        return bare(status, &body);
    }
    let writes = matches!(*request.method(), Method::POST | Method::PUT);
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let answered = match path.as_str() {
        "/v1/sys/init" if writes => initialized(&door, request.into_body()).await,
        "/v1/sys/unseal" if writes => unsealed(&door, request.into_body()).await,
        _ => return sealed(),
    };
    match answered {
        Ok(body) => bare(StatusCode::OK, &body),
        Err(refused) => errors(refused.status(), &refused.text()),
    }
}

enum Refused {
    Seal(SealError),
    Form(VaultError),
}

impl From<SealError> for Refused {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

impl From<VaultError> for Refused {
    fn from(error: VaultError) -> Self {
        Self::Form(error)
    }
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Form(error) => {
                StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
            Self::Seal(error) => match error {
                SealError::AlreadyInitialized
                | SealError::Form(_)
                | SealError::NotInitialized
                | SealError::Refused(_)
                | SealError::Rule(_) => StatusCode::BAD_REQUEST,
                SealError::AnotherSource
                | SealError::Fault(_)
                | SealError::Secrets(_)
                | SealError::Store(_)
                | SealError::Stored
                | SealError::Unfinished
                | SealError::Vault(_) => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// For the caller; what failed inside is for the log.
    fn text(&self) -> String {
        match self {
            Self::Form(error) => error.to_string(),
            Self::Seal(error) if self.status() == StatusCode::BAD_REQUEST => error.to_string(),
            Self::Seal(error) => {
                tracing::error!(event = "seal_failed", %error);
                "internal error; the log says more".to_owned()
            }
        }
    }
}

pub(super) async fn members(body: Body) -> Result<Members, VaultError> {
    let limited = http_body_util::Limited::new(body, BODY_BYTES_MAX);
    let read = limited.collect().await;
    Members::parse(&read.map_err(|_| VaultError::TooLarge)?.to_bytes())
}

/// Refuses members that say something which is not done here.
pub(super) fn unsupported(members: &Members, names: &[&str]) -> Result<(), VaultError> {
    let says_something = |value: &Value| !matches!(value, Value::Array(items) if items.is_empty());
    let named = |name: &&&str| members.value(name).is_some_and(says_something);
    match names.iter().find(named) {
        None => Ok(()),
        Some(name) => Err(VaultError::invalid(format!(
            "`{name}` is not supported: shares and tokens are given out as they are, over TLS"
        ))),
    }
}

/// A small number, or the usual one.
pub(super) fn number(members: &Members, name: &str, usual: u8) -> Result<u8, VaultError> {
    match members.count(name)? {
        None => Ok(usual),
        Some(number) => u8::try_from(number)
            .map_err(|_| VaultError::invalid(format!("`{name}` must be at most 255"))),
    }
}

async fn initialized(door: &Door, body: Body) -> Result<Value, Refused> {
    let members = members(body).await?;
    unsupported(
        &members,
        &["pgp_keys", "root_token_pgp_key", "recovery_pgp_keys"],
    )?;
    if number(&members, "recovery_shares", 0)? > 0 {
        let text =
            "there are recovery keys where a source opens the seal; here operators hold its shares";
        return Err(VaultError::invalid(text).into());
    }
    let (shares, threshold) = (
        number(&members, "secret_shares", SHARES)?,
        number(&members, "secret_threshold", THRESHOLD)?,
    );
    let first = door.seal.initialize(shares, threshold).await?;
    Ok(json!({
        "keys": texts(&first.shares, Share::to_hex),
        "keys_base64": texts(&first.shares, Share::to_base64),
        "recovery_keys": null,
        "recovery_keys_base64": null,
        "root_token": first.root_token.expose(),
    }))
}

async fn unsealed(door: &Door, body: Body) -> Result<Value, Refused> {
    let members = members(body).await?;
    if members.truth("reset")?.unwrap_or(false) {
        return Ok(status::seal_status(&door.seal.reset()));
    }
    let share = Secret::new(members.required_text("key")?);
    Ok(status::seal_status(&door.seal.unseal(&share)?))
}
