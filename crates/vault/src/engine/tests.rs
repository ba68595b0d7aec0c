use super::*;
use crate::answer::Auth;
use crate::token::row::{self, Ending, Row};
use crate::token::tests::{caller, made, used};
use crate::token::{Held, NewToken, TokenId};
use crate::trial::{Trial, root};
use Operation::{Create, Delete, List, Patch, Read, Update};
use serde_json::{Value as Json, json};

const APP: &str = "secret/data/app";

fn written(value: u32) -> Json {
    json!({ "data": { "a": value } })
}

fn carried_out(trial: &mut Trial, call: &Call) -> Result<(), VaultError> {
    let outcome = trial.step(|work, cx| carry_out(call, work, cx))?;
    trial.end(outcome).map(|_| ())
}

/// What has been done to a vault between the two steps of a call.
fn replace_mount(trial: &mut Trial) {
    trial
        .step(|work, cx| {
            let mut mounts = std::sync::Arc::unwrap_or_clone(Mounts::read(work)?);
            mounts.get_mut("secret/").unwrap().uuid = cx.random.request_id().to_string();
            work.put(&Mounts::entry(), &mounts)
        })
        .unwrap();
}

fn end(trial: &mut Trial, id: &TokenId) {
    trial
        .step(|work, cx| {
            let row = Row::read(id, work, cx)?.unwrap();
            row::end(id, row, Ending::Tree, work, cx)
        })
        .unwrap();
}

fn signed_in(trial: &mut Trial, uses: u32, parent: Option<TokenId>) -> (Auth, Held) {
    let new = NewToken {
        path: "auth/approle/login".to_owned(),
        uses,
        parent,
        ..NewToken::default()
    };
    let auth = made(trial, &new);
    let held = used(trial, &auth.client_token).unwrap();
    (auth, held)
}

#[test]
fn a_call_is_not_carried_out_at_a_mount_that_came_after_it_was_permitted() {
    for operation in [Delete, List, Patch, Read, Update] {
        for replaced in [false, true] {
            let mut trial = Trial::new();
            trial.call(Update, APP, written(1)).unwrap();
            let path = if operation == List {
                "secret/metadata"
            } else {
                APP
            };
            let call = trial.asked_as(root, operation, path, written(2)).unwrap();
            if replaced {
                replace_mount(&mut trial);
            }
            let expected = if replaced {
                Err(VaultError::NotFound)
            } else {
                Ok(())
            };
            assert_eq!(carried_out(&mut trial, &call), expected, "{operation:?}");
        }
    }
}

#[test]
fn a_mount_that_is_replaced_while_a_call_is_carried_out_makes_its_commit_fail() {
    for replaced in [false, true] {
        let mut trial = Trial::new();
        let call = trial.asked_as(root, Update, APP, written(1)).unwrap();
        let (_, commit) = trial
            .prepare(|work, cx| carry_out(&call, work, cx))
            .unwrap();
        if replaced {
            replace_mount(&mut trial);
        }
        assert_eq!(trial.commit_late(commit), !replaced);
    }
}

#[test]
fn a_token_that_ended_after_its_call_was_permitted_writes_nothing() {
    for ended in ["nothing", "the token", "the token above"] {
        for operation in [Update, Delete] {
            let mut trial = Trial::new();
            trial.call(Update, APP, written(1)).unwrap();
            let (_, above) = signed_in(&mut trial, 0, None);
            let (auth, held) = signed_in(&mut trial, 0, Some(above.id.clone()));
            let caller = caller(&mut trial, &auth);
            let call = trial.asked_as(caller, operation, APP, written(2)).unwrap();
            match ended {
                "the token" => end(&mut trial, &held.id),
                "the token above" => end(&mut trial, &above.id),
                _ => {}
            }
            let before = trial.dump();
            let expected = if ended == "nothing" {
                Ok(())
            } else {
                Err(VaultError::Denied)
            };
            assert_eq!(carried_out(&mut trial, &call), expected, "{ended}");
            assert_eq!(trial.dump() == before, ended != "nothing");
        }
    }
}

#[test]
fn a_token_that_ends_while_its_call_is_carried_out_makes_the_commit_fail() {
    for ends in [false, true] {
        let mut trial = Trial::new();
        let (auth, held) = signed_in(&mut trial, 0, None);
        let caller = caller(&mut trial, &auth);
        let call = trial.asked_as(caller, Update, APP, written(1)).unwrap();
        let (_, commit) = trial
            .prepare(|work, cx| carry_out(&call, work, cx))
            .unwrap();
        if ends {
            end(&mut trial, &held.id);
        }
        assert_eq!(trial.commit_late(commit), !ends);
    }
}

/// The call that takes the last use of a token is under way when the token has ended, unless it was revoked or one above it was.
#[test]
fn the_call_of_a_last_use_is_carried_out() {
    for revoked in ["nothing", "the token", "the token above"] {
        let mut trial = Trial::new();
        let (_, above) = signed_in(&mut trial, 0, None);
        let (_, held) = signed_in(&mut trial, 1, Some(above.id.clone()));
        let caller = || Caller::Token(Box::new(held.clone()));
        let call = trial.asked_as(caller, Update, APP, written(1)).unwrap();
        match revoked {
            "the token" => end(&mut trial, &held.id),
            "the token above" => end(&mut trial, &above.id),
            _ => {}
        }
        let done = carried_out(&mut trial, &call);
        assert_eq!(done.is_ok(), revoked == "nothing", "{revoked}: {done:?}");
    }
}

#[test]
fn what_may_only_create_overwrites_nothing() {
    for (path, body) in [
        (APP, written(1)),
        ("secret/metadata/app", json!({ "max_versions": 3 })),
        ("cubbyhole/app", json!({ "a": 1 })),
        ("transit/encrypt/app", json!({ "plaintext": "AAAA" })),
    ] {
        let mut trial = Trial::new();
        let mut asked = || trial.asked_as(root, Update, path, body.clone()).unwrap();
        let (first, second) = (asked(), asked());
        assert_eq!([first.operation, second.operation], [Create; 2], "{path}");
        assert_eq!(carried_out(&mut trial, &first), Ok(()), "{path}");
        let before = trial.dump();
        let meanwhile = VaultError::invalid("the entry was written meanwhile; try again");
        assert_eq!(carried_out(&mut trial, &second), Err(meanwhile), "{path}");
        assert_eq!(trial.dump(), before);
        let again = trial.asked_as(root, Update, path, body.clone()).unwrap();
        assert_eq!(again.operation, Update, "{path}");
        assert_eq!(carried_out(&mut trial, &again), Ok(()), "{path}");
    }
}
