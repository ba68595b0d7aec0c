//! Of every scheme: whatever is signed holds, and with any one bit of its body or of what is signed in its head changed it does not.

use super::super::http_signature::{HttpSignatureRules, SecretAs, headers};
use super::super::standard::{self, SecretKind, SigningSecret};
use super::super::{
    Content, EcdsaEncoding, Encoding, EventIdRule, FieldRules, JwsRules, JwsTime, PublicKeyRules,
    Scheme, Separator, Source, TimePlace, WebhookRefusal, github, shopify, stripe,
};
use super::{NOW, Sent, rules};
use crate::HeadView;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use countersign_crypto::keypair::{EcdsaForm, KeyPair, KeyPairAlgorithm, SignatureScheme, Signed};
use countersign_crypto::{Random, base64, base64url};
use proptest::prelude::*;

const SECRET: &str = "a secret of nobody";

/// A signed request, and which of its fields are signed or sign.
type Case = (Sent, Vec<&'static str>);
type Sign = fn(&[u8]) -> Case;

const SCHEMES: &[(&str, Sign)] = &[
    ("github", of_github),
    ("shopify", of_shopify),
    ("slack", of_slack),
    ("stripe", of_stripe),
    ("svix", of_svix),
    ("public-key", of_public_key),
    ("ecdsa", of_ecdsa),
    ("jws-detached", of_jws),
    ("http-signature", of_http_signature),
];

fn tag(parts: &[&[u8]]) -> Vec<u8> {
    HmacKey::new(HashAlgorithm::Sha2_256, SECRET.as_bytes()).tag(parts)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A source whose events have no id but what was signed, so that any body will do.
fn source(scheme: Scheme, key: &str) -> Source {
    let mut rules = rules(scheme, &[key]);
    rules.event_id = EventIdRule::Signed;
    Source::new(rules).unwrap()
}

fn of_github(body: &[u8]) -> Case {
    let signature = format!("sha256={}", hex(&tag(&[body])));
    let source = source(Scheme::GitHub, SECRET);
    let sent = Sent::new(source, [(github::SIGNATURE, signature)], body);
    (sent, vec![github::SIGNATURE])
}

fn of_shopify(body: &[u8]) -> Case {
    let signature = base64::encode(&tag(&[body]));
    let source = source(Scheme::Shopify, SECRET);
    let sent = Sent::new(source, [(shopify::SIGNATURE, signature)], body);
    (sent, vec![shopify::SIGNATURE])
}

fn of_slack(body: &[u8]) -> Case {
    let (signature, time) = ("x-slack-signature", "x-slack-request-timestamp");
    let tag = tag(&[format!("v0:{NOW}:").as_bytes(), body]);
    let fields = [
        (signature, format!("v0={}", hex(&tag))),
        (time, NOW.to_string()),
    ];
    let sent = Sent::new(source(Scheme::Slack, SECRET), fields, body);
    (sent, vec![signature, time])
}

fn of_stripe(body: &[u8]) -> Case {
    let tag = tag(&[format!("{NOW}.").as_bytes(), body]);
    let signature = format!("t={NOW},v1={}", hex(&tag));
    let source = source(Scheme::Stripe, SECRET);
    let sent = Sent::new(source, [(stripe::SIGNATURE, signature)], body);
    (sent, vec![stripe::SIGNATURE])
}

fn of_svix(body: &[u8]) -> Case {
    let secret = SigningSecret::generate(SecretKind::Hmac, &Random::system()).unwrap();
    let source = source(Scheme::Svix, secret.to_text().expose());
    let signed = standard::headers(std::slice::from_ref(&secret), "msg_1", NOW, body).unwrap();
    let renamed = signed.map(|(name, value)| match name {
        standard::ID => ("svix-id", value),
        standard::TIMESTAMP => ("svix-timestamp", value),
        _ => ("svix-signature", value),
    });
    let names = vec!["svix-id", "svix-timestamp", "svix-signature"];
    (Sent::new(source, renamed, body), names)
}

fn by_key(
    algorithm: KeyPairAlgorithm,
    signed: SignatureScheme,
    ecdsa: EcdsaEncoding,
    body: &[u8],
) -> Case {
    let (signature, time) = ("x-signature", "x-time");
    let pair = algorithm.generate().unwrap();
    let scheme = Scheme::PublicKey(PublicKeyRules {
        fields: FieldRules {
            field: signature.parse().unwrap(),
            encoding: Encoding::Base64,
            prefix: String::new(),
            content: Content::Timed {
                separator: Separator::Dot,
                time: TimePlace::Field(time.parse().unwrap()),
            },
        },
        ecdsa,
    });
    let message = [format!("{NOW}.").as_bytes(), body].concat();
    let signed = pair.sign(signed, Signed::Message(&message)).unwrap();
    let fields = [
        (signature, base64::encode(&signed)),
        (time, NOW.to_string()),
    ];
    let sent = Sent::new(source(scheme, &public(&pair)), fields, body);
    (sent, vec![signature, time])
}

fn public(pair: &KeyPair) -> String {
    pair.public_key().unwrap().to_pem()
}

fn of_public_key(body: &[u8]) -> Case {
    let ed25519 = KeyPairAlgorithm::Ed25519;
    by_key(
        ed25519,
        SignatureScheme::Ed25519,
        EcdsaEncoding::Fixed,
        body,
    )
}

fn of_ecdsa(body: &[u8]) -> Case {
    let scheme = SignatureScheme::Ecdsa {
        hash: HashAlgorithm::Sha2_256,
        form: EcdsaForm::Fixed,
    };
    by_key(
        KeyPairAlgorithm::EcdsaP256,
        scheme,
        EcdsaEncoding::Fixed,
        body,
    )
}

fn of_jws(body: &[u8]) -> Case {
    let field = "x-jws-signature";
    let pair = KeyPairAlgorithm::Ed25519.generate().unwrap();
    let scheme = Scheme::JwsDetached(JwsRules {
        field: field.parse().unwrap(),
        time: JwsTime::Nowhere,
    });
    let header = base64url::encode(br#"{"alg":"EdDSA"}"#);
    let input = format!("{header}.{}", base64url::encode(body));
    let signed = Signed::Message(input.as_bytes());
    let signature = pair.sign(SignatureScheme::Ed25519, signed).unwrap();
    let value = format!("{header}..{}", base64url::encode(&signature));
    let sent = Sent::new(source(scheme, &public(&pair)), [(field, value)], body);
    (sent, vec![field])
}

fn of_http_signature(body: &[u8]) -> Case {
    let secret = SigningSecret::generate(SecretKind::Ed25519, &Random::system()).unwrap();
    let fields: [(&str, &[u8]); 2] = [
        ("content-type", b"application/json"),
        (standard::ID, b"msg_1"),
    ];
    let head = HeadView {
        method: "POST",
        scheme: "https",
        authority: "hooks.example.com",
        path_and_query: "/hooks?from=tests",
        fields: &fields,
    };
    let secrets = [SecretAs {
        id: "one",
        secret: &secret,
    }];
    let signed = headers(&secrets, &head, body, &Random::system(), NOW).unwrap();
    let scheme = Scheme::HttpSignature(HttpSignatureRules::webhook());
    let source = source(scheme, secret.to_verifying_text().expose());
    let mut names: Vec<&'static str> = signed.iter().map(|(name, _)| *name).collect();
    let mut sent = Sent::new(source, signed, body);
    for (name, value) in fields {
        sent = sent.with(name, value);
        names.push(name);
    }
    (sent, names)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn what_is_signed_holds_and_no_bit_of_it_can_be_changed(
        scheme in prop::sample::select(SCHEMES),
        body in prop::collection::vec(any::<u8>(), 1..200),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let (name, sign) = scheme;
        let (sent, fields) = sign(&body);
        prop_assert!(sent.judged().is_ok(), "{}", name);
        let mut flipped = body.clone();
        flipped[at.index(body.len())] ^= 1 << bit;
        let refusal = sent.body(&flipped).judged().map(|_| ());
        let wrong = [WebhookRefusal::SignatureWrong, WebhookRefusal::DigestWrong];
        prop_assert!(refusal.is_err_and(|why| wrong.contains(&why)), "{}", name);
        for field in fields {
            let (sent, _) = sign(&body);
            let before = sent.value(field).to_owned();
            let mut value = before.clone().into_bytes();
            value[at.index(before.len())] ^= 1 << bit;
            // Hexadecimal digits say the same in capitals.
            let is_same_digit = value.eq_ignore_ascii_case(before.as_bytes())
                && before.rsplit('=').next().is_some_and(|end| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_hexdigit()));
            if !is_same_digit {
                prop_assert!(sent.with(field, value).judged().is_err(), "{} {}", name, field);
            }
        }
    }
}
