//! The local administrator's credential: `admin.json` in the data directory, made anew at each start, valid for a day at most.
//!
//! The file (mode 0600) holds a private key and an access token that is worth nothing without it: every request carries a DPoP proof by that key
//! (RFC 9449 §7), for its method, its address and its token, and no proof is accepted twice. Both sides stand here, so that they cannot disagree:
//! [`LocalAdministrator`] judges, [`AdministratorKey`] is what the command line proves with.
//!
//! Beside it stands `vault_token`: a root token of the default tenant's vault with the same life, for scripts that speak the vault's API. It is a bearer, and as good as
//! the file is private. Where operators hold shares of what is above the root key there is none: a file would stand for their quorum.
//!
//! Not here: administrators who sign in as people; they do not exist yet.

use crate::root::{self, RootError, replace_file};
use crate::vault::Vault;
use arc_swap::ArcSwap;
use countersign_authn::NoncePolicy;
use countersign_authn::access_token::TokenHash;
use countersign_authn::dpop::{self, DpopReason, ProofUse};
use countersign_authn::replay::Replayed;
use countersign_base::{Clock, Conditional, Duration, Kid, Secret, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::{Algorithm, JoseError, JwkThumbprint, sign_jwt};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{DpopProof, SigningKey, generate_pkcs8};
use countersign_store::ReplayMemory;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;
use zeroize::Zeroize;

/// The file's name in the data directory.
pub const FILE: &str = "admin.json";
/// How long a credential is accepted.
pub const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A process that runs on makes a new one in time.
const RENEWED_EVERY: Duration = Duration::from_secs(12 * 3600);
const ALGORITHM: Algorithm = Algorithm::EdDsa;

/// What stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    access_token: String,
    algorithm: Algorithm,
    control: String,
    expires: UnixTime,
    /// PKCS#8 in base64url.
    private_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_token: Option<String>,
}

impl Drop for Document {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.private_key.zeroize();
        self.vault_token.zeroize();
    }
}

/// Why there is no credential to use.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorError {
    /// It is past its time.
    #[error("the administrator's credential is over: start the server again, it makes a new one")]
    Expired,
    /// The file cannot be written.
    #[error("`{}` cannot be written: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The file does not hold what this program writes.
    #[error("`{}` does not hold an administrator's credential", .0.display())]
    Form(PathBuf),
    /// The key cannot be made or used.
    #[error("the administrator's key cannot be used: {0}")]
    Key(#[from] JoseError),
    /// There is no file.
    #[error("`{}` is not there: start the server with this data directory first", .0.display())]
    Missing(PathBuf),
    /// The file cannot be read, or others can read it.
    #[error(transparent)]
    Read(#[from] RootError),
}

/// What a request must show.
struct Expected {
    token: TokenHash,
    key: JwkThumbprint,
    expires: UnixTime,
}

/// The server's side: what the present `admin.json` makes it expect.
pub struct LocalAdministrator {
    path: PathBuf,
    control: Url,
    random: Random,
    expected: ArcSwap<Expected>,
}

/// Evidence that a request comes from whoever holds the present `admin.json`. Only [`LocalAdministrator::authenticate`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Administrator(());

/// Why a request is not the administrator's: for the log. The caller learns [`NotAdministrator::challenge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdministrator {
    /// The credential was made more than a day ago.
    Expired,
    /// The proof is by another key.
    KeyUnknown,
    /// The request carries no credential.
    Missing,
    /// The proof does not hold.
    Proof(DpopReason),
    /// There is no proof beside the token.
    ProofMissing,
    /// The proof was used before.
    Replayed,
    /// The header `Authorization` holds something else than one DPoP-bound token, or another token.
    TokenUnknown,
}

impl NotAdministrator {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "credential_expired",
            Self::KeyUnknown => "key_unknown",
            Self::Missing => "credential_missing",
            Self::Proof(reason) => reason.as_str(),
            Self::ProofMissing => "proof_missing",
            Self::Replayed => "proof_replayed",
            Self::TokenUnknown => "token_unknown",
        }
    }

    /// The value of `WWW-Authenticate` (RFC 9449 §7.1); a request without a credential is told no error (RFC 6750 §3.1).
    #[must_use]
    pub fn challenge(self) -> HeaderValue {
        let text = match self {
            Self::Missing => "DPoP algs=\"EdDSA ES256 PS256\"",
            Self::Expired | Self::KeyUnknown | Self::TokenUnknown => {
                "DPoP error=\"invalid_token\", algs=\"EdDSA ES256 PS256\""
            }
            Self::Proof(_) | Self::ProofMissing | Self::Replayed => {
                "DPoP error=\"invalid_dpop_proof\", algs=\"EdDSA ES256 PS256\""
            }
        };
        HeaderValue::from_static(text)
    }
}

