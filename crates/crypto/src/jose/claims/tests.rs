use super::Claims;
use countersign_base::UnixTime;
use serde_json::{Value, json};

fn claims(value: Value) -> Claims {
    Claims::new(value.as_object().unwrap().clone())
}

/// CVE-2026-25537: `exp` and `nbf` of the wrong type must be refused, not taken for absent. The twin is a whole number.
#[test]
fn r51_a65_jwt_7_time_of_the_wrong_type_is_an_error() {
    for name in ["exp", "nbf", "iat"] {
        for wrong in [
            json!("1700000000"),
            json!([1_700_000_000]),
            json!({}),
            json!(null),
            json!(true),
            json!(1_700_000_000.5),
            json!(1_700_000_000.0),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(253_402_300_800_i64),
        ] {
            assert!(
                claims(json!({ name: wrong })).time(name).is_err(),
                "{name} {wrong}"
            );
        }
        assert_eq!(
            claims(json!({ name: 1_700_000_000 })).time(name).unwrap(),
            Some(UnixTime(1_700_000_000))
        );
        assert_eq!(claims(json!({})).time(name).unwrap(), None);
    }
}

#[test]
fn r51_every_getter_tells_absent_from_broken() {
    let wrong = claims(json!({ "a": 1 }));
    assert!(wrong.text("a").is_err());
    assert!(wrong.strings("a").is_err());
    assert!(wrong.object("a").is_err());
    assert!(wrong.flag("a").is_err());
    assert_eq!(
        wrong.text("a").unwrap_err().to_string(),
        "the claim `a` is not a string"
    );
    let absent = claims(json!({}));
    assert_eq!(absent.text("a").unwrap(), None);
    assert_eq!(absent.strings("a").unwrap(), None);
    assert!(absent.object("a").unwrap().is_none());
    assert_eq!(absent.flag("a").unwrap(), None);
    assert_eq!(claims(json!({ "a": true })).flag("a").unwrap(), Some(true));
    assert_eq!(
        claims(json!({ "a": { "b": 1 } }))
            .object("a")
            .unwrap()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn an_audience_is_a_string_or_strings() {
    assert_eq!(
        claims(json!({ "aud": "a" }))
            .strings("aud")
            .unwrap()
            .unwrap(),
        ["a"]
    );
    assert_eq!(
        claims(json!({ "aud": ["a", "b"] }))
            .strings("aud")
            .unwrap()
            .unwrap(),
        ["a", "b"]
    );
    assert!(
        claims(json!({ "aud": [] }))
            .strings("aud")
            .unwrap()
            .unwrap()
            .is_empty()
    );
    assert!(claims(json!({ "aud": ["a", 1] })).strings("aud").is_err());
    assert!(claims(json!({ "aud": null })).strings("aud").is_err());
}

#[test]
fn debug_shows_no_claim() {
    assert_eq!(
        format!("{:?}", claims(json!({ "email": "a@example.com" }))),
        "Claims(1)"
    );
}
