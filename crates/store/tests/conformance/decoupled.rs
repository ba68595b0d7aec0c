//! Requests that wait for a person: exactly one redemption, exactly one answer, no confusion of kinds, and polls that change nothing.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{
    GRANT, SESSION, USER, event, grant, handle, other_tenant, populate, portal, public_client,
    tenant,
};
use countersign_base::{Bounded, Duration, GrantId, UnixTime, UserId};
use countersign_oauth::decoupled::{Allowance, Answer, DecoupledRequest, Flow, Polled};
use countersign_oauth::{Change, RevocationReason};
use countersign_store::tables::{decoupled_requests, grants};
use countersign_store::{
    AuthReqId, DeviceCode, Judged, Loaded, Loot, NewDecoupled, Presented, Settled, Store,
    StoreError, Sweep, UserCode, Write,
};
use futures_util::future::join_all;

behaviours! {
    a84_dev_1_one_of_200_parallel_redemptions_of_a_device_code_succeeds,
    a84_one_of_200_parallel_answers_counts,
    a10_dev_5_a_handle_of_one_kind_is_not_found_as_another,
    a_poll_that_finds_nothing_new_changes_nothing,
    ciba_26_another_clients_poll_spends_nothing,
    ciba_27_what_expired_is_neither_answered_nor_redeemed,
    a_user_code_finds_its_request_and_belongs_to_one,
    what_waits_for_a_person_is_theirs_alone,
    a_swept_request_is_gone,
}

fn request(flow: Flow, grant: GrantId) -> DecoupledRequest {
    DecoupledRequest {
        flow,
        tenant: tenant(),
        client: portal(),
        grant,
        scopes: "orders:read".parse().unwrap(),
        audiences: Vec::new(),
        particulars: countersign_oauth::Particulars::default(),
        dpop_jkt: None,
        user: None,
        binding_message: None,
        source: Bounded::parse("127.0.0.1").unwrap(),
        notification: None,
        issued: NOW,
        expires: NOW.plus(Duration::from_secs(600)),
    }
}

fn allowed() -> Answer {
    Answer::Allowed(Allowance {
        user: USER,
        session: SESSION,
        auth_time: NOW,
        methods: [countersign_oauth::AuthenticationMethod::Password].into(),
    })
}

async fn add(store: &Store, new: NewDecoupled) -> Result<(), StoreError> {
    let writes = vec![Write::AddDecoupled(new)];
    store
        .change(&tenant(), writes, event(), NOW)
        .await
        .map(drop)
}

async fn device(store: &Store, value: &str, typed: &str, request: DecoupledRequest) {
    let typed = handle::<UserCode>(typed);
    add(
        store,
        NewDecoupled::new(&handle::<DeviceCode>(value), Some(&typed), request),
    )
    .await
    .unwrap();
}

async fn answer(
    store: &Store,
    grant: GrantId,
    said: Answer,
    now: UnixTime,
) -> Result<(), StoreError> {
    let writes = vec![Write::AnswerDecoupled(grant, Box::new(said))];
    store
        .change(&tenant(), writes, event(), now)
        .await
        .map(drop)
}

/// Redeems as `oauth` does: what was allowed begins its grant, what was spent ends it.
fn redeem(
    _: countersign_authn::client::AuthenticatedClient,
    loaded: Loaded,
) -> Judged<(), &'static str> {
    match loaded.taken {
        Loot::Decoupled(Polled::Answered(request, Answer::Allowed(_)))
            if request.client == portal() =>
        {
            assert!(
                loaded.standing.session.is_some(),
                "the session is read again"
            );
            Judged::Commit {
                permit: (),
                writes: vec![Change::GrantCreated(grant()).into()],
                event: event(),
            }
        }
        Loot::Decoupled(Polled::Answered(..)) => Judged::Refuse {
            error: "not this client's",
        },
        Loot::Decoupled(Polled::Spent(request)) => {
            let revoked = Change::GrantRevoked {
                grant: request.grant,
                reason: RevocationReason::PolledReused,
                at: NOW,
            };
            Judged::CommitRefusal {
                error: "reused",
                writes: vec![revoked.into()],
                event: event(),
            }
        }
        Loot::Decoupled(Polled::Waiting(_)) => Judged::Refuse { error: "waiting" },
        Loot::Decoupled(Polled::Expired(_)) => Judged::Refuse { error: "expired" },
        Loot::Decoupled(Polled::Unknown)
        | Loot::Assertion(_)
        | Loot::Code(_)
        | Loot::Nothing
        | Loot::RefreshFamily(_) => Judged::Refuse { error: "unknown" },
    }
}

