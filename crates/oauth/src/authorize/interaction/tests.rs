use super::*;
use crate::authentication::AuthenticationMethod;
use crate::authorize::tests::request;
use crate::client::ClientAuthentication;
use crate::fixture::{NOW, after, alice, portal, session};

const fn fresh_browser(at: UnixTime) -> Beginning {
    Beginning { at, session: None }
}

fn step(
    extra: &str,
    client: &ClientRecord,
    session: Option<&Session>,
    beginning: Beginning,
    now: UnixTime,
) -> &'static str {
    let request = request(extra, client).unwrap();
    match next_step(&request, client, session, None, beginning, now) {
        NextStep::Approved(_) => "approved",
        NextStep::AskConsent(_) => "consent",
        NextStep::Refuse(error) => error.code().as_str(),
        NextStep::SignIn(SignInReason::MaxAge) => "sign in: max_age",
        NextStep::SignIn(SignInReason::NoSession) => "sign in",
        NextStep::SignIn(SignInReason::PromptLogin) => "sign in: prompt",
        NextStep::StepUp(acr) => acr.as_str(),
    }
}

fn later_session(at: UnixTime) -> Session {
    Session::begin(
        SessionId::from_u64(6),
        portal().tenant,
        alice().user.id,
        [AuthenticationMethod::Password].into(),
        at,
    )
}

#[test]
fn r15_ar_11_lo_6_prompt_none_without_a_session_is_login_required() {
    let beginning = fresh_browser(after(10));
    assert_eq!(
        step("prompt=none", &portal(), None, beginning, after(10)),
        "login_required"
    );
    assert_eq!(
        step(
            "prompt=none",
            &portal(),
            Some(&session()),
            beginning,
            after(10)
        ),
        "approved"
    );
    let mut ended = session();
    ended.ended = Some(NOW);
    assert_eq!(
        step("prompt=none", &portal(), Some(&ended), beginning, after(10)),
        "login_required"
    );
    assert_eq!(
        step("", &portal(), Some(&ended), beginning, after(10)),
        "sign in"
    );
}

#[test]
fn r15_ar_12_a63_prompt_login_is_answered_by_a_new_sign_in_only() {
    let arrived = Beginning {
        at: NOW,
        session: Some(session().id),
    };
    assert_eq!(
        step("prompt=login", &portal(), Some(&session()), arrived, NOW),
        "sign in: prompt",
        "not even in the same second"
    );
    let again = later_session(after(5));
    assert_eq!(
        step("prompt=login", &portal(), Some(&again), arrived, after(6)),
        "approved"
    );
    let before = later_session(UnixTime(NOW.0 - 1));
    assert_eq!(
        step("prompt=login", &portal(), Some(&before), arrived, after(6)),
        "sign in: prompt",
        "another browser's older session"
    );
    assert!(again.auth_time > session().auth_time);
}

#[test]
fn r15_ar_13_max_age_asks_again() {
    let arrived = Beginning {
        at: after(2),
        session: Some(session().id),
    };
    assert_eq!(
        step("max_age=1", &portal(), Some(&session()), arrived, after(2)),
        "sign in: max_age"
    );
    assert_eq!(
        step("max_age=2", &portal(), Some(&session()), arrived, after(2)),
        "approved"
    );
    let at_once = Beginning {
        at: session().auth_time,
        ..arrived
    };
    assert_eq!(
        step(
            "max_age=0",
            &portal(),
            Some(&session()),
            at_once,
            session().auth_time
        ),
        "sign in: max_age",
        "a sign-in of the same second was before, too"
    );
    assert_eq!(
        step(
            "max_age=1",
            &portal(),
            Some(&later_session(after(3))),
            arrived,
            after(60)
        ),
        "approved",
        "answered once, whatever the pages took"
    );
    assert_eq!(
        step(
            "max_age=1&prompt=none",
            &portal(),
            Some(&session()),
            arrived,
            after(2)
        ),
        "login_required"
    );
}

