//! Assertions of foreign issuers as grants (RFC 7523 §3, item 7): once, also in parallel, also after a restart, whichever client brings them.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{AssertingClient, event, issuer, populate, portal, tenant};
use countersign_authn::assertion::{AssertionRules, GrantAssertion, demand, prove};
use countersign_authn::trust::{
    ForeignIssuer, ForeignUse, IssuerState, Profile, UserClaim, UserRule,
};
use countersign_authn::{KeyAnswer, Unspent};
use countersign_base::{Bounded, Duration};
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{ClientAssertion, SigningKey, generate_pkcs8};
use countersign_oauth::Taken;
use countersign_store::{Judged, Loot, Presented, Settled, Store};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::Arc;

behaviours! {
    a84_r45_one_of_200_parallel_uses_of_a_grant_assertion_succeeds,
    a_grant_assertion_is_accepted_once_also_after_a_restart,
    a_grant_assertion_of_a_refused_request_is_spent,
    a_grant_assertion_of_a_failed_transaction_is_not_spent,
    the_values_of_two_issuers_are_not_each_others,
}

const PARTNER: &str = "https://idp.partner.example";

/// An issuer that is not ours, and its key.
struct Partner {
    issuer: ForeignIssuer,
    key: SigningKey<ClientAssertion>,
}

impl Partner {
    fn named(name: &str) -> Self {
        let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
        Self {
            key: SigningKey::from_pkcs8(Algorithm::Es256, "p-1".parse().unwrap(), &pkcs8).unwrap(),
            issuer: ForeignIssuer {
                name: Bounded::parse(name).unwrap(),
                state: IssuerState::Enabled,
                profile: Profile::Jwt {
                    issuer: Bounded::parse(PARTNER).unwrap(),
                },
                audience: None,
                algorithms: [Algorithm::Es256].into(),
                lifetime_max: 300,
                uses: [ForeignUse::AuthorizationGrant].into(),
                clients: Vec::new(),
                users: vec![UserRule {
                    by: UserClaim::Subject,
                    value: Bounded::parse("u-1").unwrap(),
                    user: "alice".parse().unwrap(),
                }],
            },
        }
    }

    /// An assertion about alice: the same `jti` gives the same one-time value.
    fn assert(&self, jti: &str) -> Unspent<GrantAssertion> {
        let claims = json!({
            "iss": PARTNER, "sub": "u-1", "aud": issuer(), "jti": jti, "iat": NOW, "exp": NOW.plus(Duration::from_secs(60)),
        });
        let assertion = sign_jwt(&self.key, &claims).unwrap();
        let demanded = demand(&assertion, std::slice::from_ref(&self.issuer)).unwrap();
        let rules = AssertionRules {
            audience: &issuer(),
            tenant: &tenant(),
            client: &portal(),
        };
        let key = self.key.verifying_key().unwrap();
        prove(demanded, KeyAnswer::Key(key), &rules, NOW).unwrap()
    }
}

/// What one use came to.
#[derive(Debug, PartialEq, Eq)]
enum Use {
    Fresh,
    Spent,
}

/// Shows an assertion in a token request of a client that authenticates with `client_jti`; the judge issues to a fresh one and refuses a spent one.
async fn show(
    store: &Store,
    client: &AssertingClient,
    client_jti: &str,
    assertion: Unspent<GrantAssertion>,
) -> Use {
    let judge = |_, loaded: countersign_store::Loaded| match loaded.taken {
        Loot::Assertion(Taken::Fresh(_)) => Judged::Commit {
            permit: (),
            writes: Vec::new(),
            event: event(),
        },
        Loot::Assertion(Taken::Spent(_)) => Judged::Refuse { error: "spent" },
        other => panic!("an assertion was shown, and {other:?} was taken"),
    };
    let presented = Presented::Assertion(Box::new(assertion));
    let settled = store
        .issue(client.authenticate(client_jti), presented, NOW, judge)
        .await
        .unwrap()
        .unwrap();
    match settled {
        Settled::Permitted(_) => Use::Fresh,
        Settled::RefusedUnrecorded("spent") => Use::Spent,
        _ => panic!("nothing else was decided"),
    }
}

