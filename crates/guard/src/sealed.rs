//! Sealed fields: values that are ciphertext in memory, in the database and in JSON, until somebody opens them with a permit for a purpose.
//!
//! ```
#![doc = include_str!("../tests/compile_pass/sealed_card.rs")]
//! ```
//!
//! What stands in `#[sealed(...)]`:
//!
//! | on | what | meaning |
//! |---|---|---|
//! | the struct | `table = "cards"` | the table; required |
//! | a field | `classification = "restricted"` | `internal`, `confidential` or `restricted`; required |
//! | a field | `purposes("chargeback", "dispute")` | what it may be opened for; without it, nothing opens it. Each becomes a constant: `CardPan::CHARGEBACK` |
//! | a field | `key = "subject"` | sealed under the key of the person whom the row is about; `tenant` unless you say otherwise |
//! | a field | `mask = "last4"` | shown as `•••• 1111`; `hidden` unless you say otherwise |
//! | a field | `blind_index(rows = 1_000_000, normalise = digits)` | rows are found by it; the number of rows of a tenant says how many bits |
//! | a field | `column = "pan_sealed"`, `value = Vec<u8>` | another column than the field's name, another type than `String` |
//!
//! The type named in `Sealed<CardPan>` is made by the macro. An envelope opens in its own tenant, table, column and row only; the type says table and column, the
//! [`Place`] says tenant and row. `docs/sealed-fields.md` says what each part gives away and what an attacker has.
//!
//! Not here: a record of what was opened, which the service writes beside its other records, and the deletion of rows: a blind index is not erased with a key.

mod cache;
mod dictionary;
mod field;
mod index;
mod keys;
mod mask;
#[cfg(doctest)]
mod misuse;
mod permit;
mod place;
#[cfg(feature = "sealed-sqlx")]
mod postgres;
mod rows;
mod value;

pub use countersign_base::{Classification, Secret};
pub use countersign_guard_derive::SealedFields;
pub use countersign_keys::{KeyId, KeyVersion};
pub use dictionary::{
    DICTIONARY_BYTES_MAX, DataDictionary, DictionaryError, EntryName, FIELDS_MAX, FieldEntry,
    IndexEntry, PURPOSES_MAX,
};
pub use field::{Field, FieldValue, Keys, NotAValue, PerSubject, PerTenant, Purpose, SealedFields};
pub use index::{BlindIndex, IndexPlan, IndexRoot, Indexed, NotAnIndex, digits, folded};
pub use keys::{
    CacheLimits, DataKeyError, DataKeySource, FieldKey, FieldKeys, OpenError, SealError,
};
pub use mask::{Mask, Masked};
pub use permit::{
    About, Denied, DeniedReason, Disclosure, MaskPermit, OpenPermit, PERMIT_LIFETIME,
    PermitMismatch, Reach,
};
pub use place::{DataSubject, KeyOwner, KeyScope, Place, ROW_BYTES_MAX, RowKey};
pub use rows::{KekWrapper, KeyRow, KeyRows, KeyWrapper, NewKey, WrappedKey, WrappedKeys};
pub use value::{NotSealed, Opened, Sealed, VALUE_BYTES_MAX};

#[cfg(test)]
mod fixtures;
