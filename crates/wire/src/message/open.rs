//! Opening sealed messages: decrypting, and then verifying the signed message inside.
//!
//! What a header may say is judged before any key is touched: the algorithms, the two types, no compression and no password. From there on there is one error,
//! [`MessageRefusal::DoesNotOpen`], whatever was wrong. Decrypting proves nothing about who wrote a message, so one without a signature inside is refused.

use super::{
    CONTENT_ENCRYPTION, KEY_MANAGEMENT, Message, MessageRefusal, Receiving, SEALED_TYP, SIGNED_TYP,
    TEXT_BYTES_MAX, Unspent, verify,
};
use countersign_base::UnixTime;
use countersign_crypto::jose::{DecryptionKey, Jwe, JweRules};

const RULES: JweRules<'_> = JweRules {
    key_management: &KEY_MANAGEMENT,
    content: &[CONTENT_ENCRYPTION],
};

/// Opens a sealed message with the key that it names, and verifies what is inside.
///
/// # Errors
/// The first reason against it.
pub fn open<'k>(
    text: &str,
    keys: impl IntoIterator<Item = &'k DecryptionKey>,
    receiving: &Receiving<'_>,
    now: UnixTime,
) -> Result<Unspent<Message>, MessageRefusal> {
    let jwe = Jwe::parse_within(text, &RULES, TEXT_BYTES_MAX)?;
    if !is(jwe.typ(), SEALED_TYP) || !is(jwe.cty(), SIGNED_TYP) {
        return Err(MessageRefusal::TypeOther);
    }
    // Every message names its key: to try each would give a stranger's message several chances at several costs.
    if jwe.kid().is_none() {
        return Err(MessageRefusal::DoesNotOpen);
    }
    let opened = jwe.decrypt(keys)?;
    let signed = std::str::from_utf8(opened.expose()).map_err(|_| MessageRefusal::NotSigned)?;
    if signed.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return Err(MessageRefusal::NotSigned);
    }
    verify(signed, receiving, now)
}

/// Whether a type is the expected one; `application/` may stand before it, and case has no meaning (RFC 7515 §4.1.9).
fn is(typ: Option<&str>, expected: &str) -> bool {
    typ.is_some_and(|typ| {
        let short = typ
            .split_once('/')
            .filter(|(kind, _)| kind.eq_ignore_ascii_case("application"))
            .map_or(typ, |(_, subtype)| subtype);
        short.eq_ignore_ascii_case(expected)
    })
}
