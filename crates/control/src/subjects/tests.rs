use super::{EpochsError, epochs_path, open};
use crate::root::RootSource;
use crate::secrets::Secrets;
use countersign_base::{Tenant, UnixTime, UserId};
use countersign_crypto::password::Cost;
use countersign_store::{Store, StoreOptions, StoreUrl, Subjects};
use countersign_testkit::seeded;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

const NOW: UnixTime = UnixTime(1_790_000_000);
const ALICE: UserId = UserId::from_bytes([1; 16]);

async fn opened(data: &Path) -> Result<Subjects, EpochsError> {
    let options = StoreOptions::new(StoreUrl::Sqlite(data.join("state.db")));
    let store = Store::open(&options, NOW).await.unwrap();
    let (cost, random) = (Cost::for_tests(), countersign_crypto::Random::system());
    let secrets = Secrets::open(&store, &RootSource::File, data, cost, &random, NOW).await;
    let subjects = open(&store, &Arc::new(secrets.unwrap()), data).await;
    store.close().await;
    subjects
}

#[tokio::test]
async fn the_epoch_key_survives_in_its_file_with_what_it_forgot() {
    let data = tempfile::tempdir().unwrap();
    let subjects = opened(data.path()).await.unwrap();
    let tenant = Tenant::default_tenant();
    let (wrapped, _) = subjects.generate(&tenant, ALICE, &seeded(1)).unwrap();
    let mode = std::fs::metadata(epochs_path(data.path())).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    let again = opened(data.path()).await.unwrap();
    assert!(again.unwrap(&tenant, ALICE, wrapped.clone()).is_ok());
    again.forget([(&tenant, ALICE)]).unwrap();
    let again = opened(data.path()).await.unwrap();
    assert!(again.unwrap(&tenant, ALICE, wrapped).is_err());
    assert_eq!(again.forgotten(), 1);
}

#[tokio::test]
async fn a_missing_or_another_epoch_key_is_not_replaced_by_a_new_one() {
    let data = tempfile::tempdir().unwrap();
    let first = opened(data.path()).await.unwrap().epoch();
    let path = epochs_path(data.path());
    let aside = data.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    assert!(matches!(
        opened(data.path()).await,
        Err(EpochsError::Missing(_))
    ));
    assert!(!path.exists(), "nothing was made in its place");
    std::fs::write(&path, "AAAA\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        opened(data.path()).await,
        Err(EpochsError::Open { .. })
    ));
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(
        opened(data.path()).await.unwrap().epoch(),
        first,
        "the twin"
    );
}

/// Killed between the file and the row: the file is taken up.
#[tokio::test]
async fn a_first_start_that_was_cut_off_is_taken_up() {
    let data = tempfile::tempdir().unwrap();
    let first = opened(data.path()).await.unwrap().epoch();
    let options = StoreOptions::new(StoreUrl::Sqlite(data.path().join("state.db")));
    let store = Store::open(&options, NOW).await.unwrap();
    use countersign_store::tables::settings::{self, Setting};
    store
        .write(|tx| {
            Box::pin(async move { settings::put(tx, Setting::SubjectEpoch, vec![0; 8]).await })
        })
        .await
        .unwrap();
    store.close().await;
    assert!(matches!(
        opened(data.path()).await,
        Err(EpochsError::Another(_))
    ));
    // The row is gone, as before the kill.
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let _absent = std::fs::remove_file(data.path().join(name));
    }
    std::fs::remove_file(data.path().join("keys/root.key")).unwrap();
    std::fs::remove_file(epochs_path(data.path())).unwrap();
    assert_ne!(
        opened(data.path()).await.unwrap().epoch(),
        first,
        "all of it anew"
    );
}
