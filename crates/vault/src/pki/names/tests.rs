use super::*;
use crate::trial::Trial;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn role(parameters: Json) -> Role {
    let mut body = json!({ "require_cn": false });
    for (name, value) in parameters.as_object().unwrap() {
        body[name] = value.clone();
    }
    let body = crate::Body::of(body).unwrap();
    Role::of(&body).unwrap()
}

fn dns(name: &str) -> Wanted {
    Wanted {
        names: AlternativeNames {
            dns: vec![name.to_owned()],
            ..AlternativeNames::default()
        },
        ..Wanted::default()
    }
}

#[test]
fn dns_names_are_judged_by_the_lists_and_flags_of_the_role() {
    let bare = json!({"allowed_domains": "example.test", "allow_bare_domains": true});
    let below = json!({"allowed_domains": "example.test", "allow_subdomains": true});
    let below_only = json!({"allowed_domains": "example.test", "allow_subdomains": true, "allow_wildcard_certificates": false});
    let globs =
        json!({"allowed_domains": "web*.example.test,*.glob.test", "allow_glob_domains": true});
    let any = json!({"allow_any_name": true});
    let named_only = json!({"allowed_domains": "example.test"});
    for (parameters, name, allowed) in [
        (&bare, "example.test", true),
        (&bare, "EXAMPLE.test", true),
        (&bare, "a.example.test", false),
        (&bare, "*.example.test", false),
        (&bare, "example.test.evil.test", false),
        (&bare, "example.test.", false),
        (&below, "a.example.test", true),
        (&below, "a.b.example.test", true),
        (&below, "*.example.test", true),
        (&below, "*.a.example.test", true),
        (&below, "example.test", false),
        (&below, "aexample.test", false),
        (&below, ".example.test", false),
        (&below, "*.test", false),
        (&below, "a.*.example.test", false),
        (&below, "f*.example.test", false),
        (&below, "*.*.example.test", false),
        (&below, "a b.example.test", false),
        (&below, "a.example.test\0.evil.test", false),
        (&below, "evil.test\n.example.test", false),
        (&below, "localhost", false),
        (&below_only, "*.example.test", false),
        (&below_only, "a.example.test", true),
        (&globs, "web1.example.test", true),
        (&globs, "web1.a.example.test", true),
        (&globs, "db1.example.test", false),
        (&globs, "a.glob.test", true),
        (&globs, "a.glob.test.evil.test", false),
        (&any, "anything.at.all", true),
        (&any, "10.0.0.1", false),
        (&any, "0x7f.1", false),
        (&any, "", false),
        (&any, "bücher.test", false),
        (&named_only, "example.test", false),
        (&named_only, "a.example.test", false),
    ] {
        let judged = judge(&role(parameters.clone()), dns(name)).is_ok();
        assert_eq!(judged, allowed, "{name} by {parameters}");
    }
}

#[test]
fn localhost_addresses_and_uris_have_to_be_given_by_the_role() {
    let wanted = |ip: &str, uri: &str| {
        let names = AlternativeNames {
            ips: ip.parse().into_iter().collect(),
            uris: (!uri.is_empty())
                .then(|| uri.to_owned())
                .into_iter()
                .collect(),
            ..AlternativeNames::default()
        };
        Wanted {
            names,
            ..Wanted::default()
        }
    };
    let ips = json!({"allow_ip_sans": true});
    let uris = json!({"allowed_uri_sans": "spiffe://demo/*"});
    for (parameters, wanted, allowed) in [
        (json!({}), dns("localhost"), false),
        (json!({"allow_localhost": true}), dns("localhost"), true),
        (json!({}), wanted("10.0.0.1", ""), false),
        (
            json!({"allow_any_name": true}),
            wanted("10.0.0.1", ""),
            false,
        ),
        (ips.clone(), wanted("10.0.0.1", ""), true),
        (ips, wanted("::1", ""), true),
        (
            json!({"allow_any_name": true}),
            wanted("", "spiffe://demo/a"),
            false,
        ),
        (uris.clone(), wanted("", "spiffe://demo/a"), true),
        (uris.clone(), wanted("", "spiffe://other/a"), false),
        (uris.clone(), wanted("", "spiffe://demo/a b"), false),
        (uris, wanted("", "x"), false),
        (
            json!({"allowed_uri_sans": "*"}),
            wanted("", "no-scheme"),
            false,
        ),
        (json!({}), Wanted::default(), false),
    ] {
        let shown = format!("{wanted:?} by {parameters}");
        let judged = judge(&role(parameters), wanted).is_ok();
        assert_eq!(judged, allowed, "{shown}");
    }
}

#[test]
fn a_common_name_is_judged_as_what_it_is() {
    let below = json!({"allowed_domains": "example.test", "allow_subdomains": true});
    let titles = json!({"allow_any_name": true, "enforce_hostnames": false});
    let ips = json!({"allow_ip_sans": true});
    for (parameters, name, expected) in [
        (&below, "a.example.test", Some(("a.example.test", 1, 0))),
        (&below, "a.evil.test", None),
        (&below, "10.0.0.1", None),
        (&below, "A service", None),
        (&ips, "10.0.0.1", Some(("10.0.0.1", 0, 1))),
        (&titles, "A service", Some(("A service", 0, 0))),
        (&titles, "two\nlines", None),
        (&titles, "10.0.0.1", None),
    ] {
        let wanted = Wanted {
            common_name: Some(name.to_owned()),
            ..Wanted::default()
        };
        let judged = judge(&role(parameters.clone()), wanted)
            .ok()
            .map(Allowed::into_parts);
        let shown = judged
            .as_ref()
            .map(|(name, names)| (name.as_deref().unwrap(), names.dns.len(), names.ips.len()));
        assert_eq!(shown, expected, "{name} by {parameters}");
    }
    let required = Role {
        require_cn: true,
        ..role(json!({"allow_any_name": true}))
    };
    assert!(judge(&required, dns("a.test")).is_err());
    assert!(judge(&role(json!({"allow_any_name": true})), dns("a.test")).is_ok());
}

