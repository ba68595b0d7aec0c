use super::*;

fn rule(paths: &[&str]) -> RequestRule {
    RequestRule {
        methods: ["GET".to_owned()].into(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    }
}

#[test]
fn a_path_begins_where_a_segment_ends() {
    for (prefix, path, fits) in [
        ("/v1", "/v1", true),
        ("/v1", "/v1/", true),
        ("/v1", "/v1/orders", true),
        ("/v1", "/v10", false),
        ("/v1", "/v1x/orders", false),
        ("/v1", "/v", false),
        ("/v1", "/V1", false),
        ("/v1/", "/v1/orders", true),
        ("/v1/", "/v1/", true),
        ("/v1/", "/v1", false),
        ("/", "/", true),
        ("/", "/anything", true),
    ] {
        assert_eq!(rule(&[prefix]).path_fits(path), fits, "{prefix} {path}");
    }
    assert!(!rule(&[]).path_fits("/"), "nothing listed");
    assert!(rule(&["/a", "/b"]).path_fits("/b/c"));
}

#[test]
fn a_host_is_whole_or_below() {
    let exactly = HostPattern::Exactly("partner.test".parse().unwrap());
    let below = HostPattern::Below(".partner.test".into());
    for (host, whole, under) in [
        ("partner.test", true, false),
        ("api.partner.test", false, true),
        ("a.b.partner.test", false, true),
        ("evilpartner.test", false, false),
        ("partner.test.evil", false, false),
        ("192.0.2.1", false, false),
    ] {
        let host: DestinationHost = host.parse().unwrap();
        assert_eq!(
            (exactly.fits(&host), below.fits(&host)),
            (whole, under),
            "{host}"
        );
    }
}

#[test]
fn a_key_has_32_bytes() {
    let key = |length: usize| ClientKey::new(&Secret::new("k".repeat(length)));
    assert!(key(31).is_none());
    assert!(key(32).is_some());
}
