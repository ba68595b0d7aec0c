//! The key-encryption key of a running installation rotates, and nothing of what stood under the older version is left in the database, or lost.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail them by panicking"
)]

use countersign_audit::Code;
use countersign_audit::event::Actor;
use countersign_base::{Duration, EventId, Tenant, UserId};
use countersign_control::rotation::{AskedBy, UnderWay};
use countersign_control::vault::{Vault, VaultSeal};
use countersign_control::{Declared, Fabric};
use countersign_policy::{Query, defaults, vocabulary};
use countersign_store::backup::copy_sqlite;
use countersign_testkit::{TestFabric, tenant};
use std::path::Path;

const ERIN: UserId = UserId::from_bytes([9; 16]);
const DAY: Duration = Duration::from_secs(86_400);

fn asked() -> AskedBy {
    AskedBy {
        by: Actor::LocalAdministrator,
        request: None,
        reason: Code::of("demand"),
    }
}

async fn started() -> TestFabric {
    TestFabric::start(Declared::default()).await.unwrap()
}

fn query() -> Query {
    let tenant = Tenant::default_tenant();
    Query {
        principal: vocabulary::user(ERIN, &tenant, [], [], &Default::default()),
        action: "manage_account".to_owned(),
        resource: vocabulary::account(ERIN, &tenant),
        context: [("operation".to_owned(), "view".into())].into(),
        others: Vec::new(),
    }
}

async fn keep(fabric: &Fabric, user: Option<UserId>, event: EventId) {
    let kept = fabric
        .recorder()
        .keep_query(&tenant("default"), user, event, &query());
    assert!(kept.is_some());
    fabric.details().settled().await;
}

/// Turns until nothing is under way but the wait.
async fn rewrapped(fabric: &Fabric) {
    loop {
        fabric.rotation().turn().await.unwrap();
        let status = fabric.rotation().key_encryption().await.unwrap();
        if !matches!(status.under_way, UnderWay::Rewrapping(_)) {
            return;
        }
    }
}

async fn versions(fabric: &Fabric) -> Vec<u32> {
    let status = fabric.rotation().key_encryption().await.unwrap();
    status
        .versions
        .iter()
        .map(|version| version.version)
        .collect()
}

/// Whether any row of the database holds these bytes; pages that were freed are not looked at.
fn holds(data: &Path, name: &[u8]) -> bool {
    let copy = data.join("copy.db");
    copy_sqlite(&data.join("state.db"), &copy).unwrap();
    let file = std::fs::read(copy).unwrap();
    file.windows(name.len()).any(|window| window == name)
}

#[tokio::test]
async fn what_older_versions_sealed_opens_before_during_and_after_a_rotation() {
    let test = started().await;
    let fabric = &test.fabric;
    let vault = Vault::start(fabric, VaultSeal::OpensByItself)
        .await
        .unwrap();
    assert!(vault.local_token(DAY).await.unwrap().is_some());
    let (of_erin, of_nobody) = (EventId::from_bytes([1; 16]), EventId::from_bytes([2; 16]));
    keep(fabric, Some(ERIN), of_erin).await;
    keep(fabric, None, of_nobody).await;
    let keks = fabric.secrets().keks();
    let name = [keks.current().id().as_bytes().as_slice(), &[0, 0, 0, 1]].concat();

    assert_eq!(
        fabric
            .rotation()
            .rotate_key_encryption(asked())
            .await
            .unwrap(),
        2
    );
    assert_eq!(fabric.secrets().keks().current().version().0, 2);
    for event in [of_erin, of_nobody] {
        assert!(
            fabric
                .details()
                .open(&tenant("default"), event)
                .await
                .is_ok()
        );
    }
    rewrapped(fabric).await;
    assert_eq!(
        versions(fabric).await,
        [1, 2],
        "older ones are kept for a while"
    );
    test.clock.advance(DAY + Duration::from_secs(1));
    // The queries' own time is over too; the day's sweep is not what this is about.
    fabric.rotation().turn().await.unwrap();
    assert_eq!(versions(fabric).await, [2]);
    for event in [of_erin, of_nobody] {
        let opened = fabric.details().open(&tenant("default"), event).await;
        assert!(opened.is_ok(), "{opened:?}");
    }
    // The list of columns is complete: the name of the older version stands in no row. Pages that were freed are written over first.
    drop(vault);
    let clock = test.clock.clone();
    let data = test.stop().await;
    assert!(
        !holds(data.path(), &name),
        "something is still under version 1"
    );

    let again = TestFabric::resume(data, clock, Declared::default(), &defaults::POLICIES)
        .await
        .unwrap();
    assert_eq!(again.fabric.secrets().keks().current().version().0, 2);
    let vault = Vault::start(&again.fabric, VaultSeal::OpensByItself)
        .await
        .unwrap();
    assert!(vault.local_token(DAY).await.unwrap().is_some());
    drop(vault);
    let data = again.stop().await;
    let logs = countersign_store::audit::find_logs(&data.path().join("audit")).unwrap();
    let (records, _) = countersign_store::audit::tail(&logs[0], 0).unwrap();
    let kinds: Vec<&str> = records
        .iter()
        .map(|(_, record)| record.event.kind())
        .collect();
    assert!(kinds.contains(&"key.rotation_began"), "{kinds:?}");
    assert!(kinds.contains(&"key.rotation_ended"), "{kinds:?}");
}

