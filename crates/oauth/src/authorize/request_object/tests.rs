use super::*;
use crate::authorize::{AuthorizationRequest, ReturnAddress, Via};
use crate::fixture::{CALLBACK, CHALLENGE, ISSUER, NOW, form, portal, tenant};
use countersign_base::Secret;
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, EncryptionKeyType, KeyManagement, encrypt_jwt, sign_jwt,
};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{RequestObject, SigningKey, generate_pkcs8};
use serde_json::json;
use std::sync::OnceLock;

fn key(algorithm: Algorithm) -> SigningKey<RequestObject> {
    let pkcs8 = generate_pkcs8(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, "c1".parse().unwrap(), &pkcs8).unwrap()
}

fn es256() -> &'static SigningKey<RequestObject> {
    static KEY: OnceLock<SigningKey<RequestObject>> = OnceLock::new();
    KEY.get_or_init(|| key(Algorithm::Es256))
}

fn client_with(key: &SigningKey<RequestObject>) -> ClientRecord {
    let mut client = portal();
    let published = key
        .public_jwk()
        .to_published_json(key.kid(), key.algorithm());
    client.request_rules.jwks = Some(json!({ "keys": [published] }));
    client
}

fn client() -> ClientRecord {
    client_with(es256())
}

/// The claims of a good request object, with `change` made to them.
fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = json!({
        "iss": "portal", "aud": ISSUER, "exp": NOW.0 + 300, "nbf": NOW.0, "iat": NOW.0, "jti": "j1",
        "client_id": "portal", "response_type": "code", "redirect_uri": CALLBACK,
        "scope": "openid orders:read", "state": "inside", "nonce": "inside",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    });
    change(&mut claims);
    claims
}

fn set(name: &'static str, value: impl Into<Value>) -> impl FnOnce(&mut Value) {
    let value = value.into();
    move |claims| claims[name] = value
}

fn without(name: &'static str) -> impl FnOnce(&mut Value) {
    move |claims| {
        claims.as_object_mut().unwrap().remove(name);
    }
}

fn object(change: impl FnOnce(&mut Value)) -> String {
    sign_jwt(es256(), &claims(change)).unwrap()
}

/// An object with any header, signed by the client's key all the same.
fn with_header(header: &Value) -> String {
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(&claims(|_| {})));
    let signature = es256().sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url::encode(&signature))
}

fn read_with(
    outside: &str,
    client: &ClientRecord,
    keys: &[DecryptionKey],
) -> Result<AuthorizationRequest, OAuthError> {
    let (form, tenant) = (form(outside), tenant());
    let parameters = Parameters::read(&form, client, &tenant, keys, NOW)?;
    let address = ReturnAddress::find(parameters.form(), client, &tenant).unwrap();
    AuthorizationRequest::parse(&parameters, client, &address, &tenant, Via::Browser)
}

fn read(object: &str) -> Result<AuthorizationRequest, OAuthError> {
    read_with(
        &format!("client_id=portal&request={object}"),
        &client(),
        &[],
    )
}

fn refused(flaw: RequestObjectFlaw) -> Result<AuthorizationRequest, OAuthError> {
    Err(OAuthError::RequestObjectRefused(flaw))
}

#[test]
fn a_signed_request_is_the_request() {
    let request = read(&object(|_| {})).unwrap();
    assert_eq!(request.redirect_uri.as_str(), CALLBACK);
    assert!(request.redirect_uri_sent);
    assert_eq!(request.state.unwrap().as_str(), "inside");
    assert_eq!(request.nonce.unwrap().as_str(), "inside");
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256] {
        let key = key(algorithm);
        let object = sign_jwt(&key, &claims(|_| {})).unwrap();
        let outside = format!("client_id=portal&request={object}");
        assert!(
            read_with(&outside, &client_with(&key), &[]).is_ok(),
            "{algorithm}"
        );
    }
}

