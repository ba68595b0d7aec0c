//! Refresh families: rotation, reuse and revocation, in parallel and across restarts.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{FAMILY, GRANT, event, family, grant, populate, public_client, tenant};
use countersign_authn::client::AuthenticatedClient;
use countersign_base::{Duration, UnixTime};
use countersign_oauth::refresh::{Assurance, Turn};
use countersign_oauth::{Change, RevocationReason};
use countersign_store::tables::revocations::{self, Revoked};
use countersign_store::tables::{grants, refresh_families};
use countersign_store::{Judged, Loaded, Loot, Presented, Settled, Store, StoreError, Write};
use futures_util::future::join_all;

behaviours! {
    a16_a84_one_of_200_parallel_refreshes_rotates,
    r38_reuse_revokes_the_family_atomically,
    a17_r38_a_revoked_family_stays_revoked_after_a_restart,
    a_repeat_within_the_grace_changes_nothing,
    a_revocation_reaches_the_nodes,
    a_revoked_grant_never_comes_back,
    a_rotation_that_the_judge_should_not_have_made_is_refused,
}

const GRACE: Duration = Duration::from_secs(10);

async fn begin(store: &Store) {
    populate(store).await;
    let writes: Vec<Write> = vec![
        Change::GrantCreated(grant()).into(),
        Change::FamilyStarted(family()).into(),
    ];
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
}

/// What `oauth` decides about a presented generation.
fn refresh(
    generation: u32,
    grace: Duration,
    now: UnixTime,
) -> impl FnOnce(AuthenticatedClient, Loaded) -> Judged<u32, &'static str> + Send + 'static {
    move |_, loaded| {
        let Loot::RefreshFamily(Some(mut family)) = loaded.taken else {
            return Judged::Refuse { error: "unknown" };
        };
        if family.revoked.is_some()
            || loaded
                .standing
                .grant
                .is_none_or(|grant| grant.revoked.is_some())
        {
            return Judged::Refuse { error: "revoked" };
        }
        match family.turn(generation, Assurance::Proven, grace, now) {
            Turn::Rotate => {
                family.generation += 1;
                family.rotated = now;
                Judged::Commit {
                    permit: family.generation,
                    writes: vec![Change::FamilyRotated(family).into()],
                    event: event(),
                }
            }
            Turn::Repeat => Judged::Commit {
                permit: family.generation,
                writes: Vec::new(),
                event: event(),
            },
            Turn::Reused => {
                let revoked = Change::GrantRevoked {
                    grant: family.grant,
                    reason: RevocationReason::RefreshReused,
                    at: now,
                };
                Judged::CommitRefusal {
                    error: "reused",
                    writes: vec![revoked.into()],
                    event: event(),
                }
            }
        }
    }
}

async fn present(
    store: &Store,
    generation: u32,
    grace: Duration,
    now: UnixTime,
) -> Result<u32, &'static str> {
    let settled = store
        .issue(
            public_client(),
            Presented::RefreshFamily(FAMILY),
            now,
            refresh(generation, grace, now),
        )
        .await;
    match settled.unwrap().unwrap() {
        Settled::Permitted(generation) => Ok(generation.into_decision()),
        Settled::Refused(refused) => Err(refused.into_decision()),
        Settled::RefusedUnrecorded(error) => Err(error),
    }
}

async fn a16_a84_one_of_200_parallel_refreshes_rotates(fixture: Fixture) {
    begin(&fixture.store).await;
    let answers = join_all((0..200).map(|_| {
        let store = fixture.store.clone();
        tokio::spawn(async move { present(&store, 0, Duration::ZERO, NOW).await })
    }));
    let answers: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(1)).count(), 1);
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == Err("reused"))
            .count(),
        1,
        "the second one revokes"
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == Err("revoked"))
            .count(),
        198
    );
    let mut connection = fixture.store.read().await.unwrap();
    let family = refresh_families::find(&mut connection, &tenant(), FAMILY)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((family.generation, family.revoked), (1, Some(NOW)));
}

async fn r38_reuse_revokes_the_family_atomically(fixture: Fixture) {
    let store = &fixture.store;
    begin(store).await;
    assert_eq!(present(store, 0, GRACE, NOW).await, Ok(1));
    // Twin: the live generation goes on.
    assert_eq!(present(store, 1, GRACE, NOW).await, Ok(2));
    let later = NOW.plus(Duration::from_secs(60));
    assert_eq!(present(store, 0, GRACE, later).await, Err("reused"));
    assert_eq!(
        present(store, 2, GRACE, later).await,
        Err("revoked"),
        "the live token died with the reused one"
    );
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        grants::find(&mut connection, &tenant(), GRANT)
            .await
            .unwrap()
            .unwrap()
            .revoked,
        Some(later)
    );
}

