//! Webhooks as they come in: a head and a body before a source of every scheme, secrets as text, structured fields, digests and HTTP message signatures.
//!
//! A request is its fields, a line each, an empty line, and the body.

use super::requests::NOW;
use crate::examples::{Example, Failed};
use crate::{Target, Verdict};
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use countersign_net::RetryAfter;
use countersign_wire::content_digest::ContentDigest;
use countersign_wire::http_signature::{self, Component, Message};
use countersign_wire::structured_field as field;
use countersign_wire::webhook::http_signature::SecretAs;
use countersign_wire::webhook::standard::{self, SigningSecret};
use countersign_wire::webhook::{
    Content, EcdsaEncoding, Encoding, FieldRules, HmacHash, HmacRules, HttpSignatureRules,
    JwsRules, JwsTime, KeyText, OtherSchemes, PublicKeyRules, Scheme, Separator, Source,
    SourceRules, TOLERANCE_DEFAULT, TimePlace, Verified,
};
use countersign_wire::{FieldName, HeadView};
use http::{HeaderMap, HeaderValue, header};
use std::sync::LazyLock;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "webhook",
        about: "a webhook before a source of every scheme",
        run: request,
        words: WORDS,
    },
    Target {
        name: "webhook-secret",
        about: "a secret of Standard Webhooks as text",
        run: secret,
        words: &["whsec_", "whsk_", "whpk_", "v1,", "="],
    },
    Target {
        name: "structured-field",
        about: "a structured field value (RFC 8941)",
        run: structured_field,
        words: FIELD_WORDS,
    },
    Target {
        name: "content-digest",
        about: "Content-Digest (RFC 9530)",
        run: content_digest,
        words: FIELD_WORDS,
    },
    Target {
        name: "http-component",
        about: "a component that a signature covers (RFC 9421), as configuration names it",
        run: component,
        words: FIELD_WORDS,
    },
    Target {
        name: "retry-after",
        about: "Retry-After of a receiver (RFC 9110)",
        run: retry_after,
        words: &[
            "120",
            " ",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 ",
            "Nov  6",
        ],
    },
    Target {
        name: "http-signature",
        about: "the signatures of an HTTP message (RFC 9421) and what they cover",
        run: http_signature,
        words: WORDS,
    },
];

/// Fragments of heads.
pub(crate) const WORDS: &[&str] = &[
    "webhook-signature: v1,",
    "v1a,",
    "stripe-signature: t=1,v1=",
    "x-hub-signature-256: sha256=",
    "x-slack-signature: v0=",
    "x-signature: ",
    "x-jws: eyJhbGciOiJFZERTQSIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..",
    "signature-input: sig=(\"@method\" \"content-digest\")",
    ";created=",
    ";tag=\"webhook\"",
    "signature: sig=:",
    "content-digest: sha-256=:",
    "\n\n",
];

/// Fragments of structured fields.
pub(crate) const FIELD_WORDS: &[&str] = &[
    "\"@query-param\";name=\"a\"",
    "\"x\";bs",
    ";sf",
    ";req",
    "?1",
    ":AAAA:",
    "-1.125",
    "999999999999999",
    "(",
    ")",
    ", ",
    "sha-512=",
];

const HMAC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ED25519: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n";
/// GitHub's published example.
const GITHUB: &str = "It's a Secret to Everybody";
const GITHUB_SEED: &str = "x-hub-signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\nx-github-delivery: 1\n\nHello, World!";
const BODY: &str = "{\"id\":\"evt_1\"}";
const FIELDS: [(&str, &[u8]); 2] = [
    ("content-type", b"application/json"),
    (standard::ID, b"msg_1"),
];

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| sources().unwrap_or_default());

/// A source of every scheme.
fn sources() -> Option<Vec<Source>> {
    schemes()?
        .into_iter()
        .map(|(scheme, key)| {
            Source::new(SourceRules {
                event_id: scheme.event_id_default(),
                scheme,
                keys: vec![KeyText {
                    id: None,
                    text: Secret::new(key.to_owned()),
                }],
                tolerance: TOLERANCE_DEFAULT,
                others: OtherSchemes::Refused,
            })
            .ok()
        })
        .collect()
}

fn name(text: &str) -> Option<FieldName> {
    text.parse().ok()
}

fn rules(content: Content) -> Option<FieldRules> {
    Some(FieldRules {
        field: name("x-signature")?,
        encoding: Encoding::Hex,
        prefix: String::new(),
        content,
    })
}

