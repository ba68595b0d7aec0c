use super::*;
use crate::config::{Config, FILE, error::ConfigError, parse};
use std::path::Path;

const UPSTREAM: &str = "[[upstreams]]\nname = \"billing\"\nurl = \"https://billing.example\"\n";
const SOURCE: &str = "[[webhook_sources]]\nname = \"billing-provider\"\nsecrets = [{ file = \"billing.secret\" }]\n\
    deliver = { upstream = \"billing\", path = \"/webhooks\" }\n";
const STANDARD: &str = "scheme = \"standard-webhooks\"\n";
const ROUTE: &str =
    "[[routes]]\nname = \"hooks\"\npath = \"/hooks/billing\"\nwebhook = \"billing-provider\"\n";

fn parsed(parts: &[&str]) -> Result<Config, Vec<ConfigError>> {
    let text = parts.concat();
    parse(Path::new("/nowhere"), Path::new(FILE), &text)
}

/// The one mistake of a configuration.
#[track_caller]
fn mistake(parts: &[&str]) -> String {
    let errors = parsed(parts).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.first().unwrap().to_string()
}

#[test]
fn a_source_has_a_window_and_a_memory_also_where_nothing_is_said() {
    let config = parsed(&[UPSTREAM, SOURCE, STANDARD, ROUTE]).unwrap();
    let source = config.webhook_sources.first().unwrap();
    assert_eq!(source.scheme, Scheme::StandardWebhooks);
    assert_eq!(source.tolerance, Duration::from_secs(300));
    assert_eq!(source.remember, Duration::from_secs(7 * 86_400));
    assert_eq!(source.event_id, EventIdRule::Signed);
    let route = config.webhook_routes.first().unwrap();
    assert_eq!(route.body_bytes_max, 256 * 1024);
    assert_eq!(route.media_types, ["application/json".to_owned()].into());
    assert!(config.routes.is_empty());
}

