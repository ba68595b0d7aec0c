//! Why a message or a receipt is refused: one closed list, for the log. What the caller may know of it is decided at the edge.

use countersign_crypto::jose::{ClaimError, JoseError};

/// The reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum MessageRefusal {
    /// `alg` or `enc` is none that is accepted here, or not the key's own.
    #[error("its algorithm is not one that the key is for")]
    AlgorithmOther,
    /// It does not say what it answers, and an answer is due.
    #[error("it is no answer, and an answer is expected")]
    AnswerMissing,
    /// It answers another request than the one whose answer is due.
    #[error("it answers another request")]
    AnswerOther,
    /// It says that it answers a request, and no answer is due.
    #[error("it is the answer to a request, and none is expected")]
    AnswerUnasked,
    /// `aud` is not who reads it: it was written for somebody else.
    #[error("it was written for another receiver")]
    AudienceOther,
    /// `content_sha256` is not the content's.
    #[error("the digest that it states is not the content's")]
    DigestWrong,
    /// It does not decrypt, for whatever reason: no such key, another key, a changed byte, a point off its curve.
    #[error("it does not open")]
    DoesNotOpen,
    /// `exp` is past.
    #[error("its time is over")]
    Expired,
    /// The header uses `zip`, `b64`, `p2c` or `p2s`, or `crit` for what is not known here.
    #[error("its header uses an extension that is not accepted")]
    ExtensionRefused,
    /// `iat` lies ahead.
    #[error("it was written in the future")]
    IssuedLater,
    /// `iss` is not the partner.
    #[error("it was written by another party than expected")]
    IssuerOther,
    /// No key of the partner has that name and algorithm.
    #[error("it names no key of the partner")]
    KeyUnknown,
    /// It may be taken for longer than is remembered, or ends before it begins.
    #[error("its lifetime is longer than is accepted")]
    LifetimeOther,
    /// Not the compact form, base64url and JSON that it should be.
    #[error("it is not a message in the compact form")]
    Malformed,
    /// What was encrypted is no signed message.
    #[error("no signed message is inside")]
    NotSigned,
    /// The receipt is about another message.
    #[error("it is about another message")]
    OtherMessage,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    SignatureWrong,
    /// A statement is missing or of the wrong form.
    #[error("a statement is missing or of the wrong form")]
    StatementMalformed,
    /// Longer than is looked at.
    #[error("it is longer than is accepted")]
    TooLarge,
    /// `typ` or `cty` says that it is something else.
    #[error("its type says that it is something else")]
    TypeOther,
}

impl MessageRefusal {
    /// Every reason.
    pub const ALL: [Self; 20] = [
        Self::AlgorithmOther,
        Self::AnswerMissing,
        Self::AnswerOther,
        Self::AnswerUnasked,
        Self::AudienceOther,
        Self::DigestWrong,
        Self::DoesNotOpen,
        Self::Expired,
        Self::ExtensionRefused,
        Self::IssuedLater,
        Self::IssuerOther,
        Self::KeyUnknown,
        Self::LifetimeOther,
        Self::Malformed,
        Self::NotSigned,
        Self::OtherMessage,
        Self::SignatureWrong,
        Self::StatementMalformed,
        Self::TooLarge,
        Self::TypeOther,
    ];

    /// What records call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlgorithmOther => "algorithm_other",
            Self::AnswerMissing => "answer_missing",
            Self::AnswerOther => "answer_other",
            Self::AnswerUnasked => "answer_unasked",
            Self::AudienceOther => "audience_other",
            Self::DigestWrong => "digest_wrong",
            Self::DoesNotOpen => "does_not_open",
            Self::Expired => "expired",
            Self::ExtensionRefused => "extension_refused",
            Self::IssuedLater => "issued_later",
            Self::IssuerOther => "issuer_other",
            Self::KeyUnknown => "key_unknown",
            Self::LifetimeOther => "lifetime_other",
            Self::Malformed => "malformed",
            Self::NotSigned => "not_signed",
            Self::OtherMessage => "other_message",
            Self::SignatureWrong => "signature_wrong",
            Self::StatementMalformed => "statement_malformed",
            Self::TooLarge => "too_large",
            Self::TypeOther => "type_other",
        }
    }
}

impl From<JoseError> for MessageRefusal {
    fn from(error: JoseError) -> Self {
        match error {
            JoseError::AlgorithmDiffers
            | JoseError::AlgorithmUnknown
            | JoseError::Encryption(_) => Self::AlgorithmOther,
            JoseError::Base64Url
            | JoseError::Header(_)
            | JoseError::Json(_)
            | JoseError::Parts
            | JoseError::Signing(_) => Self::Malformed,
            JoseError::Claim(_) => Self::StatementMalformed,
            JoseError::Decryption => Self::DoesNotOpen,
            JoseError::Extension(_) => Self::ExtensionRefused,
            JoseError::Key(_) => Self::KeyUnknown,
            JoseError::Signature => Self::SignatureWrong,
            JoseError::TooLong => Self::TooLarge,
        }
    }
}

impl From<ClaimError> for MessageRefusal {
    fn from(_: ClaimError) -> Self {
        Self::StatementMalformed
    }
}
