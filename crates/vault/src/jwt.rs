//! `auth/jwt/`: workloads that sign in with a JWT of an issuer that the mount trusts.
//!
//! The keys come from one place: a JWK set at an address, an issuer's own metadata, or PEM texts. Only the signature algorithms of [`Algorithm`] are known, so no
//! token with `none` or a shared secret is ever read; a mount or role can allow fewer.
//!
//! Not here: sign-in of people over a browser (`role_type` `oidc`), and groups.

pub(crate) mod judge;
pub(crate) mod keys;
mod role;

use crate::answer::{Answer, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::sign_in::SignedIn;
use crate::work::{Stop, Work};
use crate::{VaultError, named};
use countersign_crypto::jose::Algorithm;
use keys::Config;
use role::Role;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    match (call.segments().as_slice(), call.operation) {
        (["login"], Operation::Create | Operation::Update) => login(call, work, cx),
        (["config"], _) => keys::run(call, work),
        (["role"], Operation::List) => named::list(call, "role", work),
        (["role", name], _) => role::run(call, name, work),
        (["login" | "role"], _) => Err(VaultError::Unsupported.into()),
        _ => Err(VaultError::NotFound.into()),
    }
}

fn login(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let config = Config::of(call, work)?
        .ok_or_else(|| VaultError::invalid("could not load configuration"))?;
    let name = match call.body.text("role")?.filter(|name| !name.is_empty()) {
        Some(name) => name,
        None => config
            .default_role
            .clone()
            .ok_or_else(|| VaultError::invalid("missing role"))?,
    };
    let token = call.body.required_text("jwt")?;
    let entry = call.entry(&["role", named::checked(&name)?]);
    let role: Option<Role> = work.read(&entry)?;
    let role = role.ok_or_else(|| VaultError::invalid("role could not be found"))?;
    let keys = config.keys(work)?;
    let signed = judge::signed(&token, &keys, &config.algorithms)?;
    let claims = role.admit(&signed, config.issuer(), cx.now)?;
    let alias = role.user(claims)?;
    let mut metadata = role.mapped(claims)?;
    metadata.insert("role".to_owned(), name);
    let who = SignedIn {
        role: entry,
        display_name: alias.clone(),
        alias,
        metadata,
        certificate: None,
        bound_cidrs: BTreeSet::new(),
    };
    role.tokens.issue(who, call, work, cx)
}

/// A claim by its name, or by a JSON pointer that begins with a slash.
fn claim<'c>(claims: &'c judge::Admitted<'_>, name: &str) -> Option<&'c Json> {
    let members = claims.claims().raw();
    match name.strip_prefix('/') {
        None => members.get(name),
        Some(path) => {
            let (first, rest) = path.split_once('/').unwrap_or((path, ""));
            let value = members.get(&first.replace("~1", "/").replace("~0", "~"))?;
            if rest.is_empty() {
                Some(value)
            } else {
                value.pointer(&format!("/{rest}"))
            }
        }
    }
}

/// The texts of a claim that is a text, a truth value, a number, or a list of these.
fn texts(value: &Json) -> Option<Vec<String>> {
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    match value {
        Json::Array(items) => items.iter().map(text).collect(),
        one => text(one).map(|text| vec![text]),
    }
}

/// The algorithms that are named; none is all that are known.
fn algorithms(names: Option<Vec<String>>) -> Result<Option<BTreeSet<Algorithm>>, VaultError> {
    let Some(names) = names else {
        return Ok(None);
    };
    let known = names.iter().map(|name| Algorithm::from_name(name));
    known.collect::<Option<_>>().map(Some).ok_or_else(|| {
        VaultError::invalid("an algorithm must be one of `EdDSA`, `ES256`, `PS256` and `RS256`")
    })
}

/// Nothing, as an answer.
fn done() -> Outcome {
    Answer::nothing().into()
}

/// What a role says of claims, by the claim.
type PerClaim = BTreeMap<String, Vec<String>>;

#[cfg(test)]
pub(crate) mod tests;
