//! What the store keeps of a person's factors, and what of it policies and pages see.

use super::{AuthenticationMethod, achieved};
use countersign_authn::Acr;
use countersign_authn::webauthn::Credential;
use countersign_base::{Bounded, Tenant, UnixTime, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Passkeys of one person.
pub const PASSKEYS_MAX: u16 = 20;

/// A passkey of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyRecord {
    /// The tenant of the person.
    pub tenant: Tenant,
    /// Whose it is.
    pub user: UserId,
    /// What assertions are judged by.
    pub credential: Credential,
    /// What its owner calls it.
    pub name: Bounded<64>,
    /// When it was added.
    pub created: UnixTime,
    /// When it was last used.
    pub last_used: Option<UnixTime>,
}

/// Which second factors somebody has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecondFactors {
    /// Authenticator apps: none or one.
    pub totp: u16,
    /// Passkeys.
    pub passkeys: u16,
    /// Recovery codes that are left.
    pub recovery_codes: u16,
}

impl SecondFactors {
    /// Whether there is one that is meant for every day: recovery codes alone are none.
    #[must_use]
    pub const fn is_enrolled(self) -> bool {
        self.totp > 0 || self.passkeys > 0
    }

    /// The methods they could be used as.
    fn methods(self) -> impl Iterator<Item = AuthenticationMethod> {
        [
            (self.totp, AuthenticationMethod::Totp),
            (self.passkeys, AuthenticationMethod::Passkey),
            (self.recovery_codes, AuthenticationMethod::RecoveryCode),
        ]
        .into_iter()
        .filter_map(|(count, method)| (count > 0).then_some(method))
    }

    /// Those of them that would lift somebody who used `methods` to `wanted`.
    #[must_use]
    pub fn leading_to(
        self,
        wanted: Acr,
        methods: &BTreeSet<AuthenticationMethod>,
    ) -> BTreeSet<AuthenticationMethod> {
        self.methods()
            .filter(|method| {
                let mut together = methods.clone();
                together.insert(*method);
                achieved(&together).is_some_and(|acr| acr >= wanted)
            })
            .collect()
    }

    /// Their names, as policies see them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.methods().map(AuthenticationMethod::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthenticationMethod::{Passkey, Password, RecoveryCode, Totp};

    #[test]
    fn only_what_reaches_the_class_is_asked_for() {
        let all = SecondFactors {
            totp: 1,
            passkeys: 2,
            recovery_codes: 9,
        };
        let used = BTreeSet::from([Password]);
        assert_eq!(
            all.leading_to(Acr::TwoFactors, &used),
            BTreeSet::from([Passkey, RecoveryCode, Totp])
        );
        assert_eq!(
            all.leading_to(Acr::PhishingResistant, &used),
            BTreeSet::from([Passkey])
        );
        let app_only = SecondFactors {
            totp: 1,
            ..SecondFactors::default()
        };
        assert!(
            app_only
                .leading_to(Acr::PhishingResistant, &used)
                .is_empty()
        );
        assert!(app_only.is_enrolled() && !SecondFactors::default().is_enrolled());
    }
}
