//! `encrypt`, `decrypt`, `rewrap` and `datakey`.

use super::batch::{CONTEXT_BYTES_MAX, Contexts, Done, INPUT_BYTES_MAX, Input, Item};
use super::cipher::{self, Around, COUNT_STEP};
use super::kind::{KeyType, Kind};
use super::row::{Derivation, KeyRow, Options, SEALED_MAX};
use super::text::{self, Marshaling, What};
use super::{Changed, KeyName, Opened, manage};
use crate::VaultError;
use crate::answer::Answer;
use crate::call::{Call, Cx, Operation};
use crate::work::{Stop, Work};
use countersign_base::{Duration, Secret};
use countersign_crypto::base64;
use serde_json::{Map, Value as Json};

const MISSING: &str = "encryption key not found";

/// Seals. A key that is not there is made, if the call may create.
pub(super) fn encrypt(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
) -> Result<Answer, Stop> {
    let input = Input::of(call)?;
    let contexts = input.contexts()?;
    if let Input::One(item) = &input
        && item.given("plaintext")?.is_none()
    {
        return Err(VaultError::invalid("missing plaintext to encrypt").into());
    }
    let mut existed = true;
    let mut opened = match Opened::read(call, work, name)? {
        Some(opened) => opened,
        None if call.operation == Operation::Create => {
            existed = false;
            upsert(call, work, cx, name, contexts)?
        }
        None => return Err(VaultError::invalid(MISSING).into()),
    };
    opened.keep_fresh(cx);
    let results = input
        .items()
        .iter()
        .enumerate()
        .map(|(at, item)| encrypt_item(&mut opened, *item, at, cx))
        .collect();
    let mut answer = input.answer(call, results)?;
    if call.operation == Operation::Create && existed {
        answer = answer.warning(
            "Attempted creation of the key during the encrypt operation, but it was created beforehand",
        );
    }
    opened.save(work)?;
    Ok(answer)
}

fn encrypt_item(opened: &mut Opened, item: Item<'_>, at: usize, cx: &Cx<'_>) -> Done {
    no_nonce(item)?;
    if item.given("plaintext")?.is_none() {
        return Err(VaultError::invalid("missing plaintext to encrypt"));
    }
    let plaintext = Secret::new(item.bytes("plaintext", INPUT_BYTES_MAX)?);
    let context = item.context()?;
    let associated_data = associated_data(&opened.row, item, at)?;
    let around = Around {
        context: &context,
        associated_data: &associated_data,
    };
    let (text, number) = seal(opened, item.key_version()?, around, plaintext.expose(), cx)?;
    Ok(sealed(text, number))
}

/// The key that an encryption makes: of the type that the body says, derived if the messages have contexts.
fn upsert(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
    contexts: Contexts,
) -> Result<Opened, Stop> {
    if manage::defaults(call, work)?.disable_upsert {
        return Err(VaultError::invalid(MISSING).into());
    }
    let convergent = call.body.truth("convergent_encryption")?.unwrap_or(false);
    let derivation = match (contexts, convergent) {
        (Contexts::All, true) => Derivation::Convergent,
        (Contexts::All, false) => Derivation::Context,
        (Contexts::None, false) => Derivation::None,
        (Contexts::None, true) => {
            return Err(VaultError::invalid(
                "convergent encryption requires derivation to be enabled, so context is required",
            )
            .into());
        }
    };
    let key_type = manage::key_type(call)?;
    if !matches!(key_type.kind(), Kind::Cipher(_)) {
        return Err(VaultError::invalid(format!(
            "key type {key_type} not supported for this operation"
        ))
        .into());
    }
    let options = Options {
        key_type,
        derivation,
        size: None,
        exportable: false,
        allow_plaintext_backup: false,
        auto_rotate: Duration::ZERO,
    };
    Ok(Opened::new(call, name, KeyRow::create(&options, cx)?))
}

/// Opens.
pub(super) fn decrypt(call: &Call, work: &mut Work<'_>, name: KeyName<'_>) -> Result<Answer, Stop> {
    let input = Input::of(call)?;
    input.contexts()?;
    let opened = Opened::need(call, work, name, MISSING)?;
    input.bound_private_rsa(opened.row.key_type)?;
    let results = input
        .items()
        .iter()
        .enumerate()
        .map(|(at, item)| {
            let plaintext = decrypt_item(&opened.row, *item, at)?;
            let text = Json::String(base64::encode(plaintext.expose()));
            Ok(Map::from_iter([("plaintext".to_owned(), text)]))
        })
        .collect();
    Ok(input.answer(call, results)?)
}

fn decrypt_item(row: &KeyRow, item: Item<'_>, at: usize) -> Result<Secret<Vec<u8>>, VaultError> {
    no_nonce(item)?;
    let ciphertext = item.text("ciphertext")?;
    if ciphertext.is_empty() {
        return Err(VaultError::invalid("missing ciphertext to decrypt"));
    }
    if !row.key_type.encrypts() {
        return Err(cipher::unsupported("decryption", row));
    }
    let context = item.context()?;
    let associated_data = associated_data(row, item, at)?;
    let around = Around {
        context: &context,
        associated_data: &associated_data,
    };
    let tagged = text::parse(What::Ciphertext, Marshaling::Asn1, ciphertext)?;
    let version = row.version_to_open(What::Ciphertext, tagged.version)?;
    cipher::open(row, version, around, &tagged.body)
}

