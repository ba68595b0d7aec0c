//! Codes of authenticator apps (RFC 6238): six digits, thirty seconds, SHA-1, and one step of drift to either side.
//!
//! A code is good for one step of time and a step is good for one code: whoever calls keeps the last step that was used, and a later one has to be shown
//! (§5.2). Not here: how the secret is kept; it is sealed, bound to its row.

use countersign_base::{Secret, UnixTime};
use countersign_crypto::hotp::{self, SECRET_BYTES};
use subtle::ConstantTimeEq;

/// Seconds of a step.
pub const STEP_SECONDS: i64 = 30;
/// Digits of a code.
pub const DIGITS: usize = 6;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The secret that an app and this server share.
pub struct TotpSecret(Secret<[u8; SECRET_BYTES]>);

/// A step of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeStep(pub i64);

/// The code is not that of a step around now, or its step was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a code of this moment")]
pub struct CodeDiffers;

impl TotpSecret {
    /// Takes 20 random bytes.
    #[must_use]
    pub const fn new(bytes: Secret<[u8; SECRET_BYTES]>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub const fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.0.expose()
    }

    /// The secret in base32 (RFC 4648 §6), for people who type it.
    #[must_use]
    pub fn to_base32(&self) -> Secret<String> {
        let mut text = String::with_capacity(32);
        let (mut bits, mut count) = (0_u32, 0);
        for byte in self.0.expose() {
            bits = (bits << 8) | u32::from(*byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                let digit = usize::try_from((bits >> count) & 31).unwrap_or(0);
                text.extend(ALPHABET.get(digit).map(|letter| char::from(*letter)));
            }
        }
        Secret::new(text)
    }

    /// The address that a QR code carries to an app.
    #[must_use]
    pub fn provisioning_uri(&self, issuer: &str, account: &str) -> Secret<String> {
        let escape = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let (issuer, account) = (escape(issuer), escape(account));
        Secret::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}",
            self.to_base32().expose()
        ))
    }

    /// The code of a step.
    #[must_use]
    pub fn code(&self, step: TimeStep) -> String {
        let value = hotp::value(&self.0, step.0.max(0).unsigned_abs());
        format!("{value:06}")
    }

    /// The step of which `code` is the code: the one of now, or one beside it, that lies after `last`.
    ///
    /// # Errors
    /// It is of none of them. All three are compared, each in constant time.
    pub fn check(
        &self,
        code: &str,
        last: Option<TimeStep>,
        now: UnixTime,
    ) -> Result<TimeStep, CodeDiffers> {
        let current = TimeStep::at(now).0;
        let mut found = None;
        for step in [current - 1, current, current + 1].map(TimeStep) {
            let matches = bool::from(self.code(step).as_bytes().ct_eq(code.as_bytes()));
            if matches && last.is_none_or(|last| step > last) {
                found = Some(step);
            }
        }
        found.ok_or(CodeDiffers)
    }
}

impl TimeStep {
    /// The step of a moment.
    #[must_use]
    pub const fn at(now: UnixTime) -> Self {
        Self(now.0.div_euclid(STEP_SECONDS))
    }
}

/// What somebody typed into the field "Code".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypedCode {
    /// Of an app.
    App(String),
    /// One of the recovery codes, without its dashes.
    Recovery(String),
}

impl TypedCode {
    /// Tells them apart: six digits are an app's; a recovery code has 16 letters and digits. Spaces and dashes are only for reading.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        let bare: String = text
            .chars()
            .filter(|letter| !letter.is_ascii_whitespace() && *letter != '-')
            .map(|letter| letter.to_ascii_uppercase())
            .collect();
        if bare.len() == DIGITS && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            Some(Self::App(bare))
        } else if bare.len() == RECOVERY_LETTERS
            && bare.bytes().all(|byte| ALPHABET.contains(&byte))
        {
            Some(Self::Recovery(bare))
        } else {
            None
        }
    }
}

/// Letters of a recovery code: 80 bits.
const RECOVERY_LETTERS: usize = 16;
/// Recovery codes that a person has at once.
pub const RECOVERY_CODES: usize = 10;

/// A recovery code of ten random bytes, as it is shown and stored under its keyed hash: 16 letters and digits.
#[must_use]
pub fn recovery_code(random: &[u8; 10]) -> Secret<String> {
    let (mut bits, mut count, mut text) = (0_u32, 0, String::with_capacity(RECOVERY_LETTERS));
    for byte in random {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            let digit = usize::try_from((bits >> count) & 31).unwrap_or(0);
            text.extend(ALPHABET.get(digit).map(|letter| char::from(*letter)));
        }
    }
    Secret::new(text)
}

/// A recovery code as people read it: four groups of four.
#[must_use]
pub fn grouped(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join("-")
}

#[cfg(test)]
mod tests;
