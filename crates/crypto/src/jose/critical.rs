//! `crit`: the members of a header that a reader has to understand (RFC 7515 §4.1.11).
//!
//! Not here: what they mean. Who reads says which it understands; unless it says so, that is none.

use super::JoseError;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The names of RFC 7515 §4.1, RFC 7516 §4.1, RFC 7518 §4 and RFC 7797, none of which a writer may call critical here: an unencoded payload is none of ours.
const REGISTERED: [&str; 21] = [
    "alg", "apu", "apv", "b64", "crit", "cty", "enc", "epk", "iv", "jku", "jwk", "kid", "p2c",
    "p2s", "tag", "typ", "x5c", "x5t", "x5t#S256", "x5u", "zip",
];

/// Whether a header makes nothing critical but members that it has and its reader understands, each once.
///
/// # Errors
/// When it does.
pub(super) fn hold(
    members: &Map<String, Value>,
    understands: impl Fn(&str) -> bool,
) -> Result<(), JoseError> {
    const REFUSED: JoseError = JoseError::Extension("crit");
    let names = match members.get("crit") {
        None => return Ok(()),
        Some(Value::Array(names)) if !names.is_empty() => names,
        Some(_) => return Err(REFUSED),
    };
    let mut said = BTreeSet::new();
    for name in names {
        let name = name.as_str().ok_or(REFUSED)?;
        if !understands(name) || !members.contains_key(name) || !said.insert(name) {
            return Err(REFUSED);
        }
    }
    Ok(())
}

/// Whether a writer may make a member of this name critical.
pub(super) fn is_own(name: &str) -> bool {
    !REGISTERED.contains(&name)
}
