use super::*;
use crate::caller::{self, Caller, Presented, Request};
use crate::trial::Trial;
use crate::{Body, RequestPath};
use countersign_base::RequestId;
use std::sync::Arc;

/// A caller who holds this token, with one of its uses taken.
pub(crate) fn caller(trial: &mut Trial, auth: &Auth) -> impl Fn() -> Caller + use<> {
    let held = used(trial, &auth.client_token).unwrap();
    move || Caller::Token(Box::new(held.clone()))
}

pub(crate) fn made(trial: &mut Trial, new: &NewToken) -> Auth {
    trial.step(|work, cx| issue(new.clone(), work, cx)).unwrap()
}

pub(crate) fn used(trial: &mut Trial, shown: &Secret<String>) -> Option<Held> {
    trial.step(|work, cx| take_use(shown, work, cx)).unwrap()
}

fn signed_in() -> NewToken {
    NewToken {
        policies: BTreeSet::from(["App".to_owned()]),
        display_name: "approle".to_owned(),
        path: "auth/approle/login".to_owned(),
        ..NewToken::default()
    }
}

#[test]
fn a_token_is_shown_once_and_kept_as_its_hash() {
    let mut trial = Trial::new();
    let auth = made(&mut trial, &signed_in());
    let shown = auth.client_token.expose();
    assert!(shown.starts_with("hvs.") && shown.len() == 47, "{shown}");
    assert_eq!(auth.policies, ["app", "default"]);
    assert_eq!(auth.lasts, Duration::from_secs(768 * 3_600));
    assert!(auth.orphan && auth.renewable && auth.uses == 0);
    let random = shown.trim_start_matches("hvs.");
    assert!(!trial.dump().contains(random), "it is stored nowhere");
    let held = used(&mut trial, &auth.client_token).unwrap();
    assert_eq!(held.accessor, auth.accessor);
    assert_eq!(held.display_name, "approle");
    assert!(!held.is_root());
    // Nothing but the very token is it.
    for other in [
        format!("{shown}A"),
        format!("hvb.{random}"),
        random.to_owned(),
        shown.to_lowercase(),
        String::new(),
        auth.accessor.clone(),
    ] {
        assert!(used(&mut trial, &Secret::new(other)).is_none());
    }
}

fn root_of(trial: &mut Trial) -> TokenId {
    let auth = trial.step(|work, cx| first_root(RootLife::Endless, work, cx));
    used(trial, &auth.unwrap().client_token).unwrap().id
}

fn child_of(parent: &TokenId) -> NewToken {
    NewToken {
        parent: Some(parent.clone()),
        path: "auth/token/create".to_owned(),
        ..NewToken::default()
    }
}

#[test]
fn each_use_is_taken_and_the_last_is_the_last() {
    let mut trial = Trial::new();
    let twice = NewToken {
        uses: 2,
        ..signed_in()
    };
    let auth = made(&mut trial, &twice);
    assert_eq!(auth.uses, 2);
    let first = used(&mut trial, &auth.client_token).unwrap();
    // With a use left it makes others; with its last it makes none.
    let child = child_of(&first.id);
    let below = made(&mut trial, &child);
    assert!(used(&mut trial, &below.client_token).is_some());
    assert!(used(&mut trial, &auth.client_token).is_some());
    let refused = trial.step(|work, cx| issue(child.clone(), work, cx)).err();
    assert_eq!(refused, Some(VaultError::Denied));
    assert!(used(&mut trial, &auth.client_token).is_none());
    assert!(used(&mut trial, &below.client_token).is_none());
    trial.pass(60);
    assert_eq!(trial.stored("token/id/"), ["token/id/root"]);
}

#[test]
fn of_two_that_take_the_last_use_at_once_one_gets_it() {
    for (uses, second) in [(1, false), (0, true)] {
        let mut trial = Trial::new();
        let auth = made(
            &mut trial,
            &NewToken {
                uses,
                ..signed_in()
            },
        );
        let take = |trial: &Trial| trial.prepare(|work, cx| take_use(&auth.client_token, work, cx));
        let (one, one_commit) = take(&trial).unwrap();
        let (other, other_commit) = take(&trial).unwrap();
        assert!(one.is_some() && other.is_some());
        assert!(trial.commit_late(one_commit));
        assert_eq!(trial.commit_late(other_commit), second, "{uses}");
        assert_eq!(used(&mut trial, &auth.client_token).is_some(), second);
    }
}

