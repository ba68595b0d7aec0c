//! `sys/mounts` and `sys/auth`: engines and auth methods are mounted, shown, tuned and taken away.

use super::removal;
use crate::acl;
use crate::answer::Answer;
use crate::body::Body;
use crate::call::{Call, Cx, Operation};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::kind::EngineKind;
use crate::mounts::{Mount, Mounts};
use crate::work::{Stop, Work};
use countersign_base::Duration;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// Mounts of one tenant: their table is read as a whole.
const MOUNTS_MAX: usize = 500;
/// Bytes of the path of a mount.
const PATH_BYTES_MAX: usize = 128;
/// Bytes of a description.
const DESCRIPTION_BYTES_MAX: usize = 512;
/// What a lease may last where nothing else is said, in seconds: 768 hours, as in Vault.
const TTL_DEFAULT: u64 = 768 * 3_600;

/// Which of both tables is spoken of; they are one, in which auth methods stand below `auth/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Auth,
    Engines,
}

impl Table {
    /// The path in the table of all, of one in this table.
    fn whole(self, path: &str) -> String {
        match self {
            Self::Auth => format!("auth/{path}/"),
            Self::Engines => format!("{path}/"),
        }
    }

    fn holds(self, mount: &Mount) -> bool {
        match self {
            Self::Auth => mount.engine.is_auth(),
            Self::Engines => !mount.engine.is_auth(),
        }
    }

    /// The mounts of this table as answers hold them, by their paths in it.
    fn listed(self, mounts: &Mounts) -> Json {
        let mine = mounts.iter().filter(|(_, mount)| self.holds(mount));
        let entry = |(path, mount): (&str, &Mount)| {
            let path = match self {
                Self::Auth => path.strip_prefix("auth/").unwrap_or(path),
                Self::Engines => path,
            };
            (path.to_owned(), told(mount))
        };
        Json::Object(mine.map(entry).collect())
    }
}

/// `sys/mounts`, `sys/auth` and what is below.
pub(super) fn run(
    table: Table,
    below: &[&str],
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let mounts = Arc::unwrap_or_clone(Mounts::read(work)?);
    match (below, call.operation) {
        ([], Operation::Read) => Ok(Answer::data(table.listed(&mounts))),
        ([], _) => Err(VaultError::Unsupported.into()),
        ([path @ .., "tune"], operation) if !path.is_empty() => {
            let path = table.whole(&path.join("/"));
            tune(mounts, table, &path, operation, call, work)
        }
        (path, Operation::Read) => {
            let mount = mounts.get(&table.whole(&path.join("/")));
            let mount = mount.filter(|mount| table.holds(mount));
            let mount = mount.ok_or_else(no_mount)?;
            Ok(Answer::data(told(mount)))
        }
        (path, Operation::Create | Operation::Update) => {
            enable(mounts, table, &path.join("/"), call, work, cx)
        }
        (path, Operation::Delete) => {
            let path = table.whole(&path.join("/"));
            disable(mounts, table, &path, work, cx)
        }
        (_, Operation::List | Operation::Patch) => Err(VaultError::Unsupported.into()),
    }
}

fn no_mount() -> VaultError {
    VaultError::invalid("no mount at this path")
}

/// `sys/internal/ui/mounts/PATH`: the mount that a path leads to; without one, all that the caller may do something at.
pub(super) fn shown(below: &[&str], call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let mounts = Mounts::read(work)?;
    if below.is_empty() {
        let (mut auth, mut secret) = (Map::new(), Map::new());
        for (path, mount) in mounts.iter() {
            if reaches(call, path, work)? {
                let (table, path) = match path.strip_prefix("auth/") {
                    Some(path) => (&mut auth, path),
                    None => (&mut secret, path),
                };
                table.insert(path.to_owned(), told(mount));
            }
        }
        return Ok(Answer::data(json!({ "auth": auth, "secret": secret })));
    }
    let asked = format!("{}/", below.join("/"));
    let found = mounts.iter().find(|(path, _)| asked.starts_with(path));
    // Whoever may do nothing there does not learn whether there is anything.
    let (path, mount) = found.ok_or(VaultError::Denied)?;
    if !reaches(call, path, work)? {
        return Err(VaultError::Denied.into());
    }
    let mut told = told(mount);
    if let Json::Object(members) = &mut told {
        members.insert("path".to_owned(), path.into());
    }
    Ok(Answer::data(told))
}

