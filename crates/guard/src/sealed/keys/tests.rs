//! A value opens in its own place, with its permit, while its key is there; and nowhere and never else.

use super::{DataKeyError, FieldKeys, OpenError, SealError};
use crate::sealed::fixtures::{
    ALICE, BOB, CANARY, CardHolder, CardLimit, CardPan, CardTrack, OldCardPan, Rows, caller, keys,
    tenant,
};
use crate::sealed::{
    About, DataSubject, Disclosure, Field, KeyOwner, KeyVersion, PerTenant, PermitMismatch, Place,
    Purpose, Reach, RowKey, Sealed, Secret, VALUE_BYTES_MAX,
};
use countersign_authn::Subject;
use countersign_base::Clock;
use proptest::prelude::*;
use std::sync::atomic::Ordering;

struct Service {
    keys: FieldKeys,
    clock: Clock,
    hand: std::sync::Arc<std::sync::atomic::AtomicI64>,
    rows: Rows,
    rules: Disclosure,
    clerk: Subject,
}

async fn service() -> Service {
    let rows = Rows::default();
    let (keys, clock, hand) = keys(&rows);
    let scope = || "cards".parse().unwrap();
    let rules = Disclosure::new()
        .allow(CardPan::CHARGEBACK, Reach::Anybody, scope())
        .allow(CardTrack::CHARGEBACK, Reach::Anybody, scope())
        .allow(OldCardPan::CHARGEBACK, Reach::Anybody, scope())
        .allow(CardHolder::STATEMENT, Reach::Anybody, scope())
        .allow_mask::<CardPan>(Reach::Anybody, scope());
    Service {
        keys,
        clock,
        hand,
        rows,
        rules,
        clerk: caller("demo", ALICE, "cards").await,
    }
}

fn pan(row: i64) -> Place<CardPan> {
    Place::in_tenant(tenant("demo"), RowKey::number(row))
}

fn holder(person: &str) -> Place<CardHolder> {
    let person = DataSubject::parse(person).unwrap();
    Place::about(tenant("demo"), person, RowKey::number(1))
}

fn canary() -> Secret<String> {
    Secret::new(CANARY.to_owned())
}

impl Service {
    async fn seal<F: Field<Value = String>>(&self, place: &Place<F>) -> Sealed<F> {
        self.keys.seal(&canary(), place).await.unwrap()
    }

    /// Opens with a permit that is right for the field and the purpose.
    async fn open<F: Field<Value = String>>(
        &self,
        sealed: &Sealed<F>,
        place: &Place<F>,
        purpose: Purpose<F>,
    ) -> Result<String, OpenError> {
        let now = self.clock.now();
        let permit = self.rules.permit(&self.clerk, purpose, About::Anybody, now);
        let opened = self
            .keys
            .open(sealed, place, purpose, permit.unwrap())
            .await?;
        Ok(opened.expose().clone())
    }
}

#[tokio::test]
async fn a_value_opens_in_its_place() {
    let service = service().await;
    let sealed = service.seal(&pan(1)).await;
    let opened = service.open(&sealed, &pan(1), CardPan::CHARGEBACK).await;
    assert_eq!(opened.as_deref(), Ok(CANARY));
    let sealed = service.seal(&holder(ALICE)).await;
    let opened = service
        .open(&sealed, &holder(ALICE), CardHolder::STATEMENT)
        .await;
    assert_eq!(opened.as_deref(), Ok(CANARY));
}

#[tokio::test]
async fn moved_to_another_row_column_table_or_person_it_does_not_open() {
    let service = service().await;
    let sealed = service.seal(&pan(1)).await;
    let bytes = sealed.as_bytes().to_vec();
    let elsewhere = Err(OpenError::Elsewhere);
    let row = service.open(&sealed, &pan(2), CardPan::CHARGEBACK).await;
    assert_eq!(row, elsewhere);
    let text = Place::in_tenant(tenant("demo"), RowKey::bytes(&1_i64.to_be_bytes()).unwrap());
    let named_otherwise = service.open(&sealed, &text, CardPan::CHARGEBACK).await;
    assert_eq!(named_otherwise, elsewhere);
    let moved = Sealed::<CardTrack>::from_bytes(bytes.clone()).unwrap();
    let place = Place::in_tenant(tenant("demo"), RowKey::number(1));
    let column = service.open(&moved, &place, CardTrack::CHARGEBACK).await;
    assert_eq!(column, elsewhere);
    let moved = Sealed::<OldCardPan>::from_bytes(bytes).unwrap();
    let place = Place::in_tenant(tenant("demo"), RowKey::number(1));
    let table = service.open(&moved, &place, OldCardPan::CHARGEBACK).await;
    assert_eq!(table, elsewhere);
    // The keys of all owners have one name here; they differ all the same.
    let sealed = service.seal(&holder(ALICE)).await;
    service.seal(&holder(BOB)).await;
    let person = service
        .open(&sealed, &holder(BOB), CardHolder::STATEMENT)
        .await;
    assert_eq!(person, elsewhere);
}

