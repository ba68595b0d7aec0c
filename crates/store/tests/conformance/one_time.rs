//! One-time values: exactly one success, no confusion of kinds, and what a second use sees.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{
    GRANT, client_record, code, event, family, grant, handle, other_tenant, populate,
    public_client, pushed_request, tenant,
};
use countersign_base::{Duration, UnixTime};
use countersign_oauth::{Change, RevocationReason, Taken};
use countersign_store::tables::{audit_outbox, grants, one_time, refresh_families};
use countersign_store::{
    AuthorizationCode, Judged, Loaded, Loot, NewOneTime, OneTime, Presented, RequestUri, Settled,
    Store, StoreError, Write,
};
use futures_util::future::join_all;

behaviours! {
    code_10_a84_one_of_200_parallel_redemptions_of_a_code_succeeds,
    a84_r17_one_of_200_parallel_uses_of_a_request_uri_succeeds,
    a10_a_value_of_one_kind_is_not_found_as_another,
    r22_an_expired_code_is_unknown,
    r23_code_is_single_use,
    a_value_of_one_tenant_is_unknown_to_another,
    a_value_is_kept_when_its_transaction_fails,
    looking_does_not_spend,
    what_is_refused_is_spent_all_the_same,
    the_judge_sees_the_state_as_it_is_now,
}

async fn store_value<K: OneTime>(
    store: &Store,
    value: &str,
    record: &K::Record,
    expires: UnixTime,
) {
    let new = NewOneTime::new::<K>(&handle(value), record, expires).unwrap();
    store
        .change(&tenant(), vec![Write::AddOneTime(new)], event(), NOW)
        .await
        .unwrap();
}

async fn store_code(store: &Store, value: &str) {
    store_value::<AuthorizationCode>(store, value, &code(), code().expires).await;
}

/// Redeems a code as `oauth` does: a fresh one begins its grant, a spent one ends it.
fn redeem(
    _: countersign_authn::client::AuthenticatedClient,
    loaded: Loaded,
) -> Judged<(), &'static str> {
    match loaded.taken {
        Loot::Code(Taken::Fresh(_)) => Judged::Commit {
            permit: (),
            writes: vec![
                Change::GrantCreated(grant()).into(),
                Change::FamilyStarted(family()).into(),
            ],
            event: event(),
        },
        Loot::Code(Taken::Spent(code)) => {
            let revoked = Change::GrantRevoked {
                grant: code.grant,
                reason: RevocationReason::CodeReused,
                at: NOW,
            };
            Judged::CommitRefusal {
                error: "reused",
                writes: vec![revoked.into()],
                event: event(),
            }
        }
        Loot::Assertion(_)
        | Loot::Code(Taken::Unknown)
        | Loot::Decoupled(_)
        | Loot::Nothing
        | Loot::RefreshFamily(_) => Judged::Refuse { error: "unknown" },
    }
}

async fn present(store: &Store, value: &str, now: UnixTime) -> Result<&'static str, StoreError> {
    let presented = Presented::Code(handle(value));
    let settled = store
        .issue(public_client(), presented, now, redeem)
        .await?
        .expect("a public client has no assertion");
    Ok(match settled {
        Settled::Permitted(_) => "permitted",
        Settled::Refused(refused) => refused.into_decision(),
        Settled::RefusedUnrecorded(error) => error,
    })
}

async fn code_10_a84_one_of_200_parallel_redemptions_of_a_code_succeeds(fixture: Fixture) {
    populate(&fixture.store).await;
    store_code(&fixture.store, "code").await;
    let answers = join_all((0..200).map(|_| {
        let store = fixture.store.clone();
        tokio::spawn(async move { present(&store, "code", NOW).await.unwrap() })
    }));
    let answers: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == "permitted")
            .count(),
        1
    );
    assert_eq!(
        answers.iter().filter(|answer| **answer == "reused").count(),
        199
    );
    // One event for the code, one for the population, one an answer: none is missing and none is doubled.
    let mut connection = fixture.store.read().await.unwrap();
    assert_eq!(audit_outbox::waiting(&mut connection).await.unwrap(), 202);
    // The reuse ended the grant, whichever came first.
    assert!(
        grants::find(&mut connection, &tenant(), GRANT)
            .await
            .unwrap()
            .unwrap()
            .revoked
            .is_some()
    );
}

