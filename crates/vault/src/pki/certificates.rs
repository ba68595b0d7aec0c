//! What was issued: read, listed, revoked, forgotten when it is long over; and the list of what is revoked.
//!
//! The numbers of what is revoked stand in one entry, next to the list that was signed last. Those whose certificates have ended are left out of the next list
//! (RFC 5280 §3.3), so the entry is as long as what is revoked before its end. The list is signed anew when something is revoked, and by the first that asks when it
//! is older than a day.

use super::authority::Authority;
use super::{raw, refused};
use crate::VaultError;
use crate::answer::Answer;
use crate::call::{Call, Cx};
use crate::entry::{EntryName, Listing};
use crate::folder;
use crate::timestamp;
use crate::work::{Stop, Work};
use countersign_base::{Duration, UnixTime};
use countersign_crypto::base64;
use countersign_crypto::x509::{Revoked, Serial, certificate_pem, revocation_list_pem};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// How long a list is good for, and when it is signed anew.
const LIST_LASTS: Duration = Duration::from_secs(72 * 3_600);
const LIST_FRESH: Duration = Duration::from_secs(24 * 3_600);
/// Numbers in one list; its entry stays below half of what entries may hold.
const REVOKED_MAX: usize = 5_000;
/// Certificates that one tidying looks at.
const TIDY_PAGE: u32 = 500;
/// For how long after its end a certificate is kept when nobody says.
const TIDY_BUFFER: Duration = Duration::from_secs(72 * 3_600);

/// A certificate that was issued.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// DER, in base64.
    certificate: String,
    not_after: UnixTime,
    revoked: Option<UnixTime>,
}

/// What is revoked, and the list that says so.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevocationList {
    number: u64,
    made: Option<UnixTime>,
    /// DER, in base64.
    list: String,
    revoked: BTreeMap<String, Ended>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    since: UnixTime,
    not_after: UnixTime,
}

impl RevocationList {
    fn entry(call: &Call) -> EntryName {
        call.entry(&["pki", "revoked"])
    }

    fn renew(&mut self, authority: &Authority, now: UnixTime) -> Result<(), VaultError> {
        self.revoked.retain(|_, ended| ended.not_after > now);
        if self.revoked.len() > REVOKED_MAX {
            return Err(VaultError::TooLarge);
        }
        let one = |(serial, ended): (&String, &Ended)| {
            let serial = Serial::parse(serial).ok_or(VaultError::Corrupt)?;
            Ok::<_, VaultError>(Revoked {
                serial,
                since: ended.since,
            })
        };
        let revoked: Vec<Revoked> = self.revoked.iter().map(one).collect::<Result<_, _>>()?;
        self.number = self.number.saturating_add(1);
        let der = authority
            .issuing()
            .revocation_list(self.number, &revoked, LIST_LASTS, now)
            .map_err(refused)?;
        self.list = base64::encode(&der);
        self.made = Some(now);
        Ok(())
    }
}

fn entry(call: &Call, serial: Serial) -> EntryName {
    call.entry(&["pki", "cert", &serial.to_string()])
}

/// Keeps a certificate.
///
/// # Errors
/// As [`Work::put`].
pub(super) fn store(
    call: &Call,
    serial: Serial,
    der: &[u8],
    not_after: UnixTime,
    work: &mut Work<'_>,
) -> Result<(), Stop> {
    let stored = Stored {
        certificate: base64::encode(der),
        not_after,
        revoked: None,
    };
    work.put(&entry(call, serial), &stored)
}

/// A certificate, in DER, if there is one of this number.
///
/// # Errors
/// As [`Work::read`].
pub(super) fn find(
    call: &Call,
    serial: Serial,
    work: &mut Work<'_>,
) -> Result<Option<Vec<u8>>, Stop> {
    let stored: Option<Stored> = work.read(&entry(call, serial))?;
    let der = stored.map(|stored| base64::decode(&stored.certificate));
    Ok(der.transpose().map_err(|_| VaultError::Corrupt)?)
}

/// `LIST certs`.
///
/// # Errors
/// When there are none.
pub(super) fn list(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let prefix = format!("{}/", call.entry(&["pki", "cert"]));
    let names = folder::names(&prefix, &folder::Part::of(call)?, work)?;
    Ok(Answer::keys(names)?)
}

/// `cert/SERIAL`; and `cert/ca`, `cert/ca_chain`, `cert/crl` for who wants JSON.
///
/// # Errors
/// When there is none of this number.
pub(super) fn read(
    call: &Call,
    what: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let text = match what {
        "ca" => Authority::read(call, work)?.certificate_pem(),
        "ca_chain" => Authority::read(call, work)?.chain_pem().concat(),
        "crl" => revocation_list_pem(&current_list(call, work, cx)?),
        serial => {
            let serial = Serial::parse(serial).ok_or(VaultError::NotFound)?;
            let stored: Option<Stored> = work.read(&entry(call, serial))?;
            return Ok(shown(&stored.ok_or(VaultError::NotFound)?)?);
        }
    };
    Ok(Answer::data(json!({
        "certificate": text,
        "revocation_time": 0,
    })))
}

