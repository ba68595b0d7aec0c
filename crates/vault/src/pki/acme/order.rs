//! Orders (RFC 8555 §7.4): names that the role allows, a proof for each, a request for exactly these names, and the certificate.

use super::super::authority::Authority;
use super::super::names::{self, Wanted};
use super::super::{certificates, issue};
use super::account::is_id;
use super::challenge::{Authorization, Identifier, Status};
use super::{Content, Directory, Message, Refusal, Reply, id, problem, with};
use crate::VaultError;
use crate::call::Cx;
use crate::entry::EntryName;
use crate::timestamp;
use crate::work::Work;
use countersign_base::{Duration, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::x509::{AlternativeNames, Serial, SigningRequest, SigningRequestFlaw};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// How long an order and its proofs last.
const LASTS: Duration = Duration::from_secs(24 * 3_600);
/// Names of one order.
const NAMES_MAX: usize = 100;

/// An order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    account: String,
    identifiers: BTreeSet<Identifier>,
    authorizations: Vec<String>,
    expires: UnixTime,
    /// The number of the certificate.
    certificate: Option<String>,
}

impl Order {
    fn shown(&self, directory: &Directory<'_>, name: &str, status: &str) -> Json {
        let authorization = |id: &String| directory.url(&["authorization", id]);
        let shown = json!({
            "authorizations": self.authorizations.iter().map(authorization).collect::<Vec<_>>(),
            "expires": timestamp::text(self.expires),
            "finalize": directory.url(&["order", name, "finalize"]),
            "identifiers": self.identifiers,
            "status": status,
        });
        if self.certificate.is_some() {
            let url = directory.url(&["order", name, "cert"]);
            with(shown, "certificate", url.into())
        } else {
            shown
        }
    }

    /// What the order's proofs make of it.
    fn status(
        &self,
        directory: &Directory<'_>,
        work: &mut Work<'_>,
        now: UnixTime,
    ) -> Result<&'static str, Refusal> {
        if self.certificate.is_some() {
            return Ok("valid");
        }
        if now >= self.expires {
            return Ok("invalid");
        }
        let entries: Vec<EntryName> = self
            .authorizations
            .iter()
            .map(|id| directory.entry(&["authorization", id]))
            .collect();
        work.expect(&entries)?;
        let mut status = "ready";
        for entry in &entries {
            let found: Option<Authorization> = work.read(entry)?;
            match found.map(|found| found.status(now)) {
                Some(Status::Valid) => {}
                Some(Status::Pending) => status = "pending",
                Some(Status::Deactivated | Status::Invalid) | None => return Ok("invalid"),
            }
        }
        Ok(status)
    }
}

