//! Hashes of passwords as they are stored: our own, and those that other systems made and an import brought along.
//!
//! bcrypt (`$2a$`, `$2b$`, `$2y$`), PBKDF2 with SHA-256 or SHA-512 (RFC 8018; the PHC form, passlib's and Django's) and Argon2id of any cost within the bounds are
//! checked; none but Argon2id is ever made. What is weaker than today's cost says so ([`StoredHash::due`]), and whoever saw the password replaces it.
//!
//! What a hash may cost is bounded here, so that a foreign string cannot exhaust the process. bcrypt looks at no more than 72 bytes and many of its makers end at a
//! zero byte: a longer password, or one that holds one, does not match here instead of being cut. Nor does one that ends with a zero byte match PBKDF2.

use super::{
    Cost, PASSWORD_BYTES_MAX, PasswordDiffers, PasswordError, PasswordHash, PasswordMatched,
};
use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{NO_PAD, STANDARD, STANDARD_NO_PAD};
use countersign_base::Secret;
use std::fmt;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes of a stored hash that are looked at at all.
pub const STORED_BYTES_MAX: usize = 512;
/// The highest cost of bcrypt that is checked: 2^14 rounds, about a second.
const BCRYPT_COST_MAX: u32 = 14;
const BCRYPT_COST_MIN: u32 = 4;
/// Bytes of a password that bcrypt can take in.
const BCRYPT_PASSWORD_BYTES_MAX: usize = 72;
/// Iterations of PBKDF2 that are checked: more than any framework's default, about a second.
const PBKDF2_ITERATIONS_MAX: u32 = 2_000_000;
const PBKDF2_SALT_BYTES_MAX: usize = 64;
/// A shorter hash would be matched by too many passwords.
const PBKDF2_HASH_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// A stored hash of a password.
#[derive(Clone)]
pub struct StoredHash(Scheme);

#[derive(Clone)]
enum Scheme {
    Argon2id(PasswordHash),
    Bcrypt(Bcrypt),
    Pbkdf2(Pbkdf2),
}

#[derive(Clone)]
struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    hash: [u8; 23],
}

#[derive(Clone)]
struct Pbkdf2 {
    algorithm: pbkdf2::Algorithm,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// Whether a hash is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It costs what a new one costs, or more.
    No,
    /// It is weaker than a new one, or of another scheme.
    Yes,
}

impl StoredHash {
    /// Reads any of the forms.
    ///
    /// # Errors
    /// When it is none of them, or asks for more than the bounds.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        if text.len() > STORED_BYTES_MAX {
            return Err(PasswordError::Foreign);
        }
        let scheme = if text.starts_with("$argon2id$") {
            PasswordHash::parse(text).map(Scheme::Argon2id)?
        } else if text.starts_with("$2") {
            Bcrypt::parse(text).map(Scheme::Bcrypt)?
        } else {
            Pbkdf2::parse(text).map(Scheme::Pbkdf2)?
        };
        Ok(Self(scheme))
    }

    /// Checks a password that somebody typed. Takes the full cost, whatever the answer, unless bcrypt cannot take the password in at all.
    ///
    /// # Errors
    /// When it is not the password this hash was made of.
    pub fn verify(&self, password: &Secret<String>) -> Result<PasswordMatched, PasswordDiffers> {
        let bytes = password.expose().as_bytes();
        if bytes.is_empty() || bytes.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordDiffers);
        }
        match &self.0 {
            Scheme::Argon2id(hash) => hash.verify(password),
            Scheme::Bcrypt(hash) => hash.verify(bytes),
            Scheme::Pbkdf2(hash) => hash.verify(bytes),
        }
    }

    /// Whether it should be replaced by one of this cost. Memory and passes are compared one by one: a hash that has more of one and less of the other is left as
    /// it is, because two equally good choices of OWASP's differ in just that way.
    #[must_use]
    pub const fn due(&self, cost: &Cost) -> Due {
        match &self.0 {
            Scheme::Argon2id(hash) => {
                let of = hash.cost();
                let weaker = of.memory_kib < cost.memory_kib && of.iterations <= cost.iterations
                    || of.memory_kib <= cost.memory_kib && of.iterations < cost.iterations;
                if weaker { Due::Yes } else { Due::No }
            }
            Scheme::Bcrypt(_) | Scheme::Pbkdf2(_) => Due::Yes,
        }
    }
}

impl From<PasswordHash> for StoredHash {
    fn from(hash: PasswordHash) -> Self {
        Self(Scheme::Argon2id(hash))
    }
}

/// The scheme alone.
impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Scheme::Argon2id(_) => "StoredHash(Argon2id)",
            Scheme::Bcrypt(_) => "StoredHash(bcrypt)",
            Scheme::Pbkdf2(_) => "StoredHash(PBKDF2)",
        })
    }
}

