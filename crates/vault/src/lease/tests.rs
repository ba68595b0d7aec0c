use super::*;
use crate::answer::{Answer, Effect, Form};
use crate::call::Operation::{List, Read, Update};
use crate::kind::EngineKind;
use crate::token::NewToken;
use crate::token::tests::{made, used};
use crate::trial::Trial;
use serde_json::{Value as Json, json};

pub(crate) fn held(user: &str, mount: &str) -> HeldThing {
    HeldThing::DatabaseRole {
        mount: mount.to_owned(),
        connection: "main".to_owned(),
        role: "app".to_owned(),
        username: user.to_owned(),
    }
}

/// A vault with a database.
pub(crate) fn with_database() -> (Trial, String) {
    let mut trial = Trial::new();
    trial.mount("database/", EngineKind::Database);
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "connection_url": "postgresql://{{username}}:{{password}}@db.example/app",
        "allowed_roles": "*", "username": "vault", "password": "p"
    });
    trial.call(Update, "database/config/main", config).unwrap();
    let uuid = trial
        .step(|work, _| Ok(Mounts::read(work)?.get("database/").unwrap().uuid.clone()))
        .unwrap();
    trial.happened.clear();
    (trial, uuid)
}

pub(crate) fn new(user: &str, mount: &str, token: &TokenId) -> NewLease {
    NewLease {
        path: "database/creds/app".to_owned(),
        token: token.clone(),
        ttl: Duration::from_secs(3_600),
        max_ttl: Duration::from_secs(7_200),
        renewable: true,
        held: held(user, mount),
    }
}

fn root() -> TokenId {
    TokenId("root".to_owned())
}

/// Gives a lease about a user who was made.
fn given(trial: &mut Trial, user: &str, mount: &str, token: &TokenId) -> String {
    let lease = trial
        .step(|work, cx| give(new(user, mount, token), work, cx))
        .unwrap();
    trial.step(|work, cx| settle(&lease.id, work, cx)).unwrap();
    lease.id
}

/// How often it was tried to take a user back.
pub(crate) fn taken_back(trial: &Trial, user: &str) -> usize {
    let user = format!("'{user}'");
    let count = |effect: &Effect| {
        let Effect::Sql(effect) = effect else {
            panic!("no statements");
        };
        let drops = |text: &str| text.contains("DROP ROLE") && text.contains(&user);
        effect
            .statements
            .iter()
            .filter(|s| drops(s.expose()))
            .count()
    };
    trial.happened.iter().map(count).sum()
}

fn leases(trial: &mut Trial, path: &str, body: Json) -> Result<Answer, VaultError> {
    trial.call(Update, &format!("sys/leases/{path}"), body)
}

fn fails(trial: &mut Trial, times: usize) {
    trial.effects = vec![EffectResult::Failed("the database is down".to_owned()); times];
}

#[test]
fn a_lease_is_looked_up_listed_and_ends_with_its_time() {
    let (mut trial, mount) = with_database();
    let id = given(&mut trial, "u1", &mount, &root());
    assert!(id.starts_with("database/creds/app/"));
    let body = json!({ "lease_id": id });
    let seen = leases(&mut trial, "lookup", body.clone()).unwrap().data;
    assert_eq!(
        seen.unwrap(),
        json!({
            "id": id, "path": "database/creds/app", "issue_time": "2027-01-15T08:00:00Z", "expire_time": "2027-01-15T09:00:00Z",
            "last_renewal": null, "renewable": true, "ttl": 3_600
        })
    );
    for (prefix, key) in [
        ("", "database/"),
        ("database", "creds/"),
        ("database/creds/", "app/"),
    ] {
        let path = format!("sys/leases/lookup/{prefix}");
        assert_eq!(trial.data(List, &path, Json::Null)["keys"], json!([key]));
    }
    trial.pass(3_599);
    assert_eq!(taken_back(&trial, "u1"), 0);
    trial.pass(1);
    assert_eq!(taken_back(&trial, "u1"), 1);
    assert!(trial.stored("lease/").is_empty() && trial.stored("token/leases/").is_empty());
    let gone = leases(&mut trial, "lookup", body).err();
    assert_eq!(gone, Some(VaultError::invalid("invalid lease")));
    let none = trial.call(List, "sys/leases/lookup/database/", Json::Null);
    assert_eq!(none.err(), Some(VaultError::NotFound));
}