async fn a84_r17_one_of_200_parallel_uses_of_a_request_uri_succeeds(fixture: Fixture) {
    let request = pushed_request();
    store_value::<RequestUri>(&fixture.store, "uri", &request, request.kept_until()).await;
    let answers = join_all((0..200).map(|_| {
        let store = fixture.store.clone();
        tokio::spawn(async move { spend::<RequestUri>(&store, "uri", NOW).await })
    }));
    let answers: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        answers.iter().filter(|answer| **answer == "fresh").count(),
        1
    );
    assert_eq!(
        answers.iter().filter(|answer| **answer == "spent").count(),
        199
    );
}

async fn spend<K: OneTime>(store: &Store, value: &str, now: UnixTime) -> &'static str {
    let judge = |taken| match taken {
        Taken::Fresh(_) => Judged::Commit {
            permit: "fresh",
            writes: Vec::new(),
            event: event(),
        },
        Taken::Spent(_) => Judged::Refuse { error: "spent" },
        Taken::Unknown => Judged::Refuse { error: "unknown" },
    };
    match store
        .spend::<K, _, _, _>(&tenant(), handle(value), now, judge)
        .await
        .unwrap()
    {
        Settled::Permitted(recorded) => recorded.into_decision(),
        Settled::Refused(_) => "refused",
        Settled::RefusedUnrecorded(error) => error,
    }
}

async fn a10_a_value_of_one_kind_is_not_found_as_another(fixture: Fixture) {
    let store = &fixture.store;
    store_code(store, "same text").await;
    assert_eq!(
        spend::<RequestUri>(store, "same text", NOW).await,
        "unknown"
    );
    let request = pushed_request();
    store_value::<RequestUri>(store, "same text", &request, request.kept_until()).await;
    // Each is spent as what it is, and neither spends the other.
    assert_eq!(
        spend::<AuthorizationCode>(store, "same text", NOW).await,
        "fresh"
    );
    assert_eq!(spend::<RequestUri>(store, "same text", NOW).await, "fresh");
    // Neither is the hash of one kind that of the other, even for the same text.
    let (code, uri) = (handle::<AuthorizationCode>("x"), handle::<RequestUri>("x"));
    assert_ne!(code.as_bytes(), uri.as_bytes());
}

async fn r22_an_expired_code_is_unknown(fixture: Fixture) {
    store_code(&fixture.store, "early").await;
    store_code(&fixture.store, "late").await;
    let last = UnixTime(code().expires.0 - 1);
    assert_eq!(
        spend::<AuthorizationCode>(&fixture.store, "early", last).await,
        "fresh"
    );
    assert_eq!(
        spend::<AuthorizationCode>(&fixture.store, "late", code().expires).await,
        "unknown"
    );
}

async fn r23_code_is_single_use(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    store_code(store, "code").await;
    assert_eq!(present(store, "code", NOW).await.unwrap(), "permitted");
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        grants::find(&mut connection, &tenant(), GRANT)
            .await
            .unwrap(),
        Some(grant())
    );
    // Long after it expired, a second use is still seen for what it is, and ends what came of the first.
    let later = NOW.plus(Duration::from_secs(600));
    assert_eq!(present(store, "code", later).await.unwrap(), "reused");
    assert_eq!(
        grants::find(&mut connection, &tenant(), GRANT)
            .await
            .unwrap()
            .unwrap()
            .revoked,
        Some(NOW)
    );
    let family = refresh_families::find(&mut connection, &tenant(), family().id)
        .await
        .unwrap();
    assert_eq!(family.unwrap().revoked, Some(NOW));
}

async fn a_value_of_one_tenant_is_unknown_to_another(fixture: Fixture) {
    let other = other_tenant();
    let store = &fixture.store;
    store_code(store, "code").await;
    let stranger =
        store.spend::<AuthorizationCode, (), _, _>(&other, handle("code"), NOW, |taken| {
            Judged::Refuse { error: taken }
        });
    assert!(matches!(
        stranger.await.unwrap(),
        Settled::RefusedUnrecorded(Taken::Unknown)
    ));
    assert_eq!(
        spend::<AuthorizationCode>(store, "code", NOW).await,
        "fresh"
    );
}

