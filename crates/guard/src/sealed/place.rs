//! Where a sealed value belongs: tenant and row beside the column that its type names, and the person whose key seals it.

use super::field::{Field, PerSubject, PerTenant};
use countersign_base::{Bounded, ParseError, Tenant, UserId};
use countersign_keys::Aad;
use serde::Serialize;
use std::fmt;
use std::marker::PhantomData;

/// Bytes of the key of one row.
pub const ROW_BYTES_MAX: usize = 255;

/// Whose data keys seal a field.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum KeyScope {
    /// The person whom a row is about.
    Subject,
    /// The tenant.
    Tenant,
}

/// The key of a row, as bytes after a letter for what they are, so that the number 49 and the text `1` are two rows.
#[derive(Clone, PartialEq, Eq)]
pub struct RowKey(Vec<u8>);

impl RowKey {
    /// A row named by bytes, such as the sixteen of a UUID.
    ///
    /// # Errors
    /// When there are none, or more than [`ROW_BYTES_MAX`].
    pub fn bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::tagged(b'b', bytes)
    }

    /// A row named by a number.
    #[must_use]
    pub fn number(number: i64) -> Self {
        Self([b"n".as_slice(), &number.to_be_bytes()].concat())
    }

    /// A row named by text.
    ///
    /// # Errors
    /// When it is empty, or longer than [`ROW_BYTES_MAX`] bytes.
    pub fn text(text: &str) -> Result<Self, ParseError> {
        Self::tagged(b't', text.as_bytes())
    }

    fn tagged(tag: u8, bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.is_empty() || bytes.len() > ROW_BYTES_MAX {
            return Err(ParseError::expected("the key of a row: 1 to 255 bytes"));
        }
        Ok(Self([&[tag], bytes].concat()))
    }
}

/// May be a person's number, so it is not shown.
impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowKey")
    }
}

/// The person whom data are about, as the service names them: a user id, a customer number. Not to be taken for the caller, who may be somebody else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataSubject(Bounded<128>);

impl DataSubject {
    /// The person of that name.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes or holds control characters.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Err(ParseError::expected(
                "the name of a person, which is not empty",
            ));
        }
        Bounded::parse(text).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A person of the issuer's, under the name that tokens give them.
impl TryFrom<UserId> for DataSubject {
    type Error = ParseError;

    fn try_from(user: UserId) -> Result<Self, ParseError> {
        Self::parse(&user.to_string())
    }
}

/// Names a person, so it is not shown.
impl fmt::Debug for DataSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataSubject")
    }
}

/// Whom a data key belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyOwner {
    /// The blind indexes of a tenant, whose root is kept as a data key is. It seals nothing.
    Indexes(Tenant),
    /// A person of a tenant.
    Subject(Tenant, DataSubject),
    /// A tenant.
    Tenant(Tenant),
}

impl KeyOwner {
    /// The tenant, also a person's.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        match self {
            Self::Indexes(tenant) | Self::Subject(tenant, _) | Self::Tenant(tenant) => tenant,
        }
    }

    /// The kind of owner, and the person where it is one.
    pub(super) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Indexes(_) => ("indexes", ""),
            Self::Subject(_, subject) => ("subject", subject.as_str()),
            Self::Tenant(_) => ("tenant", ""),
        }
    }
}

/// One row's value of the column `F`.
pub struct Place<F> {
    owner: KeyOwner,
    row: RowKey,
    field: PhantomData<fn() -> F>,
}

impl<F: Field<Keys = PerTenant>> Place<F> {
    /// In a row of a tenant.
    #[must_use]
    pub const fn in_tenant(tenant: Tenant, row: RowKey) -> Self {
        Self {
            owner: KeyOwner::Tenant(tenant),
            row,
            field: PhantomData,
        }
    }
}

impl<F: Field<Keys = PerSubject>> Place<F> {
    /// In a row of a tenant about a person.
    #[must_use]
    pub const fn about(tenant: Tenant, subject: DataSubject, row: RowKey) -> Self {
        Self {
            owner: KeyOwner::Subject(tenant, subject),
            row,
            field: PhantomData,
        }
    }
}

impl<F: Field> Place<F> {
    /// Whose key seals it.
    #[must_use]
    pub const fn owner(&self) -> &KeyOwner {
        &self.owner
    }

    /// What the envelope is bound to (docs/formats/envelope.md, "one column of one row").
    pub(super) fn aad(&self) -> Aad {
        Aad::row(self.owner.tenant(), F::TABLE, F::COLUMN, &self.row.0)
    }
}

impl<F> Clone for Place<F> {
    fn clone(&self) -> Self {
        Self {
            owner: self.owner.clone(),
            row: self.row.clone(),
            field: PhantomData,
        }
    }
}

impl<F: Field> fmt::Debug for Place<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({}.{})", F::TABLE, F::COLUMN)
    }
}