fn shown(stored: &Stored) -> Result<Answer, VaultError> {
    let der = base64::decode(&stored.certificate).map_err(|_| VaultError::Corrupt)?;
    Ok(Answer::data(json!({
        "certificate": certificate_pem(&der),
        "issuer_id": "default",
        "revocation_time": stored.revoked.map_or(0, |since| since.0),
        "revocation_time_rfc3339": stored.revoked.map(timestamp::text).unwrap_or_default(),
    })))
}

/// What everybody may read, as it is and not in the envelope.
///
/// # Errors
/// When there is no authority yet.
pub(super) fn published(
    call: &Call,
    segments: &[&str],
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    Ok(match segments {
        ["ca", "pem"] => raw(
            "application/pem-certificate-chain",
            Authority::read(call, work)?.certificate_pem().into_bytes(),
        ),
        ["ca_chain"] => raw(
            "application/pem-certificate-chain",
            Authority::read(call, work)?
                .chain_pem()
                .concat()
                .into_bytes(),
        ),
        ["crl", "pem"] => raw(
            "application/x-pem-file",
            revocation_list_pem(&current_list(call, work, cx)?).into_bytes(),
        ),
        ["crl"] => raw("application/pkix-crl", current_list(call, work, cx)?),
        _ => raw(
            "application/pkix-cert",
            Authority::read(call, work)?.certificate().to_vec(),
        ),
    })
}

/// The list of what is revoked, in DER.
fn current_list(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Vec<u8>, Stop> {
    let name = RevocationList::entry(call);
    let mut list: RevocationList = work.read(&name)?.unwrap_or_default();
    let fresh = list
        .made
        .is_some_and(|made| cx.now.since(made) < LIST_FRESH);
    if !fresh {
        list.renew(&Authority::read(call, work)?, cx.now)?;
        work.put(&name, &list)?;
    }
    Ok(base64::decode(&list.list).map_err(|_| VaultError::Corrupt)?)
}

/// The list of an authority that is gone is nobody's.
pub(super) fn forget_list(call: &Call, work: &mut Work<'_>) {
    work.delete(&RevocationList::entry(call));
}

/// `revoke`: by number. Revoking again says when it was.
///
/// # Errors
/// When there is no certificate of this number, or too many are revoked.
pub(super) fn revoke(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    if call.body.has("certificate") {
        return Err(VaultError::invalid("certificates are revoked by `serial_number`").into());
    }
    let text = call.body.required_text("serial_number")?;
    let serial = Serial::parse(&text)
        .ok_or_else(|| VaultError::invalid("`serial_number` is not 20 octets in hex"))?;
    let (Revocation::Before(since) | Revocation::Now(since)) =
        revoke_serial(call, serial, work, cx)?;
    Ok(Answer::data(json!({
        "revocation_time": since.0,
        "revocation_time_rfc3339": timestamp::text(since),
        "state": "revoked",
    })))
}

/// Since when a certificate is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revocation {
    /// Since before.
    Before(UnixTime),
    /// Since this call.
    Now(UnixTime),
}

/// Revokes a certificate, once.
///
/// # Errors
/// As [`revoke`].
pub(super) fn revoke_serial(
    call: &Call,
    serial: Serial,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Revocation, Stop> {
    let (own, list_name) = (entry(call, serial), RevocationList::entry(call));
    work.expect(&[own.clone(), list_name.clone()])?;
    let stored: Option<Stored> = work.read(&own)?;
    let mut stored = stored
        .ok_or_else(|| VaultError::invalid("certificate with that serial number was not found"))?;
    if let Some(since) = stored.revoked {
        return Ok(Revocation::Before(since));
    }
    stored.revoked = Some(cx.now);
    let mut list: RevocationList = work.read(&list_name)?.unwrap_or_default();
    let ended = Ended {
        since: cx.now,
        not_after: stored.not_after,
    };
    list.revoked.insert(serial.to_string(), ended);
    list.renew(&Authority::read(call, work)?, cx.now)?;
    work.put(&own, &stored)?;
    work.put(&list_name, &list)?;
    Ok(Revocation::Now(cx.now))
}

/// `tidy`: forgets certificates that ended longer ago than `safety_buffer`. Looks at some at a time, and goes on where the last tidying stopped.
///
/// # Errors
/// As [`Work::names`].
pub(super) fn tidy(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let buffer = call.body.duration("safety_buffer")?.unwrap_or(TIDY_BUFFER);
    let place = call.entry(&["pki", "tidied"]);
    let after: Option<String> = work.read(&place)?;
    let names = work.names(&Listing {
        prefix: format!("{}/", call.entry(&["pki", "cert"])),
        after: after.as_deref().map(EntryName::stored),
        limit: TIDY_PAGE,
    })?;
    work.expect(names)?;
    let mut deleted = 0u64;
    for name in names {
        let stored: Option<Stored> = work.read(name)?;
        if stored.is_some_and(|stored| stored.not_after.plus(buffer) < cx.now) {
            work.delete(name);
            deleted = deleted.saturating_add(1);
        }
    }
    let full = u32::try_from(names.len()).is_ok_and(|length| length >= TIDY_PAGE);
    match names.last().filter(|_| full) {
        Some(last) => work.put(&place, &last.as_str())?,
        None => work.delete(&place),
    }
    Ok(Answer::data(json!({
        "cert_store_checked_count": names.len(),
        "cert_store_deleted_count": deleted,
        "done": !full,
    })))
}