#[test]
fn a_token_ends_at_its_time_also_where_nobody_looked_at_it_yet() {
    let mut trial = Trial::new();
    let minute = NewToken {
        ttl: Some(Duration::from_secs(60)),
        ..signed_in()
    };
    let auth = made(&mut trial, &minute);
    trial.now = trial.now.plus(Duration::from_secs(59));
    assert!(used(&mut trial, &auth.client_token).is_some());
    trial.now = trial.now.plus(Duration::from_secs(1));
    assert!(used(&mut trial, &auth.client_token).is_none());
    trial.pass(0);
    assert_eq!(trial.stored("token/id/"), ["token/id/root"]);
    assert!(trial.stored("token/accessor/").is_empty());
}

#[test]
fn what_a_token_made_ends_in_the_commit_that_ends_it_and_an_orphan_does_not() {
    let mut trial = Trial::new();
    let parent = made(&mut trial, &signed_in());
    let parent_id = TokenId::of(&parent.client_token, &trial.cx()).unwrap();
    let child = made(&mut trial, &child_of(&parent_id));
    let child_id = TokenId::of(&child.client_token, &trial.cx()).unwrap();
    let grandchild = made(&mut trial, &child_of(&child_id));
    let orphan = made(&mut trial, &signed_in());
    trial
        .step(|work, cx| {
            let mut row = Row::read(&parent_id, work, cx)?.unwrap();
            row.end(Ending::Tree, cx.now);
            row.write(&parent_id, work)
        })
        .unwrap();
    for (auth, stands) in [
        (&parent, false),
        (&child, false),
        (&grandchild, false),
        (&orphan, true),
    ] {
        assert_eq!(used(&mut trial, &auth.client_token).is_some(), stands);
    }
    let below = trial.step(|work, cx| issue(child_of(&child_id), work, cx));
    assert_eq!(below.err(), Some(VaultError::Denied));
    trial.pass(0);
    assert_eq!(trial.stored("token/id/").len(), 2);
    assert!(trial.stored("token/child/").is_empty());
    assert_eq!(trial.stored("token/accessor/").len(), 1);
}

#[test]
fn cve_2025_5999_nothing_becomes_root_by_how_it_is_written() {
    let mut trial = Trial::new();
    let named = |name: &str| NewToken {
        policies: BTreeSet::from([name.to_owned()]),
        ..signed_in()
    };
    for name in [
        "root",
        "Root",
        "ROOT",
        " root",
        "root ",
        "\troot\n",
        "\u{2003}root",
        "r\u{43e}\u{43e}t",
        "root\u{200b}",
        "\u{ff32}oot",
        "root\0",
        "",
        "ro ot",
    ] {
        let refused = trial.step(|work, cx| issue(named(name), work, cx));
        assert_eq!(
            refused.err().map(|error| error.status()),
            Some(400),
            "{name:?}"
        );
    }
    for name in ["rooted", "Team:Root", "app"] {
        let auth = made(&mut trial, &named(name));
        assert!(!used(&mut trial, &auth.client_token).unwrap().is_root());
    }
    // Below a root token it may be given.
    let root = root_of(&mut trial);
    let below = NewToken {
        policies: BTreeSet::from(["Root".to_owned()]),
        ..child_of(&root)
    };
    let auth = made(&mut trial, &below);
    assert_eq!(auth.policies, ["root"]);
    assert!(!auth.lasts.is_zero(), "and it ends");
}

#[test]
fn the_first_root_token_lives_for_ever_or_for_as_long_as_is_said() {
    let mut trial = Trial::new();
    let endless = trial.step(|work, cx| first_root(RootLife::Endless, work, cx));
    let endless = endless.unwrap();
    let day = RootLife::Lasts(Duration::from_secs(86_400));
    let lasts = trial.step(|work, cx| first_root(day, work, cx)).unwrap();
    assert_eq!(
        (endless.lasts.as_secs(), lasts.lasts.as_secs()),
        (0, 86_400)
    );
    assert_eq!(endless.policies, ["root"]);
    trial.pass(86_399);
    assert!(used(&mut trial, &lasts.client_token).unwrap().is_root());
    trial.pass(1);
    assert!(used(&mut trial, &lasts.client_token).is_none());
    trial.pass(100 * 365 * 86_400);
    assert!(used(&mut trial, &endless.client_token).unwrap().is_root());
}