impl Bcrypt {
    /// `$2b$12$` and 53 characters of bcrypt's own base64: 16 bytes of salt and 23 of hash. `$2x$`, the mark of hashes with a flaw, is not among the forms.
    fn parse(text: &str) -> Result<Self, PasswordError> {
        let rest = ["$2a$", "$2b$", "$2y$"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .ok_or(PasswordError::Foreign)?;
        let (cost, encoded) = rest.split_once('$').ok_or(PasswordError::Foreign)?;
        let digits = cost.len() == 2 && cost.bytes().all(|digit| digit.is_ascii_digit());
        if !digits {
            return Err(PasswordError::Foreign);
        }
        let cost: u32 = cost.parse().map_err(|_| PasswordError::Foreign)?;
        let (salt, hash) = encoded.split_at_checked(22).ok_or(PasswordError::Foreign)?;
        let parsed = Self {
            cost,
            salt: bcrypt_bytes(salt)?,
            hash: bcrypt_bytes(hash)?,
        };
        if (BCRYPT_COST_MIN..=BCRYPT_COST_MAX).contains(&cost) {
            Ok(parsed)
        } else {
            Err(PasswordError::ForeignCost)
        }
    }

    fn verify(&self, password: &[u8]) -> Result<PasswordMatched, PasswordDiffers> {
        if password.len() > BCRYPT_PASSWORD_BYTES_MAX || password.contains(&0) {
            return Err(PasswordDiffers);
        }
        // What is hashed ends with a zero byte, unless the password fills all that there is room for.
        let mut terminated = Zeroizing::new(Vec::with_capacity(BCRYPT_PASSWORD_BYTES_MAX + 1));
        terminated.extend_from_slice(password);
        terminated.push(0);
        terminated.truncate(BCRYPT_PASSWORD_BYTES_MAX);
        let computed = bcrypt::bcrypt(self.cost, self.salt, &terminated);
        // The last of its 24 bytes is never written out.
        let (computed, _unwritten) = computed.split_at(self.hash.len());
        if bool::from(computed.ct_eq(&self.hash)) {
            Ok(PasswordMatched(()))
        } else {
            Err(PasswordDiffers)
        }
    }
}

fn bcrypt_bytes<const N: usize>(text: &str) -> Result<[u8; N], PasswordError> {
    const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
    let bytes = BCRYPT.decode(text).map_err(|_| PasswordError::Foreign)?;
    bytes.try_into().map_err(|_| PasswordError::Foreign)
}

impl Pbkdf2 {
    fn parse(text: &str) -> Result<Self, PasswordError> {
        let fields: Vec<&str> = text.split('$').collect();
        match fields.as_slice() {
            ["", "pbkdf2-sha256", cost, salt, hash] => {
                Self::modular(pbkdf2::PBKDF2_HMAC_SHA256, cost, salt, hash)
            }
            ["", "pbkdf2-sha512", cost, salt, hash] => {
                Self::modular(pbkdf2::PBKDF2_HMAC_SHA512, cost, salt, hash)
            }
            // Django writes the salt as it is.
            ["pbkdf2_sha256", cost, salt, hash] => Self::bounded(
                pbkdf2::PBKDF2_HMAC_SHA256,
                number(cost)?,
                salt.as_bytes().to_vec(),
                STANDARD.decode(hash).map_err(|_| PasswordError::Foreign)?,
            ),
            _ => Err(PasswordError::Foreign),
        }
    }

    /// The PHC form says `i=600000,l=32`; passlib says `600000` and writes `.` for `+`.
    fn modular(
        algorithm: pbkdf2::Algorithm,
        cost: &str,
        salt: &str,
        hash: &str,
    ) -> Result<Self, PasswordError> {
        let (iterations, length) = match cost.strip_prefix("i=") {
            None => (number(cost)?, None),
            Some(rest) => match rest.split_once(",l=") {
                None => (number(rest)?, None),
                Some((iterations, length)) => (number(iterations)?, Some(number(length)?)),
            },
        };
        let decoded = |text: &str| {
            let standard = text.replace('.', "+");
            STANDARD_NO_PAD
                .decode(standard)
                .map_err(|_| PasswordError::Foreign)
        };
        let (salt, hash) = (decoded(salt)?, decoded(hash)?);
        if length.is_some_and(|length| u32::try_from(hash.len()) != Ok(length)) {
            return Err(PasswordError::Foreign);
        }
        Self::bounded(algorithm, iterations, salt, hash)
    }

    fn bounded(
        algorithm: pbkdf2::Algorithm,
        iterations: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    ) -> Result<Self, PasswordError> {
        let sized = (1..=PBKDF2_SALT_BYTES_MAX).contains(&salt.len())
            && PBKDF2_HASH_BYTES.contains(&hash.len());
        if !sized {
            return Err(PasswordError::Foreign);
        }
        match NonZeroU32::new(iterations) {
            Some(bounded) if iterations <= PBKDF2_ITERATIONS_MAX => Ok(Self {
                algorithm,
                iterations: bounded,
                salt,
                hash,
            }),
            Some(_) | None => Err(PasswordError::ForeignCost),
        }
    }

    fn verify(&self, password: &[u8]) -> Result<PasswordMatched, PasswordDiffers> {
        // HMAC fills its key up with zero bytes: one more at the end would be the same password.
        if password.last() == Some(&0) {
            return Err(PasswordDiffers);
        }
        let (algorithm, iterations) = (self.algorithm, self.iterations);
        // It compares in constant time.
        pbkdf2::verify(algorithm, iterations, &self.salt, password, &self.hash)
            .map(|()| PasswordMatched(()))
            .map_err(|_| PasswordDiffers)
    }
}

/// A number as it is written: no sign, no zero before it.
fn number(text: &str) -> Result<u32, PasswordError> {
    let canonical = text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(number) if canonical => Ok(number),
        // More digits than a number of 32 bits has are a cost, and too high a one.
        Err(_) if canonical && !text.is_empty() => Err(PasswordError::ForeignCost),
        Ok(_) | Err(_) => Err(PasswordError::Foreign),
    }
}

#[cfg(test)]
mod tests;
