//! Who may go out, and what is shown outside: workloads' own credentials, the proxy's, and pinned keys.

use super::{
    KEY, Out, SECRET, basic, billing, internet_tls, lifted, partner_credential, requests, rule,
    said, usual,
};
use crate::world::World;
use countersign_base::Secret;
use countersign_gateway::egress::{Credential, EgressRules, Form, Lifted, TokenSource};
use countersign_net::{Pins, SpkiPin, TlsClient, TrustRoots};
use countersign_testkit::{Said, TestAuthority, system_clock};
use http::{HeaderName, StatusCode, header};
use serde_json::json;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn every_broken_or_foreign_credential_is_refused_and_none_becomes_another() {
    let out = Out::start();
    let good = out.bearer(|_| {});
    let token = good.trim_end().rsplit(' ').next().unwrap().to_owned();
    let later = out.world.now().0 + 3_600;
    let cases = [
        // Keys.
        (billing(), "200"),
        (basic("billing", "wrong"), "407 workload_key_unknown"),
        (basic("billing", ""), "407 workload_key_unknown"),
        (basic("Billing", KEY), "407 workload_key_unknown"),
        (basic("nobody", KEY), "407 workload_key_unknown"),
        (basic("", KEY), "407 workload_key_unknown"),
        (basic("reports", KEY), "407 workload_key_unknown"),
        (
            format!("{}{}", billing(), billing()),
            "407 proxy_authorization_broken",
        ),
        (
            "Proxy-Authorization: Basic !!!\r\n".to_owned(),
            "407 proxy_authorization_broken",
        ),
        (
            "Proxy-Authorization: Basic YQ==\r\n".to_owned(),
            "407 proxy_authorization_broken",
        ),
        (
            "Proxy-Authorization: Basic\r\n".to_owned(),
            "407 proxy_authorization_broken",
        ),
        (
            "Proxy-Authorization: Digest a\r\n".to_owned(),
            "407 proxy_authorization_scheme",
        ),
        (String::new(), "407 no_credential"),
        // What is meant for the destination says nothing here.
        (billing().replace("Proxy-", ""), "407 no_credential"),
        (good.replace("Proxy-", ""), "407 no_credential"),
        (billing().replace("Proxy-A", "Proxy_A"), "407 no_credential"),
        // Tokens.
        (good.clone(), "200"),
        (basic("token", &token), "200"),
        (basic("token", KEY), "407 token_malformed"),
        (
            format!("Proxy-Authorization: Bearer {KEY}\r\n"),
            "407 token_malformed",
        ),
        (
            out.bearer(|claims| claims["aud"] = json!("https://api.example")),
            "407 audience_mismatch",
        ),
        (
            out.bearer(|claims| claims["iss"] = json!("https://evil.example")),
            "407 issuer_unknown",
        ),
        (
            out.bearer(|claims| claims["exp"] = json!(1_000)),
            "407 token_expired",
        ),
        (
            out.bearer(|claims| claims["nbf"] = json!(later)),
            "407 not_yet_valid",
        ),
        (
            out.bearer(|claims| {
                claims["cnf"] = json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})
            }),
            "407 bound_token_as_bearer",
        ),
        (
            out.bearer(|claims| {
                claims["cnf"] = json!({"x5t#S256": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})
            }),
            "407 certificate_missing",
        ),
        (
            out.bearer(|claims| {
                claims["client_id"] = json!("other");
                claims["sub"] = json!("other");
            }),
            "403 host_not_listed",
        ),
    ];
    for (fields, verdict) in &cases {
        assert_eq!(
            out.verdict_with("partner.test:443", fields).await,
            *verdict,
            "{fields}"
        );
    }
    let grant = "0000000000000007".parse().unwrap();
    out.world
        .planes
        .revoked
        .grants
        .lock()
        .unwrap()
        .insert(grant);
    assert_eq!(
        out.verdict_with("partner.test:443", &good).await,
        "407 revoked"
    );
    let log = out.log().await;
    World::assert_logged(&log, "\"reason\":\"workload_key_unknown\"");
    World::assert_logged(&log, "\"reason\":\"audience_mismatch\"");
    assert!(!log.contains(&token) && !log.contains(KEY));
}

