//! Keys as things: made, shown, listed, configured, rotated, trimmed, deleted.

use super::kind::{KeyType, Kind};
use super::row::{Derivation, Imported, KeyRow, Options, check_period};
use super::sign::derive;
use super::{Changed, KeyName, Opened};
use crate::VaultError;
use crate::answer::Answer;
use crate::call::{Call, Cx};
use crate::entry::Listing;
use crate::timestamp;
use crate::work::{Stop, Work};
use countersign_base::Duration;
use countersign_crypto::base64;
use countersign_crypto::keypair::{KeyPairAlgorithm, PublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// Names in one listing.
const NAMES_MAX: u32 = 10_000;

/// Settings of the mount (`config/keys`).
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    /// Whether an encryption makes no keys.
    pub(super) disable_upsert: bool,
}

pub(super) fn defaults(call: &Call, work: &mut Work<'_>) -> Result<Defaults, Stop> {
    let entry = call.entry(&["config", "keys"]);
    Ok(work.read(&entry)?.unwrap_or_default())
}

pub(super) fn read_defaults(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let defaults = defaults(call, work)?;
    Ok(Answer::data(
        json!({ "disable_upsert": defaults.disable_upsert }),
    ))
}

pub(super) fn write_defaults(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let mut defaults = defaults(call, work)?;
    if let Some(disable) = call.body.truth("disable_upsert")? {
        defaults.disable_upsert = disable;
    }
    work.put(&call.entry(&["config", "keys"]), &defaults)?;
    Ok(Answer::data(
        json!({ "disable_upsert": defaults.disable_upsert }),
    ))
}

/// The names of the keys.
pub(super) fn list(call: &Call, work: &Work<'_>) -> Result<Answer, Stop> {
    let prefix = call.entry(&["key", ""]).as_str().to_owned();
    let names = work.names(&Listing {
        prefix: prefix.clone(),
        after: None,
        limit: NAMES_MAX,
    })?;
    let name = |entry: &crate::EntryName| entry.as_str().strip_prefix(&prefix).map(str::to_owned);
    Ok(Answer::keys(names.iter().filter_map(name))?)
}

/// The type that the body says; AES-256-GCM if it says none.
pub(super) fn key_type(call: &Call) -> Result<KeyType, VaultError> {
    match call.body.text("type")?.as_deref() {
        None | Some("") => Ok(KeyType::Aes256Gcm96),
        Some(name) => {
            KeyType::from_name(name).ok_or_else(|| VaultError::invalid("unknown key type"))
        }
    }
}

/// What the body says of a key that is to be made.
pub(super) fn options(call: &Call) -> Result<Options, VaultError> {
    let truth =
        |name: &str| -> Result<bool, VaultError> { Ok(call.body.truth(name)?.unwrap_or(false)) };
    let derivation = match (truth("derived")?, truth("convergent_encryption")?) {
        (false, false) => Derivation::None,
        (true, false) => Derivation::Context,
        (true, true) => Derivation::Convergent,
        (false, true) => {
            return Err(VaultError::invalid(
                "convergent encryption requires derivation to be enabled",
            ));
        }
    };
    let size = match call.body.integer("key_size")? {
        None | Some(0) => None,
        Some(size) => Some(
            u32::try_from(size)
                .map_err(|_| VaultError::invalid(format!("invalid key_size {size}")))?,
        ),
    };
    let options = Options {
        key_type: key_type(call)?,
        derivation,
        size,
        exportable: truth("exportable")?,
        allow_plaintext_backup: truth("allow_plaintext_backup")?,
        auto_rotate: call
            .body
            .duration("auto_rotate_period")?
            .unwrap_or(Duration::ZERO),
    };
    options.check()?;
    Ok(options)
}

/// Makes a key; one that is there stays as it is.
pub(super) fn create(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
) -> Result<Answer, Stop> {
    let options = options(call)?;
    if let Some(opened) = Opened::read(call, work, name)? {
        let answer = described(&opened.row, name, b"")?;
        return Ok(answer.warning(format!("key {} already existed", name.0)));
    }
    let row = Opened::new(call, name, KeyRow::create(&options, cx)?).save(work)?;
    Ok(described(&row, name, b"")?)
}

/// Shows a key.
pub(super) fn read(call: &Call, work: &mut Work<'_>, name: KeyName<'_>) -> Result<Answer, Stop> {
    let opened = Opened::read(call, work, name)?.ok_or(VaultError::NotFound)?;
    let context = call.parameter("context").unwrap_or_default();
    let context = base64::decode(&context)
        .map_err(|_| VaultError::invalid("failed to base64-decode context"))?;
    Ok(described(&opened.row, name, &context)?)
}

