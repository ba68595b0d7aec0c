//! Nothing is permitted unless a rule says so, and a permit is for what it says and no more.

use super::{About, DeniedReason, Disclosure, OpenPermit, PermitMismatch, Reach};
use crate::fixtures::NOW;
use crate::sealed::fixtures::{
    ALICE, BOB, CardHolder, CardLimit, CardPan, CardTrack, caller, tenant,
};
use crate::sealed::{DataSubject, Field, PerTenant, Place, Purpose, RowKey};
use countersign_base::{Duration, UnixTime};

/// When the fixture's callers are checked.
const THEN: UnixTime = UnixTime(NOW.0 + 100);

fn rules() -> Disclosure {
    Disclosure::new()
        .allow(
            CardPan::CHARGEBACK,
            Reach::Anybody,
            "cards.chargeback".parse().unwrap(),
        )
        .allow_mask::<CardPan>(Reach::Anybody, "cards.read".parse().unwrap())
        .allow(
            CardHolder::STATEMENT,
            Reach::CallerAlone,
            "cards.read".parse().unwrap(),
        )
}

fn person(name: &str) -> DataSubject {
    DataSubject::parse(name).unwrap()
}

fn reason<T>(outcome: Result<T, super::Denied>) -> Option<DeniedReason> {
    outcome.err().map(super::Denied::reason)
}

#[tokio::test]
async fn without_a_rule_nothing_is_permitted() {
    let clerk = caller("demo", ALICE, "cards.chargeback cards.read").await;
    let none = Disclosure::new();
    let denied = none.permit(&clerk, CardPan::CHARGEBACK, About::Anybody, THEN);
    assert_eq!(reason(denied), Some(DeniedReason::NoRule));
    let rules = rules();
    assert!(
        rules
            .permit(&clerk, CardPan::CHARGEBACK, About::Anybody, THEN)
            .is_ok()
    );
    // Another purpose of the same field, another field for the same purpose, and the mask of a field whose value is opened.
    let denied = rules.permit(&clerk, CardPan::FRAUD_REVIEW, About::Anybody, THEN);
    assert_eq!(reason(denied), Some(DeniedReason::NoRule));
    let denied = rules.permit(&clerk, CardTrack::CHARGEBACK, About::Anybody, THEN);
    assert_eq!(reason(denied), Some(DeniedReason::NoRule));
    let denied = rules.permit_mask::<CardHolder>(&clerk, About::Anybody, THEN);
    assert_eq!(reason(denied), Some(DeniedReason::NoRule));
}

#[tokio::test]
async fn a_rule_needs_its_scopes_and_a_rule_without_scopes_permits_nobody() {
    let rules = rules().allow(
        CardTrack::CHARGEBACK,
        Reach::Anybody,
        countersign_base::Scopes::none(),
    );
    let reader = caller("demo", ALICE, "cards.read").await;
    for denied in [
        reason(rules.permit(&reader, CardPan::CHARGEBACK, About::Anybody, THEN)),
        reason(rules.permit(&reader, CardTrack::CHARGEBACK, About::Anybody, THEN)),
    ] {
        assert_eq!(denied, Some(DeniedReason::Scope));
    }
    assert!(
        rules
            .permit_mask::<CardPan>(&reader, About::Anybody, THEN)
            .is_ok()
    );
}

#[tokio::test]
async fn a_purpose_that_no_field_states_is_none() {
    assert!(Purpose::<CardPan>::named("chargeback").is_some());
    assert!(Purpose::<CardPan>::named("marketing").is_none());
    assert!(CardLimit::PURPOSES.is_empty());
    // What the macro's own constructor makes up, a rule does not help.
    let invented = Purpose::<CardPan>::stated("marketing");
    let rules = rules().allow(invented, Reach::Anybody, "cards.read".parse().unwrap());
    let reader = caller("demo", ALICE, "cards.read").await;
    let denied = rules.permit(&reader, invented, About::Anybody, THEN);
    assert_eq!(reason(denied), Some(DeniedReason::NoRule));
}

