use super::*;

/// Every name that the gateway sets or that upstreams commonly trust.
const NAMES: [&str; 53] = [
    "countersign-subject",
    "countersign-client",
    "countersign-tenant",
    "countersign-scopes",
    "countersign-request-id",
    "countersign-decision",
    "x-countersign-anything",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-forwarded-user",
    "x-forwarded-client-cert",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "remote-user",
    "x-remote-user",
    "x-auth-request-user",
    "x-client-cert",
    "x-ssl-client-cert",
    "x-http-method-override",
    "remote-addr",
    "remote-groups",
    "x-webauth-user",
    "x-consumer-username",
    "x-credential-identifier",
    "x-authenticated-userid",
    "x-user-id",
    "x-user-email",
    "x-goog-authenticated-user-email",
    "x-ms-client-principal",
    "x-amzn-oidc-identity",
    "x-envoy-external-address",
    "cf-access-authenticated-user-email",
    "tailscale-user-login",
    "x-pomerium-claim-email",
    "x-authentik-username",
    "x-vouch-user",
    "client-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "x-amzn-request-context",
    "x-endpoint-api-userinfo",
    "x-forwarded",
    "x-host",
    "x-url-scheme",
    "x-scheme",
    "front-end-https",
    "x-client-verify",
    "x-client-dn",
];

fn left(given: &[(&str, &str)]) -> Vec<String> {
    let mut headers = fields(given);
    remove_untrusted(&mut headers);
    headers
        .keys()
        .map(|name| name.as_str().to_owned())
        .collect()
}

#[test]
fn hdr_1_trusted_names_are_removed() {
    for name in NAMES {
        assert_eq!(
            left(&[(name, "evil"), ("accept", "*/*")]),
            ["accept"],
            "{name}"
        );
    }
}

fn fields(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

#[test]
fn hdr_2_g14_underscores_and_dots_for_dashes_are_refused() {
    let framing = FRAMING_NAMES;
    for name in NAMES
        .iter()
        .chain(&framing)
        .filter(|name| name.contains('-'))
    {
        for spelling in [
            name.replace('-', "_"),
            name.replacen('-', "_", 1),
            name.replace('-', "."),
        ] {
            let both = fields(&[(name, "a"), (&spelling, "evil")]);
            assert_eq!(unambiguous(&both), Err(FieldError::Spelling), "{spelling}");
            let alone = fields(&[(&spelling, "evil")]);
            assert_eq!(unambiguous(&alone), Err(FieldError::Spelling), "{spelling}");
            // Whoever asks only for removal gets it too.
            if !framing.contains(name) {
                assert!(left(&[(&spelling, "evil")]).is_empty(), "{spelling}");
            }
        }
        assert_eq!(unambiguous(&fields(&[(name, "a")])), Ok(()), "{name}");
    }
    assert_eq!(unambiguous(&fields(&[("request_id", "1")])), Ok(()));
    assert_eq!(left(&[("request_id", "1")]), ["request_id"]);
}

#[test]
fn hdr_4_a_field_with_one_value_stands_there_once() {
    for name in ["content-type", "content-encoding", "origin"] {
        let twice = fields(&[(name, "a"), (name, "a")]);
        assert_eq!(unambiguous(&twice), Err(FieldError::Repeated), "{name}");
        assert_eq!(unambiguous(&fields(&[(name, "a")])), Ok(()), "{name}");
    }
    assert_eq!(
        unambiguous(&fields(&[("accept", "a"), ("accept", "b")])),
        Ok(())
    );
}

#[test]
fn hdr_3_case_does_not_matter() {
    for name in NAMES {
        assert!(
            left(&[(&name.to_ascii_uppercase(), "evil")]).is_empty(),
            "{name}"
        );
    }
}

#[test]
fn hdr_4_and_hdr_5_every_copy_goes() {
    let given = [
        ("x-forwarded-for", "a"),
        ("x-forwarded-for", "b, c"),
        ("X_Forwarded_For", "d"),
        ("accept", "a"),
        ("accept", "b, c"),
    ];
    assert_eq!(left(&given), ["accept"]);
}

#[test]
fn hdr_6_connection_names_fields_of_this_hop() {
    let given = [
        ("connection", "close, X-Own , x-forwarded-for"),
        ("x-own", "1"),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
    ];
    assert_eq!(left(&given), ["x-other"]);
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONNECTION,
        HeaderValue::from_static("x-forwarded-for, countersign-subject"),
    );
    remove_untrusted(&mut headers);
    set_forwarded(&mut headers, "192.0.2.1".parse().unwrap(), "api.example");
    set(&mut headers, SUBJECT, "abc");
    assert_eq!(headers.get("x-forwarded-for").unwrap(), "192.0.2.1");
    assert_eq!(headers.get(SUBJECT).unwrap(), "abc");
}

