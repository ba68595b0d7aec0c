//! Accounts (RFC 8555 §7.3): keys that may order, most of them bound to somebody who was known before.

use super::{Directory, Message, Problem, Refusal, Reply, Sender, flattened, id, problem};
use crate::VaultError;
use crate::answer::Answer;
use crate::call::Cx;
use crate::timestamp;
use crate::work::{Stop, Work};
use countersign_base::UnixTime;
use countersign_crypto::base64url;
use countersign_crypto::jose::PublicJwk;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// Contacts of one account, and bytes of one.
const CONTACTS_MAX: usize = 8;
const CONTACT_BYTES_MAX: usize = 256;

/// An account.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    jwk: Json,
    contact: Vec<String>,
    deactivated: bool,
    /// The binding that it was made with.
    binding: Option<String>,
    made: UnixTime,
}

impl Account {
    /// Its key.
    ///
    /// # Errors
    /// When the entry does not hold one.
    pub(super) fn key(&self) -> Result<PublicJwk, VaultError> {
        PublicJwk::parse(&self.jwk).map_err(|_| VaultError::Corrupt)
    }

    fn shown(&self) -> Json {
        json!({
            "contact": self.contact,
            "status": if self.deactivated { "deactivated" } else { "valid" },
        })
    }
}

/// What somebody with a token gives to whoever is to make an account. It is used once. No `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    key: String,
    made: UnixTime,
}

/// `new-eab`: an external account binding, for the holder of a token that is permitted to make one.
///
/// # Errors
/// As [`Work::put`].
pub(super) fn new_binding(
    directory: &Directory<'_>,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let name = id(cx);
    let key = base64url::encode(cx.random.secret::<32>().expose());
    let answer = Answer::data(json!({
        "acme_directory": directory.url(&["directory"]),
        "created_on": timestamp::text(cx.now),
        "id": name,
        "key": key,
        "key_type": "hs",
    }));
    let binding = Binding { key, made: cx.now };
    work.put(&directory.entry(&["binding", &name]), &binding)?;
    Ok(answer)
}

/// The account that a `kid` names.
///
/// # Errors
/// When there is none, or it was deactivated.
pub(super) fn of_kid(
    directory: &Directory<'_>,
    kid: &str,
    work: &mut Work<'_>,
) -> Result<(String, Account), Refusal> {
    let unknown = || problem("accountDoesNotExist", 400, "there is no such account");
    let name = kid
        .strip_prefix(&directory.url(&["account", ""]))
        .filter(|name| is_id(name))
        .ok_or_else(unknown)?;
    let account: Option<Account> = work.read(&directory.entry(&["account", name]))?;
    let account = account.ok_or_else(unknown)?;
    if account.deactivated {
        return Err(problem("unauthorized", 403, "the account is deactivated"));
    }
    Ok((name.to_owned(), account))
}

/// Whether it has the form of our ids: nothing else ever becomes part of a name of an entry.
pub(super) fn is_id(name: &str) -> bool {
    base64url::decode_array::<16>(name).is_ok()
}