/// Whether the caller may do something at a mount. Of a subject of our own tokens the policies of the configuration have decided.
fn reaches(call: &Call, path: &str, work: &mut Work<'_>) -> Result<bool, Stop> {
    match &call.caller {
        Caller::Anonymous => Ok(false),
        Caller::Subject(_) => Ok(true),
        Caller::Token(held) => acl::reaches(&held.policies, path, work),
    }
}

fn seconds(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| ttl.as_secs())
}

/// What answers tell of a mount.
fn told(mount: &Mount) -> Json {
    let mut config = json!({
        "default_lease_ttl": seconds(mount.default_lease_ttl),
        "max_lease_ttl": seconds(mount.max_lease_ttl),
        "force_no_cache": false,
    });
    if let (true, Json::Object(members)) = (mount.engine.is_auth(), &mut config) {
        members.insert("token_type".to_owned(), "default-service".into());
    }
    json!({
        "accessor": mount.accessor,
        "config": config,
        "description": mount.description,
        "external_entropy_access": false,
        "local": false,
        "options": options(mount),
        "seal_wrap": false,
        "type": mount.engine.name(),
        "uuid": mount.uuid,
    })
}

fn options(mount: &Mount) -> Json {
    if mount.options.is_empty() {
        Json::Null
    } else {
        json!(mount.options)
    }
}

/// Mounts an engine or auth method.
fn enable(
    mut mounts: Mounts,
    table: Table,
    path: &str,
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    checked_path(table, path)?;
    let body = &call.body;
    let named = body.required_text("type")?;
    let engine = engine_of(table, &named)?;
    for refused in ["local", "seal_wrap", "external_entropy_access"] {
        if body.truth(refused)? == Some(true) {
            return Err(VaultError::invalid(format!("`{refused}` is not supported")).into());
        }
    }
    if mounts.iter().count() >= MOUNTS_MAX {
        return Err(VaultError::invalid("a tenant has at most 500 mounts").into());
    }
    let uuid = cx.random.request_id().to_string();
    let mut mount = Mount {
        engine,
        accessor: format!("{}_{}", engine.name(), uuid.get(..8).unwrap_or_default()),
        uuid,
        description: String::new(),
        default_lease_ttl: None,
        max_lease_ttl: None,
        options: Default::default(),
    };
    set_options(&mut mount, body, &named)?;
    set_description(&mut mount, body)?;
    let config = body.object("config")?.cloned().unwrap_or_default();
    set_config(&mut mount, &Body::of(Json::Object(config))?)?;
    let path = table.whole(path);
    removal::free(&path, work)?;
    mounts.add(path, mount)?;
    work.put(&Mounts::entry(), &mounts)?;
    Ok(Answer::nothing())
}

/// Holds the path of a new mount against what paths are: segments of letters, digits and `-_.`.
fn checked_path(table: Table, path: &str) -> Result<(), VaultError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if path.is_empty() || path.len() > PATH_BYTES_MAX || !path.bytes().all(allowed) {
        return Err(VaultError::invalid(
            "the path of a mount is 1 to 128 letters, digits and `-_./`",
        ));
    }
    let first = path.split('/').next().unwrap_or_default();
    let kept = match table {
        Table::Auth => first == "token",
        Table::Engines => matches!(
            first,
            "auth" | "sys" | "cubbyhole" | "identity" | "audit" | "core"
        ),
    };
    if kept {
        return Err(VaultError::invalid(
            "this path is kept for the vault itself",
        ));
    }
    Ok(())
}

fn engine_of(table: Table, named: &str) -> Result<EngineKind, VaultError> {
    let engine = match (table, named) {
        (Table::Engines, "database") => EngineKind::Database,
        (Table::Engines, "kv" | "kv-v2") => EngineKind::Kv,
        (Table::Engines, "pki") => EngineKind::Pki,
        (Table::Engines, "transit") => EngineKind::Transit,
        (Table::Auth, "approle") => EngineKind::AppRole,
        (Table::Auth, "cert") => EngineKind::Cert,
        (Table::Auth, "jwt") => EngineKind::Jwt,
        (Table::Auth, "kubernetes") => EngineKind::Kubernetes,
        (Table::Engines, _) => {
            return Err(VaultError::invalid(
                "unknown `type`: there are database, kv, pki and transit",
            ));
        }
        (Table::Auth, _) => {
            return Err(VaultError::invalid(
                "unknown `type`: there are approle, cert, jwt and kubernetes",
            ));
        }
    };
    Ok(engine)
}