#[test]
fn patterns_fit_whole_texts() {
    for (pattern, text, fits) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("ab*bc", "abc", false),
        ("a*b*c", "a__b__c", true),
        ("a*b*c", "a__c", false),
        ("a**c", "abc", true),
        ("", "a", false),
    ] {
        assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Said another way than the code says it: whatever is asked for, a name that gets through lies below the role's domain label by label.
    #[test]
    fn no_name_outside_of_the_role_gets_through(
        name in r"(\*\.)?([a-zA-Z0-9_.*@ -]{0,12}\.?){0,3}(example\.test|EXAMPLE\.TEST|xample\.test|example\.test\.a)?",
        bare: bool, subdomains: bool, wildcards: bool,
    ) {
        let role = role(json!({
            "allowed_domains": "example.test", "allow_bare_domains": bare,
            "allow_subdomains": subdomains, "allow_wildcard_certificates": wildcards,
        }));
        for wanted in [
            dns(&name),
            Wanted { common_name: Some(name.clone()), ..Wanted::default() },
        ] {
            let Ok(allowed) = judge(&role, wanted) else { continue };
            let (common_name, names) = allowed.into_parts();
            prop_assert!(names.ips.is_empty() && names.uris.is_empty() && names.emails.is_empty());
            for name in names.dns.iter().chain(&common_name) {
                let labels: Vec<&str> = name.split('.').rev().collect();
                prop_assert!(labels.starts_with(&["test", "example"]), "{name}");
                prop_assert!(if labels.len() == 2 { bare } else { subdomains }, "{name}");
                let stars = labels.iter().filter(|label| label.contains('*')).count();
                prop_assert!(stars == 0 || (wildcards && stars == 1 && labels.last() == Some(&"*")), "{name}");
                prop_assert!(labels.iter().all(|label| !label.is_empty() && !label.contains(' ')), "{name}");
            }
        }
    }
}

#[test]
fn a_role_of_the_api_reads_back_as_it_was_written() {
    let mut trial = Trial::new();
    trial.mount("pki/", crate::kind::EngineKind::Pki);
    let body = json!({"allowed_domains": ["example.test"], "allow_subdomains": "true", "ttl": "1h", "max_ttl": 7200, "key_type": "ec", "key_bits": 384, "client_flag": false, "ou": ["Unit"]});
    trial.data(crate::Operation::Update, "pki/roles/web", body);
    let read = trial.data(crate::Operation::Read, "pki/roles/web", Json::Null);
    for (name, value) in [
        ("allowed_domains", json!(["example.test"])),
        ("allow_subdomains", json!(true)),
        ("allow_ip_sans", json!(false)),
        ("ttl", json!(3600)),
        ("max_ttl", json!(7200)),
        ("key_type", json!("ec")),
        ("key_bits", json!(384)),
        ("client_flag", json!(false)),
        ("server_flag", json!(true)),
        ("ou", json!(["Unit"])),
        (
            "key_usage",
            json!(["DigitalSignature", "KeyAgreement", "KeyEncipherment"]),
        ),
    ] {
        assert_eq!(read[name], value, "{name}");
    }
    let keys = trial.data(crate::Operation::List, "pki/roles", Json::Null);
    assert_eq!(keys["keys"], json!(["web"]));
    trial
        .call(crate::Operation::Delete, "pki/roles/web", Json::Null)
        .unwrap();
    assert_eq!(
        trial
            .call(crate::Operation::Read, "pki/roles/web", Json::Null)
            .err(),
        Some(VaultError::NotFound)
    );
}

#[test]
fn parameters_that_would_narrow_a_role_and_are_not_known_are_refused() {
    let mut trial = Trial::new();
    trial.mount("pki/", crate::kind::EngineKind::Pki);
    for (parameters, taken) in [
        (json!({"allowed_other_sans": ["1.2.3;utf8:x"]}), false),
        (json!({"allowed_other_sans": []}), true),
        (json!({"allowed_domains_template": true}), false),
        (json!({"allowed_domains_template": false}), true),
        (json!({"generate_lease": true}), false),
        (json!({"allowed_ip_sans_cidr": "10.0.0.0/8"}), false),
        (json!({"not_after": "2027-01-01T00:00:00Z"}), false),
        (json!({"issuer_ref": "other"}), false),
        (json!({"issuer_ref": "default"}), true),
        (json!({"key_type": "rsa", "key_bits": 1024}), false),
        (json!({"key_type": "dsa"}), false),
        (json!({"key_usage": ["CertSign"]}), false),
        (json!({"server_flag": false, "client_flag": false}), false),
        (json!({"ext_key_usage": ["OCSPSigning"]}), false),
        (json!({"allowed_domains": "*.example.test"}), false),
        (json!({"ttl": "2h", "max_ttl": "1h"}), false),
    ] {
        let shown = parameters.to_string();
        let result = trial.call(crate::Operation::Update, "pki/roles/web", parameters);
        assert_eq!(result.is_ok(), taken, "{shown}");
    }
}
