use super::*;
use crate::claims_request::ClaimsRequest;
use crate::fixture::{alice, bounded, grant};
use crate::profile::Claim;

fn person() -> UserRecord {
    let mut user = alice().user;
    user.profile.email = Some(bounded("alice@example.com"));
    user.profile.email_verified = true;
    user.profile.given_name = Some(bounded("Alice"));
    user
}

fn told(scopes: &str, grant: Option<&GrantRecord>, client: &str) -> Value {
    let user = person();
    let sub = SubjectIdentifier::Public(user.id);
    let answer = UserInfo::of(
        &user,
        sub,
        &scopes.parse().unwrap(),
        grant,
        &client.parse().unwrap(),
    );
    let mut answer = serde_json::to_value(&answer).unwrap();
    let sub = answer.as_object_mut().unwrap().remove("sub");
    assert_eq!(sub, Some(user.id.to_string().into()));
    answer
}

#[test]
fn a_scope_releases_its_own_claims_and_no_others() {
    assert_eq!(told("openid", None, "portal"), serde_json::json!({}));
    assert_eq!(
        told("openid email", None, "portal"),
        serde_json::json!({"email": "alice@example.com", "email_verified": true})
    );
    assert_eq!(
        told("openid profile", None, "portal"),
        serde_json::json!({"given_name": "Alice", "preferred_username": "alice"})
    );
    assert_eq!(
        told("openid phone address", None, "portal"),
        serde_json::json!({}),
        "what is not known is left out"
    );
}

#[test]
fn single_claims_are_released_to_the_client_they_were_allowed_to() {
    let mut allowed = grant();
    allowed.particulars.claims = ClaimsRequest {
        userinfo: [Claim::Email].into(),
        id_token: [Claim::GivenName].into(),
        ..ClaimsRequest::default()
    };
    assert_eq!(
        told("openid", Some(&allowed), "portal"),
        serde_json::json!({"email": "alice@example.com"}),
        "and what was asked for in the ID token is not here"
    );
    assert_eq!(
        told("openid", Some(&allowed), "orders"),
        serde_json::json!({}),
        "another client exchanged the token"
    );
}
