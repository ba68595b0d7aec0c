//! Why a request to a resource is refused: what the caller is told (RFC 6750 §3, RFC 9449 §7.1) and what the log keeps.

use crate::acr::AuthenticationDemand;
use crate::dpop::{DPOP_NONCE_HEADER, DpopReason, DpopRefusal, Nonce, PROOF_ALGORITHM_NAMES};
use crate::replay::Replayed;
use crate::resource::Binding;
use countersign_base::Scopes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::fmt;

/// The log's reason. Variants in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `act` is nested too deep.
    ActorsTooMany,
    /// The algorithm is not one that the issuer may use.
    AlgorithmNotAllowed,
    /// An API key from a network that it may not come from.
    ApiKeyNetwork,
    /// An API key, or what gives itself out as one, where none is taken, or in another field than the one they are taken in.
    ApiKeyNotTaken,
    /// The token is for somebody else, or for several.
    AudienceMismatch,
    /// Two `Authorization` headers, or one without the form of one.
    AuthorizationBroken,
    /// A token bound to a key or certificate is required.
    BindingRequired,
    /// A token bound to a key came with the scheme `Bearer`.
    BoundTokenAsBearer,
    /// The connection's certificate is another one than the token's.
    CertificateMismatch,
    /// The token is bound to a certificate and the connection has none.
    CertificateMissing,
    /// A claim has the wrong type or grammar.
    ClaimBroken,
    /// A claim that must be there is not.
    ClaimMissing,
    /// `cnf` has a member, or a number of members, that nobody here can check.
    ConfirmationUnknown,
    /// The proof of possession.
    Dpop(DpopReason),
    /// The sign-in behind the token is too weak or too long ago.
    InsufficientAuthentication,
    /// The token does not allow what the request needs.
    InsufficientScope,
    /// `iat` lies ahead.
    IssuedAhead,
    /// No trusted issuer has this name.
    IssuerUnknown,
    /// The issuer has no such key.
    KeyUnknown,
    /// The issuer's keys could not be had.
    KeysUnavailable,
    /// There is no credential.
    NoCredential,
    /// `nbf` lies ahead.
    NotYetValid,
    /// A proof came with a token that the scheme `Bearer` says needs none.
    ProofBesideBearer,
    /// The proof is by another key than the token's.
    ProofKeyMismatch,
    /// The token is bound to a key, or came with the scheme `DPoP`, and there is no proof.
    ProofMissing,
    /// A proof without a token.
    ProofWithoutToken,
    /// A one-time value was used before, or the memory of them is full.
    Replayed(Replayed),
    /// The table of revocations is too old to be relied on.
    RevocationsStale,
    /// The token, its grant, sign-in, client, tenant or person was revoked.
    Revoked,
    /// An authentication scheme that is not taken here.
    SchemeUnknown,
    /// The signature does not hold.
    SignatureInvalid,
    /// Whether a one-time value was used before cannot be told: the database does not answer.
    SpentUnknown,
    /// `exp` is over.
    TokenExpired,
    /// A token in the query string.
    TokenInQuery,
    /// Not a JWS in compact form, or one with header members that are refused.
    TokenMalformed,
    /// The scheme is `DPoP` and the token is not bound to a key.
    TokenNotBound,
    /// The token is longer than is read.
    TokenTooLong,
    /// No such opaque token.
    TokenUnknown,
    /// Two credentials in one request.
    TwoCredentials,
    /// `typ` is not that of an access token.
    TypMismatch,
    /// A cached verdict belongs to another token or to other rules.
    VerdictMismatch,
}

/// What a reason means to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// 401 with a challenge and no error, because there was no credential to err (RFC 6750 §3.1).
    Challenge,
    InsufficientAuthentication,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    Proof(&'static str),
    /// We cannot tell; it is no fault of the caller's.
    Unavailable,
}

