use super::*;
use crate::decoupled::Flow;
use crate::decoupled::tests::{allowance, request};
use crate::fixture::{NOW, after, alice, portal, session, tenant, thumbprint};
use countersign_base::{GrantId, UserId};
use countersign_policy::{PolicySet, decide, defaults};

fn policies() -> PolicySet {
    PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap()
}

fn ask(
    change: impl FnOnce(&mut DecoupledRequest, &mut ClientRecord, &mut Session),
) -> Result<Question, QuestionRefused> {
    let (mut request, mut client, mut session) = (request(Flow::Device), portal(), session());
    change(&mut request, &mut client, &mut session);
    Question::ask(request, None, &client, &tenant(), &session, NOW)
}

type Flaw = fn(&mut DecoupledRequest, &mut ClientRecord, &mut Session);

#[test]
fn a_request_is_put_only_to_whom_it_is_for_while_it_stands() {
    assert!(ask(|_, _, _| {}).is_ok(), "the twin of every row");
    let rows: [(Flaw, QuestionRefused); 9] = [
        (
            |request, _, _| request.expires = NOW,
            QuestionRefused::Expired,
        ),
        (
            |_, client, _| client.enabled = false,
            QuestionRefused::Client,
        ),
        (
            |_, client, _| client.grants.clear(),
            QuestionRefused::Client,
        ),
        (
            |_, client, _| client.scopes = "openid".parse().unwrap(),
            QuestionRefused::Client,
        ),
        (
            |_, client, _| client.audiences.clear(),
            QuestionRefused::Client,
        ),
        (
            |request, _, _| request.client = "other".parse().unwrap(),
            QuestionRefused::Client,
        ),
        (
            |request, _, _| request.user = Some(UserId::from_bytes([9; 16])),
            QuestionRefused::Person,
        ),
        (
            |_, _, session| session.ended = Some(NOW),
            QuestionRefused::Person,
        ),
        (
            |_, _, session| session.tenant = "acme".parse().unwrap(),
            QuestionRefused::Person,
        ),
    ];
    for (number, (change, refused)) in rows.into_iter().enumerate() {
        assert_eq!(ask(change).unwrap_err(), refused, "row {number}");
    }
    let answered = Answer::Allowed(allowance());
    let (client, session) = (portal(), session());
    let again = Question::ask(
        request(Flow::Device),
        Some(&answered),
        &client,
        &tenant(),
        &session,
        NOW,
    );
    assert_eq!(again.unwrap_err(), QuestionRefused::Answered);
}

#[test]
fn a33_dev_2_only_what_policy_permits_for_this_person_can_be_allowed() {
    let question = ask(|_, _, _| {}).unwrap();
    let issuances = question.issuances(&portal(), &alice(), &tenant(), NOW);
    assert_eq!(issuances.len(), 3, "whichever key the client will prove");
    let issuance = issuances.into_iter().next().unwrap();
    let permit = decide(&policies(), issuance).unwrap_or_else(|_| panic!("permitted"));
    assert_eq!(question.allow(&permit), Ok(Answer::Allowed(allowance())));

    // A permit for another request or another person permits nothing here.
    let other = ask(|request, _, _| request.grant = GrantId::from_u64(99)).unwrap();
    assert_eq!(other.allow(&permit), Err(QuestionRefused::Permit));
    let bob = ask(|_, _, session| session.user = UserId::from_bytes([2; 16])).unwrap();
    assert_eq!(bob.allow(&permit), Err(QuestionRefused::Permit));
}

#[test]
fn a_key_that_was_proven_is_the_only_one_that_is_decided_about() {
    let question = ask(|request, _, _| request.dpop_jkt = Some(thumbprint(1))).unwrap();
    let issuances = question.issuances(&portal(), &alice(), &tenant(), after(1));
    let bindings: Vec<_> = issuances.iter().map(Issuance::binding).collect();
    assert_eq!(bindings, [&Binding::Dpop(thumbprint(1))]);
}
