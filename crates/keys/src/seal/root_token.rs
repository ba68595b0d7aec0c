//! A root token by quorum, for the day on which no other way in is left (Vault's `sys/generate-root`).
//!
//! The token is given out combined with a one-time pad that whoever started the operation has, so that the last holder, whose request ends it, does not learn the token.

use super::SealFault;
use super::quorum::{Operation, QuorumHeld, sealed};
use countersign_base::{ParseError, Secret};
use countersign_crypto::base64url;
use countersign_crypto::random::Random;
use std::fmt;

const OTP_BYTES_MIN: usize = 16;
const OTP_BYTES_MAX: usize = 256;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A one-time pad, as long as the token will be.
pub struct Otp(Secret<String>);

impl Otp {
    /// A new one of `length` letters and digits, between 16 and 256.
    #[must_use]
    pub fn generate(length: usize, random: &Random) -> Self {
        let length = length.clamp(OTP_BYTES_MIN, OTP_BYTES_MAX);
        let mut text = String::with_capacity(length);
        while text.len() < length {
            let [byte] = random.bytes::<1>();
            // 248 is four times 62: what lies above would make some letters likelier.
            let letter = ALPHABET.get(usize::from(byte) % ALPHABET.len());
            if let (0..248, Some(letter)) = (byte, letter) {
                text.push(char::from(*letter));
            }
        }
        Self(Secret::new(text))
    }

    /// Takes one that whoever starts the operation brought along.
    ///
    /// # Errors
    /// When it has fewer than 16 or more than 256 bytes, or is not ASCII.
    pub fn parse(text: Secret<String>) -> Result<Self, ParseError> {
        let given = text.expose();
        if given.is_ascii() && (OTP_BYTES_MIN..=OTP_BYTES_MAX).contains(&given.len()) {
            Ok(Self(text))
        } else {
            Err(ParseError::expected(
                "a one-time pad of 16 to 256 ASCII characters",
            ))
        }
    }

    /// The pad, for the answer to whoever starts the operation.
    #[must_use]
    pub const fn text(&self) -> &Secret<String> {
        &self.0
    }
}

impl fmt::Debug for Otp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Otp")
    }
}

/// What becomes of the root tokens that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlierRoots {
    /// They end once the new one is made.
    End,
    /// They stay.
    Stay,
}

/// Asks for a root token.
#[derive(Debug)]
pub struct RootTokenRequest {
    /// What the token will be combined with.
    pub otp: Otp,
    /// What becomes of earlier ones: part of what the holders agree to.
    pub earlier: EarlierRoots,
}

impl sealed::Sealed for RootTokenRequest {}

impl Operation for RootTokenRequest {
    const NAME: &'static str = "generate-root";
}

/// Evidence that one root token may be made.
#[derive(Debug)]
#[must_use]
pub struct RootTokenPermit {
    otp: Otp,
    earlier: EarlierRoots,
}

impl QuorumHeld<RootTokenRequest> {
    /// The permit, and nothing of the keys.
    pub fn permit(self) -> RootTokenPermit {
        RootTokenPermit {
            otp: self.operation.otp,
            earlier: self.operation.earlier,
        }
    }
}

impl RootTokenPermit {
    /// What becomes of earlier root tokens.
    #[must_use]
    pub const fn earlier(&self) -> EarlierRoots {
        self.earlier
    }

    /// The token combined with the pad by exclusive or, in base64 without padding: `encoded_token`.
    ///
    /// # Errors
    /// When the token has another length than the pad.
    pub fn encode(self, token: &Secret<String>) -> Result<String, SealFault> {
        let (token, otp) = (token.expose().as_bytes(), self.otp.0.expose().as_bytes());
        if token.len() != otp.len() {
            return Err(SealFault::OtpLength);
        }
        let combined: Vec<u8> = token.iter().zip(otp).map(|(one, two)| one ^ two).collect();
        let text = base64url::encode(&combined);
        Ok(text.replace('-', "+").replace('_', "/"))
    }
}