async fn a84_r45_one_of_200_parallel_uses_of_a_grant_assertion_succeeds(fixture: Fixture) {
    populate(&fixture.store).await;
    let (client, partner) = (
        Arc::new(AssertingClient::new()),
        Arc::new(Partner::named("partner")),
    );
    let uses = join_all((0..200).map(|number| {
        let (store, client) = (fixture.store.clone(), Arc::clone(&client));
        let partner = Arc::clone(&partner);
        tokio::spawn(async move {
            let jti = format!("client-{number}");
            show(&store, &client, &jti, partner.assert("one")).await
        })
    }));
    let uses: Vec<Use> = uses.await.into_iter().map(Result::unwrap).collect();
    let fresh = uses.iter().filter(|seen| **seen == Use::Fresh).count();
    assert_eq!((fresh, uses.len()), (1, 200));
}

async fn a_grant_assertion_is_accepted_once_also_after_a_restart(fixture: Fixture) {
    populate(&fixture.store).await;
    let (client, partner) = (AssertingClient::new(), Partner::named("partner"));
    let store = &fixture.store;
    let first = show(store, &client, "1", partner.assert("one")).await;
    let again = show(store, &client, "2", partner.assert("one")).await;
    let twin = show(store, &client, "3", partner.assert("two")).await;
    assert_eq!((first, again, twin), (Use::Fresh, Use::Spent, Use::Fresh));
    fixture.store.close().await;
    let restarted = fixture.opened_again().await;
    let after = show(&restarted, &client, "4", partner.assert("one")).await;
    let new = show(&restarted, &client, "5", partner.assert("three")).await;
    assert_eq!((after, new), (Use::Spent, Use::Fresh));
    restarted.close().await;
}

async fn a_grant_assertion_of_a_refused_request_is_spent(fixture: Fixture) {
    populate(&fixture.store).await;
    let (client, partner) = (AssertingClient::new(), Partner::named("partner"));
    let refuse = |_, _| Judged::<(), _>::Refuse { error: "no" };
    let presented = Presented::Assertion(Box::new(partner.assert("one")));
    let refused = fixture
        .store
        .issue(client.authenticate("1"), presented, NOW, refuse)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(refused, Settled::RefusedUnrecorded("no")));
    let again = show(&fixture.store, &client, "2", partner.assert("one")).await;
    assert_eq!(again, Use::Spent);
}

async fn a_grant_assertion_of_a_failed_transaction_is_not_spent(fixture: Fixture) {
    populate(&fixture.store).await;
    let (client, partner) = (AssertingClient::new(), Partner::named("partner"));
    let faulty = |_, _| -> Judged<(), ()> { panic!("a fault of the judge") };
    let presented = Presented::Assertion(Box::new(partner.assert("one")));
    let failed = fixture
        .store
        .issue(client.authenticate("1"), presented, NOW, faulty)
        .await;
    assert!(failed.is_err());
    let again = show(&fixture.store, &client, "1", partner.assert("one")).await;
    assert_eq!(again, Use::Fresh);
}

async fn the_values_of_two_issuers_are_not_each_others(fixture: Fixture) {
    populate(&fixture.store).await;
    let client = AssertingClient::new();
    let (one, other) = (Partner::named("partner"), Partner::named("another"));
    let store = &fixture.store;
    let first = show(store, &client, "1", one.assert("one")).await;
    let of_other = show(store, &client, "2", other.assert("one")).await;
    let again = show(store, &client, "3", other.assert("one")).await;
    assert_eq!(
        (first, of_other, again),
        (Use::Fresh, Use::Fresh, Use::Spent)
    );
}