/// Deletes a key, if that is allowed.
pub(super) fn delete(call: &Call, work: &mut Work<'_>, name: KeyName<'_>) -> Result<Answer, Stop> {
    let refused =
        |why: &str| VaultError::invalid(format!("error deleting policy {}: {why}", name.0));
    let opened = Opened::read(call, work, name)?
        .ok_or_else(|| refused("could not delete key; not found"))?;
    if !opened.row.deletion_allowed {
        return Err(refused("deletion is not allowed for this key").into());
    }
    work.delete(&opened.entry);
    Ok(Answer::nothing())
}

/// Adds a version.
pub(super) fn rotate(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
) -> Result<Answer, Stop> {
    let mut opened = Opened::need(call, work, name, "key not found")?;
    opened.row.rotate(cx)?;
    opened.changed = Changed::Yes;
    let row = opened.save(work)?;
    Ok(described(&row, name, b"")?)
}

/// A version that the body sets, from 0 to the newest.
fn bound(call: &Call, row: &KeyRow, which: &str) -> Result<Option<u32>, VaultError> {
    let Some(number) = call.body.integer(&format!("min_{which}_version"))? else {
        return Ok(None);
    };
    if number < 0 {
        return Err(VaultError::invalid(format!(
            "min {which} version cannot be negative"
        )));
    }
    match u32::try_from(number) {
        Ok(number) if number <= row.latest => Ok(Some(number)),
        Ok(_) | Err(_) => Err(VaultError::invalid(format!(
            "cannot set min {which} version of {number}, latest key version is {}",
            row.latest
        ))),
    }
}

/// Changes what a key allows.
pub(super) fn configure(
    call: &Call,
    work: &mut Work<'_>,
    name: KeyName<'_>,
) -> Result<Answer, Stop> {
    let mut opened = Opened::read(call, work, name)?.ok_or_else(|| {
        VaultError::invalid(format!("no existing key named {} could be found", name.0))
    })?;
    let row = &mut opened.row;
    let mut warning = None;
    if let Some(number) = bound(call, row, "decryption")? {
        if number == 0 {
            warning = Some("transit key numbering starts at 1; forcing minimum to 1");
        }
        row.min_decryption = number.max(1);
    }
    if let Some(number) = bound(call, row, "encryption")? {
        row.min_encryption = number;
    }
    if row.min_encryption > 0 && row.min_encryption < row.min_decryption {
        return Err(VaultError::invalid(format!(
            "cannot set min encryption/decryption values; min encryption version of {} must be greater than or equal to min decryption version of {}",
            row.min_encryption, row.min_decryption
        ))
        .into());
    }
    if let Some(allowed) = call.body.truth("deletion_allowed")? {
        row.deletion_allowed = allowed;
    }
    // These two are set and never taken back: what was once allowed may have happened.
    row.exportable |= call.body.truth("exportable")?.unwrap_or(false);
    row.allow_plaintext_backup |= call.body.truth("allow_plaintext_backup")?.unwrap_or(false);
    if let Some(period) = call.body.duration("auto_rotate_period")? {
        check_period(period)?;
        row.auto_rotate = period;
    }
    if row.min_encryption < row.min_available {
        return Err(VaultError::invalid(
            "min encryption version should not be less than min available version",
        )
        .into());
    }
    if row.min_decryption < row.min_available {
        return Err(VaultError::invalid(
            "min decryption version should not be less then min available version",
        )
        .into());
    }
    opened.changed = Changed::Yes;
    let row = opened.save(work)?;
    let answer = described(&row, name, b"")?;
    Ok(match warning {
        Some(text) => answer.warning(text),
        None => answer,
    })
}