async fn present(store: &Store, presented: Presented, now: UnixTime) -> &'static str {
    let settled = store.issue(public_client(), presented, now, redeem).await;
    match settled.unwrap().expect("a public client has no assertion") {
        Settled::Permitted(_) => "permitted",
        Settled::Refused(refused) => refused.into_decision(),
        Settled::RefusedUnrecorded(error) => error,
    }
}

async fn poll(store: &Store, value: &str, now: UnixTime) -> &'static str {
    present(store, Presented::DeviceCode(handle(value)), now).await
}

async fn a84_dev_1_one_of_200_parallel_redemptions_of_a_device_code_succeeds(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    device(store, "code", "BBBBBBBB", request(Flow::Device, GRANT)).await;
    assert_eq!(poll(store, "code", NOW).await, "waiting");
    answer(store, GRANT, allowed(), NOW).await.unwrap();
    let answers = join_all((0..200).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { poll(&store, "code", NOW).await })
    }));
    let answers: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
    let count = |expected| answers.iter().filter(|answer| **answer == expected).count();
    assert_eq!((count("permitted"), count("reused")), (1, 199));
    let mut connection = store.read().await.unwrap();
    let grant = grants::find(&mut connection, &tenant(), GRANT)
        .await
        .unwrap();
    assert!(
        grant.unwrap().revoked.is_some(),
        "the reuse ended the grant"
    );
}

