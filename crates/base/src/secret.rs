//! Values that must not leak: wiped when dropped, without `Debug`, `Serialize`, `PartialEq` and `Clone`.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret. There is one way to its content, [`Secret::expose`], so that every use can be found by searching for that word.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes `value` into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The content. Whoever calls this answers for where it goes.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Compares the content with `candidate` in a time that depends on the lengths alone.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.as_ref().ct_eq(candidate).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
