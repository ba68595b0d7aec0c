//! The FAPI 2.0 Security Profile and its Message Signing as a switch: one table that says what they demand and where it is held.
//!
//! Most demands hold for everybody here; the table names them too, so that an auditor finds each clause in one place. A client is held to the stricter of
//! its own profile and its tenant's.

use crate::client::{ClientAuthentication, ClientRecord, Confidentiality, RegistrationError};
use crate::tenant::TenantRecord;
use countersign_authn::client::AuthenticatedBy;
use serde::{Deserialize, Serialize};

/// A profile, each stricter than the one before.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum SecurityProfile {
    /// OAuth 2.1 as it is served here.
    #[default]
    #[serde(rename = "standard")]
    Standard,
    /// FAPI 2.0 Security Profile.
    #[serde(rename = "fapi2")]
    Fapi2,
    /// FAPI 2.0 Message Signing on top: signed requests (JAR) and signed responses (JARM).
    #[serde(rename = "fapi2-message-signing")]
    Fapi2MessageSigning,
}

/// Something that a profile demands beyond what everybody is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Clients authenticate with a key or a certificate (R31).
    KeyAuthentication,
    /// Redirect URIs use `https`.
    HttpsRedirect,
    /// Authorization requests are pushed (R9).
    PushedRequest,
    /// A request names its redirect URI.
    RedirectUriNamed,
    /// Tokens are bound to a key (R47).
    SenderConstrained,
    /// Authorization requests are signed (JAR-15).
    SignedRequest,
    /// Authorization responses are signed.
    SignedResponse,
    /// Refresh tokens stay the same: they are bound to a key, and rotating them only loses clients their access.
    StableRefreshToken,
}

/// How a clause is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// By every client, whatever its profile.
    Always,
    /// From this profile on.
    From(SecurityProfile, Demand),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Clause {
    /// Where it stands.
    pub source: &'static str,
    /// What it says.
    pub statement: &'static str,
    /// How it is held.
    pub held: Held,
    /// The name of the place in the code that holds it.
    pub place: &'static str,
}

const fn always(source: &'static str, statement: &'static str, place: &'static str) -> Clause {
    Clause {
        source,
        statement,
        held: Held::Always,
        place,
    }
}

const fn from(
    profile: SecurityProfile,
    demand: Demand,
    source: &'static str,
    statement: &'static str,
    place: &'static str,
) -> Clause {
    Clause {
        source,
        statement,
        held: Held::From(profile, demand),
        place,
    }
}

use SecurityProfile::{Fapi2, Fapi2MessageSigning};

/// The methods in which a client shows that it holds a private key.
const KEY_METHODS: [&str; 3] = [
    "private_key_jwt",
    "self_signed_tls_client_auth",
    "tls_client_auth",
];

