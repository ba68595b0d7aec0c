//! Secret ids: made, told of, destroyed. What is shown once is kept under its keyed hash alone.

use super::role::Role;
use crate::answer::{Answer, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::entry::EntryName;
use crate::sign_in;
use crate::work::{Stop, Work};
use crate::{VaultError, named, timestamp};
use countersign_base::{AddressBlock, Duration, UnixTime};
use countersign_crypto::base64url;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a secret id that somebody chose.
const BYTES_MAX: usize = 512;
/// Members of `metadata`, and bytes of each.
const METADATA_MAX: (usize, usize) = (32, 1024);

/// A secret id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretId {
    pub(super) accessor: String,
    created: UnixTime,
    expires: Option<UnixTime>,
    /// None is without a limit.
    uses_left: Option<u32>,
    pub(super) cidrs: BTreeSet<AddressBlock>,
    pub(super) token_bound_cidrs: BTreeSet<AddressBlock>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// Under what a secret id of a role is kept.
pub(super) fn entry(call: &Call, generation: &str, secret_id: &str, cx: &Cx<'_>) -> EntryName {
    let parts = [cx.tenant.as_str(), &call.mount.uuid, generation, secret_id].map(str::as_bytes);
    call.entry(&[
        "secret-id",
        generation,
        &sign_in::keyed("vault secret id", &parts, cx),
    ])
}

fn accessor_entry(call: &Call, role: &Role, accessor: &str) -> Result<EntryName, VaultError> {
    Ok(call.entry(&["accessor", &role.generation, named::checked(accessor)?]))
}

impl SecretId {
    /// Whether it can still sign in.
    pub(super) fn lives(&self, now: UnixTime) -> bool {
        self.expires.is_none_or(|expires| now < expires) && self.uses_left != Some(0)
    }

    /// Takes one of its uses. The last takes it away.
    pub(super) fn take_use(mut self, entry: &EntryName, work: &mut Work<'_>) -> Result<(), Stop> {
        let Some(left) = self.uses_left else {
            return Ok(());
        };
        match left.checked_sub(1) {
            None | Some(0) => {
                if let Some(accessor) = accessor_of(entry, &self.accessor) {
                    work.delete(&accessor);
                }
                work.delete(entry);
                Ok(())
            }
            Some(left) => {
                self.uses_left = Some(left);
                work.put_until(entry, &self, self.expires)
            }
        }
    }

    fn shown(&self, role: &Role, now: UnixTime) -> Json {
        let ttl = self.expires.map(|expires| expires.since(now).as_secs());
        json!({
            "cidr_list": sign_in::shown(&self.cidrs),
            "creation_time": timestamp::text(self.created),
            "expiration_time": timestamp::text(self.expires.unwrap_or(UnixTime(-62_135_596_800))),
            "last_updated_time": timestamp::text(self.created),
            "metadata": self.metadata,
            "secret_id_accessor": self.accessor,
            "secret_id_num_uses": self.uses_left.unwrap_or(0),
            "secret_id_ttl": ttl.unwrap_or_default(),
            "token_bound_cidrs": sign_in::shown(&self.token_bound_cidrs),
            "bind_secret_id": role.bind_secret_id,
        })
    }
}

/// The accessor's entry beside a secret id's: `secret-id/GENERATION/HASH` and `accessor/GENERATION/ACCESSOR`.
fn accessor_of(entry: &EntryName, accessor: &str) -> Option<EntryName> {
    let mut segments = entry.as_str().split('/');
    let (root, uuid, _, generation) = (
        segments.next()?,
        segments.next()?,
        segments.next()?,
        segments.next()?,
    );
    Some(EntryName::of(&[
        root, uuid, "accessor", generation, accessor,
    ]))
}

/// What stands below `role/:name/`.
pub(super) fn run(
    call: &Call,
    name: &str,
    rest: &[&str],
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let role = Role::of(call, name, work)?;
    let writes = call.operation.writes();
    let destroys = writes || call.operation == Operation::Delete;
    match rest {
        ["secret-id"] if writes => {
            let secret_id = base64url::encode(&cx.random.bytes::<32>());
            make(call, &role, secret_id, work, cx)
        }
        ["custom-secret-id"] if writes => {
            let secret_id = call.body.required_text("secret_id")?;
            if secret_id.is_empty() || secret_id.len() > BYTES_MAX {
                return Err(VaultError::invalid("`secret_id` must be 1 to 512 bytes").into());
            }
            // One that is drawn here is not looked for: nobody has it, and each try of a step draws and would ask for another.
            let entry = entry(call, &role.generation, &secret_id, cx);
            if work.read::<SecretId>(&entry)?.is_some() {
                return Err(VaultError::invalid("SecretID is already registered").into());
            }
            make(call, &role, secret_id, work, cx)
        }
        ["secret-id"] if call.operation == Operation::List => {
            let folder = format!("accessor/{}", role.generation);
            named::list(call, &folder, work)
        }
        ["secret-id", "lookup"] if writes => {
            let secret_id = call.body.required_text("secret_id")?;
            let found: Option<SecretId> =
                work.read(&entry(call, &role.generation, &secret_id, cx))?;
            Ok(match found {
                Some(found) => Answer::data(found.shown(&role, cx.now)).into(),
                None => Answer::nothing().into(),
            })
        }
        ["secret-id", "destroy"] if destroys => {
            let secret_id = call.body.required_text("secret_id")?;
            destroy(&entry(call, &role.generation, &secret_id, cx), work)?;
            Ok(Answer::nothing().into())
        }
        ["secret-id-accessor", "lookup"] if writes => {
            let (_, found) = by_accessor(call, &role, work)?;
            Ok(Answer::data(found.shown(&role, cx.now)).into())
        }
        ["secret-id-accessor", "destroy"] if destroys => {
            let (entry, _) = by_accessor(call, &role, work)?;
            destroy(&entry, work)?;
            Ok(Answer::nothing().into())
        }
        ["secret-id" | "custom-secret-id"]
        | ["secret-id" | "secret-id-accessor", "lookup" | "destroy"] => {
            Err(VaultError::Unsupported.into())
        }
        _ => Err(VaultError::NotFound.into()),
    }
}

/// The secret id of an accessor of this role. One of another role is as unknown as any.
fn by_accessor(
    call: &Call,
    role: &Role,
    work: &mut Work<'_>,
) -> Result<(EntryName, SecretId), Stop> {
    let accessor = call.body.required_text("secret_id_accessor")?;
    let hash: Option<String> = work.read(&accessor_entry(call, role, &accessor)?)?;
    let entry = call.entry(&[
        "secret-id",
        &role.generation,
        &hash.ok_or(VaultError::NotFound)?,
    ]);
    let found: Option<SecretId> = work.read(&entry)?;
    Ok((entry, found.ok_or(VaultError::NotFound)?))
}

fn destroy(entry: &EntryName, work: &mut Work<'_>) -> Result<(), Stop> {
    if let Some(found) = work.read::<SecretId>(entry)? {
        if let Some(accessor) = accessor_of(entry, &found.accessor) {
            work.delete(&accessor);
        }
        work.delete(entry);
    }
    Ok(())
}

fn make(
    call: &Call,
    role: &Role,
    secret_id: String,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    if !role.bind_secret_id {
        return Err(VaultError::invalid("bind_secret_id is not set on the role").into());
    }
    let body = &call.body;
    let uses = limited(body.count("num_uses")?, role.secret_id_num_uses, "num_uses")?;
    let (given, limit) = (
        body.duration("ttl")?,
        role.secret_id_ttl.unwrap_or_default(),
    );
    let ttl = limited(given, limit, "ttl")?;
    let blocks = |name: &str, bounds: &BTreeSet<AddressBlock>| {
        let given = sign_in::cidrs(body, name)?.unwrap_or_default();
        sign_in::within(given, bounds, name)
    };
    let found = SecretId {
        accessor: cx.random.request_id().to_string(),
        created: cx.now,
        expires: (ttl > Duration::ZERO).then(|| cx.now.plus(ttl)),
        uses_left: (uses > 0).then_some(uses),
        cidrs: blocks("cidr_list", &role.secret_id_bound_cidrs)?,
        token_bound_cidrs: blocks("token_bound_cidrs", role.tokens.bound_cidrs())?,
        metadata: metadata(body.value("metadata"))?,
    };
    let entry = entry(call, &role.generation, &secret_id, cx);
    let hash = entry
        .as_str()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    work.put_until(&entry, &found, found.expires)?;
    work.put(&accessor_entry(call, role, &found.accessor)?, &hash)?;
    Ok(Answer::data(json!({
        "secret_id": secret_id,
        "secret_id_accessor": found.accessor,
        "secret_id_num_uses": uses,
        "secret_id_ttl": ttl.as_secs(),
    }))
    .into())
}

/// What was asked for, if the role's own limit allows it; zero is without a limit.
fn limited<T: Copy + Default + PartialOrd>(
    given: Option<T>,
    limit: T,
    name: &str,
) -> Result<T, VaultError> {
    let zero = T::default();
    match given {
        None => Ok(limit),
        Some(given) if limit > zero && (given > limit || given == zero) => Err(
            VaultError::invalid(format!("`{name}` cannot be above the role's own limit")),
        ),
        Some(given) => Ok(given),
    }
}

/// `metadata` comes as a JSON text, or as an object.
fn metadata(value: Option<&Json>) -> Result<BTreeMap<String, String>, VaultError> {
    let refused = || VaultError::invalid("`metadata` must be a map of strings");
    let found: BTreeMap<String, String> = match value {
        None => BTreeMap::new(),
        Some(Json::String(text)) if text.is_empty() => BTreeMap::new(),
        Some(Json::String(text)) => serde_json::from_str(text).map_err(|_| refused())?,
        Some(value) => serde_json::from_value(value.clone()).map_err(|_| refused())?,
    };
    let (members, bytes) = METADATA_MAX;
    let fits = |(name, text): (&String, &String)| name.len() + text.len() <= bytes;
    if found.len() > members || !found.iter().all(fits) {
        return Err(VaultError::TooLarge);
    }
    Ok(found)
}

/// A secret id whose time has come is deleted.
pub(super) fn due(name: &EntryName, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    if let Some(found) = work.read::<SecretId>(name)? {
        if found.lives(cx.now) {
            work.put_until(name, &found, found.expires)?;
        } else {
            destroy(name, work)?;
        }
    }
    Ok(Answer::nothing().into())
}
