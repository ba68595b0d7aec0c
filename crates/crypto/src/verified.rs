//! What was received, and what was received and checked.
//!
//! A [`Verified`] is made in this crate only, beside the check it stands for; no other crate can build one.

use crate::jose::SignatureHolds;
use std::fmt;
use std::ops::Deref;

/// Something that was parsed and is not yet believed. Its content comes out by verifying it, or through a name that says `danger`.
pub struct Unverified<T>(T);

impl<T> Unverified<T> {
    pub(crate) const fn new(inner: T) -> Self {
        Self(inner)
    }

    pub(crate) const fn inner(&self) -> &T {
        &self.0
    }

    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Unverified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unverified")
    }
}

/// Something whose origin was checked: a signature over it holds under the key that the caller named.
#[must_use]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The evidence is taken, so that none is used for two things.
    pub(crate) fn new(inner: T, _holds: SignatureHolds) -> Self {
        Self(inner)
    }

    /// The content.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verified")
    }
}
