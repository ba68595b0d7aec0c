use super::*;
use crate::config::{Config, FILE, error::ConfigError, parse};
use std::path::Path;

fn with(upstream: &str, route: &str) -> Result<Config, Vec<ConfigError>> {
    let text = format!(
        "[[upstreams]]\nname = \"one\"\nurl = \"https://localhost:9443\"\n{upstream}\n[[routes]]\nname = \"orders\"\npath = \"/orders\"\n\
         upstream = \"one\"\naudience = \"https://api.example\"\nactions.POST = {{ action = \"request\" }}\n{route}\n"
    );
    parse(Path::new("/nowhere"), Path::new(FILE), &text)
}

#[test]
fn an_upstream_needs_nothing_but_its_url() {
    let config = with("", "").unwrap();
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.timeouts, RawTimeouts::default().checked());
    assert!(upstream.also.is_empty() && upstream.retries.is_none() && upstream.health.is_none());
    let route = &config.routes[0];
    assert_eq!((route.concurrency, &route.idempotency), (None, &None));
}

#[test]
fn everything_can_be_written() {
    let upstream = "also = [\"https://two.example:9443\"]\nbalance = \"client\"\ntimeouts = { answer = \"5s\" }\n\
        retries = { attempts = 3 }\nbreaker = { failures = 2, ejection = \"5s\" }\nhealth = { path = \"/healthz\", every = \"5s\" }\n\
        concurrency = { max = 200, min = 10 }";
    let route = "concurrency = 20\nidempotency = { keys = \"required\", keep = \"1h\" }";
    let config = with(upstream, route).unwrap();
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.also.len(), 1);
    assert_eq!(upstream.balance, BalanceSection::Client);
    assert_eq!(upstream.timeouts.answer, Duration::from_secs(5));
    assert_eq!(upstream.retries.unwrap().attempts, 3);
    assert_eq!(upstream.breaker.unwrap().failures, 2);
    assert_eq!(upstream.health.as_ref().unwrap().path, "/healthz");
    assert_eq!(upstream.concurrency.unwrap().min, Some(10));
    let route = &config.routes[0];
    assert_eq!(route.concurrency, Some(20));
    let idempotency = route.idempotency.clone().unwrap();
    assert_eq!(
        (idempotency.key_min, &idempotency.described_by),
        (16, &None)
    );
    assert_eq!(idempotency.keys, KeysSection::Required);
    assert_eq!(idempotency.upstream, UpstreamKeysSection::Ignores);
    assert_eq!(idempotency.keep, Duration::from_secs(3_600));
}

#[test]
fn keys_have_a_length_and_a_page() {
    let route = "idempotency = { keys = \"optional\", key_min = 32, described_by = \"https://docs.example/keys\" }";
    let config = with("", route).unwrap();
    let idempotency = config.routes[0].idempotency.clone().unwrap();
    assert_eq!(idempotency.key_min, 32);
    let page = idempotency.described_by.as_deref();
    assert_eq!(page, Some("https://docs.example/keys"));
}

#[test]
fn mistakes_say_what_to_write() {
    for (upstream, route, message, help) in [
        ("retries = { attempts = 6 }", "", "attempts", "1 to 5"),
        ("retries = { attempts = 0 }", "", "attempts", "1 to 5"),
        (
            "breaker = { failures = 0 }",
            "",
            "failures in a row",
            "1 to 1000",
        ),
        (
            "health = { path = \"healthz\" }",
            "",
            "not a path",
            "/healthz",
        ),
        (
            "concurrency = { max = 5, min = 6 }",
            "",
            "requests at once",
            "1 to 5",
        ),
        ("also = [\"http://two.example\"]", "", "plain HTTP", "https"),
        (
            "also = [\"https://two.example/a\"]",
            "",
            "more than scheme",
            "route",
        ),
        ("", "concurrency = 0", "requests at once", "1 to 65536"),
        (
            "",
            "idempotency = { keys = \"required\", keep = \"8d\" }",
            "seven days",
            "7d",
        ),
        (
            "",
            "idempotency = { keys = \"required\", key_min = 256 }",
            "characters",
            "1 to 255",
        ),
        (
            "",
            "idempotency = { keys = \"required\", described_by = \"http://docs.example\" }",
            "address of a page",
            "https://",
        ),
        (
            "",
            "anonymous = \"allowed\"\nidempotency = { keys = \"optional\" }",
            "no keys of their own",
            "idempotency",
        ),
    ] {
        let errors = with(upstream, route).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        let shown = errors[0].to_string();
        assert!(
            shown.contains(message) && shown.contains(help),
            "{upstream} {route}: {shown}"
        );
    }
}
