//! Encrypted messages and signed authorization requests.

use crate::{Target, Verdict};
use countersign_authn::Form;
use countersign_base::{Secret, Tenant, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, ContentEncryption, DecryptionKey, EncryptionKeyType, Jwe, JweRules, KeyManagement,
};
use countersign_crypto::signing::{RequestObject, SigningKey};
use countersign_oauth::authorize::Parameters;
use countersign_oauth::{ClientAuthentication, ClientRecord, TenantRecord};
use serde_json::json;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "jwe",
        about: "a compact JWE (RFC 7516)",
        run: jwe,
        words: super::crypto::JOSE_WORDS,
    },
    Target {
        name: "request-object",
        about: "a request object (RFC 9101), signed or encrypted",
        run: request_object,
        words: super::crypto::JOSE_WORDS,
    },
];

/// When the seeds are valid.
pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);
pub(crate) const ISSUER: &str = "https://localhost:8443";
/// The private key of the seeds, for both roles. It guards nothing.
const PKCS8: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpaDGa7ySwIAoQ4QdcB5wEdgOTSzlEz5DD1rLalCSyKmhRANCAASCoAeQfup6cfOSbjJZYCC1dP1TSMBBtWAt9n68c4rK6EGml9HESV5q91oSm4-hWESC3iiimw0dvbmkaDodmTOX";

/// The private key of the seeds as it is written.
pub(crate) fn pkcs8() -> Option<Vec<u8>> {
    base64url::decode(PKCS8).ok()
}

/// The key that opens the seeds.
pub(crate) fn decryption_key() -> Option<DecryptionKey> {
    let private = Secret::new(pkcs8()?);
    DecryptionKey::from_private(EncryptionKeyType::P256, "fuzz-1".parse().ok()?, &private).ok()
}

/// The key that signs the seeds.
pub(crate) fn signing_key() -> Option<SigningKey<RequestObject>> {
    let pkcs8 = Secret::new(pkcs8()?);
    SigningKey::from_pkcs8(Algorithm::Es256, "fuzz-1".parse().ok()?, &pkcs8).ok()
}

pub(crate) fn jwe(input: &[u8]) -> Verdict {
    let (Ok(text), Some(key)) = (std::str::from_utf8(input), decryption_key()) else {
        return Verdict::Refused;
    };
    let rules = JweRules {
        key_management: &KeyManagement::ALL,
        content: &ContentEncryption::ALL,
    };
    let parsed = Jwe::parse(text, &rules);
    if let Ok(jwe) = &parsed {
        let _opened = jwe.decrypt([&key]);
    }
    Verdict::of(&parsed)
}

/// A request object, signed or encrypted around the signature, of a client that is registered with the key of the seeds.
pub(crate) fn request_object(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let (Some((client, tenant)), Some(key)) = (registration(), decryption_key()) else {
        return Verdict::Refused;
    };
    let Ok(form) = Form::from_pairs([("request".to_owned(), text.to_owned())]) else {
        return Verdict::Refused;
    };
    let parameters = Parameters::read(&form, &client, &tenant, &[key], NOW);
    match &parameters {
        Ok(Parameters::Plain(_)) => return Verdict::Refused,
        Ok(Parameters::Signed(inside)) => {
            assert!(
                !inside.contains("request") && !inside.contains("request_uri"),
                "an object never names another"
            );
        }
        Err(error) => drop(error.to_string()),
    }
    Verdict::of(&parameters)
}

fn registration() -> Option<(ClientRecord, TenantRecord)> {
    let tenant = TenantRecord::new(Tenant::default_tenant(), ISSUER.parse().ok()?);
    let key = signing_key()?;
    let published = key
        .public_jwk()
        .to_published_json(key.kid(), Algorithm::Es256);
    let client = ClientRecord::new(
        "portal".parse().ok()?,
        Tenant::default_tenant(),
        ClientAuthentication::Keys {
            jwks: json!({ "keys": [published] }),
        },
        UnixTime(0),
    );
    Some((client, tenant))
}
