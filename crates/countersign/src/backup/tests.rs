use super::{BackupError, BackupKeySource, BackupOptions, Epochs, RestoreOptions, backup, restore};
use countersign_audit::event::{Actor, UserAdded};
use countersign_base::{Secret, Tenant, UserId};
use countersign_control::Declared;
use countersign_crypto::Random;
use countersign_crypto::password::Cost;
use countersign_oauth::TenantRecord;
use countersign_testkit::TestFabric;
use std::fs;
use std::path::{Path, PathBuf};

const ALICE: UserId = UserId::from_bytes([1; 16]);
const BOB: UserId = UserId::from_bytes([2; 16]);

async fn fabric() -> TestFabric {
    TestFabric::start(declared()).await.unwrap()
}

fn declared() -> Declared {
    let issuer = "https://id.example".parse().unwrap();
    Declared {
        tenants: vec![TenantRecord::new(Tenant::default_tenant(), issuer)],
        ..Declared::default()
    }
}

/// A person with a key of their own: something is sealed for them.
async fn person(test: &TestFabric, user: UserId) {
    let fabric = &test.fabric;
    let tenant = Tenant::default_tenant();
    let random = Random::system();
    let subjects = fabric.details().subjects();
    let wrapped = subjects.generate(&tenant, user, &random).unwrap();
    let now = fabric.now();
    let of = tenant.clone();
    fabric
        .store()
        .write(move |tx| {
            Box::pin(async move {
                countersign_store::tables::subject_keys::put_first(tx, &of, user, wrapped, now)
                    .await
            })
        })
        .await
        .map(drop)
        .unwrap();
    let by = Actor::System;
    let event = fabric
        .recorder()
        .about_event(&tenant, None, UserAdded { by, user });
    let change = fabric.store().change(&tenant, Vec::new(), event, now);
    let _id = change.await.unwrap();
}

async fn opens(test: &TestFabric, user: UserId) -> bool {
    use countersign_store::tables::subject_keys::{SubjectKey, find};
    let tenant = Tenant::default_tenant();
    let mut connection = test.fabric.store().read().await.unwrap();
    match find(&mut connection, &tenant, user).await.unwrap() {
        SubjectKey::Wrapped(wrapped) => {
            let subjects = test.fabric.details().subjects();
            subjects.unwrap(&tenant, user, wrapped).is_ok()
        }
        SubjectKey::Absent | SubjectKey::Erased(_) => false,
    }
}

async fn made(data: &Path, to: PathBuf, key: BackupKeySource) -> Result<(), BackupError> {
    let options = BackupOptions {
        data: data.to_owned(),
        to,
        key,
        cost: Cost::for_tests(),
        random: Random::system(),
        now: countersign_base::UnixTime(1_790_000_000),
        progress: Box::new(|_| {}),
    };
    backup(options).await.map(drop)
}

async fn restored(
    from: &Path,
    data: &Path,
    keys: Option<&Path>,
    key: BackupKeySource,
) -> Result<super::Restored, BackupError> {
    let options = RestoreOptions {
        from: from.to_owned(),
        data: data.to_owned(),
        keys: keys.map(Path::to_owned),
        key,
        random: Random::system(),
        now: countersign_base::UnixMillis(1_790_000_100_000),
        progress: Box::new(|_| {}),
    };
    restore(options).await
}