#[tokio::test]
async fn moved_to_another_tenant_it_does_not_open() {
    let service = service().await;
    let there = || Place::<CardPan>::in_tenant(tenant("other"), RowKey::number(1));
    let theirs = service.seal(&there()).await;
    // Of another tenant, in its own place: the clerk's permit is for the clerk's tenant.
    let opened = service.open(&theirs, &there(), CardPan::CHARGEBACK).await;
    assert_eq!(opened, Err(OpenError::Permit(PermitMismatch::Tenant)));
    // Copied into the clerk's tenant.
    service.seal(&pan(1)).await;
    let opened = service.open(&theirs, &pan(1), CardPan::CHARGEBACK).await;
    assert_eq!(opened, Err(OpenError::Elsewhere));
    // And with a caller of the other tenant, what is the clerk's.
    let ours = service.seal(&pan(1)).await;
    let stranger = caller("other", BOB, "cards").await;
    let permit = service
        .rules
        .permit(
            &stranger,
            CardPan::CHARGEBACK,
            About::Anybody,
            service.clock.now(),
        )
        .unwrap();
    let opened = service
        .keys
        .open(&ours, &there(), CardPan::CHARGEBACK, permit)
        .await;
    assert_eq!(opened.err(), Some(OpenError::Elsewhere));
}

#[tokio::test]
async fn an_erased_person_is_unreadable_at_once_where_it_is_known_and_soon_where_it_is_not() {
    let service = service().await;
    let owner = holder(ALICE).owner().clone();
    let sealed = service.seal(&holder(ALICE)).await;
    let of_bob = service.seal(&holder(BOB)).await;
    let of_alice = holder(ALICE);
    let open = || service.open(&sealed, &of_alice, CardHolder::STATEMENT);
    assert!(open().await.is_ok());
    service.rows.erase(&owner);
    assert!(
        open().await.is_ok(),
        "from the cache: nobody told this node"
    );
    service.hand.fetch_add(30, Ordering::SeqCst);
    assert_eq!(open().await, Err(OpenError::Erased));
    let again = service.keys.seal(&canary(), &holder(ALICE)).await;
    assert_eq!(again.err(), Some(SealError::Key(DataKeyError::Erased)));
    let bob = service
        .open(&of_bob, &holder(BOB), CardHolder::STATEMENT)
        .await;
    assert_eq!(bob.as_deref(), Ok(CANARY));
    // And where it is told.
    let owner = holder(BOB).owner().clone();
    service.rows.erase(&owner);
    service.keys.forget(&owner);
    let bob = service
        .open(&of_bob, &holder(BOB), CardHolder::STATEMENT)
        .await;
    assert_eq!(bob, Err(OpenError::Erased));
}

#[tokio::test]
async fn who_learns_of_an_erasure_forgets_all_keys_of_the_erased() {
    let service = service().await;
    let sealed = service.seal(&holder(ALICE)).await;
    let of_alice = holder(ALICE);
    let open = || service.open(&sealed, &of_alice, CardHolder::STATEMENT);
    open().await.unwrap();
    let kept = service.keys.kept();
    assert_eq!(kept, 2, "the current key, and the same by its name");
    service.rows.erase(holder(ALICE).owner());
    // A key that is not kept: the source says why there is none.
    let mut bytes = sealed.as_bytes().to_vec();
    bytes[13] = 9;
    let other = Sealed::from_bytes(bytes).unwrap();
    let unknown = service
        .open(&other, &holder(ALICE), CardHolder::STATEMENT)
        .await;
    assert_eq!(unknown, Err(OpenError::Erased));
    assert_eq!(service.keys.kept(), 0);
    assert_eq!(open().await, Err(OpenError::Erased));
}

#[tokio::test]
async fn keys_are_asked_for_once_in_their_time() {
    let service = service().await;
    for row in 0..50 {
        let sealed = service.seal(&pan(row)).await;
        service
            .open(&sealed, &pan(row), CardPan::CHARGEBACK)
            .await
            .unwrap();
    }
    assert_eq!(service.rows.asked(), 2, "once to seal, once to open");
}

#[tokio::test]
async fn after_a_rotation_old_values_open_and_are_sealed_again_without_a_permit() {
    let service = service().await;
    let owner = KeyOwner::Tenant(tenant("demo"));
    let old = service.seal(&pan(1)).await;
    assert!(service.keys.rewrap(&old, &pan(1)).await.unwrap().is_none());
    service.rows.rotate(&owner);
    service.keys.forget(&owner);
    let new = service.keys.rewrap(&old, &pan(1)).await.unwrap().unwrap();
    assert_eq!(old.key().unwrap().1, KeyVersion(1));
    assert_eq!(new.key().unwrap().1, KeyVersion(2));
    for sealed in [&old, &new] {
        let opened = service.open(sealed, &pan(1), CardPan::CHARGEBACK).await;
        assert_eq!(opened.as_deref(), Ok(CANARY));
    }
    let moved = service.keys.rewrap(&old, &pan(2)).await;
    assert_eq!(
        moved.err(),
        Some(OpenError::Elsewhere),
        "nor does it move a value"
    );
}

