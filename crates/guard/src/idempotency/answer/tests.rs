use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn an_answer_comes_back_as_it_was(
        status in 100_u16..600,
        fields in proptest::collection::vec(("x-[a-z][a-z0-9-]{0,20}", "[ -~]{0,40}"), 0..8),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &fields {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer::new(status, &headers, Bytes::from(body)).unwrap();
        let bytes = answer.encode();
        prop_assert_eq!(Answer::decode(&bytes), Some(answer.clone()));
        // Cut short anywhere before the body, or of another form, it is nothing.
        for end in 0..bytes.len() - answer.body().len() {
            prop_assert!(Answer::decode(&bytes[..end]).is_none());
        }
        let mut other = bytes;
        other[0] = 2;
        prop_assert!(Answer::decode(&other).is_none());
    }

    #[test]
    fn bytes_of_somebody_else_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Answer::decode(&bytes);
    }
}

#[test]
fn what_belongs_to_one_exchange_is_not_kept() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("set-cookie", "session=1"),
        ("connection", "x-hop"),
        ("content-length", "4"),
        ("transfer-encoding", "chunked"),
        ("content-type", "text/plain"),
        ("location", "/charges/7"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let answer = Answer::new(StatusCode::CREATED, &headers, Bytes::from_static(b"done")).unwrap();
    let mut names: Vec<&str> = answer.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "location"]);
}

#[test]
fn an_answer_has_a_size() {
    let body = |bytes: usize| Bytes::from(vec![b'x'; bytes]);
    let headers = HeaderMap::new();
    assert!(Answer::new(StatusCode::OK, &headers, body(ANSWER_BYTES_MAX)).is_ok());
    let larger = Answer::new(StatusCode::OK, &headers, body(ANSWER_BYTES_MAX + 1));
    assert_eq!(larger, Err(AnswerTooLarge));
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-large",
        HeaderValue::from_str(&"v".repeat(1_000)).unwrap(),
    );
    let larger = Answer::new(StatusCode::OK, &headers, body(ANSWER_BYTES_MAX - 1_000));
    assert_eq!(larger, Err(AnswerTooLarge));
}
