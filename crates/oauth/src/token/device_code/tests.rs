use super::*;
use crate::binding::Binding;
use crate::change::Change;
use crate::client::ClientRecord;
use crate::decoupled::tests::{allowance, request};
use crate::decoupled::{Answer, DecoupledRequest};
use crate::fixture::{
    NOW, after, app, asking, audience, fresh, key, portal, registered, standing, thumbprint,
};
use crate::grant::RevocationReason;
use crate::token::Redeemed;
use countersign_base::{GrantId, UserId};

fn shown() -> DeviceCodeRequest {
    DeviceCodeRequest {
        device_code: Secret::new("handle".to_owned()),
        resource: None,
        authorization_details: AuthorizationDetails::none(),
    }
}

fn poll(client: &ClientRecord, binding: &Binding, found: Polled) -> Result<Redeemed, Refused> {
    asking(client, binding, |requester| {
        let mut standing = standing(client);
        standing.grant = None;
        shown().redeem(found, &standing, requester, fresh(), after(1))
    })
}

fn allowed(change: impl FnOnce(&mut DecoupledRequest)) -> Polled {
    let mut request = request(Flow::Device);
    change(&mut request);
    Polled::Answered(Box::new(request), Answer::Allowed(allowance()))
}

fn waiting() -> Box<DecoupledRequest> {
    Box::new(request(Flow::Device))
}

#[test]
fn what_a_person_allowed_begins_its_grant_with_tokens_of_theirs() {
    let redeemed = poll(&portal(), &Binding::Bearer, allowed(|_| {})).unwrap();
    let issuance = &redeemed.issuance;
    assert_eq!(issuance.grant(), GrantId::from_u64(31));
    assert_eq!(issuance.grant_type(), GrantType::DeviceCode);
    assert!(
        issuance
            .id_token_claims(&crate::fixture::pairwise_key())
            .is_some()
            && issuance.refresh().is_some()
    );
    assert!(matches!(
        redeemed.changes.as_slice(),
        [Change::GrantCreated(grant), Change::FamilyStarted(_)] if grant.session == allowance().session
    ));
}

#[test]
fn until_the_person_answers_nothing_is_issued() {
    let answer = |found| poll(&portal(), &Binding::Bearer, found).unwrap_err();
    assert_eq!(
        answer(Polled::Waiting(waiting())).error,
        OAuthError::AuthorizationPending
    );
    assert_eq!(
        answer(Polled::Expired(waiting())).error,
        OAuthError::AuthorizationPending,
        "its time is what counts"
    );
    let denied = Polled::Answered(waiting(), Answer::Denied(UserId::from_bytes([1; 16])));
    assert_eq!(answer(denied).error, OAuthError::ConsentDenied);
    let late = allowed(|request| request.expires = after(1));
    assert_eq!(answer(late).error, OAuthError::PolledExpired);
    assert_eq!(answer(Polled::Unknown).error, OAuthError::PolledUnknown);
}

#[test]
fn dev_1_a_second_use_revokes_the_grant() {
    let refused = poll(&portal(), &Binding::Bearer, Polled::Spent(waiting())).unwrap_err();
    assert_eq!(refused.error, OAuthError::PolledReused);
    assert_eq!(
        refused.changes,
        [Change::GrantRevoked {
            grant: GrantId::from_u64(31),
            reason: RevocationReason::PolledReused,
            at: after(1),
        }]
    );
}

#[test]
fn dev_6_a_client_without_the_grant_or_another_client_gets_nothing() {
    let mut without = portal();
    without.grants.remove(&GrantType::DeviceCode);
    let refused = poll(&without, &Binding::Bearer, allowed(|_| {})).unwrap_err();
    assert_eq!(refused.error, OAuthError::GrantTypeNotRegistered);
    let others = allowed(|request| request.client = "other".parse().unwrap());
    assert_eq!(
        poll(&portal(), &Binding::Bearer, others).unwrap_err().error,
        OAuthError::PolledOfAnotherClient
    );
    let mut device = app();
    device.grants = [GrantType::DeviceCode].into();
    let own = allowed(|request| request.client = "app".parse().unwrap());
    let public = poll(&device, &Binding::Bearer, own).unwrap();
    assert!(
        public.issuance.refresh().is_none(),
        "it may have no refresh token"
    );
}

#[test]
fn dev_5_a_request_of_the_other_flow_is_none_of_this_grant() {
    let ciba = Polled::Answered(Box::new(request(Flow::Ciba)), Answer::Allowed(allowance()));
    assert_eq!(
        poll(&portal(), &Binding::Bearer, ciba).unwrap_err().error,
        OAuthError::PolledOfAnotherClient
    );
}

#[test]
fn dev_3_a34_what_the_client_lost_meanwhile_is_not_issued() {
    let more = allowed(|request| request.scopes = "openid admin".parse().unwrap());
    assert_eq!(
        poll(&portal(), &Binding::Bearer, more).unwrap_err().error,
        OAuthError::ScopeNotPermitted
    );
    let elsewhere = allowed(|request| request.audiences = vec![audience("https://other.example")]);
    assert_eq!(
        poll(&portal(), &Binding::Bearer, elsewhere)
            .unwrap_err()
            .error,
        OAuthError::ScopeNotPermitted
    );
}

#[test]
fn the_key_that_asked_is_the_key_that_redeems() {
    let bound = || allowed(|request| request.dpop_jkt = Some(thumbprint(1)));
    assert!(poll(&portal(), &key(1), bound()).is_ok());
    for other in [key(2), Binding::Bearer] {
        assert_eq!(
            poll(&portal(), &other, bound()).unwrap_err().error,
            OAuthError::DpopKeyDiffers
        );
    }
    let bound = poll(&portal(), &key(2), allowed(|_| {})).unwrap();
    assert_eq!(
        bound.issuance.binding(),
        &key(2),
        "none was proven, so any will do"
    );
}

#[test]
fn the_person_and_their_session_must_still_stand() {
    let judge = |change: fn(&mut Standing)| {
        let client = portal();
        asking(&client, &Binding::Bearer, |requester| {
            let mut standing = standing(&client);
            change(&mut standing);
            shown()
                .redeem(allowed(|_| {}), &standing, requester, fresh(), after(1))
                .map(drop)
                .map_err(|refused| refused.error)
        })
    };
    assert_eq!(judge(|_| {}), Ok(()));
    assert_eq!(
        judge(|standing| standing.session.as_mut().unwrap().ended = Some(NOW)),
        Err(OAuthError::SessionEnded)
    );
    assert_eq!(
        judge(|standing| standing.user.as_mut().unwrap().user.enabled = false),
        Err(OAuthError::UserDisabled)
    );
    assert_eq!(
        judge(|standing| registered(&mut standing.client).enabled = false),
        Err(OAuthError::ClientDisabled)
    );
}
