//! Group commit keeps its promises when members fail.

use super::GroupCommit;
use crate::catalogue::{Reach, Statement, settings};
use crate::engine::{Once, Readers, Transaction, args, open_sqlite};
use crate::tables::audit_outbox::Added;
use crate::{Constraint, StoreError};
use countersign_base::{EventId, Tenant, UnixTime};
use futures_util::future::{BoxFuture, join_all};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Like `settings::ADD`, but a duplicate makes SQLite roll the whole transaction back by itself, as a full disk does.
static ADD_OR_ROLLBACK: Statement = Statement {
    table: "settings",
    name: "ADD_OR_ROLLBACK",
    reach: Reach::Program,
    postgres: "",
    sqlite: "INSERT OR ROLLBACK INTO settings (name, value) VALUES ($1, $2)",
};
static ADD: Statement = Statement {
    table: "settings",
    name: "ADD",
    reach: Reach::Program,
    postgres: "",
    sqlite: "INSERT INTO settings (name, value) VALUES ($1, $2)",
};
/// Checked at the commit, because the test defers it: the commit itself fails.
static ORPHAN: Statement = Statement {
    table: "clients",
    name: "ORPHAN",
    reach: Reach::Program,
    postgres: "",
    sqlite: "INSERT INTO clients (tenant, client, record, changed_at) VALUES ($1, 'orphan', '{}', 0)",
};

struct Fixture {
    writer: GroupCommit,
    readers: Readers,
    _directory: tempfile::TempDir,
}

async fn open() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let (writer, readers) = open_sqlite(
        &directory.path().join("state.db"),
        UnixTime(0),
        Arc::default(),
    )
    .await
    .unwrap();
    Fixture {
        writer,
        readers,
        _directory: directory,
    }
}

impl Fixture {
    /// A unit that holds the writer until the returned sender speaks.
    async fn hold(&self) -> (oneshot::Sender<()>, JoinHandle<Result<(), StoreError>>) {
        let (release, held) = oneshot::channel::<()>();
        let (holding, is_holding) = oneshot::channel::<()>();
        let writer = self.writer.clone();
        let unit: Work = Box::new(move |_| {
            Box::pin(async move {
                holding.send(()).unwrap();
                held.await.unwrap();
                Ok(())
            })
        });
        let first = tokio::spawn(async move { writer.run(Once::new(unit)).await });
        is_holding.await.unwrap();
        (release, first)
    }

    /// Runs the units in one group: a first unit holds the writer until all of them wait behind it.
    async fn together(&self, units: Vec<Work>) -> Vec<Result<(), StoreError>> {
        let (release, first) = self.hold().await;
        let answers = join_all(
            units
                .into_iter()
                .map(|work| self.writer.run(Once::new(work))),
        );
        let mut answers = std::pin::pin!(answers);
        // One poll sends every unit; none can be answered while the first one holds the writer.
        assert!(futures_util::poll!(&mut answers).is_pending());
        release.send(()).unwrap();
        let answers = answers.await;
        let held = first.await.unwrap();
        std::iter::once(held).chain(answers).collect()
    }

    async fn names(&self) -> Vec<String> {
        let mut reader = self.readers.acquire().await.unwrap();
        let found = reader
            .connection()
            .unwrap()
            .fetch_all("SELECT name FROM settings ORDER BY name", &[]);
        let found = found.unwrap();
        found.iter().map(|row| row.get(0).unwrap()).collect()
    }
}

type Work =
    Box<dyn for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Result<(), StoreError>> + Send>;

fn add(name: &'static str) -> Work {
    Box::new(move |tx| {
        Box::pin(async move { tx.execute(&ADD, args![name, vec![1_u8]]).await.map(drop) })
    })
}

fn add_twice(name: &'static str) -> Work {
    Box::new(move |tx| {
        Box::pin(async move {
            tx.execute(&ADD, args![name, vec![1_u8]]).await?;
            tx.execute(&ADD, args![name, vec![2_u8]]).await.map(drop)
        })
    })
}

#[tokio::test]
async fn a_failing_unit_is_undone_alone() {
    let fixture = open().await;
    let answers = fixture
        .together(vec![add("a"), add_twice("b"), add("c")])
        .await;
    assert!(
        matches!(
            answers[..],
            [
                Ok(()),
                Ok(()),
                Err(StoreError::Conflict(Constraint::Unique, _)),
                Ok(())
            ]
        ),
        "{answers:?}"
    );
    assert_eq!(fixture.names().await, ["a", "c"]);
}

