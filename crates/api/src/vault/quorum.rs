//! What a quorum of operators does to an open vault, as clients of Vault ask for it: `sys/rekey/*`, `sys/rekey-recovery-key/*` and `sys/generate-root/*`.
//!
//! No token is looked at: shares are the authorization. But for `DELETE` with a token, which is a call of the vault like any other: that token's policies
//! decide whether its holder may give up what somebody else began. Without one, the nonce does, in the body or in the query.
//!
//! Shares and one-time pads are in bodies alone. Not here: what becomes of them ([`countersign_control::vault::quorum`]).

use super::Door;
use super::answer::bare;
use super::sealed::{errors, members, number, unsupported};
use axum::extract::Request;
use axum::response::Response;
use countersign_base::{RequestId, Secret};
use countersign_control::vault::Vault;
use countersign_control::vault::quorum::{
    Asking, Holders, QuorumError, Quorums, RekeyAnswer, RekeyProgress, RootTokenAnswer,
    RootTokenProgress, Told,
};
use countersign_keys::seal::{CancelBy, EarlierRoots, Nonce, Verification};
use countersign_keys::shamir::Share;
use countersign_vault::token::TOKEN_CHARS;
use countersign_vault::{Body as Members, VaultError};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    CancelRekey,
    CancelRootToken,
    GiveForRekey,
    GiveForRootToken,
    RekeyProgress,
    RestartVerification,
    RootTokenProgress,
    StartRekey(Holders),
    StartRootToken,
    VerificationProgress,
    VerifyRekey,
}

impl Asked {
    /// What a request asks for, if it is for here. A cancellation with a token is not.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let path = request.uri().path().strip_prefix("/v1/sys/")?;
        let has_token = ["x-vault-token", "authorization"]
            .iter()
            .any(|name| request.headers().contains_key(*name));
        let (reads, writes, deletes) = match *request.method() {
            Method::GET | Method::HEAD => (true, false, false),
            Method::POST | Method::PUT => (false, true, false),
            Method::DELETE => (false, false, true),
            _ => return None,
        };
        let holders = match path.split('/').next() {
            Some("rekey-recovery-key") => Holders::RecoveryKeys,
            _ => Holders::Shares,
        };
        Some(match path.trim_end_matches('/') {
            "rekey/init" | "rekey-recovery-key/init" if reads => Self::RekeyProgress,
            "rekey/init" | "rekey-recovery-key/init" if writes => Self::StartRekey(holders),
            "rekey/init" | "rekey-recovery-key/init" if deletes && !has_token => Self::CancelRekey,
            "rekey/update" | "rekey-recovery-key/update" if writes => Self::GiveForRekey,
            "rekey/verify" | "rekey-recovery-key/verify" if reads => Self::VerificationProgress,
            "rekey/verify" | "rekey-recovery-key/verify" if writes => Self::VerifyRekey,
            "rekey/verify" | "rekey-recovery-key/verify" if deletes => Self::RestartVerification,
            "generate-root/attempt" if reads => Self::RootTokenProgress,
            "generate-root/attempt" if writes => Self::StartRootToken,
            "generate-root/attempt" if deletes && !has_token => Self::CancelRootToken,
            "generate-root/update" if writes => Self::GiveForRootToken,
            _ => return None,
        })
    }
}

/// The answer. What was begun runs to its end, also if whoever asked goes away.
pub(super) async fn answer(door: &Door, asked: Asked, request: Request, id: RequestId) -> Response {
    let (parts, body) = request.into_parts();
    if !is_default(&parts.headers) {
        return errors(StatusCode::FORBIDDEN, "permission denied");
    }
    let from = parts.extensions.get::<SocketAddr>();
    let asking = Asking {
        from: from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |from| {
            from.ip().to_canonical()
        }),
        request: id,
    };
    let body = match members(body).await {
        Ok(body) => body,
        Err(error) => return Refused::Form(error).answer(id),
    };
    let nonce = nonce_of(&body, parts.uri.query());
    let vault = Arc::clone(&door.vault);
    let carried_out = tokio::spawn(async move {
        let call = Call {
            vault: &vault,
            asking,
            body,
            nonce,
        };
        call.answer(asked).await
    });
    match carried_out.await {
        Ok(Ok(None)) => {
            let mut response = bare(StatusCode::NO_CONTENT, &Value::Null);
            *response.body_mut() = axum::body::Body::empty();
            response
        }
        Ok(Ok(Some(body))) => bare(StatusCode::OK, &body),
        Ok(Err(refused)) => refused.answer(id),
        Err(_) => errors(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
    }
}

/// The seal is the installation's: it stands in the vault of the default tenant.
fn is_default(headers: &HeaderMap) -> bool {
    let default = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|name| matches!(name.trim_matches('/'), "" | "root" | "default"))
    };
    headers.get_all("x-vault-namespace").iter().all(default)
}