#[test]
fn an_expired_session_is_none_and_another_tenants_is_none() {
    let beginning = fresh_browser(NOW);
    assert_eq!(
        step("", &portal(), Some(&session()), beginning, after(8 * 3600)),
        "sign in"
    );
    let mut foreign = session();
    foreign.tenant = "other".parse().unwrap();
    assert_eq!(
        step("", &portal(), Some(&foreign), beginning, NOW),
        "sign in"
    );
    assert_eq!(
        step("", &portal(), Some(&session()), beginning, NOW),
        "approved"
    );
}

#[test]
fn r14_a_public_client_is_asked_about_every_time() {
    let mut public = portal();
    public.authentication = ClientAuthentication::Public;
    let request = request("", &public).unwrap();
    let remembered = ConsentRecord {
        tenant: public.tenant.clone(),
        user: session().user,
        client: public.id.clone(),
        scopes: request.scopes.clone(),
        audiences: request.audiences.iter().cloned().collect(),
        claims: std::collections::BTreeSet::new(),
        granted: NOW,
    };
    let asked = next_step(
        &request,
        &public,
        Some(&session()),
        Some(&remembered),
        fresh_browser(NOW),
        NOW,
    );
    assert!(matches!(asked, NextStep::AskConsent(_)));
    let mut confidential = portal();
    confidential.consent = ConsentRule::Ask;
    let covered = next_step(
        &request,
        &confidential,
        Some(&session()),
        Some(&remembered),
        fresh_browser(NOW),
        NOW,
    );
    assert!(
        matches!(covered, NextStep::Approved(_)),
        "the twin: a client that authenticates is remembered"
    );
}

#[test]
fn consent_is_asked_once_for_each_new_thing() {
    let mut client = portal();
    client.consent = ConsentRule::Ask;
    assert_eq!(
        step("", &client, Some(&session()), fresh_browser(NOW), NOW),
        "consent"
    );
    assert_eq!(
        step(
            "prompt=none",
            &client,
            Some(&session()),
            fresh_browser(NOW),
            NOW
        ),
        "consent_required"
    );
    assert_eq!(
        step(
            "prompt=consent",
            &portal(),
            Some(&session()),
            fresh_browser(NOW),
            NOW
        ),
        "consent"
    );
    let narrow = request("scope=openid", &client).unwrap();
    let NextStep::AskConsent(question) = next_step(
        &narrow,
        &client,
        Some(&session()),
        None,
        fresh_browser(NOW),
        NOW,
    ) else {
        panic!("asked")
    };
    let (_approved, remembered) = question.allow(NOW);
    let again = |extra: &str| {
        let request = request(extra, &client).unwrap();
        matches!(
            next_step(
                &request,
                &client,
                Some(&session()),
                Some(&remembered),
                fresh_browser(NOW),
                NOW
            ),
            NextStep::Approved(_)
        )
    };
    assert!(again("scope=openid"));
    assert!(!again("scope=openid+orders:write"), "more than was allowed");
}

#[test]
fn r22_a_code_lives_for_a_minute_and_carries_everything_it_is_bound_to() {
    let request = request("", &portal()).unwrap();
    let NextStep::Approved(approved) = next_step(
        &request,
        &portal(),
        Some(&session()),
        None,
        fresh_browser(NOW),
        NOW,
    ) else {
        panic!("approved")
    };
    let code = approved.code(GrantId::from_u64(1), NOW);
    assert_eq!(code.expires, after(60));
    assert_eq!(
        (&code.client, &code.redirect_uri, &code.challenge),
        (&request.client, &request.redirect_uri, &request.challenge)
    );
    assert_eq!(
        (code.user, code.session, code.auth_time),
        (session().user, session().id, session().auth_time)
    );
    assert_eq!(code.nonce.unwrap().as_str(), "n1");
}