impl Reason {
    /// The reason as the log names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActorsTooMany => "actors_too_many",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::ApiKeyNetwork => "api_key_network",
            Self::ApiKeyNotTaken => "api_key_not_taken",
            Self::AudienceMismatch => "audience_mismatch",
            Self::AuthorizationBroken => "authorization_broken",
            Self::BindingRequired => "binding_required",
            Self::BoundTokenAsBearer => "bound_token_as_bearer",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::CertificateMissing => "certificate_missing",
            Self::ClaimBroken => "claim_broken",
            Self::ClaimMissing => "claim_missing",
            Self::ConfirmationUnknown => "confirmation_unknown",
            Self::Dpop(reason) => reason.as_str(),
            Self::InsufficientAuthentication => "insufficient_user_authentication",
            Self::InsufficientScope => "insufficient_scope",
            Self::IssuedAhead => "issued_ahead",
            Self::IssuerUnknown => "issuer_unknown",
            Self::KeyUnknown => "key_unknown",
            Self::KeysUnavailable => "keys_unavailable",
            Self::NoCredential => "no_credential",
            Self::NotYetValid => "not_yet_valid",
            Self::ProofBesideBearer => "proof_beside_bearer",
            Self::ProofKeyMismatch => "proof_key_mismatch",
            Self::ProofMissing => "proof_missing",
            Self::ProofWithoutToken => "proof_without_token",
            Self::Replayed(Replayed::AlreadyUsed(_)) => "replayed",
            Self::Replayed(Replayed::Full(_)) => "replay_memory_full",
            Self::Replayed(Replayed::Stale(_)) => "one_time_value_stale",
            Self::RevocationsStale => "revocations_stale",
            Self::Revoked => "revoked",
            Self::SchemeUnknown => "scheme_unknown",
            Self::SignatureInvalid => "signature_invalid",
            Self::SpentUnknown => "spent_unknown",
            Self::TokenExpired => "token_expired",
            Self::TokenInQuery => "token_in_query",
            Self::TokenMalformed => "token_malformed",
            Self::TokenNotBound => "token_not_bound",
            Self::TokenTooLong => "token_too_long",
            Self::TokenUnknown => "token_unknown",
            Self::TwoCredentials => "two_credentials",
            Self::TypMismatch => "typ_mismatch",
            Self::VerdictMismatch => "verdict_mismatch",
        }
    }

    const fn answer(self) -> Answer {
        match self {
            Self::NoCredential | Self::SchemeUnknown => Answer::Challenge,
            Self::InsufficientAuthentication => Answer::InsufficientAuthentication,
            Self::InsufficientScope => Answer::InsufficientScope,
            Self::AuthorizationBroken
            | Self::ProofBesideBearer
            | Self::ProofWithoutToken
            | Self::TokenInQuery
            | Self::TwoCredentials => Answer::InvalidRequest,
            Self::Dpop(reason) => Answer::Proof(reason.error()),
            Self::ProofKeyMismatch | Self::ProofMissing | Self::Replayed(_) => {
                Answer::Proof("invalid_dpop_proof")
            }
            Self::KeysUnavailable
            | Self::RevocationsStale
            | Self::SpentUnknown
            | Self::VerdictMismatch => Answer::Unavailable,
            Self::ActorsTooMany
            | Self::AlgorithmNotAllowed
            | Self::ApiKeyNetwork
            | Self::ApiKeyNotTaken
            | Self::AudienceMismatch
            | Self::BindingRequired
            | Self::BoundTokenAsBearer
            | Self::CertificateMismatch
            | Self::CertificateMissing
            | Self::ClaimBroken
            | Self::ClaimMissing
            | Self::ConfirmationUnknown
            | Self::IssuedAhead
            | Self::IssuerUnknown
            | Self::KeyUnknown
            | Self::NotYetValid
            | Self::Revoked
            | Self::SignatureInvalid
            | Self::TokenExpired
            | Self::TokenMalformed
            | Self::TokenNotBound
            | Self::TokenTooLong
            | Self::TokenUnknown
            | Self::TypMismatch => Answer::InvalidToken,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    reason: Reason,
    nonce: Option<Nonce>,
    scopes: Scopes,
    demand: AuthenticationDemand,
}

/// What a challenge says about the resource.
#[derive(Debug, Clone, Copy)]
pub struct Challenge {
    /// Whether unbound tokens are taken, so that `Bearer` is offered.
    pub binding: Binding,
}

impl Refusal {
    pub(crate) const fn insufficient_scope(scopes: Scopes) -> Self {
        Self {
            reason: Reason::InsufficientScope,
            nonce: None,
            scopes,
            demand: AuthenticationDemand::NONE,
        }
    }

    /// The challenge to sign in as well, and as lately, as `demand` says (RFC 9470 §3).
    #[must_use]
    pub const fn insufficient_authentication(demand: AuthenticationDemand) -> Self {
        Self {
            reason: Reason::InsufficientAuthentication,
            nonce: None,
            scopes: Scopes::none(),
            demand,
        }
    }

    /// The log's reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.reason.answer() {
            Answer::Challenge
            | Answer::InsufficientAuthentication
            | Answer::InvalidToken
            | Answer::Proof(_) => StatusCode::UNAUTHORIZED,
            Answer::InsufficientScope => StatusCode::FORBIDDEN,
            Answer::InvalidRequest => StatusCode::BAD_REQUEST,
            Answer::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error code of the answer; none where no credential was sent, and none where the fault is ours.
    #[must_use]
    pub const fn error(&self) -> Option<&'static str> {
        match self.reason.answer() {
            Answer::Challenge | Answer::Unavailable => None,
            Answer::InsufficientAuthentication => Some("insufficient_user_authentication"),
            Answer::InsufficientScope => Some("insufficient_scope"),
            Answer::InvalidRequest => Some("invalid_request"),
            Answer::InvalidToken => Some("invalid_token"),
            Answer::Proof(error) => Some(error),
        }
    }

    /// The nonce for the header `DPoP-Nonce`.
    #[must_use]
    pub const fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// The values of `WWW-Authenticate`: one a scheme that this resource takes.
    #[must_use]
    pub fn challenges(&self, challenge: Challenge) -> Vec<HeaderValue> {
        let parameters = match self.reason.answer() {
            Answer::Unavailable => return Vec::new(),
            Answer::Challenge => String::new(),
            Answer::InsufficientAuthentication => step_up(self.demand),
            Answer::InsufficientScope => {
                format!("error=\"insufficient_scope\", scope=\"{}\"", self.scopes)
            }
            Answer::InvalidRequest => "error=\"invalid_request\"".to_owned(),
            Answer::InvalidToken => "error=\"invalid_token\"".to_owned(),
            Answer::Proof(error) => format!("error=\"{error}\""),
        };
        let comma = if parameters.is_empty() { "" } else { ", " };
        let dpop = format!("DPoP {parameters}{comma}algs=\"{PROOF_ALGORITHM_NAMES}\"");
        let bearer = match (challenge.binding, self.reason.answer()) {
            (Binding::Any, Answer::Proof(_)) | (Binding::Required, _) => None,
            (Binding::Any, _) => Some(format!("Bearer {parameters}").trim_end().to_owned()),
        };
        [Some(dpop), bearer]
            .into_iter()
            .flatten()
            .filter_map(|text| HeaderValue::from_str(&text).ok())
            .collect()
    }

    /// Puts challenges and nonce into the headers of the answer.
    pub fn write_headers(&self, challenge: Challenge, headers: &mut HeaderMap) {
        for value in self.challenges(challenge) {
            headers.append(header::WWW_AUTHENTICATE, value);
        }
        if let Some(nonce) = self
            .nonce()
            .and_then(|nonce| HeaderValue::from_str(nonce.as_str()).ok())
        {
            headers.insert(DPOP_NONCE_HEADER, nonce);
        }
    }
}

/// The challenge of RFC 9470 §3: what to ask the authorization server for.
fn step_up(demand: AuthenticationDemand) -> String {
    let mut parameters = "error=\"insufficient_user_authentication\"".to_owned();
    if let Some(acr) = demand.acr {
        parameters.push_str(&format!(", acr_values=\"{acr}\""));
    }
    if let Some(max_age) = demand.max_age {
        parameters.push_str(&format!(", max_age=\"{max_age}\""));
    }
    parameters
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            nonce: None,
            scopes: Scopes::none(),
            demand: AuthenticationDemand::NONE,
        }
    }
}

impl From<DpopRefusal> for Refusal {
    fn from(refusal: DpopRefusal) -> Self {
        Self {
            reason: Reason::Dpop(refusal.reason()),
            nonce: refusal.nonce().cloned(),
            scopes: Scopes::none(),
            demand: AuthenticationDemand::NONE,
        }
    }
}

impl From<Replayed> for Refusal {
    fn from(replayed: Replayed) -> Self {
        Reason::Replayed(replayed).into()
    }
}