#[tokio::test]
async fn a_panicking_unit_is_undone_alone() {
    let fixture = open().await;
    let panicking: Work = Box::new(|tx| {
        Box::pin(async move {
            tx.execute(&ADD, args!["b", vec![1_u8]]).await?;
            panic!("a fault of the unit");
        })
    });
    let answers = fixture.together(vec![add("a"), panicking, add("c")]).await;
    assert!(
        matches!(
            answers[..],
            [Ok(()), Ok(()), Err(StoreError::Panicked), Ok(())]
        ),
        "{answers:?}"
    );
    assert_eq!(fixture.names().await, ["a", "c"]);
}

#[tokio::test]
async fn a_unit_that_swallows_an_error_fails_all_the_same() {
    let fixture = open().await;
    let swallowing: Work = Box::new(|tx| {
        Box::pin(async move {
            tx.execute(&ADD, args!["b", vec![1_u8]]).await?;
            drop(tx.execute(&ADD, args!["b", vec![1_u8]]).await);
            Ok(())
        })
    });
    let answers = fixture.together(vec![swallowing, add("c")]).await;
    assert!(
        matches!(
            answers[..],
            [Ok(()), Err(StoreError::NotCommitted(_)), Ok(())]
        ),
        "{answers:?}"
    );
    assert_eq!(fixture.names().await, ["c"]);
}

#[tokio::test]
async fn an_automatic_rollback_fails_every_member() {
    let fixture = open().await;
    let rolling_back: Work = Box::new(|tx| {
        Box::pin(async move {
            tx.execute(&ADD_OR_ROLLBACK, args!["b", vec![1_u8]]).await?;
            drop(tx.execute(&ADD_OR_ROLLBACK, args!["b", vec![2_u8]]).await);
            // The transaction is gone: without the guard this would be committed on its own.
            tx.execute(&ADD, args!["stray", vec![1_u8]]).await.map(drop)
        })
    });
    let answers = fixture
        .together(vec![add("a"), rolling_back, add("c")])
        .await;
    // The group is the holder, `a` and the faulty unit; what still waited then makes the next group.
    assert!(
        matches!(answers[..], [Err(_), Err(_), Err(_), Ok(())]),
        "{answers:?}"
    );
    assert_eq!(fixture.names().await, ["c"]);
}

