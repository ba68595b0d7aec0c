use super::*;
use crate::fixture::{form, portal, tenant};

fn parse_for(
    text: &str,
    change: impl FnOnce(&mut ClientRecord),
) -> Result<BackchannelRequest, OAuthError> {
    let mut client = portal();
    change(&mut client);
    BackchannelRequest::parse(&form(text), &client, &tenant())
}

fn parse(text: &str) -> Result<BackchannelRequest, OAuthError> {
    parse_for(text, |_| {})
}

fn notified(client: &mut ClientRecord) {
    client.ciba.delivery = DeliveryMode::Ping {
        endpoint: "https://portal.example/ciba".parse().unwrap(),
    };
}

#[test]
fn ciba_2_exactly_one_hint_says_who_is_asked() {
    let good = parse("scope=openid&login_hint=alice").unwrap();
    assert!(matches!(good.hint, Hint::Login(name) if name == "alice"));
    assert_eq!(parse("scope=openid").unwrap_err(), OAuthError::HintMissing);
    for two in [
        "login_hint=alice&id_token_hint=x.y.z",
        "login_hint=alice&login_hint_token=t",
        "id_token_hint=x.y.z&login_hint_token=t",
        "login_hint=alice&id_token_hint=x.y.z&login_hint_token=t",
    ] {
        assert_eq!(
            parse(&format!("scope=openid&{two}")).unwrap_err(),
            OAuthError::HintsSeveral,
            "{two}"
        );
    }
}

#[test]
fn ciba_37_ciba_38_order_of_scopes_and_the_form_of_the_expiry_do_not_matter() {
    for scope in ["openid+orders:read", "orders:read+openid"] {
        let request = parse(&format!("scope={scope}&login_hint=alice")).unwrap();
        assert_eq!(request.scopes, "openid orders:read".parse().unwrap());
    }
    let lifetime = |text: &str| {
        parse(&format!("scope=openid&login_hint=alice{text}"))
            .map(|request| request.lifetime.as_secs())
    };
    assert_eq!(lifetime(""), Ok(300));
    assert_eq!(lifetime("&requested_expiry=120"), Ok(120));
    assert_eq!(lifetime("&requested_expiry=86400"), Ok(600), "bounded");
    assert_eq!(lifetime("&requested_expiry=1"), Ok(10), "bounded");
    for bad in ["0", "-1", "1.5", "soon"] {
        assert_eq!(
            lifetime(&format!("&requested_expiry={bad}")),
            Err(OAuthError::ParameterMalformed("requested_expiry")),
            "{bad}"
        );
    }
}

#[test]
fn a34_what_is_not_registered_is_refused_whatever_else_is_right() {
    assert!(
        parse("scope=openid+orders:read&login_hint=alice").is_ok(),
        "the twin"
    );
    let rows = [
        (
            "scope=openid+admin&login_hint=alice",
            OAuthError::ScopeNotPermitted,
        ),
        (
            "scope=orders:read&login_hint=alice",
            OAuthError::ScopeNotPermitted,
        ),
        ("login_hint=alice", OAuthError::ParameterMissing("scope")),
        (
            "scope=openid&login_hint=alice&resource=https://other.example",
            OAuthError::AudienceNotPermitted,
        ),
        (
            "scope=openid&login_hint=alice&binding_message=a%E2%80%AEb",
            OAuthError::BindingMessage,
        ),
    ];
    for (text, error) in rows {
        assert_eq!(parse(text).unwrap_err(), error, "{text}");
    }
    let unregistered = parse_for("scope=openid&login_hint=alice", |client| {
        client.grants.remove(&GrantType::Ciba);
    });
    assert_eq!(
        unregistered.unwrap_err(),
        OAuthError::GrantTypeNotRegistered
    );
}

#[test]
fn a_client_that_is_notified_says_with_which_token() {
    let text = "scope=openid&login_hint=alice";
    let token = "&client_notification_token=8d67dc78-7faa-4d41-aabd-67707b374255";
    assert_eq!(
        parse_for(text, notified).unwrap_err(),
        OAuthError::ParameterMissing("client_notification_token")
    );
    let request = parse_for(&format!("{text}{token}"), notified).unwrap();
    assert!(request.notification_token.is_some());
    let polling = parse(&format!("{text}{token}")).unwrap();
    assert!(polling.notification_token.is_none(), "nobody needs it");
    for bad in ["a%20b", "a%C3%A4", &"a".repeat(1025)] {
        assert!(
            parse_for(&format!("{text}&client_notification_token={bad}"), notified).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn a_notification_endpoint_is_an_https_address_and_nothing_else() {
    use crate::client::NotificationEndpoint;
    assert!(
        "https://portal.example/ciba"
            .parse::<NotificationEndpoint>()
            .is_ok()
    );
    for bad in [
        "http://portal.example/ciba",
        "https://u:p@portal.example/",
        "https://portal.example/#x",
        "/relative",
        "file:///etc/passwd",
        "https://portal.example\\@evil.example/",
    ] {
        assert!(bad.parse::<NotificationEndpoint>().is_err(), "{bad}");
    }
}
