//! The data dictionary: which columns of a service are sealed, how sensitive each is, what opens it, and whose key it is under.
//!
//! A service writes its dictionary as JSON and publishes or exports it; `countersign data list` reads it. It names columns and no data.

use super::field::{Field, Keys as _, SealedFields};
use super::mask::Mask;
use super::place::KeyScope;
use countersign_base::{Classification, ParseError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Bytes of a dictionary that is read.
pub const DICTIONARY_BYTES_MAX: usize = 1024 * 1024;
/// Fields of a dictionary.
pub const FIELDS_MAX: usize = 10_000;
/// Purposes of a field.
pub const PURPOSES_MAX: usize = 64;

/// A column's or table's name in a dictionary, or a service's, or a purpose: 1 to 64 lower-case letters, digits, `_`, `-` or `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryName(Cow<'static, str>);

impl EntryName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that a declaration states; the derive macro checked it.
    const fn declared(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl TryFrom<String> for EntryName {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(Cow::Owned(text)))
        } else {
            Err(ParseError::expected(
                "a name: 1 to 64 lower-case letters, digits, `_`, `-` or `.`",
            ))
        }
    }
}

impl From<EntryName> for String {
    fn from(name: EntryName) -> Self {
        name.0.into_owned()
    }
}

/// A blind index in a dictionary: its bits, and for how many rows in a tenant they obey the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexEntry {
    /// The bits.
    pub bits: u32,
    /// Rows from which on the rule holds.
    pub rows_min: u64,
    /// Rows up to which it holds.
    pub rows_max: u64,
}

/// One sealed column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldEntry {
    /// The table.
    pub table: EntryName,
    /// The column.
    pub column: EntryName,
    /// How sensitive it is.
    pub classification: Classification,
    /// Whose keys seal it.
    pub key_scope: KeyScope,
    /// What it may be opened for.
    pub purposes: Vec<EntryName>,
    /// How it is shown.
    pub mask: Mask,
    /// The blind index, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_index: Option<IndexEntry>,
}

impl FieldEntry {
    /// The entry of a declared field.
    #[must_use]
    pub fn of<F: Field>() -> Self {
        let purposes = F::PURPOSES.iter().copied();
        Self {
            table: EntryName::declared(F::TABLE),
            column: EntryName::declared(F::COLUMN),
            classification: F::CLASSIFICATION,
            key_scope: F::Keys::SCOPE,
            purposes: purposes.map(EntryName::declared).collect(),
            mask: F::MASK,
            blind_index: F::INDEX.map(|plan| IndexEntry {
                bits: plan.bits(),
                rows_min: plan.rows_min(),
                rows_max: plan.rows_max(),
            }),
        }
    }
}

/// What a service seals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct DataDictionary {
    service: EntryName,
    fields: BTreeMap<(EntryName, EntryName), FieldEntry>,
}

/// As it stands in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    service: EntryName,
    fields: Vec<FieldEntry>,
}

impl DataDictionary {
    /// The empty dictionary of a service.
    #[must_use]
    pub const fn new(service: EntryName) -> Self {
        Self {
            service,
            fields: BTreeMap::new(),
        }
    }

    /// The same with the sealed columns of a struct.
    ///
    /// # Errors
    /// When a column is declared twice, or there are more than [`FIELDS_MAX`].
    pub fn with<T: SealedFields>(mut self) -> Result<Self, DictionaryError> {
        T::entries()
            .into_iter()
            .try_for_each(|entry| self.add(entry))?;
        Ok(self)
    }

    /// Reads what a service wrote.
    ///
    /// # Errors
    /// When it is longer than [`DICTIONARY_BYTES_MAX`] or not such a document.
    pub fn from_json(bytes: &[u8]) -> Result<Self, DictionaryError> {
        if bytes.len() > DICTIONARY_BYTES_MAX {
            return Err(DictionaryError::TooLong);
        }
        serde_json::from_slice(bytes).map_err(|error| DictionaryError::Json(error.to_string()))
    }

    /// The document, for publishing.
    ///
    /// # Errors
    /// Never for a dictionary; the type keeps the caller from assuming it.
    pub fn to_json(&self) -> Result<String, DictionaryError> {
        serde_json::to_string_pretty(self).map_err(|error| DictionaryError::Json(error.to_string()))
    }

    /// Whose dictionary it is.
    #[must_use]
    pub const fn service(&self) -> &EntryName {
        &self.service
    }

    /// The columns, by table and name.
    pub fn entries(&self) -> impl Iterator<Item = &FieldEntry> {
        self.fields.values()
    }

    fn add(&mut self, entry: FieldEntry) -> Result<(), DictionaryError> {
        let key = (entry.table.clone(), entry.column.clone());
        if self.fields.contains_key(&key) {
            let (table, column) = key;
            return Err(DictionaryError::Twice(
                table.as_str().to_owned(),
                column.as_str().to_owned(),
            ));
        }
        if self.fields.len() >= FIELDS_MAX || entry.purposes.len() > PURPOSES_MAX {
            return Err(DictionaryError::TooLong);
        }
        self.fields.insert(key, entry);
        Ok(())
    }
}

impl TryFrom<Written> for DataDictionary {
    type Error = DictionaryError;

    fn try_from(written: Written) -> Result<Self, DictionaryError> {
        let mut dictionary = Self::new(written.service);
        written
            .fields
            .into_iter()
            .try_for_each(|entry| dictionary.add(entry))?;
        Ok(dictionary)
    }
}

impl From<DataDictionary> for Written {
    fn from(dictionary: DataDictionary) -> Self {
        Self {
            service: dictionary.service,
            fields: dictionary.fields.into_values().collect(),
        }
    }
}

/// Why there is no dictionary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryError {
    /// It is not such a document.
    #[error("not a data dictionary: {0}")]
    Json(String),
    /// It has more of something than is read.
    #[error("the data dictionary is too long")]
    TooLong,
    /// A column is there twice.
    #[error("the column `{0}.{1}` is declared twice")]
    Twice(String, String),
}

#[cfg(test)]
mod tests;