/// `new-order`.
///
/// # Errors
/// When the role does not allow a name.
pub(super) fn new(
    directory: &Directory<'_>,
    message: &Message,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Reply, Refusal> {
    let (account, _) = message.account()?;
    let payload = message.payload()?;
    if payload.contains_key("notBefore") || payload.contains_key("notAfter") {
        return Err(problem(
            "malformed",
            400,
            "the role says how long certificates live",
        ));
    }
    let asked = payload.get("identifiers").and_then(Json::as_array);
    let asked = asked
        .filter(|asked| !asked.is_empty() && asked.len() <= NAMES_MAX)
        .ok_or_else(|| {
            problem(
                "malformed",
                400,
                "`identifiers` must be a list of 1 to 100 names",
            )
        })?;
    let identifiers: BTreeSet<Identifier> = asked
        .iter()
        .map(|one| identifier(directory, one))
        .collect::<Result<_, _>>()?;
    if directory.role.no_store {
        return Err(problem(
            "unauthorized",
            403,
            "the role keeps no certificates, so none can be fetched",
        ));
    }
    let expires = cx.now.plus(LASTS);
    let mut authorizations = Vec::new();
    for identifier in &identifiers {
        let name = id(cx);
        let authorization = Authorization {
            account: account.to_owned(),
            identifier: identifier.clone(),
            status: Status::Pending,
            expires,
            token: cx.random.token().expose().clone(),
            validated: None,
        };
        let entry = directory.entry(&["authorization", &name]);
        work.put_until(&entry, &authorization, Some(expires))?;
        authorizations.push(name);
    }
    let order = Order {
        account: account.to_owned(),
        identifiers,
        authorizations,
        expires,
        certificate: None,
    };
    let name = id(cx);
    work.put_until(&directory.entry(&["order", &name]), &order, Some(expires))?;
    let shown = order.shown(directory, &name, "pending");
    Ok(Reply::json(201, shown).at(directory.url(&["order", &name])))
}

/// A name that is asked for, judged by the role: nobody is asked to prove what would not be issued.
fn identifier(directory: &Directory<'_>, asked: &Json) -> Result<Identifier, Refusal> {
    let text = |name: &str| asked.get(name).and_then(Json::as_str);
    let rejected = |detail: String| problem("rejectedIdentifier", 403, detail);
    let mut names = AlternativeNames::default();
    let identifier = match (text("type"), text("value")) {
        (Some("dns"), Some(name)) if name.starts_with("*.") => {
            return Err(rejected(
                "wildcards need a challenge that is not offered".to_owned(),
            ));
        }
        (Some("dns"), Some(name)) => {
            let name = name.to_ascii_lowercase();
            names.dns.push(name.clone());
            Identifier::Dns(name)
        }
        (Some("ip"), Some(address)) => {
            let address = address
                .parse()
                .map_err(|_| problem("malformed", 400, "an identifier is no address"))?;
            names.ips.push(address);
            Identifier::Ip(address)
        }
        (Some(_), Some(_)) => {
            return Err(problem(
                "unsupportedIdentifier",
                400,
                "identifiers are of type dns or ip",
            ));
        }
        _ => {
            return Err(problem(
                "malformed",
                400,
                "an identifier has a type and a value",
            ));
        }
    };
    let wanted = Wanted {
        names,
        ..Wanted::default()
    };
    match names::judge(&directory.role, wanted) {
        Ok(_allowed) => Ok(identifier),
        Err(error) => Err(rejected(error.to_string())),
    }
}

fn find(
    directory: &Directory<'_>,
    name: &str,
    message: &Message,
    work: &mut Work<'_>,
) -> Result<(EntryName, Order), Refusal> {
    let (own, _) = message.account()?;
    let entry = directory.entry(&["order", name]);
    let found: Option<Order> = if is_id(name) {
        work.read(&entry)?
    } else {
        None
    };
    match found.filter(|found| found.account == own) {
        Some(found) => Ok((entry, found)),
        None => Err(problem("malformed", 404, "there is no such order")),
    }
}

/// `order/ID`.
///
/// # Errors
/// When it is another's.
pub(super) fn read(
    directory: &Directory<'_>,
    name: &str,
    message: &Message,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Reply, Refusal> {
    let (_, order) = find(directory, name, message, work)?;
    let status = order.status(directory, work, cx.now)?;
    Ok(Reply::json(200, order.shown(directory, name, status)))
}

/// `order/ID/finalize`: the request must be for the names of the order, all of them and no other.
///
/// # Errors
/// When a proof is missing, or the request is not in order.
pub(super) fn finalize(
    directory: &Directory<'_>,
    name: &str,
    message: &Message,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Reply, Refusal> {
    let (entry, mut order) = find(directory, name, message, work)?;
    match order.status(directory, work, cx.now)? {
        "ready" => {}
        status => {
            return Err(problem(
                "orderNotReady",
                403,
                format!("the order is {status}, not ready"),
            ));
        }
    }
    let csr = message.payload()?.get("csr").and_then(Json::as_str);
    let der = csr
        .and_then(|csr| base64url::decode(csr).ok())
        .ok_or_else(|| problem("malformed", 400, "`csr` is not base64url"))?;
    let request = SigningRequest::from_der(&der).map_err(|flaw| {
        let kind = match flaw {
            SigningRequestFlaw::Key => "badPublicKey",
            SigningRequestFlaw::Authority
            | SigningRequestFlaw::Malformed
            | SigningRequestFlaw::Name
            | SigningRequestFlaw::Signature => "badCSR",
        };
        problem(kind, 400, flaw.to_string())
    })?;
    let wanted = exactly(&order.identifiers, &request).ok_or_else(|| {
        problem(
            "badCSR",
            400,
            "the request is not for the names of the order",
        )
    })?;
    let authority = Authority::read(directory.call, work)?;
    // The role judges again: it may have changed since the order.
    let issued = issue::certify_request(
        directory.call,
        &directory.role,
        &authority,
        wanted,
        &request,
        work,
        cx,
    )?;
    order.certificate = Some(issued.serial().to_string());
    let (account, _) = message.account()?;
    let owner = directory.entry(&["issued", account, &issued.serial().to_string()]);
    work.put_until(&owner, &true, Some(issued.not_after()))?;
    work.put_until(&entry, &order, Some(order.expires))?;
    let shown = order.shown(directory, name, "valid");
    Ok(Reply::json(200, shown).at(directory.url(&["order", name])))
}

/// The names of a request, if they are those of the order.
fn exactly(identifiers: &BTreeSet<Identifier>, request: &SigningRequest) -> Option<Wanted> {
    let asked = request.names();
    if !asked.uris.is_empty() || !asked.emails.is_empty() {
        return None;
    }
    let dns = |name: &String| Identifier::Dns(name.to_ascii_lowercase());
    let mut named: BTreeSet<Identifier> = asked.dns.iter().map(dns).collect();
    named.extend(asked.ips.iter().copied().map(Identifier::Ip));
    let common_name = request.subject().common_name.clone();
    if let Some(name) = &common_name {
        named.insert(match name.parse() {
            Ok(address) => Identifier::Ip(address),
            Err(_) => dns(name),
        });
    }
    let mut names = AlternativeNames::default();
    for identifier in identifiers {
        match identifier {
            Identifier::Dns(name) => names.dns.push(name.clone()),
            Identifier::Ip(address) => names.ips.push(*address),
        }
    }
    (named == *identifiers).then_some(Wanted {
        common_name,
        names,
        ..Wanted::default()
    })
}

/// `order/ID/cert`: the certificate and those above it.
///
/// # Errors
/// When there is none yet.
pub(super) fn certificate(
    directory: &Directory<'_>,
    name: &str,
    message: &Message,
    work: &mut Work<'_>,
) -> Result<Reply, Refusal> {
    let (_, order) = find(directory, name, message, work)?;
    let serial = order
        .certificate
        .as_deref()
        .and_then(Serial::parse)
        .ok_or_else(|| problem("orderNotReady", 403, "the order has no certificate yet"))?;
    let der = certificates::find(directory.call, serial, work)?.ok_or(VaultError::NotFound)?;
    let above = Authority::read(directory.call, work)?.chain_pem().concat();
    let own = countersign_crypto::x509::certificate_pem(&der);
    Ok(Reply {
        status: 200,
        headers: Vec::new(),
        content: Content::Chain(own + &above),
    })
}