async fn a84_one_of_200_parallel_answers_counts(fixture: Fixture) {
    let store = &fixture.store;
    device(store, "code", "BBBBBBBB", request(Flow::Device, GRANT)).await;
    let answers = join_all((0..200_u8).map(|number| {
        let store = store.clone();
        let said = if number % 2 == 0 {
            allowed()
        } else {
            Answer::Denied(USER)
        };
        tokio::spawn(async move { answer(&store, GRANT, said, NOW).await })
    }));
    let mut written = 0;
    for answered in answers.await {
        match answered.unwrap() {
            Ok(()) => written += 1,
            Err(StoreError::Superseded(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(written, 1);
}

async fn a10_dev_5_a_handle_of_one_kind_is_not_found_as_another(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    device(store, "text", "BBBBBBBB", request(Flow::Device, GRANT)).await;
    answer(store, GRANT, allowed(), NOW).await.unwrap();
    let others = [
        Presented::AuthReqId(handle("text")),
        Presented::Code(handle("text")),
        Presented::DeviceCode(handle("BBBBBBBB")),
    ];
    for other in others {
        assert_eq!(present(store, other, NOW).await, "unknown");
    }
    // The same text may be both, and each is redeemed as what it is.
    let mut ciba = request(Flow::Ciba, GrantId::from_u64(5));
    ciba.user = Some(USER);
    add(
        store,
        NewDecoupled::new(&handle::<AuthReqId>("text"), None, ciba),
    )
    .await
    .unwrap();
    assert_eq!(
        present(store, Presented::AuthReqId(handle("text")), NOW).await,
        "waiting"
    );
    assert_eq!(poll(store, "text", NOW).await, "permitted");
}

async fn a_poll_that_finds_nothing_new_changes_nothing(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    device(store, "code", "BBBBBBBB", request(Flow::Device, GRANT)).await;
    for _ in 0..3 {
        let mut connection = store.read().await.unwrap();
        let (tenant, device) = (tenant(), handle::<DeviceCode>("code"));
        let seen = decoupled_requests::look(&mut connection, &tenant, &device, NOW).await;
        assert!(matches!(seen.unwrap(), Polled::Waiting(_)));
        drop(connection);
        assert_eq!(poll(store, "code", NOW).await, "waiting");
    }
    // A denial is told as often as it is asked for.
    answer(store, GRANT, Answer::Denied(USER), NOW)
        .await
        .unwrap();
    let denied = |loaded: Loaded| match loaded.taken {
        Loot::Decoupled(Polled::Answered(_, Answer::Denied(user))) => user,
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        let presented = Presented::DeviceCode(handle("code"));
        let settled = store
            .issue(public_client(), presented, NOW, move |_, loaded| Judged::<
                (),
                UserId,
            >::Refuse {
                error: denied(loaded),
            })
            .await;
        assert!(matches!(
            settled.unwrap().unwrap(),
            Settled::RefusedUnrecorded(USER)
        ));
    }
}

async fn ciba_26_another_clients_poll_spends_nothing(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let mut others = request(Flow::Device, GRANT);
    others.client = "billing".parse().unwrap();
    device(store, "code", "BBBBBBBB", others).await;
    answer(store, GRANT, allowed(), NOW).await.unwrap();
    assert_eq!(poll(store, "code", NOW).await, "not this client's");
    let mut connection = store.read().await.unwrap();
    let found = decoupled_requests::find_by_grant(&mut connection, &tenant(), GRANT).await;
    assert_eq!(found.unwrap().unwrap().spent, None);
}

async fn ciba_27_what_expired_is_neither_answered_nor_redeemed(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let (late, last) = (
        NOW.plus(Duration::from_secs(600)),
        NOW.plus(Duration::from_secs(599)),
    );
    device(store, "code", "BBBBBBBB", request(Flow::Device, GRANT)).await;
    assert!(matches!(
        answer(store, GRANT, allowed(), late).await,
        Err(StoreError::Superseded(_))
    ));
    answer(store, GRANT, allowed(), last).await.unwrap();
    assert_eq!(poll(store, "code", late).await, "expired");
    assert_eq!(poll(store, "code", last).await, "permitted", "the twin");
}

async fn a_user_code_finds_its_request_and_belongs_to_one(fixture: Fixture) {
    let store = &fixture.store;
    device(store, "code", "BBBBBBBB", request(Flow::Device, GRANT)).await;
    let find = async |typed: &str, tenant| {
        let mut connection = store.read().await.unwrap();
        decoupled_requests::find_by_user_code(&mut connection, &tenant, &handle(typed))
            .await
            .unwrap()
    };
    assert_eq!(
        find("BBBBBBBB", tenant()).await.unwrap().request,
        request(Flow::Device, GRANT)
    );
    assert_eq!(find("CCCCCCCC", tenant()).await, None);
    assert_eq!(find("BBBBBBBB", other_tenant()).await, None);
    let again = NewDecoupled::new(
        &handle::<DeviceCode>("another"),
        Some(&handle("BBBBBBBB")),
        request(Flow::Device, GrantId::from_u64(6)),
    );
    assert!(matches!(
        add(store, again).await,
        Err(StoreError::Conflict(..))
    ));
}

async fn what_waits_for_a_person_is_theirs_alone(fixture: Fixture) {
    let store = &fixture.store;
    for number in 1..=3_u64 {
        let mut ciba = request(Flow::Ciba, GrantId::from_u64(number));
        ciba.user = Some(if number == 3 {
            UserId::from_bytes([8; 16])
        } else {
            USER
        });
        let handle = handle::<AuthReqId>(&number.to_string());
        add(store, NewDecoupled::new(&handle, None, ciba))
            .await
            .unwrap();
    }
    device(store, "code", "BBBBBBBB", request(Flow::Device, GRANT)).await;
    let waiting = async |now| {
        let mut connection = store.read().await.unwrap();
        let listed =
            decoupled_requests::waiting_for(&mut connection, &tenant(), USER, 10, now).await;
        let counted =
            decoupled_requests::count_waiting_for(&mut connection, &tenant(), USER, now).await;
        let grants: Vec<u64> = listed
            .unwrap()
            .iter()
            .map(|request| request.grant.as_u64())
            .collect();
        assert_eq!(counted.unwrap(), i64::try_from(grants.len()).unwrap());
        grants
    };
    assert_eq!(waiting(NOW).await, [1, 2]);
    // Somebody else cannot answer it, whatever let them try.
    let stranger = Answer::Denied(UserId::from_bytes([8; 16]));
    assert!(matches!(
        answer(store, GrantId::from_u64(1), stranger, NOW).await,
        Err(StoreError::Superseded(_))
    ));
    answer(store, GrantId::from_u64(1), Answer::Denied(USER), NOW)
        .await
        .unwrap();
    assert_eq!(waiting(NOW).await, [2]);
    assert_eq!(
        waiting(NOW.plus(Duration::from_secs(600))).await,
        [0_u64; 0]
    );
}

async fn a_swept_request_is_gone(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    device(store, "code", "BBBBBBBB", request(Flow::Device, GRANT)).await;
    let sweep = Sweep::ALL
        .iter()
        .find(|sweep| sweep.table() == "decoupled_requests")
        .unwrap();
    let day = Duration::from_secs(24 * 3600 + 601);
    let _clean = store
        .sweep(*sweep, NOW.plus(Duration::from_secs(601)))
        .await
        .unwrap();
    assert_eq!(poll(store, "code", NOW).await, "waiting", "kept for a day");
    let _clean = store.sweep(*sweep, NOW.plus(day)).await.unwrap();
    assert_eq!(poll(store, "code", NOW).await, "unknown");
}