#[tokio::test]
async fn a_refusal_says_what_may_be_shown() {
    let out = Out::start();
    let answer = out
        .raw("CONNECT partner.test:443 HTTP/1.1\r\nHost: partner.test:443\r\n\r\n")
        .await
        .to_lowercase();
    assert!(answer.starts_with("http/1.1 407"), "{answer}");
    assert!(
        answer.contains("proxy-authenticate: bearer realm="),
        "{answer}"
    );
    assert!(
        answer.contains("proxy-authenticate: basic realm="),
        "{answer}"
    );
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(!answer.contains("www-authenticate"), "{answer}");
}

#[tokio::test]
async fn the_credential_goes_to_its_destination_and_the_workload_never_has_it() {
    let out = Out::start();
    let own = "Authorization: Bearer mine\r\nAuthorization: Basic bWluZQ==\r\nCountersign-Subject: root\r\nX-Trace: 1\r\n";
    let answer = out.request("GET", "http://api.test/v1", own).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains(SECRET));
    let heard = out.internet.heard();
    let values: Vec<_> = heard[0]
        .headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .collect();
    assert_eq!(values, [&format!("Bearer {SECRET}")]);
    assert!(!heard[0].headers.contains_key("countersign-subject"));
    assert_eq!(heard[0].headers["x-trace"], "1");

    // Nobody else's destination gets it, and there the workload's own goes through.
    let single = "Authorization: Bearer mine\r\n";
    let answer = out.request("GET", "http://open.test/v1", single).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let heard = out.internet.heard();
    assert_eq!(heard[1].headers["authorization"], "Bearer mine");

    // A redirect elsewhere goes back to the workload, without it.
    out.internet.host("api.test", |_| {
        Said::status(StatusCode::TEMPORARY_REDIRECT)
            .with(header::LOCATION, "https://open.test/v1/elsewhere")
    });
    let answer = out.request("GET", "http://api.test/v1", "").await;
    assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
    assert!(!answer.contains(SECRET));
    let answer = out
        .request("GET", "https://open.test/v1/elsewhere", "")
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let heard = out.internet.heard();
    assert!(!heard[3].headers.contains_key(header::AUTHORIZATION));
    let log = out.log().await;
    assert!(!log.contains(SECRET));
}

