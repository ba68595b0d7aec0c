//! A provider for the tests of this crate.

use crate::metadata::ProviderMetadata;
use crate::provider::ProviderRecord;
use countersign_base::{Bounded, Secret, Tenant, UnixTime};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::mac::MacKey;
use countersign_crypto::signing::{self, IdToken, SigningKey};
use serde_json::json;

pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);
pub(crate) const NONCE: &str = "the-nonce";

pub(crate) fn key() -> MacKey {
    MacKey::new(Secret::new([7; 32]))
}

pub(crate) fn provider() -> ProviderRecord {
    ProviderRecord::new(
        Tenant::default_tenant(),
        "corp".parse().unwrap(),
        Bounded::parse("Corp").unwrap(),
        "https://corp.example".parse().unwrap(),
        Bounded::parse("countersign").unwrap(),
    )
}

pub(crate) fn metadata() -> ProviderMetadata {
    let document = json!({
        "issuer": "https://corp.example",
        "authorization_endpoint": "https://corp.example/authorize?p=1",
        "token_endpoint": "https://corp.example/token",
        "jwks_uri": "https://corp.example/jwks",
    });
    ProviderMetadata::parse(document.to_string().as_bytes(), &provider().issuer).unwrap()
}

/// A key of the provider's.
pub(crate) fn signing_key(algorithm: Algorithm, kid: &str) -> SigningKey<IdToken> {
    let pkcs8 = signing::generate_pkcs8(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, kid.parse().unwrap(), &pkcs8).unwrap()
}
