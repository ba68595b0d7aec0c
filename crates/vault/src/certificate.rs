//! `auth/cert/`: whoever holds the key of a certificate signs in with it.
//!
//! That the caller holds the key was shown to the listener; here it is judged whose the certificate is. A trusted certificate of an authority admits what leads to it
//! by a path of signatures, valid now and for clients (RFC 5280 §6, in [`TrustAnchors`]). One that is no authority's admits itself alone, byte for byte, and so with
//! its own key: never another with the same serial number or key identifier (CVE-2024-2048, CVE-2025-6037), and nothing that was signed with its key.
//!
//! A token is bound to the certificate that it was made with, and renewed over no other (CVE-2026-39388). Not here: revocation lists.

mod role;

use crate::answer::Outcome;
use crate::call::{Call, Cx, Operation};
use crate::entry::Listing;
use crate::sign_in::SignedIn;
use crate::work::{Stop, Work};
use crate::{EntryName, VaultError, named};
use role::{Admitted, Role};
use std::collections::{BTreeMap, BTreeSet};

/// Roles that are looked through when a sign-in names none.
const ROLES_MAX: u32 = 1_000;

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    match (call.segments().as_slice(), call.operation) {
        (["login"], Operation::Create | Operation::Update) => login(call, work, cx),
        (["certs"], Operation::List) => named::list(call, "cert", work),
        (["certs", name], _) => role::run(call, name, work),
        (["login" | "certs"], _) => Err(VaultError::Unsupported.into()),
        _ => Err(VaultError::NotFound.into()),
    }
}

fn login(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let Some(peer) = &call.peer else {
        return Err(VaultError::invalid("client certificate must be supplied").into());
    };
    let names = match call.body.text("name")?.filter(|name| !name.is_empty()) {
        Some(name) => vec![call.entry(&["cert", named::checked(&name)?])],
        None => all(call, work)?,
    };
    work.expect(&names)?;
    for entry in &names {
        let Some(role) = work.read::<Role>(entry)? else {
            continue;
        };
        let Ok(admitted) = role.admit(peer, cx.now) else {
            continue;
        };
        let name = entry.as_str().rsplit('/').next().unwrap_or_default();
        let certificate = admitted.certificate();
        let common_name = role::common_name(certificate).unwrap_or_default();
        let thumbprint = certificate.thumbprint();
        let alias = if common_name.trim().is_empty() {
            thumbprint.to_string()
        } else {
            common_name.to_owned()
        };
        let who = SignedIn {
            role: entry.clone(),
            display_name: role.display_name.clone().unwrap_or_else(|| name.to_owned()),
            alias,
            metadata: BTreeMap::from([
                ("cert_name".to_owned(), name.to_owned()),
                ("common_name".to_owned(), common_name.to_owned()),
            ]),
            certificate: Some(thumbprint),
            bound_cidrs: BTreeSet::new(),
        };
        return role.tokens.issue(who, call, work, cx);
    }
    Err(VaultError::Denied.into())
}

/// Looks again whether a role trusts the caller's certificate, as when it signed in.
///
/// # Errors
/// [`VaultError::Denied`] when it does not, or the caller shows none, or the role is gone.
pub(crate) fn admits_still<'c>(
    role: &EntryName,
    call: &'c Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Admitted<'c>, Stop> {
    let role: Role = work.read(role)?.ok_or(VaultError::Denied)?;
    let peer = call.peer.as_ref().ok_or(VaultError::Denied)?;
    Ok(role.admit(peer, cx.now)?)
}

fn all(call: &Call, work: &Work<'_>) -> Result<Vec<EntryName>, Stop> {
    let names = work.names(&Listing {
        prefix: format!("{}/", call.entry(&["cert"])),
        after: None,
        limit: ROLES_MAX,
    })?;
    Ok(names.to_vec())
}

#[cfg(test)]
mod tests;
