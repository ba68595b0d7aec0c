//! A seal is made once, opens by a quorum, and by nothing else.

use super::*;
use countersign_store::StoreUrl;
use countersign_testkit::FakeClock;
use std::path::Path;

async fn closed(directory: &Path) -> Arc<ClosedSeal> {
    let url = StoreUrl::Sqlite(directory.join("state.db"));
    let clock = FakeClock::default().clock();
    let opened = ClosedSeal::open(&StoreOptions::new(url), clock, Random::system()).await;
    Arc::new(opened.unwrap())
}

#[tokio::test]
async fn shares_are_made_once_and_a_quorum_of_them_opens() {
    let directory = tempfile::tempdir().unwrap();
    let seal = closed(directory.path()).await;
    assert!(!seal.status().initialized);
    let first = seal.initialize(5, 3).await.unwrap();
    assert_eq!(first.shares.len(), 5);
    assert!(first.root_token.expose().starts_with("hvs."));
    assert!(matches!(
        seal.initialize(5, 3).await,
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
    let first = seal.initialize(3, 2).await.unwrap();
    let foreign = closed(other.path()).await.initialize(3, 2).await.unwrap();
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
    let closed = ClosedSeal::open(&options, clock, random).await;
    assert!(matches!(closed, Err(SealError::AnotherSource)));
}
