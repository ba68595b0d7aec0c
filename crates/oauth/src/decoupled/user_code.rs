//! User codes (RFC 8628 §6.1): eight letters that a person can read from a screen and type, without vowels so that they spell nothing.
//!
//! Twenty letters give 34.5 bits. That is little: codes live for minutes, guessing takes a signed-in person and is throttled ([`super::GuessThrottle`]).

use countersign_crypto::random::Random;
use std::fmt;
use std::str::FromStr;

/// The letters of a user code.
pub const USER_CODE_ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters in one code.
const LETTERS: usize = 8;
/// Bytes of what somebody typed that are looked at.
const TYPED_BYTES_MAX: usize = 32;
/// Random bytes from here on would prefer some letters.
const FAIR: u8 = 240;

/// A user code in its one form: eight upper-case letters.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode([u8; LETTERS]);

/// It cannot be a user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected eight letters such as WDJB-MJHT")]
pub struct NotAUserCode;

impl UserCode {
    /// Draws one; every letter is as likely as every other.
    #[must_use]
    pub fn draw(random: &Random) -> Self {
        let mut letters = [0; LETTERS];
        for letter in &mut letters {
            *letter = draw_letter(random);
        }
        Self(letters)
    }

    /// The letters without the dash: what is hashed.
    #[must_use]
    pub fn letters(&self) -> &str {
        // Only letters of the alphabet get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn draw_letter(random: &Random) -> u8 {
    loop {
        let [byte] = random.bytes::<1>();
        if byte >= FAIR {
            continue;
        }
        if let Some(letter) = USER_CODE_ALPHABET.get(usize::from(byte % 20)) {
            return *letter;
        }
    }
}

/// As it is shown: `WDJB-MJHT`.
impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.letters().split_at(LETTERS / 2);
        write!(f, "{first}-{second}")
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode")
    }
}

/// As people type it: in either case, with dashes and spaces anywhere.
impl FromStr for UserCode {
    type Err = NotAUserCode;

    fn from_str(text: &str) -> Result<Self, NotAUserCode> {
        if text.len() > TYPED_BYTES_MAX {
            return Err(NotAUserCode);
        }
        let typed: Vec<u8> = text
            .bytes()
            .filter(|byte| !matches!(byte, b'-' | b' '))
            .map(|byte| byte.to_ascii_uppercase())
            .collect();
        let letters: [u8; LETTERS] = typed.try_into().map_err(|_| NotAUserCode)?;
        if letters
            .iter()
            .all(|letter| USER_CODE_ALPHABET.contains(letter))
        {
            Ok(Self(letters))
        } else {
            Err(NotAUserCode)
        }
    }
}

#[cfg(test)]
mod tests;