#[tokio::test]
async fn a_failed_commit_fails_every_member() {
    let fixture = open().await;
    let orphan: Work = Box::new(|tx| {
        Box::pin(async move {
            tx.control("PRAGMA defer_foreign_keys = ON").await?;
            tx.execute(&ORPHAN, args!["nobody"]).await.map(drop)
        })
    });
    let answers = fixture.together(vec![add("a"), orphan, add("c")]).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(StoreError::NotCommitted(_)))),
        "{answers:?}"
    );
    assert_eq!(fixture.names().await, [""; 0]);
    let answers = fixture.together(vec![add("d")]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn a_dropped_requester_does_not_cancel_its_unit() {
    let fixture = open().await;
    let (started, has_started) = oneshot::channel::<()>();
    let (go, may_go) = oneshot::channel::<()>();
    let writer = fixture.writer.clone();
    let unit: Work = Box::new(move |tx| {
        started.send(()).unwrap();
        held(tx, may_go)
    });
    let requester = tokio::spawn(async move { writer.run(Once::new(unit)).await });
    has_started.await.unwrap();
    requester.abort();
    assert!(requester.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();
    // The next unit is answered after the abandoned one was committed.
    fixture.writer.run(Once::new(add("next"))).await.unwrap();
    assert_eq!(fixture.names().await, ["abandoned", "next"]);
}

fn held(
    tx: &mut Transaction,
    may_go: oneshot::Receiver<()>,
) -> BoxFuture<'_, Result<(), StoreError>> {
    Box::pin(async move {
        may_go.await.unwrap();
        tx.execute(&ADD, args!["abandoned", vec![1_u8]])
            .await
            .map(drop)
    })
}

#[tokio::test]
async fn nothing_is_answered_before_it_is_committed() {
    let fixture = open().await;
    let writer = fixture.writer.clone();
    fixture.writer.run(Once::new(add("first"))).await.unwrap();
    // Another connection sees what was answered, so it was committed.
    assert_eq!(fixture.names().await, ["first"]);
    writer.close().await;
    assert!(matches!(
        fixture.writer.run(Once::new(add("late"))).await,
        Err(StoreError::Closed)
    ));
}

#[tokio::test]
async fn units_past_the_queue_are_refused() {
    let fixture = open().await;
    let (release, first) = fixture.hold().await;
    let put = || -> Work {
        Box::new(|tx| {
            Box::pin(async move {
                tx.execute(&settings::PUT, args!["n", vec![1_u8]])
                    .await
                    .map(drop)
            })
        })
    };
    let waiting: Vec<_> = (0..super::QUEUE_MAX)
        .map(|_| Box::pin(fixture.writer.run(Once::new(put()))))
        .collect();
    let mut all = std::pin::pin!(join_all(waiting));
    assert!(futures_util::poll!(&mut all).is_pending());
    let refused = fixture.writer.run(Once::new(add("one too many"))).await;
    assert!(
        matches!(refused, Err(StoreError::Overloaded(super::QUEUE_MAX))),
        "{refused:?}"
    );
    release.send(()).unwrap();
    assert!(all.await.iter().all(Result::is_ok));
    first.await.unwrap().unwrap();
}

/// A unit that changes nothing itself and leaves an event; `name` is its record.
fn leave(name: &'static str) -> Work {
    Box::new(move |tx| {
        Box::pin(async move {
            tx.add_to_outbox(event(name));
            Ok(())
        })
    })
}

fn event(name: &'static str) -> Added {
    let mut id = [0_u8; 16];
    id.iter_mut()
        .zip(name.bytes())
        .for_each(|(to, from)| *to = from);
    Added {
        tenant: Tenant::default_tenant(),
        event: EventId::from_bytes(id),
        record: name.as_bytes().to_vec(),
    }
}

impl Fixture {
    async fn events(&self) -> Vec<String> {
        let sql = "SELECT record FROM audit_outbox WHERE tenant = 'default' AND hex(event_id) LIKE hex(record) || '%' ORDER BY sequence";
        let mut reader = self.readers.acquire().await.unwrap();
        let found = reader.connection().unwrap().fetch_all(sql, &[]).unwrap();
        found
            .iter()
            .map(|row| String::from_utf8(row.get(0).unwrap()).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn events_of_a_group_are_committed_in_the_order_of_their_units() {
    let fixture = open().await;
    let answers = fixture
        .together(vec![
            leave("first"),
            add("a"),
            leave("second"),
            leave("third"),
        ])
        .await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(fixture.events().await, ["first", "second", "third"]);
    let answers = fixture.together(vec![leave("alone")]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(
        fixture.events().await,
        ["first", "second", "third", "alone"]
    );
}

#[tokio::test]
async fn a_failing_units_event_is_dropped_with_its_changes() {
    let fixture = open().await;
    let writing: Work = Box::new(|tx| {
        Box::pin(async move {
            tx.add_to_outbox(event("of a change"));
            tx.execute(&ADD, args!["b", vec![1_u8]]).await?;
            tx.execute(&ADD, args!["b", vec![2_u8]]).await.map(drop)
        })
    });
    let reading: Work = Box::new(|tx| {
        Box::pin(async move {
            tx.add_to_outbox(event("of a read"));
            Err(StoreError::Closed)
        })
    });
    let answers = fixture
        .together(vec![
            leave("kept"),
            writing,
            add("a"),
            reading,
            leave("last"),
        ])
        .await;
    assert!(
        matches!(
            answers[..],
            [
                Ok(()),
                Ok(()),
                Err(_),
                Ok(()),
                Err(StoreError::Closed),
                Ok(())
            ]
        ),
        "{answers:?}"
    );
    assert_eq!(fixture.events().await, ["kept", "last"]);
    assert_eq!(fixture.names().await, ["a"]);
}

#[tokio::test]
async fn no_event_outlives_an_automatic_rollback() {
    let fixture = open().await;
    let rolling_back: Work = Box::new(|tx| {
        Box::pin(async move {
            tx.execute(&ADD_OR_ROLLBACK, args!["b", vec![1_u8]]).await?;
            tx.execute(&ADD_OR_ROLLBACK, args!["b", vec![2_u8]])
                .await
                .map(drop)
        })
    });
    let answers = fixture
        .together(vec![leave("lost"), rolling_back, leave("next")])
        .await;
    assert!(
        matches!(answers[..], [Err(_), Err(_), Err(_), Ok(())]),
        "{answers:?}"
    );
    assert_eq!(fixture.events().await, ["next"]);
}
