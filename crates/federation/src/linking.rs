//! Which of our people an upstream identity is: the one whose account carries its link, or nobody yet (A53, A59).
//!
//! A link is made in two ways. Somebody who is signed in to their account by its primary factor, a moment ago, links an identity to it; or an identity that
//! nobody has gets an account of its own. No account is ever found by an e-mail address or a name: whoever may write those at a provider would own it.

use crate::id_token::{UpstreamIdentity, UpstreamSubject};
use crate::provider::{IssuerUrl, LinkingRule, MailDomain, ProviderName, ProviderRecord};
use countersign_base::{Duration, Tenant, UnixTime, UserId, Username};
use countersign_crypto::digest::sha256;
use serde::{Deserialize, Serialize};

/// How old the proof of the primary factor may be when a link is made or ended.
pub const PRIMARY_FACTOR_AGE_MAX: Duration = Duration::from_secs(600);

/// An identity that belongs to an account, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// The tenant of both.
    pub tenant: Tenant,
    /// The provider.
    pub provider: ProviderName,
    /// The issuer that it was when the link was made: the same name behind another issuer is somebody else.
    pub issuer: IssuerUrl,
    /// Who it is there.
    pub subject: UpstreamSubject,
    /// Whose account.
    pub user: UserId,
    /// How it came about.
    pub origin: LinkOrigin,
    /// When.
    pub linked: UnixTime,
}

impl LinkRecord {
    /// A link of this identity to this account.
    #[must_use]
    pub fn new(
        tenant: Tenant,
        identity: &UpstreamIdentity,
        user: UserId,
        origin: LinkOrigin,
        now: UnixTime,
    ) -> Self {
        Self {
            tenant,
            provider: identity.provider().clone(),
            issuer: identity.issuer().clone(),
            subject: identity.subject().clone(),
            user,
            origin,
            linked: now,
        }
    }
}

/// How a link came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkOrigin {
    /// The account was made for the identity.
    FirstSignIn,
    /// The person linked it to the account that they had.
    Person,
}

/// What a sign-in by an upstream identity comes to.
#[derive(Debug)]
pub enum SignIn {
    /// A new account of this name for it, if the name is free.
    Create(Username),
    /// It is this person.
    Known(UserId),
    /// Nobody, and nobody is made.
    Refused(LinkRefusal),
}

/// Why an identity signs nobody in, or is not linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefusal {
    /// It belongs to another account.
    #[error("the identity belongs to another account")]
    BelongsToAnother,
    /// It belongs to no account, and the provider's rule makes none.
    #[error("the identity belongs to no account")]
    NoLink,
    /// The person did not prove their primary factor a moment ago (A53).
    #[error("the account's primary factor was not proven a moment ago")]
    NoPrimaryFactor,
    /// Nobody links identities of this provider.
    #[error("identities of this provider are not linked")]
    NotAllowed,
}

impl LinkRefusal {
    /// The reason as records name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BelongsToAnother => "link_belongs_to_another",
            Self::NoLink => "link_unknown",
            Self::NoPrimaryFactor => "link_without_primary_factor",
            Self::NotAllowed => "link_not_allowed",
        }
    }
}

/// Who an identity signs in. `link` is what the store has for its issuer and subject.
#[must_use]
pub fn sign_in(
    provider: &ProviderRecord,
    identity: &UpstreamIdentity,
    link: Option<&LinkRecord>,
) -> SignIn {
    match (link, provider.linking) {
        (Some(link), _) if is_of(link, provider, identity) => SignIn::Known(link.user),
        (Some(_), _) | (None, LinkingRule::ExistingLinkOnly | LinkingRule::None) => {
            SignIn::Refused(LinkRefusal::NoLink)
        }
        (None, LinkingRule::Create) => SignIn::Create(new_username(provider, identity)),
    }
}

fn is_of(link: &LinkRecord, provider: &ProviderRecord, identity: &UpstreamIdentity) -> bool {
    link.tenant == provider.tenant
        && link.provider == provider.name
        && link.issuer == *identity.issuer()
        && link.subject == *identity.subject()
}