#[test]
fn trees_are_no_deeper_than_is_looked_at() {
    let mut trial = Trial::new();
    let mut above = root_of(&mut trial);
    for _ in 0..DEPTH_MAX {
        let auth = made(&mut trial, &child_of(&above));
        above = used(&mut trial, &auth.client_token).unwrap().id;
    }
    let refused = trial.step(|work, cx| issue(child_of(&above), work, cx));
    assert_eq!(refused.err().unwrap().status(), 400);
}

#[test]
fn a_mounts_times_bound_the_tokens_that_it_gives() {
    let mut trial = Trial::new();
    trial.mount("auth/approle/", crate::kind::EngineKind::AppRole);
    trial
        .step(|work, _| {
            let mut mounts = std::sync::Arc::unwrap_or_clone(crate::mounts::Mounts::read(work)?);
            let mount = mounts.get_mut("auth/approle/").unwrap();
            mount.default_lease_ttl = Some(Duration::from_secs(600));
            mount.max_lease_ttl = Some(Duration::from_secs(3_600));
            work.put(&crate::mounts::Mounts::entry(), &mounts)
        })
        .unwrap();
    for (ttl, lasts) in [(None, 600), (Some(60), 60), (Some(86_400), 3_600)] {
        let ttl = ttl.map(Duration::from_secs);
        let auth = made(&mut trial, &NewToken { ttl, ..signed_in() });
        assert_eq!(auth.lasts.as_secs(), lasts);
    }
}

fn identified(trial: &Trial, auth: &Auth, from: Option<&str>) -> Result<(), VaultError> {
    let request = Request {
        operation: Operation::Read,
        path: RequestPath::parse("auth/token/lookup-self")?,
        query: BTreeMap::new(),
        body: Body::default(),
        peer: None,
        from: from.map(|from| from.parse().unwrap()),
        request: RequestId::from_bytes([1; 16]),
        wrap_ttl: None,
    };
    let shown = Secret::new(auth.client_token.expose().clone());
    let presented = Presented::Token(Arc::new(shown));
    let asked = |work: &mut Work<'_>, cx: &Cx<'_>| {
        caller::identify(&request, &presented, work, cx).map(|_| ())
    };
    trial.prepare(asked).map(|_| ())
}

#[test]
fn a_token_that_is_bound_to_addresses_is_used_from_there_alone() {
    let mut trial = Trial::new();
    let bound = NewToken {
        bound_cidrs: BTreeSet::from(["192.0.2.0/24".parse().unwrap()]),
        ..signed_in()
    };
    let bound = made(&mut trial, &bound);
    let free = made(&mut trial, &signed_in());
    for (from, admitted) in [
        (Some("192.0.2.7"), true),
        (Some("::ffff:192.0.2.7"), true),
        (Some("192.0.3.7"), false),
        (None, false),
    ] {
        assert_eq!(
            identified(&trial, &bound, from).is_ok(),
            admitted,
            "{from:?}"
        );
        assert_eq!(identified(&trial, &free, from), Ok(()));
    }
}

#[test]
fn cve_2026_46405_a_sign_in_that_fails_leaves_no_token() {
    for (fails, tokens) in [(true, 1), (false, 2)] {
        let mut trial = Trial::new();
        let signed = trial.step(|work, cx| {
            let auth = issue(signed_in(), work, cx)?;
            if fails {
                return Err(VaultError::Denied.into());
            }
            Ok(auth)
        });
        assert_eq!(signed.is_err(), fails);
        assert_eq!(trial.stored("token/id/").len(), tokens);
        assert_eq!(trial.stored("token/accessor/").len(), tokens - 1);
    }
}

#[test]
fn ghsa_rh46_vc3j_w2w3_what_the_vault_does_by_itself_is_no_path() {
    let mut trial = Trial::new();
    for path in [
        "auth/token/due",
        "auth/token/id/root",
        "auth/token/end",
        "sys/leases/due",
        "sys/leases/lease-sweep/x",
        "sys/wrapping/due",
        "auth/token/create/root/x",
        "auth/token/accessor/root",
    ] {
        for operation in [Operation::Update, Operation::Read, Operation::Delete] {
            let refused = trial
                .call(operation, path, serde_json::json!({"id": "root"}))
                .err();
            assert_eq!(refused, Some(VaultError::Unsupported), "{path}");
        }
    }
    assert!(
        trial
            .call(
                Operation::Update,
                "auth/token/create",
                serde_json::json!({})
            )
            .is_ok()
    );
}