/// Opens and seals again under another version, without showing the plaintext. Associated data binds both ciphertexts.
pub(super) fn rewrap(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
) -> Result<Answer, Stop> {
    let input = Input::of(call)?;
    input.contexts()?;
    let mut opened = Opened::need(call, work, name, MISSING)?;
    input.bound_private_rsa(opened.row.key_type)?;
    opened.keep_fresh(cx);
    let results = input
        .items()
        .iter()
        .enumerate()
        .map(|(at, item)| {
            let plaintext = decrypt_item(&opened.row, *item, at)?;
            let context = item.context()?;
            let associated_data = associated_data(&opened.row, *item, at)?;
            let around = Around {
                context: &context,
                associated_data: &associated_data,
            };
            let asked = item.key_version()?;
            let (text, number) = seal(&mut opened, asked, around, plaintext.expose(), cx)?;
            Ok(sealed(text, number))
        })
        .collect();
    let answer = input.answer(call, results)?;
    opened.save(work)?;
    Ok(answer)
}

/// Draws a key for the caller and seals it.
pub(super) fn data_key(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    form: &str,
    name: KeyName<'_>,
) -> Result<Answer, Stop> {
    if !matches!(form, "plaintext" | "wrapped") {
        return Err(VaultError::invalid("Invalid path, must be 'plaintext' or 'wrapped'").into());
    }
    let input = Input::of(call)?;
    let Input::One(item) = input else {
        return Err(VaultError::invalid("data keys are not made in batches").into());
    };
    no_nonce(item)?;
    let context = item.context()?;
    let mut opened = Opened::need(call, work, name, MISSING)?;
    let associated_data = associated_data(&opened.row, item, 0)?;
    let mut drawn = match call.body.integer("bits")? {
        None | Some(256) => vec![0; 32],
        Some(128) => vec![0; 16],
        Some(512) => vec![0; 64],
        Some(_) => return Err(VaultError::invalid("invalid bit length").into()),
    };
    cx.random.fill(&mut drawn);
    let drawn = Secret::new(drawn);
    opened.keep_fresh(cx);
    let around = Around {
        context: &context,
        associated_data: &associated_data,
    };
    let asked = item.key_version()?;
    let (text, number) = seal(&mut opened, asked, around, drawn.expose(), cx)?;
    let mut members = sealed(text, number);
    if form == "plaintext" {
        let text = Json::String(base64::encode(drawn.expose()));
        members.insert("plaintext".to_owned(), text);
    }
    opened.save(work)?;
    Ok(Answer::data(Json::Object(members)))
}

/// The text of a ciphertext, and the version that made it. Replaces the newest version when it has sealed as many messages as it may.
fn seal(
    opened: &mut Opened,
    asked: i64,
    around: Around<'_>,
    plaintext: &[u8],
    cx: &Cx<'_>,
) -> Result<(String, u32), VaultError> {
    if !opened.row.key_type.encrypts() {
        return Err(cipher::unsupported("encryption", &opened.row));
    }
    let mut number = opened.row.number_to_seal(asked, "encryption")?;
    if opened.row.version(number)?.sealed >= SEALED_MAX {
        if asked != 0 {
            return Err(VaultError::invalid(
                "this version has encrypted as many messages as it may; use the newest",
            ));
        }
        opened.row.rotate(cx)?;
        opened.changed = Changed::Yes;
        number = opened.row.latest;
    }
    let version = opened.row.version(number)?;
    let sealed = cipher::seal(&opened.row, version, around, plaintext, cx.random)?;
    if sealed.counted > 0
        && let Some(version) = opened.row.versions.get_mut(&number)
    {
        version.sealed = version.sealed.saturating_add(COUNT_STEP);
        opened.changed = Changed::Yes;
    }
    let text = text::write(number, Marshaling::Asn1, &sealed.bytes);
    Ok((text, number))
}

fn sealed(text: String, number: u32) -> Map<String, Json> {
    Map::from_iter([
        ("ciphertext".to_owned(), Json::String(text)),
        ("key_version".to_owned(), Json::from(number)),
    ])
}

/// Nonces are the engine's: the convergent keys of old whose callers chose them do not exist here.
fn no_nonce(item: Item<'_>) -> Result<(), VaultError> {
    if item.has("nonce") {
        return Err(VaultError::invalid(
            "provided nonce not allowed for this key",
        ));
    }
    Ok(())
}

fn associated_data(row: &KeyRow, item: Item<'_>, at: usize) -> Result<Vec<u8>, VaultError> {
    let bytes = item.bytes("associated_data", CONTEXT_BYTES_MAX)?;
    let key_type: KeyType = row.key_type;
    if !bytes.is_empty() && !key_type.takes_associated_data() {
        return Err(VaultError::invalid(format!(
            "'[{at}].associated_data' provided for non-AEAD cipher suite {key_type}"
        )));
    }
    Ok(bytes)
}
