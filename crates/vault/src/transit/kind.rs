//! The types of keys, and what each may do.

use countersign_crypto::cipher::CipherAlgorithm;
use countersign_crypto::keypair::KeyPairAlgorithm;
use serde::{Deserialize, Serialize};

macro_rules! key_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $kind:expr;)+) => {
        /// The type of a key, under the name that callers give it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum KeyType {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl KeyType {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name that callers use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// What its keys are made of.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$name => $kind,)+
                }
            }
        }
    };
}

key_types! {
    /// AES-128-GCM.
    Aes128Gcm96 = "aes128-gcm96": Kind::Cipher(CipherAlgorithm::Aes128Gcm);
    /// AES-256-GCM; the default.
    Aes256Gcm96 = "aes256-gcm96": Kind::Cipher(CipherAlgorithm::Aes256Gcm);
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305 = "chacha20-poly1305": Kind::Cipher(CipherAlgorithm::ChaCha20Poly1305);
    /// XChaCha20-Poly1305.
    XChaCha20Poly1305 = "xchacha20-poly1305": Kind::Cipher(CipherAlgorithm::XChaCha20Poly1305);
    /// ECDSA on P-256.
    EcdsaP256 = "ecdsa-p256": Kind::Pair(KeyPairAlgorithm::EcdsaP256);
    /// ECDSA on P-384.
    EcdsaP384 = "ecdsa-p384": Kind::Pair(KeyPairAlgorithm::EcdsaP384);
    /// ECDSA on P-521.
    EcdsaP521 = "ecdsa-p521": Kind::Pair(KeyPairAlgorithm::EcdsaP521);
    /// Ed25519.
    Ed25519 = "ed25519": Kind::Pair(KeyPairAlgorithm::Ed25519);
    /// RSA of 2048 bits.
    Rsa2048 = "rsa-2048": Kind::Pair(KeyPairAlgorithm::Rsa2048);
    /// RSA of 3072 bits.
    Rsa3072 = "rsa-3072": Kind::Pair(KeyPairAlgorithm::Rsa3072);
    /// RSA of 4096 bits.
    Rsa4096 = "rsa-4096": Kind::Pair(KeyPairAlgorithm::Rsa4096);
    /// A key for HMAC alone.
    Hmac = "hmac": Kind::Hmac;
}

/// What keys of a type are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The key of an AEAD.
    Cipher(CipherAlgorithm),
    /// The key of an HMAC.
    Hmac,
    /// A private key with its public half.
    Pair(KeyPairAlgorithm),
}

impl KeyType {
    /// The type of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// Whether it is RSA.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// Whether it encrypts and decrypts.
    #[must_use]
    pub const fn encrypts(self) -> bool {
        self.is_rsa() || matches!(self.kind(), Kind::Cipher(_))
    }

    /// Whether it signs and verifies.
    #[must_use]
    pub const fn signs(self) -> bool {
        matches!(self.kind(), Kind::Pair(_))
    }

    /// Whether keys for contexts are derived from it.
    #[must_use]
    pub const fn derives(self) -> bool {
        matches!(self, Self::Ed25519) || matches!(self.kind(), Kind::Cipher(_))
    }

    /// Whether its ciphertexts are bound to data beside them.
    #[must_use]
    pub const fn takes_associated_data(self) -> bool {
        matches!(self.kind(), Kind::Cipher(_))
    }
}

impl std::fmt::Display for KeyType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
