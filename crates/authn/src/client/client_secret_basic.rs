//! `client_secret_basic`: name and secret in the header `Authorization` (RFC 6749 §2.3.1, RFC 7617).
//!
//! Decoding is strict: the standard base64 alphabet with its padding and no stray bits, UTF-8, exactly the escapes of
//! `application/x-www-form-urlencoded`.

use super::{ClientReason, ClientRefusal, Credential, Shown};
use crate::credential::Authorization;
use crate::form::percent_decode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_base::{ClientId, Conditional, Secret};

/// Bytes of the credentials in the header; a name has 128 and a secret far fewer.
const BASIC_BYTES_MAX: usize = 2048;

pub(super) fn read(
    shown: &Shown<'_>,
) -> Result<Conditional<(ClientId, Credential), ()>, ClientRefusal> {
    let credentials = match shown.authorization {
        Authorization::Absent => return Ok(Conditional::Absent(())),
        Authorization::Broken => return Err(shown.refuse(ClientReason::AuthorizationBroken)),
        Authorization::Present { scheme, .. } if !scheme.eq_ignore_ascii_case("basic") => {
            return Err(shown.refuse(ClientReason::MethodUnknown));
        }
        Authorization::Present { credentials, .. } => credentials,
    };
    let (id, secret) =
        decode(credentials).ok_or_else(|| shown.refuse(ClientReason::BasicMalformed))?;
    Ok(Conditional::Present((id, Credential::Secret(secret))))
}

fn decode(credentials: &str) -> Option<(ClientId, Secret<String>)> {
    if credentials.len() > BASIC_BYTES_MAX {
        return None;
    }
    let bytes = Secret::new(STANDARD.decode(credentials).ok()?);
    let text = std::str::from_utf8(bytes.expose()).ok()?;
    let (id, secret) = text.split_once(':')?;
    let secret = part(secret)?;
    // An empty secret is none (RFC 6749 §2.3.1).
    if secret.expose().is_empty() {
        None
    } else {
        Some((part(id)?.expose().parse().ok()?, secret))
    }
}

/// Undoes the form encoding in which RFC 6749 §2.3.1 wants both parts. Characters that it would have escaped are refused
/// where they are not visible ASCII.
fn part(text: &str) -> Option<Secret<String>> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let spaced: Vec<u8> = text
        .bytes()
        .map(|byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    let decoded = String::from_utf8(percent_decode(&spaced).ok()?).ok()?;
    if decoded.chars().any(char::is_control) {
        None
    } else {
        Some(Secret::new(decoded))
    }
}