/// `new-account`.
///
/// # Errors
/// When it has to be bound and is not.
pub(super) fn new(
    directory: &Directory<'_>,
    message: &Message,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Reply, Refusal> {
    let Sender::Key = message.sender else {
        return Err(problem(
            "malformed",
            400,
            "a new account is signed with its key in `jwk`",
        ));
    };
    let payload = message.payload()?;
    let thumbprint = message.key.thumbprint().to_string();
    let of_key = directory.entry(&["key", &thumbprint]);
    if let Some(name) = work.read::<String>(&of_key)? {
        let account: Option<Account> = work.read(&directory.entry(&["account", &name]))?;
        let account = account.ok_or(VaultError::Corrupt)?;
        if account.deactivated {
            return Err(problem("unauthorized", 403, "the account is deactivated"));
        }
        return Ok(Reply::json(200, account.shown()).at(directory.url(&["account", &name])));
    }
    if payload.get("onlyReturnExisting") == Some(&Json::Bool(true)) {
        return Err(problem(
            "accountDoesNotExist",
            400,
            "there is no account of this key",
        ));
    }
    let contact = contacts(payload)?.unwrap_or_default();
    let binding = match payload.get("externalAccountBinding") {
        Some(binding) => Some(bound(directory, binding, message, work)?),
        None if directory.settings.binding_required => {
            return Err(problem(
                "externalAccountRequired",
                403,
                "an external account binding is required; it is made at new-eab",
            ));
        }
        None => None,
    };
    let account = Account {
        jwk: message.key.to_json(),
        contact,
        deactivated: false,
        binding,
        made: cx.now,
    };
    if let Some(binding) = &account.binding {
        work.delete(&directory.entry(&["binding", binding]));
    }
    let name = id(cx);
    work.put(&directory.entry(&["account", &name]), &account)?;
    work.put(&of_key, &name)?;
    Ok(Reply::json(201, account.shown()).at(directory.url(&["account", &name])))
}

/// Checks a binding (RFC 8555 §7.3.4): a tag over the account's own key, for the same address, under a key that we gave out.
fn bound(
    directory: &Directory<'_>,
    binding: &Json,
    message: &Message,
    work: &mut Work<'_>,
) -> Result<String, Refusal> {
    let refused = || {
        Refusal::Problem(Problem {
            kind: "unauthorized",
            status: 403,
            detail: "the external account binding does not hold".into(),
        })
    };
    let jws = flattened(binding.as_object().ok_or_else(refused)?)?;
    let name = jws
        .text("kid")
        .filter(|name| is_id(name))
        .ok_or_else(refused)?;
    if jws.text("url") != Some(directory.url(&["new-account"]).as_str()) || jws.has("nonce") {
        return Err(refused());
    }
    let stored: Option<Binding> = work.read(&directory.entry(&["binding", name]))?;
    let stored = stored.ok_or_else(refused)?;
    let key = base64url::decode(&stored.key).map_err(|_| VaultError::Corrupt)?;
    let payload = jws.verify_hs256(&key).map_err(|_| refused())?;
    let bound = serde_json::from_slice(payload)
        .ok()
        .and_then(|value: Json| PublicJwk::parse(&value).ok())
        .ok_or_else(refused)?;
    if bound != message.key {
        return Err(refused());
    }
    Ok(name.to_owned())
}

/// `account/ID`: shows it, changes its contacts, or ends it.
///
/// # Errors
/// When it is another's.
pub(super) fn change(
    directory: &Directory<'_>,
    name: &str,
    message: &Message,
    work: &mut Work<'_>,
) -> Result<Reply, Refusal> {
    let (own, account) = message.account()?;
    if own != name {
        return Err(problem("unauthorized", 403, "the account is another one"));
    }
    let mut changed = Account {
        jwk: account.jwk.clone(),
        contact: account.contact.clone(),
        deactivated: false,
        binding: account.binding.clone(),
        made: account.made,
    };
    if let Some(payload) = &message.payload {
        match payload.get("status").and_then(Json::as_str) {
            None => {}
            Some("deactivated") => changed.deactivated = true,
            Some(_) => return Err(problem("malformed", 400, "`status` can become deactivated")),
        }
        if let Some(contact) = contacts(payload)? {
            changed.contact = contact;
        }
        work.put(&directory.entry(&["account", name]), &changed)?;
    }
    Ok(Reply::json(200, changed.shown()).at(directory.url(&["account", name])))
}

fn contacts(payload: &Map<String, Json>) -> Result<Option<Vec<String>>, Refusal> {
    let Some(contact) = payload.get("contact").filter(|contact| !contact.is_null()) else {
        return Ok(None);
    };
    let mail = |one: &Json| {
        let text = one.as_str()?;
        let fits = text.starts_with("mailto:")
            && text.len() <= CONTACT_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| text.to_owned())
    };
    let all = contact
        .as_array()
        .filter(|all| all.len() <= CONTACTS_MAX)
        .and_then(|all| all.iter().map(mail).collect());
    all.map(Some).ok_or_else(|| {
        problem(
            "unsupportedContact",
            400,
            "`contact` must be a few addresses that begin with mailto:",
        )
    })
}
