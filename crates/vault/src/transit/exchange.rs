//! Keys that leave and keys that come: `export`, `backup`, `restore`, `import` and the key that wraps what comes.
//!
//! A backup is the whole key in base64 of JSON, in the clear: whoever holds it holds the key. It is our own format and no other program's. What is imported is
//! wrapped as Vault's clients do it: a key of 256 bits by RSA-OAEP, then the material by AES-KWP (RFC 5649) under that key.

use super::batch::CONTEXT_BYTES_MAX;
use super::kind::{KeyType, Kind};
use super::manage::{options, written};
use super::row::{Imported, KeyBytes, KeyRow, Version};
use super::sign::ed25519_whole;
use super::{Changed, KeyName, Opened, key};
use crate::VaultError;
use crate::answer::Answer;
use crate::call::{Call, Cx};
use crate::entry::VALUE_BYTES_MAX;
use crate::work::{Stop, Work};
use countersign_base::Secret;
use countersign_crypto::keypair::{KeyPair, KeyPairAlgorithm, OaepHash, pem};
use countersign_crypto::{base64, keywrap};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// The kind of the key that wraps what is imported.
const WRAPPING: KeyPairAlgorithm = KeyPairAlgorithm::Rsa4096;
/// Bytes of what is encrypted to it.
const WRAPPED_KEY_BYTES: usize = 512;
const BACKUP_FORMAT: u32 = 1;

