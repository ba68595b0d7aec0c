//! `sign`, `verify` and `hmac`.

use super::batch::{Done, INPUT_BYTES_MAX, Input, Item};
use super::cipher::check_context;
use super::kind::{KeyType, Kind};
use super::row::{Derivation, KeyRow, Version};
use super::text::{self, Marshaling, What};
use super::{KeyName, Opened};
use crate::VaultError;
use crate::answer::Answer;
use crate::call::{Call, Cx};
use crate::work::{Stop, Work};
use countersign_base::Secret;
use countersign_crypto::base64;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::{HmacKey, TagJudged};
use countersign_crypto::kdf::hkdf_sha256;
use countersign_crypto::keypair::{
    EcdsaForm, KeyPair, KeyPairAlgorithm, KeyPairError, PssSalt, SignatureScheme, Signed,
};
use serde_json::{Map, Value as Json};

/// Makes tags.
pub(super) fn hmac(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
    hash: Option<&str>,
) -> Result<Answer, Stop> {
    let input = Input::of(call)?;
    if let Input::One(item) = &input
        && item.given("input")?.is_none()
    {
        return Err(VaultError::invalid("missing input for HMAC").into());
    }
    let mut opened = Opened::need(call, work, name, "encryption key not found")?;
    let hash = hmac_hash(call, hash)?;
    opened.keep_fresh(cx);
    let number = hmac_number(&opened.row, call)?;
    let key = hmac_key(&opened.row, opened.row.version(number)?, hash)?;
    let tag = |item: &Item<'_>| -> Done {
        if item.given("input")?.is_none() {
            return Err(VaultError::invalid("missing input for HMAC"));
        }
        let tag = key.tag(&[&read_input(*item)?]);
        let text = text::write(number, Marshaling::Asn1, &tag);
        Ok(Map::from_iter([("hmac".to_owned(), Json::String(text))]))
    };
    let results = input.items().iter().map(tag).collect();
    let answer = input.answer(call, results)?;
    opened.save(work)?;
    Ok(answer)
}

/// The version whose key makes the tags.
fn hmac_number(row: &KeyRow, call: &Call) -> Result<u32, VaultError> {
    let asked = call.body.integer("key_version")?.unwrap_or(0);
    let number = match u32::try_from(asked) {
        Ok(0) => row.latest,
        Ok(number) => number,
        Err(_) => {
            return Err(VaultError::invalid(
                "version does not exist or cannot be found",
            ));
        }
    };
    if number < row.min_encryption {
        return Err(VaultError::invalid(
            "cannot generate HMAC: version is too old (disallowed by policy)",
        ));
    }
    row.version(number).map(|_| number)
}

fn hmac_key(row: &KeyRow, version: &Version, hash: HashAlgorithm) -> Result<HmacKey, VaultError> {
    let key = match row.key_type {
        KeyType::Hmac => &version.key,
        _ => version.hmac.as_ref().ok_or(VaultError::Corrupt)?,
    };
    Ok(HmacKey::new(hash, key.secret().expose()))
}

fn hmac_hash(call: &Call, in_path: Option<&str>) -> Result<HashAlgorithm, VaultError> {
    let name = hash_name(call, in_path)?;
    HashAlgorithm::from_name(&name).ok_or_else(|| VaultError::invalid("unsupported algorithm"))
}