fn hmac(content: Content) -> Option<Scheme> {
    Some(Scheme::Hmac(HmacRules {
        fields: rules(content)?,
        hash: HmacHash::Sha256,
    }))
}

/// Each scheme with a key in its form.
fn schemes() -> Option<Vec<(Scheme, &'static str)>> {
    let timed = |time| Content::Timed {
        separator: Separator::Dot,
        time,
    };
    Some(vec![
        (Scheme::GitHub, GITHUB),
        (Scheme::Shopify, "secret"),
        (Scheme::Slack, "secret"),
        (Scheme::StandardWebhooks, HMAC),
        (Scheme::Stripe, HMAC),
        (Scheme::Svix, HMAC),
        (hmac(Content::Body)?, "secret"),
        (hmac(timed(TimePlace::Signature))?, "secret"),
        (hmac(timed(TimePlace::Field(name("x-time")?)))?, "secret"),
        (
            Scheme::PublicKey(PublicKeyRules {
                fields: rules(Content::Body)?,
                ecdsa: EcdsaEncoding::Fixed,
            }),
            ED25519,
        ),
        (
            Scheme::JwsDetached(JwsRules {
                field: name("x-jws")?,
                time: JwsTime::Nowhere,
            }),
            ED25519,
        ),
        (
            Scheme::HttpSignature(HttpSignatureRules::webhook()),
            "base64:MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ),
    ])
}

/// Fields and body of an input.
fn parts(input: &[u8]) -> (Vec<(&str, &[u8])>, &[u8]) {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end
        .and_then(|end| input.split_at_checked(end))
        .unwrap_or((input, b""));
    let fields = head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((std::str::from_utf8(name).ok()?, value.get(1..)?))
        })
        .collect();
    (fields, body.get(2..).unwrap_or_default())
}

fn head<'a>(fields: &'a [(&'a str, &'a [u8])]) -> HeadView<'a> {
    HeadView {
        method: "POST",
        scheme: "https",
        authority: "hooks.example.com",
        path_and_query: "/in?a=b%20c&a=d",
        fields,
    }
}

pub(crate) fn request(input: &[u8]) -> Verdict {
    let (fields, body) = parts(input);
    let head = head(&fields);
    let mut verdict = Verdict::Refused;
    for source in SOURCES.iter() {
        let judge = |body: &[u8]| {
            source
                .look(&head, NOW)
                .and_then(|looked| source.hear(looked, body, NOW))
        };
        if let Ok(verified) = judge(body) {
            match verified {
                Verified::Challenge(challenge) => {
                    let text = challenge.into_text();
                    assert!((1..=256).contains(&text.len()), "a challenge is a word");
                }
                Verified::Receipt(receipt) => assert!(
                    (1..=255).contains(&receipt.event_id().len()),
                    "an event has an id"
                ),
            }
            let other = [body, b"x"].concat();
            assert!(judge(&other).is_err(), "the body is covered");
            verdict = Verdict::Accepted;
        }
    }
    verdict
}

pub(crate) fn secret(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let read = SigningSecret::parse(&Secret::new(text.to_owned()));
    if let Ok(secret) = &read {
        let written = secret.to_text();
        let again = SigningSecret::parse(&written).map(|secret| secret.to_text());
        assert!(
            again.is_ok_and(|again| again.matches(written.expose().as_bytes())),
            "what is written is read"
        );
    }
    Verdict::of(&read)
}

pub(crate) fn structured_field(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let item = field::item(text);
    if let Ok(item) = &item {
        assert!(field::item(&item.to_string()).as_ref() == Ok(item));
    }
    let list = field::list(text);
    if let Ok(list) = &list {
        assert!(field::list(&list.to_string()).as_ref() == Ok(list));
    }
    let dictionary = field::dictionary(text);
    if let Ok(dictionary) = &dictionary {
        assert!(field::dictionary(&dictionary.to_string()).as_ref() == Ok(dictionary));
    }
    Verdict::of(&item)
        .or(Verdict::of(&list))
        .or(Verdict::of(&dictionary))
}

pub(crate) fn content_digest(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let digest = ContentDigest::parse(text);
    if let Ok(digest) = &digest {
        let holds = |body: &[u8]| digest.check(body).is_ok();
        assert!(!(holds(b"one") && holds(b"two")), "a digest is of one body");
    }
    Verdict::of(&digest)
}

