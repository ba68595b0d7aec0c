use super::*;
use crate::client::ClientAuthentication;
use crate::fixture::portal;
use countersign_crypto::jose::{
    ContentEncryption, DecryptionKey, EncryptionKeyType, Jwe, JweRules, KeyManagement,
};

const ENCRYPTION: ResponseEncryption = ResponseEncryption {
    alg: KeyManagement::EcdhEsA256Kw,
    enc: ContentEncryption::A256Gcm,
};

fn key() -> DecryptionKey {
    let kind = EncryptionKeyType::X25519;
    let private = kind.generate().unwrap();
    DecryptionKey::from_private(kind, "e1".parse().unwrap(), &private).unwrap()
}

fn with_keys(keys: &[serde_json::Value]) -> ClientRecord {
    let mut client = portal();
    client.authentication = ClientAuthentication::Keys {
        jwks: serde_json::json!({ "keys": keys }),
    };
    client
}

#[test]
fn what_has_to_be_encrypted_never_leaves_in_the_clear() {
    let key = key();
    let random = Random::system();
    let jwt = || Secret::new("a.b.c".to_owned());
    let mut client = with_keys(&[key.public().to_published_json()]);
    let open = client.id_token_envelope().close(jwt(), &random).unwrap();
    assert_eq!(open.expose(), "a.b.c");
    client.answers.encrypt_id_tokens = Some(ENCRYPTION);
    let sealed = client.id_token_envelope().close(jwt(), &random).unwrap();
    let rules = JweRules {
        key_management: &[ENCRYPTION.alg],
        content: &[ENCRYPTION.enc],
    };
    let opened = Jwe::parse(sealed.expose(), &rules).unwrap().decrypt([&key]);
    assert_eq!(opened.unwrap().expose(), b"a.b.c");
    // The same registration after its keys were replaced by others.
    client.authentication = with_keys(&[]).authentication;
    let refused = client.id_token_envelope().close(jwt(), &random);
    assert!(matches!(refused, Err(EnvelopeError::NoKey)));
}

#[test]
fn a_registration_without_a_key_that_fits_is_refused() {
    type Ask = fn(&mut ClientRecord);
    let ask: [Ask; 4] = [
        |client| client.answers.encrypt_id_tokens = Some(ENCRYPTION),
        |client| client.answers.encrypt_introspection = Some(ENCRYPTION),
        |client| client.answers.encrypt_userinfo = Some(ENCRYPTION),
        |client| client.request_rules.response_encryption = Some(ENCRYPTION),
    ];
    let published = key().public().to_published_json();
    for ask in ask {
        let mut client = with_keys(&[]);
        ask(&mut client);
        assert_eq!(client.check(), Err(RegistrationError::NoEncryptionKey));
        let mut twin = with_keys(std::slice::from_ref(&published));
        ask(&mut twin);
        assert_eq!(twin.check(), Ok(()));
    }
}

#[test]
fn userinfo_that_is_encrypted_is_signed_too() {
    let mut client = portal();
    assert_eq!(client.userinfo_envelope(), None);
    client.answers.userinfo = UserInfoFormat::Signed;
    assert_eq!(client.userinfo_envelope(), Some(Envelope::Open));
    client.answers.userinfo = UserInfoFormat::Json;
    client.answers.encrypt_userinfo = Some(ENCRYPTION);
    assert_eq!(
        client.userinfo_envelope(),
        Some(Envelope::Sealed(ENCRYPTION, None))
    );
}