/// Forgets old versions for ever.
pub(super) fn trim(call: &Call, work: &mut Work<'_>, name: KeyName<'_>) -> Result<Answer, Stop> {
    let mut opened = Opened::need(call, work, name, "invalid key name")?;
    let row = &mut opened.row;
    let asked = call
        .body
        .integer("min_available_version")?
        .ok_or_else(|| VaultError::invalid("missing min_available_version"))?;
    let refusal = if asked < i64::from(row.min_available) {
        Some("minimum available version cannot be decremented")
    } else if row.min_encryption == 0 {
        Some("minimum available version cannot be set when minimum encryption version is not set")
    } else if asked > i64::from(row.min_encryption) {
        Some("minimum available version cannot be greater than minmum encryption version")
    } else if asked > i64::from(row.min_decryption) {
        Some("minimum available version cannot be greater than minimum decryption version")
    } else if asked == 0 {
        Some("minimum available version should be positive")
    } else {
        None
    };
    if let Some(text) = refusal {
        return Err(VaultError::invalid(text).into());
    }
    row.trim(u32::try_from(asked).map_err(|_| VaultError::invalid("invalid version"))?);
    opened.changed = Changed::Yes;
    let row = opened.save(work)?;
    Ok(described(&row, name, b"")?)
}

/// A key as callers see it: nothing of its private parts.
fn described(row: &KeyRow, name: KeyName<'_>, context: &[u8]) -> Result<Answer, VaultError> {
    let key_type = row.key_type;
    let mut data = json!({
        "name": name.0,
        "type": key_type.name(),
        "derived": row.derivation != Derivation::None,
        "deletion_allowed": row.deletion_allowed,
        "min_available_version": row.min_available,
        "min_decryption_version": row.min_decryption,
        "min_encryption_version": row.min_encryption,
        "latest_version": row.latest,
        "exportable": row.exportable,
        "allow_plaintext_backup": row.allow_plaintext_backup,
        "supports_encryption": key_type.encrypts(),
        "supports_decryption": key_type.encrypts(),
        "supports_signing": key_type.signs(),
        "supports_derivation": key_type.derives(),
        "auto_rotate_period": row.auto_rotate.as_secs(),
        "imported_key": row.imported.is_some(),
        "keys": versions(row, context)?,
    });
    if let Json::Object(members) = &mut data {
        if let Some(size) = row.size {
            members.insert("key_size".to_owned(), size.into());
        }
        if let Some(imported) = row.imported {
            let rotates = imported == Imported::Rotates;
            members.insert("imported_key_allow_rotation".to_owned(), rotates.into());
        }
        if row.derivation != Derivation::None {
            let convergent = row.derivation == Derivation::Convergent;
            members.insert("kdf".to_owned(), "hkdf_sha256".into());
            members.insert("convergent_encryption".to_owned(), convergent.into());
            if convergent {
                members.insert("convergent_encryption_version".to_owned(), 3.into());
            }
        }
    }
    Ok(Answer::data(data))
}

/// The versions that are in use: seconds for symmetric keys, public keys for pairs. Clients read one of the two shapes and never a mixture.
fn versions(row: &KeyRow, context: &[u8]) -> Result<Json, VaultError> {
    let oldest = row.min_decryption.max(row.min_available);
    let mut versions = Map::new();
    for (number, version) in row.versions.range(oldest..) {
        let shown = match row.key_type.kind() {
            Kind::Cipher(_) | Kind::Hmac => Json::from(version.created.0),
            Kind::Pair(algorithm) => {
                let public_key = match row.derivation {
                    Derivation::None => written(&version.public_key(algorithm)?),
                    // Without a context there is no key to show.
                    _ if context.is_empty() => String::new(),
                    Derivation::Context | Derivation::Convergent => {
                        let pair = derive(row, version, algorithm, context)?;
                        written(&pair.public_key().map_err(|_| VaultError::Corrupt)?)
                    }
                };
                json!({
                    "creation_time": timestamp::text(version.created),
                    "name": pair_name(row.key_type, algorithm),
                    "public_key": public_key,
                })
            }
        };
        versions.insert(number.to_string(), shown);
    }
    Ok(Json::Object(versions))
}

/// A public key as callers read it: the 32 bytes of Ed25519 in base64, PEM of the others.
pub(super) fn written(public: &PublicKey) -> String {
    match public.ed25519_bytes() {
        Some(bytes) => base64::encode(&bytes),
        None => public.to_pem(),
    }
}

const fn pair_name(key_type: KeyType, algorithm: KeyPairAlgorithm) -> &'static str {
    match algorithm {
        KeyPairAlgorithm::EcdsaP256 => "P-256",
        KeyPairAlgorithm::EcdsaP384 => "P-384",
        KeyPairAlgorithm::EcdsaP521 => "P-521",
        KeyPairAlgorithm::Ed25519
        | KeyPairAlgorithm::Rsa2048
        | KeyPairAlgorithm::Rsa3072
        | KeyPairAlgorithm::Rsa4096 => key_type.name(),
    }
}
