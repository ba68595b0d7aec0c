//! Records: canonical by construction, bounded by construction, and read back strictly.

use super::*;
use crate::event::tests::examples;
use crate::event::{Decision, Verdict};
use crate::text::{Code, Names, Text};
use proptest::prelude::*;

fn record(event: Event) -> Record {
    Record {
        id: EventId::from_bytes([0xab; 16]),
        time: UnixMillis(1_795_000_000_123),
        tenant: "t".repeat(32).parse().unwrap(),
        request: Some(RequestId::from_bytes([0xcd; 16])),
        event,
    }
}

#[test]
fn the_largest_record_of_every_kind_is_canonical_bounded_and_read_back() {
    for event in examples() {
        let record = record(event);
        let encoded = record.encode();
        let kind = record.event.kind();
        assert!(
            encoded.as_bytes().len() <= AUDIT_RECORD_BYTES_MAX,
            "{kind} has {} bytes",
            encoded.as_bytes().len()
        );
        let value: serde_json::Value = serde_json::from_slice(encoded.as_bytes()).unwrap();
        assert_eq!(
            crate::canonical_json(&value).unwrap(),
            encoded.as_bytes(),
            "{kind} is not canonical"
        );
        assert_eq!(
            Record::decode(encoded.as_bytes()).unwrap(),
            record,
            "{kind}"
        );
        assert_eq!(
            CanonicalRecord::parse(encoded.as_bytes().to_vec()).unwrap(),
            encoded
        );
    }
}

#[test]
fn a_record_looks_like_this() {
    let event = Decision {
        action: "read".into(),
        ..Decision::new("gateway".into(), Verdict::Allowed, "policy".into())
    };
    let record = Record {
        request: None,
        tenant: Tenant::default_tenant(),
        ..record(event.into())
    };
    let expected = "{\"detail\":{\"action\":\"read\",\"decision\":\"allowed\",\"policies\":[],\"reason\":\"policy\",\"resource\":\"\",\"surface\":\"gateway\"},\
        \"id\":\"abababababababababababababababab\",\"kind\":\"decision\",\"tenant\":\"default\",\"time\":1795000000123,\"v\":1}";
    assert_eq!(
        String::from_utf8(record.encode().into_bytes()).unwrap(),
        expected
    );
}

#[test]
fn other_spellings_of_a_record_are_refused() {
    let text = String::from_utf8(record(examples().remove(0)).encode().into_bytes()).unwrap();
    assert!(Record::decode(text.as_bytes()).is_ok());
    let changed = [
        text.replacen("\"v\":1", "\"v\":2", 1),
        text.replacen("\"v\":1", "\"v\": 1", 1),
        text.replacen("\"v\":1", "\"v\":1,\"w\":1", 1),
        text.replacen("admin.action", "admin.action2", 1),
        text.replacen("\"tenant\"", "\"Tenant\"", 1),
        text.replacen("allowed", "\\u0061llowed", 1),
        format!("{text} "),
        format!(" {text}"),
        "{}".to_owned(),
        String::new(),
    ];
    for text in changed {
        assert!(Record::decode(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn what_is_too_long_becomes_digest_and_length() {
    let long = "x".repeat(257);
    let shortened: Text<256> = Text::of(&long);
    assert_eq!(shortened.kept(), None);
    let digest = "d09fd3f3b55ec7dff6d7bee9a1eff94e1f5a4e9f6bd9d9dd1d2ff5b0a0f8b6ff";
    let written = serde_json::to_value(&shortened).unwrap();
    assert_eq!(written["length"], 257);
    assert_eq!(written["sha256"].as_str().unwrap().len(), digest.len());
    assert_eq!(
        Text::<256>::of(&"x".repeat(256)).kept(),
        Some("x".repeat(256).as_str())
    );
    assert_eq!(
        Text::<256>::of("a\nb").kept(),
        None,
        "control characters would make the escaped form longer"
    );
    assert_eq!(
        serde_json::to_value(Names::of(["a"; 17])).unwrap()["count"],
        17
    );
    assert_eq!(Code::of("has a space").as_str(), "unnamed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_a_record_too_long_or_uncanonical(action in ".{0,400}", resource in "\\PC{0,400}", policies in prop::collection::vec("\\PC{0,80}", 0..24), time in any::<i64>()) {
        let event = Decision {
            action: Text::of(&action),
            resource: Text::of(&resource),
            policies: Names::of(policies.iter().map(String::as_str)),
            ..Decision::new("gateway".into(), Verdict::Denied, "policy".into())
        };
        let record = Record { time: UnixMillis(time), ..record(event.into()) };
        let encoded = record.encode();
        prop_assert!(encoded.as_bytes().len() <= AUDIT_RECORD_BYTES_MAX);
        let value: serde_json::Value = serde_json::from_slice(encoded.as_bytes()).unwrap();
        prop_assert_eq!(crate::canonical_json(&value).unwrap(), encoded.as_bytes());
        let decoded = Record::decode(encoded.as_bytes()).unwrap();
        prop_assert_eq!(decoded.event, record.event);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Record::decode(&bytes);
    }
}
