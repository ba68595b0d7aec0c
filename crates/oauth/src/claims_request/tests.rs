use super::*;
use crate::fixture::portal;

fn client() -> ClientRecord {
    let mut client = portal();
    client.scopes = "openid profile email".parse().unwrap();
    client
}

fn parse(text: &str) -> Result<ClaimsRequest, ClaimsBroken> {
    ClaimsRequest::parse(text, &client())
}

#[test]
fn what_the_client_may_ask_for_is_kept_and_the_rest_left_out() {
    let request = parse(
        r#"{"userinfo":{"given_name":{"essential":true},"email":null,"phone_number":null,"http://x.example/claim":null},
            "id_token":{"auth_time":{"essential":true},"email_verified":null,"acr":{"values":["urn:a"]}},"later":[1]}"#,
    )
    .unwrap();
    assert_eq!(
        request.userinfo,
        [Claim::Email, Claim::GivenName].into(),
        "the scope phone is not registered"
    );
    assert_eq!(request.id_token, [Claim::EmailVerified].into());
    assert_eq!(request.acr_voluntary.len(), 1);
    assert!(request.acr_essential.is_empty());
    assert_eq!(request.of_the_person().len(), 3);
    let stored = serde_json::to_string(&request).unwrap();
    assert_eq!(
        serde_json::from_str::<ClaimsRequest>(&stored).unwrap(),
        request
    );
    assert_eq!(
        parse("{}"),
        Ok(ClaimsRequest::default()),
        "nothing is asked for"
    );
}

#[test]
fn a_named_subject_is_the_only_one_admitted() {
    let request = parse(r#"{"id_token":{"sub":{"value":"248289761001"}}}"#).unwrap();
    assert!(request.admits("248289761001"));
    assert!(!request.admits("248289761002"));
    assert!(
        parse(r#"{"id_token":{"sub":null}}"#)
            .unwrap()
            .admits("anybody")
    );
}

#[test]
fn what_has_another_form_is_refused() {
    assert!(parse(r#"{"userinfo":{"email":{"essential":false}}}"#).is_ok());
    let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(CLAIMS_BYTES_MAX));
    for broken in [
        "",
        "[]",
        "null",
        r#"{"userinfo":[]}"#,
        r#"{"userinfo":{"email":true}}"#,
        r#"{"userinfo":{"email":{"essential":"yes"}}}"#,
        r#"{"id_token":{"email":{"value":"a","values":["a"]}}}"#,
        r#"{"id_token":{"sub":{"values":["a","b"]}}}"#,
        r#"{"id_token":{"sub":{"value":5}}}"#,
        long.as_str(),
    ] {
        assert_eq!(parse(broken), Err(ClaimsBroken), "{broken}");
    }
}

#[test]
fn scopes_ask_for_their_claims() {
    let of = |scopes: &str| of_scopes(&scopes.parse().unwrap());
    assert_eq!(
        of("openid email"),
        [Claim::Email, Claim::EmailVerified].into()
    );
    assert_eq!(of("phone").len(), 2);
    assert_eq!(of("address"), [Claim::Address].into());
    assert!(of("profile").contains(&Claim::PreferredUsername));
    assert!(!of("profile").contains(&Claim::Email));
    assert!(of("openid orders:read").is_empty());
    assert_eq!(
        of("profile email phone address").len(),
        Claim::ALL.len(),
        "every claim has a scope"
    );
}
