//! A seal is made once, opens by a quorum, and by nothing else.

use super::*;
use countersign_store::StoreUrl;
use countersign_testkit::FakeClock;
use std::path::Path;

async fn closed(directory: &Path) -> Arc<ClosedSeal> {
    let url = StoreUrl::Sqlite(directory.join("state.db"));
    let clock = FakeClock::default().clock();
    let opened = ClosedSeal::open(
        &StoreOptions::new(url),
        Way::Shares,
        former(directory),
        clock,
        Random::system(),
    )
    .await;
    Arc::new(opened.unwrap())
}

fn former(directory: &Path) -> Former {
    Former {
        root: RootSource::File,
        data: directory.to_owned(),
    }
}

#[tokio::test]
async fn shares_are_made_once_and_a_quorum_of_them_opens() {
    let directory = tempfile::tempdir().unwrap();
    let seal = closed(directory.path()).await;
    assert!(!seal.status().initialized);
    let first = seal.initialize(Some((5, 3))).await.unwrap();
    assert_eq!(first.shares.len(), 5);
    assert!(first.root_token.expose().starts_with("hvs."));
    assert!(matches!(
        seal.initialize(Some((5, 3))).await,
        Err(SealError::AlreadyInitialized)
    ));
    assert!(!seal.status().sealed);
    seal.close().await;

    let seal = closed(directory.path()).await;
    assert!(seal.status().initialized && seal.status().sealed);
    for (number, share) in (1..).zip(&first.shares[1..3]) {
        let status = seal.unseal(&share.to_hex()).unwrap();
        assert_eq!((status.sealed, status.progress), (true, number));
    }
    let again = seal.unseal(&first.shares[2].to_base64()).unwrap();
    assert_eq!(again.progress, 2, "a share counts once");
    let status = seal.unseal(&first.shares[4].to_base64()).unwrap();
    assert!(!status.sealed);
    let _root = seal.opened().await;
}

#[tokio::test]
async fn wrong_shares_open_nothing_and_are_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let seal = closed(directory.path()).await;
    let first = seal.initialize(Some((3, 2))).await.unwrap();
    let foreign = closed(other.path())
        .await
        .initialize(Some((3, 2)))
        .await
        .unwrap();
    seal.close().await;
    let seal = closed(directory.path()).await;
    let _one = seal.unseal(&first.shares[0].to_hex()).unwrap();
    assert!(matches!(
        seal.unseal(&foreign.shares[1].to_hex()),
        Err(SealError::Refused(_))
    ));
    assert_eq!(seal.status().progress, 0);
    assert!(matches!(
        seal.unseal(&Secret::new("no share".to_owned())),
        Err(SealError::Form(_))
    ));
    let _one = seal.unseal(&first.shares[0].to_hex()).unwrap();
    assert_eq!(seal.reset().progress, 0);
    let _one = seal.unseal(&first.shares[0].to_hex()).unwrap();
    assert!(!seal.unseal(&first.shares[2].to_hex()).unwrap().sealed);
}

#[tokio::test]
async fn an_installation_of_another_source_gets_no_shares() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(StoreUrl::Sqlite(directory.path().join("state.db")));
    let clock = FakeClock::default().clock();
    let store = Store::open(&options, clock.now()).await.unwrap();
    let source = RootSource::File;
    let (cost, random) = (
        countersign_crypto::password::Cost::for_tests(),
        Random::system(),
    );
    let opened = Secrets::open(
        &store,
        &source,
        directory.path(),
        cost,
        &random,
        clock.now(),
    );
    drop(opened.await.unwrap());
    store.close().await;
    let closed = ClosedSeal::open(
        &options,
        Way::Shares,
        former(directory.path()),
        clock,
        random,
    )
    .await;
    assert!(matches!(closed, Err(SealError::AnotherSource)));
}

async fn by_file(directory: &Path, named: &str) -> Result<Arc<ClosedSeal>, SealError> {
    let url = StoreUrl::Sqlite(directory.join("state.db"));
    let clock = FakeClock::default().clock();
    let way = Way::Source(Arc::new(Source::File(directory.join(named))));
    let options = StoreOptions::new(url);
    let opened = ClosedSeal::open(&options, way, former(directory), clock, Random::system());
    opened.await.map(Arc::new)
}

#[tokio::test]
async fn a_source_opens_without_anybody_and_recovery_keys_open_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let seal = by_file(directory.path(), "unseal.key").await.unwrap();
    assert_eq!(seal.status().kind, "file");
    let first = seal.initialize(Some((3, 2))).await.unwrap();
    assert_eq!((first.shares.len(), first.recovery.len()), (0, 3));
    seal.close().await;

    let seal = by_file(directory.path(), "unseal.key").await.unwrap();
    assert!(seal.status().sealed && seal.status().recovery_seal);
    for key in &first.recovery {
        let given = seal.unseal(&key.to_hex());
        assert!(matches!(given, Err(SealError::OpensBySource)));
    }
    seal.open_by_source().await.unwrap();
    assert!(seal.is_open());
    let (_root, opening) = seal.opened().await;
    assert_eq!(opening.by, OpenedBy::Source);
    seal.close().await;

    let elsewhere = by_file(directory.path(), "other.key").await.unwrap();
    let missing = elsewhere.open_by_source().await;
    assert!(matches!(
        missing,
        Err(SealError::Source(SourceError::FileMissing(_)))
    ));
    assert!(elsewhere.status().sealed);
    elsewhere.close().await;
    let url = StoreUrl::Sqlite(directory.path().join("state.db"));
    let options = StoreOptions::new(url);
    let other = ClosedSeal::open(
        &options,
        Way::Shares,
        former(directory.path()),
        FakeClock::default().clock(),
        Random::system(),
    );
    assert!(matches!(
        other.await,
        Err(SealError::Source(SourceError::AnotherKind { .. }))
    ));
}

#[tokio::test]
async fn a_root_key_from_before_is_taken_over_by_a_source_and_stays_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(StoreUrl::Sqlite(directory.path().join("state.db")));
    let clock = FakeClock::default().clock();
    let store = Store::open(&options, clock.now()).await.unwrap();
    let (cost, random) = (
        countersign_crypto::password::Cost::for_tests(),
        Random::system(),
    );
    let path = directory.path();
    let opened = Secrets::open(&store, &RootSource::File, path, cost, &random, clock.now());
    let before = opened.await.unwrap().mac_key("handle").tag("d", &[b"v"]);
    store.close().await;

    for _ in 0..2 {
        let seal = by_file(path, "unseal.key").await.unwrap();
        seal.open_by_source().await.unwrap();
        let (root, _) = seal.opened().await;
        seal.close().await;
        let store = Store::open(&options, clock.now()).await.unwrap();
        let source = RootSource::Unsealed(root);
        let secrets = Secrets::open_existing(&store, &source, &random)
            .await
            .unwrap();
        let now = secrets.mac_key("handle").tag("d", &[b"v"]);
        assert_eq!(now.as_bytes(), before.as_bytes());
        store.close().await;
        // The second time the old file is gone, and not missed.
        let _gone = std::fs::remove_file(path.join("keys/root.key"));
    }
}
