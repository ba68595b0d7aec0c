use super::*;
use serde_json::json;

fn answer(body: &Value) -> Result<Answer, AnswerError> {
    Answer::parse(body.to_string().as_bytes())
}

#[test]
fn each_engine_says_in_its_own_way_how_long_its_secrets_are_good_for() {
    let lease = json!({"lease_id": "database/creds/app/x", "lease_duration": 60, "renewable": true, "data": {"username": "u"}});
    let standing = json!({"lease_id": "", "lease_duration": 0, "renewable": false, "data": {"data": {"a": "b"}, "metadata": {"version": 1}}});
    let certificate = json!({"lease_id": "", "data": {"certificate": "PEM", "private_key": "PEM", "expiration": 1_800_000_000}});
    let changing =
        json!({"data": {"password": "p", "rotation_period": 86_400, "ttl": 17, "username": "u"}});
    for (body, expected) in [
        (
            lease,
            Lifetime::Leased {
                lease: "database/creds/app/x".to_owned(),
                span: Duration::from_secs(60),
                renewable: Renewable::Yes,
            },
        ),
        (standing, Lifetime::Standing),
        (certificate, Lifetime::Until(UnixMillis(1_800_000_000_000))),
        (changing, Lifetime::Changing(Duration::from_secs(17))),
    ] {
        assert_eq!(
            answer(&body).ok().map(|answer| answer.lifetime().clone()),
            Some(expected)
        );
    }
}

#[test]
fn the_fields_of_kv_version_two_are_those_of_the_secret() {
    let inner = json!({"data": {"data": {"password": "p"}, "metadata": {"version": 1}}});
    assert_eq!(
        answer(&inner)
            .unwrap_or_else(|_| panic!())
            .field("password"),
        Some(&json!("p"))
    );
    // A secret that has fields of these names and one more is itself.
    let other = json!({"data": {"data": {"password": "p"}, "metadata": {}, "third": 1}});
    assert!(
        answer(&other)
            .unwrap_or_else(|_| panic!())
            .field("password")
            .is_none()
    );
}

#[test]
fn what_holds_no_secret_is_refused_without_being_repeated() {
    for (body, expected) in [
        (json!([]), AnswerError::NotJson),
        (
            json!({"errors": ["permission denied"]}),
            AnswerError::NoSecret,
        ),
        (json!({"data": null}), AnswerError::NoSecret),
        (
            json!({"data": {"data": null, "metadata": {"version": 2}}}),
            AnswerError::NoSecret,
        ),
    ] {
        assert_eq!(answer(&body).err(), Some(expected), "{body}");
    }
    assert_eq!(Answer::parse(b"{").err(), Some(AnswerError::NotJson));
}

#[test]
fn a_sign_in_gives_a_token_that_can_stand_in_a_header() {
    let login = |token: &str, lease: u64| {
        let body =
            json!({"auth": {"client_token": token, "lease_duration": lease, "renewable": true}});
        Login::parse(body.to_string().as_bytes())
    };
    let good = login("hvs.abc", 60).unwrap_or_else(|_| panic!());
    assert_eq!(good.token.expose(), "hvs.abc");
    assert_eq!(good.span, Some(Duration::from_secs(60)));
    assert_eq!(login("hvs.abc", 0).unwrap_or_else(|_| panic!()).span, None);
    for token in ["", "a b", "a\r\nx: y", "é"] {
        assert_eq!(
            login(token, 60).err(),
            Some(AnswerError::NoToken),
            "{token:?}"
        );
    }
    assert_eq!(
        Login::parse(b"{\"auth\":null}").err(),
        Some(AnswerError::NoToken)
    );
}