/// Everything that the profiles ask of an authorization server.
pub const CLAUSES: [Clause; 24] = [
    always(
        "SP 5.3.2.1",
        "metadata are published by discovery",
        "metadata",
    ),
    always(
        "SP 5.3.2.1",
        "the password grant does not exist",
        "client::GrantType",
    ),
    from(
        Fapi2,
        Demand::KeyAuthentication,
        "SP 5.3.2.1",
        "clients are confidential and authenticate with private_key_jwt or mutual TLS",
        "profile",
    ),
    from(
        Fapi2,
        Demand::SenderConstrained,
        "SP 5.3.2.1",
        "access tokens are bound to a key by DPoP or mutual TLS",
        "token",
    ),
    always(
        "SP 5.3.2.1",
        "there is no open redirector",
        "authorize::ReturnAddress",
    ),
    always(
        "SP 5.3.2.1",
        "the audience of an assertion is the issuer as one string",
        "authn::client",
    ),
    from(
        Fapi2,
        Demand::StableRefreshToken,
        "SP 5.3.2.1",
        "refresh tokens are not rotated",
        "token::refresh_token",
    ),
    always(
        "SP 5.3.2.1",
        "nonces of the server are supported with DPoP",
        "authn::dpop",
    ),
    always(
        "SP 5.3.2.1",
        "codes live for a minute at most",
        "base::limits",
    ),
    always(
        "SP 5.3.2.1",
        "a code can be bound to a DPoP key",
        "token::authorization_code",
    ),
    always(
        "SP 5.3.2.1",
        "iat and nbf may lie ten seconds ahead and no more than a minute",
        "base::limits",
    ),
    always(
        "SP 5.3.2.2",
        "only the code is a response type",
        "authorize",
    ),
    from(
        Fapi2,
        Demand::PushedRequest,
        "SP 5.3.2.2",
        "requests that were not pushed are refused",
        "authorize",
    ),
    always(
        "SP 5.3.2.2",
        "pushing needs client authentication",
        "api::identity",
    ),
    always("SP 5.3.2.2", "PKCE with S256 is required", "pkce"),
    from(
        Fapi2,
        Demand::RedirectUriNamed,
        "SP 5.3.2.2",
        "a pushed request names its redirect URI",
        "authorize",
    ),
    always(
        "SP 5.3.2.2",
        "every answer carries iss",
        "authorize::ReturnAddress",
    ),
    from(
        Fapi2,
        Demand::HttpsRedirect,
        "SP 5.3.2.2",
        "answers are not sent over unencrypted connections",
        "authorize::ReturnAddress",
    ),
    always(
        "SP 5.3.2.2",
        "a code is taken once",
        "token::authorization_code",
    ),
    always(
        "SP 5.3.2.2",
        "redirects are 303, never 307",
        "api::identity",
    ),
    always(
        "SP 5.3.2.2",
        "request URIs live under ten minutes",
        "base::limits",
    ),
    always(
        "SP 5.4",
        "PS256, ES256 and EdDSA only, RSA from 2048 bits, curves from 224",
        "authn::client",
    ),
    from(
        Fapi2MessageSigning,
        Demand::SignedRequest,
        "MS 5.3",
        "requests are signed request objects",
        "authorize::request_object",
    ),
    from(
        Fapi2MessageSigning,
        Demand::SignedResponse,
        "MS 5.4",
        "responses are signed JWTs",
        "authorize",
    ),
];

impl SecurityProfile {
    /// Every profile, the strictest last.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Fapi2, Self::Fapi2MessageSigning];

    /// What configuration and records call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Fapi2 => "fapi2",
            Self::Fapi2MessageSigning => "fapi2-message-signing",
        }
    }

    /// The profile of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The profile that a client is held to.
    #[must_use]
    pub fn of(client: &ClientRecord, tenant: &TenantRecord) -> Self {
        client.request_rules.profile.max(tenant.profile)
    }

    /// Whether it makes this demand.
    #[must_use]
    pub fn demands(self, demand: Demand) -> bool {
        CLAUSES.iter().any(|clause| match clause.held {
            Held::Always => false,
            Held::From(profile, demanded) => demanded == demand && self >= profile,
        })
    }

    /// Whether a client may authenticate in this way.
    #[must_use]
    pub fn admits(self, method: AuthenticatedBy) -> bool {
        // The operator's own process is none of a profile's clients; no request can be this.
        method == AuthenticatedBy::Configured || self.admits_name(method.name())
    }

    /// Whether the method of this name (RFC 8414 §2) may be used.
    #[must_use]
    pub fn admits_name(self, method: &str) -> bool {
        !self.demands(Demand::KeyAuthentication) || KEY_METHODS.contains(&method)
    }

    /// Checks a registration that names this profile: what could never work is refused when it is registered.
    ///
    /// # Errors
    /// The first thing in which the registration contradicts the profile.
    pub fn check(self, client: &ClientRecord) -> Result<(), RegistrationError> {
        let keyed = match &client.authentication {
            ClientAuthentication::Certificates { .. }
            | ClientAuthentication::Keys { .. }
            | ClientAuthentication::TlsSubject { .. } => true,
            ClientAuthentication::PostedSecret { .. }
            | ClientAuthentication::Public
            | ClientAuthentication::Secret { .. }
            | ClientAuthentication::Workload { .. } => false,
        };
        if self.demands(Demand::KeyAuthentication)
            && !(keyed && client.confidentiality() == Confidentiality::Confidential)
        {
            return Err(RegistrationError::ProfileAuthentication);
        }
        let https = |uri: &crate::redirect::RedirectUri| uri.as_str().starts_with("https://");
        if self.demands(Demand::HttpsRedirect) && !client.redirect_uris.iter().all(https) {
            return Err(RegistrationError::ProfileRedirectUri);
        }
        let signed = |mode: &crate::ResponseMode| mode.is_signed();
        let modes = &client.request_rules.response_modes;
        if self.demands(Demand::SignedResponse)
            && !client.redirect_uris.is_empty()
            && !modes.iter().any(signed)
        {
            return Err(RegistrationError::ProfileResponseMode);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