/// The nonce: a member of the body, or of the query where a client sends no body with `DELETE`.
fn nonce_of(body: &Members, query: Option<&str>) -> Option<String> {
    if let Ok(Some(nonce)) = body.text("nonce") {
        return Some(nonce);
    }
    let pairs = query.unwrap_or_default().split('&');
    let mut named = pairs.filter_map(|pair| pair.strip_prefix("nonce="));
    named.next().map(str::to_owned)
}

struct Call<'v> {
    vault: &'v Vault,
    asking: Asking,
    body: Members,
    nonce: Option<String>,
}

enum Refused {
    Form(VaultError),
    Quorum(QuorumError),
}

impl From<VaultError> for Refused {
    fn from(error: VaultError) -> Self {
        Self::Form(error)
    }
}

impl From<QuorumError> for Refused {
    fn from(error: QuorumError) -> Self {
        Self::Quorum(error)
    }
}

impl Refused {
    fn answer(self, id: RequestId) -> Response {
        let error = match self {
            Self::Form(error) => {
                let status = StatusCode::from_u16(error.status());
                return errors(
                    status.unwrap_or(StatusCode::BAD_REQUEST),
                    &error.to_string(),
                );
            }
            Self::Quorum(error) => error,
        };
        let status = match &error {
            QuorumError::Denied => StatusCode::FORBIDDEN,
            QuorumError::TooOften => StatusCode::TOO_MANY_REQUESTS,
            QuorumError::Record => StatusCode::SERVICE_UNAVAILABLE,
            QuorumError::Fault(_)
            | QuorumError::Form(_)
            | QuorumError::NoSeal
            | QuorumError::NotUnderWay
            | QuorumError::OtherHolders
            | QuorumError::Refused(_)
            | QuorumError::Rule(_)
            | QuorumError::Superseded => StatusCode::BAD_REQUEST,
            QuorumError::Store(_) | QuorumError::Stored | QuorumError::Vault(_) => {
                tracing::error!(event = "quorum_failed", %error);
                let text = format!("internal error; the log says more of request {id}");
                return errors(StatusCode::INTERNAL_SERVER_ERROR, &text);
            }
        };
        errors(status, &error.to_string())
    }
}

impl Call<'_> {
    async fn answer(&self, asked: Asked) -> Result<Option<Value>, Refused> {
        let quorums = self.vault.quorums(self.asking)?;
        Ok(Some(match asked {
            Asked::CancelRekey => {
                let nonce = self.parsed_nonce()?;
                quorums.cancel_rekey(CancelBy::Nonce(&nonce)).await?;
                return Ok(None);
            }
            Asked::CancelRootToken => {
                let nonce = self.parsed_nonce()?;
                quorums.cancel_root_token(CancelBy::Nonce(&nonce)).await?;
                return Ok(None);
            }
            Asked::GiveForRekey => {
                let given = quorums.rekey(self.nonce(), &self.share()?).await?;
                rekey_answer(given)
            }
            Asked::GiveForRootToken => {
                let given = quorums.root_token(self.nonce(), &self.share()?).await?;
                root_token_answer(given)
            }
            Asked::RekeyProgress => rekey_status(&quorums.rekey_progress(Told::Progress).await),
            Asked::RestartVerification => {
                let nonce = self.parsed_nonce()?;
                let by = CancelBy::Nonce(&nonce);
                verification_status(&quorums.restart_verification(by).await?)
            }
            Asked::RootTokenProgress => {
                root_token_status(&quorums.root_token_progress(Told::Progress).await)
            }
            Asked::StartRekey(holders) => self.start_rekey(&quorums, holders).await?,
            Asked::StartRootToken => self.start_root_token(&quorums).await?,
            Asked::VerificationProgress => {
                let progress = quorums.rekey_progress(Told::Progress).await;
                verification_status(&progress)
            }
            Asked::VerifyRekey => {
                let given = quorums.verify_rekey(self.nonce(), &self.share()?).await?;
                verification_answer(given)
            }
        }))
    }

    async fn start_rekey(&self, quorums: &Quorums<'_>, holders: Holders) -> Result<Value, Refused> {
        unsupported(&self.body, &["pgp_keys"])?;
        if self.body.truth("backup")?.unwrap_or(false) {
            return Err(VaultError::invalid("`backup` is for shares under PGP keys").into());
        }
        let rule = (
            number(&self.body, "secret_shares", 5)?,
            number(&self.body, "secret_threshold", 3)?,
        );
        let verification = match self.body.truth("require_verification")?.unwrap_or(false) {
            true => Verification::Required,
            false => Verification::NotRequired,
        };
        let progress = quorums.start_rekey(holders, rule, verification).await?;
        Ok(rekey_status(&progress))
    }

    async fn start_root_token(&self, quorums: &Quorums<'_>) -> Result<Value, Refused> {
        unsupported(&self.body, &["pgp_key"])?;
        let pad = self.body.text("otp")?.filter(|pad| !pad.is_empty());
        let earlier = match self.body.truth("revoke_earlier")?.unwrap_or(false) {
            true => EarlierRoots::End,
            false => EarlierRoots::Stay,
        };
        let started = quorums.start_root_token(pad.map(Secret::new), earlier);
        let (progress, pad) = started.await?;
        let mut said = root_token_status(&progress);
        if let (Some(pad), Some(members)) = (pad, said.as_object_mut()) {
            members.insert("otp".to_owned(), pad.expose().as_str().into());
        }
        Ok(said)
    }

    fn nonce(&self) -> &str {
        self.nonce.as_deref().unwrap_or_default()
    }

    /// The nonce of a cancellation. Without one nobody may.
    fn parsed_nonce(&self) -> Result<Nonce, Refused> {
        Nonce::parse(self.nonce()).map_err(|_| QuorumError::Denied.into())
    }

    fn share(&self) -> Result<Secret<String>, VaultError> {
        self.body.required_text("key").map(Secret::new)
    }
}

