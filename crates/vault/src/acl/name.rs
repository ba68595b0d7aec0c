//! Names of policies, in the one form in which they are stored, attached and compared.

use crate::error::VaultError;
use std::fmt;

const NAME_BYTES_MAX: usize = 128;

/// The name of a policy: letters in lower case, digits and `-_.:@+`. There is no second way to write one: letters in upper case are taken in lower case, and spaces,
/// other letters and what looks like them are refused, not removed (CVE-2025-5999, CVE-2025-64761).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyName(String);

impl PolicyName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds another character.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@+".contains(&byte);
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(VaultError::invalid(
                "the name of a policy holds letters a to z, digits and `-_.:@+`, 128 at most",
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Reads a name that a token may be given by anybody but a root token, or that a policy may be written under.
    ///
    /// # Errors
    /// When it is `root` in any spelling, or as [`PolicyName::parse`].
    pub fn parse_attachable(text: &str) -> Result<Self, VaultError> {
        let name = Self::parse(text)?;
        if name.is_root() {
            return Err(VaultError::invalid(
                "the policy `root` cannot be written or attached",
            ));
        }
        Ok(name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `root`, which is no policy but everything.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "root"
    }

    /// Whether it is `default`, which every token gets and which is there from the start.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == "default"
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
