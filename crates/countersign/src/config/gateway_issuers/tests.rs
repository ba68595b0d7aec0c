use super::*;
use crate::config::error::ConfigError;
use crate::config::routes::{IssuersOfRoute, OwnTokens};
use crate::config::trusted_issuers::Reach;
use crate::config::{Config, FILE, parse};
use std::path::Path;

fn parsed(text: &str) -> Result<Config, Vec<ConfigError>> {
    parse(Path::new("/nowhere"), Path::new(FILE), text)
}

/// The partner's entry, in which `line` takes the place of the line that begins alike, or stands beside the others.
fn partner(line: &str) -> String {
    let key = line.split(" =").next().unwrap_or_default();
    let mut lines = vec![
        "name = \"partner\"",
        "issuer = \"https://login.partner.example\"",
        "keys = { url = \"https://login.partner.example/jwks.json\" }",
    ];
    lines.retain(|other| key.is_empty() || !other.starts_with(&format!("{key} =")));
    format!("[[gateway.issuers]]\n{}\n{line}\n", lines.join("\n"))
}

/// A route with these lines, and its upstream.
fn route(lines: &str) -> String {
    format!(
        "[[upstreams]]\nname = \"orders\"\nurl = \"https://localhost:9443\"\n\n[[clients]]\nid = \"edge\"\nsecret = {{ file = \"edge\" }}\ngrants = [\"token_exchange\"]\naudiences = [\"https://orders.example\"]\n\n\
         [[routes]]\nname = \"orders\"\npath = \"/orders\"\nupstream = \"orders\"\naudience = \"https://orders.example\"\nactions.GET = {{ action = \"request\", scopes = [\"orders.read\"] }}\n{lines}\n"
    )
}

fn mistake(text: &str) -> String {
    let found = parsed(text).unwrap_err();
    let all: Vec<String> = found.iter().map(ToString::to_string).collect();
    all.join("\n")
}

#[test]
fn an_entry_says_whose_tokens_are_taken_and_how_far_they_are_believed() {
    let config = parsed(&partner("")).unwrap();
    let [plain] = config.gateway.issuers.as_slice() else {
        panic!("one issuer")
    };
    assert_eq!(
        (plain.name(), plain.issuer.iss()),
        ("partner", "https://login.partner.example")
    );
    assert_eq!(plain.issuer.leeway(), LEEWAY_DEFAULT);
    assert_eq!(plain.issuer.algorithms().len(), Algorithm::ALL.len());
    assert_eq!(
        (plain.tokens, plain.believe.len()),
        (TokenForm::AccessToken, 0)
    );
    assert_eq!(plain.limits, JwksLimits::default());

    let all = partner(
        "audience = \"api://orders\"\nalgorithms = [\"ES256\"]\nleeway = \"300s\"\ntokens = \"jwt\"\nbelieve = [\"roles\", \"authentication\"]\n\
         scopes = [\"orders.read\"]\nrefresh = \"10m\"\nstale = \"1h\"\ncooldown = \"1m\"\n",
    )
    .replace("jwks.json\" }", "jwks.json\", reach = \"private\", ca = \"partner.pem\" }");
    let config = parsed(&all).unwrap();
    let all = &config.gateway.issuers[0];
    assert_eq!(all.audience, Some("api://orders".parse().unwrap()));
    assert_eq!(all.issuer.algorithms(), &BTreeSet::from([Algorithm::Es256]));
    assert_eq!(all.issuer.leeway(), Duration::from_secs(300));
    assert_eq!((all.tokens, all.believe.len()), (TokenForm::Jwt, 2));
    assert_eq!(all.limits.lifetime_max, Duration::from_secs(600));
    assert_eq!(all.limits.stale_max, Duration::from_secs(3_600));
    assert_eq!(all.limits.unknown_cooldown, Duration::from_secs(60));
    assert!(matches!(
        &all.keys,
        KeySource::Url {
            reach: Reach::Private,
            ca: Some(_),
            ..
        }
    ));
}

