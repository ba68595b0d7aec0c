//! What gives an unseal key without a person: a file, a passphrase, a value that the configuration refers to, a PKCS#11 token.
//!
//! Everything here may block: a passphrase is stretched, a token is asked. Not here: how a token is talked to ([`Token`] is the process's), and the row ([`countersign_keys::seal`]).

use crate::root::{RootError, make_private_directory, read_private, write_new_private};
use countersign_base::Secret;
use countersign_crypto::base64url;
use countersign_crypto::password::{Cost, PasswordError};
use countersign_crypto::random::Random;
use countersign_keys::PassphraseParameters;
use countersign_keys::seal::{AutoSource, UnsealKey, WrappedKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroize;

/// A source, as the configuration names it.
pub enum Source {
    /// 32 bytes in a file of mode 0600, made with the seal.
    File(PathBuf),
    /// A passphrase.
    Passphrase {
        /// It.
        passphrase: Secret<String>,
        /// What stretching it costs, when the seal is made.
        cost: Cost,
    },
    /// A key on a PKCS#11 token.
    Pkcs11 {
        /// The key's label.
        key: String,
        /// Who talks to the token.
        token: Arc<dyn Token>,
    },
    /// 32 bytes that the configuration refers to.
    Static {
        /// What they are called.
        key: String,
        /// They.
        bytes: Secret<[u8; 32]>,
    },
}

/// Whoever talks to a token that has a key.
pub trait Token: Send + Sync {
    /// Seals 32 bytes with the token's key.
    ///
    /// # Errors
    /// When the token does not.
    fn wrap(&self, key: &Secret<[u8; 32]>) -> Result<Vec<u8>, TokenError>;

    /// Opens what [`Token::wrap`] gave.
    ///
    /// # Errors
    /// When the token does not.
    fn unwrap(&self, wrapped: &[u8]) -> Result<Secret<[u8; 32]>, TokenError>;
}

/// Why a token does not do what it is asked for. The text is for the log; it holds no PIN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no key of this label.
    #[error("{0}")]
    KeyMissing(String),
    /// There are several, or it opens nothing.
    #[error("{0}")]
    KeyUnusable(String),
    /// The PIN is wrong, or locked. It is not tried again: tokens lock after a few.
    #[error("{0}")]
    Pin(String),
    /// The token or its library is not there, ended or hangs.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a source gives no key.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The stored seal asks for another key than the configuration names.
    #[error("the seal needs the key `{stored}`, and the configuration names `{configured}`")]
    AnotherKey {
        /// The seal's.
        stored: String,
        /// The configuration's.
        configured: String,
    },
    /// The stored seal is of another kind.
    #[error(
        "the seal of this installation is `{stored}`, and `[keys] seal` says `{configured}`: write `{stored}`, or change the seal first"
    )]
    AnotherKind {
        /// The seal's.
        stored: &'static str,
        /// The configuration's.
        configured: &'static str,
    },
    /// The file of the unseal key.
    #[error(transparent)]
    File(#[from] RootError),
    /// The file is gone.
    #[error("`{}` is not there; bring it back from your backup", .0.display())]
    FileMissing(PathBuf),
    /// The passphrase cannot be one.
    #[error("the passphrase cannot be used: {0}")]
    Passphrase(#[from] PasswordError),
    /// The token.
    #[error("the PKCS#11 token: {0}")]
    Token(#[from] TokenError),
    /// What the token gave is longer than a seal takes.
    #[error("the PKCS#11 token gave something that is no wrapped key")]
    Wrapped,
}

impl SourceError {
    /// Its name in the log, which has no free text.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::AnotherKey { .. } => "another_key",
            Self::AnotherKind { .. } => "another_kind",
            Self::File(_) => "file_unusable",
            Self::FileMissing(_) => "file_missing",
            Self::Passphrase(_) => "passphrase_unusable",
            Self::Token(TokenError::KeyMissing(_)) => "token_key_missing",
            Self::Token(TokenError::KeyUnusable(_)) | Self::Wrapped => "token_key_unusable",
            Self::Token(TokenError::Pin(_)) => "token_pin_refused",
            Self::Token(TokenError::Unavailable(_)) => "token_away",
        }
    }

    /// Whether asking again by itself may help, and does no harm.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Token(TokenError::Unavailable(_)))
    }
}

