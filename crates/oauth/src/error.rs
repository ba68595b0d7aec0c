//! Why the protocol refuses, and the RFC's code for it: one enum, one exhaustive match.
//!
//! Each variant has two texts: [`OAuthError::description`] is the caller's, the `Display` form is the log's.

use crate::authorize::RequestObjectFlaw;

/// A refusal of the token, PAR, introspection, revocation or authorization endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// A nested `act` deeper than the limit (RFC 8693 §4.1).
    #[error("delegation chain too long")]
    ActorChainTooLong,
    /// The actor token's subject is not named by `may_act` or the client's registration (TX-8).
    #[error("actor not named by may_act or the registration")]
    ActorNotPermitted,
    /// `actor_token` broken, expired, revoked or of another type.
    #[error("actor token refused")]
    ActorTokenRefused,
    /// RFC 8628 §3.5, CIBA Core §11: the person has not answered yet.
    #[error("nobody has answered yet")]
    AuthorizationPending,
    /// Of a location that the client has no access to (RFC 9396 §5).
    #[error("authorization details name a location that is not an audience of the client")]
    AuthorizationDetailsLocation,
    /// Not the form of RFC 9396 §2.
    #[error("authorization details malformed")]
    AuthorizationDetailsMalformed,
    /// The registered schema does not permit the object.
    #[error("authorization details outside their schema")]
    AuthorizationDetailsSchema,
    /// Of a type that is not registered for the tenant or the client.
    #[error("authorization details of a type that is not registered")]
    AuthorizationDetailsType,
    /// RT-9.
    #[error("authorization details wider than the grant's")]
    AuthorizationDetailsWider,
    /// An assertion as a grant that does not hold (RFC 7523 §3.1), with the reason for the log.
    #[error("assertion refused: {0}")]
    AssertionRefused(&'static str),
    /// Its `jti` was used before.
    #[error("assertion used before")]
    AssertionReplayed,
    /// No such audience is registered for this client, or it is outside the grant (RT-8, TX-2).
    #[error("audience not permitted")]
    AudienceNotPermitted,
    /// More than one audience is registered and none was named.
    #[error("no audience named")]
    AudienceMissing,
    /// More than one `resource`, or `resource` and `audience` disagree.
    #[error("more than one audience named")]
    AudienceRepeated,
    /// CIBA-36.
    #[error("binding message cannot be shown")]
    BindingMessage,
    /// The demanded class of authentication cannot be reached (RFC 9470 §5).
    #[error("the demanded authentication cannot be met")]
    AuthenticationUnmet,
    /// The person said no.
    #[error("the person denied the request")]
    ConsentDenied,
    /// `prompt=none`, and the person would have to be asked.
    #[error("consent is needed and prompt is none")]
    ConsentRequired,
    /// The client is disabled or gone (RT-12).
    #[error("client disabled")]
    ClientDisabled,
    /// Client authentication failed.
    #[error("client authentication failed")]
    ClientUnauthenticated,
    /// CODE-5.
    #[error("code of another client")]
    CodeOfAnotherClient,
    /// CODE-4.
    #[error("code expired")]
    CodeExpired,
    /// CODE-1 to 3.
    #[error("code reused; its grant was revoked")]
    CodeReused,
    /// Never made, swept, or a handle of another kind (CODE-11).
    #[error("code unknown")]
    CodeUnknown,
    /// R24: another DPoP key than the one announced (DPOP-26, 27).
    #[error("proof by another key than dpop_jkt announced")]
    DpopKeyDiffers,
    /// A DPoP proof that does not hold (RFC 9449 §5).
    #[error("DPoP proof refused")]
    DpopProofRefused,
    /// A grant that ended by itself.
    #[error("grant expired")]
    GrantExpired,
    /// RT-14.
    #[error("grant revoked")]
    GrantRevoked,
    /// R26.
    #[error("grant type not registered for the client")]
    GrantTypeNotRegistered,
    /// No such grant.
    #[error("grant type unknown")]
    GrantTypeUnknown,
    /// CIBA Core §7.1: none of three hints.
    #[error("no hint whom to ask")]
    HintMissing,
    /// CIBA-2.
    #[error("more than one hint whom to ask")]
    HintsSeveral,
    /// R47.
    #[error("the client's tokens must be bound to a key and none was proven")]
    KeyRequired,
    /// RT-2, DPOP-29, 30.
    #[error("refresh token bound to another key")]
    KeyDiffers,
    /// Nobody is signed in and `prompt=none` forbids asking (AR-11).
    #[error("nobody is signed in and prompt is none")]
    LoginRequired,
    /// What only resource servers may read.
    #[error("the client serves no audience")]
    NotAResource,
    /// A parameter with a value outside its grammar or limits.
    #[error("parameter {0} malformed")]
    ParameterMalformed(&'static str),
    /// A parameter that must be there is not.
    #[error("parameter {0} missing")]
    ParameterMissing(&'static str),
    /// R29.
    #[error("parameter repeated")]
    ParameterRepeated,
    /// R7.
    #[error("PKCE method is not S256")]
    PkceMethod,
    /// CODE-6, 7.
    #[error("code verifier does not match")]
    PkceMismatch,
    /// CIBA-27.
    #[error("device code or auth_req_id expired")]
    PolledExpired,
    /// CIBA-26.
    #[error("device code or auth_req_id of another client")]
    PolledOfAnotherClient,
    /// DEV-1, CIBA-35.
    #[error("device code or auth_req_id reused; its grant was revoked")]
    PolledReused,
    /// Never made, swept, or a handle of another kind (DEV-5).
    #[error("device code or auth_req_id unknown")]
    PolledUnknown,
    /// The policy says no.
    #[error("denied by policy")]
    PolicyDenied,
    /// R31: the client's profile demands a key or a certificate.
    #[error("the profile demands authentication with a key or a certificate")]
    ProfileAuthentication,
    /// A public client asked for something that only an authenticated one may (TX-7).
    #[error("public client where client authentication is required")]
    PublicClient,
    /// R9.
    #[error("the client's requests must be pushed")]
    PushRequired,
    /// CODE-9.
    #[error("redirect_uri differs from the authorization request's")]
    RedirectUriDiffers,
    /// RT-10.
    #[error("refresh token expired")]
    RefreshExpired,
    /// RT-1.
    #[error("refresh token of another client")]
    RefreshOfAnotherClient,
    /// RT-4.
    #[error("refresh token reused; its family was revoked")]
    RefreshReused,
    /// Not of this tenant, forged, swept, or revoked.
    #[error("refresh token unknown or revoked")]
    RefreshUnknown,
    /// A request object of a client that has no keys to verify it with (AR-14).
    #[error("request object of a client without keys")]
    RequestObject,
    /// So many requests wait for this person that no more are taken.
    #[error("too many requests wait for this person")]
    RequestsWaiting,
    /// JAR-1 to 16.
    #[error("request object refused: {0}")]
    RequestObjectRefused(RequestObjectFlaw),
    /// `request_uri` expired (PAR-7).
    #[error("request_uri expired")]
    RequestUriExpired,
    /// Another client's (PAR-8).
    #[error("request_uri of another client")]
    RequestUriOfAnotherClient,
    /// Not one of ours: nothing is ever fetched (A42).
    #[error("request_uri unknown")]
    RequestUriUnknown,
    /// PAR-3.
    #[error("request_uri inside a pushed request")]
    RequestUriPushed,
    /// PAR-6, 9.
    #[error("request_uri used again")]
    RequestUriReused,
    /// AR-20.
    #[error("response mode not registered")]
    ResponseMode,
    /// AR-8, 9.
    #[error("response type other than code")]
    ResponseType,
    /// RT-7, TX-1, A34.
    #[error("scope not permitted")]
    ScopeNotPermitted,
    /// CIBA-3 to 18: the signature or a claim about it.
    #[error("signed request refused: {0}")]
    SignedRequest(&'static str),
    /// CIBA-28.
    #[error("polled too fast")]
    SlowDown,
    /// RT-15.
    #[error("session ended")]
    SessionEnded,
    /// JAR-15.
    #[error("the request must be signed and is not")]
    SignedRequestRequired,
    /// The requester is not the audience of the subject token (TX-7).
    #[error("subject token of another audience than the client serves")]
    SubjectAudience,
    /// Broken, expired, revoked or not ours (TX-10, 11).
    #[error("subject token refused")]
    SubjectTokenRefused,
    /// TX-6.
    #[error("subject token type unsupported")]
    TokenType,
    /// The server cannot answer now.
    #[error("temporarily unavailable")]
    Unavailable,
    /// RT-11.
    #[error("user disabled")]
    UserDisabled,
    /// CIBA Core §13: the hint names nobody.
    #[error("the hint names nobody")]
    UserUnknown,
}

/// An error code of RFC 6749, 6750, 8693, 8707, 9126, 9449 or OpenID Connect Core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// RFC 6749 §4.1.2.1.
    AccessDenied,
    /// RFC 8628 §3.5.
    AuthorizationPending,
    /// OpenID Connect Core §3.1.2.6.
    ConsentRequired,
    /// RFC 8628 §3.5.
    ExpiredToken,
    /// CIBA Core §13.
    InvalidBindingMessage,
    /// RFC 9396 §5.
    InvalidAuthorizationDetails,
    /// RFC 6749 §5.2.
    InvalidClient,
    /// RFC 9449 §5.
    InvalidDpopProof,
    /// RFC 6749 §5.2.
    InvalidGrant,
    /// RFC 6749 §5.2.
    InvalidRequest,
    /// RFC 9101 §7.
    InvalidRequestObject,
    /// OpenID Connect Core §3.1.2.6.
    InvalidRequestUri,
    /// RFC 6749 §5.2.
    InvalidScope,
    /// RFC 8707 §2.
    InvalidTarget,
    /// OpenID Connect Core §3.1.2.6.
    LoginRequired,
    /// OpenID Connect Core §3.1.2.6.
    RequestNotSupported,
    /// RFC 8628 §3.5.
    SlowDown,
    /// RFC 6749 §4.1.2.1.
    TemporarilyUnavailable,
    /// RFC 6749 §5.2.
    UnauthorizedClient,
    /// CIBA Core §13.
    UnknownUserId,
    /// OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
    UnmetAuthenticationRequirements,
    /// RFC 6749 §5.2.
    UnsupportedGrantType,
    /// RFC 6749 §4.1.2.1.
    UnsupportedResponseType,
}

impl ErrorCode {
    /// The value of the `error` member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::ConsentRequired => "consent_required",
            Self::ExpiredToken => "expired_token",
            Self::InvalidBindingMessage => "invalid_binding_message",
            Self::InvalidAuthorizationDetails => "invalid_authorization_details",
            Self::InvalidClient => "invalid_client",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::LoginRequired => "login_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::SlowDown => "slow_down",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnknownUserId => "unknown_user_id",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
        }
    }
}

