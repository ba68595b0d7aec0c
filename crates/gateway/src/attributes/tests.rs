//! Addresses of sources, and that an id stays the one segment that it is.

use super::*;
use countersign_net::TrustRoots;
use countersign_net::tls::Alpn;
use countersign_testkit::{TestAuthority, system_clock};

fn spec(url: &str) -> SourceSpec {
    let authority = TestAuthority::new(system_clock().now());
    let roots = TrustRoots::from_pem(authority.certificate_pem().as_bytes()).unwrap();
    SourceSpec {
        name: "orders".to_owned(),
        url: url.to_owned(),
        tls: TlsClient::new(&roots, None, Alpn::Http1).unwrap(),
        ttl: Duration::from_secs(30),
        negative_ttl: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        concurrency: 4,
    }
}

#[test]
fn a_source_is_one_https_address_with_one_place() {
    for url in [
        "https://orders.internal/o/{}",
        "https://[::1]:8443/{}/owner",
    ] {
        assert_eq!(check(&[spec(url)], &[]), Ok(()), "{url}");
    }
    for url in [
        "http://orders.internal/o/{}",
        "https://orders.internal/o",
        "https://{}/o",
        "https://orders.internal/o?id={}",
        "https://orders.internal/o/x{}",
        "https://orders.internal/o/{}x",
        "https://orders.internal/{}/{}",
        "https://me:secret@orders.internal/{}",
        "https://orders.internal/../o/{}",
        "https://orders.internal/{}#f",
        "{}",
    ] {
        let refused = Err(SourceError::Address("orders".to_owned()));
        assert_eq!(check(&[spec(url)], &[]), refused, "{url}");
    }
    let twice = [spec("https://a.example/{}"), spec("https://b.example/{}")];
    assert_eq!(
        check(&twice, &[]),
        Err(SourceError::Duplicate("orders".to_owned()))
    );
}

#[test]
fn an_id_is_one_segment_whatever_is_in_it() {
    let sources = Sources::new(&[spec("https://orders.internal/o/{}/owner")], &[]);
    let source = &sources.sources[0];
    let url = |id: &str| source.url(id).map(|url| url.to_string());
    for (id, path) in [
        ("42", "42"),
        ("../admin", "..%2Fadmin"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("%2e%2e", "%252e%252e"),
        ("\\..\\", "%5C..%5C"),
        ("é\r\n", "%C3%A9%0D%0A"),
        ("...", "..."),
        ("@evil.example", "%40evil.example"),
    ] {
        assert_eq!(
            url(id),
            Ok(format!("https://orders.internal/o/{path}/owner")),
            "{id}"
        );
    }
    for id in ["", ".", "..", &"a".repeat(257)] {
        assert_eq!(url(id), Err(AttributeError::Id), "{id}");
    }
}