#[tokio::test]
async fn a_process_that_stops_in_the_middle_goes_on_at_its_next_start() {
    let mut test = started().await;
    keep(&test.fabric, Some(ERIN), EventId::from_bytes([1; 16])).await;
    test.fabric
        .rotation()
        .rotate_key_encryption(asked())
        .await
        .unwrap();
    for _ in 0..6 {
        let now = test.fabric.now();
        test.fabric.rotation().page(now).await.unwrap();
        let clock = test.clock.clone();
        let data = test.stop().await;
        test = TestFabric::resume(data, clock, Declared::default(), &defaults::POLICIES)
            .await
            .unwrap();
    }
    rewrapped(&test.fabric).await;
    test.clock.advance(DAY + Duration::from_secs(1));
    test.fabric.rotation().turn().await.unwrap();
    assert_eq!(versions(&test.fabric).await, [2]);
    let opened = test
        .fabric
        .details()
        .open(&tenant("default"), EventId::from_bytes([1; 16]))
        .await;
    assert!(opened.is_ok());
}

/// Restored from before a rotation, a database meets the epoch key of today: an erasure since then holds.
#[tokio::test]
async fn a_database_from_before_a_rotation_opens_with_the_epoch_key_of_today() {
    let test = started().await;
    keep(&test.fabric, Some(ERIN), EventId::from_bytes([1; 16])).await;
    let clock = test.clock.clone();
    let data = test.stop().await;
    let (database, older) = (data.path().join("state.db"), data.path().join("older.db"));
    copy_sqlite(&database, &older).unwrap();

    let resumed = |data| {
        TestFabric::resume(
            data,
            clock.clone(),
            Declared::default(),
            &defaults::POLICIES,
        )
    };
    let test = resumed(data).await.unwrap();
    test.fabric
        .rotation()
        .rotate_key_encryption(asked())
        .await
        .unwrap();
    rewrapped(&test.fabric).await;
    test.clock.advance(DAY + Duration::from_secs(1));
    test.fabric.rotation().turn().await.unwrap();
    assert_eq!(versions(&test.fabric).await, [2]);
    test.fabric
        .details()
        .erase(&tenant("default"), ERIN)
        .await
        .unwrap();
    let data = test.stop().await;
    for name in ["state.db-wal", "state.db-shm"] {
        let _absent = std::fs::remove_file(data.path().join(name));
    }
    std::fs::rename(data.path().join("older.db"), data.path().join("state.db")).unwrap();
    std::fs::remove_dir_all(data.path().join("audit")).unwrap();

    let opened = countersign_store::Store::open(
        &countersign_store::StoreOptions::new(countersign_store::StoreUrl::Sqlite(
            data.path().join("state.db"),
        )),
        test_now(),
    )
    .await
    .unwrap();
    let secrets = countersign_control::Secrets::open(
        &opened,
        &countersign_control::RootSource::File,
        data.path(),
        countersign_crypto::password::Cost::for_tests(),
        &countersign_crypto::Random::system(),
        test_now(),
    )
    .await
    .unwrap();
    let subjects =
        countersign_control::subjects::open(&opened, &std::sync::Arc::new(secrets), data.path())
            .await
            .unwrap();
    assert!(subjects.is_forgotten(&tenant("default"), ERIN));
    opened.close().await;
}

const fn test_now() -> countersign_base::UnixTime {
    countersign_base::UnixTime(1_795_219_200)
}

