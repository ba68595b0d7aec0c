use super::super::tests::{NOW, Sent, moved, rules, text};
use super::super::{KeyText, Scheme, Source, WebhookRefusal};
use super::{JwsRules, JwsTime};
use countersign_crypto::base64url;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::keypair::{
    EcdsaForm, KeyPair, KeyPairAlgorithm, PssSalt, SignatureScheme, Signed,
};

const FIELD: &str = "x-jws-signature";
const BODY: &[u8] = br#"{"paid":true}"#;

fn scheme(time: JwsTime) -> Scheme {
    Scheme::JwsDetached(JwsRules {
        field: FIELD.parse().unwrap(),
        time,
    })
}

fn key(pair: &KeyPair, id: Option<&str>) -> KeyText {
    let mut key = text(&pair.public_key().unwrap().to_pem());
    key.id = id.map(str::to_owned);
    key
}

fn source(time: JwsTime, keys: Vec<KeyText>) -> Source {
    let mut rules = rules(scheme(time), &[]);
    rules.keys = keys;
    Source::new(rules).unwrap()
}

fn signed_with(algorithm: KeyPairAlgorithm) -> (&'static str, SignatureScheme) {
    match algorithm {
        KeyPairAlgorithm::Ed25519 => ("EdDSA", SignatureScheme::Ed25519),
        KeyPairAlgorithm::Rsa2048 => (
            "PS256",
            SignatureScheme::RsaPss {
                hash: HashAlgorithm::Sha2_256,
                salt: PssSalt::Hash,
            },
        ),
        _ => (
            "ES256",
            SignatureScheme::Ecdsa {
                hash: HashAlgorithm::Sha2_256,
                form: EcdsaForm::Fixed,
            },
        ),
    }
}

/// A detached JWS with this header over these bytes as its payload part.
fn jws(pair: &KeyPair, header: &str, payload: &[u8]) -> String {
    let header = base64url::encode(header.as_bytes());
    let input = [header.as_bytes(), b".", payload].concat();
    let signature = pair
        .sign(signed_with(pair.algorithm()).1, Signed::Message(&input))
        .unwrap();
    format!("{header}..{}", base64url::encode(&signature))
}

