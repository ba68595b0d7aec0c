use super::*;

fn details(text: &str) -> AuthorizationDetails {
    AuthorizationDetails::parse(text).unwrap()
}

#[test]
fn what_is_no_list_of_typed_objects_is_refused() {
    let payment = r#"[{"type":"payment","actions":["initiate"],"amount":{"value":"12.50"}}]"#;
    assert_eq!(details(payment).kinds().len(), 1);
    for (broken, why) in [
        ("", DetailsBroken::Json),
        ("{}", DetailsBroken::Json),
        ("[]", DetailsBroken::Json),
        (r#"["payment"]"#, DetailsBroken::Json),
        (r#"[{"type":"payment"},]"#, DetailsBroken::Json),
        ("[{}]", DetailsBroken::Type),
        (r#"[{"type":7}]"#, DetailsBroken::Type),
        (r#"[{"type":""}]"#, DetailsBroken::Type),
        (r#"[{"type":"a b"}]"#, DetailsBroken::Type),
        (
            r#"[{"type":"payment","actions":"initiate"}]"#,
            DetailsBroken::Member,
        ),
        (
            r#"[{"type":"payment","locations":[1]}]"#,
            DetailsBroken::Member,
        ),
        (
            r#"[{"type":"payment","identifier":[]}]"#,
            DetailsBroken::Member,
        ),
        (
            r#"[{"type":"payment","x":[[[[[[[[[]]]]]]]]]}]"#,
            DetailsBroken::Member,
        ),
    ] {
        assert_eq!(AuthorizationDetails::parse(broken), Err(why), "{broken}");
    }
    let many = format!("[{}]", vec![r#"{"type":"a"}"#; DETAILS_MAX + 1].join(","));
    assert_eq!(
        AuthorizationDetails::parse(&many),
        Err(DetailsBroken::TooLong)
    );
    let long = format!(
        r#"[{{"type":"a","x":"{}"}}]"#,
        "x".repeat(DETAILS_BYTES_MAX)
    );
    assert_eq!(
        AuthorizationDetails::parse(&long),
        Err(DetailsBroken::TooLong)
    );
}

#[test]
fn narrower_is_the_same_members_with_fewer_elements() {
    let granted = details(
        r#"[{"type":"account","actions":["list","read"],"locations":["https://a.example"],"limit":5},{"type":"other"}]"#,
    );
    for narrower in [
        r#"[{"type":"account","actions":["read"],"locations":["https://a.example"],"limit":5}]"#,
        r#"[{"limit":5,"actions":["read","list"],"type":"account","locations":["https://a.example"]},{"type":"other"}]"#,
    ] {
        assert!(details(narrower).is_within(&granted), "{narrower}");
    }
    for wider in [
        r#"[{"type":"account","actions":["read","write"],"locations":["https://a.example"],"limit":5}]"#,
        r#"[{"type":"account","actions":[],"locations":["https://a.example"],"limit":5}]"#,
        r#"[{"type":"account","actions":["read"],"limit":5}]"#,
        r#"[{"type":"account","actions":["read"],"locations":["https://a.example"],"limit":6}]"#,
        r#"[{"type":"account","actions":["read"],"locations":["https://a.example"],"limit":5,"more":1}]"#,
        r#"[{"type":"third"}]"#,
    ] {
        assert!(!details(wider).is_within(&granted), "{wider}");
    }
    assert!(AuthorizationDetails::none().is_within(&granted));
}

#[test]
fn what_was_written_reads_the_same_and_nothing_of_it_is_shown() {
    let secret = details(r#"[{"type":"account","identifier":"DE02120300000000202051"}]"#);
    let text = serde_json::to_string(&secret).unwrap();
    assert_eq!(
        serde_json::from_str::<AuthorizationDetails>(&text).unwrap(),
        secret
    );
    assert!(!format!("{secret:?}").contains("DE02"));
}
