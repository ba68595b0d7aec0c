//! Which column a sealed value belongs to, as a type, and what may be done with it, as that type's constants.
//!
//! Field types are what `#[derive(SealedFields)]` generates. A value sealed for one is of another Rust type than a value sealed for the next, and so are the permits
//! that open them: what belongs elsewhere does not compile.

use super::dictionary::FieldEntry;
use super::index::IndexPlan;
use super::mask::Mask;
use countersign_base::{Classification, Secret};
use std::fmt;
use std::marker::PhantomData;
use zeroize::Zeroize;

/// A column whose values are sealed.
pub trait Field: 'static {
    /// Whose keys seal it: [`PerTenant`] or [`PerSubject`].
    type Keys: Keys;
    /// What is sealed.
    type Value: FieldValue;
    /// How sensitive it is.
    const CLASSIFICATION: Classification;
    /// The column.
    const COLUMN: &'static str;
    /// The blind index, where there is one.
    const INDEX: Option<IndexPlan>;
    /// How it is shown to those who may not read it.
    const MASK: Mask;
    /// The purposes for which it may be opened. None means that nothing opens it.
    const PURPOSES: &'static [&'static str];
    /// The table.
    const TABLE: &'static str;
}

/// A struct with sealed columns; `#[derive(SealedFields)]` implements it.
pub trait SealedFields {
    /// Its entries of the data dictionary.
    fn entries() -> Vec<FieldEntry>;
}

/// Whose keys seal a field. Implemented by [`PerTenant`] and [`PerSubject`] alone.
pub trait Keys: closed::Closed {
    /// The same as a value.
    const SCOPE: super::KeyScope;
}

mod closed {
    pub trait Closed {}
}

/// Keys of the tenant: every row of a tenant under the tenant's data key.
pub enum PerTenant {}

/// Keys of persons: each row under the data key of the person whom it is about. Erasing that key makes all of a person's rows unreadable.
pub enum PerSubject {}

impl closed::Closed for PerTenant {}
impl closed::Closed for PerSubject {}

impl Keys for PerTenant {
    const SCOPE: super::KeyScope = super::KeyScope::Tenant;
}

impl Keys for PerSubject {
    const SCOPE: super::KeyScope = super::KeyScope::Subject;
}

/// What can be sealed: it is wiped when dropped, and has one form as bytes.
pub trait FieldValue: Zeroize + Sized {
    /// The bytes that are sealed. Equal values have equal bytes.
    fn write(&self) -> Secret<Vec<u8>>;

    /// The value of the bytes.
    ///
    /// # Errors
    /// When no value has these bytes.
    fn read(bytes: &[u8]) -> Result<Self, NotAValue>;

    /// The text that a mask is made of, where it is text.
    fn text(&self) -> Option<&str> {
        None
    }
}

/// The bytes are no value of the field's type: the type was changed after they were sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was sealed is no value of the field's type")]
pub struct NotAValue;

impl FieldValue for String {
    fn write(&self) -> Secret<Vec<u8>> {
        Secret::new(self.as_bytes().to_vec())
    }

    fn read(bytes: &[u8]) -> Result<Self, NotAValue> {
        std::str::from_utf8(bytes)
            .map(ToOwned::to_owned)
            .map_err(|_| NotAValue)
    }

    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl FieldValue for Vec<u8> {
    fn write(&self) -> Secret<Vec<u8>> {
        Secret::new(self.clone())
    }

    fn read(bytes: &[u8]) -> Result<Self, NotAValue> {
        Ok(bytes.to_vec())
    }
}

/// Eight bytes, big-endian: the length of the ciphertext does not tell small numbers from large ones.
impl FieldValue for i64 {
    fn write(&self) -> Secret<Vec<u8>> {
        Secret::new(self.to_be_bytes().to_vec())
    }

    fn read(bytes: &[u8]) -> Result<Self, NotAValue> {
        bytes
            .try_into()
            .map(Self::from_be_bytes)
            .map_err(|_| NotAValue)
    }
}

/// What a field is opened for: one of the purposes that its declaration lists, and of no other field.
pub struct Purpose<F> {
    name: &'static str,
    field: PhantomData<fn() -> F>,
}

impl<F: Field> Purpose<F> {
    /// The purpose of that name, if the field has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        F::PURPOSES
            .iter()
            .find(|stated| **stated == name)
            .map(|stated| Self::stated(stated))
    }

    /// For the derive macro, whose constants stand beside the list. A name that the list does not have is permitted by no rule.
    #[doc(hidden)]
    #[must_use]
    pub const fn stated(name: &'static str) -> Self {
        Self {
            name,
            field: PhantomData,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<F> Clone for Purpose<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Purpose<F> {}

impl<F> PartialEq for Purpose<F> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<F> Eq for Purpose<F> {}

impl<F> fmt::Debug for Purpose<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Purpose({})", self.name)
    }
}
