//! Blind indexes: finding rows by a sealed value without opening them.
//!
//! An index is a keyed hash (HMAC-SHA-256) of the normalised value, with a key of its own for each tenant, table and column, cut to a few bits. It lies in a column
//! beside the sealed one. Equal values have equal indexes; unequal ones now and then, too, so what is found is opened and compared ([`super::Opened::matches`]).
//!
//! What it gives away to whoever reads the column: which rows *may* be equal, and how often each index occurs. Cutting blurs both, by the rule of CipherSweet
//! (SECURITY.md): of R rows, C = R / 2^bits share an index by chance, and 2 <= C < sqrt(R) has to hold. A column of few distinct values (countries, birth years) gives
//! away its frequencies whatever the bits, and is better not indexed. Whoever has the index key can try values; the index key alone opens nothing.
//!
//! An index is not sealed under the subject's key, so erasing that key does not erase it: the rows are the service's own, and the index is deleted with them.

use super::field::{Field, FieldValue as _};
use countersign_base::{Secret, Tenant};
use countersign_crypto::kdf;
use countersign_crypto::mac::MacKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::marker::PhantomData;

/// What the index keys of HKDF's `info` begin with.
const INFO: &[u8] = b"countersign blind index";
/// The domain of the keyed hash.
const DOMAIN: &str = "blind index";
const BITS_MAX: u32 = 32;
const ROWS_MIN: u64 = 8;

/// How many bits an index has, and for how many rows that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexPlan {
    bits: u32,
}

impl IndexPlan {
    /// The bits for a table that grows to about `rows` rows in a tenant: about the fourth root of them share an index by chance.
    ///
    /// # Panics
    /// Where it is a constant, this does not compile: when `rows` is below 8, where no number of bits obeys the rule.
    #[must_use]
    pub const fn for_rows(rows: u64) -> Self {
        assert!(
            rows >= ROWS_MIN,
            "a blind index needs a table of at least 8 rows"
        );
        let bits = rows.ilog2() * 3 / 4;
        Self::of_bits(if bits < BITS_MAX { bits } else { BITS_MAX }, rows)
    }

    /// So many bits, for a table that grows to about `rows` rows in a tenant.
    ///
    /// # Panics
    /// Where it is a constant, this does not compile: when `2 <= rows / 2^bits < sqrt(rows)` does not hold.
    #[must_use]
    pub const fn of_bits(bits: u32, rows: u64) -> Self {
        assert!(
            bits >= 1 && bits <= BITS_MAX,
            "a blind index has 1 to 32 bits"
        );
        let plan = Self { bits };
        assert!(
            plan.rows_min() <= rows,
            "too many bits for so few rows: fewer than two rows would share an index by chance"
        );
        assert!(
            rows <= plan.rows_max(),
            "too few bits for so many rows: as many as the square root of the rows would share an index by chance"
        );
        plan
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// With fewer rows in a tenant, an index tells too much: 2 <= R / 2^bits does not hold.
    #[must_use]
    pub const fn rows_min(self) -> u64 {
        1 << (self.bits + 1)
    }

    /// With more rows in a tenant, an index finds too many: R / 2^bits < sqrt(R), which is R < 2^(2 bits), does not hold.
    #[must_use]
    pub const fn rows_max(self) -> u64 {
        match 1_u64.checked_shl(2 * self.bits) {
            Some(beyond) => beyond - 1,
            None => u64::MAX,
        }
    }
}

/// A field whose rows can be found by their value.
pub trait Indexed: Field {
    /// How many bits.
    const PLAN: IndexPlan;

    /// What is hashed: values that a search is to take for the same have to be the same here.
    fn normalise(value: &Self::Value) -> Secret<Vec<u8>> {
        value.write()
    }
}

/// The digits of a text, for numbers that people write with spaces and dashes.
#[must_use]
pub fn digits(text: &str) -> Secret<Vec<u8>> {
    // Of its full length at once: what grows leaves copies behind that nobody wipes.
    let mut digits = Vec::with_capacity(text.len());
    digits.extend(text.bytes().filter(u8::is_ascii_digit));
    Secret::new(digits)
}

/// A text without white space around it, in lower case, for mail addresses and names.
#[must_use]
pub fn folded(text: &str) -> Secret<Vec<u8>> {
    let lower = Secret::new(text.trim().to_lowercase());
    Secret::new(lower.expose().as_bytes().to_vec())
}

/// What a tenant's index keys are derived from. It outlives every rotation of data keys: an index is found by what is hashed today.
pub struct IndexRoot(Secret<[u8; 32]>);

impl IndexRoot {
    /// Takes 32 secret random bytes, which are not those of a data key.
    #[must_use]
    pub const fn new(secret: Secret<[u8; 32]>) -> Self {
        Self(secret)
    }

    /// The index of a value. The key is HKDF-SHA-256 of the root over tenant, table and column, none of which holds a zero byte.
    pub(super) fn index<F: Indexed>(&self, tenant: &Tenant, value: &F::Value) -> BlindIndex<F> {
        let parts = [
            INFO,
            b"\0",
            tenant.as_str().as_bytes(),
            b"\0",
            F::TABLE.as_bytes(),
            b"\0",
            F::COLUMN.as_bytes(),
        ];
        let key = MacKey::new(kdf::hkdf_sha256::<32>(self.0.expose(), &[], &parts));
        let tag = key.tag(DOMAIN, &[F::normalise(value).expose()]);
        let first = tag
            .as_bytes()
            .first_chunk()
            .map_or(0, |first| u32::from_be_bytes(*first));
        // The bits of a plan are 1 to 32, so there is always a shift below 32.
        let cut = first
            .checked_shr(BITS_MAX - F::PLAN.bits)
            .unwrap_or_default();
        BlindIndex::new(cut)
    }
}

impl fmt::Debug for IndexRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexRoot")
    }
}

/// What a row is found by. Equality is what it is for, and what it gives away.
pub struct BlindIndex<F> {
    value: u32,
    field: PhantomData<fn() -> F>,
}

impl<F> BlindIndex<F> {
    const fn new(value: u32) -> Self {
        Self {
            value,
            field: PhantomData,
        }
    }

    /// The number to store and to look for, in a column of type BIGINT.
    #[must_use]
    pub fn as_i64(&self) -> i64 {
        i64::from(self.value)
    }
}

impl<F: Indexed> BlindIndex<F> {
    /// Takes what was stored.
    ///
    /// # Errors
    /// When it is no number of the field's bits.
    pub fn from_i64(number: i64) -> Result<Self, NotAnIndex> {
        u32::try_from(number)
            .ok()
            .filter(|value| u64::from(*value) < 1_u64 << F::PLAN.bits)
            .map(Self::new)
            .ok_or(NotAnIndex)
    }
}

/// The number is no index of the field: the plan was changed after the rows were written, and they have to be indexed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the number is no blind index of the field; index the rows again after a change of its bits"
)]
pub struct NotAnIndex;

impl<F> Clone for BlindIndex<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for BlindIndex<F> {}

impl<F> PartialEq for BlindIndex<F> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<F> Eq for BlindIndex<F> {}

/// Two indexes in a log would say that two values are equal, so the number is not shown.
impl<F> fmt::Debug for BlindIndex<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindIndex")
    }
}

/// The number.
impl<F> Serialize for BlindIndex<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.value)
    }
}

impl<'de, F: Indexed> Deserialize<'de> for BlindIndex<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        Self::from_i64(number).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