/// Made beside a running server; an erasure follows; the restored server has everybody but the one who was erased, and its log goes on.
#[tokio::test]
async fn a_backup_brings_everybody_back_but_who_was_erased_since() {
    let test = fabric().await;
    for user in [ALICE, BOB] {
        person(&test, user).await;
    }
    let aside = tempfile::tempdir().unwrap();
    let file = aside.path().join("monday.backup");
    made(
        test.data.path(),
        file.clone(),
        BackupKeySource::Installation,
    )
    .await
    .unwrap();
    assert!(!test.data.path().join("backup.staged").exists());
    let bytes = fs::read(&file).unwrap();
    let root = fs::read(test.data.path().join("keys/root.key")).unwrap();
    for absent in [b"SQLite format 3".as_slice(), root.trim_ascii_end()] {
        assert!(!bytes.windows(absent.len()).any(|window| window == absent));
    }

    test.fabric
        .details()
        .erase(&Tenant::default_tenant(), ALICE)
        .await
        .unwrap();
    assert!(!opens(&test, ALICE).await && opens(&test, BOB).await);
    let clock = test.clock.clone();
    let old = test.stop().await;

    let machine = tempfile::tempdir().unwrap();
    let (keys, data) = (old.path().join("keys"), machine.path().to_owned());
    let done = restored(&file, &data, Some(&keys), BackupKeySource::Installation)
        .await
        .unwrap();
    assert_eq!(done.epochs, Epochs::There);
    assert_eq!(done.logs.len(), 1);
    let policies = &countersign_policy::defaults::POLICIES;
    let again = TestFabric::resume(machine, clock, declared(), policies)
        .await
        .unwrap();
    assert!(opens(&again, BOB).await, "everybody else is there");
    assert!(!opens(&again, ALICE).await, "the old row opens no more");
    let data = again.stop().await;
    let logs = countersign_store::audit::find_logs(&data.path().join("audit")).unwrap();
    let log = logs.first().unwrap();
    let _report = countersign_store::audit::verify_directory(log).unwrap();
    let (records, _) = countersign_store::audit::tail(log, 0).unwrap();
    let kinds: Vec<&str> = records
        .iter()
        .map(|(_, record)| record.event.kind())
        .collect();
    assert!(kinds.contains(&"restored"), "{kinds:?}");
    let mut ids: Vec<_> = records.iter().map(|(_, record)| record.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "no event is in the log twice");
}

#[tokio::test]
async fn a_passphrase_opens_what_was_made_with_it_and_nothing_else_does() {
    let test = fabric().await;
    let aside = tempfile::tempdir().unwrap();
    let file = aside.path().join("b");
    let of = |text: &str| BackupKeySource::Passphrase(Secret::new(text.to_owned()));
    let data = test.data.path();
    made(data, file.clone(), of("one")).await.unwrap();
    assert!(matches!(
        made(data, file.clone(), of("one")).await,
        Err(BackupError::Occupied(_))
    ));
    let to = aside.path().join("data");
    for wrong in [of("two"), BackupKeySource::Installation] {
        assert!(restored(&file, &to, None, wrong).await.is_err());
        assert!(!to.exists());
    }
    let done = restored(&file, &to, None, of("one")).await.unwrap();
    assert_eq!(done.epochs, Epochs::Missing);
    assert!(to.join("state.db").is_file() && to.join("ca.pem").is_file());
    assert!(!to.join("keys").exists() && !to.join("admin.json").exists());
    assert!(matches!(
        restored(&file, &to, None, of("one")).await,
        Err(BackupError::Occupied(_))
    ));
}

#[tokio::test]
async fn a_backup_that_was_changed_or_cut_off_leaves_nothing() {
    let test = fabric().await;
    let aside = tempfile::tempdir().unwrap();
    let file = aside.path().join("b");
    let of = || BackupKeySource::Passphrase(Secret::new("one".to_owned()));
    made(test.data.path(), file.clone(), of()).await.unwrap();
    let good = fs::read(&file).unwrap();
    let to = aside.path().join("data");
    let check = async |bytes: Vec<u8>| {
        fs::write(&file, bytes).unwrap();
        assert!(restored(&file, &to, None, of()).await.is_err());
        assert!(!to.exists());
    };
    check(good[..good.len() - 1].to_vec()).await;
    check(good[..good.len() / 2].to_vec()).await;
    for at in [0, 30, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        check(bad).await;
    }
    fs::write(&file, &good).unwrap();
    assert!(restored(&file, &to, None, of()).await.is_ok(), "the twin");
}

#[tokio::test]
async fn without_a_database_file_the_answer_says_what_postgresql_needs() {
    let data = tempfile::tempdir().unwrap();
    let to = data.path().join("b");
    let refused = made(data.path(), to, BackupKeySource::Installation).await;
    assert!(refused.unwrap_err().to_string().contains("pg_dump"));
}
