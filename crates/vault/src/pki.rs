//! The PKI engine: a certificate authority at a mount, and certificates that it issues by role (the PKI API of Vault).
//!
//! | path below the mount | what it does |
//! |---|---|
//! | `root/generate/internal`, `root` with `DELETE` | makes and removes the authority |
//! | `intermediate/generate/internal`, `intermediate/set-signed`, `root/sign-intermediate` | an authority below another |
//! | `config/urls` | what certificates say of where lists and issuers are found |
//! | `roles/NAME` | what may be issued |
//! | `issue/ROLE`, `sign/ROLE` | a certificate on a new key, or for a request |
//! | `cert/SERIAL`, `certs`, `revoke`, `tidy` | what was issued |
//! | `config/acme`, `config/cluster`, `acme/...`, `roles/ROLE/acme/...` | ACME ([`acme`]) |
//! | `ca`, `ca/pem`, `ca_chain`, `crl`, `crl/pem`, `cert/ca`, `cert/crl`, `cert/ca_chain` | for everybody |
//!
//! One mount holds one authority, so that its keys, its list and its permissions are one thing; several authorities are several mounts. The key of an authority
//! is in an entry, which the shell seals, and in no answer: `exported` is refused. What a parameter would have narrowed and is not known here is refused, not
//! ignored.
//!
//! Not here: OCSP, templates in roles, e-mail addresses and other names in certificates.

pub mod acme;
mod authority;
mod certificates;
mod issue;
mod names;
mod role;

use crate::VaultError;
use crate::answer::{Form, Outcome, Raw};
use crate::call::{Call, Cx, Operation};
use crate::entry::EntryName;
use crate::work::{EffectResult, Stop, Work};
use crate::{Answer, Body};
use countersign_crypto::x509::X509Error;

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    use Operation::{Create, Delete, List, Read, Update};
    let segments = call.segments();
    if let Some((role, rest)) = acme::named(&segments) {
        return acme::run(call, role, rest, work, cx);
    }
    let done = match (segments.as_slice(), call.operation) {
        (["root", "generate", kind], Create | Update) => {
            authority::generate_root(call, kind, work, cx)?
        }
        (["root", "sign-intermediate"], Create | Update) => {
            authority::sign_intermediate(call, work, cx)?
        }
        (["root"], Delete) => authority::remove(call, work),
        (["intermediate", "generate", kind], Create | Update) => {
            authority::generate_intermediate(call, kind, work)?
        }
        (["intermediate", "set-signed"], Create | Update) => authority::set_signed(call, work, cx)?,
        (["config", "acme"], _) => acme::configuration(call, work)?,
        (["config", "cluster"], _) => acme::cluster(call, work)?,
        (["config", "urls"], Read) => authority::read_locations(call, work)?,
        (["config", "urls"], Create | Update) => authority::write_locations(call, work)?,
        (["roles"], List) => role::list(call, work)?,
        (["roles", name], _) => role::run(call, name, work)?,
        (["issue", role], Create | Update) => issue::issue(call, role, work, cx)?,
        (["sign", role], Create | Update) => issue::sign(call, role, work, cx)?,
        (["certs"], List) => certificates::list(call, work)?,
        (["cert", what], Read) => certificates::read(call, what, work, cx)?,
        (["revoke"], Create | Update) => certificates::revoke(call, work, cx)?,
        (["tidy"], Create | Update) => certificates::tidy(call, work, cx)?,
        (["ca" | "ca_chain" | "crl"] | ["ca" | "crl", "pem"], Read) => {
            certificates::published(call, &segments, work, cx)?
        }
        (
            [
                "ca" | "ca_chain" | "crl" | "certs" | "cert" | "revoke" | "roles" | "root" | "tidy",
                ..,
            ],
            _,
        ) => {
            return Err(VaultError::Unsupported.into());
        }
        _ => return Err(VaultError::NotFound.into()),
    };
    Ok(done.into())
}

/// Whether everybody may ask for what follows the mount's path: the authority's certificates and its list say nothing secret, and who verifies a certificate has no
/// token. Messages of ACME are signed, and bring no token either.
#[must_use]
pub fn is_public(rest: &str, operation: Operation) -> bool {
    let segments: Vec<&str> = rest.split('/').collect();
    if let Some((_, below)) = acme::named(&segments) {
        return acme::is_public(&below.join("/"), operation);
    }
    operation == Operation::Read
        && matches!(
            rest,
            "ca" | "ca/pem"
                | "ca_chain"
                | "cert/ca"
                | "cert/ca_chain"
                | "cert/crl"
                | "crl"
                | "crl/pem"
        )
}

/// Goes on after an effect.
///
/// # Errors
/// As [`Work::read`].
pub fn resume(
    next: &acme::Next,
    result: &EffectResult,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    acme::resume(next, result, work, cx)
}

/// An entry that is over: a nonce that is too old anyway, an order, a proof.
#[must_use]
pub fn due(name: &EntryName, work: &mut Work<'_>) -> Outcome {
    work.delete(name);
    Answer::nothing().into()
}

/// An answer that is not JSON.
fn raw(content_type: &'static str, body: Vec<u8>) -> Answer {
    Answer {
        form: Form::Raw(Box::new(Raw {
            status: 200,
            content_type,
            headers: Vec::new(),
            body,
        })),
        ..Answer::default()
    }
}

/// What goes wrong with certificates, as the caller is told.
fn refused(error: X509Error) -> VaultError {
    match error {
        X509Error::Lifetime => VaultError::invalid(
            "the certificate would outlive its issuer, or its lifetime is outside what X.509 can say",
        ),
        X509Error::Name(_) => {
            VaultError::invalid("a name holds characters that a certificate cannot")
        }
        X509Error::Certificate | X509Error::Untrusted => {
            VaultError::invalid("the certificate cannot be read or is not of an authority")
        }
        X509Error::Key | X509Error::Signing => VaultError::Corrupt,
    }
}

/// Refuses parameters that are not known here, unless they say nothing.
fn unsupported(body: &Body, names: &[&str]) -> Result<(), VaultError> {
    for name in names {
        let Some(value) = body.value(name) else {
            continue;
        };
        let says_nothing = match value {
            serde_json::Value::Null => true,
            serde_json::Value::Bool(value) => !value,
            serde_json::Value::Number(number) => number.as_f64() == Some(0.0),
            serde_json::Value::String(text) => matches!(text.as_str(), "" | "0" | "false" | "0s"),
            serde_json::Value::Array(items) => items.is_empty(),
            serde_json::Value::Object(members) => members.is_empty(),
        };
        if !says_nothing {
            return Err(VaultError::invalid(format!("`{name}` is not supported")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
