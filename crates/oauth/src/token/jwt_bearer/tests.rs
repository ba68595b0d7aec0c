use super::*;
use crate::fixture::{
    BILLING, ORDERS, after, alice, asking, audience, form, fresh, portal, standing,
};
use countersign_authn::assertion::AssertionKind;
use countersign_base::Bounded;

struct Case {
    client: ClientRecord,
    standing: Option<Standing>,
    taken: fn(GrantAssertion) -> Taken<GrantAssertion>,
    assertion: GrantAssertion,
    form: &'static str,
}

fn good() -> Case {
    Case {
        client: portal(),
        standing: None,
        taken: Taken::Fresh,
        assertion: GrantAssertion {
            issuer: Bounded::parse("partner").unwrap(),
            kind: AssertionKind::AuthorizationGrant,
            user: "alice".parse().unwrap(),
            scopes: None,
            resources: None,
            auth_time: None,
            expires: after(60),
        },
        form: "",
    }
}

fn redeem(case: Case) -> Result<Redeemed, OAuthError> {
    let text = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=a.b.c{}",
        case.form
    );
    let request = match TokenRequest::parse(&form(&text)) {
        Ok(TokenRequest::JwtBearer(request)) => request,
        Ok(_) => panic!("another grant"),
        Err(error) => return Err(error),
    };
    let standing = case.standing.unwrap_or_else(|| standing(&case.client));
    let taken = (case.taken)(case.assertion);
    asking(&case.client, &crate::Binding::Bearer, |requester| {
        request.redeem(taken, &standing, requester, fresh(), crate::fixture::NOW)
    })
    .map_err(|refused| refused.error)
}

#[test]
fn an_assertion_gives_a_token_about_the_person_within_the_registration() {
    let redeemed = redeem(good()).unwrap();
    let issuance = &redeemed.issuance;
    assert_eq!(issuance.audience(), &audience(ORDERS));
    // Nothing that speaks of a sign-in here, and nothing to go on with.
    assert_eq!(
        issuance.scopes(),
        &"orders:read orders:write".parse().unwrap()
    );
    assert!(issuance.refresh().is_none());
    assert!(matches!(issuance.subject(), TokenSubject::User(user) if user.id == alice().user.id));
    let [Change::GrantCreated(grant)] = redeemed.changes.as_slice() else {
        panic!("one grant");
    };
    assert_eq!(grant.expires, issuance.expires());
    assert_eq!(grant.asserted_by, Some(Bounded::parse("partner").unwrap()));
}

#[test]
fn tx_14_a24_a_person_who_is_disabled_or_gone_yields_nothing() {
    assert!(redeem(good()).is_ok());
    let mut case = good();
    let mut state = standing(&case.client);
    state.user.as_mut().unwrap().user.enabled = false;
    case.standing = Some(state);
    assert_eq!(redeem(case).err(), Some(OAuthError::UserDisabled));
    let mut case = good();
    let mut state = standing(&case.client);
    state.user = None;
    case.standing = Some(state);
    assert_eq!(redeem(case).err(), Some(OAuthError::UserDisabled));
    let mut case = good();
    case.assertion.user = "bob".parse().unwrap();
    assert_eq!(redeem(case).err(), Some(OAuthError::UserDisabled));
}

#[test]
fn an_assertion_is_good_once_and_in_its_time() {
    let mut case = good();
    case.taken = Taken::Spent;
    assert_eq!(redeem(case).err(), Some(OAuthError::AssertionReplayed));
    let mut case = good();
    case.assertion.expires = crate::fixture::NOW;
    assert!(matches!(redeem(case), Err(OAuthError::AssertionRefused(_))));
}

#[test]
fn a34_what_is_outside_registration_or_assertion_is_refused() {
    let with = |form: &'static str, change: fn(&mut GrantAssertion)| {
        let mut case = good();
        case.form = form;
        change(&mut case.assertion);
        redeem(case).map(|redeemed| redeemed.issuance.scopes().to_string())
    };
    let limited: fn(&mut GrantAssertion) =
        |assertion| assertion.scopes = Some("orders:read orders:delete".parse().unwrap());
    assert_eq!(with("", limited), Ok("orders:read".to_owned()));
    assert_eq!(
        with("&scope=orders:read", limited),
        Ok("orders:read".to_owned())
    );
    for scope in [
        "&scope=orders:write",
        "&scope=orders:delete",
        "&scope=openid",
    ] {
        assert_eq!(
            with(scope, limited),
            Err(OAuthError::ScopeNotPermitted),
            "{scope}"
        );
    }
    assert_eq!(
        with("&resource=https://billing.example", |_| {}),
        Err(OAuthError::AudienceNotPermitted)
    );
    let elsewhere: fn(&mut GrantAssertion) =
        |assertion| assertion.resources = Some(vec![audience(BILLING)]);
    assert_eq!(with("", elsewhere), Err(OAuthError::AudienceNotPermitted));
    let mut case = good();
    case.client.grants.remove(&GrantType::JwtBearer);
    assert_eq!(redeem(case).err(), Some(OAuthError::GrantTypeNotRegistered));
}
