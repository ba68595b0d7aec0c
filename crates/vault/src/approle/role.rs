//! `role/:name` and its `role-id`.

use crate::answer::{Answer, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::entry::{EntryName, Listing};
use crate::sign_in::{self, TokenRules};
use crate::work::{Stop, Work};
use crate::{VaultError, named};
use countersign_base::{AddressBlock, Duration};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// Bytes of a role id.
const ROLE_ID_BYTES_MAX: usize = 512;
/// Secret ids that are deleted with a role; more are out of reach without it, and deleted when they end.
const DELETED_MAX: u32 = 2_000;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    /// Drawn when it is made.
    pub(super) generation: String,
    pub(super) role_id: String,
    pub(super) bind_secret_id: bool,
    pub(super) secret_id_bound_cidrs: BTreeSet<AddressBlock>,
    pub(super) secret_id_num_uses: u32,
    pub(super) secret_id_ttl: Option<Duration>,
    pub(super) tokens: TokenRules,
}

/// Names have no case, and are written in lower case: rules speak of paths, and one that denies `role/admin/secret-id` must not be gone around by `role/ADMIN/secret-id`.
fn folded(name: &str) -> Result<String, VaultError> {
    let name = named::checked(name)?;
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(VaultError::invalid(
            "the name of a role is written in lower case",
        ));
    }
    Ok(name.to_owned())
}

impl Role {
    pub(super) fn entry(call: &Call, name: &str) -> Result<EntryName, VaultError> {
        Ok(call.entry(&["role", &folded(name)?]))
    }

    /// The role of that name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn of(call: &Call, name: &str, work: &mut Work<'_>) -> Result<Self, Stop> {
        let found = work.read(&Self::entry(call, name)?)?;
        found.ok_or_else(|| VaultError::NotFound.into())
    }

    /// The entry that leads from a role id to its role.
    pub(super) fn id_entry(call: &Call, role_id: &str, cx: &Cx<'_>) -> EntryName {
        let parts = [cx.tenant.as_str(), &call.mount.uuid, role_id].map(str::as_bytes);
        call.entry(&["role-id", &sign_in::keyed("vault role id", &parts, cx)])
    }

    fn shown(&self) -> Json {
        let mut members = Map::from_iter([
            ("bind_secret_id".to_owned(), json!(self.bind_secret_id)),
            ("local_secret_ids".to_owned(), json!(false)),
            (
                "secret_id_bound_cidrs".to_owned(),
                sign_in::shown(&self.secret_id_bound_cidrs),
            ),
            (
                "secret_id_num_uses".to_owned(),
                json!(self.secret_id_num_uses),
            ),
            (
                "secret_id_ttl".to_owned(),
                json!(self.secret_id_ttl.unwrap_or_default().as_secs()),
            ),
        ]);
        self.tokens.show(&mut members);
        Json::Object(members)
    }
}

/// What `role/:name` does.
pub(super) fn run(
    call: &Call,
    name: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let entry = Role::entry(call, name)?;
    let found: Option<Role> = work.read(&entry)?;
    match call.operation {
        Operation::Create | Operation::Update => write(call, name, &entry, found, work, cx),
        Operation::Delete => {
            if let Some(role) = found {
                delete(call, &entry, &role, work, cx)?;
            }
            Ok(Answer::nothing().into())
        }
        Operation::Read => Ok(Answer::data(found.ok_or(VaultError::NotFound)?.shown()).into()),
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

fn write(
    call: &Call,
    name: &str,
    entry: &EntryName,
    found: Option<Role>,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let body = &call.body;
    let mut role = match found {
        Some(role) => role,
        None => {
            let role = Role {
                generation: cx.random.request_id().to_string(),
                role_id: cx.random.request_id().to_string(),
                bind_secret_id: true,
                secret_id_bound_cidrs: BTreeSet::new(),
                secret_id_num_uses: 0,
                secret_id_ttl: None,
                tokens: TokenRules::default(),
            };
            work.put(&Role::id_entry(call, &role.role_id, cx), &folded(name)?)?;
            role
        }
    };
    if let Some(role_id) = body.text("role_id")? {
        rename(call, name, &mut role, role_id, work, cx)?;
    }
    if let Some(bind) = body.truth("bind_secret_id")? {
        role.bind_secret_id = bind;
    }
    for name in ["bound_cidr_list", "secret_id_bound_cidrs"] {
        if let Some(blocks) = sign_in::cidrs(body, name)? {
            role.secret_id_bound_cidrs = blocks;
        }
    }
    if let Some(uses) = body.count("secret_id_num_uses")? {
        role.secret_id_num_uses = uses;
    }
    if let Some(ttl) = body.duration("secret_id_ttl")? {
        role.secret_id_ttl = Some(ttl).filter(|ttl| !ttl.is_zero());
    }
    role.tokens = role.tokens.changed(body)?;
    if !role.bind_secret_id && role.secret_id_bound_cidrs.is_empty() {
        return Err(
            VaultError::invalid("at least one constraint should be enabled on the role").into(),
        );
    }
    work.put(entry, &role)?;
    Ok(Answer::nothing().into())
}

fn rename(
    call: &Call,
    name: &str,
    role: &mut Role,
    role_id: String,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    if role_id == role.role_id {
        return Ok(());
    }
    if role_id.is_empty() || role_id.len() > ROLE_ID_BYTES_MAX {
        return Err(VaultError::invalid("`role_id` must be 1 to 512 bytes").into());
    }
    let entry = Role::id_entry(call, &role_id, cx);
    if work.read::<String>(&entry)?.is_some() {
        return Err(VaultError::invalid("`role_id` is already in use").into());
    }
    work.delete(&Role::id_entry(call, &role.role_id, cx));
    work.put(&entry, &folded(name)?)?;
    role.role_id = role_id;
    Ok(())
}

fn delete(
    call: &Call,
    entry: &EntryName,
    role: &Role,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(), Stop> {
    for folder in ["accessor", "secret-id"] {
        let names = work.names(&Listing {
            prefix: format!("{}/", call.entry(&[folder, &role.generation])),
            after: None,
            limit: DELETED_MAX,
        })?;
        for name in names {
            work.delete(name);
        }
    }
    work.delete(&Role::id_entry(call, &role.role_id, cx));
    work.delete(entry);
    Ok(())
}

/// What `role/:name/role-id` does.
pub(super) fn id(
    call: &Call,
    name: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Outcome, Stop> {
    let mut role = Role::of(call, name, work)?;
    match call.operation {
        Operation::Read => Ok(Answer::data(json!({ "role_id": role.role_id })).into()),
        Operation::Create | Operation::Update => {
            let role_id = call.body.required_text("role_id")?;
            rename(call, name, &mut role, role_id, work, cx)?;
            work.put(&Role::entry(call, name)?, &role)?;
            Ok(Answer::nothing().into())
        }
        Operation::Delete | Operation::List | Operation::Patch => {
            Err(VaultError::Unsupported.into())
        }
    }
}
