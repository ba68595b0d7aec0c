//! What needs no key: `random`, `hash`, and the cache that is none.

use super::batch::INPUT_BYTES_MAX;
use crate::VaultError;
use crate::answer::Answer;
use crate::call::{Call, Cx};
use countersign_crypto::base64;
use countersign_crypto::digest::HashAlgorithm;
use serde_json::json;

/// Random bytes in one answer.
const RANDOM_BYTES_MAX: i64 = 128 * 1024;
const RANDOM_BYTES: i64 = 32;

/// Random bytes.
pub(super) fn random(
    call: &Call,
    cx: &Cx<'_>,
    in_path: Option<&str>,
) -> Result<Answer, VaultError> {
    let asked = match in_path {
        Some(text) => text
            .parse()
            .map_err(|_| VaultError::invalid("error parsing url-set byte count"))?,
        None => call.body.integer("bytes")?.unwrap_or(RANDOM_BYTES),
    };
    if asked < 1 {
        return Err(VaultError::invalid("\"bytes\" cannot be less than 1"));
    }
    if asked > RANDOM_BYTES_MAX {
        return Err(VaultError::invalid(format!(
            "\"bytes\" should be less than {RANDOM_BYTES_MAX}"
        )));
    }
    let format = Format::of(call, Format::Base64)?;
    let mut bytes = vec![0; usize::try_from(asked).map_err(|_| VaultError::TooLarge)?];
    cx.random.fill(&mut bytes);
    Ok(Answer::data(
        json!({ "random_bytes": format.write(&bytes) }),
    ))
}

/// The hash of an input.
pub(super) fn hash(call: &Call, in_path: Option<&str>) -> Result<Answer, VaultError> {
    let name = match in_path {
        Some(name) => name.to_owned(),
        None => call.body.text("algorithm")?.unwrap_or_default(),
    };
    let hash = match name.as_str() {
        "" => HashAlgorithm::Sha2_256,
        name => HashAlgorithm::from_name(name)
            .ok_or_else(|| VaultError::invalid("unsupported algorithm"))?,
    };
    let format = Format::of(call, Format::Hex)?;
    let input = base64::decode(&call.body.text("input")?.unwrap_or_default())
        .map_err(|_| VaultError::invalid("unable to decode input as base64"))?;
    if input.len() > INPUT_BYTES_MAX {
        return Err(VaultError::TooLarge);
    }
    Ok(Answer::data(
        json!({ "sum": format.write(&hash.hash(&[&input])) }),
    ))
}

/// There is no cache of keys to be configured.
pub(super) fn cache_config() -> Answer {
    Answer::data(json!({ "size": 0 }))
}

/// Takes a size for the cache that is none, as clients set it, and says so.
pub(super) fn set_cache(call: &Call) -> Result<Answer, VaultError> {
    match call.body.integer("size")? {
        Some(size) if size < 0 => Err(VaultError::invalid("size must be greater or equal to 0")),
        Some(_) | None => Ok(Answer::nothing().warning("keys are not cached; nothing changed")),
    }
}

enum Format {
    Base64,
    Hex,
}

impl Format {
    fn of(call: &Call, otherwise: Self) -> Result<Self, VaultError> {
        match call.body.text("format")?.as_deref() {
            None | Some("") => Ok(otherwise),
            Some("base64") => Ok(Self::Base64),
            Some("hex") => Ok(Self::Hex),
            Some(_) => Err(VaultError::invalid(
                "unsupported encoding format; must be \"hex\" or \"base64\"",
            )),
        }
    }

    fn write(&self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => base64::encode(bytes),
            Self::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}
