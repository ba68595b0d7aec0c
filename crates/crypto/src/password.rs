//! Argon2id (RFC 9106): hashes of passwords that people choose, as PHC strings, and keys from passphrases.
//!
//! Only what people choose is hashed this way; generated secrets of 128 bits and more are kept as [`crate::mac`] tags. Hashing costs
//! tens of milliseconds and megabytes by design: callers run it on a bounded pool. Hashes that other systems made are in [`StoredHash`].

mod stored;

pub use stored::{Due, STORED_BYTES_MAX, StoredHash};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use countersign_base::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of a password or passphrase that is looked at at all.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Memory that a stored hash may ask for, so that a foreign string cannot exhaust the process.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const ITERATIONS_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Memory in KiB (`m`).
    pub memory_kib: u32,
    /// Passes over it (`t`).
    pub iterations: u32,
    /// Parallel lanes (`p`).
    pub lanes: u32,
}

impl Cost {
    /// The minimum that OWASP recommends for passwords of a sign-in page: 19 MiB, two passes.
    #[must_use]
    pub const fn owasp() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            lanes: 1,
        }
    }

    /// For a passphrase that is typed once at start: 64 MiB, three passes (RFC 9106 §4, second recommendation with one lane).
    #[must_use]
    pub const fn passphrase() -> Self {
        Self {
            memory_kib: 65_536,
            iterations: 3,
            lanes: 1,
        }
    }

    /// As cheap as Argon2 allows. For tests: it protects nothing.
    #[must_use]
    pub const fn for_tests() -> Self {
        Self {
            memory_kib: 8,
            iterations: 1,
            lanes: 1,
        }
    }

    fn hasher(self) -> Result<Argon2<'static>, PasswordError> {
        let bounded = self.memory_kib <= MEMORY_KIB_MAX
            && self.iterations <= ITERATIONS_MAX
            && self.lanes <= LANES_MAX;
        let params = Params::new(self.memory_kib, self.iterations, self.lanes, Some(32))
            .map_err(|_| PasswordError::Cost)?;
        if bounded {
            Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
        } else {
            Err(PasswordError::Cost)
        }
    }
}

/// 32 bytes derived from `password` by Argon2id.
///
/// # Errors
/// When `password` is empty or longer than [`PASSWORD_BYTES_MAX`], or `cost` is outside the bounds.
pub fn derive_key(
    password: &Secret<String>,
    salt: &[u8; 16],
    cost: &Cost,
) -> Result<Secret<[u8; 32]>, PasswordError> {
    let password = password.expose().as_bytes();
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::Length);
    }
    let mut key = [0; 32];
    cost.hasher()?
        .hash_password_into(password, salt, &mut key)
        .map_err(|_| PasswordError::Cost)?;
    Ok(Secret::new(key))
}

/// The hash of a password, with its salt and cost: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, salt of 16 and hash of 32 bytes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash {
    cost: Cost,
    salt: [u8; 16],
    hash: [u8; 32],
}

impl PasswordHash {
    /// Hashes a new password. `salt` comes fresh from the provider.
    ///
    /// # Errors
    /// When `password` is empty or longer than [`PASSWORD_BYTES_MAX`], or `cost` is outside the bounds.
    pub fn create(
        password: &Secret<String>,
        salt: [u8; 16],
        cost: &Cost,
    ) -> Result<Self, PasswordError> {
        Ok(Self {
            cost: *cost,
            salt,
            hash: *derive_key(password, &salt, cost)?.expose(),
        })
    }

    /// A hash that no password matches, for a sign-in under a name that nobody has: checking it costs what checking any other costs.
    #[must_use]
    pub const fn of_nobody(cost: &Cost) -> Self {
        Self {
            cost: *cost,
            salt: [0; 16],
            hash: [0; 32],
        }
    }

