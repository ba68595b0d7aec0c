use super::{Change, ProjectionError, change};
use bytes::Bytes;
use http::header;
use http::response::{Builder, Parts};

fn head(change: impl FnOnce(Builder) -> Builder) -> Parts {
    let builder = http::Response::builder()
        .header("content-type", "application/json")
        .header("content-length", "999")
        .header("etag", "\"e\"")
        .header("content-digest", "sha-256=:x:");
    change(builder).body(()).unwrap().into_parts().0
}

#[track_caller]
fn check(before: &str, changes: &[Change], after: &str) {
    let mut head = head(|head| head);
    let body = change(
        &mut head,
        &Bytes::copy_from_slice(before.as_bytes()),
        changes,
    )
    .unwrap();
    assert_eq!(String::from_utf8(body.to_vec()).unwrap(), after);
    if before != after {
        assert_eq!(
            head.headers[header::CONTENT_LENGTH],
            after.len().to_string()
        );
        assert!(!head.headers.contains_key(header::ETAG));
        assert!(!head.headers.contains_key("content-digest"));
    }
}

fn drop_at(pointer: &str) -> Change {
    Change::Drop(pointer.parse().unwrap())
}

fn mask_at(pointer: &str) -> Change {
    Change::Mask(pointer.parse().unwrap())
}

#[test]
fn what_is_dropped_is_gone_and_what_stays_keeps_its_text() {
    let before = r#"{"id":12345678901234567890123,"card":{"number":"4111","cvc":123},"notes":[{"by":"a","text":"x"},{"by":"b"}]}"#;
    check(
        before,
        &[drop_at("/card")],
        r#"{"id":12345678901234567890123,"notes":[{"by":"a","text":"x"},{"by":"b"}]}"#,
    );
    check(
        before,
        &[drop_at("/notes/*/by")],
        r#"{"id":12345678901234567890123,"card":{"number":"4111","cvc":123},"notes":[{"text":"x"},{}]}"#,
    );
    check(
        before,
        &[drop_at("/notes/0"), drop_at("/card/cvc")],
        r#"{"id":12345678901234567890123,"card":{"number":"4111"},"notes":[{"by":"b"}]}"#,
    );
    check(
        before,
        &[drop_at("/notes/*")],
        r#"{"id":12345678901234567890123,"card":{"number":"4111","cvc":123},"notes":[]}"#,
    );
    check(
        before,
        &[
            drop_at("/missing/*/x"),
            drop_at("/id/x"),
            drop_at("/notes/9"),
        ],
        before,
    );
    check(before, &[drop_at("")], "null");
    // A name in other letters is the same name.
    check(
        r#"{"c\u0061rd":1,"*":{"a":1}}"#,
        &[drop_at("/card"), drop_at("/*/a")],
        r#"{"*":{}}"#,
    );
}

#[test]
fn what_is_masked_cannot_be_read_any_more() {
    let before = r#"{"card":{"number":"4111","cvc":123},"notes":["a",1,{"x":1},null,true]}"#;
    check(
        before,
        &[mask_at("/card/number"), mask_at("/card/cvc")],
        r#"{"card":{"number":"***","cvc":null},"notes":["a",1,{"x":1},null,true]}"#,
    );
    check(
        before,
        &[mask_at("/notes/*")],
        r#"{"card":{"number":"4111","cvc":123},"notes":["***",null,null,null,null]}"#,
    );
    check(
        before,
        &[mask_at("/card")],
        r#"{"card":null,"notes":["a",1,{"x":1},null,true]}"#,
    );
    check("\"s\"", &[mask_at("")], "\"***\"");
}

#[test]
fn what_cannot_be_read_is_not_passed_on() {
    let changes = [drop_at("/a")];
    let refused = |mut head: Parts, body: &'static str| {
        change(&mut head, &Bytes::from_static(body.as_bytes()), &changes).unwrap_err()
    };
    assert_eq!(
        refused(head(|head| head.header("content-encoding", "gzip")), "{}"),
        ProjectionError::Encoded
    );
    assert_eq!(
        refused(head(|head| head.status(206)), "{}"),
        ProjectionError::Partial
    );
    assert_eq!(
        refused(head(|head| head.header("content-type", "text/html")), "{}"),
        ProjectionError::MediaType
    );
    let mut other = head(|head| head);
    other
        .headers
        .insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(refused(other, "{}"), ProjectionError::MediaType);
    assert!(matches!(
        refused(head(|head| head), "{\"a\":1,\"a\":2}"),
        ProjectionError::Json(_)
    ));
    assert!(change(&mut head(|head| head), &Bytes::from_static(b"{}"), &changes).is_ok());
}

#[test]
fn an_answer_without_body_says_nothing_of_the_one_it_would_have() {
    let mut head = head(|head| head);
    assert!(
        change(&mut head, &Bytes::new(), &[drop_at("/a")])
            .unwrap()
            .is_empty()
    );
    assert!(!head.headers.contains_key(header::CONTENT_LENGTH));
}