/// Signs.
pub(super) fn sign(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
    name: KeyName<'_>,
    hash: Option<&str>,
) -> Result<Answer, Stop> {
    let manner = Manner::of(call, hash)?;
    let input = Input::of(call)?;
    let mut opened = Opened::need(call, work, name, "signing key not found")?;
    let Kind::Pair(algorithm) = opened.row.key_type.kind() else {
        return Err(VaultError::invalid(format!(
            "key type {} does not support signing",
            opened.row.key_type
        ))
        .into());
    };
    let scheme = manner.scheme(algorithm)?;
    input.bound_private_rsa(opened.row.key_type)?;
    opened.keep_fresh(cx);
    let number = opened
        .row
        .number_to_seal(call.body.integer("key_version")?.unwrap_or(0), "signing")?;
    let version = opened.row.version(number)?;
    // One key serves the whole batch, unless each item derives its own.
    let shared = match opened.row.derivation {
        Derivation::None => Some(version.pair(algorithm)?),
        Derivation::Context | Derivation::Convergent => None,
    };
    let sign_item = |item: &Item<'_>| -> Done {
        let derived;
        let pair = match &shared {
            Some(pair) => pair,
            None => {
                derived = derive(&opened.row, version, algorithm, &item.context()?)?;
                &derived
            }
        };
        let message = read_input(*item)?;
        let signature = pair
            .sign(scheme, manner.signed(algorithm, &message))
            .map_err(refused)?;
        let text = text::write(number, manner.marshaling, &signature);
        let mut members = Map::from_iter([
            ("signature".to_owned(), Json::String(text)),
            ("key_version".to_owned(), Json::from(number)),
        ]);
        if shared.is_none() {
            let public = pair.public_key().map_err(refused)?;
            let bytes = public.ed25519_bytes().ok_or(VaultError::Corrupt)?;
            let text = Json::String(base64::encode(&bytes));
            members.insert("public_key".to_owned(), text);
        }
        Ok(members)
    };
    let results = input.items().iter().map(sign_item).collect();
    let answer = input.answer(call, results)?;
    opened.save(work)?;
    Ok(answer)
}

/// Verifies signatures, or HMACs if those are given.
pub(super) fn verify(
    call: &Call,
    work: &mut Work<'_>,
    name: KeyName<'_>,
    hash: Option<&str>,
) -> Result<Answer, Stop> {
    let input = Input::of(call)?;
    match given(&input)? {
        Given::Hmacs => verify_hmacs(call, work, name, hash, &input),
        Given::Signatures => verify_signatures(call, work, name, hash, &input),
    }
}

enum Given {
    Hmacs,
    Signatures,
}

/// Which of the two the items give; all of them the same.
fn given(input: &Input<'_>) -> Result<Given, VaultError> {
    let with = |name: &'static str| input.items().iter().filter(|item| item.has(name)).count();
    let (all, signatures, hmacs) = (input.items().len(), with("signature"), with("hmac"));
    let text = match (input, signatures, hmacs) {
        (_, signatures, 0) if signatures == all => return Ok(Given::Signatures),
        (_, 0, hmacs) if hmacs == all => return Ok(Given::Hmacs),
        (Input::One(_), 0, 0) => "neither a 'signature' nor an 'hmac' were given to verify",
        (Input::One(_), _, _) => "provide one of 'signature' or 'hmac'",
        (Input::Batch(_), 0, 0) => "no batch_input elements have 'signature' or 'hmac'",
        (Input::Batch(_), _, 0) => "some elements of batch_input are missing 'signature'",
        (Input::Batch(_), 0, _) => "some elements of batch_input are missing 'hmac'",
        (Input::Batch(_), _, _) => {
            "elements of batch_input must all provide 'signature' or all provide 'hmac'"
        }
    };
    Err(VaultError::invalid(text))
}

fn verify_hmacs(
    call: &Call,
    work: &mut Work<'_>,
    name: KeyName<'_>,
    hash: Option<&str>,
    input: &Input<'_>,
) -> Result<Answer, Stop> {
    let opened = Opened::need(call, work, name, "encryption key not found")?;
    let hash = hmac_hash(call, hash)?;
    let verify_item = |item: &Item<'_>| -> Done {
        let message = read_input(*item)?;
        let tagged = text::parse(What::Hmac, Marshaling::Asn1, item.text("hmac")?)?;
        let version = opened.row.version_to_open(What::Hmac, tagged.version)?;
        let key = hmac_key(&opened.row, version, hash)?;
        Ok(judged(key.verify(&[&message], &tagged.body)))
    };
    let results = input.items().iter().map(verify_item).collect();
    Ok(input.answer(call, results)?)
}

