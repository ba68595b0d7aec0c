use super::*;
use http::HeaderValue;

fn read(method: &str, target: &str, hosts: &[&str]) -> String {
    read_as(Version::HTTP_11, method, target, hosts, &[])
}

/// What is asked for, or why it is refused.
fn read_as(
    version: Version,
    method: &str,
    target: &str,
    hosts: &[&str],
    fields: &[(&'static str, &str)],
) -> String {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let Ok(uri) = target.parse::<Uri>() else {
        return "no uri".to_owned();
    };
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
    }
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    match Asked::of(&method, &uri, version, &headers) {
        Err(refusal) => refusal.code().to_owned(),
        Ok(asked) => match asked.how() {
            How::Connect => format!("tunnel {}", asked.destination()),
            How::Request {
                scheme,
                method,
                path,
            } => format!("{scheme:?} {method} {} {path}", asked.destination()),
        },
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_target_is_read_once_and_in_one_form() {
    for (method, target, host, expected) in [
        (
            "CONNECT",
            "api.test:443",
            "api.test:443",
            "tunnel api.test:443",
        ),
        (
            "CONNECT",
            "API.test:443",
            "api.TEST:443",
            "tunnel api.test:443",
        ),
        ("CONNECT", "api.test:443", "api.test", "tunnel api.test:443"),
        (
            "CONNECT",
            "[2606::1]:443",
            "[2606::1]:443",
            "tunnel [2606::1]:443",
        ),
        (
            "GET",
            "http://api.test/a?b",
            "api.test",
            "Http GET api.test:80 /a?b",
        ),
        (
            "GET",
            "http://api.test",
            "api.test",
            "Http GET api.test:80 /",
        ),
        (
            "GET",
            "http://api.test:80/",
            "api.test",
            "Http GET api.test:80 /",
        ),
        (
            "GET",
            "http://api.test:443/",
            "api.test:443",
            "Http GET api.test:443 /",
        ),
        (
            "PUT",
            "https://api.test/",
            "api.test:443",
            "Https PUT api.test:443 /",
        ),
        (
            "GET",
            "http://api.test/%7ea",
            "api.test",
            "Http GET api.test:80 /~a",
        ),
        // What `Host` says is another opinion.
        ("CONNECT", "api.test:443", "evil.test:443", "target_form"),
        ("CONNECT", "api.test:8443", "api.test", "target_form"),
        ("GET", "http://api.test/", "evil.test", "target_form"),
        ("GET", "http://api.test:443/", "api.test", "target_form"),
        ("GET", "http://api.test/", "127.1", "target_form"),
        // Forms of another kind.
        ("CONNECT", "api.test", "api.test", "destination_port"),
        (
            "CONNECT",
            "http://api.test:443/",
            "api.test:443",
            "target_form",
        ),
        ("GET", "/a", "api.test", "target_form"),
        ("OPTIONS", "*", "api.test", "target_form"),
        ("GET", "ftp://api.test/", "api.test", "target_form"),
        ("GET", "ws://api.test/", "api.test", "target_form"),
        // Paths as on the way in.
        ("GET", "http://api.test/a/../b", "api.test", "target_form"),
        (
            "GET",
            "http://api.test/a/%2e%2e/b",
            "api.test",
            "target_form",
        ),
        ("GET", "http://api.test/a%2fb", "api.test", "target_form"),
        ("GET", "http://api.test//a", "api.test", "target_form"),
        ("GET", "http://api.test/a;b", "api.test", "target_form"),
        // Hosts in spellings that nobody needs.
        (
            "CONNECT",
            "2130706433:80",
            "2130706433:80",
            "destination_address_spelling",
        ),
        (
            "CONNECT",
            "0x7f000001:80",
            "0x7f000001:80",
            "destination_address_spelling",
        ),
        (
            "CONNECT",
            "127.1:80",
            "127.1:80",
            "destination_address_spelling",
        ),
        (
            "CONNECT",
            "0177.0.0.1:80",
            "0177.0.0.1:80",
            "destination_address_spelling",
        ),
        (
            "CONNECT",
            "[::ffff:127.0.0.1]:80",
            "[::ffff:127.0.0.1]:80",
            "destination_address_spelling",
        ),
        (
            "CONNECT",
            "localhost.:80",
            "localhost.:80",
            "destination_trailing_dot",
        ),
        (
            "CONNECT",
            "user@api.test:443",
            "api.test:443",
            "destination_user_info",
        ),
        (
            "GET",
            "http://user:secret@api.test/",
            "api.test",
            "destination_user_info",
        ),
        (
            "GET",
            "http://api.test@127.0.0.1/",
            "127.0.0.1",
            "destination_user_info",
        ),
        (
            "GET",
            "http://2130706433/",
            "2130706433",
            "destination_address_spelling",
        ),
        (
            "GET",
            "http://0x7f.1/",
            "0x7f.1",
            "destination_address_spelling",
        ),
        (
            "GET",
            "http://127.0.0.1./",
            "127.0.0.1.",
            "destination_trailing_dot",
        ),
    ] {
        assert_eq!(
            read(method, target, &[host]),
            expected,
            "{method} {target} {host}"
        );
    }
}

#[test]
fn there_is_one_host_and_http_1_0_may_leave_it_out() {
    let target = "api.test:443";
    assert_eq!(read("CONNECT", target, &[]), "target_form");
    assert_eq!(read("CONNECT", target, &[target, target]), "target_form");
    let old = |hosts: &[&str]| read_as(Version::HTTP_10, "CONNECT", target, hosts, &[]);
    assert_eq!(old(&[]), "tunnel api.test:443");
    assert_eq!(old(&["evil.test"]), "target_form");
}

#[test]
fn a_tunnel_has_no_content_and_fields_have_one_spelling() {
    for (fields, expected) in [
        (&[][..], "tunnel api.test:443"),
        (&[("content-length", "0")], "tunnel_content"),
        (&[("content-length", "5")], "tunnel_content"),
        (&[("transfer-encoding", "chunked")], "tunnel_content"),
        (&[("content_length", "5")], "field_spelling"),
        (&[("transfer_encoding", "chunked")], "field_spelling"),
        (&[("x_forwarded_for", "127.0.0.1")], "field_spelling"),
    ] {
        let target = "api.test:443";
        let read = read_as(Version::HTTP_11, "CONNECT", target, &[target], fields);
        assert_eq!(read, expected, "{fields:?}");
    }
}

#[test]
fn a_request_comes_by_once() {
    let looped = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::VIA, HeaderValue::from_str(value).unwrap());
        }
        not_in_a_loop(&headers, "countersign-1").is_err()
    };
    let eight = ["1.1 a, 1.1 b, 1.1 c", "1.1 d, 1.1 e, 1.1 f, 1.1 g, 1.1 h"];
    assert!(!looped(&[]));
    assert!(!looped(&["1.1 other"]));
    assert!(!looped(&["1.1 countersign-2"]));
    assert!(!looped(&eight));
    assert!(looped(&["1.1 countersign-1"]));
    assert!(looped(&["1.1 other, 1.1 Countersign-1 (comment)"]));
    assert!(looped(&["1.1 other", "HTTP/1.1 countersign-1"]));
    assert!(looped(&[eight[0], eight[1], "1.1 i"]), "too many");
}
