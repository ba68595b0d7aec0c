//! Why a registration is refused, and the code of RFC 7591 §3.2.2 for it.

use crate::client::RegistrationError;

/// A refusal of the registration endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationRefusal {
    /// The credential of the registration endpoint is missing, unknown or spent.
    #[error("credential refused")]
    Credential,
    /// A document that the metadata name cannot be had, or contradicts them (REG-2).
    #[error("document {0} refused")]
    Document(&'static str),
    /// As many clients have registered themselves as the tenant lets.
    #[error("too many clients registered themselves")]
    Full,
    /// An address on a host that the tenant does not list (REG-8).
    #[error("host not permitted")]
    Host,
    /// A member contradicts its grammar, another member, or what this server does.
    #[error("metadata member {0} refused")]
    Metadata(&'static str),
    /// Policy says no.
    #[error("denied by policy")]
    Policy,
    /// A redirect URI that nobody may register (REG-1, REG-4).
    #[error("redirect URI refused: {0}")]
    RedirectUri(RegistrationError),
    /// A software statement that cannot be read, has expired, or is missing where one is needed.
    #[error("software statement refused")]
    Statement,
    /// A software statement of nobody who is trusted.
    #[error("software statement of nobody who is trusted")]
    StatementUnapproved,
}

impl RegistrationRefusal {
    /// The value of the `error` member.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Credential => "invalid_token",
            Self::Document(_) | Self::Metadata(_) | Self::Policy => "invalid_client_metadata",
            // RFC 7591 has no code for it; this is RFC 6749's for a server that does not want to.
            Self::Full => "access_denied",
            Self::Host | Self::RedirectUri(_) => "invalid_redirect_uri",
            Self::Statement => "invalid_software_statement",
            Self::StatementUnapproved => "unapproved_software_statement",
        }
    }

    /// What the caller is told beside the code.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Credential => "the token is not valid here",
            Self::Document(name) | Self::Metadata(name) => name,
            Self::Full => "as many clients have registered themselves as are allowed here",
            Self::Host => "an address is on a host that is not permitted",
            Self::Policy => "a policy denies this registration",
            Self::RedirectUri(_) => {
                "use https without fragment; a native client may use http on loopback or a reversed domain name as scheme"
            }
            Self::Statement => "the software statement is missing, malformed or expired",
            Self::StatementUnapproved => "the software statement is of nobody who is trusted here",
        }
    }

    /// The reason as the log names it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Credential => "registration_credential",
            Self::Document(_) => "registration_document",
            Self::Full => "registration_full",
            Self::Host => "registration_host",
            Self::Metadata(_) => "registration_metadata",
            Self::Policy => "policy_denied",
            Self::RedirectUri(_) => "registration_redirect_uri",
            Self::Statement => "software_statement",
            Self::StatementUnapproved => "software_statement_unapproved",
        }
    }
}

impl From<RegistrationError> for RegistrationRefusal {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Fragment
            | RegistrationError::InsecureRedirectUri
            | RegistrationError::NoRedirectUri
            | RegistrationError::PrivateUseScheme
            | RegistrationError::UnsafeScheme
            | RegistrationError::Unparsable
            | RegistrationError::Userinfo => Self::RedirectUri(error),
            RegistrationError::LooksForeign
            | RegistrationError::LooksLikeDocument
            | RegistrationError::LooksLikeUser => Self::Metadata("client_id"),
            RegistrationError::WorkloadName => Self::Metadata("client_id"),
            RegistrationError::SessionUntold => {
                Self::Metadata("backchannel_logout_session_required")
            }
            RegistrationError::SectorUnclear => Self::Metadata("sector_identifier_uri"),
            RegistrationError::NoEncryptionKey | RegistrationError::NoRequestKeys => {
                Self::Metadata("jwks")
            }
            RegistrationError::ProfileAuthentication
            | RegistrationError::PublicBackchannelClient
            | RegistrationError::PublicServiceClient => {
                Self::Metadata("token_endpoint_auth_method")
            }
            RegistrationError::ProfileRedirectUri => Self::RedirectUri(error),
            RegistrationError::ProfileResponseMode => Self::Metadata("response_modes"),
            RegistrationError::RequestObjectAlgorithm => {
                Self::Metadata("request_object_signing_alg")
            }
            RegistrationError::CibaRulesWithoutGrant | RegistrationError::RefreshWithoutCode => {
                Self::Metadata("grant_types")
            }
        }
    }
}