fn verify_signatures(
    call: &Call,
    work: &mut Work<'_>,
    name: KeyName<'_>,
    hash: Option<&str>,
    input: &Input<'_>,
) -> Result<Answer, Stop> {
    let manner = Manner::of(call, hash)?;
    let opened = Opened::need(call, work, name, "signature verification key not found")?;
    let row = &opened.row;
    let Kind::Pair(algorithm) = row.key_type.kind() else {
        return Err(VaultError::invalid(format!(
            "key type {} does not support verification",
            row.key_type
        ))
        .into());
    };
    let scheme = manner.scheme(algorithm)?;
    let verify_item = |item: &Item<'_>| -> Done {
        let message = read_input(*item)?;
        let tagged = text::parse(What::Signature, manner.marshaling, item.text("signature")?)?;
        let version = row.version_to_open(What::Signature, tagged.version)?;
        let public = match row.derivation {
            Derivation::None => version.public_key(algorithm)?,
            Derivation::Context | Derivation::Convergent => {
                derive(row, version, algorithm, &item.context()?)?
                    .public_key()
                    .map_err(refused)?
            }
        };
        match public.verify(scheme, manner.signed(algorithm, &message), &tagged.body) {
            Ok(_matches) => Ok(judged(TagJudged::Holds)),
            Err(KeyPairError::Refused) => Ok(judged(TagJudged::Differs)),
            Err(error) => Err(refused(error)),
        }
    };
    let results = input.items().iter().map(verify_item).collect();
    Ok(input.answer(call, results)?)
}

fn judged(holds: TagJudged) -> Map<String, Json> {
    let valid = Json::Bool(holds == TagJudged::Holds);
    Map::from_iter([("valid".to_owned(), valid)])
}

/// The pair of a context: the seed is HKDF-SHA-256 over the key as it is exported, seed and public half.
pub(super) fn derive(
    row: &KeyRow,
    version: &Version,
    algorithm: KeyPairAlgorithm,
    context: &[u8],
) -> Result<KeyPair, VaultError> {
    check_context(row.derivation, context)?;
    let whole = ed25519_whole(&version.pair(algorithm)?)?;
    let seed = hkdf_sha256::<32>(whole.expose(), b"", &[context]);
    KeyPair::from_ed25519_seed(&seed).map_err(refused)
}

/// Seed and public half of an Ed25519 pair, one after the other.
pub(super) fn ed25519_whole(pair: &KeyPair) -> Result<Secret<Vec<u8>>, VaultError> {
    let seed = pair.ed25519_seed().ok_or(VaultError::Corrupt)?;
    let public = pair.public_key().map_err(refused)?;
    let public = public.ed25519_bytes().ok_or(VaultError::Corrupt)?;
    let mut whole = Vec::with_capacity(64);
    whole.extend_from_slice(seed.expose());
    whole.extend_from_slice(&public);
    Ok(Secret::new(whole))
}

fn read_input(item: Item<'_>) -> Result<Vec<u8>, VaultError> {
    if item.given("input")?.is_none() {
        return Err(VaultError::invalid("missing input"));
    }
    item.bytes("input", INPUT_BYTES_MAX)
}

fn refused(error: KeyPairError) -> VaultError {
    match error {
        KeyPairError::DigestLength | KeyPairError::Unsupported(_) => {
            VaultError::invalid(error.to_string())
        }
        KeyPairError::Failed => VaultError::Outside("the cryptographic library failed".into()),
        KeyPairError::Refused | KeyPairError::Rejected => VaultError::Corrupt,
    }
}

/// The name of the hash: in the path, `hash_algorithm`, `algorithm`, or `sha2-256`.
fn hash_name(call: &Call, in_path: Option<&str>) -> Result<String, VaultError> {
    if let Some(name) = in_path {
        return Ok(name.to_owned());
    }
    for member in ["hash_algorithm", "algorithm"] {
        match call.body.text(member)? {
            Some(name) if !name.is_empty() => return Ok(name),
            Some(_) | None => {}
        }
    }
    Ok("sha2-256".to_owned())
}