    /// Reads the PHC form.
    ///
    /// # Errors
    /// When `text` is not Argon2id version 19 with a salt of 16 and a hash of 32 bytes, or asks for more than the bounds.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let mut fields = text.split('$');
        if fields.next() != Some("")
            || fields.next() != Some("argon2id")
            || fields.next() != Some("v=19")
        {
            return Err(PasswordError::Format);
        }
        let (Some(cost), Some(salt), Some(hash), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(PasswordError::Format);
        };
        let cost = parse_cost(cost)?;
        cost.hasher()?;
        Ok(Self {
            cost,
            salt: bytes(salt)?,
            hash: bytes(hash)?,
        })
    }

    /// What checking it costs; another cost than today's means it is due for a new hash at the next sign-in.
    #[must_use]
    pub const fn cost(&self) -> &Cost {
        &self.cost
    }

    /// Checks a password that somebody typed. Takes the full cost, whatever the answer.
    ///
    /// # Errors
    /// When it is not the password this hash was made of.
    pub fn verify(&self, password: &Secret<String>) -> Result<PasswordMatched, PasswordDiffers> {
        let hash = derive_key(password, &self.salt, &self.cost).map_err(|_| PasswordDiffers)?;
        let nobody = self.hash == [0; 32];
        if bool::from(hash.expose().ct_eq(&self.hash)) && !nobody {
            Ok(PasswordMatched(()))
        } else {
            Err(PasswordDiffers)
        }
    }
}

fn parse_cost(text: &str) -> Result<Cost, PasswordError> {
    let mut fields = text.split(',');
    let mut field = |name: &str| {
        let digits = fields
            .next()
            .and_then(|field| field.strip_prefix(name))
            .ok_or(PasswordError::Format)?;
        let canonical =
            digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
        if canonical {
            digits.parse().map_err(|_| PasswordError::Format)
        } else {
            Err(PasswordError::Format)
        }
    };
    let cost = Cost {
        memory_kib: field("m=")?,
        iterations: field("t=")?,
        lanes: field("p=")?,
    };
    if fields.next().is_some() {
        Err(PasswordError::Format)
    } else {
        Ok(cost)
    }
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], PasswordError> {
    let bytes = STANDARD_NO_PAD
        .decode(text)
        .map_err(|_| PasswordError::Format)?;
    bytes.try_into().map_err(|_| PasswordError::Format)
}

/// The PHC form, for storing.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost {
            memory_kib,
            iterations,
            lanes,
        } = self.cost;
        let (salt, hash) = (
            STANDARD_NO_PAD.encode(self.salt),
            STANDARD_NO_PAD.encode(self.hash),
        );
        write!(
            f,
            "$argon2id$v=19$m={memory_kib},t={iterations},p={lanes}${salt}${hash}"
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = PasswordError;

    fn try_from(text: String) -> Result<Self, PasswordError> {
        Self::parse(&text)
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.to_string()
    }
}

/// Evidence that a password was the right one.
#[derive(Debug)]
#[must_use]
pub struct PasswordMatched(());

/// The password is not the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password differs")]
pub struct PasswordDiffers;

/// Why a password cannot be hashed or a hash cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Memory, passes or lanes are outside the bounds.
    #[error(
        "the cost of the password hash is outside its bounds; take at most 1 GiB, 16 passes and 16 lanes"
    )]
    Cost,
    /// The text is none of the forms that an import may bring.
    #[error(
        "expected a password hash of Argon2id (`$argon2id$v=19$...`), bcrypt (`$2b$12$...`) or PBKDF2 (`$pbkdf2-sha256$...`, `pbkdf2_sha256$...`)"
    )]
    Foreign,
    /// An imported hash asks for more work than is done for one.
    #[error(
        "the cost of the password hash is outside its bounds; bcrypt may cost 4 to 14, PBKDF2 up to 2000000 iterations"
    )]
    ForeignCost,
    /// The text is not the PHC form described at [`PasswordHash`].
    #[error("expected a password hash of the form `$argon2id$v=19$m=...,t=...,p=...$SALT$HASH`")]
    Format,
    /// The password is empty or too long.
    #[error("expected a password of 1 to 1024 bytes")]
    Length,
}

#[cfg(test)]
mod tests;
