use super::*;
use countersign_testkit::{FakeInternet, Said};
use http::StatusCode;
use http::header;

const PATH: &str = "/.well-known/acme-challenge/token";

fn challenge(host: &str, networks: &[&str]) -> HttpChallenge {
    HttpChallenge {
        host: host.to_owned(),
        path: PATH.to_owned(),
        expected: "token.thumbprint".to_owned(),
        networks: networks
            .iter()
            .map(|network| (*network).to_owned())
            .collect(),
    }
}

fn answer() -> Said {
    Said::of("text/plain", "token.thumbprint\n")
}

fn failed(reason: &str) -> EffectResult {
    EffectResult::Failed(reason.to_owned())
}

#[tokio::test]
async fn cve_2026_5052_only_public_addresses_and_listed_networks_are_looked_at() {
    let internet = FakeInternet::new();
    let client = internet.client();
    let private = [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
    ];
    for (number, address) in private.iter().enumerate() {
        let name = format!("private{number}.test");
        internet.resolves(&name, &[&[address]]);
        let looked = look(&client, &challenge(&name, &[])).await;
        assert_eq!(looked, failed("address_forbidden"), "{address}");
        let host = if address.contains(':') {
            format!("[{address}]")
        } else {
            (*address).to_owned()
        };
        let looked = look(&client, &challenge(&host, &[])).await;
        // An address in another form than URLs write it is no host.
        let reason = if host.contains("::ffff:") {
            "url"
        } else {
            "address_forbidden"
        };
        assert_eq!(looked, failed(reason), "{host}");
    }
    // One private address among public ones, and a name that leads elsewhere at its second look.
    internet.resolves("mixed.test", &[&["203.0.114.9", "10.0.0.1"]]);
    assert_eq!(
        look(&client, &challenge("mixed.test", &[])).await,
        failed("address_forbidden")
    );
    assert!(internet.dialled().is_empty(), "nobody was connected to");
    // Its twin: the network is listed, and the connection is tried.
    internet.resolves("listed.test", &[&["10.0.0.1"]]);
    let looked = look(&client, &challenge("listed.test", &["10.0.0.0/8"])).await;
    assert_eq!(
        (looked, internet.dialled().len()),
        (failed("fetch_failed"), 1)
    );
    let looked = look(&client, &challenge("listed.test", &["10.1.0.0/16"])).await;
    assert_eq!(
        (looked, internet.dialled().len()),
        (failed("address_forbidden"), 1)
    );
}

#[tokio::test]
async fn what_the_operator_excepts_for_other_things_is_not_excepted_for_challenges() {
    let internet = FakeInternet::new();
    internet.resolves("hook.test", &[&["10.0.0.1"]]);
    let policy = countersign_net::EgressPolicy::public_only()
        .allowing("hook.test")
        .admitting("10.0.0.0/8".parse().unwrap());
    let client = internet.client_with(policy);
    assert_eq!(
        look(&client, &challenge("hook.test", &[])).await,
        failed("address_forbidden")
    );
    assert!(internet.dialled().is_empty());
}

#[tokio::test]
async fn cve_2026_5052_a_name_is_looked_up_once_and_redirects_are_not_followed() {
    let internet = FakeInternet::new();
    internet.plain_host("good.test", |_| answer());
    internet.plain_host("moved.test", |_| {
        Said::status(StatusCode::FOUND).with(header::LOCATION, "http://127.0.0.1/")
    });
    internet.plain_host("wrong.test", |_| Said::of("text/plain", "token.other"));
    internet.plain_host("missing.test", |_| Said::status(StatusCode::NOT_FOUND));
    internet.plain_host("large.test", |_| {
        Said::of("text/plain", "token.thumbprint ".repeat(1_000))
    });
    let client = internet.client();
    for (name, expected) in [
        ("good.test", EffectResult::Done),
        ("moved.test", failed("redirect")),
        (
            "wrong.test",
            failed("the answer is not the key authorization"),
        ),
        ("missing.test", failed("status")),
        ("large.test", failed("body_too_large")),
        ("nobody.test", failed("host_unknown")),
    ] {
        assert_eq!(
            look(&client, &challenge(name, &[])).await,
            expected,
            "{name}"
        );
    }
    assert_eq!(internet.looked_up("good.test"), 1);
    let heard = internet.heard();
    assert_eq!(heard.len(), 5, "a redirect leads nowhere");
    assert!(heard.iter().all(|heard| heard.path == PATH));
    assert!(
        internet
            .dialled()
            .iter()
            .all(|address| address.port() == 80)
    );
    // Rebinding: what is connected to is what was judged, whatever the name says a moment later.
    let public = internet.address_of("good.test").to_string();
    internet.resolves("rebound.test", &[&[&public], &["127.0.0.1"]]);
    look(&client, &challenge("rebound.test", &[])).await;
    assert_eq!(internet.looked_up("rebound.test"), 1);
    for host in [
        "good.test:8080",
        "user@good.test",
        "good.test/x",
        "",
        "good.test#",
    ] {
        let looked = look(&client, &challenge(host, &[])).await;
        assert_eq!(looked, failed("url"), "{host}");
    }
}
