//! Why a proof is refused: one text for the caller, one for the log.

use super::Nonce;

/// The log's reason. Variants in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DpopReason {
    /// `alg` is not one of [`super::PROOF_ALGORITHMS`].
    AlgorithmNotAllowed,
    /// `ath` is not the hash of the token beside the proof.
    AthMismatch,
    /// No `ath` although there is a token.
    AthMissing,
    /// `htm` is another method.
    HtmMismatch,
    /// No `htm`.
    HtmMissing,
    /// `htu` is another address.
    HtuMismatch,
    /// No `htu`.
    HtuMissing,
    /// `iat` or `nbf` lies too far ahead.
    IatAhead,
    /// No `iat`.
    IatMissing,
    /// `iat` is too long ago, or `exp` is over.
    IatTooOld,
    /// No `jti`, an empty or an oversized one.
    JtiMissing,
    /// No `jwk` in the header.
    JwkMissing,
    /// The `jwk` does not fit the algorithm.
    JwkUnusable,
    /// Not a JWT in compact form, or one with a claim of the wrong type, or a key with private members.
    Malformed,
    /// The nonce is not one of ours or no longer valid.
    NonceInvalid,
    /// A nonce is required and the proof has none.
    NonceMissing,
    /// Two `DPoP` headers, or one that is not text.
    Repeated,
    /// The signature does not hold under the proof's own key.
    SignatureInvalid,
    /// `typ` is not `dpop+jwt`.
    TypMismatch,
}

impl DpopReason {
    /// The reason as the log names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlgorithmNotAllowed => "dpop_algorithm_not_allowed",
            Self::AthMismatch => "dpop_ath_mismatch",
            Self::AthMissing => "dpop_ath_missing",
            Self::HtmMismatch => "dpop_htm_mismatch",
            Self::HtmMissing => "dpop_htm_missing",
            Self::HtuMismatch => "dpop_htu_mismatch",
            Self::HtuMissing => "dpop_htu_missing",
            Self::IatAhead => "dpop_iat_ahead",
            Self::IatMissing => "dpop_iat_missing",
            Self::IatTooOld => "dpop_iat_too_old",
            Self::JtiMissing => "dpop_jti_missing",
            Self::JwkMissing => "dpop_jwk_missing",
            Self::JwkUnusable => "dpop_jwk_unusable",
            Self::Malformed => "dpop_malformed",
            Self::NonceInvalid => "dpop_nonce_invalid",
            Self::NonceMissing => "dpop_nonce_missing",
            Self::Repeated => "dpop_repeated",
            Self::SignatureInvalid => "dpop_signature_invalid",
            Self::TypMismatch => "dpop_typ_mismatch",
        }
    }

    /// The code that the caller sees (RFC 9449 §5, §7.1, §8, §9).
    #[must_use]
    pub const fn error(self) -> &'static str {
        match self {
            Self::NonceInvalid | Self::NonceMissing => "use_dpop_nonce",
            Self::AlgorithmNotAllowed
            | Self::AthMismatch
            | Self::AthMissing
            | Self::HtmMismatch
            | Self::HtmMissing
            | Self::HtuMismatch
            | Self::HtuMissing
            | Self::IatAhead
            | Self::IatMissing
            | Self::IatTooOld
            | Self::JtiMissing
            | Self::JwkMissing
            | Self::JwkUnusable
            | Self::Malformed
            | Self::Repeated
            | Self::SignatureInvalid
            | Self::TypMismatch => "invalid_dpop_proof",
        }
    }
}

/// A refused proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .reason.as_str())]
pub struct DpopRefusal {
    reason: DpopReason,
    nonce: Option<Nonce>,
}

impl DpopRefusal {
    pub(super) const fn with_nonce(reason: DpopReason, nonce: Nonce) -> Self {
        Self {
            reason,
            nonce: Some(nonce),
        }
    }

    /// The log's reason.
    #[must_use]
    pub const fn reason(&self) -> DpopReason {
        self.reason
    }

    /// The caller's code.
    #[must_use]
    pub const fn error(&self) -> &'static str {
        self.reason.error()
    }

    /// The nonce for the header `DPoP-Nonce` of the answer, if a nonce is what was missing.
    #[must_use]
    pub const fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }
}

impl From<DpopReason> for DpopRefusal {
    fn from(reason: DpopReason) -> Self {
        Self {
            reason,
            nonce: None,
        }
    }
}