/// Each row's flaw alone is refused; the object without it is the twin.
#[test]
fn r20_jar_5_jar_6_jar_7_jar_8_jar_9_jar_10_jar_11_flawed_objects_are_refused() {
    use RequestObjectFlaw as Flaw;
    assert!(read(&object(|_| {})).is_ok(), "the twin of every row");
    let hour = 3600;
    let rows: Vec<(&str, String, Flaw)> = vec![
        ("jar_5", object(without("exp")), Flaw::Expired),
        ("jar_6", object(without("nbf")), Flaw::NotBefore),
        (
            "jar_7",
            object(set("exp", NOW.0 + hour + 1)),
            Flaw::LivesTooLong,
        ),
        (
            "jar_8",
            object(set("nbf", NOW.0 - hour - 1)),
            Flaw::NotBefore,
        ),
        ("jar_9", object(set("exp", NOW.0)), Flaw::Expired),
        (
            "jar_10",
            object(set("aud", "https://other.example")),
            Flaw::Audience,
        ),
        ("jar_10", object(without("aud")), Flaw::Audience),
        ("jar_10", object(set("aud", json!([]))), Flaw::Audience),
        ("jar_11", object(without("redirect_uri")), Flaw::RedirectUri),
        ("jar_11", object(set("redirect_uri", "")), Flaw::RedirectUri),
        ("ahead", object(set("nbf", NOW.0 + 11)), Flaw::NotBefore),
        ("ahead", object(set("iat", NOW.0 + 11)), Flaw::NotBefore),
        ("client_id", object(without("client_id")), Flaw::ClientId),
        (
            "client_id",
            object(set("client_id", "other")),
            Flaw::ClientId,
        ),
        ("iss", object(set("iss", "other")), Flaw::Issuer),
        ("sub", object(set("sub", "portal")), Flaw::Subject),
        ("type", object(set("exp", "soon")), Flaw::Malformed),
        ("type", object(set("state", Value::Null)), Flaw::Malformed),
        ("type", object(set("max_age", 1.5)), Flaw::Malformed),
        ("control", object(set("state", "a\nb")), Flaw::Malformed),
        ("par_4", object(set("request_uri", "urn:x")), Flaw::Nested),
        ("par_4", object(set("request", "e30.e30.")), Flaw::Nested),
    ];
    for (id, object, flaw) in rows {
        assert_eq!(read(&object), refused(flaw), "{id}");
    }
}

#[test]
fn par_4_a_request_uri_inside_the_object_is_refused() {
    assert_eq!(
        read(&object(set("request_uri", "https://10.0.0.1/object"))),
        refused(RequestObjectFlaw::Nested)
    );
    assert!(read(&object(|_| {})).is_ok());
}

#[test]
fn jar_7_jar_8_jar_18_jar_19_what_is_just_inside_the_limits_is_accepted() {
    for change in [
        json!({"nbf": NOW.0 + 8}),
        json!({"nbf": NOW.0 + 10}),
        json!({"aud": ["https://other.example", ISSUER]}),
        json!({"aud": [ISSUER]}),
        json!({"resource": ["https://orders.example"]}),
    ] {
        let object = object(|claims| {
            for (name, value) in change.as_object().unwrap() {
                claims[name] = value.clone();
            }
        });
        assert!(read(&object).is_ok(), "{change}");
    }
    let oldest = object(|claims| {
        claims["nbf"] = (NOW.0 - 3599).into();
        claims["exp"] = (NOW.0 + 1).into();
    });
    assert!(read(&oldest).is_ok());
}

