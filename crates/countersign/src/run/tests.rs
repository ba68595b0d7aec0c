use super::*;
use crate::config;
use countersign_testkit::{FakeClock, seeded};
use std::path::Path;

fn options(data: &Path, text: &str) -> Options {
    Options {
        config: config::parse(data, Path::new(config::FILE), text).unwrap(),
        data: data.to_owned(),
        unsealed: None,
        store: None,
        password_cost: Cost::for_tests(),
        clock: FakeClock::default().clock(),
        random: seeded(1),
        progress: Box::new(|_| {}),
    }
}

async fn base(data: &Path, text: &str, port: u16) -> String {
    issuer_base(
        &options(data, text),
        SocketAddr::from(([127, 0, 0, 1], port)),
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn the_issuer_is_a_setting_apart_from_the_listener() {
    let data = tempfile::tempdir().unwrap();
    let (any, moved) = (
        "[listeners]\nidentity = \"127.0.0.1:0\"\n",
        "[listeners]\nidentity = \"127.0.0.1:9443\"\n",
    );
    assert_eq!(
        base(data.path(), "", 8443).await,
        "https://localhost:8443",
        "a first start has nothing to remember"
    );

    let url = StoreOptions::new(StoreUrl::Sqlite(data.path().join("state.db")));
    let store = Store::open(&url, FakeClock::default().clock().now())
        .await
        .unwrap();
    let remembered = b"https://localhost:8443".to_vec();
    store
        .write(move |tx| {
            Box::pin(async move { settings::put(tx, Setting::Issuer, remembered).await })
        })
        .await
        .unwrap();
    store.close().await;

    assert_eq!(
        base(data.path(), moved, 9443).await,
        "https://localhost:8443",
        "a listener that moves leaves its issuer behind"
    );
    assert_eq!(
        base(data.path(), any, 40_000).await,
        "https://localhost:40000",
        "any free port takes it along"
    );
    let said = "[listeners]\nissuer_base = \"https://id.example.com\"\n";
    assert_eq!(
        base(data.path(), said, 8443).await,
        "https://id.example.com",
        "what is configured counts"
    );
}
