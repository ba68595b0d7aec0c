use super::*;
use crate::binding::Binding;
use crate::change::Change;
use crate::client::ClientRecord;
use crate::decoupled::tests::{allowance, request};
use crate::decoupled::{Answer, DecoupledRequest};
use crate::fixture::{NOW, after, app, asking, audience, fresh, key, portal, standing, thumbprint};
use crate::grant::RevocationReason;
use crate::token::Redeemed;
use countersign_base::{GrantId, UserId};

fn shown() -> CibaRequest {
    CibaRequest {
        auth_req_id: Secret::new("handle".to_owned()),
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
    let mut request = request(Flow::Ciba);
    change(&mut request);
    Polled::Answered(Box::new(request), Answer::Allowed(allowance()))
}

fn waiting() -> Box<DecoupledRequest> {
    Box::new(request(Flow::Ciba))
}

#[test]
fn what_a_person_allowed_begins_its_grant_with_tokens_of_theirs() {
    let redeemed = poll(&portal(), &Binding::Bearer, allowed(|_| {})).unwrap();
    let issuance = &redeemed.issuance;
    assert_eq!(issuance.grant(), GrantId::from_u64(31));
    assert_eq!(issuance.grant_type(), GrantType::Ciba);
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
fn ciba_33_ciba_27_no_answer_no_and_too_late_are_three_errors() {
    let answer = |found| poll(&portal(), &Binding::Bearer, found).unwrap_err().error;
    assert_eq!(
        answer(Polled::Waiting(waiting())),
        OAuthError::AuthorizationPending
    );
    let denied = Polled::Answered(waiting(), Answer::Denied(UserId::from_bytes([1; 16])));
    assert_eq!(answer(denied), OAuthError::ConsentDenied);
    let mut late = waiting();
    late.expires = NOW;
    assert_eq!(answer(Polled::Expired(late)), OAuthError::PolledExpired);
}

#[test]
fn ciba_26_ciba_35_another_clients_is_refused_and_a_second_use_revokes() {
    let others = allowed(|request| request.client = "other".parse().unwrap());
    let refused = poll(&portal(), &Binding::Bearer, others).unwrap_err();
    assert_eq!(
        (refused.error, refused.changes.len()),
        (OAuthError::PolledOfAnotherClient, 0)
    );
    let refused = poll(&portal(), &Binding::Bearer, Polled::Spent(waiting())).unwrap_err();
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
fn ciba_21_a_public_client_gets_nothing() {
    let mut public = app();
    public.grants = [GrantType::Ciba].into();
    let own = allowed(|request| request.client = "app".parse().unwrap());
    assert_eq!(
        poll(&public, &Binding::Bearer, own).unwrap_err().error,
        OAuthError::PublicClient
    );
    let key = poll(
        &portal(),
        &key(1),
        allowed(|request| request.dpop_jkt = Some(thumbprint(1))),
    );
    assert!(key.is_ok());
    let wrong = allowed(|request| request.audiences = vec![audience("https://other.example")]);
    assert!(poll(&portal(), &Binding::Bearer, wrong).is_err());
}