#[tokio::test]
async fn whoever_may_open_their_own_data_opens_nobody_elses() {
    let rules = rules();
    let alice = caller("demo", ALICE, "cards.read").await;
    let permit = |about| rules.permit(&alice, CardHolder::STATEMENT, about, THEN);
    assert!(permit(About::Subject(person(ALICE))).is_ok());
    assert_eq!(
        reason(permit(About::Subject(person(BOB)))),
        Some(DeniedReason::NotTheirOwn)
    );
    // Without a person named, the permit is for the caller alone.
    let place = |of| Place::about(tenant("demo"), person(of), RowKey::number(1));
    let covers = |of| {
        permit(About::Anybody)
            .unwrap()
            .covers(&place(of), CardHolder::STATEMENT, THEN)
            .map(|_covered| ())
    };
    assert_eq!(covers(ALICE), Ok(()));
    assert_eq!(covers(BOB), Err(PermitMismatch::Subject));
    // A client is nobody.
    let machine = caller("demo", "portal", "cards.read").await;
    let denied = rules.permit(&machine, CardHolder::STATEMENT, About::Anybody, THEN);
    assert_eq!(reason(denied), Some(DeniedReason::NotTheirOwn));
}

#[tokio::test]
async fn a_permit_is_for_its_tenant_purpose_person_and_time() {
    let rules = rules().allow(
        CardPan::FRAUD_REVIEW,
        Reach::Anybody,
        "cards.chargeback".parse().unwrap(),
    );
    let clerk = caller("demo", ALICE, "cards.chargeback").await;
    let permit = |about| -> OpenPermit<CardPan> {
        rules
            .permit(&clerk, CardPan::CHARGEBACK, about, THEN)
            .unwrap()
    };
    let here: Place<CardPan> = Place::in_tenant(tenant("demo"), RowKey::number(1));
    let there = Place::in_tenant(tenant("other"), RowKey::number(1));
    let late = THEN.plus(Duration::from_secs(60));
    let chargeback = CardPan::CHARGEBACK;
    let everybody = || permit(About::Anybody);
    for (permit, place, purpose, now, expected) in [
        (everybody(), &here, chargeback, THEN, None),
        (
            everybody(),
            &there,
            chargeback,
            THEN,
            Some(PermitMismatch::Tenant),
        ),
        (
            everybody(),
            &here,
            CardPan::FRAUD_REVIEW,
            THEN,
            Some(PermitMismatch::Purpose),
        ),
        (
            everybody(),
            &here,
            chargeback,
            late,
            Some(PermitMismatch::Ended),
        ),
        // Nothing says whose row of the tenant it is.
        (
            permit(About::Subject(person(BOB))),
            &here,
            chargeback,
            THEN,
            Some(PermitMismatch::Subject),
        ),
    ] {
        assert_eq!(permit.covers(place, purpose, now).err(), expected);
    }
}

#[tokio::test]
async fn a_permit_ends_with_its_token() {
    let clerk = caller("demo", ALICE, "cards.chargeback").await;
    let shortly = UnixTime(clerk.expires().0 - 5);
    let permit = rules()
        .permit(&clerk, CardPan::CHARGEBACK, About::Anybody, shortly)
        .unwrap();
    let here = Place::in_tenant(tenant("demo"), RowKey::number(1));
    let mismatch = permit
        .covers(&here, CardPan::CHARGEBACK, clerk.expires())
        .err();
    assert_eq!(mismatch, Some(PermitMismatch::Ended));
    let long_after = UnixTime(clerk.expires().0 + 3600);
    let denied = rules().permit(&clerk, CardPan::CHARGEBACK, About::Anybody, long_after);
    assert_eq!(reason(denied), Some(DeniedReason::Expired));
}

#[tokio::test]
async fn texts_name_the_field_and_nobody() {
    let clerk = caller("demo", ALICE, "cards.chargeback").await;
    let permit = rules()
        .permit(
            &clerk,
            CardPan::CHARGEBACK,
            About::Subject(person(BOB)),
            THEN,
        )
        .unwrap();
    assert_eq!(
        format!("{permit:?}"),
        "OpenPermit(cards.pan for chargeback)"
    );
    let denied = rules()
        .permit_mask::<CardHolder>(&clerk, About::Subject(person(BOB)), THEN)
        .unwrap_err();
    assert_eq!(
        denied.to_string(),
        "`cards.holder_sealed` is not opened: no rule opens it for this purpose"
    );
    let place: Place<CardHolder> =
        Place::about(tenant("demo"), person(BOB), RowKey::text(BOB).unwrap());
    let shown = format!("{place:?} {:?}", place.owner());
    assert!(!shown.contains(BOB), "{shown}");
}

/// The scope of keys is part of the type.
fn of_tenants<F: Field<Keys = PerTenant>>() -> &'static str {
    F::COLUMN
}

#[test]
fn declarations_say_what_was_stated() {
    assert_eq!(of_tenants::<CardPan>(), "pan");
    assert_eq!(CardHolder::COLUMN, "holder_sealed");
    assert_eq!(CardPan::PURPOSES, ["chargeback", "fraud-review"]);
    assert_eq!(CardPan::FRAUD_REVIEW.name(), "fraud-review");
}