/// A request as far as the credential speaks of it.
pub struct AdminCall<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path, without the query.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

impl LocalAdministrator {
    /// Makes a credential and writes it to `data`, with a token of the vault if there is one. `control` is the address that the command line reaches the control API under.
    ///
    /// # Errors
    /// When no key can be made or the file cannot be written.
    pub fn issue(
        data: &Path,
        control: Url,
        random: Random,
        vault_token: Option<&Secret<String>>,
        now: UnixTime,
    ) -> Result<Self, AdministratorError> {
        let path = data.join(FILE);
        let expected = write_new(&path, &control, &random, vault_token, now)?;
        let expected = ArcSwap::from_pointee(expected);
        Ok(Self {
            path,
            control,
            random,
            expected,
        })
    }

    /// Replaces the credential; the one before is worth nothing from now on.
    ///
    /// # Errors
    /// As [`LocalAdministrator::issue`]; the credential before then stays.
    pub fn renew(
        &self,
        vault_token: Option<&Secret<String>>,
        now: UnixTime,
    ) -> Result<(), AdministratorError> {
        let next = write_new(&self.path, &self.control, &self.random, vault_token, now)?;
        self.expected.store(Arc::new(next));
        Ok(())
    }

    /// Renews the credential twice a day for as long as anybody holds it. Spawn it on the runtime of the control plane.
    pub fn keep(
        self: &Arc<Self>,
        clock: Clock,
        vault: &Arc<Vault>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let administrator = Arc::downgrade(self);
        let vault = Arc::downgrade(vault);
        async move {
            let mut ticks = tokio::time::interval(RENEWED_EVERY);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let Some(administrator) = administrator.upgrade() else {
                    return;
                };
                let token = match vault.upgrade() {
                    None => return,
                    Some(vault) => vault.local_token(LIFETIME).await,
                };
                let renewed = match token {
                    Ok(token) => administrator.renew(token.as_ref(), clock.now()).is_ok(),
                    Err(_) => false,
                };
                if !renewed {
                    tracing::error!(event = "administrator_not_renewed");
                }
            }
        }
    }

    /// Judges a request's credential and spends its proof.
    ///
    /// # Errors
    /// Why it is not the administrator's.
    pub fn authenticate(
        &self,
        call: &AdminCall<'_>,
        replay: &ReplayMemory,
        now: UnixTime,
    ) -> Result<Administrator, NotAdministrator> {
        let expected = self.expected.load();
        let token = presented(call.headers)?;
        if token != expected.token {
            return Err(NotAdministrator::TokenUnknown);
        }
        if now >= expected.expires {
            return Err(NotAdministrator::Expired);
        }
        let target = address(&self.control, call.path);
        let proof = match dpop::demand(call.headers, call.method, &target) {
            Ok(Conditional::Present(proof)) => proof,
            Ok(Conditional::Absent(_)) => return Err(NotAdministrator::ProofMissing),
            Err(refusal) => return Err(NotAdministrator::Proof(refusal.reason())),
        };
        // Before the proof takes a place in the replay memory: others' keys take none.
        if *proof.thumbprint() != expected.key {
            return Err(NotAdministrator::KeyUnknown);
        }
        // No nonce: the key is as old as this process, so no proof of before its start is by it.
        let unspent = dpop::prove(
            proof,
            ProofUse::WithToken(&token),
            NoncePolicy::NotRequired,
            now,
        )
        .map_err(|refusal| NotAdministrator::Proof(refusal.reason()))?;
        match replay.spend_replay(unspent, now) {
            Ok(_key) => Ok(Administrator(())),
            Err(Replayed::AlreadyUsed(_) | Replayed::Full(_) | Replayed::Stale(_)) => {
                Err(NotAdministrator::Replayed)
            }
        }
    }
}