/// How a call wants to sign.
struct Manner {
    hash: HashAlgorithm,
    marshaling: Marshaling,
    padding: Padding,
    salt: Salt,
    hashed: Hashed,
}

enum Hashed {
    Here,
    Before,
}

enum Padding {
    Pkcs1v15,
    Pss,
}

enum Salt {
    Known(PssSalt),
    Length(usize),
}

impl Manner {
    fn of(call: &Call, hash: Option<&str>) -> Result<Self, VaultError> {
        let invalid = |text: &'static str| Err(VaultError::invalid(text));
        let text = |name: &str| -> Result<String, VaultError> {
            Ok(call.body.text(name)?.unwrap_or_default())
        };
        let hash = hash_name(call, hash)?;
        let Some(hash) = HashAlgorithm::from_name(&hash) else {
            return invalid("invalid hash algorithm");
        };
        let marshaling = match text("marshaling_algorithm")?.as_str() {
            "" | "asn1" => Marshaling::Asn1,
            "jws" => Marshaling::Jws,
            _ => return invalid("invalid marshaling type"),
        };
        let padding = match text("signature_algorithm")?.as_str() {
            "" | "pss" => Padding::Pss,
            "pkcs1v15" => Padding::Pkcs1v15,
            _ => return invalid("unsupported rsa signature algorithm"),
        };
        // As the API has it: 0 is `auto` and -1 is `hash`.
        let salt = match text("salt_length")?.to_ascii_lowercase().as_str() {
            "" | "0" | "auto" => Salt::Known(PssSalt::Longest),
            "-1" | "hash" => Salt::Known(PssSalt::Hash),
            other => match other.parse() {
                Ok(length) => Salt::Length(length),
                Err(_) => return invalid("salt length neither 'auto', 'hash', nor an int"),
            },
        };
        let hashed = match call.body.truth("prehashed")? {
            Some(true) => Hashed::Before,
            Some(false) | None => Hashed::Here,
        };
        Ok(Self {
            hash,
            marshaling,
            padding,
            salt,
            hashed,
        })
    }

    fn scheme(&self, algorithm: KeyPairAlgorithm) -> Result<SignatureScheme, VaultError> {
        let hash = self.hash;
        match algorithm {
            KeyPairAlgorithm::Ed25519 => Ok(SignatureScheme::Ed25519),
            KeyPairAlgorithm::EcdsaP256
            | KeyPairAlgorithm::EcdsaP384
            | KeyPairAlgorithm::EcdsaP521 => {
                let form = match self.marshaling {
                    Marshaling::Asn1 => EcdsaForm::Asn1,
                    Marshaling::Jws => EcdsaForm::Fixed,
                };
                Ok(SignatureScheme::Ecdsa { hash, form })
            }
            KeyPairAlgorithm::Rsa2048 | KeyPairAlgorithm::Rsa3072 | KeyPairAlgorithm::Rsa4096 => {
                match (&self.padding, &self.salt) {
                    (Padding::Pkcs1v15, _) => Ok(SignatureScheme::RsaPkcs1v15 { hash }),
                    (Padding::Pss, Salt::Known(salt)) => {
                        Ok(SignatureScheme::RsaPss { hash, salt: *salt })
                    }
                    (Padding::Pss, Salt::Length(length)) if *length == hash.output_bytes() => {
                        Ok(SignatureScheme::RsaPss {
                            hash,
                            salt: PssSalt::Hash,
                        })
                    }
                    (Padding::Pss, Salt::Length(_)) => Err(VaultError::invalid(
                        "salt length is invalid: it is `auto`, `hash` or the length of the hash",
                    )),
                }
            }
        }
    }

    /// What is signed of an input. Ed25519 signs what it is given, hashed before or not.
    fn signed<'m>(&self, algorithm: KeyPairAlgorithm, input: &'m [u8]) -> Signed<'m> {
        match (algorithm, &self.hashed) {
            (KeyPairAlgorithm::Ed25519, _) | (_, Hashed::Here) => Signed::Message(input),
            (_, Hashed::Before) => Signed::Digest(input),
        }
    }
}
