//! A process that is killed in the middle of its work: what it acknowledged is there, and nothing is half there.

use crate::fixture::NOW;
use crate::sample::{code, event, handle, tenant};
use countersign_base::EventId;
use countersign_oauth::Taken;
use countersign_store::tables::{audit_outbox, one_time};
use countersign_store::{
    AuthorizationCode, Judged, NewOneTime, Store, StoreOptions, StoreUrl, Write,
};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const CHILD: &str = "COUNTERSIGN_TEST_CRASH_DATABASE";
const CODES: u32 = 3_000;
const ACKNOWLEDGED_BEFORE_THE_KILL: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a17_a_killed_process_loses_nothing_that_it_acknowledged() {
    if let Ok(database) = std::env::var(CHILD) {
        return redeem_everything(Path::new(&database)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("state.db");
    let store = open(&database).await;
    let codes = (0..CODES).map(|number| {
        let handle = handle::<AuthorizationCode>(&number.to_string());
        Write::AddOneTime(NewOneTime::new(&handle, &code(), code().expires).unwrap())
    });
    store
        .change(&tenant(), codes.collect(), event(), NOW)
        .await
        .unwrap();
    store.close().await;

    let acknowledged = kill_while_it_redeems(&database);

    let store = open(&database).await;
    let mut connection = store.read().await.unwrap();
    let waiting = audit_outbox::oldest(&mut connection, CODES + 1)
        .await
        .unwrap();
    let recorded: BTreeSet<EventId> = waiting.iter().map(|row| row.event).collect();
    let mut spent = 0;
    for number in 0..CODES {
        let found = one_time::find::<AuthorizationCode>(
            &mut connection,
            &tenant(),
            &handle(&number.to_string()),
            NOW,
        )
        .await;
        let is_spent = found.unwrap() == Taken::Spent(code());
        assert_eq!(
            is_spent,
            recorded.contains(&event_of(number)),
            "code {number} and its event come together"
        );
        assert!(
            is_spent || !acknowledged.contains(&number),
            "code {number} was acknowledged and is unspent"
        );
        spent += usize::from(is_spent);
    }
    assert!(spent >= ACKNOWLEDGED_BEFORE_THE_KILL, "{spent}");
}

async fn open(database: &Path) -> Store {
    Store::open(
        &StoreOptions::new(StoreUrl::Sqlite(database.to_owned())),
        NOW,
    )
    .await
    .unwrap()
}

fn event_of(number: u32) -> EventId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    EventId::from_bytes(bytes)
}

/// Runs this very test as another process, and kills it once it has acknowledged enough. Returns all that it acknowledged.
fn kill_while_it_redeems(database: &Path) -> BTreeSet<u32> {
    let test = "crash::a17_a_killed_process_loses_nothing_that_it_acknowledged";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeSet::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Some(number) = line
            .unwrap()
            .strip_prefix("redeemed ")
            .and_then(|number| number.parse().ok())
        else {
            continue;
        };
        acknowledged.insert(number);
        if acknowledged.len() == ACKNOWLEDGED_BEFORE_THE_KILL {
            child.kill().unwrap();
        }
    }
    assert!(
        !child.wait().unwrap().success(),
        "it was killed before it was through"
    );
    acknowledged
}

async fn redeem_everything(database: &Path) {
    let store = open(database).await;
    let workers = (0..32_u32).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in (worker..CODES).step_by(32) {
                let mut event = event();
                event.id = event_of(number);
                let judge = move |_| Judged::<(), ()>::Commit {
                    permit: (),
                    writes: Vec::new(),
                    event,
                };
                let _settled = store
                    .spend::<AuthorizationCode, _, _, _>(
                        &tenant(),
                        handle(&number.to_string()),
                        NOW,
                        judge,
                    )
                    .await
                    .unwrap();
                // One write of a whole line; the pipe keeps it when the process dies.
                std::io::stdout()
                    .write_all(format!("\nredeemed {number}\n").as_bytes())
                    .unwrap();
            }
        })
    });
    join_all(workers).await.into_iter().for_each(Result::unwrap);
}