#[test]
fn single_claims_are_asked_about_once_and_authorization_details_every_time() {
    let mut client = portal();
    client.consent = ConsentRule::Ask;
    client.scopes = "openid email orders:read".parse().unwrap();
    client.token_rules.detail_types = ["account".parse().unwrap()].into();
    let asked = |request: &AuthorizationRequest, remembered: Option<&ConsentRecord>| {
        next_step(
            request,
            &client,
            Some(&session()),
            remembered,
            fresh_browser(NOW),
            NOW,
        )
    };
    let plain = request("", &client).unwrap();
    let claims = request(
        "claims=%7B%22userinfo%22%3A%7B%22email%22%3Anull%7D%7D",
        &client,
    )
    .unwrap();
    let NextStep::AskConsent(question) = asked(&plain, None) else {
        panic!("nothing is remembered")
    };
    let (_approved, before) = question.allow(NOW);
    assert!(matches!(
        asked(&plain, Some(&before)),
        NextStep::Approved(_)
    ));
    let NextStep::AskConsent(question) = asked(&claims, Some(&before)) else {
        panic!("a claim that was not allowed yet")
    };
    assert_eq!(question.claims(), [crate::Claim::Email].into());
    let (_approved, after) = question.allow(NOW);
    assert!(matches!(
        asked(&claims, Some(&after)),
        NextStep::Approved(_)
    ));
    let details = "authorization_details=%5B%7B%22type%22%3A%22account%22%2C%22actions%22%3A%5B%22read%22%5D%7D%5D&scope=openid+orders:read";
    let details = request(details, &client).unwrap();
    let NextStep::AskConsent(question) = asked(&details, Some(&after)) else {
        panic!("details are never remembered")
    };
    let (_approved, remembered) = question.allow(NOW);
    assert!(matches!(
        asked(&details, Some(&remembered)),
        NextStep::AskConsent(_)
    ));
}

#[test]
fn a_demanded_class_asks_for_another_factor_until_it_is_reached() {
    let begun = fresh_browser(NOW);
    let demand = "acr_values=urn:countersign:acr:2";
    let weak = session();
    let strong = weak.raised(AuthenticationMethod::Totp);
    let strongest = weak.raised(AuthenticationMethod::Passkey);
    for (extra, session, expected) in [
        (demand, &weak, "urn:countersign:acr:2"),
        (demand, &strong, "approved"),
        (demand, &strongest, "approved"),
        ("acr_values=urn:countersign:acr:1", &weak, "approved"),
        ("acr_values=phr", &strong, "phr"),
        (
            "acr_values=phr urn:countersign:acr:2 unknown",
            &strong,
            "approved",
        ),
        ("acr_values=phr&prompt=none", &strong, "login_required"),
        ("acr_values=phr&prompt=none", &strongest, "approved"),
    ] {
        assert_eq!(
            step(extra, &portal(), Some(session), begun, after(1)),
            expected,
            "{extra}"
        );
    }
}

#[test]
fn a_class_that_nobody_knows_cannot_be_met() {
    assert_eq!(
        request("acr_values=gold silver", &portal()).unwrap_err(),
        OAuthError::AuthenticationUnmet
    );
    let code = OAuthError::AuthenticationUnmet.code().as_str();
    assert_eq!(code, "unmet_authentication_requirements");
    assert!(
        request("acr_values=", &portal()).is_ok(),
        "an empty demand is none"
    );
}

#[test]
fn a63_a_factor_that_is_added_leaves_the_time_of_the_sign_in() {
    let raised = session().raised(AuthenticationMethod::Totp);
    assert_eq!(
        (raised.id, raised.auth_time),
        (session().id, session().auth_time)
    );
    let beginning = Beginning {
        at: after(5),
        session: Some(raised.id),
    };
    assert_eq!(
        step(
            "prompt=login",
            &portal(),
            Some(&raised),
            beginning,
            after(6)
        ),
        "sign in: prompt"
    );
}
