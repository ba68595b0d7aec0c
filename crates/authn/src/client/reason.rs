//! Why a client is refused: one text for the caller (RFC 6749 §5.2), one for the log.

use super::AuthenticatedBy;
use crate::credential::Authorization;
use crate::trust::AssertionFault;
use http::StatusCode;

/// The log's reason. Variants in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientReason {
    /// `iat` or `nbf` lies too far ahead.
    AssertionAhead,
    /// The algorithm is not one of [`super::ASSERTION_ALGORITHMS`].
    AssertionAlgorithmNotAllowed,
    /// `aud` is not our issuer as one string.
    AssertionAudienceMismatch,
    /// No `exp`.
    AssertionExpMissing,
    /// `exp` is over.
    AssertionExpired,
    /// An assertion without its type, or a type without an assertion.
    AssertionIncomplete,
    /// No `jti`, an empty or an oversized one.
    AssertionJtiMissing,
    /// `exp` lies further ahead than a `jti` is remembered.
    AssertionLivesTooLong,
    /// Not a JWT, or one with a claim of the wrong type.
    AssertionMalformed,
    /// The signature holds under none of the client's keys.
    AssertionSignatureInvalid,
    /// `iss` and `sub` are not both the client.
    AssertionSubjectMismatch,
    /// `typ` is that of another kind of JWT.
    AssertionTypMismatch,
    /// Two `Authorization` headers, or one without the form of one.
    AuthorizationBroken,
    /// Credentials of the scheme `Basic` that do not decode.
    BasicMalformed,
    /// A registered certificate that has ended by its own word.
    CertificateExpired,
    /// A certificate that the client did not register.
    CertificateNotRegistered,
    /// A certificate without the name that the client registered.
    CertificateSubjectMismatch,
    /// No authority that the tenant trusts stands behind the certificate.
    CertificateUntrusted,
    /// The client is switched off.
    ClientDisabled,
    /// A client id that breaks its grammar.
    ClientIdMalformed,
    /// `client_id` names another client than the credential.
    ClientIdMismatch,
    /// There is no such client.
    ClientUnknown,
    /// What the workload's issuer gave it does not hold.
    Foreign(AssertionFault),
    /// The client is registered for another method.
    MethodNotRegistered,
    /// A method that does not exist here.
    MethodUnknown,
    /// No credential and no `client_id`.
    NoCredential,
    /// The secret is another one.
    SecretMismatch,
    /// Two methods at once.
    SeveralMethods,
}

impl ClientReason {
    /// The reason as the log names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssertionAhead => "assertion_ahead",
            Self::AssertionAlgorithmNotAllowed => "assertion_algorithm_not_allowed",
            Self::AssertionAudienceMismatch => "assertion_audience_mismatch",
            Self::AssertionExpMissing => "assertion_exp_missing",
            Self::AssertionExpired => "assertion_expired",
            Self::AssertionIncomplete => "assertion_incomplete",
            Self::AssertionJtiMissing => "assertion_jti_missing",
            Self::AssertionLivesTooLong => "assertion_lives_too_long",
            Self::AssertionMalformed => "assertion_malformed",
            Self::AssertionSignatureInvalid => "assertion_signature_invalid",
            Self::AssertionSubjectMismatch => "assertion_subject_mismatch",
            Self::AssertionTypMismatch => "assertion_typ_mismatch",
            Self::AuthorizationBroken => "authorization_broken",
            Self::BasicMalformed => "basic_malformed",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotRegistered => "certificate_not_registered",
            Self::CertificateSubjectMismatch => "certificate_subject_mismatch",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::ClientDisabled => "client_disabled",
            Self::ClientIdMalformed => "client_id_malformed",
            Self::ClientIdMismatch => "client_id_mismatch",
            Self::ClientUnknown => "client_unknown",
            Self::Foreign(fault) => fault.as_str(),
            Self::MethodNotRegistered => "method_not_registered",
            Self::MethodUnknown => "method_unknown",
            Self::NoCredential => "no_credential",
            Self::SecretMismatch => "secret_mismatch",
            Self::SeveralMethods => "several_methods",
        }
    }

    /// The code that the caller sees (RFC 6749 §5.2). All that could tell an unknown client from a wrong credential is `invalid_client`.
    #[must_use]
    pub const fn error(self) -> &'static str {
        match self {
            Self::AssertionIncomplete | Self::SeveralMethods => "invalid_request",
            Self::AssertionAhead
            | Self::AssertionAlgorithmNotAllowed
            | Self::AssertionAudienceMismatch
            | Self::AssertionExpMissing
            | Self::AssertionExpired
            | Self::AssertionJtiMissing
            | Self::AssertionLivesTooLong
            | Self::AssertionMalformed
            | Self::AssertionSignatureInvalid
            | Self::AssertionSubjectMismatch
            | Self::AssertionTypMismatch
            | Self::AuthorizationBroken
            | Self::BasicMalformed
            | Self::CertificateExpired
            | Self::CertificateNotRegistered
            | Self::CertificateSubjectMismatch
            | Self::CertificateUntrusted
            | Self::ClientDisabled
            | Self::ClientIdMalformed
            | Self::ClientIdMismatch
            | Self::ClientUnknown
            | Self::Foreign(_)
            | Self::MethodNotRegistered
            | Self::MethodUnknown
            | Self::NoCredential
            | Self::SecretMismatch => "invalid_client",
        }
    }
}

/// A refused client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", .reason.as_str())]
pub struct ClientRefusal {
    reason: ClientReason,
    by_header: bool,
}

impl ClientRefusal {
    pub(super) const fn new(reason: ClientReason, authorization: &Authorization<'_>) -> Self {
        Self {
            reason,
            by_header: !matches!(authorization, Authorization::Absent),
        }
    }

    pub(super) const fn of(reason: ClientReason, method: AuthenticatedBy) -> Self {
        Self {
            reason,
            by_header: matches!(method, AuthenticatedBy::ClientSecretBasic),
        }
    }

    /// The log's reason.
    #[must_use]
    pub const fn reason(&self) -> ClientReason {
        self.reason
    }

    /// The caller's code.
    #[must_use]
    pub const fn error(&self) -> &'static str {
        self.reason.error()
    }

    /// 401 for a client that is not authenticated, 400 for a request that is malformed.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        if self.error() == "invalid_client" {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        }
    }

    /// The value of `WWW-Authenticate`, due where the client used the header `Authorization` (RFC 6749 §5.2, R28).
    #[must_use]
    pub fn challenge(&self) -> Option<&'static str> {
        (self.by_header && self.error() == "invalid_client")
            .then_some("Basic realm=\"countersign\", charset=\"UTF-8\"")
    }
}
