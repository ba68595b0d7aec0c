use super::super::tests::{NOW, Sent, moved, rules};
use super::super::{
    Content, Encoding, FieldRules, KeyError, Scheme, Separator, Source, SourceError, TimePlace,
    WebhookRefusal,
};
use super::{HmacHash, HmacRules};
use countersign_crypto::base64;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use proptest::prelude::*;

const BODY: &[u8] = br#"{"event":"refresh"}"#;
const SIGNATURE: &str = "x-signature";
const TIME: &str = "x-time";

fn timed(separator: Separator, place: &str) -> Content {
    Content::Timed {
        separator,
        time: match place {
            SIGNATURE => TimePlace::Signature,
            field => TimePlace::Field(field.parse().unwrap()),
        },
    }
}

fn scheme(hash: HmacHash, encoding: Encoding, prefix: &str, content: Content) -> Scheme {
    Scheme::Hmac(HmacRules {
        fields: FieldRules {
            field: "X-Signature".parse().unwrap(),
            encoding,
            prefix: prefix.to_owned(),
            content,
        },
        hash,
    })
}

fn written(scheme: &Scheme, secret: &[u8], parts: &[&[u8]]) -> String {
    let Scheme::Hmac(rules) = scheme else {
        unreachable!("these tests are of HMAC")
    };
    let hash = match rules.hash {
        HmacHash::Sha256 => HashAlgorithm::Sha2_256,
        HmacHash::Sha512 => HashAlgorithm::Sha2_512,
    };
    let tag = HmacKey::new(hash, secret).tag(parts);
    let text = match rules.fields.encoding {
        Encoding::Base64 => base64::encode(&tag),
        Encoding::Hex => tag.iter().map(|byte| format!("{byte:02X}")).collect(),
    };
    format!("{}{text}", rules.fields.prefix)
}

fn build(scheme: Scheme, keys: &[&str]) -> Source {
    Source::new(rules(scheme, keys)).unwrap()
}

/// What a sender of these rules writes.
fn sent(scheme: &Scheme, secret: &[u8]) -> Sent {
    let Scheme::Hmac(rules) = scheme else {
        unreachable!("these tests are of HMAC")
    };
    let now = NOW.to_string();
    let (parts, listed, own): (Vec<&[u8]>, _, _) = match &rules.fields.content {
        Content::Body => (vec![BODY], false, false),
        Content::Timed { separator, time } => (
            vec![now.as_bytes(), separator.as_bytes(), BODY],
            *time == TimePlace::Signature,
            *time != TimePlace::Signature,
        ),
    };
    let mut value = written(scheme, secret, &parts);
    if listed {
        value = format!("t={now},v1={value}");
    }
    let mut fields = vec![(SIGNATURE, value)];
    if own {
        fields.push((TIME, now));
    }
    Sent::new(build(scheme.clone(), &["secret"]), fields, BODY)
}

fn every() -> Vec<Scheme> {
    let mut every = Vec::new();
    for hash in [HmacHash::Sha256, HmacHash::Sha512] {
        for encoding in [Encoding::Base64, Encoding::Hex] {
            every.push(scheme(hash, encoding, "", Content::Body));
            every.push(scheme(hash, encoding, "sha256=", Content::Body));
            for separator in [Separator::Comma, Separator::Dot, Separator::Nothing] {
                every.push(scheme(hash, encoding, "", timed(separator, SIGNATURE)));
                every.push(scheme(hash, encoding, "v=", timed(separator, TIME)));
            }
        }
    }
    every
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    for scheme in every() {
        let sent = || sent(&scheme, b"secret");
        sent().accepted();
        sent()
            .to(build(scheme.clone(), &["secreT"]))
            .refused(Why::SignatureWrong);
        sent()
            .to(build(scheme.clone(), &["other", "secret"]))
            .accepted();
        sent().body(b"{}").refused(Why::SignatureWrong);
        sent().without(SIGNATURE).refused(Why::SignatureMissing);
        sent().twice(SIGNATURE).refused(Why::SignatureSeveral);
        sent()
            .without(SIGNATURE)
            .with("stripe-signature", "t=1")
            .refused(Why::SchemeOther);
        sent()
            .with("stripe-signature", "t=1")
            .refused(Why::SchemeOther);
        assert!(sent().with(SIGNATURE, "!").judged().is_err());
        let Scheme::Hmac(rules) = &scheme else {
            unreachable!("these tests are of HMAC")
        };
        let time = match &rules.fields.content {
            Content::Body => continue,
            Content::Timed { time, .. } => time,
        };
        sent().at(moved(300)).accepted();
        sent().at(moved(301)).refused(Why::TimestampOld);
        sent().at(moved(-300)).accepted();
        sent().at(moved(-301)).refused(Why::TimestampFuture);
        match time {
            TimePlace::Field(_) => {
                sent()
                    .with(TIME, moved(1).to_string())
                    .refused(Why::SignatureWrong);
                sent().without(TIME).refused(Why::TimestampMissing);
                sent().twice(TIME).refused(Why::TimestampMalformed);
            }
            TimePlace::Signature => {
                let value = sent().value(SIGNATURE).to_owned();
                let with =
                    |from: &str, to: &str| sent().with(SIGNATURE, value.replacen(from, to, 1));
                let time = format!("t={NOW},");
                with(&time, &format!("t={},", moved(1))).refused(Why::SignatureWrong);
                with(&time, "").refused(Why::TimestampMissing);
                with("v1=", "v2=").refused(Why::AlgorithmUnknown);
            }
        }
    }
}