pub(crate) fn http_signature(input: &[u8]) -> Verdict {
    let (fields, _) = parts(input);
    let message = Message::Request(head(&fields));
    let mut verdict = Verdict::Refused;
    for signature in http_signature::signatures(&message).unwrap_or_default() {
        if let Ok(base) = signature.input.base(&message) {
            let lines = base.split(|byte| *byte == b'\n').count();
            assert!(
                lines == signature.input.components().len() + 1,
                "a component is one line"
            );
            verdict = Verdict::Accepted;
        }
    }
    verdict
}

pub(crate) fn component(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let read = text.parse::<Component>();
    if let Ok(component) = &read {
        assert!(!component.name().is_empty(), "a component has a name");
    }
    Verdict::of(&read)
}

/// One line is one field.
pub(crate) fn retry_after(input: &[u8]) -> Verdict {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else {
            return Verdict::Refused;
        };
        headers.append(header::RETRY_AFTER, value);
    }
    match RetryAfter::of(&headers) {
        Some(read) => {
            let time = read.time(NOW);
            assert!(
                matches!(read, RetryAfter::At(_)) || time >= NOW,
                "a span is not in the past"
            );
            Verdict::Accepted
        }
        None => Verdict::Refused,
    }
}

/// Seeds, those of our own schemes signed by our own writers.
pub(crate) fn examples() -> Result<Vec<Example>, Failed> {
    let secret = SigningSecret::parse(&Secret::new(HMAC.to_owned()))?;
    let body = BODY.as_bytes();
    let standard = standard::headers(std::slice::from_ref(&secret), "msg_1", NOW, body)?;
    let secrets = [SecretAs {
        id: "fuzz",
        secret: &secret,
    }];
    let random = Random::from_fn(|buffer| buffer.fill(7));
    let message = countersign_wire::webhook::http_signature::headers(
        &secrets,
        &head(&FIELDS),
        body,
        &random,
        NOW,
    )?;
    let message = written(&FIELDS, &message);
    let mut all = texts();
    all.push(("webhook", "standard", written(&[], &standard)));
    all.push(("webhook", "slack-challenge", slack_challenge()));
    all.push(("webhook", "http-signature", message.clone()));
    all.push(("http-signature", "profile", message));
    Ok(all)
}

/// What Slack asks before it sends anything, signed.
fn slack_challenge() -> Vec<u8> {
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595"}"#;
    let key = HmacKey::new(HashAlgorithm::Sha2_256, b"secret");
    let tag = key.tag(&[format!("v0:{NOW}:").as_bytes(), body.as_bytes()]);
    let digits: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    let head = format!("x-slack-request-timestamp: {NOW}\nx-slack-signature: v0={digits}\n\n");
    [head, body.to_owned()].concat().into_bytes()
}

/// A request as the targets read it.
fn written(fields: &[(&str, &[u8])], signed: &[(&'static str, String)]) -> Vec<u8> {
    let signed = signed.iter().map(|(name, value)| (*name, value.as_bytes()));
    let mut text = Vec::new();
    for (name, value) in fields.iter().copied().chain(signed) {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(BODY.as_bytes());
    text
}

fn texts() -> Vec<Example> {
    let text = |target, name, value: &str| (target, name, value.as_bytes().to_vec());
    vec![
        text("webhook", "github", GITHUB_SEED),
        text("http-component", "name", "content-digest"),
        text(
            "http-component",
            "parameters",
            "\"@query-param\";name=\"a\";req",
        ),
        text("retry-after", "seconds", "120"),
        text("retry-after", "date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        text("webhook-secret", "hmac", HMAC),
        text(
            "webhook-secret",
            "ed25519",
            "whsk_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        ),
        text("structured-field", "item", "\"a \\\"b\\\"\";c=1.5;d=:AAAA:"),
        text("structured-field", "list", "(\"a\" b);c, 1, ?0"),
        text("structured-field", "dictionary", "a=1, b;x, c=(d e);f=g"),
        text(
            "content-digest",
            "both",
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:, sha-512=:z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==:",
        ),
        text(
            "http-signature",
            "derived",
            "x: 1\nx: 2\nd: a=1, b=(2 3)\nsignature-input: s=(\"@authority\" \"@method\" \"@path\" \"@query\" \"@request-target\" \"@scheme\" \"@target-uri\" \"x\";bs \"d\";sf \"d\";key=\"b\");created=1;keyid=\"k\"\nsignature: s=:AAAA:",
        ),
    ]
}