#[test]
fn fields_of_one_hop_and_proofs_end_here() {
    let hop = [
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authorization",
        "proxy-authenticate",
        "proxy-connection",
        "http2-settings",
        "content-length",
        "dpop",
        "expect",
    ];
    for name in hop {
        assert_eq!(
            left(&[(name, "1"), ("accept", "*/*")]),
            ["accept"],
            "{name}"
        );
    }
}

#[test]
fn ordinary_fields_pass() {
    let ordinary = [
        "accept",
        "authorization",
        "cookie",
        "content-type",
        "x-request-start",
        "x-custom",
        "traceparent",
        "range",
        "prefer",
        "te-x",
        "client-id",
        "x-userland",
    ];
    for name in ordinary {
        assert_eq!(left(&[(name, "1")]), [name]);
    }
}

#[test]
fn g21_text_that_is_no_field_value_is_not_set() {
    let mut headers = HeaderMap::new();
    for text in ["a\r\nevil: 1", "a\nevil: 1", "a\r", "a\0", "a\u{7f}"] {
        set(&mut headers, SUBJECT, "before");
        set(&mut headers, SUBJECT, text);
        assert!(headers.is_empty(), "{text:?}");
    }
    set(&mut headers, SUBJECT, "a");
    set(&mut headers, SUBJECT, "b");
    assert_eq!(headers.get_all(SUBJECT).iter().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn trusted_names_are_sorted() {
    assert!(TRUSTED_NAMES.is_sorted());
}

#[test]
fn hdr_1_every_name_of_the_lists_is_removed() {
    for name in TRUSTED_NAMES.iter().chain(&TRUSTED_PREFIXES) {
        assert!(left(&[(name, "evil")]).is_empty(), "{name}");
    }
}

#[test]
fn the_fabrics_cookies_end_here_and_others_pass() {
    let after = |lines: &[&str]| {
        let given: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        let mut headers = fields(&given);
        remove_own_cookies(&mut headers);
        let left = headers.get_all("cookie").iter();
        left.map(|value| value.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for line in [
        "__Host-session-demo=x",
        "__Host-browser-demo=x",
        " __Host-session-demo = x ;; __host-SESSION-other=y; ",
        "__Host-session-demo",
        "__Host-session-",
    ] {
        assert_eq!(after(&[line]), Vec::<String>::new(), "{line}");
    }
    assert_eq!(
        after(&[
            "a=b; __Host-session-demo=x;c=d",
            "__Host-browser-demo=y",
            "e=f"
        ]),
        ["a=b; c=d; e=f"]
    );
    for line in [
        "a=b;c=d",
        "a=__Host-session-demo=x",
        "x__Host-session-demo=x",
        "__Host-other=x",
        "session=x",
    ] {
        assert_eq!(after(&[line]), [line]);
    }
}

#[test]
fn no_upstream_sets_the_fabrics_cookies() {
    let mut headers = fields(&[
        ("set-cookie", "a=b; Path=/"),
        ("set-cookie", "__Host-session-demo=evil; Path=/; Secure"),
        ("set-cookie", "__HOST-browser-demo=evil"),
        ("set-cookie", "c=__Host-session-demo"),
    ]);
    remove_planted_cookies(&mut headers);
    let left: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(left, ["a=b; Path=/", "c=__Host-session-demo"]);
}