#[test]
fn renewing_counts_from_now_up_to_the_maximum() {
    let (mut trial, mount) = with_database();
    let id = given(&mut trial, "u1", &mount, &root());
    let renew = |trial: &mut Trial, body: Json| {
        let answer = leases(trial, "renew", body)?;
        answer
            .lease
            .map(|lease| lease.lasts.as_secs())
            .ok_or(VaultError::Corrupt)
    };
    trial.now = trial.now.plus(Duration::from_secs(3_000));
    assert_eq!(renew(&mut trial, json!({"lease_id": id})), Ok(3_600));
    let body = json!({"lease_id": id, "increment": "1m"});
    assert_eq!(renew(&mut trial, body), Ok(60));
    let body = json!({"lease_id": id, "increment": 1_000_000});
    assert_eq!(renew(&mut trial, body), Ok(4_200));
    let statements = trial.happened.iter().map(|effect| {
        let Effect::Sql(effect) = effect else {
            panic!("no statements");
        };
        effect.statements[0].expose().contains("VALID UNTIL")
    });
    assert_eq!(statements.collect::<Vec<_>>(), [true; 3]);
    // Also by the path, and not once it ended.
    let path = format!("renew/{id}");
    assert!(leases(&mut trial, &path, json!({})).is_ok());
    trial.now = trial.now.plus(Duration::from_secs(4_200));
    let late = renew(&mut trial, json!({"lease_id": id})).err();
    assert_eq!(late, Some(VaultError::invalid("lease not found")));
}

#[test]
fn cve_2021_32923_a_lease_that_is_renewed_in_its_last_second_still_ends() {
    let (mut trial, mount) = with_database();
    let id = given(&mut trial, "u1", &mount, &root());
    trial.now = trial.now.plus(Duration::from_secs(3_599));
    leases(&mut trial, "renew", json!({"lease_id": id})).unwrap();
    trial.now = trial.now.plus(Duration::from_secs(3_599));
    let last = leases(&mut trial, "renew", json!({"lease_id": id})).unwrap();
    assert_eq!(last.lease.unwrap().lasts.as_secs(), 2);
    trial.pass(2);
    assert_eq!(taken_back(&trial, "u1"), 1);
}

#[test]
fn a_renewal_that_the_database_refuses_leaves_the_lease_as_it_was() {
    let (mut trial, mount) = with_database();
    let id = given(&mut trial, "u1", &mount, &root());
    trial.now = trial.now.plus(Duration::from_secs(600));
    fails(&mut trial, 1);
    let failed = leases(&mut trial, "renew", json!({"lease_id": id})).unwrap();
    assert_eq!(failed.form, Form::Bare(502));
    let ttl = |trial: &mut Trial| {
        let seen = leases(trial, "lookup", json!({"lease_id": id})).unwrap();
        seen.data.unwrap()["ttl"].as_u64()
    };
    assert_eq!(ttl(&mut trial), Some(3_000));
    leases(&mut trial, "renew", json!({"lease_id": id})).unwrap();
    assert_eq!(ttl(&mut trial), Some(3_600));
}

#[test]
fn revoking_is_queued_or_waited_for() {
    for (body, at_once) in [(json!({"sync": true}), 1), (json!({}), 0)] {
        let (mut trial, mount) = with_database();
        let id = given(&mut trial, "u1", &mount, &root());
        let other = given(&mut trial, "u2", &mount, &root());
        let mut body = body;
        body["lease_id"] = json!(id);
        assert!(leases(&mut trial, "revoke", body).unwrap().is_empty());
        assert_eq!(taken_back(&trial, "u1"), at_once);
        let renewed = leases(&mut trial, "renew", json!({"lease_id": id}));
        assert!(renewed.is_err(), "it is renewed no more");
        trial.pass(0);
        assert_eq!(taken_back(&trial, "u1"), 1);
        assert_eq!(trial.stored("lease/"), [format!("lease/{other}")]);
        assert_eq!(taken_back(&trial, "u2"), 0);
    }
    let (mut trial, _) = with_database();
    let unknown = leases(
        &mut trial,
        "revoke",
        json!({"lease_id": "database/creds/app/none"}),
    );
    assert!(unknown.unwrap().is_empty());
    assert!(leases(&mut trial, "revoke", json!({})).is_err());
}