#[test]
fn every_scheme_can_be_written() {
    for scheme in Scheme::FIXED {
        let written = format!("scheme = \"{}\"\n", scheme.name());
        let config = parsed(&[UPSTREAM, SOURCE, &written]).unwrap();
        assert_eq!(config.webhook_sources.first().unwrap().scheme, scheme);
    }
    for (written, name) in [
        (
            "scheme = \"hmac\"\nsignature = { field = \"x-signature\", prefix = \"sha256=\" }\n",
            "hmac",
        ),
        (
            "scheme = \"hmac\"\nsignature = { field = \"x-signature\", hash = \"sha512\", encoding = \"base64\", time = { field = \"x-time\", separator = \"comma\" } }\n",
            "hmac",
        ),
        (
            "scheme = \"public-key\"\nsignature = { field = \"x-signature\", ecdsa = \"fixed\", time = {} }\n",
            "public-key",
        ),
        ("scheme = \"http-signature\"\n", "http-signature"),
        (
            "scheme = \"jws-detached\"\nsignature = { field = \"x-jws\" }\n",
            "jws-detached",
        ),
    ] {
        let config = parsed(&[UPSTREAM, SOURCE, written]).unwrap();
        assert_eq!(
            config.webhook_sources.first().unwrap().scheme.name(),
            name,
            "{written}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_source_is_said() {
    for (more, expected) in [
        (
            "scheme = \"standart-webhooks\"\n",
            "no scheme `standart-webhooks`",
        ),
        (
            "scheme = \"hmac\"\n",
            "leaves open where its signature stands",
        ),
        (
            "scheme = \"stripe\"\nsignature = { field = \"x-signature\" }\n",
            "says itself where its signature stands",
        ),
        (
            "scheme = \"stripe\"\ntolerance = \"16m\"\n",
            "1 second to 15 minutes",
        ),
        ("scheme = \"stripe\"\nremember = \"10m\"\n", "1 to 90 days"),
        ("scheme = \"stripe\"\nid = {}\n", "stands in one place"),
        (
            "scheme = \"stripe\"\nmedia_types = [\"application/*\"]\n",
            "without parameters",
        ),
    ] {
        let said = mistake(&[UPSTREAM, SOURCE, more]);
        assert!(said.contains(expected), "{more}: {said}");
    }
    for (source, expected) in [
        (
            SOURCE.replace("[{ file = \"billing.secret\" }]", "[]"),
            "1 to 10 secrets",
        ),
        (
            SOURCE.replace("{ file = \"billing.secret\" }", "\"hunter2\""),
            "never stands in the configuration",
        ),
        (
            SOURCE.replace("upstream = \"billing\"", "upstream = \"biling\""),
            "no upstream `biling`",
        ),
        (
            SOURCE.replace("/webhooks", "webhooks?a=b"),
            "begins with `/`",
        ),
    ] {
        let said = mistake(&[UPSTREAM, &source, STANDARD]);
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = mistake(&[UPSTREAM, SOURCE, STANDARD, SOURCE, STANDARD]);
    assert!(said.contains("the name of another source"), "{said}");
}

#[test]
fn a_route_for_webhooks_has_a_source_and_nothing_that_is_about_tokens() {
    let of = |route: &str| mistake(&[UPSTREAM, SOURCE, STANDARD, route]);
    let with = |more: &str| of(&format!("{ROUTE}{more}"));
    assert!(of(&ROUTE.replace("billing-provider", "biling")).contains("no source `biling`"));
    assert!(of(&ROUTE.replace("webhook = \"billing-provider\"\n", "")).contains("an `upstream`"));
    for (more, named) in [
        ("upstream = \"billing\"\n", "`upstream`"),
        ("audience = \"https://api.example\"\n", "`audience`"),
        ("actions.POST = { action = \"request\" }\n", "`actions`"),
        ("anonymous = \"allowed\"\n", "`anonymous`"),
        ("proof = \"any\"\n", "`proof`"),
        ("record = \"queued\"\n", "`record`"),
        ("cors = { origins = [\"https://app.example\"] }\n", "`cors`"),
        ("purposes = [\"billing\"]\n", "`purposes`"),
    ] {
        let said = with(more);
        assert!(
            said.contains(&format!("a route for webhooks has no {named}")),
            "{said}"
        );
    }
    assert!(with("body_bytes_max = 1000000\n").contains("1 to 262144 bytes"));
    let twice = ROUTE.replace("/hooks/billing", "/hooks/other");
    assert!(of(&format!("{ROUTE}{twice}")).contains("stands here twice"));
    let tenant = "[[tenants]]\nname = \"other\"\n";
    let of_other = mistake(&[
        UPSTREAM,
        SOURCE,
        STANDARD,
        tenant,
        ROUTE,
        "tenant = \"other\"\n",
    ]);
    assert!(of_other.contains("of another tenant"), "{of_other}");
    let limited = format!(
        "{ROUTE}rate = {{ requests = 10, per = \"1m\" }}\nfrom = {{ allow = [\"provider\"] }}\n[[networks]]\nname = \"provider\"\naddresses = [\"192.0.2.0/24\"]\n"
    );
    let config = parsed(&[UPSTREAM, SOURCE, STANDARD, &limited]).unwrap();
    let route = config.webhook_routes.first().unwrap();
    assert_eq!(route.limits.len(), 1);
    assert!(route.from.is_some());
}

#[test]
fn a_set_of_public_keys_is_for_a_scheme_that_has_them_and_stands_in_one_place() {
    const JWS: &str = "scheme = \"jws-detached\"\nsignature = { field = \"x-jws\" }\n";
    const URL: &str = "jwks_url = \"https://provider.example/jwks\"\n";
    let keyless = SOURCE.replace("secrets = [{ file = \"billing.secret\" }]\n", "");
    let config = parsed(&[UPSTREAM, &keyless, JWS, URL]).unwrap();
    let source = config.webhook_sources.first().unwrap();
    let url = "https://provider.example/jwks".parse().unwrap();
    assert_eq!(source.jwks, Some(KeyPlace::Url(url)));
    let file = "jwks = \"provider.jwks\"\n";
    let config = parsed(&[UPSTREAM, &keyless, JWS, file]).unwrap();
    let source = config.webhook_sources.first().unwrap();
    let expected = KeyPlace::File("provider.jwks".into());
    assert_eq!(source.jwks, Some(expected));
    for (parts, expected) in [
        ([&*keyless, JWS, URL, file], "come from one place"),
        ([SOURCE, JWS, URL, ""], "would go on to count"),
        ([&keyless, STANDARD, URL, ""], "a JWK set is public"),
        ([&keyless, STANDARD, file, ""], "a JWK set is public"),
        (
            [
                &keyless,
                JWS,
                "jwks_url = \"http://provider.example/\"\n",
                "",
            ],
            "keys are fetched over https",
        ),
    ] {
        let [source, scheme, keys, more] = parts;
        let said = mistake(&[UPSTREAM, source, scheme, keys, more]);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn deliveries_to_the_service_are_signed_where_secrets_for_that_are_named() {
    let config = parsed(&[UPSTREAM, SOURCE, STANDARD]).unwrap();
    let source = config.webhook_sources.first().unwrap();
    assert!(source.deliver.sign.is_empty());
    let with = |secrets: &str| {
        let path = "path = \"/webhooks\"";
        SOURCE.replace(path, &format!("{path}, sign = [{secrets}]"))
    };
    let secret = "{ file = \"ours.secret\" }";
    let signed = with(&format!("{secret}, {secret}"));
    let config = parsed(&[UPSTREAM, &signed, STANDARD]).unwrap();
    let source = config.webhook_sources.first().unwrap();
    assert_eq!(source.deliver.sign.len(), 2);
    let many = with(&[secret; KEYS_MAX + 1].join(", "));
    assert!(mistake(&[UPSTREAM, &many, STANDARD]).contains("10 secrets at most"));
    let said = mistake(&[UPSTREAM, &with("\"hunter2\""), STANDARD]);
    assert!(said.contains("never stands in the configuration"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