#[tokio::test]
async fn a_mask_is_shown_with_its_own_permit() {
    let service = service().await;
    let sealed = service.seal(&pan(1)).await;
    let permit = || {
        let now = service.clock.now();
        let permit = service
            .rules
            .permit_mask::<CardPan>(&service.clerk, About::Anybody, now);
        permit.unwrap()
    };
    let shown = service.keys.show(&sealed, &pan(1), permit()).await.unwrap();
    assert_eq!(shown.to_string(), "•••• •••• •••• 9012");
    assert_eq!(format!("{:?}", permit()), "MaskPermit(cards.pan)");
    let elsewhere = service.keys.show(&sealed, &pan(2), permit()).await;
    assert_eq!(elsewhere.err(), Some(OpenError::Elsewhere));
}

#[tokio::test]
async fn a_source_that_is_down_is_no_erasure() {
    let service = service().await;
    let sealed = service.seal(&pan(1)).await;
    service.hand.fetch_add(30, Ordering::SeqCst);
    service.rows.go_down();
    let opened = service.open(&sealed, &pan(1), CardPan::CHARGEBACK).await;
    assert_eq!(opened, Err(OpenError::Unavailable));
    let again = service.keys.seal(&canary(), &pan(1)).await;
    assert_eq!(again.err(), Some(SealError::Key(DataKeyError::Unavailable)));
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let service = service().await;
    let of = |length| Secret::new("x".repeat(length));
    assert!(
        service
            .keys
            .seal(&of(VALUE_BYTES_MAX), &pan(1))
            .await
            .is_ok()
    );
    let long = service.keys.seal(&of(VALUE_BYTES_MAX + 1), &pan(1)).await;
    assert_eq!(long.err(), Some(SealError::TooLong));
}

#[tokio::test]
async fn numbers_are_sealed_in_one_length() {
    let service = service().await;
    let place: Place<CardLimit> = Place::in_tenant(tenant("demo"), RowKey::number(1));
    let small = service.keys.seal(&Secret::new(1), &place).await.unwrap();
    let large = service
        .keys
        .seal(&Secret::new(i64::MIN), &place)
        .await
        .unwrap();
    assert_eq!(small.as_bytes().len(), large.as_bytes().len());
}

#[tokio::test]
async fn no_error_says_what_was_sealed() {
    let service = service().await;
    let sealed = service.seal(&pan(1)).await;
    let mut texts = vec![format!("{:?}", service.keys)];
    for bytes in [CANARY.as_bytes().to_vec(), sealed.as_bytes()[..93].to_vec()] {
        texts.push(
            Sealed::<CardPan>::from_bytes(bytes)
                .unwrap_err()
                .to_string(),
        );
    }
    let error = service
        .open(&sealed, &pan(2), CardPan::CHARGEBACK)
        .await
        .unwrap_err();
    texts.push(format!("{error} {error:?}"));
    service.rows.go_down();
    service.hand.fetch_add(30, Ordering::SeqCst);
    let error = service.keys.seal(&canary(), &pan(1)).await.unwrap_err();
    texts.push(format!("{error} {error:?}"));
    for text in texts {
        assert!(!text.contains("9012") && !text.contains(ALICE), "{text}");
    }
}

/// A key that this crate's own hierarchy wrapped seals as one that a vault gave.
#[tokio::test]
async fn a_wrapped_row_is_a_key() {
    use countersign_crypto::Random;
    use countersign_keys::{Aad, DataKey, KekSet};
    let random = Random::system();
    let (keks, row) = (KekSet::generate(&random), Aad::installation("test"));
    let wrapped = DataKey::generate(&random)
        .wrap(&keks, &row, &random)
        .unwrap();
    let key = super::FieldKey::from(DataKey::unwrap(&keks, &row, &wrapped).unwrap());
    let name = key.name();
    assert_eq!(format!("{key:?}"), format!("EnvelopeKey({} v1)", name.0));
}

fn in_any_place<F: Field<Keys = PerTenant>>(place: &(String, i64)) -> Place<F> {
    Place::in_tenant(tenant(&place.0), RowKey::number(place.1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_opens_in_its_place_and_in_no_other(
        value in "\\PC{0,60}", here in ("[a-z]{1,8}", 0_i64..4), there in ("[a-z]{1,8}", 0_i64..4), flipped in any::<proptest::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let rows = Rows::default();
            let (keys, ..) = keys(&rows);
            let secret = Secret::new(value.clone());
            let sealed = keys.seal::<CardPan>(&secret, &in_any_place(&here)).await.unwrap();
            let bytes = keys.bytes(&sealed, &in_any_place(&here)).await.unwrap();
            prop_assert_eq!(bytes.expose(), value.as_bytes());
            if here != there {
                prop_assert!(keys.bytes(&sealed, &in_any_place(&there)).await.is_err());
            }
            let mut changed = sealed.as_bytes().to_vec();
            let at = flipped.index(changed.len());
            changed[at] ^= 1;
            if let Ok(changed) = Sealed::<CardPan>::from_bytes(changed) {
                prop_assert!(keys.bytes(&changed, &in_any_place(&here)).await.is_err());
            }
            Ok(())
        })?;
    }
}