/// How a session proved who its person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionProof {
    /// By what belongs to the account itself: its password or a passkey.
    Primary,
    /// By anything else: another provider, or a second factor alone.
    Other,
}

/// Evidence that the person proved their account's primary factor a moment ago. Links are made and ended with it alone.
#[must_use]
#[derive(Debug, Clone, Copy)]
pub struct PrimaryFactor {
    user: UserId,
}

impl PrimaryFactor {
    /// Takes a session's proof for one.
    ///
    /// # Errors
    /// When it is none, or too old.
    pub fn of_session(
        user: UserId,
        proof: SessionProof,
        auth_time: UnixTime,
        now: UnixTime,
    ) -> Result<Self, LinkRefusal> {
        if proof == SessionProof::Primary && now.since(auth_time) <= PRIMARY_FACTOR_AGE_MAX {
            Ok(Self { user })
        } else {
            Err(LinkRefusal::NoPrimaryFactor)
        }
    }

    /// Whose.
    #[must_use]
    pub const fn user(self) -> UserId {
        self.user
    }
}

/// Links an identity to the account whose primary factor was proven. `link` is what the store has for its issuer and subject.
///
/// # Errors
/// When it belongs to another account, or nobody links identities of this provider.
pub fn link(
    provider: &ProviderRecord,
    identity: &UpstreamIdentity,
    link: Option<&LinkRecord>,
    proven: PrimaryFactor,
    now: UnixTime,
) -> Result<LinkRecord, LinkRefusal> {
    match (provider.linking, link) {
        (LinkingRule::None, _) => Err(LinkRefusal::NotAllowed),
        (LinkingRule::Create | LinkingRule::ExistingLinkOnly, Some(link))
            if link.user != proven.user =>
        {
            Err(LinkRefusal::BelongsToAnother)
        }
        (LinkingRule::Create | LinkingRule::ExistingLinkOnly, Some(_) | None) => {
            Ok(LinkRecord::new(
                provider.tenant.clone(),
                identity,
                proven.user,
                LinkOrigin::Person,
                now,
            ))
        }
    }
}

