//! Where wrong codes of a person are counted (A62): under keyed hashes, so that the store names nobody.
//!
//! Here because two forgive them: the person with another password, and a configuration that declares one. Not here: the counting.

use crate::secrets::Secrets;
use countersign_base::{Tenant, UserId};
use countersign_crypto::mac::Tag;
use countersign_store::Write;

/// What is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuessedCode {
    /// A code of an app.
    App,
    /// A recovery code.
    Recovery,
}

impl GuessedCode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::App, Self::Recovery];

    /// As records name the factor.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::App => "totp",
            Self::Recovery => "recovery_codes",
        }
    }

    /// Where wrong ones of a person are counted: of a browser with a count of its own, or of all others together.
    #[must_use]
    pub fn place(
        self,
        secrets: &Secrets,
        tenant: &Tenant,
        user: UserId,
        browser: Option<&Tag>,
    ) -> Tag {
        let key = secrets.tenant_mac_key(tenant, "wrong-codes");
        let browser = browser.map_or(&b""[..], |browser| &browser.as_bytes()[..]);
        key.tag(self.name(), &[user.as_bytes(), browser])
    }
}

/// Forgets what all other browsers share, with the password that got them so far.
#[must_use]
pub fn forgotten(secrets: &Secrets, tenant: &Tenant, user: UserId) -> Vec<Write> {
    let places = GuessedCode::ALL.map(|code| code.place(secrets, tenant, user, None));
    places.into_iter().map(Write::ClearFailures).collect()
}
