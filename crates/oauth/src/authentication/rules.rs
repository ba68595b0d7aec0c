//! What a tenant decides about its people's sign-in beside the policy: the shape of passwords, and how fresh a sign-in has to be for changes to an account.

use super::password_rules::PasswordRules;
use countersign_base::Duration;
use serde::{Deserialize, Serialize};

/// A tenant's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthenticationRules {
    /// Characters of a password, at least. Never below [`PasswordRules::LENGTH_MIN`].
    pub password_length_min: u16,
    /// Seconds after a sign-in in which somebody may change how they sign in.
    pub fresh_for: u32,
}

impl Default for AuthenticationRules {
    fn default() -> Self {
        Self {
            password_length_min: PasswordRules::LENGTH_MIN,
            fresh_for: FRESH_SECONDS,
        }
    }
}

/// The default of [`AuthenticationRules::fresh_for`].
const FRESH_SECONDS: u32 = 300;
/// The longest time after which a sign-in still counts as fresh.
pub const FRESH_SECONDS_MAX: u32 = 3600;

impl AuthenticationRules {
    /// The rules for passwords.
    #[must_use]
    pub fn passwords(&self) -> PasswordRules {
        PasswordRules::new(self.password_length_min)
    }

    /// How long a sign-in is fresh.
    #[must_use]
    pub fn fresh_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.fresh_for.min(FRESH_SECONDS_MAX)))
    }
}