#[test]
fn a_tag_of_one_set_of_rules_holds_under_no_other() {
    for one in every() {
        for other in every() {
            let judged = sent(&one, b"secret")
                .to(build(other.clone(), &["secret"]))
                .judged();
            assert_eq!(judged.is_ok(), one == other, "{one:?} as {other:?}");
        }
    }
}

#[test]
fn a_secret_can_be_bytes() {
    let scheme = scheme(HmacHash::Sha256, Encoding::Hex, "", Content::Body);
    let sent = || sent(&scheme, b"\x00\xff");
    sent()
        .to(build(scheme.clone(), &["base64:AP8="]))
        .accepted();
    sent().to(build(scheme.clone(), &["hex:00ff"])).accepted();
    sent()
        .to(build(scheme.clone(), &["00ff"]))
        .refused(WebhookRefusal::SignatureWrong);
    for (key, error) in [
        ("base64:AP8", KeyError::Encoding),
        ("hex:0", KeyError::Encoding),
        ("hex:", KeyError::Empty),
        ("", KeyError::Empty),
        ("secret\n", KeyError::Space),
    ] {
        assert_eq!(
            Source::new(rules(scheme.clone(), &[key])).map(|_| ()),
            Err(SourceError::Key { number: 1, error })
        );
    }
}

#[test]
fn rules_that_contradict_each_other_are_none() {
    for (prefix, content) in [
        ("sha256=", timed(Separator::Dot, SIGNATURE)),
        (
            "",
            Content::Timed {
                separator: Separator::Dot,
                time: TimePlace::Field(SIGNATURE.parse().unwrap()),
            },
        ),
    ] {
        let scheme = scheme(HmacHash::Sha256, Encoding::Hex, prefix, content);
        assert!(matches!(
            Source::new(rules(scheme, &["secret"])),
            Err(SourceError::Rules(_))
        ));
    }
}

#[test]
fn digits_do_not_wander_from_the_body_into_the_time() {
    let scheme = scheme(
        HmacHash::Sha256,
        Encoding::Hex,
        "",
        timed(Separator::Nothing, TIME),
    );
    let sent = || {
        let now = NOW.to_string();
        let value = written(&scheme, b"secret", &[now.as_bytes(), b"1{}"]);
        sent(&scheme, b"secret").body(b"1{}").with(SIGNATURE, value)
    };
    sent().accepted();
    sent()
        .body(b"{}")
        .with(TIME, format!("{NOW}1"))
        .refused(WebhookRefusal::TimestampFuture);
}

proptest! {
    #[test]
    fn any_flipped_bit_refuses(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let every = every();
        let scheme = which.get(&every);
        let mut body = BODY.to_vec();
        body[at.index(BODY.len())] ^= 1 << bit;
        prop_assert_eq!(
            sent(scheme, b"secret").body(&body).judged().map(|_| ()),
            Err(WebhookRefusal::SignatureWrong)
        );
    }
}