#[test]
fn r20_r34_jar_1_jar_2_algorithms_are_the_clients_and_none_is_none() {
    use RequestObjectFlaw as Flaw;
    let unsigned = format!(
        "{}.{}.",
        base64url::encode(br#"{"alg":"none"}"#),
        base64url::encode(claims(|_| {}).to_string().as_bytes())
    );
    assert_eq!(read(&unsigned), refused(Flaw::Algorithm), "jar_1");
    for alg in ["none", "None", "HS256", "ES256K"] {
        let object = with_header(&json!({"alg": alg, "kid": "c1"}));
        assert_eq!(read(&object), refused(Flaw::Algorithm), "{alg}");
    }
    let rs256 = key(Algorithm::Rs256);
    let object = sign_jwt(&rs256, &claims(|_| {})).unwrap();
    let outside = format!("client_id=portal&request={object}");
    assert_eq!(
        read_with(&outside, &client_with(&rs256), &[]),
        refused(Flaw::Algorithm),
        "jar_2"
    );
    let mut narrow = client();
    narrow.request_rules.request_object_algorithms = [Algorithm::Ps256].into();
    let outside = format!("client_id=portal&request={}", self::object(|_| {}));
    assert_eq!(read_with(&outside, &narrow, &[]), refused(Flaw::Algorithm));
    assert!(read_with(&outside, &client(), &[]).is_ok(), "the twin");
}

#[test]
fn jar_3_jar_4_the_signature_is_the_clients_own() {
    let good = object(|_| {});
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, other) = self::object(set("nonce", "other"))
        .rsplit_once('.')
        .map(|(signed, signature)| (signed.to_owned(), signature.to_owned()))
        .unwrap();
    assert_eq!(
        read(&format!("{signed}.{other}")),
        refused(RequestObjectFlaw::Signature),
        "jar_3"
    );
    let foreign = key(Algorithm::Es256);
    let object = sign_jwt(&foreign, &claims(|_| {})).unwrap();
    assert_eq!(
        read(&object),
        refused(RequestObjectFlaw::Signature),
        "jar_4"
    );
    assert!(read(&good).is_ok(), "the twin");
}

#[test]
fn other_kinds_of_jwt_are_no_request_objects() {
    let typ = |typ: Value| {
        read(&with_header(
            &json!({"alg": "ES256", "kid": "c1", "typ": typ}),
        ))
    };
    for other in [
        "at+jwt",
        "dpop+jwt",
        "client-authentication+jwt",
        "logout+jwt",
    ] {
        assert_eq!(
            typ(other.into()),
            refused(RequestObjectFlaw::Typ),
            "{other}"
        );
    }
    assert!(typ("oauth-authz-req+jwt".into()).is_ok());
    assert!(typ("JWT".into()).is_ok());
    assert!(read(&with_header(&json!({"alg": "ES256"}))).is_ok());
}

#[test]
fn r19_ar_15_jar_12_jar_13_jar_14_only_what_stands_inside_counts() {
    let outside = |object: &str, more: &str| {
        read_with(
            &format!("client_id=portal&request={object}&{more}"),
            &client(),
            &[],
        )
        .unwrap()
    };
    let request = outside(
        &object(|_| {}),
        "state=outside&nonce=outside&scope=openid+profile",
    );
    assert_eq!(request.state.unwrap().as_str(), "inside", "jar_12");
    assert_eq!(request.nonce.unwrap().as_str(), "inside", "jar_13");
    assert_eq!(request.scopes.to_string(), "openid orders:read");
    let request = outside(&object(without("state")), "state=outside");
    assert_eq!(request.state, None, "jar_14");
    let request = outside(&object(|_| {}), "redirect_uri=https://evil.example/");
    assert_eq!(request.redirect_uri.as_str(), CALLBACK, "ar_15");
    let mut two = client();
    two.redirect_uris
        .insert("https://portal.example/second".parse().unwrap());
    let text = format!(
        "client_id=portal&request={}&redirect_uri=https://portal.example/second",
        object(|_| {})
    );
    let request = read_with(&text, &two, &[]).unwrap();
    assert_eq!(request.redirect_uri.as_str(), CALLBACK, "ar_15");
}

#[test]
fn ar_14_a_client_without_keys_is_told_that_request_objects_are_not_for_it() {
    let outside = format!("client_id=portal&request={}", object(|_| {}));
    assert_eq!(
        read_with(&outside, &portal(), &[]),
        Err(OAuthError::RequestObject)
    );
    assert_eq!(
        OAuthError::RequestObject.code().as_str(),
        "request_not_supported"
    );
    assert!(read_with(&outside, &client(), &[]).is_ok(), "the twin");
}

fn tenant_key() -> DecryptionKey {
    let private = EncryptionKeyType::P256.generate().unwrap();
    DecryptionKey::from_private(EncryptionKeyType::P256, "t1".parse().unwrap(), &private).unwrap()
}

fn encrypted(text: &str, key: &DecryptionKey) -> String {
    encrypt_jwt(
        &Secret::new(text.to_owned()),
        key.public(),
        KeyManagement::EcdhEsA256Kw,
        ContentEncryption::A256Gcm,
        &Random::system(),
    )
    .unwrap()
}

