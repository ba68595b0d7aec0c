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
                | SealError::OpensBySource
                | SealError::Refused(_)
                | SealError::Rule(_) => StatusCode::BAD_REQUEST,
                SealError::AnotherSource
                | SealError::Fault(_)
                | SealError::Root(_)
                | SealError::Secrets(_)
                | SealError::Source(_)
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
                tracing::error!(event = "seal_failed", reason = error.reason());
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
    let holders = match door.seal.opens_by_source() {
        true => recovery_holders(&members)?,
        false => Some(share_holders(&members)?),
    };
    let first = door.seal.initialize(holders).await?;
    let recovery = |write| match first.recovery.is_empty() {
        true => Value::Null,
        false => Value::Array(texts(&first.recovery, write)),
    };
    Ok(json!({
        "keys": texts(&first.shares, Share::to_hex),
        "keys_base64": texts(&first.shares, Share::to_base64),
        "recovery_keys": recovery(Share::to_hex),
        "recovery_keys_base64": recovery(Share::to_base64),
        "root_token": first.root_token.expose(),
    }))
}

fn share_holders(members: &Members) -> Result<(u8, u8), VaultError> {
    if number(members, "recovery_shares", 0)? > 0 {
        let text =
            "there are recovery keys where a source opens the seal; here operators hold its shares";
        return Err(VaultError::invalid(text));
    }
    let shares = number(members, "secret_shares", SHARES)?;
    Ok((shares, number(members, "secret_threshold", THRESHOLD)?))
}

/// None where somebody says that there shall be none.
fn recovery_holders(members: &Members) -> Result<Option<(u8, u8)>, VaultError> {
    if number(members, "secret_shares", 0)? > 0 {
        let text = "a source opens this seal: there are `recovery_shares` in the place of shares";
        return Err(VaultError::invalid(text));
    }
    let keys = number(members, "recovery_shares", SHARES)?;
    let threshold = number(members, "recovery_threshold", THRESHOLD)?;
    Ok((keys > 0).then_some((keys, threshold)))
}

async fn unsealed(door: &Door, body: Body) -> Result<Value, Refused> {
    let members = members(body).await?;
    if members.truth("reset")?.unwrap_or(false) {
        return Ok(status::seal_status(&door.seal.reset()));
    }
    let share = Secret::new(members.required_text("key")?);
    Ok(status::seal_status(&door.seal.unseal(&share)?))
}