/// `options`. A KV engine is asked for by its version: a client that means version 1 would write to paths that mean something else here.
fn set_options(mount: &mut Mount, body: &Body, named: &str) -> Result<(), VaultError> {
    let options = body.object("options")?.cloned().unwrap_or_default();
    let options = Body::of(Json::Object(options))?;
    let version = options.text("version")?;
    match (mount.engine, version.as_deref()) {
        (EngineKind::Kv, Some("2")) => {}
        (EngineKind::Kv, None) if named == "kv-v2" => {}
        (EngineKind::Kv, _) => {
            return Err(VaultError::invalid(
                "only version 2 of kv is supported: set `options.version` to \"2\"",
            ));
        }
        _ => return Ok(()),
    }
    mount.options = [("version".to_owned(), "2".to_owned())].into();
    Ok(())
}

fn set_description(mount: &mut Mount, body: &Body) -> Result<(), VaultError> {
    if let Some(description) = body.text("description")? {
        if description.len() > DESCRIPTION_BYTES_MAX {
            return Err(VaultError::invalid("`description` has at most 512 bytes"));
        }
        mount.description = description;
    }
    Ok(())
}

/// `default_lease_ttl` and `max_lease_ttl`; 0 is what holds without them.
fn set_config(mount: &mut Mount, config: &Body) -> Result<(), VaultError> {
    let set = |name: &str, to: &mut Option<Duration>| {
        match config.value(name) {
            Some(Json::String(text)) if matches!(text.as_str(), "" | "system") => *to = None,
            _ => {
                if let Some(ttl) = config.duration(name)? {
                    *to = Some(ttl).filter(|ttl| !ttl.is_zero());
                }
            }
        }
        Ok::<_, VaultError>(())
    };
    set("default_lease_ttl", &mut mount.default_lease_ttl)?;
    set("max_lease_ttl", &mut mount.max_lease_ttl)?;
    let kind = config.text("token_type")?;
    if !matches!(
        kind.as_deref(),
        None | Some("" | "default" | "default-service" | "service")
    ) {
        return Err(VaultError::invalid(
            "only tokens of type `service` are supported",
        ));
    }
    match (mount.default_lease_ttl, mount.max_lease_ttl) {
        (Some(default), Some(max)) if default > max => Err(VaultError::invalid(
            "`default_lease_ttl` must not be longer than `max_lease_ttl`",
        )),
        _ => Ok(()),
    }
}

/// `PATH/tune`.
fn tune(
    mut mounts: Mounts,
    table: Table,
    path: &str,
    operation: Operation,
    call: &Call,
    work: &mut Work<'_>,
) -> Result<Answer, Stop> {
    let mount = mounts.get_mut(path).filter(|mount| table.holds(mount));
    let mount = mount.ok_or_else(no_mount)?;
    match operation {
        Operation::Read => {
            let ttl = |ttl: Option<Duration>| ttl.map_or(TTL_DEFAULT, |ttl| ttl.as_secs());
            let mut tuned = json!({
                "default_lease_ttl": ttl(mount.default_lease_ttl),
                "max_lease_ttl": ttl(mount.max_lease_ttl),
                "description": mount.description,
                "force_no_cache": false,
                "options": options(mount),
            });
            if let (true, Json::Object(members)) = (table == Table::Auth, &mut tuned) {
                members.insert("token_type".to_owned(), "default-service".into());
            }
            Ok(Answer::data(tuned))
        }
        Operation::Create | Operation::Update => {
            let body = &call.body;
            if body.has("options") {
                set_options(mount, body, mount.engine.name())?;
            }
            set_description(mount, body)?;
            set_config(mount, body)?;
            work.put(&Mounts::entry(), &mounts)?;
            Ok(Answer::nothing())
        }
        Operation::Delete | Operation::List | Operation::Patch => {
            Err(VaultError::Unsupported.into())
        }
    }
}

/// Takes a mount away: its path leads nowhere from now on. One that is not there is taken away already.
fn disable(
    mut mounts: Mounts,
    table: Table,
    path: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let Some(mount) = mounts.get(path).filter(|mount| table.holds(mount)) else {
        return Ok(Answer::nothing());
    };
    if matches!(
        mount.engine,
        EngineKind::Cubbyhole | EngineKind::System | EngineKind::Token
    ) {
        return Err(VaultError::invalid("this mount cannot be taken away").into());
    }
    removal::begin(path, mount, work, cx)?;
    mounts.remove(path);
    work.put(&Mounts::entry(), &mounts)?;
    Ok(Answer::nothing())
}
