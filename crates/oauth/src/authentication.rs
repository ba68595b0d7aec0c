//! How people prove who they are (RFC 8176, `amr`), and which class of authentication that comes to (`acr`).
//!
//! The class is derived from what was really used, each time anew; nothing stores it and no client can name it. A class is satisfied by any stronger one.
//!
//! Not here: the checking of a password, a code or a passkey; those are `crypto`, [`crate::totp`] and `authn::webauthn`.

pub mod access;
pub mod password_rules;
pub mod records;
pub mod rules;

pub use access::{Access, Remedy, SignInAttempt, judge};
pub use countersign_authn::{Acr, AuthenticationDemand};
pub use password_rules::{
    BreachedPasswords, ChosenPassword, LeakedPasswords, PasswordRefused, PasswordRules,
};
pub use records::{PasskeyRecord, SecondFactors};
pub use rules::AuthenticationRules;

use countersign_authn::access_token::AccessTokenClaims;
use countersign_base::{Bounded, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One way of proving who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethod {
    /// Another provider vouched for them.
    Federated,
    /// A passkey that was touched, without its checking by whom.
    Passkey,
    /// A passkey that checked its user by a PIN or a body part.
    PasskeyUserVerified,
    /// A password.
    Password,
    /// One of the codes for the day when the others are lost.
    RecoveryCode,
    /// A code of an authenticator app (RFC 6238).
    Totp,
}

/// The kinds of factor: two methods of one kind are one factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Factor {
    /// What they know, or another provider's word.
    First,
    /// What they have.
    Possession,
}

impl AuthenticationMethod {
    /// Every method.
    pub const ALL: [Self; 6] = [
        Self::Federated,
        Self::Passkey,
        Self::PasskeyUserVerified,
        Self::Password,
        Self::RecoveryCode,
        Self::Totp,
    ];

    /// Its name in records and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Federated => "federated",
            Self::Passkey => "passkey",
            Self::PasskeyUserVerified => "passkey_user_verified",
            Self::Password => "password",
            Self::RecoveryCode => "recovery_code",
            Self::Totp => "totp",
        }
    }

    const fn factors(self) -> &'static [Factor] {
        match self {
            Self::Federated | Self::Password => &[Factor::First],
            Self::Passkey | Self::RecoveryCode | Self::Totp => &[Factor::Possession],
            Self::PasskeyUserVerified => &[Factor::First, Factor::Possession],
        }
    }

    const fn is_phishing_resistant(self) -> bool {
        match self {
            Self::Passkey | Self::PasskeyUserVerified => true,
            Self::Federated | Self::Password | Self::RecoveryCode | Self::Totp => false,
        }
    }

    /// Its values of RFC 8176 §2. There is none for another provider's word, and nothing tells a passkey in hardware from one in software without its
    /// maker's statement, which is not asked for.
    const fn references(self) -> &'static [&'static str] {
        match self {
            Self::Federated => &[],
            Self::Passkey => &["pop"],
            Self::PasskeyUserVerified => &["pop", "user"],
            Self::Password => &["pwd"],
            Self::RecoveryCode | Self::Totp => &["otp"],
        }
    }
}

/// The class that these methods come to together; none for none.
#[must_use]
pub fn achieved(methods: &BTreeSet<AuthenticationMethod>) -> Option<Acr> {
    let factors: BTreeSet<Factor> = methods
        .iter()
        .flat_map(|method| method.factors().iter().copied())
        .collect();
    let phishing_resistant = methods.iter().any(|method| method.is_phishing_resistant());
    match (factors.len(), phishing_resistant) {
        (0, _) => None,
        (1, _) => Some(Acr::OneFactor),
        (_, false) => Some(Acr::TwoFactors),
        (_, true) => Some(Acr::PhishingResistant),
    }
}

/// Authentication method references, as tokens carry them.
pub type AmrValues = BTreeSet<Bounded<64>>;

/// When and how somebody proved who they are: what tokens say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// When (`auth_time`).
    pub time: UnixTime,
    /// The class that was reached (`acr`).
    pub acr: Option<Acr>,
    /// How (`amr`).
    pub amr: AmrValues,
}

impl Authentication {
    /// What a sign-in by these methods comes to.
    #[must_use]
    pub fn of(methods: &BTreeSet<AuthenticationMethod>, time: UnixTime) -> Self {
        let acr = achieved(methods);
        let mut references: BTreeSet<&str> = methods
            .iter()
            .flat_map(|method| method.references().iter().copied())
            .collect();
        if acr.is_some_and(|acr| acr >= Acr::TwoFactors) {
            references.insert("mfa");
        }
        Self {
            time,
            acr,
            amr: references.into_iter().map(reference).collect(),
        }
    }

    /// A sign-in of which only the time is known.
    #[must_use]
    pub const fn untold(time: UnixTime) -> Self {
        Self {
            time,
            acr: None,
            amr: BTreeSet::new(),
        }
    }

    /// What a token of ours says, for one that is exchanged for it: neither stronger nor later than it says.
    #[must_use]
    pub fn told_by(claims: &AccessTokenClaims, time: UnixTime) -> Self {
        Self {
            time,
            acr: claims
                .acr
                .as_ref()
                .and_then(|acr| acr.as_str().parse().ok()),
            amr: claims.amr.clone(),
        }
    }

    /// The class as a claim.
    #[must_use]
    pub fn acr_claim(&self) -> Option<Bounded<128>> {
        self.acr.map(|acr| class(acr.as_str()))
    }
}

#[expect(
    clippy::expect_used,
    reason = "the values of `references` are short and printable"
)]
fn reference(value: &str) -> Bounded<64> {
    Bounded::parse(value).expect("a short printable value")
}

#[expect(
    clippy::expect_used,
    reason = "the values of `Acr` are short and printable"
)]
fn class(value: &str) -> Bounded<128> {
    Bounded::parse(value).expect("a short printable value")
}

#[cfg(test)]
mod tests;
