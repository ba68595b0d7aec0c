//! `data/`, and what deletes, brings back and destroys versions.

use super::config::Settings;
use super::key::{Key, Value, Version};
use crate::answer::Answer;
use crate::body::Body;
use crate::call::{Call, Cx, Operation};
use crate::error::VaultError;
use crate::work::{Stop, Work};
use serde_json::{Map, Value as Json, json};

/// Versions in one request.
const VERSIONS_ASKED_MAX: usize = 1_000;

/// `data/PATH`.
pub(super) fn run(
    call: &Call,
    path: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    match call.operation {
        Operation::Read => read(call, path, work, cx),
        Operation::Create | Operation::Update => write(call, path, work, cx),
        Operation::Patch => patch(call, path, work, cx),
        Operation::Delete => delete_latest(call, path, work, cx),
        Operation::List => Err(VaultError::Unsupported.into()),
    }
}

/// The secret and the version that the query asks for, with its value; the latest where it asks for none.
fn found(
    call: &Call,
    path: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<(Key, u64, Version, Value), Stop> {
    let asked = match call.query.get("version").map(String::as_str) {
        None | Some("") => 0,
        Some(text) => text
            .parse()
            .map_err(|_| VaultError::invalid("`version` must be a version's number"))?,
    };
    let key = Key::read(call, path, work)?.ok_or(VaultError::NotFound)?;
    let number = if asked == 0 { key.current } else { asked };
    let version = key.versions.get(&number).ok_or(VaultError::NotFound)?;
    let version = version.clone();
    if !version.stands(cx.now) {
        let metadata = key.version_json(number, &version);
        return Err(VaultError::NotFoundWith(json!({ "data": null, "metadata": metadata })).into());
    }
    let value = key.value(number, call, path, work)?;
    Ok((key, number, version, value))
}

fn read(call: &Call, path: &str, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let (key, number, version, value) = found(call, path, work, cx)?;
    let metadata = key.version_json(number, &version);
    Ok(Answer::data(json!({ "data": value, "metadata": metadata })))
}

/// `subkeys/PATH`: the names, with `null` in place of every value; `depth` says how deep.
pub(super) fn subkeys(
    call: &Call,
    path: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let depth: usize = match call.query.get("depth").map(String::as_str) {
        None | Some("" | "0") => usize::MAX,
        Some(text) => text
            .parse()
            .map_err(|_| VaultError::invalid("`depth` must be a count"))?,
    };
    let (key, number, version, value) = found(call, path, work, cx)?;
    let metadata = key.version_json(number, &version);
    Ok(Answer::data(
        json!({ "subkeys": names_of(&value, depth), "metadata": metadata }),
    ))
}

fn names_of(value: &Value, depth: usize) -> Json {
    let named = |(name, inner): (&String, &Json)| {
        let inner = match inner {
            Json::Object(members) if depth > 1 && !members.is_empty() => {
                names_of(members, depth - 1)
            }
            _ => Json::Null,
        };
        (name.clone(), inner)
    };
    Json::Object(value.iter().map(named).collect())
}

/// Loads what every writing needs in one go: the mount's settings and the secret.
fn to_write(call: &Call, path: &str, work: &mut Work<'_>) -> Result<(Settings, Option<Key>), Stop> {
    work.expect(&[Settings::entry(call), Key::entry(call, path)])?;
    let mount = Settings::of_mount(call, work)?;
    let key = Key::read(call, path, work)?;
    Ok((mount, key))
}

/// Holds `options.cas` against the current version.
fn check_cas(body: &Body, key: &Key, mount: &Settings) -> Result<(), VaultError> {
    let options = body.object("options")?.cloned().unwrap_or_default();
    let options = Body::of(Json::Object(options))?;
    match options.integer("cas")? {
        Some(cas) if u64::try_from(cas).ok() == Some(key.current) => Ok(()),
        Some(_) => Err(VaultError::invalid(
            "check-and-set parameter did not match the current version",
        )),
        None if key.settings.cas_required(mount) => Err(VaultError::invalid(
            "check-and-set parameter required for this call",
        )),
        None => Ok(()),
    }
}

fn given(body: &Body) -> Result<&Value, VaultError> {
    body.object("data")?
        .ok_or_else(|| VaultError::invalid("no data provided"))
}

/// Adds a version and answers what it is.
fn add(
    mut key: Key,
    value: Value,
    mount: &Settings,
    call: &Call,
    path: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    key.add(value, mount, call, path, work, cx.now)?;
    key.write(call, path, work)?;
    let version = key.versions.get(&key.current).ok_or(VaultError::Corrupt)?;
    Ok(Answer::data(key.version_json(key.current, version)))
}

fn write(call: &Call, path: &str, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let value = given(&call.body)?.clone();
    let (mount, key) = to_write(call, path, work)?;
    let key = key.unwrap_or_else(|| Key::new(cx.now, Settings::default()));
    check_cas(&call.body, &key, &mount)?;
    add(key, value, &mount, call, path, work, cx)
}

/// A merge patch (RFC 7396) of the current version, which has to stand.
fn patch(call: &Call, path: &str, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let change = given(&call.body)?;
    let (mount, key) = to_write(call, path, work)?;
    let key = key.ok_or(VaultError::NotFound)?;
    let version = key.versions.get(&key.current).ok_or(VaultError::NotFound)?;
    if !version.stands(cx.now) {
        let metadata = key.version_json(key.current, version);
        return Err(VaultError::NotFoundWith(json!({ "data": null, "metadata": metadata })).into());
    }
    check_cas(&call.body, &key, &mount)?;
    let mut value = key.value(key.current, call, path, work)?;
    merge(&mut value, change);
    // What was patched again and again must stay readable: it nests no deeper than a body may.
    Body::of(Json::Object(value.clone()))?;
    add(key, value, &mount, call, path, work, cx)
}

/// RFC 7396: `null` takes a member away, a record is merged, anything else replaces.
pub(super) fn merge(value: &mut Map<String, Json>, change: &Map<String, Json>) {
    for (name, new) in change {
        match new {
            Json::Null => drop(value.remove(name)),
            Json::Object(inner) => {
                let member = value.entry(name.clone()).or_insert(Json::Null);
                if let Json::Object(old) = member {
                    merge(old, inner);
                } else {
                    let mut fresh = Map::new();
                    merge(&mut fresh, inner);
                    *member = Json::Object(fresh);
                }
            }
            other => drop(value.insert(name.clone(), other.clone())),
        }
    }
}

fn delete_latest(
    call: &Call,
    path: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let Some(mut key) = Key::read(call, path, work)? else {
        return Ok(Answer::nothing());
    };
    let current = key.current;
    if let Some(version) = key.versions.get_mut(&current)
        && version.stands(cx.now)
    {
        version.deletion = Some(cx.now);
        key.updated = cx.now;
        key.write(call, path, work)?;
    }
    Ok(Answer::nothing())
}

/// `delete/PATH`, `undelete/PATH`, `destroy/PATH`. Versions that are not there are passed over, as is a secret that is not.
pub(super) fn change_versions(
    call: &Call,
    path: &str,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let asked = versions(&call.body)?;
    let Some(mut key) = Key::read(call, path, work)? else {
        return Ok(Answer::nothing());
    };
    for number in asked {
        if call.rest.starts_with("destroy/") {
            key.destroy(number, call, path, work);
            continue;
        }
        let Some(version) = key.versions.get_mut(&number) else {
            continue;
        };
        if call.rest.starts_with("undelete/") {
            version.deletion = version.deletion.filter(|_| version.destroyed);
        } else if version.stands(cx.now) {
            version.deletion = Some(cx.now);
        }
    }
    key.updated = cx.now;
    key.write(call, path, work)?;
    Ok(Answer::nothing())
}

fn versions(body: &Body) -> Result<Vec<u64>, VaultError> {
    // One number alone is taken as a list of it.
    let texts = match body.value("versions") {
        Some(Json::Number(number)) => vec![number.to_string()],
        _ => body.texts("versions")?.unwrap_or_default(),
    };
    if texts.is_empty() {
        return Err(VaultError::invalid("No version number provided"));
    }
    if texts.len() > VERSIONS_ASKED_MAX {
        return Err(VaultError::invalid("too many versions in one request"));
    }
    texts
        .iter()
        .map(|text| text.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|_| VaultError::invalid("`versions` must be a list of versions' numbers"))
}