#[tokio::test]
async fn a_field_named_in_connection_does_not_take_the_credential_away() {
    let out = Out::with(|spec| {
        let name = HeaderName::from_static("x-api-key");
        let key = Credential::field(name, &Secret::new(SECRET.to_owned())).unwrap();
        let tls = match &spec.rules[2].form {
            Form::Lifted(lifted) => lifted.tls.clone(),
            Form::Plain(_) | Form::Tunnel => unreachable!(),
        };
        spec.rules[2].form = lifted(tls, Some(key));
    });
    let head = |more: &str| {
        format!(
            "GET http://api.test/v1 HTTP/1.1\r\nHost: api.test\r\nConnection: close, x-api-key, host, via\r\nX-Api-Key: mine\r\n{more}{}\r\n",
            billing()
        )
    };
    let answer = out.raw(head("X_Api_Key: mine\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(out.internet.heard().is_empty());
    let answer = out.raw(head("")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let heard = out.internet.heard();
    let values: Vec<_> = heard[0].headers.get_all("x-api-key").iter().collect();
    assert_eq!(values, [SECRET]);
    assert!(!heard[0].headers.contains_key("x_api_key"));
    assert_eq!(heard[0].headers["host"], "api.test");
    assert!(heard[0].headers.contains_key(header::VIA));
}

#[tokio::test]
async fn a_destination_has_a_pinned_key_or_no_connection() {
    let out = Out::with(|spec| {
        spec.rules
            .push(rule("api-tunnel", "api.test", Form::Tunnel));
    });
    let session = out.session("api.test").await;
    let leaf = session.get_ref().1.peer_certificates().unwrap()[0].clone();
    drop(session);
    let right = SpkiPin::of_certificate(&leaf).unwrap();
    let wrong: SpkiPin = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        .parse()
        .unwrap();
    let ours = TrustRoots::from_pem(out.internet.certificate_pem().as_bytes()).unwrap();
    let other = TestAuthority::new(system_clock().now());
    let theirs = TrustRoots::from_pem(other.certificate_pem().as_bytes()).unwrap();
    for (roots, pins, verdict) in [
        (&ours, vec![right], "200"),
        (&ours, vec![wrong, right], "200"),
        (&ours, vec![wrong], "502 pin_mismatch"),
        (&ours, vec![], "200"),
        // A pin is no certificate authority.
        (&theirs, vec![right], "502 destination_tls"),
        (&theirs, vec![], "502 destination_tls"),
    ] {
        let tls = match Pins::new(pins.clone()) {
            Some(pins) => TlsClient::pinned(roots, pins).unwrap(),
            None => TlsClient::new(roots, None, countersign_net::tls::Alpn::Http1).unwrap(),
        };
        let mut spec = usual(&out.internet);
        spec.rules[2].form = lifted(tls, Some(partner_credential()));
        out.proxy.replace_rules(EgressRules::new(spec));
        let heard = out.internet.heard().len();
        // Twice: a session that was begun is taken up again.
        for _ in 0..2 {
            let answer = out.request("GET", "http://api.test/v1", "").await;
            assert_eq!(said(&answer), verdict, "{pins:?}");
        }
        let more = out.internet.heard().len() - heard;
        assert_eq!(
            more,
            if verdict == "200" { 2 } else { 0 },
            "no secret was sent"
        );
    }
    let log = out.log().await;
    World::assert_logged(&log, "\"status\":502");
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_carry_is_nobody() {
    let out = Out::with(|spec| {
        let tls = match &spec.rules[2].form {
            Form::Lifted(lifted) => lifted.tls.clone(),
            Form::Plain(_) | Form::Tunnel => unreachable!(),
        };
        spec.rules.push(rule(
            "alias",
            "alias.test",
            Form::Lifted(Box::new(Lifted {
                requests: requests(&["GET"], &["/"]),
                tls,
                credential: Some(partner_credential()),
            })),
        ));
    });
    let public = out.internet.address_of("api.test").to_string();
    out.internet.resolves("alias.test", &[&[&public]]);
    let answer = out.request("GET", "http://alias.test/", "").await;
    assert_eq!(said(&answer), "502 destination_tls");
    let answer = out.request("GET", "http://api.test/v1", "").await;
    assert_eq!(said(&answer), "200", "the twin");
    assert_eq!(out.internet.heard().len(), 1);
    let _same = internet_tls(&out.internet);
}

#[tokio::test]
async fn tokens_of_the_destination_are_fetched_once_and_none_means_no_request() {
    let out = Out::start();
    out.internet.host("login.test", |_| {
        Said::json(&json!({"access_token": SECRET, "token_type": "Bearer", "expires_in": 300}))
    });
    let source = |host: &str| {
        let endpoint = format!("https://{host}/token").parse().unwrap();
        let secret = Secret::new("client secret".to_owned());
        TokenSource::new(
            out.internet.client(),
            endpoint,
            "us",
            &secret,
            Some("orders"),
        )
        .unwrap()
    };
    let with = |source| {
        let mut spec = usual(&out.internet);
        let tls = internet_tls(&out.internet);
        spec.rules[2].form = lifted(tls, Some(Credential::tokens(source)));
        out.proxy.replace_rules(EgressRules::new(spec));
    };
    with(source("login.test"));
    for _ in 0..2 {
        let answer = out.request("GET", "http://api.test/v1", "").await;
        assert_eq!(said(&answer), "200");
    }
    let heard = out.internet.heard();
    let hosts: Vec<&str> = heard.iter().map(|heard| heard.host.as_str()).collect();
    assert_eq!(hosts, ["login.test", "api.test", "api.test"]);
    assert_eq!(
        &heard[0].body[..],
        b"grant_type=client_credentials&scope=orders"
    );
    assert_eq!(
        heard[0].headers["authorization"],
        "Basic dXM6Y2xpZW50K3NlY3JldA=="
    );
    assert_eq!(
        heard[1].headers["authorization"],
        format!("Bearer {SECRET}")
    );

    // An endpoint that gives none, and one on a private address.
    out.internet
        .host("broken.test", |_| Said::status(StatusCode::UNAUTHORIZED));
    out.internet.resolves("private.test", &[&["10.0.0.1"]]);
    for host in ["broken.test", "private.test"] {
        with(source(host));
        for _ in 0..2 {
            let answer = out.request("GET", "http://api.test/v1", "").await;
            assert_eq!(said(&answer), "502 credential_source", "{host}");
        }
    }
    let heard = out.internet.heard();
    let reached = heard.iter().filter(|heard| heard.host == "api.test");
    assert_eq!(
        reached.count(),
        2,
        "nothing went out without its credential"
    );
}