impl Source {
    /// What the row calls it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Passphrase { .. } => "passphrase",
            Self::Pkcs11 { .. } => "pkcs11",
            Self::Static { .. } => "static",
        }
    }

    /// A key for a new seal, and what the row says of it.
    ///
    /// # Errors
    /// When the source keeps or wraps none.
    pub fn create(&self, random: &Random) -> Result<(AutoSource, UnsealKey), SourceError> {
        match self {
            Self::File(path) => {
                let bytes = match read_key(path)? {
                    // A start that was cut off left it; it opens nothing yet.
                    Some(bytes) => bytes,
                    None => new_key(path, random)?,
                };
                Ok((AutoSource::File, UnsealKey::from_bytes(bytes)))
            }
            Self::Passphrase { passphrase, cost } => {
                let parameters = PassphraseParameters::new(*cost, random);
                let key = UnsealKey::from_passphrase(passphrase, &parameters)?;
                Ok((AutoSource::Passphrase { parameters }, key))
            }
            Self::Pkcs11 { key: label, token } => {
                let bytes: Secret<[u8; 32]> = random.secret();
                let wrapped = token.wrap(&bytes)?;
                let wrapped = WrappedKey::new(wrapped).map_err(|_| SourceError::Wrapped)?;
                let source = AutoSource::Pkcs11 {
                    key: label.clone(),
                    wrapped,
                };
                Ok((source, UnsealKey::from_bytes(bytes)))
            }
            Self::Static { key, bytes } => {
                let source = AutoSource::Static { key: key.clone() };
                Ok((source, UnsealKey::from_bytes(Secret::new(*bytes.expose()))))
            }
        }
    }

    /// The key of a seal that stands.
    ///
    /// # Errors
    /// When the seal is another one's, or the source gives nothing.
    pub fn open(&self, stored: &AutoSource) -> Result<UnsealKey, SourceError> {
        let named = |stored: &String, configured: &String| {
            if stored == configured {
                Ok(())
            } else {
                Err(SourceError::AnotherKey {
                    stored: stored.clone(),
                    configured: configured.clone(),
                })
            }
        };
        match (self, stored) {
            (Self::File(path), AutoSource::File) => {
                let bytes =
                    read_key(path)?.ok_or_else(|| SourceError::FileMissing(path.clone()))?;
                Ok(UnsealKey::from_bytes(bytes))
            }
            (Self::Passphrase { passphrase, .. }, AutoSource::Passphrase { parameters }) => {
                Ok(UnsealKey::from_passphrase(passphrase, parameters)?)
            }
            (Self::Pkcs11 { key, token }, AutoSource::Pkcs11 { key: of, wrapped }) => {
                named(of, key)?;
                Ok(UnsealKey::from_bytes(token.unwrap(wrapped.as_bytes())?))
            }
            (Self::Static { key, bytes }, AutoSource::Static { key: of }) => {
                named(of, key)?;
                Ok(UnsealKey::from_bytes(Secret::new(*bytes.expose())))
            }
            (
                Self::File(_) | Self::Passphrase { .. } | Self::Pkcs11 { .. } | Self::Static { .. },
                AutoSource::File
                | AutoSource::Kms { .. }
                | AutoSource::Passphrase { .. }
                | AutoSource::Pkcs11 { .. }
                | AutoSource::Static { .. },
            ) => Err(SourceError::AnotherKind {
                stored: stored.name(),
                configured: self.kind(),
            }),
        }
    }
}

fn read_key(path: &Path) -> Result<Option<Secret<[u8; 32]>>, RootError> {
    let Some(mut text) = read_private(path)? else {
        return Ok(None);
    };
    let bytes = base64url::decode_array::<32>(text.trim_end());
    text.zeroize();
    let bytes = bytes.map_err(|_| RootError::Form(path.to_owned()))?;
    Ok(Some(Secret::new(bytes)))
}

fn new_key(path: &Path, random: &Random) -> Result<Secret<[u8; 32]>, RootError> {
    let failed = |cause| RootError::File {
        path: path.to_owned(),
        cause,
    };
    if let Some(directory) = path.parent() {
        make_private_directory(directory).map_err(failed)?;
    }
    let bytes: Secret<[u8; 32]> = random.secret();
    let mut text = base64url::encode(bytes.expose());
    text.push('\n');
    let written = write_new_private(path, text.as_bytes());
    text.zeroize();
    written.map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