#[test]
fn r21_jar_16_a15_encryption_holds_a_signed_object_or_nothing() {
    use RequestObjectFlaw as Flaw;
    let key = tenant_key();
    let read = |object: &str, keys: &[DecryptionKey]| {
        read_with(
            &format!("client_id=portal&request={object}"),
            &client(),
            keys,
        )
    };
    let keys = [key.clone()];
    let good = encrypted(&object(|_| {}), &key);
    assert!(read(&good, &keys).is_ok(), "the twin");
    let raw = encrypted(&claims(|_| {}).to_string(), &key);
    assert_eq!(read(&raw, &keys), refused(Flaw::Malformed), "jar_16");
    let unsigned = format!(
        "{}.{}.",
        base64url::encode(br#"{"alg":"none"}"#),
        base64url::encode(claims(|_| {}).to_string().as_bytes())
    );
    assert_eq!(
        read(&encrypted(&unsigned, &key), &keys),
        refused(Flaw::Algorithm)
    );
    let twice = encrypted(&good, &key);
    assert_eq!(
        read(&twice, &keys),
        refused(Flaw::Malformed),
        "once is enough"
    );
    assert_eq!(read(&good, &[tenant_key()]), refused(Flaw::Encryption));
    assert_eq!(read(&good, &[]), refused(Flaw::Encryption));
    let foreign = sign_jwt(&self::key(Algorithm::Es256), &claims(|_| {})).unwrap();
    assert_eq!(
        read(&encrypted(&foreign, &key), &keys),
        refused(Flaw::Signature)
    );
}

#[test]
fn jar_15_r9_where_signing_is_due_a_plain_request_is_refused() {
    use crate::client::SignedRequestRule;
    let plain = crate::authorize::tests::query("");
    let mut strict = client();
    strict.request_rules.signed_requests = SignedRequestRule::Required;
    assert_eq!(
        read_with(&plain, &strict, &[]),
        Err(OAuthError::SignedRequestRequired)
    );
    assert!(read_with(&plain, &client(), &[]).is_ok(), "the twin");
    let signed = format!("client_id=portal&request={}", object(|_| {}));
    assert!(read_with(&signed, &strict, &[]).is_ok());
}

#[test]
fn structured_claims_become_what_a_query_would_carry() {
    let object = object(|claims| {
        claims["max_age"] = 60.into();
        claims["claims"] = json!({"id_token": {"acr": null}});
    });
    let (form, tenant) = (form(&format!("request={object}")), tenant());
    let parameters = Parameters::read(&form, &client(), &tenant, &[], NOW).unwrap();
    assert_eq!(parameters.form().get("max_age"), Some("60"));
    assert_eq!(
        parameters.form().get("claims"),
        Some(r#"{"id_token":{"acr":null}}"#)
    );
    for name in ["iss", "aud", "exp", "nbf", "jti", "request"] {
        assert_eq!(parameters.form().get(name), None, "{name}");
    }
}

#[test]
fn a_registration_that_could_not_work_is_refused() {
    use crate::client::{RegistrationError, ResponseEncryption, SignedRequestRule};
    assert!(client().check().is_ok());
    let mut rs256 = client();
    rs256
        .request_rules
        .request_object_algorithms
        .insert(Algorithm::Rs256);
    assert_eq!(
        rs256.check(),
        Err(RegistrationError::RequestObjectAlgorithm)
    );
    let mut keyless = portal();
    keyless.request_rules.signed_requests = SignedRequestRule::Required;
    assert_eq!(keyless.check(), Err(RegistrationError::NoRequestKeys));
    let mut encrypting = client();
    encrypting.request_rules.response_encryption = Some(ResponseEncryption {
        alg: KeyManagement::EcdhEs,
        enc: ContentEncryption::A256Gcm,
    });
    assert_eq!(encrypting.check(), Err(RegistrationError::NoEncryptionKey));
    let key = tenant_key().public().to_published_json();
    encrypting.request_rules.jwks = Some(json!({ "keys": [key] }));
    assert!(encrypting.check().is_ok());
}