#[test]
fn g53_what_nobody_should_say_is_refused_with_its_line() {
    for (line, said) in [
        ("issuer = \"http://login.partner.example\"", "an https URL"),
        (
            "issuer = \"https://login.partner.example?a=b\"",
            "an https URL",
        ),
        ("leeway = \"301s\"", "300 seconds at most"),
        ("leeway = \"6m\"", "300 seconds at most"),
        (
            "algorithms = [\"ES256\", \"HS256\"]",
            "`HS256` is symmetric",
        ),
        ("algorithms = [\"none\"]", "nobody signed"),
        ("algorithms = [\"ES256K\"]", "not verified here"),
        ("algorithms = []", "at least one algorithm"),
        ("audience = \"\"", "an audience is an absolute URI"),
        ("audience = \"orders\"", "an audience is an absolute URI"),
        ("name = \"own\"", "not `own`"),
        ("name = \"Partner\"", "the name of an issuer"),
        (
            "keys = { url = \"http://login.partner.example/jwks.json\" }",
            "fetched over https",
        ),
        ("keys = {}", "from one place"),
        ("refresh = \"30s\"", "out of bounds"),
        ("stale = \"30d\"", "out of bounds"),
        ("cooldown = \"1s\"", "out of bounds"),
    ] {
        let found = mistake(&partner(line));
        assert!(found.contains(said), "{line}: {found}");
    }
    // The twins: what is just allowed.
    for line in [
        "leeway = \"300s\"",
        "leeway = \"5m\"",
        "algorithms = [\"ES256\"]",
        "audience = \"api://orders\"",
        "issuer = \"https://login.partner.example/\"",
        "name = \"partner-2\"",
        "refresh = \"60s\"",
        "stale = \"7d\"",
        "stale = \"1s\"",
        "cooldown = \"5s\"",
    ] {
        assert!(parsed(&partner(line)).is_ok(), "{line}");
    }
}

#[test]
fn two_entries_are_two_issuers() {
    let twice = format!("{}{}", partner(""), partner("name = \"other\""));
    assert!(mistake(&twice).contains("the same name or the same `issuer`"));
    let slash = format!(
        "{}{}",
        partner(""),
        partner("name = \"other\"").replace("partner.example\"", "partner.example/\"")
    );
    assert!(mistake(&slash).contains("the same `issuer`"));
    let two = format!(
        "{}{}",
        partner(""),
        partner("name = \"other\"").replace("login.partner", "login.other")
    );
    assert!(parsed(&two).is_ok());
}

#[test]
fn a_route_takes_the_tokens_of_whom_it_names_and_of_nobody_else() {
    let issuers = |line: &str| {
        let config = parsed(&format!("{}{}", partner(""), route(line))).unwrap();
        config.routes[0].issuers.clone()
    };
    assert_eq!(issuers(""), IssuersOfRoute::default());
    assert_eq!(issuers("").own, OwnTokens::Taken);
    let others = || BTreeSet::from(["partner".to_owned()]);
    assert_eq!(
        issuers("issuers = [\"partner\"]"),
        IssuersOfRoute {
            own: OwnTokens::Refused,
            others: others()
        }
    );
    assert_eq!(
        issuers("issuers = [\"own\", \"partner\"]"),
        IssuersOfRoute {
            own: OwnTokens::Taken,
            others: others()
        }
    );
}

#[test]
fn what_only_our_own_issuer_can_do_needs_it() {
    let exchange = "exchange = { client = \"edge\", audience = \"https://billing.example\" }";
    let keys = "api_keys = { reason = \"they can do nothing better\" }";
    for (lines, said) in [
        ("issuers = []".to_owned(), "takes no token"),
        ("issuers = [\"partnr\"]".to_owned(), "no issuer `partnr`"),
        (
            format!("issuers = [\"own\", \"partner\"]\n{exchange}"),
            "can be exchanged",
        ),
        (
            format!("issuers = [\"partner\"]\n{exchange}"),
            "can be exchanged",
        ),
        (
            format!("issuers = [\"partner\"]\n{keys}"),
            "`api_keys` is for tokens of the tenant's own",
        ),
        (
            "issuers = [\"partner\"]\nsession = \"portal\"".to_owned(),
            "`session` is for tokens",
        ),
    ] {
        let found = mistake(&format!("{}{}", partner(""), route(&lines)));
        assert!(found.contains(said), "{lines}: {found}");
    }
    for lines in [
        exchange.to_owned(),
        format!("issuers = [\"own\"]\n{exchange}"),
        format!("issuers = [\"own\", \"partner\"]\n{keys}"),
    ] {
        let text = format!("{}{}", partner(""), route(&lines));
        assert!(parsed(&text).is_ok(), "{lines}: {:?}", parsed(&text).err());
    }
}
