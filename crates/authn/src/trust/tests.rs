use super::*;
use serde_json::json;

fn exact(text: &str) -> SubjectRule {
    SubjectRule::exact(text).unwrap()
}

fn prefix(text: &str) -> SubjectRule {
    SubjectRule::prefix(text).unwrap()
}

#[test]
fn a_prefix_ends_where_a_segment_ends() {
    let rule = prefix("spiffe://example.org/batch/");
    assert!(rule.fit("spiffe://example.org/batch/nightly").is_some());
    for other in [
        "spiffe://example.org/batch",
        "spiffe://example.org/batch/",
        "spiffe://example.org/batches/nightly",
        "spiffe://example.org/batch//nightly",
        "spiffe://example.org/batch/../admin",
        "spiffe://example.org.evil/batch/nightly",
    ] {
        assert_eq!(rule.fit(other), None, "{other}");
    }
    for text in ["", "/", "spiffe://", "spiffe:", "spiffe://example.org/bat"] {
        assert_eq!(SubjectRule::prefix(text), Err(SubjectRuleError), "{text}");
    }
    assert_eq!(SubjectRule::exact(""), Err(SubjectRuleError));
}

#[test]
fn the_most_specific_rule_names_the_client() {
    let rule = |subject, client: &str| ClientRule {
        subject,
        client: client.parse().unwrap(),
    };
    let issuer = ForeignIssuer {
        name: Bounded::parse("cluster").unwrap(),
        state: IssuerState::Enabled,
        profile: Profile::Kubernetes {
            issuer: Bounded::parse("https://k8s.example").unwrap(),
        },
        audience: None,
        algorithms: [Algorithm::Rs256].into(),
        lifetime_max: 3600,
        uses: [ForeignUse::ClientAuthentication].into(),
        clients: vec![
            rule(prefix("system:serviceaccount:"), "any"),
            rule(exact("system:serviceaccount:batch:nightly"), "nightly"),
            rule(prefix("system:serviceaccount:batch:"), "batch"),
        ],
        users: Vec::new(),
    };
    let client = |subject| issuer.client_of(subject).map(ClientId::as_str);
    assert_eq!(
        client("system:serviceaccount:batch:nightly"),
        Some("nightly")
    );
    assert_eq!(client("system:serviceaccount:batch:hourly"), Some("batch"));
    assert_eq!(client("system:serviceaccount:web:front"), Some("any"));
    assert_eq!(client("system:node:one"), None);
    // What the store keeps is what was configured, and a rule that would match too much is not even read back.
    let text = serde_json::to_string(&issuer).unwrap();
    assert_eq!(
        serde_json::from_str::<ForeignIssuer>(&text).unwrap(),
        issuer
    );
    let wide = text.replace(
        "system:serviceaccount:batch:\"",
        "system:serviceaccount:bat\"",
    );
    assert!(serde_json::from_str::<ForeignIssuer>(&wide).is_err());
}

#[test]
fn a_spiffe_id_has_one_form() {
    let id: SpiffeId = "spiffe://example.org/ns/orders".parse().unwrap();
    assert_eq!(
        (id.trust_domain().as_str(), id.path()),
        ("example.org", "/ns/orders")
    );
    for text in [
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe:///orders",
        "spiffe://Example.org/orders",
        "spiffe://example.org:443/orders",
        "spiffe://user@example.org/orders",
        "spiffe://example.org/orders/",
        "spiffe://example.org//orders",
        "spiffe://example.org/./orders",
        "spiffe://example.org/../orders",
        "spiffe://example.org/ord%65rs",
        "spiffe://example.org/orders?x",
        "spiffe://example.org/orders#x",
        "SPIFFE://example.org/orders",
        "https://example.org/orders",
    ] {
        assert!(text.parse::<SpiffeId>().is_err(), "{text}");
    }
}

#[test]
fn a_bundle_gives_the_keys_of_jwt_svids_and_no_others() {
    let key = crate::fixtures::key(Algorithm::Es256);
    let with = |usage: &str, kid: Option<&str>| {
        let mut jwk = key.public_jwk().to_json();
        jwk["use"] = json!(usage);
        if let Some(kid) = kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    };
    let bundle = json!({ "spiffe_sequence": 1, "keys": [
        with("jwt-svid", Some("a")), with("x509-svid", None), with("jwt-svid", None), with("other", Some("b")), with("sig", Some("c")),
    ] });
    let set = bundle_keys(bundle.to_string().as_bytes()).unwrap();
    let kids: Vec<_> = set
        .iter()
        .filter_map(|key| key.kid().map(ToString::to_string))
        .collect();
    assert_eq!(kids, ["a", "c"]);
    assert!(bundle_keys(b"{}").is_err());
    assert!(bundle_keys(b"[").is_err());
}
