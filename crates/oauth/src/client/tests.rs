use super::*;
use crate::fixture::{NOW, app, portal};

#[test]
fn a_registration_that_could_never_work_or_never_be_safe_is_refused() {
    assert_eq!(portal().check(), Ok(()));
    let broken = |change: fn(&mut ClientRecord)| {
        let mut client = portal();
        change(&mut client);
        client.check()
    };
    assert_eq!(
        broken(|client| client.redirect_uris.clear()),
        Err(RegistrationError::NoRedirectUri)
    );
    assert_eq!(
        broken(|client| client.authentication = ClientAuthentication::Public),
        Err(RegistrationError::PublicServiceClient)
    );
    assert_eq!(
        broken(|client| client.grants = [GrantType::RefreshToken].into()),
        Err(RegistrationError::RefreshWithoutCode)
    );
    let device = broken(|client| {
        client.grants = [GrantType::DeviceCode, GrantType::RefreshToken].into();
    });
    assert_eq!(device, Ok(()), "a device may stay signed in");
    let public = broken(|client| {
        client.authentication = ClientAuthentication::Public;
        client.grants = [GrantType::Ciba].into();
    });
    assert_eq!(public, Err(RegistrationError::PublicBackchannelClient));
    let rules = broken(|client| {
        client.ciba.signing = BackchannelSigning::Required;
        client.grants.remove(&GrantType::Ciba);
    });
    assert_eq!(rules, Err(RegistrationError::CibaRulesWithoutGrant));
    assert_eq!(
        broken(|client| client.redirect_uris = ["http://portal.example/".parse().unwrap()].into()),
        Err(RegistrationError::InsecureRedirectUri)
    );
    assert_eq!(
        broken(|client| client.id = "0123456789abcdef0123456789abcdef".parse().unwrap()),
        Err(RegistrationError::LooksLikeUser)
    );
    assert_eq!(app().check(), Ok(()));
}

#[test]
fn r26_password_and_implicit_do_not_exist() {
    for name in [
        "password",
        "implicit",
        "token",
        "",
        "Authorization_Code",
        "token_exchange",
    ] {
        assert_eq!(GrantType::from_parameter(name), None, "{name}");
    }
    for grant in GrantType::ALL {
        assert_eq!(GrantType::from_parameter(grant.as_str()), Some(grant));
        assert_eq!(serde_json::to_value(grant).unwrap(), grant.as_str());
    }
}

#[test]
fn lifetimes_are_bounded_whatever_is_registered() {
    let mut client = portal();
    client.access_token_lifetime = u32::MAX;
    client.refresh_token_lifetime = u32::MAX;
    assert_eq!(client.access_token_lifetime(), Duration::from_secs(3600));
    assert_eq!(client.refresh_token_lifetime(), REFRESH_TOKEN_LIFETIME_MAX);
    client.access_token_lifetime = 0;
    assert_eq!(client.access_token_lifetime(), Duration::from_secs(1));
}

#[test]
fn r30_no_secret_is_in_the_debug_form() {
    let mut client = ClientRecord::new(
        "c".parse().unwrap(),
        Tenant::default_tenant(),
        ClientAuthentication::Secret { tag: vec![250; 32] },
        NOW,
    );
    client.scopes = Scopes::none();
    assert!(!format!("{client:?}").contains("250"));
}