impl OAuthError {
    /// The code that the caller is told.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one exhaustive match")]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::AuthorizationPending => ErrorCode::AuthorizationPending,
            Self::BindingMessage => ErrorCode::InvalidBindingMessage,
            Self::ConsentDenied | Self::PolicyDenied | Self::RequestsWaiting => {
                ErrorCode::AccessDenied
            }
            Self::PolledExpired => ErrorCode::ExpiredToken,
            Self::SlowDown => ErrorCode::SlowDown,
            Self::UserUnknown => ErrorCode::UnknownUserId,
            Self::AuthorizationDetailsLocation
            | Self::AuthorizationDetailsMalformed
            | Self::AuthorizationDetailsSchema
            | Self::AuthorizationDetailsType
            | Self::AuthorizationDetailsWider => ErrorCode::InvalidAuthorizationDetails,
            Self::AuthenticationUnmet => ErrorCode::UnmetAuthenticationRequirements,
            Self::ConsentRequired => ErrorCode::ConsentRequired,
            Self::LoginRequired => ErrorCode::LoginRequired,
            Self::ClientDisabled | Self::ClientUnauthenticated | Self::ProfileAuthentication => {
                ErrorCode::InvalidClient
            }
            Self::RequestObjectRefused(_) => ErrorCode::InvalidRequestObject,
            Self::DpopProofRefused | Self::KeyRequired => ErrorCode::InvalidDpopProof,
            Self::AssertionRefused(_)
            | Self::AssertionReplayed
            | Self::CodeOfAnotherClient
            | Self::CodeExpired
            | Self::CodeReused
            | Self::CodeUnknown
            | Self::DpopKeyDiffers
            | Self::GrantExpired
            | Self::GrantRevoked
            | Self::KeyDiffers
            | Self::PkceMismatch
            | Self::PolledOfAnotherClient
            | Self::PolledReused
            | Self::PolledUnknown
            | Self::RedirectUriDiffers
            | Self::RefreshExpired
            | Self::RefreshOfAnotherClient
            | Self::RefreshReused
            | Self::RefreshUnknown
            | Self::SessionEnded
            | Self::UserDisabled => ErrorCode::InvalidGrant,
            Self::ActorChainTooLong
            | Self::ActorNotPermitted
            | Self::ActorTokenRefused
            | Self::HintMissing
            | Self::HintsSeveral
            | Self::ParameterMalformed(_)
            | Self::ParameterMissing(_)
            | Self::ParameterRepeated
            | Self::PkceMethod
            | Self::PushRequired
            | Self::RequestUriPushed
            | Self::ResponseMode
            | Self::SignedRequest(_)
            | Self::SignedRequestRequired
            | Self::SubjectAudience
            | Self::SubjectTokenRefused
            | Self::TokenType => ErrorCode::InvalidRequest,
            Self::RequestUriExpired
            | Self::RequestUriOfAnotherClient
            | Self::RequestUriUnknown
            | Self::RequestUriReused => ErrorCode::InvalidRequestUri,
            Self::ScopeNotPermitted => ErrorCode::InvalidScope,
            Self::AudienceNotPermitted | Self::AudienceMissing | Self::AudienceRepeated => {
                ErrorCode::InvalidTarget
            }
            Self::RequestObject => ErrorCode::RequestNotSupported,
            Self::Unavailable => ErrorCode::TemporarilyUnavailable,
            Self::GrantTypeNotRegistered | Self::NotAResource | Self::PublicClient => {
                ErrorCode::UnauthorizedClient
            }
            Self::GrantTypeUnknown => ErrorCode::UnsupportedGrantType,
            Self::ResponseType => ErrorCode::UnsupportedResponseType,
        }
    }

    /// The reason as the log names it; the caller does not learn it.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one exhaustive match")]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ActorChainTooLong => "actor_chain_too_long",
            Self::ActorNotPermitted => "actor_not_permitted",
            Self::ActorTokenRefused => "actor_token_refused",
            Self::AuthorizationDetailsLocation => "authorization_details_location",
            Self::AuthorizationDetailsMalformed => "authorization_details_malformed",
            Self::AuthorizationDetailsSchema => "authorization_details_schema",
            Self::AuthorizationDetailsType => "authorization_details_type",
            Self::AuthorizationDetailsWider => "authorization_details_wider",
            Self::AssertionRefused(reason) => reason,
            Self::AssertionReplayed => "grant_assertion_replayed",
            Self::AudienceNotPermitted => "audience_not_permitted",
            Self::AuthorizationPending => "authorization_pending",
            Self::AudienceMissing => "audience_missing",
            Self::AudienceRepeated => "audience_repeated",
            Self::BindingMessage => "binding_message",
            Self::AuthenticationUnmet => "authentication_unmet",
            Self::ConsentDenied => "consent_denied",
            Self::ConsentRequired => "consent_required",
            Self::ClientDisabled => "client_disabled",
            Self::ClientUnauthenticated => "client_unauthenticated",
            Self::CodeOfAnotherClient => "code_of_another_client",
            Self::CodeExpired => "code_expired",
            Self::CodeReused => "code_reused",
            Self::CodeUnknown => "code_unknown",
            Self::DpopKeyDiffers => "dpop_key_differs",
            Self::DpopProofRefused => "dpop_proof_refused",
            Self::GrantExpired => "grant_expired",
            Self::GrantRevoked => "grant_revoked",
            Self::GrantTypeNotRegistered => "grant_type_not_registered",
            Self::GrantTypeUnknown => "grant_type_unknown",
            Self::HintMissing => "hint_missing",
            Self::HintsSeveral => "hints_several",
            Self::KeyRequired => "key_required",
            Self::KeyDiffers => "key_differs",
            Self::LoginRequired => "login_required",
            Self::NotAResource => "not_a_resource",
            Self::ParameterMalformed(_) => "parameter_malformed",
            Self::ParameterMissing(_) => "parameter_missing",
            Self::ParameterRepeated => "parameter_repeated",
            Self::PkceMethod => "pkce_method",
            Self::PkceMismatch => "pkce_mismatch",
            Self::PolicyDenied => "policy_denied",
            Self::PolledExpired => "polled_expired",
            Self::PolledOfAnotherClient => "polled_of_another_client",
            Self::PolledReused => "polled_reused",
            Self::PolledUnknown => "polled_unknown",
            Self::ProfileAuthentication => "profile_authentication",
            Self::PublicClient => "public_client",
            Self::PushRequired => "push_required",
            Self::RedirectUriDiffers => "redirect_uri_differs",
            Self::RefreshExpired => "refresh_expired",
            Self::RefreshOfAnotherClient => "refresh_of_another_client",
            Self::RefreshReused => "refresh_reused",
            Self::RefreshUnknown => "refresh_unknown",
            Self::RequestObject => "request_object",
            Self::RequestsWaiting => "requests_waiting",
            Self::RequestObjectRefused(flaw) => flaw.reason(),
            Self::RequestUriExpired => "request_uri_expired",
            Self::RequestUriOfAnotherClient => "request_uri_of_another_client",
            Self::RequestUriUnknown => "request_uri_unknown",
            Self::RequestUriPushed => "request_uri_pushed",
            Self::RequestUriReused => "request_uri_reused",
            Self::ResponseMode => "response_mode",
            Self::ResponseType => "response_type",
            Self::ScopeNotPermitted => "scope_not_permitted",
            Self::SessionEnded => "session_ended",
            Self::SignedRequest(reason) => reason,
            Self::SlowDown => "slow_down",
            Self::SignedRequestRequired => "signed_request_required",
            Self::SubjectAudience => "subject_audience",
            Self::SubjectTokenRefused => "subject_token_refused",
            Self::TokenType => "token_type",
            Self::Unavailable => "unavailable",
            Self::UserDisabled => "user_disabled",
            Self::UserUnknown => "user_unknown",
        }
    }

    /// What the caller is told beside the code: enough to correct a mistake, nothing about anybody else's values.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one exhaustive match")]
    pub const fn description(self) -> &'static str {
        match self {
            Self::ActorChainTooLong => "the chain of actors is too long",
            Self::ActorNotPermitted => "this actor may not act for this subject",
            Self::ActorTokenRefused => "the actor token is not valid",
            Self::AuthorizationDetailsLocation => {
                "a location of authorization_details is not available to this client"
            }
            Self::AuthorizationDetailsMalformed => {
                "authorization_details must be a JSON array of objects with a type"
            }
            Self::AuthorizationDetailsSchema => {
                "authorization_details do not have the form of their type"
            }
            Self::AuthorizationDetailsType => {
                "a type of authorization_details is not available to this client"
            }
            Self::AuthorizationDetailsWider => "authorization_details are not part of this grant",
            Self::AssertionRefused(_) | Self::AssertionReplayed => "the assertion is not valid",
            Self::AudienceMissing => "name the audience with the resource parameter",
            Self::AudienceNotPermitted => "this audience is not available to this client or grant",
            Self::AudienceRepeated => "name exactly one audience",
            Self::AuthorizationPending => "the person has not answered yet",
            Self::BindingMessage => "the binding message cannot be shown",
            Self::AuthenticationUnmet => "the demanded authentication cannot be met",
            Self::ConsentDenied => "the person denied the request",
            Self::ConsentRequired => "the person has to be asked",
            Self::ClientDisabled | Self::ClientUnauthenticated => "client authentication failed",
            Self::CodeOfAnotherClient
            | Self::CodeExpired
            | Self::CodeReused
            | Self::CodeUnknown => "the code is not valid",
            Self::DpopKeyDiffers => "the DPoP proof is by another key than dpop_jkt announced",
            Self::DpopProofRefused => "the DPoP proof is not valid",
            Self::GrantExpired | Self::GrantRevoked | Self::SessionEnded | Self::UserDisabled => {
                "the grant is not valid"
            }
            Self::GrantTypeNotRegistered => "the client is not registered for this grant type",
            Self::GrantTypeUnknown => "this grant type does not exist",
            Self::HintMissing => "name the person with id_token_hint or login_hint",
            Self::HintsSeveral => "send exactly one hint",
            Self::KeyRequired => "this client must prove a key: send a DPoP proof",
            Self::KeyDiffers => "the refresh token is bound to another key",
            Self::LoginRequired => "nobody is signed in",
            Self::NotAResource => "only a client that serves an audience may read this",
            Self::ParameterMalformed(name) | Self::ParameterMissing(name) => name,
            Self::ParameterRepeated => "a parameter is repeated",
            Self::PkceMethod => "code_challenge_method must be S256",
            Self::PkceMismatch => "the code verifier does not match",
            Self::PolicyDenied => "a policy denies this",
            Self::PolledExpired => "the request has expired",
            Self::PolledOfAnotherClient | Self::PolledReused | Self::PolledUnknown => {
                "the device code or auth_req_id is not valid"
            }
            Self::ProfileAuthentication => {
                "this client must authenticate with private_key_jwt or mutual TLS"
            }
            Self::PublicClient => "this needs client authentication",
            Self::PushRequired => "this client's authorization requests must be pushed (RFC 9126)",
            Self::RedirectUriDiffers => "redirect_uri differs from the authorization request's",
            Self::RefreshExpired
            | Self::RefreshOfAnotherClient
            | Self::RefreshReused
            | Self::RefreshUnknown => "the refresh token is not valid",
            Self::RequestsWaiting => "too many requests wait for this person",
            Self::RequestObject => "this client has no keys registered for request objects",
            Self::RequestObjectRefused(flaw) => flaw.description(),
            Self::RequestUriExpired
            | Self::RequestUriOfAnotherClient
            | Self::RequestUriUnknown
            | Self::RequestUriReused => "the request_uri is not valid",
            Self::RequestUriPushed => "request_uri must not be pushed",
            Self::ResponseMode => "this response mode is not supported",
            Self::ResponseType => "response_type must be code",
            Self::ScopeNotPermitted => "a requested scope is not available to this client or grant",
            Self::SignedRequest(_) => "the signed request is not valid",
            Self::SlowDown => "wait longer between two polls",
            Self::SignedRequestRequired => "send the request as a signed request object (RFC 9101)",
            Self::SubjectAudience => "the subject token is for another audience",
            Self::SubjectTokenRefused => "the subject token is not valid",
            Self::TokenType => "this token type is not supported here",
            Self::Unavailable => "try again later",
            Self::UserUnknown => "nobody is known by this hint",
        }
    }
}
