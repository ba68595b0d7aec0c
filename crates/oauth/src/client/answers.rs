//! How answers about people and tokens come to a client: ID tokens, userinfo, introspection (OpenID Connect Registration §2, RFC 9701 §6).
//!
//! What is encrypted is signed first, always; plain JSON is never encrypted (`docs/decisions/0003-no-jwe.md`).
//!
//! Not here: authorization responses ([`super::RequestRules`]), and who may learn what.

use super::{ClientRecord, RegistrationError, ResponseEncryption};
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_crypto::jose::{EncryptionKey, JoseError, encrypt_jwt};
use serde::{Deserialize, Serialize};

/// The rules of one client. The default is what most clients want: nothing encrypted, userinfo as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerRules {
    /// How its ID tokens are encrypted (`id_token_encrypted_response_alg`, `_enc`), if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypt_id_tokens: Option<ResponseEncryption>,
    /// How signed answers to introspection are encrypted (`introspection_encrypted_response_alg`, `_enc`), if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypt_introspection: Option<ResponseEncryption>,
    /// How userinfo is encrypted (`userinfo_encrypted_response_alg`, `_enc`), if it is. It is signed then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypt_userinfo: Option<ResponseEncryption>,
    /// What userinfo looks like.
    pub userinfo: UserInfoFormat,
}

/// What a client gets from the userinfo endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserInfoFormat {
    /// A JSON object.
    #[default]
    Json,
    /// A JWT (OpenID Connect Core §5.3.2, `userinfo_signed_response_alg`).
    Signed,
}

/// Whether an answer is encrypted, and to whom: read from the registration before there is an answer, so that what has to be encrypted never leaves in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    /// It is not.
    Open,
    /// It is, to this key. Without a key there is no answer.
    Sealed(ResponseEncryption, Option<Box<EncryptionKey>>),
}

/// Why an answer could not be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The registered keys hold none that fits.
    #[error("the client has no key to encrypt to")]
    NoKey,
    /// The encryption failed.
    #[error(transparent)]
    Jose(#[from] JoseError),
}

impl Envelope {
    /// Puts a signed token into it.
    ///
    /// # Errors
    /// When the client has no key that fits, or aws-lc fails.
    pub fn close(
        &self,
        jwt: Secret<String>,
        random: &Random,
    ) -> Result<Secret<String>, EnvelopeError> {
        match self {
            Self::Open => Ok(jwt),
            Self::Sealed(_, None) => Err(EnvelopeError::NoKey),
            Self::Sealed(encryption, Some(key)) => {
                let sealed = encrypt_jwt(&jwt, key, encryption.alg, encryption.enc, random)?;
                Ok(Secret::new(sealed))
            }
        }
    }
}

impl ClientRecord {
    /// The envelope of its ID tokens.
    #[must_use]
    pub fn id_token_envelope(&self) -> Envelope {
        self.envelope(self.answers.encrypt_id_tokens)
    }

    /// The envelope of signed answers to its introspection requests.
    #[must_use]
    pub fn introspection_envelope(&self) -> Envelope {
        self.envelope(self.answers.encrypt_introspection)
    }

    /// The envelope of its signed authorization responses (JARM §2.2).
    #[must_use]
    pub fn response_envelope(&self) -> Envelope {
        self.envelope(self.request_rules.response_encryption)
    }

    /// The envelope of its userinfo; nothing if userinfo is plain JSON.
    #[must_use]
    pub fn userinfo_envelope(&self) -> Option<Envelope> {
        match (self.answers.userinfo, self.answers.encrypt_userinfo) {
            (UserInfoFormat::Json, None) => None,
            (UserInfoFormat::Json | UserInfoFormat::Signed, encryption) => {
                Some(self.envelope(encryption))
            }
        }
    }

    fn envelope(&self, encryption: Option<ResponseEncryption>) -> Envelope {
        match encryption {
            None => Envelope::Open,
            Some(encryption) => {
                let keys = self.encryption_keys();
                let key = keys.find(encryption.alg).cloned().map(Box::new);
                Envelope::Sealed(encryption, key)
            }
        }
    }

    /// Everything that is to be encrypted has a key that it can be encrypted to.
    pub(super) fn check_answers(&self) -> Result<(), RegistrationError> {
        let encrypted = [
            self.answers.encrypt_id_tokens,
            self.answers.encrypt_introspection,
            self.answers.encrypt_userinfo,
            self.request_rules.response_encryption,
        ];
        let unfit = |envelope: &Envelope| match envelope {
            Envelope::Open | Envelope::Sealed(_, Some(_)) => false,
            Envelope::Sealed(_, None) => true,
        };
        let mut envelopes = encrypted.into_iter().map(|rule| self.envelope(rule));
        if envelopes.any(|envelope| unfit(&envelope)) {
            return Err(RegistrationError::NoEncryptionKey);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