/// The name of an account that is made for an identity: its verified address if the provider speaks for that domain, otherwise a name that says nothing.
/// If the name is taken there is no account, and never the one that has it.
fn new_username(provider: &ProviderRecord, identity: &UpstreamIdentity) -> Username {
    let address = identity.verified_email().filter(|address| {
        MailDomain::of_address(address).is_some_and(|domain| provider.domains.contains(&domain))
    });
    let named = address.and_then(|address| address.to_ascii_lowercase().parse().ok());
    named.unwrap_or_else(|| {
        let digest =
            sha256(format!("{} {}", identity.issuer(), identity.subject().as_str()).as_bytes());
        let tail: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("{}.{tail}", provider.name);
        #[expect(
            clippy::expect_used,
            reason = "a provider's name, a dot and hexadecimal digits are a username"
        )]
        name.parse().expect("a username")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{NONCE, NOW, provider, signing_key};
    use crate::id_token::{Expected, IdToken};
    use crate::login::Freshness;
    use countersign_crypto::jose::{Algorithm, sign_jwt};
    use serde_json::json;

    const ALICE: UserId = UserId::from_bytes([1; 16]);
    const BOB: UserId = UserId::from_bytes([2; 16]);

    fn identity(subject: &str, email: &str) -> UpstreamIdentity {
        let key = signing_key(Algorithm::Es256, "corp-1");
        let claims = json!({
            "iss": "https://corp.example", "aud": "countersign", "sub": subject, "nonce": NONCE,
            "iat": NOW.0, "exp": NOW.0 + 300, "email": email, "email_verified": true,
        });
        let provider = provider();
        let expected = Expected {
            provider: &provider,
            nonce: NONCE,
            freshness: Freshness::Any,
            begun: NOW,
        };
        IdToken::parse(&sign_jwt(&key, &claims).unwrap(), &provider)
            .unwrap()
            .verify(&key.verifying_key().unwrap(), &expected, NOW)
            .unwrap()
    }

    fn ruled(linking: LinkingRule) -> ProviderRecord {
        ProviderRecord {
            linking,
            domains: ["corp.example".parse().unwrap()].into(),
            ..provider()
        }
    }

    fn linked(user: UserId) -> LinkRecord {
        LinkRecord::new(
            Tenant::default_tenant(),
            &identity("7", "bob@corp.example"),
            user,
            LinkOrigin::Person,
            NOW,
        )
    }

    #[test]
    fn a53_an_identity_signs_in_the_account_of_its_link_and_no_other() {
        let bob = identity("7", "bob@corp.example");
        for rule in [
            LinkingRule::None,
            LinkingRule::ExistingLinkOnly,
            LinkingRule::Create,
        ] {
            assert!(
                matches!(
                    sign_in(&ruled(rule), &bob, Some(&linked(BOB))),
                    SignIn::Known(BOB)
                ),
                "{rule:?}"
            );
            let mut moved = linked(BOB);
            moved.issuer = "https://moved.example".parse().unwrap();
            let other = identity("8", "bob@corp.example");
            for (identity, link) in [(&bob, &moved), (&other, &linked(BOB))] {
                assert!(
                    matches!(
                        sign_in(&ruled(rule), identity, Some(link)),
                        SignIn::Refused(LinkRefusal::NoLink)
                    ),
                    "{rule:?}"
                );
            }
        }
        for rule in [LinkingRule::None, LinkingRule::ExistingLinkOnly] {
            assert!(matches!(
                sign_in(&ruled(rule), &bob, None),
                SignIn::Refused(LinkRefusal::NoLink)
            ));
        }
    }

    #[test]
    fn a53_a_new_account_never_has_the_name_of_somebody_elses_choice() {
        let name = |provider: &ProviderRecord, identity: &UpstreamIdentity| match sign_in(
            provider, identity, None,
        ) {
            SignIn::Create(name) => name.to_string(),
            other => panic!("{other:?}"),
        };
        let create = ruled(LinkingRule::Create);
        assert_eq!(
            name(&create, &identity("7", "Bob@corp.example")),
            "bob@corp.example"
        );
        let foreign = name(&create, &identity("7", "admin@other.example"));
        assert!(
            foreign.starts_with("corp.") && foreign.len() == 21,
            "{foreign}"
        );
        assert_ne!(
            foreign,
            name(&create, &identity("8", "admin@other.example"))
        );
    }

    #[test]
    fn a53_a_link_needs_the_primary_factor_of_a_moment_ago() {
        let proof = |proof, age: u64| {
            PrimaryFactor::of_session(ALICE, proof, NOW.minus(Duration::from_secs(age)), NOW)
                .map(PrimaryFactor::user)
        };
        assert_eq!(proof(SessionProof::Primary, 600), Ok(ALICE), "the twin");
        assert_eq!(
            proof(SessionProof::Primary, 601),
            Err(LinkRefusal::NoPrimaryFactor)
        );
        assert_eq!(
            proof(SessionProof::Other, 0),
            Err(LinkRefusal::NoPrimaryFactor)
        );
    }

    #[test]
    fn a53_a_linked_identity_is_not_taken_from_its_account() {
        let proven = PrimaryFactor::of_session(ALICE, SessionProof::Primary, NOW, NOW).unwrap();
        let bob = identity("7", "alice@corp.example");
        let rule = ruled(LinkingRule::ExistingLinkOnly);
        assert_eq!(
            link(&rule, &bob, Some(&linked(BOB)), proven, NOW),
            Err(LinkRefusal::BelongsToAnother)
        );
        assert_eq!(
            link(&ruled(LinkingRule::None), &bob, None, proven, NOW),
            Err(LinkRefusal::NotAllowed)
        );
        let made = link(&rule, &bob, None, proven, NOW).unwrap();
        assert_eq!((made.user, made.subject.as_str()), (ALICE, "7"), "the twin");
    }
}
