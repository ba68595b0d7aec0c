//! Authenticator data (WebAuthn §6.1): whose, which flags, how often, and for a new credential its id and key.

use super::WebauthnError;
use super::cbor::{self, Value};

pub(super) struct AuthenticatorData<'a> {
    pub(super) party_hash: &'a [u8; 32],
    pub(super) flags: Flags,
    pub(super) counter: u32,
    pub(super) attested: Option<Attested<'a>>,
}

/// A credential that was just made.
pub(super) struct Attested<'a> {
    pub(super) id: &'a [u8],
    pub(super) key: Value<'a>,
}

#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub(super) user_present: bool,
    pub(super) user_verified: bool,
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
}

impl Flags {
    pub(super) const fn verification(self) -> super::UserVerification {
        if self.user_verified {
            super::UserVerification::Verified
        } else {
            super::UserVerification::Present
        }
    }
}

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;

impl<'a> AuthenticatorData<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, WebauthnError> {
        Self::read(bytes).ok_or(WebauthnError::AuthenticatorData)
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (party_hash, rest) = bytes.split_first_chunk::<32>()?;
        let (flags, rest) = rest.split_first()?;
        let (counter, rest) = rest.split_first_chunk::<4>()?;
        let (attested, rest) = if flags & ATTESTED == 0 {
            (None, rest)
        } else {
            let (attested, rest) = attested(rest)?;
            (Some(attested), rest)
        };
        let rest = if flags & EXTENSIONS == 0 {
            rest
        } else {
            cbor::value(rest)?.1
        };
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            party_hash,
            flags: Flags {
                user_present: flags & USER_PRESENT != 0,
                user_verified: flags & USER_VERIFIED != 0,
                backup_eligible: flags & BACKUP_ELIGIBLE != 0,
                backed_up: flags & BACKED_UP != 0,
            },
            counter: u32::from_be_bytes(*counter),
            attested,
        })
    }
}

fn attested(bytes: &[u8]) -> Option<(Attested<'_>, &[u8])> {
    let (_aaguid, rest) = bytes.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (id, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (key, rest) = cbor::value(rest)?;
    Some((Attested { id, key }, rest))
}