/// The one DPoP-bound token of the header `Authorization`.
fn presented(headers: &HeaderMap) -> Result<TokenHash, NotAdministrator> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(NotAdministrator::Missing)?;
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    match text.and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("dpop") => Ok(TokenHash::of(token)),
        Some(_) | None => Err(NotAdministrator::TokenUnknown),
    }
}

fn address(control: &Url, path: &str) -> String {
    let origin = control.as_str().trim_end_matches('/');
    format!("{origin}{path}")
}

fn kid() -> Kid {
    #[expect(clippy::expect_used, reason = "a fixed name of the grammar")]
    "administrator".parse().expect("a key id")
}

fn write_new(
    path: &Path,
    control: &Url,
    random: &Random,
    vault_token: Option<&Secret<String>>,
    now: UnixTime,
) -> Result<Expected, AdministratorError> {
    let pkcs8 = generate_pkcs8(ALGORITHM)?;
    let key: SigningKey<DpopProof> = SigningKey::from_pkcs8(ALGORITHM, kid(), &pkcs8)?;
    let token = random.token();
    let expires = now.plus(LIFETIME);
    let document = Document {
        access_token: token.expose().clone(),
        algorithm: ALGORITHM,
        control: control.as_str().to_owned(),
        expires,
        private_key: base64url::encode(pkcs8.expose()),
        vault_token: vault_token.map(|token| token.expose().clone()),
    };
    let mut text = serde_json::to_string_pretty(&document)
        .map_err(|_| AdministratorError::Form(path.to_owned()))?;
    text.push('\n');
    let written = replace_file(path, 0o600, text.as_bytes());
    text.zeroize();
    written.map_err(|cause| AdministratorError::File {
        path: path.to_owned(),
        cause,
    })?;
    Ok(Expected {
        token: TokenHash::of(token.expose()),
        key: key.public_jwk().thumbprint(),
        expires,
    })
}

/// The command line's side: what it proves with.
pub struct AdministratorKey {
    control: Url,
    token: Secret<String>,
    key: SigningKey<DpopProof>,
}

impl AdministratorKey {
    /// Reads `admin.json` of a data directory.
    ///
    /// # Errors
    /// When it is not there, is past its time, or others can read it.
    pub fn read(data: &Path, now: UnixTime) -> Result<Self, AdministratorError> {
        let path = data.join(FILE);
        let form = || AdministratorError::Form(path.clone());
        let Some(mut text) = root::read_private(&path)? else {
            return Err(AdministratorError::Missing(path));
        };
        let parsed = serde_json::from_str(&text);
        text.zeroize();
        let document: Document = parsed.map_err(|_| form())?;
        if now >= document.expires {
            return Err(AdministratorError::Expired);
        }
        let pkcs8 = Secret::new(base64url::decode(&document.private_key).map_err(|_| form())?);
        Ok(Self {
            control: document.control.parse().map_err(|_| form())?,
            token: Secret::new(document.access_token.clone()),
            key: SigningKey::from_pkcs8(document.algorithm, kid(), &pkcs8)?,
        })
    }

    /// The address of the control API.
    #[must_use]
    pub const fn control(&self) -> &Url {
        &self.control
    }

    /// The headers that make one request to `path` the administrator's. They are spent with it.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn prove(
        &self,
        method: &Method,
        path: &str,
        random: &Random,
        now: UnixTime,
    ) -> Result<HeaderMap, AdministratorError> {
        let claims = serde_json::json!({
            "ath": TokenHash::of(self.token.expose()).to_base64url(),
            "htm": method.as_str(),
            "htu": address(&self.control, path),
            "iat": now.0,
            "jti": random.token().expose(),
        });
        let proof = sign_jwt(&self.key, &claims)?;
        let mut authorization = format!("DPoP {}", self.token.expose());
        let value = |text: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| AdministratorError::Form(PathBuf::from(FILE)))?;
            value.set_sensitive(true);
            Ok::<_, AdministratorError>(value)
        };
        let mut headers = HeaderMap::new();
        headers.insert(dpop::DPOP_HEADER, value(&proof)?);
        let credential = value(&authorization);
        authorization.zeroize();
        headers.insert(header::AUTHORIZATION, credential?);
        Ok(headers)
    }
}

#[cfg(test)]
mod tests;