fn sent(pair: &KeyPair, header: &str) -> Sent {
    let value = jws(pair, header, base64url::encode(BODY).as_bytes());
    Sent::new(
        source(JwsTime::Nowhere, vec![key(pair, None)]),
        [(FIELD, value)],
        BODY,
    )
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    for algorithm in [
        KeyPairAlgorithm::Ed25519,
        KeyPairAlgorithm::EcdsaP256,
        KeyPairAlgorithm::Rsa2048,
    ] {
        let pair = algorithm.generate().unwrap();
        let header = format!(r#"{{"alg":"{}"}}"#, signed_with(algorithm).0);
        let sent = || sent(&pair, &header);
        sent().accepted();
        let other = algorithm.generate().unwrap();
        sent()
            .to(source(JwsTime::Nowhere, vec![key(&other, None)]))
            .refused(Why::SignatureWrong);
        sent()
            .to(source(
                JwsTime::Nowhere,
                vec![key(&other, None), key(&pair, None)],
            ))
            .accepted();
        sent().body(b"{}").refused(Why::SignatureWrong);
        sent().without(FIELD).refused(Why::SignatureMissing);
        sent().twice(FIELD).refused(Why::SignatureSeveral);
        sent()
            .without(FIELD)
            .with("stripe-signature", "t=1")
            .refused(Why::SchemeOther);
        sent()
            .with("stripe-signature", "t=1")
            .refused(Why::SchemeOther);
        let value = sent().value(FIELD).to_owned();
        let attached = value.replace("..", &format!(".{}.", base64url::encode(BODY)));
        for malformed in [&attached, "..", "a..b", "", "e30..", &format!("{value}.")] {
            assert!(
                sent().with(FIELD, malformed).judged().is_err(),
                "{malformed}"
            );
        }
    }
}

#[test]
fn what_a_header_must_not_say_is_refused_though_the_signature_holds() {
    use WebhookRefusal as Why;
    let pair = KeyPairAlgorithm::Ed25519.generate().unwrap();
    sent(&pair, r#"{"alg":"EdDSA"}"#).accepted();
    sent(
        &pair,
        r#"{"alg":"Ed25519","typ":"JOSE","jku":"https://evil.example"}"#,
    )
    .accepted();
    for (header, why) in [
        (r#"{"alg":"none"}"#, Why::AlgorithmUnknown),
        (r#"{"alg":"HS256"}"#, Why::AlgorithmUnknown),
        (r#"{"alg":"RS256"}"#, Why::AlgorithmUnknown),
        (r"{}", Why::AlgorithmUnknown),
        (r#"{"alg":"ES256"}"#, Why::AlgorithmUnknown),
        (r#"{"alg":1}"#, Why::SignatureMalformed),
        (r#"{"alg":"EdDSA","alg":"EdDSA"}"#, Why::SignatureMalformed),
        (
            r#"{"alg":"EdDSA","crit":["exp"],"exp":1}"#,
            Why::SignatureMalformed,
        ),
        (r#"{"alg":"EdDSA","crit":[]}"#, Why::SignatureMalformed),
        (r#"{"alg":"EdDSA","crit":["b64"]}"#, Why::SignatureMalformed),
        (r#"{"alg":"EdDSA","b64":false}"#, Why::SignatureMalformed),
        (r#"{"alg":"EdDSA","b64":true}"#, Why::SignatureMalformed),
        (
            r#"{"alg":"EdDSA","b64":true,"crit":["b64","b64"]}"#,
            Why::SignatureMalformed,
        ),
        (r#"{"alg":"EdDSA","kid":7}"#, Why::SignatureMalformed),
        (r#"["EdDSA"]"#, Why::SignatureMalformed),
        // Tokens, and messages between partners, by the same key.
        (r#"{"alg":"EdDSA","typ":"JWT"}"#, Why::SignatureMalformed),
        (r#"{"alg":"EdDSA","typ":"at+jwt"}"#, Why::SignatureMalformed),
        (
            r#"{"alg":"EdDSA","typ":"application/dpop+JWT"}"#,
            Why::SignatureMalformed,
        ),
        (
            r#"{"alg":"EdDSA","typ":"message+jws"}"#,
            Why::SignatureMalformed,
        ),
        (r#"{"alg":"EdDSA","typ":7}"#, Why::SignatureMalformed),
    ] {
        sent(&pair, header).refused(why);
    }
}

#[test]
fn a_body_that_is_not_encoded_is_read_where_crit_says_so() {
    let pair = KeyPairAlgorithm::Ed25519.generate().unwrap();
    let plain = r#"{"alg":"EdDSA","b64":false,"crit":["b64"]}"#;
    let sent = || sent(&pair, plain);
    sent().with(FIELD, jws(&pair, plain, BODY)).accepted();
    // The body signed as if it were encoded is another message.
    sent().refused(WebhookRefusal::SignatureWrong);
    let encoded = r#"{"alg":"EdDSA","b64":true,"crit":["b64"]}"#;
    super::tests::sent(&pair, encoded).accepted();
}

#[test]
fn a_key_that_is_named_is_the_one_that_verifies() {
    let pair = KeyPairAlgorithm::Ed25519.generate().unwrap();
    let named = || sent(&pair, r#"{"alg":"EdDSA","kid":"one"}"#);
    let with = |id| source(JwsTime::Nowhere, vec![key(&pair, id)]);
    named().to(with(Some("one"))).accepted();
    named().to(with(None)).accepted();
    named()
        .to(with(Some("two")))
        .refused(WebhookRefusal::KeyUnknown);
}

#[test]
fn the_time_in_the_header_is_looked_at_where_the_rules_say_so() {
    use WebhookRefusal as Why;
    let pair = KeyPairAlgorithm::Ed25519.generate().unwrap();
    let timed = |iat: &str| {
        sent(&pair, &format!(r#"{{"alg":"EdDSA"{iat}}}"#))
            .to(source(JwsTime::IssuedAt, vec![key(&pair, None)]))
    };
    let at = |seconds| timed(&format!(r#","iat":{}"#, moved(seconds)));
    assert_eq!(at(0).receipt().timestamp(), Some(NOW));
    at(-300).accepted();
    at(-301).refused(Why::TimestampOld);
    at(300).accepted();
    at(301).refused(Why::TimestampFuture);
    timed("").refused(Why::TimestampMissing);
    timed(r#","iat":"now""#).refused(Why::TimestampMalformed);
    timed(r#","iat":-1"#).refused(Why::TimestampMalformed);
}
