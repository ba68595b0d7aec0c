use super::*;
use crate::fixture::{NOW, key, provider};
use crate::login::{Freshness, LOGIN_LIFETIME, LoginPurpose, browser_tag};
use crate::provider::ProviderState;

fn browser(name: &str) -> Tag {
    browser_tag(&key(), &Secret::new(name.to_owned()))
}

fn pending() -> PendingLogin {
    PendingLogin {
        provider: provider().name,
        issuer: provider().issuer,
        browser: browser("browser"),
        purpose: LoginPurpose::SignIn {
            ticket: "ticket".to_owned(),
        },
        freshness: Freshness::Any,
        begun: NOW,
    }
}

fn parsed(query: &str) -> Result<AuthorizationResponse, ResponseRefusal> {
    AuthorizationResponse::parse(&Form::parse(query.as_bytes()).unwrap())
}

fn checked(query: &str) -> Result<String, ResponseRefusal> {
    parsed(query)?
        .check(&pending(), &provider(), &browser("browser"), NOW)
        .map(|code| code.into_code().expose().clone())
}

const GOOD: &str = "state=s&code=c&iss=https%3A%2F%2Fcorp.example";

#[test]
fn rp_1_a_response_without_state_ends_the_login() {
    let query = "code=c&iss=https%3A%2F%2Fcorp.example";
    assert_eq!(checked(query), Err(ResponseRefusal::StateMissing));
    assert_eq!(
        checked(&format!("state=&{query}")),
        Err(ResponseRefusal::StateMissing)
    );
    assert_eq!(checked(GOOD).as_deref(), Ok("c"), "the twin");
    assert_eq!(parsed(GOOD).unwrap().state(), "s");
}

#[test]
fn rp_2_a_response_for_another_browser_or_time_ends_the_login() {
    let check = |pending: &PendingLogin, tag: Tag, now| {
        parsed(GOOD)
            .unwrap()
            .check(pending, &provider(), &tag, now)
            .map(drop)
    };
    assert_eq!(
        check(&pending(), browser("another"), NOW),
        Err(ResponseRefusal::Browser)
    );
    let late = NOW.plus(LOGIN_LIFETIME);
    assert_eq!(
        check(&pending(), browser("browser"), late),
        Err(ResponseRefusal::Expired)
    );
    assert_eq!(
        check(&pending(), browser("browser"), NOW),
        Ok(()),
        "the twin"
    );
    let long = format!("state={}&code=c", "s".repeat(65));
    assert_eq!(checked(&long), Err(ResponseRefusal::StateUnknown));
}

#[test]
fn rp_3_rp_4_a_response_without_or_with_another_issuer_ends_the_login() {
    assert_eq!(
        checked("state=s&code=c"),
        Err(ResponseRefusal::IssuerMissing)
    );
    assert_eq!(
        checked("state=s&error=access_denied"),
        Err(ResponseRefusal::IssuerMissing),
        "an error is not believed either"
    );
    for other in [
        "https://evil.example",
        "https://corp.example/",
        "https://CORP.example",
    ] {
        assert_eq!(
            checked(&format!("state=s&code=c&iss={other}")),
            Err(ResponseRefusal::IssuerDiffers),
            "{other}"
        );
    }
    assert_eq!(checked(GOOD).as_deref(), Ok("c"), "the twin");
}

#[test]
fn r60_rp_4_a_provider_without_rfc_9207_is_told_by_its_own_address() {
    let mut corp = provider();
    corp.response_issuer = ResponseIssuer::WhenSent;
    let check = |address: &ProviderRecord, query: &str| {
        parsed(query)
            .unwrap()
            .check(&pending(), address, &browser("browser"), NOW)
            .map(drop)
    };
    assert_eq!(check(&corp, "state=s&code=c"), Ok(()));
    assert_eq!(
        check(&corp, "state=s&code=c&iss=https://evil.example"),
        Err(ResponseRefusal::IssuerDiffers)
    );
    let mut honest = corp.clone();
    honest.name = "honest".parse().unwrap();
    assert_eq!(
        check(&honest, "state=s&code=c"),
        Err(ResponseRefusal::ProviderDiffers),
        "the honest provider's answer to a sign-in at the other one"
    );
}

#[test]
fn a59_a_disabled_or_changed_provider_gets_no_answer() {
    let check = |address: &ProviderRecord| {
        parsed(GOOD)
            .unwrap()
            .check(&pending(), address, &browser("browser"), NOW)
            .map(drop)
    };
    let mut disabled = provider();
    disabled.state = ProviderState::Disabled;
    assert_eq!(check(&disabled), Err(ResponseRefusal::Disabled));
    let mut moved = provider();
    moved.issuer = "https://moved.example".parse().unwrap();
    assert_eq!(check(&moved), Err(ResponseRefusal::Disabled));
    assert_eq!(check(&provider()), Ok(()), "the twin");
}

#[test]
fn r60_a_response_is_a_code_or_an_error() {
    let iss = "iss=https%3A%2F%2Fcorp.example";
    for query in [
        format!("state=s&{iss}"),
        format!("state=s&code=c&error=x&{iss}"),
        format!("state=s&code={}&{iss}", "c".repeat(4097)),
        format!("state=s&error={}&{iss}", "e".repeat(65)),
    ] {
        assert_eq!(checked(&query), Err(ResponseRefusal::Malformed), "{query}");
    }
    let denied = checked(&format!("state=s&error=access_denied&{iss}"));
    assert!(
        matches!(denied, Err(ResponseRefusal::Error(error)) if error.as_str() == "access_denied")
    );
}
