//! `config`: whose tokens are believed, and where their keys come from.

use super::{algorithms, done};
use crate::VaultError;
use crate::answer::{Answer, Outcome};
use crate::call::{Call, Operation};
use crate::work::{Stop, Work};
use countersign_crypto::jose::{Algorithm, JwkSet, PublicJwk, VerifyingKey};
use countersign_crypto::x509::PeerCertificate;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Keys that a mount may be given as PEM texts.
const PEM_KEYS_MAX: usize = 32;

/// The configuration of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    source: Source,
    bound_issuer: Option<String>,
    pub(super) default_role: Option<String>,
    /// Empty is all that are known.
    pub(super) algorithms: BTreeSet<Algorithm>,
}

/// Where the keys come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// An issuer's metadata (OpenID Connect Discovery §4), which is at an address below its own name.
    Discovery(String),
    /// A JWK set at an address.
    Jwks(String),
    /// PEM texts.
    Pem(Vec<String>),
}

impl Config {
    /// The configuration, if the mount has one.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub(super) fn of(call: &Call, work: &mut Work<'_>) -> Result<Option<Self>, Stop> {
        work.read(&call.entry(&["config"]))
    }

    /// The issuer that tokens have to name, if one is bound; an issuer that was discovered always is.
    pub(super) fn issuer(&self) -> Option<&str> {
        match (&self.bound_issuer, &self.source) {
            (Some(issuer), _) | (None, Source::Discovery(issuer)) => Some(issuer),
            (None, Source::Jwks(_) | Source::Pem(_)) => None,
        }
    }

    /// The keys as they are now.
    ///
    /// # Errors
    /// When an address does not answer, or what it answers is no set of keys.
    pub(super) fn keys(&self, work: &Work<'_>) -> Result<JwkSet, Stop> {
        match &self.source {
            Source::Pem(texts) => Ok(of_pem(texts)?),
            Source::Jwks(url) => set(work, url),
            Source::Discovery(issuer) => {
                let url = format!(
                    "{}/.well-known/openid-configuration",
                    issuer.trim_end_matches('/')
                );
                let metadata: Json = serde_json::from_str(fetched(work, &url)?)
                    .map_err(|_| VaultError::invalid("the issuer's metadata cannot be read"))?;
                let text = |name: &str| metadata.get(name).and_then(Json::as_str);
                // Another issuer's metadata would put another's keys under this name.
                if text("issuer") != Some(issuer) {
                    return Err(VaultError::invalid("the metadata is of another issuer").into());
                }
                let keys = text("jwks_uri").unwrap_or_default().to_owned();
                set(work, &https(keys, "jwks_uri")?)
            }
        }
    }

    fn shown(&self) -> Json {
        let (mut discovery, mut jwks, mut pem) = ("", "", &[][..]);
        match &self.source {
            Source::Discovery(url) => discovery = url,
            Source::Jwks(url) => jwks = url,
            Source::Pem(texts) => pem = texts,
        }
        let algorithms = self.algorithms.iter().map(|algorithm| algorithm.name());
        json!({
            "bound_issuer": self.bound_issuer.as_deref().unwrap_or_default(),
            "default_role": self.default_role.as_deref().unwrap_or_default(),
            "jwks_url": jwks,
            "jwt_supported_algs": algorithms.collect::<Vec<_>>(),
            "jwt_validation_pubkeys": pem,
            "oidc_discovery_url": discovery,
        })
    }
}

/// The key of every PEM text, for every algorithm that it fits. A text is a public key, or a certificate: then its key is meant, and nothing else of it is looked at.
pub(crate) fn of_pem(texts: &[String]) -> Result<JwkSet, VaultError> {
    let refused = || VaultError::invalid("a public key in PEM cannot be read");
    let mut keys = Vec::new();
    for text in texts {
        let jwk = PublicJwk::from_pem(text.as_bytes())
            .ok()
            .or_else(|| certified(text))
            .ok_or_else(refused)?;
        for algorithm in Algorithm::ALL
            .into_iter()
            .filter(|algorithm| jwk.fits(*algorithm))
        {
            keys.push(VerifyingKey::new(&jwk, algorithm, None).map_err(|_| refused())?);
        }
    }
    if keys.is_empty() || texts.len() > PEM_KEYS_MAX {
        return Err(refused());
    }
    Ok(JwkSet::from_keys(keys))
}

/// The key of the one certificate in a PEM text.
fn certified(text: &str) -> Option<PublicJwk> {
    match PeerCertificate::from_pem(text.as_bytes()).ok()?.as_slice() {
        [certificate] => certificate.public_jwk(),
        _ => None,
    }
}

fn fetched<'w>(work: &'w Work<'_>, url: &str) -> Result<&'w str, Stop> {
    work.document(url)?
        .map_err(|_| VaultError::invalid("the keys of the issuer cannot be fetched").into())
}

fn set(work: &Work<'_>, url: &str) -> Result<JwkSet, Stop> {
    let text = fetched(work, url)?;
    let (set, _) = JwkSet::parse(text.as_bytes())
        .map_err(|_| VaultError::invalid("the keys of the issuer cannot be read"))?;
    Ok(set)
}

fn https(url: String, name: &str) -> Result<String, VaultError> {
    if url.starts_with("https://")
        && !url.contains(['#', '@'])
        && url.bytes().all(|byte| byte.is_ascii_graphic())
    {
        Ok(url)
    } else {
        Err(VaultError::invalid(format!(
            "`{name}` must be an HTTPS address"
        )))
    }
}

/// What `config` does.
pub(super) fn run(call: &Call, work: &mut Work<'_>) -> Result<Outcome, Stop> {
    let entry = call.entry(&["config"]);
    match call.operation {
        Operation::Create | Operation::Update => {
            let config = of_body(call)?;
            // Keys that cannot be had now are said so now, and not at the first sign-in.
            config.keys(work)?;
            work.put(&entry, &config)?;
            Ok(done())
        }
        Operation::Read => {
            let config = Config::of(call, work)?.ok_or(VaultError::NotFound)?;
            Ok(Answer::data(config.shown()).into())
        }
        Operation::Delete | Operation::List | Operation::Patch => {
            Err(VaultError::Unsupported.into())
        }
    }
}

fn of_body(call: &Call) -> Result<Config, VaultError> {
    let body = &call.body;
    let given = |name| Ok::<_, VaultError>(body.text(name)?.filter(|text| !text.is_empty()));
    for unsupported in [
        "oidc_client_id",
        "oidc_client_secret",
        "oidc_discovery_ca_pem",
        "jwks_ca_pem",
    ] {
        if given(unsupported)?.is_some() {
            return Err(VaultError::invalid(format!(
                "`{unsupported}` is not supported"
            )));
        }
    }
    let pem = body
        .texts("jwt_validation_pubkeys")?
        .filter(|texts| !texts.is_empty());
    let source = match (given("oidc_discovery_url")?, given("jwks_url")?, pem) {
        (Some(url), None, None) => Source::Discovery(https(url, "oidc_discovery_url")?),
        (None, Some(url), None) => Source::Jwks(https(url, "jwks_url")?),
        (None, None, Some(texts)) => Source::Pem(texts),
        (_, _, _) => {
            return Err(VaultError::invalid(
                "exactly one of `oidc_discovery_url`, `jwks_url` and `jwt_validation_pubkeys` must be set",
            ));
        }
    };
    Ok(Config {
        source,
        bound_issuer: given("bound_issuer")?,
        default_role: given("default_role")?,
        algorithms: algorithms(body.texts("jwt_supported_algs")?)?.unwrap_or_default(),
    })
}
