//! Partners' files: what is read of a good one, and what is said of others.

use crate::config;
use crate::config::key_places::KeyPlace;
use crate::config::partners::{MessageForm, Receipts};
use countersign_wire::message::AnswerMark;
use std::path::Path;

const CONFIGURATION: &str = r#"
[messages]
party = "https://us.example"
signing_key = { file = "sign.jwk" }

[[upstreams]]
name = "orders"
url = "https://orders.example"

[[routes]]
name = "orders"
path = "/orders"
upstream = "orders"
audience = "https://orders.example"
unowned = "the orders of this test are nobody's"
actions.POST = { action = "request", scopes = [] }

[[routes]]
name = "kept"
path = "/kept"
upstream = "orders"
audience = "https://orders.example"
unowned = "the orders of this test are nobody's"
idempotency = { keys = "required", keep = "1h" }
actions.POST = { action = "request", scopes = [] }
"#;

const PARTNER: &str = r#"
party = "https://acme.example"
jwks = "acme.jwks"

[[routes]]
route = "orders"
request = "signed"
answer = "detached"
receipt = "given"
"#;

fn load(configuration: &str, file: &str, partner: &str) -> Result<config::Config, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("partners")).unwrap();
    std::fs::write(directory.path().join("partners").join(file), partner).unwrap();
    let path = Path::new("countersign.toml");
    config::parse(directory.path(), path, configuration).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("\n")
    })
}

#[test]
fn a_partner_is_called_as_its_file() {
    let config = load(CONFIGURATION, "acme.toml", PARTNER).unwrap();
    let [partner] = &config.partners[..] else {
        panic!("one partner");
    };
    assert_eq!(partner.name.as_str(), "acme");
    assert_eq!(partner.keys, KeyPlace::File("partners/acme.jwks".into()));
    let [route] = &partner.routes[..] else {
        panic!("one route");
    };
    assert_eq!(route.request, MessageForm::Signed);
    assert_eq!(route.answer, MessageForm::Detached);
    assert_eq!(route.answer_to, AnswerMark::Critical);
    assert_eq!(route.receipt, Receipts::Given);
    let ignorable = format!("{PARTNER}answer_to = \"ignorable\"\n");
    let config = load(CONFIGURATION, "acme.toml", &ignorable).unwrap();
    let mark = config.partners[0].routes[0].answer_to;
    assert_eq!(mark, AnswerMark::Ignorable);
    assert!(load(CONFIGURATION, "notes.txt", "whatever").is_ok());
    let url = "https://acme.example/jwks";
    let elsewhere = PARTNER.replace("jwks = \"acme.jwks\"", &format!("jwks_url = \"{url}\""));
    let config = load(CONFIGURATION, "acme.toml", &elsewhere).unwrap();
    let keys = &config.partners[0].keys;
    assert_eq!(*keys, KeyPlace::Url(url.parse().unwrap()));
}

#[test]
fn what_cannot_be_is_said() {
    let check = |partner: &str, why: &str| {
        let said = load(CONFIGURATION, "acme.toml", partner).unwrap_err();
        assert!(said.contains(why), "{said} should say {why}");
        assert!(said.contains("acme.toml"), "{said}");
    };
    check(
        &PARTNER.replace("\"orders\"", "\"ordres\""),
        "the nearest one declared is `orders`",
    );
    check(
        &PARTNER.replace("\"orders\"", "\"kept\""),
        "leave `idempotency` out",
    );
    check(
        &PARTNER.replace("\"signed\"", "\"sealed\""),
        "need a key that opens them",
    );
    check(
        &PARTNER.replace("\"signed\"", "\"plain\""),
        "no message to give a receipt of",
    );
    check(
        &PARTNER.replace("\"detached\"", "\"plain\"\nanswer_to = \"ignorable\""),
        "no answer that says what it answers",
    );
    check(
        &PARTNER.replace("\"signed\"", "\"singed\""),
        "the nearest known key is `signed`",
    );
    check(
        &PARTNER.replace("jwks =", "jwk ="),
        "the nearest known key is `jwks`",
    );
    check(
        &PARTNER.replace("jwks = \"acme.jwks\"", ""),
        "its public keys are missing",
    );
    let with_url = |url: &str| PARTNER.replace("jwks =", &format!("jwks_url = \"{url}\"\njwks ="));
    let both = with_url("https://acme.example/jwks");
    check(&both, "the keys of one come from one place");
    for url in [
        "http://acme.example/jwks",
        "http://localhost/jwks",
        "https://user:secret@acme.example/jwks",
        "https://acme.example/jwks#one",
        "file:///etc/passwd",
        "acme.jwks",
    ] {
        let elsewhere = with_url(url).replace("jwks = \"acme.jwks\"", "");
        check(&elsewhere, "keys are fetched over https");
    }
    check(
        &format!("tenant = \"nobody\"\n{PARTNER}"),
        "no tenant `nobody`",
    );
    check("", "missing field");
}

#[test]
fn answers_need_our_name_and_our_key() {
    let nameless = CONFIGURATION.replace("[messages]", "").replace(
        "party = \"https://us.example\"\nsigning_key = { file = \"sign.jwk\" }",
        "",
    );
    let said = load(&nameless, "acme.toml", PARTNER).unwrap_err();
    assert!(said.contains("write `[messages]`"), "{said}");
    let keyless = CONFIGURATION.replace("signing_key = { file = \"sign.jwk\" }", "");
    let said = load(&keyless, "acme.toml", PARTNER).unwrap_err();
    assert!(said.contains("write `signing_key`"), "{said}");
}
