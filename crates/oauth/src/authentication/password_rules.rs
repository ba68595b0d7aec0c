//! Which passwords may be chosen (NIST SP 800-63B §5.1.1.2): long enough, not too long to hash, not the username, not on a list of those that leaked.
//!
//! No rules of composition and no expiry: they make passwords worse. Not here: reading a list from a file, which is the shell's; nothing is asked over a network.

use countersign_base::{Secret, Username};
use countersign_crypto::digest::sha256;
use countersign_crypto::hotp::sha1_of_listed_password;
use countersign_crypto::password::PASSWORD_BYTES_MAX;
use std::collections::HashSet;
use std::fmt;

/// Why a password may not be chosen: the text is for whoever chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// It stands on a list of passwords that leaked.
    #[error("this password is on a list of known ones: choose another")]
    Known,
    /// It is longer than is hashed.
    #[error("the password is too long")]
    TooLong,
    /// It is shorter than the tenant allows.
    #[error("the password is too short: use at least {0} characters")]
    TooShort(u16),
    /// It is the username, or the username with little more.
    #[error("the password is too much like the username")]
    Username,
}

impl PasswordRefused {
    /// The reason as the log names it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Known => "password_known",
            Self::TooLong => "password_too_long",
            Self::TooShort(_) => "password_too_short",
            Self::Username => "password_like_username",
        }
    }
}

/// Says which passwords leaked: a list here, whatever an installation has elsewhere.
pub trait LeakedPasswords: Send + Sync {
    /// Whether this one did.
    fn contains(&self, password: &str) -> bool;
}

/// The rules of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordRules {
    length_min: u16,
}

/// A password that may be chosen.
#[must_use]
pub struct ChosenPassword(Secret<String>);

impl ChosenPassword {
    /// To be hashed.
    #[must_use]
    pub fn into_secret(self) -> Secret<String> {
        self.0
    }
}

impl fmt::Debug for ChosenPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChosenPassword")
    }
}

impl PasswordRules {
    /// Below this no tenant may go.
    pub const LENGTH_MIN: u16 = 8;

    /// The rules with a tenant's own least length.
    #[must_use]
    pub fn new(length_min: u16) -> Self {
        Self {
            length_min: length_min.max(Self::LENGTH_MIN),
        }
    }

    /// Characters, at least.
    #[must_use]
    pub const fn length_min(self) -> u16 {
        self.length_min
    }

    /// Judges a choice.
    ///
    /// # Errors
    /// It may not be chosen.
    pub fn check(
        self,
        chosen: Secret<String>,
        username: &Username,
        leaked: &dyn LeakedPasswords,
    ) -> Result<ChosenPassword, PasswordRefused> {
        let text = chosen.expose();
        let characters = text.chars().count();
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordRefused::TooLong);
        }
        if characters < usize::from(self.length_min) {
            return Err(PasswordRefused::TooShort(self.length_min));
        }
        let (folded, name) = (text.to_lowercase(), username.as_str().to_lowercase());
        let around_the_name = folded.contains(&name)
            && characters < name.chars().count() + usize::from(Self::LENGTH_MIN) / 2;
        if around_the_name {
            return Err(PasswordRefused::Username);
        }
        if leaked.contains(text) {
            return Err(PasswordRefused::Known);
        }
        Ok(ChosenPassword(chosen))
    }
}

/// A list of passwords that leaked: words, or their hashes as such lists are published. Eight bytes an entry are kept.
#[derive(Default, Clone)]
pub struct BreachedPasswords {
    /// The first eight bytes of SHA-256 of each word in lower case, or of a listed SHA-256.
    sha256: HashSet<u64>,
    /// The first eight bytes of each listed SHA-1.
    sha1: HashSet<u64>,
}

impl BreachedPasswords {
    /// Reads a list: a line is a word, 40 hexadecimal digits of SHA-1 or 64 of SHA-256, with or without `:COUNT` behind it. Empty lines are skipped.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut list = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (hash, count) = line.split_once(':').unwrap_or((line, "0"));
            let counted = count.bytes().all(|byte| byte.is_ascii_digit());
            let hexadecimal = counted && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            let front = hash
                .get(..16)
                .and_then(|front| u64::from_str_radix(front, 16).ok());
            match (hexadecimal, hash.len(), front) {
                (true, 40, Some(front)) => _ = list.sha1.insert(front),
                (true, 64, Some(front)) => _ = list.sha256.insert(front),
                (_, _, _) => {
                    _ = list
                        .sha256
                        .insert(front_of(&sha256(line.to_lowercase().as_bytes())))
                }
            }
        }
        list
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sha1.len() + self.sha256.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl LeakedPasswords for BreachedPasswords {
    fn contains(&self, password: &str) -> bool {
        let folded = password.to_lowercase();
        [password, folded.as_str()].iter().any(|form| {
            let bytes = form.as_bytes();
            self.sha256.contains(&front_of(&sha256(bytes)))
                || (!self.sha1.is_empty()
                    && self
                        .sha1
                        .contains(&front_of(&sha1_of_listed_password(bytes))))
        })
    }
}

fn front_of(hash: &[u8]) -> u64 {
    hash.first_chunk::<8>()
        .map_or(0, |front| u64::from_be_bytes(*front))
}

impl fmt::Debug for BreachedPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BreachedPasswords({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, list: &str) -> Result<(), PasswordRefused> {
        let username = "alice".parse().unwrap();
        PasswordRules::new(0)
            .check(
                Secret::new(password.to_owned()),
                &username,
                &BreachedPasswords::read(list),
            )
            .map(drop)
    }

    #[test]
    fn length_is_the_only_rule_of_form() {
        assert_eq!(check("1234567", ""), Err(PasswordRefused::TooShort(8)));
        assert_eq!(check("12345678", ""), Ok(()), "the twin");
        assert_eq!(check("åäöåäöåä", ""), Ok(()), "characters, not bytes");
        assert_eq!(check(&"a".repeat(1025), ""), Err(PasswordRefused::TooLong));
        assert_eq!(check(&"a".repeat(1024), ""), Ok(()));
        assert!(
            PasswordRules::new(12)
                .check(
                    Secret::new("a".repeat(11)),
                    &"x".parse().unwrap(),
                    &BreachedPasswords::default()
                )
                .is_err()
        );
    }

    #[test]
    fn the_username_with_little_more_is_refused() {
        assert_eq!(check("Alice123", ""), Err(PasswordRefused::Username));
        assert_eq!(check("alice likes green tea", ""), Ok(()));
    }

    #[test]
    fn listed_passwords_are_refused_whatever_form_the_list_has() {
        let sha1 = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:9545824";
        let sha256 = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
        for list in ["password", "PassWord\n", sha1, sha256] {
            assert_eq!(
                check("password", list),
                Err(PasswordRefused::Known),
                "{list}"
            );
        }
        assert_eq!(check("Password", "password"), Err(PasswordRefused::Known));
        assert_eq!(check("password", "other words"), Ok(()), "the twin");
    }
}