async fn a_value_is_kept_when_its_transaction_fails(fixture: Fixture) {
    let own = tenant();
    let store = &fixture.store;
    store_code(store, "code").await;
    // The client exists already in the second write, so the unit fails as a whole.
    store
        .change(
            &tenant(),
            vec![Write::PutTenant(Box::new(crate::sample::tenant_record(
                &tenant(),
            )))],
            event(),
            NOW,
        )
        .await
        .unwrap();
    let twice = vec![
        Write::AddClient(Box::new(client_record())),
        Write::AddClient(Box::new(client_record())),
    ];
    let failed = store.spend::<AuthorizationCode, (), (), _>(&own, handle("code"), NOW, |_| {
        Judged::Commit {
            permit: (),
            writes: twice,
            event: event(),
        }
    });
    assert!(matches!(failed.await, Err(StoreError::Conflict(..))));
    assert_eq!(
        spend::<AuthorizationCode>(store, "code", NOW).await,
        "fresh"
    );
}

async fn looking_does_not_spend(fixture: Fixture) {
    let store = &fixture.store;
    store_code(store, "code").await;
    let mut connection = store.read().await.unwrap();
    for _ in 0..2 {
        let seen =
            one_time::find::<AuthorizationCode>(&mut connection, &tenant(), &handle("code"), NOW)
                .await
                .unwrap();
        assert_eq!(seen, Taken::Fresh(code()));
    }
    assert_eq!(
        spend::<AuthorizationCode>(store, "code", NOW).await,
        "fresh"
    );
    let seen =
        one_time::find::<AuthorizationCode>(&mut connection, &tenant(), &handle("code"), NOW)
            .await
            .unwrap();
    assert_eq!(seen, Taken::Spent(code()));
}

async fn what_is_refused_is_spent_all_the_same(fixture: Fixture) {
    let own = tenant();
    let store = &fixture.store;
    store_code(store, "code").await;
    let refused =
        store.spend::<AuthorizationCode, (), _, _>(&own, handle("code"), NOW, |_| Judged::Refuse {
            error: "wrong verifier",
        });
    assert!(matches!(
        refused.await.unwrap(),
        Settled::RefusedUnrecorded("wrong verifier")
    ));
    assert_eq!(
        spend::<AuthorizationCode>(store, "code", NOW).await,
        "spent"
    );
}

async fn the_judge_sees_the_state_as_it_is_now(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    store_code(store, "one").await;
    store_code(store, "two").await;
    let look = |value: &str| {
        let presented = Presented::Code(handle(value));
        store.issue(public_client(), presented, NOW, |_, loaded| {
            Judged::<(), _>::Refuse {
                error: loaded.standing,
            }
        })
    };
    let Settled::RefusedUnrecorded(standing) = look("one").await.unwrap().unwrap() else {
        panic!("the judge refuses")
    };
    assert_eq!(standing.client.as_deref(), Some(&client_record()));
    let user = standing.user.unwrap();
    let roles: Vec<_> = user.roles.iter().map(|role| role.as_str()).collect();
    assert_eq!(
        roles,
        ["clerk", "owner"],
        "the person's own and those of their group"
    );
    assert!(standing.session.unwrap().is_live(NOW));
    assert_eq!(standing.grant, None, "its redemption would begin it");

    let mut disabled = client_record();
    disabled.enabled = false;
    let writes = vec![
        Write::PutClient(Box::new(disabled)),
        Write::EndSession(crate::sample::SESSION),
        Write::RemoveGroup("staff".parse().unwrap()),
    ];
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
    let Settled::RefusedUnrecorded(standing) = look("two").await.unwrap().unwrap() else {
        panic!("the judge refuses")
    };
    assert!(!standing.client.unwrap().enabled);
    assert!(!standing.session.unwrap().is_live(NOW));
    assert_eq!(standing.user.unwrap().roles.len(), 1);
}
