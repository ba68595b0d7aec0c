//! `revoke-cert` (RFC 8555 §7.6): by the account that had the certificate issued, or by whoever holds the certificate's key.

use super::super::certificates::{self, Revocation};
use super::{Content, Directory, Message, Refusal, Reply, Sender, problem};
use crate::call::Cx;
use crate::work::Work;
use countersign_crypto::base64url;
use countersign_crypto::x509::{PeerCertificate, Serial};
use serde_json::Value as Json;

/// Revokes a certificate of this mount.
///
/// # Errors
/// When it is not one of this mount, the message is neither its account's nor signed with its key, or it is revoked already.
pub(super) fn revoke(
    directory: &Directory<'_>,
    message: &Message,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Reply, Refusal> {
    let shown = message.payload()?.get("certificate").and_then(Json::as_str);
    let certificate = shown
        .and_then(|shown| base64url::decode(shown).ok())
        .and_then(|der| PeerCertificate::from_der(der).ok())
        .ok_or_else(|| problem("malformed", 400, "`certificate` is no certificate"))?;
    let unknown = || {
        problem(
            "malformed",
            404,
            "the certificate is not one of this directory",
        )
    };
    let serial = Serial::of(certificate.der()).ok_or_else(unknown)?;
    let stored = certificates::find(directory.call, serial, work)?.ok_or_else(unknown)?;
    // The number is looked up; the whole certificate has to be the one that was issued under it.
    if stored != certificate.der() {
        return Err(unknown());
    }
    let may = match &message.sender {
        Sender::Account(id, _) => {
            let owner = directory.entry(&["issued", id, &serial.to_string()]);
            work.read::<bool>(&owner)?.is_some()
        }
        Sender::Key => certificate.public_jwk().as_ref() == Some(&message.key),
    };
    if !may {
        return Err(problem("unauthorized", 403, "the certificate is another's"));
    }
    match certificates::revoke_serial(directory.call, serial, work, cx)? {
        Revocation::Before(_) => Err(problem(
            "alreadyRevoked",
            400,
            "the certificate is revoked already",
        )),
        Revocation::Now(_) => Ok(Reply {
            status: 200,
            headers: Vec::new(),
            content: Content::Empty,
        }),
    }
}