#[test]
fn what_cannot_be_taken_back_is_tried_again_later_and_counted_and_never_forgotten() {
    let (mut trial, mount) = with_database();
    let id = given(&mut trial, "u1", &mount, &root());
    fails(&mut trial, 100);
    let body = json!({"lease_id": id, "sync": true});
    let failed = leases(&mut trial, "revoke", body).unwrap();
    assert_eq!(failed.form, Form::Bare(502));
    let seen = leases(&mut trial, "lookup", json!({"lease_id": id})).unwrap();
    assert_eq!(seen.data.unwrap()["revoke_error"], "the database is down");
    let irrevocable = |trial: &mut Trial| {
        let path = "sys/leases/count?type=irrevocable";
        trial.data(Read, path, Json::Null)["lease_count"].as_u64()
    };
    // Pauses of 10, 20, 40, 80 and 160 seconds.
    for (pause, tries) in [(9, 1), (1, 2), (19, 2), (1, 3), (40, 4), (80, 5), (159, 5)] {
        trial.pass(pause);
        assert_eq!(taken_back(&trial, "u1"), tries);
        assert_eq!(irrevocable(&mut trial), Some(0));
    }
    trial.pass(1);
    assert_eq!(taken_back(&trial, "u1"), 6);
    assert_eq!(irrevocable(&mut trial), Some(1));
    let all = trial.data(Read, "sys/leases/count", Json::Null);
    assert_eq!(all, json!({"lease_count": 1, "counts": {"database/": 1}}));
    trial.pass(86_399);
    assert_eq!(taken_back(&trial, "u1"), 6);
    // A day later the database is there again.
    trial.effects.clear();
    trial.pass(1);
    assert_eq!(taken_back(&trial, "u1"), 7);
    assert!(trial.stored("lease").is_empty());
}

#[test]
fn a_try_of_which_nothing_is_heard_is_made_again() {
    let (mut trial, mount) = with_database();
    let id = given(&mut trial, "u1", &mount, &root());
    let body = json!({"lease_id": id, "sync": true});
    let begun = trial.begin(Update, "sys/leases/revoke", body).unwrap();
    assert!(matches!(begun, Outcome::Then(_)));
    drop(begun);
    trial.pass(119);
    assert_eq!(taken_back(&trial, "u1"), 0);
    trial.pass(1);
    assert_eq!(taken_back(&trial, "u1"), 1);
    assert!(trial.stored("lease/").is_empty());
}

#[test]
fn taking_back_what_may_still_be_being_made_is_done_once_more() {
    for (settled, times) in [(false, 2), (true, 1)] {
        let (mut trial, mount) = with_database();
        let lease = trial
            .step(|work, cx| give(new("u1", &mount, &root()), work, cx))
            .unwrap();
        if settled {
            trial.step(|work, cx| settle(&lease.id, work, cx)).unwrap();
        }
        trial.step(|work, cx| revoke(&lease.id, work, cx)).unwrap();
        trial.pass(0);
        assert_eq!(taken_back(&trial, "u1"), 1);
        trial.pass(120);
        assert_eq!(taken_back(&trial, "u1"), times);
        assert!(trial.stored("lease/").is_empty());
    }
}

#[test]
fn a_prefix_is_revoked_in_parts_and_nothing_beside_it() {
    let (mut trial, mount) = with_database();
    for n in 0..150 {
        given(&mut trial, &format!("u{n}"), &mount, &root());
    }
    let mut beside = new("beside", &mount, &root());
    beside.path = "database/creds/apple".to_owned();
    trial
        .step(|work, cx| give(beside.clone(), work, cx))
        .unwrap();
    assert_eq!(trial.step(|work, _| any_below("database/", work)), Ok(true));
    let path = "revoke-prefix/database/creds/app";
    leases(&mut trial, path, json!({})).unwrap();
    trial.pass(0);
    assert_eq!(trial.stored("lease/").len(), 1);
    assert!(trial.stored("lease-sweep/").is_empty());
    assert!((0..150).all(|n| taken_back(&trial, &format!("u{n}")) == 1));
    assert_eq!(taken_back(&trial, "beside"), 0);
    assert!(leases(&mut trial, "revoke-prefix/", json!({})).is_err());
}

#[test]
fn force_forgets_what_cannot_be_taken_back_and_tries_it_nevertheless() {
    for (verb, left) in [("revoke-force", 0), ("revoke-prefix", 1)] {
        let (mut trial, mount) = with_database();
        given(&mut trial, "u1", &mount, &root());
        fails(&mut trial, 1);
        let path = format!("{verb}/database/creds");
        leases(&mut trial, &path, json!({})).unwrap();
        trial.pass(0);
        assert_eq!(taken_back(&trial, "u1"), 1);
        assert_eq!(trial.stored("lease/").len(), left, "{verb}");
    }
}