fn text(nonce: Option<&Nonce>) -> String {
    nonce.map(ToString::to_string).unwrap_or_default()
}

fn rekey_status(progress: &RekeyProgress) -> Value {
    let (operation, verification) = match progress.verifying {
        true => (None, progress.nonce.as_ref()),
        false => (progress.nonce.as_ref(), None),
    };
    let mut said = json!({
        "nonce": text(operation),
        "started": progress.started,
        "t": progress.rule.map_or(0, |rule| rule.threshold()),
        "n": progress.rule.map_or(0, |rule| rule.shares()),
        "progress": if progress.verifying { 0 } else { progress.progress },
        "required": progress.required,
        "pgp_fingerprints": null,
        "backup": false,
        "verification_required": progress.to_be_verified,
    });
    if let (Some(nonce), Some(members)) = (verification, said.as_object_mut()) {
        members.insert("verification_nonce".to_owned(), nonce.to_string().into());
    }
    said
}

fn rekey_answer(answer: RekeyAnswer) -> Value {
    match answer {
        RekeyAnswer::More(progress) => rekey_status(&progress),
        RekeyAnswer::Done {
            nonce,
            shares,
            verification,
        } => {
            let mut said = json!({
                "nonce": nonce.to_string(),
                "complete": true,
                "keys": texts(&shares, Share::to_hex),
                "keys_base64": texts(&shares, Share::to_base64),
                "pgp_fingerprints": null,
                "backup": false,
                "verification_required": verification.is_some(),
            });
            if let (Some(nonce), Some(members)) = (verification, said.as_object_mut()) {
                members.insert("verification_nonce".to_owned(), nonce.to_string().into());
            }
            said
        }
    }
}

fn verification_status(progress: &RekeyProgress) -> Value {
    let shown = Some(progress).filter(|progress| progress.verifying);
    json!({
        "nonce": text(shown.and_then(|progress| progress.nonce.as_ref())),
        "started": shown.is_some(),
        "t": shown.and_then(|progress| progress.rule).map_or(0, |rule| rule.threshold()),
        "n": shown.and_then(|progress| progress.rule).map_or(0, |rule| rule.shares()),
        "progress": shown.map_or(0, |progress| progress.progress),
    })
}

fn verification_answer(answer: RekeyAnswer) -> Value {
    match answer {
        RekeyAnswer::Done { nonce, .. } => json!({ "nonce": nonce.to_string(), "complete": true }),
        RekeyAnswer::More(progress) => verification_status(&progress),
    }
}

fn root_token_status(progress: &RootTokenProgress) -> Value {
    json!({
        "nonce": text(progress.nonce.as_ref()),
        "started": progress.started,
        "progress": progress.progress,
        "required": progress.required,
        "complete": false,
        "encoded_token": "",
        "encoded_root_token": "",
        "pgp_fingerprint": "",
        "otp": "",
        "otp_length": TOKEN_CHARS,
        "revoke_earlier": progress.ends_earlier,
    })
}

fn root_token_answer(answer: RootTokenAnswer) -> Value {
    match answer {
        RootTokenAnswer::Done {
            nonce,
            encoded,
            required,
        } => json!({
            "nonce": nonce.to_string(),
            "started": true,
            "progress": required,
            "required": required,
            "complete": true,
            "encoded_token": encoded,
            "encoded_root_token": encoded,
            "pgp_fingerprint": "",
            "otp": "",
            "otp_length": TOKEN_CHARS,
        }),
        RootTokenAnswer::More(progress) => root_token_status(&progress),
    }
}

/// Shares as texts, in their order.
pub(super) fn texts(shares: &[Share], write: fn(&Share) -> Secret<String>) -> Vec<Value> {
    let texts = shares.iter().map(|share| write(share).expose().clone());
    texts.map(Value::String).collect()
}

#[cfg(test)]
mod tests;
