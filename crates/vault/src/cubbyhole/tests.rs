use super::*;
use crate::caller::Caller;
use crate::token::Held;
use crate::trial::{Trial, root};
use Operation::{Delete, List, Read, Update};
use serde_json::json;

fn holder(id: &'static str) -> impl Fn() -> Caller {
    move || {
        let Caller::Token(held) = root() else {
            panic!("root holds a token")
        };
        Caller::Token(Box::new(Held {
            id: TokenId(id.to_owned()),
            ..*held
        }))
    }
}

/// A vault in which both tokens are.
fn with_tokens() -> Trial {
    let mut trial = Trial::new();
    trial
        .step(|work, cx| {
            for id in ["t1", "t2"] {
                row::Row::endless_root(cx).write(&TokenId(id.to_owned()), work)?;
            }
            Ok(())
        })
        .unwrap();
    trial
}

#[test]
fn nothing_is_kept_for_a_token_that_has_ended_or_ends_meanwhile() {
    let mut trial = with_tokens();
    let id = TokenId("t1".to_owned());
    let end = |what| {
        let id = id.clone();
        move |work: &mut Work<'_>, cx: &Cx<'_>| {
            let mut row = row::Row::read(&id, work, cx)?.unwrap();
            row.end(what, cx.now);
            row.write(&id, work)
        }
    };
    let value = json!({"a": 1});
    trial
        .call_as(holder("t1"), Update, "cubbyhole/a", value.clone())
        .unwrap();
    let ((), ended) = trial.prepare(end(row::Ending::Tree)).unwrap();
    let ((), late) = trial
        .prepare(|work, cx| {
            row::under_way(&id, work, cx)?.ok_or(VaultError::Denied)?;
            work.put(&EntryName::stored("cubbyhole/t1/b"), &1)
        })
        .unwrap();
    assert!(trial.commit_late(ended));
    assert!(
        !trial.commit_late(late),
        "it read what was written meanwhile"
    );
    let refused = trial.call_as(holder("t1"), Update, "cubbyhole/a", value.clone());
    assert_eq!(refused.err(), Some(VaultError::Denied));
    let kept = trial.call_as(holder("t2"), Update, "cubbyhole/a", value);
    assert!(kept.is_ok());
    trial.pass(0);
    assert_eq!(trial.stored("cubbyhole/"), ["cubbyhole/t2/a"]);
}

#[test]
fn each_token_has_its_own_and_none_sees_another() {
    let mut trial = with_tokens();
    let value = json!({"a": "secret"});
    trial
        .call_as(holder("t1"), Update, "cubbyhole/app/x", value.clone())
        .unwrap();
    let read = |trial: &mut Trial, id| {
        trial
            .call_as(holder(id), Read, "cubbyhole/app/x", Json::Null)
            .map(|answer| answer.data)
    };
    assert_eq!(read(&mut trial, "t1").ok(), Some(Some(value)));
    assert_eq!(read(&mut trial, "t2").err(), Some(VaultError::NotFound));
    assert_eq!(read(&mut trial, "root").err(), Some(VaultError::NotFound));
    // Nor by a path that leads from one to another.
    let path = "cubbyhole/t1/app/x";
    assert!(trial.call_as(holder("t2"), Read, path, Json::Null).is_err());
    assert_eq!(trial.stored("cubbyhole/"), ["cubbyhole/t1/app/x"]);
    assert_eq!(prefix(&TokenId("t1".to_owned())), "cubbyhole/t1/");
}

#[test]
fn entries_are_listed_and_deleted() {
    let mut trial = with_tokens();
    let mut call = |operation, path: &str| {
        let answer = trial.call_as(holder("t1"), operation, path, json!({"a": 1}));
        answer.map(|answer| answer.data.unwrap_or_default()["keys"].clone())
    };
    call(Update, "cubbyhole/b").unwrap();
    call(Update, "cubbyhole/a/c").unwrap();
    assert_eq!(call(List, "cubbyhole/"), Ok(json!(["a/", "b"])));
    assert_eq!(call(List, "cubbyhole"), Ok(json!(["a/", "b"])));
    assert_eq!(call(List, "cubbyhole/a"), Ok(json!(["c"])));
    call(Delete, "cubbyhole/b").unwrap();
    assert_eq!(call(Read, "cubbyhole/b"), Err(VaultError::NotFound));
    assert_eq!(call(List, "cubbyhole/b"), Err(VaultError::NotFound));
    assert!(matches!(
        call(Update, "cubbyhole/b/"),
        Err(VaultError::Invalid(_))
    ));
}

#[test]
fn nobody_without_a_token_has_one() {
    let mut trial = Trial::new();
    let refused = trial.call_as(|| Caller::Anonymous, Read, "cubbyhole/a", Json::Null);
    assert_eq!(refused.err(), Some(VaultError::Denied));
    let refused = trial.call_as(|| Caller::Anonymous, Update, "cubbyhole/a", json!({"a": 1}));
    assert_eq!(refused.err(), Some(VaultError::Denied));
    trial.call(Update, "cubbyhole/a", json!({"a": 1})).unwrap();
}