#[test]
fn a_lease_is_not_given_to_a_token_that_ended_or_by_a_mount_that_is_gone() {
    let (mut trial, mount) = with_database();
    let once = |uses: u32| NewToken {
        path: "auth/approle/login".to_owned(),
        uses,
        ..NewToken::default()
    };
    for (uses, gives) in [(1, false), (2, true)] {
        let auth = made(&mut trial, &once(uses));
        let holder = used(&mut trial, &auth.client_token).unwrap().id;
        let lease = trial.step(|work, cx| give(new("u1", &mount, &holder), work, cx));
        assert_eq!(lease.is_ok(), gives, "{uses}");
    }
    let mut elsewhere = new("u1", &mount, &root());
    elsewhere.path = "gone/creds/app".to_owned();
    let refused = trial.step(|work, cx| give(elsewhere.clone(), work, cx));
    assert_eq!(refused.err(), Some(VaultError::NotFound));
}

#[test]
fn a_lease_ends_with_its_token_and_is_renewed_no_more_once_that_ended() {
    let (mut trial, mount) = with_database();
    let short = NewToken {
        path: "auth/approle/login".to_owned(),
        ttl: Some(Duration::from_secs(600)),
        ..NewToken::default()
    };
    let auth = made(&mut trial, &short);
    let holder = used(&mut trial, &auth.client_token).unwrap().id;
    let id = given(&mut trial, "u1", &mount, &holder);
    let kept = given(&mut trial, "u2", &mount, &root());
    trial.now = trial.now.plus(Duration::from_secs(600));
    for (id, renewed) in [(&id, false), (&kept, true)] {
        let answer = leases(&mut trial, "renew", json!({"lease_id": id}));
        assert_eq!(answer.is_ok(), renewed);
    }
    trial.pass(0);
    assert_eq!(trial.stored("lease/"), [format!("lease/{kept}")]);
    assert_eq!((taken_back(&trial, "u1"), taken_back(&trial, "u2")), (1, 0));
}

#[test]
fn tidying_ends_leases_whose_token_is_gone_and_no_others() {
    let (mut trial, mount) = with_database();
    let kept = given(&mut trial, "u1", &mount, &root());
    let lost = given(&mut trial, "u2", &mount, &root());
    // No step of the vault makes this; a store that was restored in parts may.
    let name = EntryName::stored(&format!("lease/{lost}"));
    trial
        .step(|work, cx| {
            let mut row = Row::read(&name, work, cx)?.unwrap();
            row.token = TokenId("nobody".to_owned());
            row.write(&name, work)
        })
        .unwrap();
    leases(&mut trial, "tidy", json!({})).unwrap();
    trial.pass(0);
    assert_eq!(trial.stored("lease/"), [format!("lease/{kept}")]);
}

#[test]
fn cve_2026_45808_leases_of_another_tenant_are_as_if_unknown() {
    let (mut trial, mount) = with_database();
    let id = given(&mut trial, "u1", &mount, &root());
    let body = json!({"lease_id": id, "sync": true});
    let own = std::mem::replace(&mut trial.tenant, "other".parse().unwrap());
    trial.root_of_tenant();
    let invalid = |text: &'static str| Some(VaultError::invalid(text));
    let looked = leases(&mut trial, "lookup", body.clone()).err();
    assert_eq!(looked, invalid("invalid lease"));
    let renewed = leases(&mut trial, "renew", body.clone()).err();
    assert_eq!(renewed, invalid("lease not found"));
    assert!(
        leases(&mut trial, "revoke", body.clone())
            .unwrap()
            .is_empty()
    );
    leases(&mut trial, "revoke-force/database", json!({})).unwrap();
    trial.pass(0);
    assert_eq!(taken_back(&trial, "u1"), 0, "nothing happened to it");
    trial.tenant = own;
    trial.root_of_tenant();
    assert!(leases(&mut trial, "lookup", body.clone()).is_ok());
    assert!(leases(&mut trial, "renew", body.clone()).is_ok());
    leases(&mut trial, "revoke", body).unwrap();
    assert_eq!(taken_back(&trial, "u1"), 1);
}

#[test]
fn cve_2026_45808_the_legacy_paths_are_not_there() {
    let (mut trial, mount) = with_database();
    let id = given(&mut trial, "u1", &mount, &root());
    for path in ["sys/revoke", "sys/renew", "sys/revoke-prefix/database"] {
        assert!(
            trial.call(Update, path, json!({"lease_id": id})).is_err(),
            "{path}"
        );
    }
    trial.pass(0);
    assert_eq!(taken_back(&trial, "u1"), 0);
}
