use super::*;
use proto::{Address, AskedRequest, AttributeContext, HeaderList, Peer, SocketAddress};

fn http() -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        path: "/things/a?b=c".to_owned(),
        host: "api.example".to_owned(),
        scheme: "https".to_owned(),
        headers: [(":path", "/things/a?b=c"), ("accept", "*/*")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        header_map: None,
    }
}

fn question(http: HttpRequest, source: &str) -> CheckRequest {
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                address: Some(Address {
                    socket_address: Some(SocketAddress {
                        address: source.to_owned(),
                    }),
                }),
            }),
            request: Some(AskedRequest { http: Some(http) }),
        }),
    }
}

fn asked(http: HttpRequest, source: &str) -> Result<Described, ForwardError> {
    let connection = Connection {
        peer: Conditional::Absent(NoTls::NoCertificate),
        remote: "192.0.2.1:1".parse().unwrap(),
        scheme: countersign_net::Scheme::Https,
        ja4: None,
        framing: FramingWatch::default(),
    };
    // As it comes from the wire.
    let bytes = question(http, source).encode_to_vec();
    described(&connection, CheckRequest::decode(&bytes[..]).unwrap())
}

#[test]
fn a_question_describes_one_request() {
    let described = asked(http(), "203.0.113.7").unwrap();
    assert_eq!(described.connection.remote.ip().to_string(), "203.0.113.7");
    assert_eq!(described.head.uri, "/things/a?b=c");
    assert_eq!(described.head.headers["host"], "api.example");
    assert_eq!(described.head.headers["accept"], "*/*");
    assert_eq!(described.head.headers.len(), 2);
}

#[test]
fn g21_what_could_be_another_request_is_refused() {
    type Flaw = fn(&mut HttpRequest);
    let flaws: [(Flaw, ForwardError); 10] = [
        (
            |http| http.scheme = "http".to_owned(),
            ForwardError::Plaintext,
        ),
        (
            |http| http.method = "G T".to_owned(),
            ForwardError::Description,
        ),
        (
            |http| http.path = "https://other.example/".to_owned(),
            ForwardError::Description,
        ),
        (
            |http| http.path = "/a#b".to_owned(),
            ForwardError::Description,
        ),
        (|http| http.path = String::new(), ForwardError::Description),
        (|http| http.host = String::new(), ForwardError::Description),
        (
            |http| _ = http.headers.insert(":path".to_owned(), "/other".to_owned()),
            ForwardError::Description,
        ),
        (
            |http| {
                _ = http
                    .headers
                    .insert(":authority".to_owned(), "other.example".to_owned())
            },
            ForwardError::Description,
        ),
        (
            |http| {
                _ = http
                    .headers
                    .insert(":protocol".to_owned(), "websocket".to_owned())
            },
            ForwardError::Description,
        ),
        (
            |http| _ = http.headers.insert("a b".to_owned(), "c".to_owned()),
            ForwardError::Description,
        ),
    ];
    for (position, (flaw, expected)) in flaws.into_iter().enumerate() {
        let mut flawed = http();
        flaw(&mut flawed);
        let error = asked(flawed, "203.0.113.7").err();
        assert_eq!(error, Some(expected), "flaw {position}");
    }
    for source in ["", "localhost", "/run/envoy.sock"] {
        assert_eq!(asked(http(), source).err(), Some(ForwardError::Description));
    }
    assert!(asked(http(), "2001:db8::1").is_ok());
}

#[test]
fn fields_that_stand_there_twice_stay_two() {
    let mut twice = http();
    let field = |key: &str, value: &str, raw: &'static [u8]| HeaderField {
        key: key.to_owned(),
        value: value.to_owned(),
        raw_value: Bytes::from_static(raw),
    };
    twice.header_map = Some(HeaderList {
        headers: vec![
            field(":method", "", b"GET"),
            field("authorization", "Bearer a", b""),
            field("authorization", "", b"Bearer b"),
        ],
    });
    let described = asked(twice, "203.0.113.7").unwrap();
    let values = described.head.headers.get_all("authorization");
    assert_eq!(values.iter().count(), 2);
    assert!(
        !described.head.headers.contains_key("accept"),
        "the list alone counts"
    );
}

#[test]
fn an_answer_is_read_as_it_was_meant() {
    let mut headers = HeaderMap::new();
    headers.append("www-authenticate", HeaderValue::from_static("DPoP"));
    headers.append("www-authenticate", HeaderValue::from_static("Bearer"));
    let answer = refused(
        StatusCode::UNAUTHORIZED,
        &headers,
        &Bytes::from_static(b"{}"),
    );
    let read = CheckResponse::decode(&answer.encode_to_vec()[..]).unwrap();
    assert_eq!(read, answer);
    assert_eq!(read.status.unwrap().code, UNAUTHENTICATED);
    let Some(HttpResponse::Denied(denied)) = read.http_response else {
        panic!("denied")
    };
    assert_eq!((denied.headers.len(), denied.body.as_str()), (2, "{}"));
    assert_eq!(denied.status.unwrap().code, 401);
}