/// Looks at a tenant's data keys until nothing is under older ones.
async fn resealed(vault: &Vault, fabric: &Fabric) {
    let tenant = tenant("default");
    loop {
        vault.look_at_keys(&tenant).await.unwrap();
        if fabric.rotation().data_keys(&tenant).await.unwrap().left == 0 {
            return;
        }
    }
}

async fn terms(fabric: &Fabric) -> Vec<u64> {
    let status = fabric
        .rotation()
        .data_keys(&tenant("default"))
        .await
        .unwrap();
    status.keys.iter().map(|row| row.term).collect()
}

#[tokio::test]
async fn entries_under_an_older_data_key_open_and_are_sealed_again_and_the_key_goes() {
    let test = started().await;
    let (fabric, of) = (&test.fabric, tenant("default"));
    let vault = Vault::start(fabric, VaultSeal::OpensByItself)
        .await
        .unwrap();
    let token = vault.local_token(DAY * 20).await.unwrap().unwrap();
    assert_eq!(
        fabric.rotation().rotate_data(&of, asked()).await.unwrap(),
        2
    );
    assert!(vault.stands(&of, &token).await.unwrap());
    resealed(&vault, fabric).await;
    assert_eq!(terms(fabric).await, [1, 2], "it is kept for a while");
    test.clock.advance(DAY + Duration::from_secs(1));
    vault.look_at_keys(&of).await.unwrap();
    // A walk that found something is followed by one that has to find nothing.
    vault.look_at_keys(&of).await.unwrap();
    assert_eq!(terms(fabric).await, [2]);
    assert!(vault.stands(&of, &token).await.unwrap());
    drop(vault);
    let clock = test.clock.clone();
    let data = test.stop().await;
    let again = TestFabric::resume(data, clock, Declared::default(), &defaults::POLICIES)
        .await
        .unwrap();
    let vault = Vault::start(&again.fabric, VaultSeal::OpensByItself)
        .await
        .unwrap();
    assert!(vault.stands(&of, &token).await.unwrap());
}

#[tokio::test]
async fn a_data_key_is_followed_by_another_when_it_is_old() {
    let test = started().await;
    let vault = Vault::start(&test.fabric, VaultSeal::OpensByItself)
        .await
        .unwrap();
    let of = tenant("default");
    assert!(vault.local_token(DAY).await.unwrap().is_some());
    vault.look_at_keys(&of).await.unwrap();
    assert_eq!(terms(&test.fabric).await, [1]);
    test.clock.advance(DAY * 90);
    vault.look_at_keys(&of).await.unwrap();
    let terms = terms(&test.fabric).await;
    assert_eq!(terms.last(), Some(&2), "{terms:?}");
}

#[tokio::test]
async fn another_root_key_opens_the_installation_and_the_one_before_does_not() {
    let mut test = started().await;
    keep(&test.fabric, Some(ERIN), EventId::from_bytes([1; 16])).await;
    let file = |test: &TestFabric| test.data.path().join("keys/root.key");
    let old = std::fs::read(file(&test)).unwrap();
    test.fabric.rotation().rotate_root(asked()).await.unwrap();
    let new = std::fs::read(file(&test)).unwrap();
    assert_ne!(old, new);
    // A version that is made after it hangs under it.
    test.fabric
        .rotation()
        .rotate_key_encryption(asked())
        .await
        .unwrap();
    for cut in [false, true] {
        let clock = test.clock.clone();
        let data = test.stop().await;
        let path = data.path().join("keys/root.key");
        if cut {
            // Killed between the commit and the move: the new file waits beside the old one.
            std::fs::rename(&path, path.with_extension("key.next")).unwrap();
            replace(&path, &old);
        }
        test = TestFabric::resume(data, clock, Declared::default(), &defaults::POLICIES)
            .await
            .unwrap();
        assert_eq!(
            std::fs::read(file(&test)).unwrap(),
            new,
            "it took its place"
        );
        let opened = test
            .fabric
            .details()
            .open(&tenant("default"), EventId::from_bytes([1; 16]))
            .await;
        assert!(opened.is_ok());
    }
    let clock = test.clock.clone();
    let data = test.stop().await;
    replace(&data.path().join("keys/root.key"), &old);
    let refused = TestFabric::resume(data, clock, Declared::default(), &defaults::POLICIES).await;
    assert!(refused.is_err());
}

/// Writes over a private file: its mode stays.
fn replace(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