/// Key material that leaves.
pub(super) fn export(
    call: &Call,
    work: &mut Work<'_>,
    what: &str,
    name: KeyName<'_>,
    version: Option<&str>,
) -> Result<Answer, Stop> {
    let what = Exported::from_name(what)?;
    let format = Format::of(call)?;
    let opened = Opened::read(call, work, name)?.ok_or(VaultError::NotFound)?;
    let row = &opened.row;
    if !row.exportable && what != Exported::Public {
        return Err(VaultError::invalid("private key material is not exportable").into());
    }
    what.check(row.key_type)?;
    let oldest = row.min_decryption.max(row.min_available);
    let numbers: Vec<u32> = match version {
        None => row
            .versions
            .range(oldest..)
            .map(|(number, _)| *number)
            .collect(),
        Some("latest") => vec![row.latest],
        Some(text) => {
            let number: u32 = text
                .strip_prefix('v')
                .unwrap_or(text)
                .parse()
                .map_err(|_| VaultError::invalid("invalid key version"))?;
            if number < oldest {
                let text = "version for export is below minimum decryption version";
                return Err(VaultError::invalid(text).into());
            }
            vec![number]
        }
    };
    let mut keys = Map::new();
    for number in numbers {
        let text = exported(row, row.version(number)?, what, format)?;
        keys.insert(number.to_string(), Json::String(text));
    }
    Ok(Answer::data(json!({
        "name": name.0,
        "type": row.key_type.name(),
        "keys": keys,
    })))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exported {
    Encryption,
    Hmac,
    Public,
    Signing,
}

impl Exported {
    fn from_name(name: &str) -> Result<Self, VaultError> {
        match name {
            "encryption-key" => Ok(Self::Encryption),
            "hmac-key" => Ok(Self::Hmac),
            "public-key" => Ok(Self::Public),
            "signing-key" => Ok(Self::Signing),
            _ => Err(VaultError::invalid("invalid export type")),
        }
    }

    fn check(self, key_type: KeyType) -> Result<(), VaultError> {
        let text = match self {
            Self::Encryption if !key_type.encrypts() => "encryption not supported for the key",
            Self::Signing if !key_type.signs() => "signing not supported for the key",
            Self::Public if !key_type.signs() => {
                return Err(VaultError::invalid(format!(
                    "unknown key type {key_type} for export type public-key"
                )));
            }
            Self::Encryption | Self::Hmac | Self::Public | Self::Signing => {
                return Ok(());
            }
        };
        Err(VaultError::invalid(text))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Der,
    Pem,
    Raw,
    /// What the key's type is usually written as.
    Usual,
}

impl Format {
    fn of(call: &Call) -> Result<Self, VaultError> {
        match call.parameter("format").as_deref() {
            None | Some("") => Ok(Self::Usual),
            Some("der") => Ok(Self::Der),
            Some("pem") => Ok(Self::Pem),
            Some("raw") => Ok(Self::Raw),
            Some(_) => Err(VaultError::invalid("invalid format")),
        }
    }
}

fn exported(
    row: &KeyRow,
    version: &Version,
    what: Exported,
    format: Format,
) -> Result<String, VaultError> {
    let symmetric = |bytes: &KeyBytes| match format {
        Format::Raw | Format::Usual => Ok(base64::encode(bytes.secret().expose())),
        Format::Der | Format::Pem => Err(VaultError::invalid(
            "unknown format for a symmetric key; supported values are `` or `raw`",
        )),
    };
    match (what, row.key_type.kind()) {
        (Exported::Hmac, Kind::Hmac) | (Exported::Encryption, Kind::Cipher(_)) => {
            symmetric(&version.key)
        }
        (Exported::Hmac, Kind::Cipher(_) | Kind::Pair(_)) => {
            symmetric(version.hmac.as_ref().ok_or(VaultError::Corrupt)?)
        }
        (Exported::Public, Kind::Pair(algorithm)) => {
            let public = version.public_key(algorithm)?;
            match format {
                Format::Der => Ok(base64::encode(public.spki())),
                Format::Pem => Ok(public.to_pem()),
                Format::Usual => Ok(written(&public)),
                Format::Raw if row.key_type == KeyType::Ed25519 => Ok(written(&public)),
                Format::Raw => Err(not_raw()),
            }
        }
        (Exported::Encryption | Exported::Signing, Kind::Pair(algorithm)) => {
            private(&version.pair(algorithm)?, format)
        }
        (Exported::Encryption | Exported::Public | Exported::Signing, _) => {
            Err(VaultError::Corrupt)
        }
    }
}

fn private(pair: &KeyPair, format: Format) -> Result<String, VaultError> {
    let corrupt = |_| VaultError::Corrupt;
    let ed25519 = pair.algorithm() == KeyPairAlgorithm::Ed25519;
    match format {
        Format::Raw | Format::Usual if ed25519 => Ok(base64::encode(ed25519_whole(pair)?.expose())),
        Format::Raw => Err(not_raw()),
        Format::Usual => {
            let (label, der) = pair.to_traditional_der().map_err(corrupt)?;
            Ok(pem(label, der.expose()).expose().clone())
        }
        Format::Der => Ok(base64::encode(pair.to_pkcs8().map_err(corrupt)?.expose())),
        Format::Pem => {
            let der = pair.to_pkcs8().map_err(corrupt)?;
            Ok(pem("PRIVATE KEY", der.expose()).expose().clone())
        }
    }
}

fn not_raw() -> VaultError {
    VaultError::invalid("unknown key format for this key; supported values are ``, `der`, or `pem`")
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    /// [`BACKUP_FORMAT`].
    countersign_transit_backup: u32,
    name: String,
    key: KeyRow,
}

/// The whole key in the clear, if it allows that.
pub(super) fn backup(call: &Call, work: &mut Work<'_>, name: KeyName<'_>) -> Result<Answer, Stop> {
    let opened = Opened::read(call, work, name)?.ok_or(VaultError::NotFound)?;
    if !opened.row.exportable {
        return Err(VaultError::invalid("exporting is disallowed on the policy").into());
    }
    if !opened.row.allow_plaintext_backup {
        return Err(VaultError::invalid("plaintext backup is disallowed on the policy").into());
    }
    let backup = Backup {
        countersign_transit_backup: BACKUP_FORMAT,
        name: name.0.to_owned(),
        key: opened.row,
    };
    let written = Secret::new(serde_json::to_vec(&backup).map_err(|_| VaultError::Corrupt)?);
    let text = base64::encode(written.expose());
    Ok(Answer::data(json!({ "backup": text })))
}

/// Puts a backed-up key back, under its own name or another, which is given in the path or in the body.
pub(super) fn restore(
    call: &Call,
    work: &mut Work<'_>,
    name: Option<KeyName<'_>>,
) -> Result<Answer, Stop> {
    let text = call.body.text("backup")?.unwrap_or_default();
    if text.is_empty() {
        return Err(VaultError::invalid("'backup' must be supplied").into());
    }
    let backup = read_backup(&text)?;
    let other = call.body.text("name")?.filter(|other| !other.is_empty());
    let name = match name {
        Some(name) => name,
        None => key(other.as_ref().unwrap_or(&backup.name))?,
    };
    let force = call.body.truth("force")?.unwrap_or(false);
    if !force && Opened::read(call, work, name)?.is_some() {
        return Err(VaultError::invalid(format!("key \"{}\" already exists", name.0)).into());
    }
    Opened::new(call, name, backup.key).save(work)?;
    Ok(Answer::nothing())
}

/// The key in a backup, checked to be one that can be used.
///
/// # Errors
/// When the text is no backup of a key.
pub fn backed_up(text: &str) -> Result<KeyRow, VaultError> {
    read_backup(text).map(|backup| backup.key)
}

fn read_backup(text: &str) -> Result<Backup, VaultError> {
    let refused = || VaultError::invalid("the backup cannot be read");
    // Base64 of an entry is longer than the entry by a third.
    if text.len() > VALUE_BYTES_MAX * 2 {
        return Err(VaultError::TooLarge);
    }
    let bytes = Secret::new(base64::decode(text).map_err(|_| refused())?);
    let backup: Backup = serde_json::from_slice(bytes.expose()).map_err(|_| refused())?;
    if backup.countersign_transit_backup != BACKUP_FORMAT {
        return Err(refused());
    }
    backup.key.check()?;
    Ok(backup)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrappingRow {
    key: KeyBytes,
}

/// The public key that what is imported is wrapped for. It is made when it is first asked for, which takes seconds.
pub(super) fn wrapping_key(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let pair = wrapping_pair(call, work)?;
    let public = pair.public_key().map_err(|_| VaultError::Corrupt)?;
    Ok(Answer::data(json!({ "public_key": public.to_pem() })))
}

fn wrapping_pair(call: &Call, work: &mut Work<'_>) -> Result<KeyPair, Stop> {
    let entry = call.entry(&["wrapping-key"]);
    if let Some(row) = work.read::<WrappingRow>(&entry)? {
        let pair = KeyPair::from_der(WRAPPING, row.key.secret());
        return pair.map_err(|_| VaultError::Corrupt.into());
    }
    let failed = |_| VaultError::Outside("the library made no key".into());
    let pair = WRAPPING.generate().map_err(failed)?;
    let key = KeyBytes::new(pair.to_pkcs8().map_err(failed)?);
    work.put(&entry, &WrappingRow { key })?;
    Ok(pair)
}

/// What is imported, still wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrapped<'a> {
    /// The key of 256 bits, encrypted by RSA-OAEP.
    pub key: &'a [u8],
    /// The material, wrapped by AES-KWP under that key.
    pub material: &'a [u8],
}

/// The parts of what is imported.
///
/// # Errors
/// When it is too short to have both, or longer than any key.
pub fn wrapped_parts(blob: &[u8]) -> Result<Wrapped<'_>, VaultError> {
    match blob.split_at_checked(WRAPPED_KEY_BYTES) {
        Some((key, material))
            if !material.is_empty() && material.len() <= keywrap::WRAPPED_BYTES_MAX =>
        {
            Ok(Wrapped { key, material })
        }
        Some(_) | None => Err(VaultError::invalid("provided ciphertext is too short")),
    }
}

/// Takes a key that was made elsewhere.
pub(super) fn import(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
) -> Result<Answer, Stop> {
    if call.body.has("convergent_encryption") {
        return Err(VaultError::invalid(
            "import cannot be used on keys with convergent encryption enabled",
        )
        .into());
    }
    let options = options(call)?;
    let imported = match call.body.truth("allow_rotation")? {
        Some(true) => Imported::Rotates,
        Some(false) | None => Imported::Fixed,
    };
    if !options.auto_rotate.is_zero() && imported == Imported::Fixed {
        return Err(VaultError::invalid(
            "allow_rotation must be set to true if auto-rotation is enabled",
        )
        .into());
    }
    if Opened::read(call, work, name)?.is_some() {
        return Err(VaultError::invalid(
            "the import path cannot be used with an existing key; use import-version to rotate an existing imported key",
        )
        .into());
    }
    let material = material(call, work, options.key_type)?;
    let row = KeyRow::import(&options, imported, material, cx)?;
    Opened::new(call, name, row).save(work)?;
    Ok(Answer::nothing())
}

/// Takes a version of an imported key.
pub(super) fn import_version(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
) -> Result<Answer, Stop> {
    let mut opened = Opened::read(call, work, name)?.ok_or_else(|| {
        VaultError::invalid(format!(
            "no key found with name {}; to import a new key, use the import/ endpoint",
            name.0
        ))
    })?;
    if opened.row.imported.is_none() {
        return Err(VaultError::invalid(
            "the import_version endpoint can only be used with an imported key",
        )
        .into());
    }
    if call.body.has("version") {
        return Err(VaultError::invalid(
            "a version that is there has its key; leave `version` out to import a new one",
        )
        .into());
    }
    let material = material(call, work, opened.row.key_type)?;
    opened.row.add(material, cx)?;
    opened.changed = Changed::Yes;
    opened.save(work)?;
    Ok(Answer::nothing())
}

/// The material that the body brings, unwrapped and in the form in which keys of the type are kept.
fn material(call: &Call, work: &mut Work<'_>, key_type: KeyType) -> Result<KeyBytes, Stop> {
    if call.body.has("public_key") {
        return Err(
            VaultError::invalid("a public key alone is not imported; set `ciphertext`").into(),
        );
    }
    let hash = match call.body.text("hash_function")?.as_deref() {
        None | Some("" | "SHA256") => OaepHash::Sha256,
        Some("SHA384") => OaepHash::Sha384,
        Some("SHA512") => OaepHash::Sha512,
        Some(_) => return Err(VaultError::invalid("unknown hash function").into()),
    };
    let text = call.body.text("ciphertext")?.unwrap_or_default();
    if text.len() > CONTEXT_BYTES_MAX {
        return Err(VaultError::TooLarge.into());
    }
    let blob = base64::decode(&text)
        .map_err(|_| VaultError::invalid("failed to base64-decode ciphertext"))?;
    let wrapped = wrapped_parts(&blob)?;
    let pair = wrapping_pair(call, work)?;
    // One text for all that can be wrong: which step failed is nobody's business.
    let refused =
        || VaultError::invalid("the ciphertext cannot be unwrapped with the wrapping key");
    let ephemeral = pair
        .decrypt_oaep(hash, wrapped.key)
        .map_err(|_| refused())?;
    let ephemeral: [u8; 32] = ephemeral
        .expose()
        .as_slice()
        .try_into()
        .map_err(|_| refused())?;
    let bytes =
        keywrap::unwrap(&Secret::new(ephemeral), wrapped.material).map_err(|_| refused())?;
    match key_type.kind() {
        Kind::Cipher(_) | Kind::Hmac => Ok(KeyBytes::new(bytes)),
        Kind::Pair(algorithm) => {
            let not_of_type =
                |_| VaultError::invalid(format!("the material is not a key of type {key_type}"));
            let pair = KeyPair::from_der(algorithm, &bytes).map_err(not_of_type)?;
            Ok(KeyBytes::new(pair.to_pkcs8().map_err(not_of_type)?))
        }
    }
}