async fn a17_r38_a_revoked_family_stays_revoked_after_a_restart(fixture: Fixture) {
    begin(&fixture.store).await;
    assert_eq!(present(&fixture.store, 0, Duration::ZERO, NOW).await, Ok(1));
    assert_eq!(
        present(&fixture.store, 0, Duration::ZERO, NOW).await,
        Err("reused")
    );
    fixture.store.close().await;
    let restarted = fixture.opened_again().await;
    assert_eq!(present(&restarted, 1, GRACE, NOW).await, Err("revoked"));
    restarted.close().await;
}

async fn a_repeat_within_the_grace_changes_nothing(fixture: Fixture) {
    let store = &fixture.store;
    begin(store).await;
    assert_eq!(present(store, 0, GRACE, NOW).await, Ok(1));
    let mut connection = store.read().await.unwrap();
    let rotated = refresh_families::find(&mut connection, &tenant(), FAMILY)
        .await
        .unwrap();
    let soon = NOW.plus(Duration::from_secs(9));
    assert_eq!(
        present(store, 0, GRACE, soon).await,
        Ok(1),
        "the same answer again"
    );
    assert_eq!(
        refresh_families::find(&mut connection, &tenant(), FAMILY)
            .await
            .unwrap(),
        rotated
    );
    assert_eq!(
        present(store, 0, GRACE, NOW.plus(GRACE)).await,
        Err("reused")
    );
}

async fn a_revocation_reaches_the_nodes(fixture: Fixture) {
    let store = &fixture.store;
    begin(store).await;
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        revocations::after(&mut connection, 0, 100, NOW)
            .await
            .unwrap(),
        []
    );
    let revoked = Change::GrantRevoked {
        grant: GRANT,
        reason: RevocationReason::ClientRevoked,
        at: NOW,
    };
    store
        .change(&tenant(), vec![revoked.into()], event(), NOW)
        .await
        .unwrap();
    let rows = revocations::after(&mut connection, 0, 100, NOW)
        .await
        .unwrap();
    let [row] = &rows[..] else {
        panic!("one revocation, not {rows:?}")
    };
    assert_eq!(
        (&row.tenant, &row.revoked, row.not_before),
        (&tenant(), &Revoked::Grant(GRANT), NOW)
    );
    assert_eq!(
        revocations::after(&mut connection, row.sequence, 100, NOW)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        revocations::after(&mut connection, 0, 100, row.expires)
            .await
            .unwrap(),
        [],
        "no such token can be alive"
    );
}

async fn a_revoked_grant_never_comes_back(fixture: Fixture) {
    let store = &fixture.store;
    begin(store).await;
    let revoked = Change::GrantRevoked {
        grant: GRANT,
        reason: RevocationReason::ClientRevoked,
        at: NOW,
    };
    store
        .change(&tenant(), vec![revoked.into()], event(), NOW)
        .await
        .unwrap();
    // Written again from a copy that was read before, and revoked again later: the first revocation stands.
    store
        .change(
            &tenant(),
            vec![Change::GrantCreated(grant()).into()],
            event(),
            NOW,
        )
        .await
        .unwrap();
    let again = Change::GrantRevoked {
        grant: GRANT,
        reason: RevocationReason::ClientRevoked,
        at: NOW.plus(GRACE),
    };
    store
        .change(&tenant(), vec![again.into()], event(), NOW)
        .await
        .unwrap();
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        grants::find(&mut connection, &tenant(), GRANT)
            .await
            .unwrap()
            .unwrap()
            .revoked,
        Some(NOW)
    );
}

async fn a_rotation_that_the_judge_should_not_have_made_is_refused(fixture: Fixture) {
    let store = &fixture.store;
    begin(store).await;
    let revoked = Change::GrantRevoked {
        grant: GRANT,
        reason: RevocationReason::ClientRevoked,
        at: NOW,
    };
    store
        .change(&tenant(), vec![revoked.into()], event(), NOW)
        .await
        .unwrap();
    let careless = |_, _| Judged::<(), ()>::Commit {
        permit: (),
        writes: vec![Change::FamilyRotated(family()).into()],
        event: event(),
    };
    let settled = store
        .issue(
            public_client(),
            Presented::RefreshFamily(FAMILY),
            NOW,
            careless,
        )
        .await;
    assert!(matches!(
        settled,
        Err(StoreError::Superseded("refresh_families"))
    ));
}
