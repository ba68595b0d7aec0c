use super::*;
use crate::root::RootSource;
use countersign_base::Duration;
use countersign_crypto::password::Cost;
use countersign_oauth::TenantRecord;
use countersign_store::tables::tenants;
use countersign_store::{StoreOptions, StoreUrl};
use countersign_testkit::{FakeClock, seeded};

const HOUR: Duration = Duration::from_secs(3_600);

struct Installation {
    dir: tempfile::TempDir,
    clock: FakeClock,
    store: Store,
}

impl Installation {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = FakeClock::default();
        let options = StoreOptions::new(StoreUrl::Sqlite(dir.path().join("state.db")));
        let store = Store::open(&options, clock.clock().now()).await.unwrap();
        for name in ["demo", "other"] {
            let tenant = TenantRecord::new(
                name.parse().unwrap(),
                format!("https://id.example/t/{name}").parse().unwrap(),
            );
            let now = clock.clock().now();
            store
                .write(move |tx| Box::pin(async move { tenants::put(tx, &tenant, now).await }))
                .await
                .unwrap();
        }
        Self { dir, clock, store }
    }

    async fn ring(&self) -> KeyRing {
        let clock = self.clock.clock();
        let random = seeded(9);
        let path = self.dir.path();
        let secrets = Secrets::open(
            &self.store,
            &RootSource::File,
            path,
            Cost::for_tests(),
            &random,
            clock.now(),
        )
        .await;
        let policy = RotationPolicy::new(HOUR, HOUR * 24, HOUR * 2, HOUR).unwrap();
        let options = KeyRingOptions {
            policy,
            algorithms: vec![Algorithm::Es256],
        };
        KeyRing::new(
            self.store.clone(),
            Arc::new(secrets.unwrap()),
            clock,
            options,
        )
    }
}

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn kids(ring: &KeyRing, name: &str) -> Vec<Kid> {
    ring.jwks(&tenant(name))
        .unwrap()
        .set
        .iter()
        .filter_map(|key| key.kid().cloned())
        .collect()
}

#[tokio::test]
async fn the_first_start_publishes_a_current_and_a_next_key_for_each_tenant() {
    let installation = Installation::new().await;
    let ring = installation.ring().await;
    let mut made = 0;
    ring.advance(&[tenant("demo"), tenant("other")], |_| made += 1)
        .await
        .unwrap();
    // Two to sign and two to open messages, for each of two tenants.
    assert_eq!(made, 8);
    let (demo, other) = (kids(&ring, "demo"), kids(&ring, "other"));
    assert_eq!((demo.len(), other.len()), (2, 2));
    assert!(
        demo.iter().all(|kid| !other.contains(kid)),
        "tenants share no key"
    );
    assert!(demo.contains(ring.signer(&tenant("demo")).unwrap().access_token.kid()));
    // The set that is served holds no private member.
    let body = ring.jwks(&tenant("demo")).unwrap().body.clone();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    for key in body["keys"].as_array().unwrap() {
        assert!(key.get("d").is_none() && key.get("kid").is_some());
        assert_eq!(key.get("alg").is_some(), key["use"] == "sig");
    }
}

#[tokio::test]
async fn keys_outlive_a_restart_and_another_root_key_opens_none() {
    let installation = Installation::new().await;
    let ring = installation.ring().await;
    ring.advance(&[tenant("demo")], |_| {}).await.unwrap();
    let again = installation.ring().await;
    again
        .advance(&[tenant("demo")], |_| panic!("no key is made twice"))
        .await
        .unwrap();
    assert_eq!(kids(&ring, "demo"), kids(&again, "demo"));

    let root = installation.dir.path().join("keys").join("root.key");
    std::fs::remove_file(&root).unwrap();
    let now = installation.clock.clock().now();
    let random = seeded(5);
    let open = || {
        Secrets::open(
            &installation.store,
            &RootSource::File,
            installation.dir.path(),
            Cost::for_tests(),
            &random,
            now,
        )
    };
    assert!(matches!(
        open().await,
        Err(crate::secrets::SecretsError::RootMissing(_))
    ));
    RootSource::File
        .create(installation.dir.path(), Cost::for_tests(), &seeded(99))
        .unwrap();
    assert!(matches!(
        open().await,
        Err(crate::secrets::SecretsError::AnotherRoot(_))
    ));
}

#[tokio::test]
async fn a_key_signs_only_after_it_was_published_and_stays_until_its_tokens_are_gone() {
    let installation = Installation::new().await;
    let ring = installation.ring().await;
    let demo = tenant("demo");
    ring.advance(std::slice::from_ref(&demo), |_| {})
        .await
        .unwrap();
    let first = ring.signer(&demo).unwrap().access_token.kid().clone();

    // The first two keys were published together, so whoever knows one knows the other; the third waits until it is known.
    let second = ring.rotate(&demo).await.unwrap();
    assert_ne!([first.clone()].as_slice(), second.as_slice());
    assert!(matches!(
        ring.rotate(&demo).await,
        Err(KeyRingError::NotYet(_))
    ));

    installation.clock.advance(HOUR);
    let rotated = ring.rotate(&demo).await.unwrap();
    let third = ring.signer(&demo).unwrap().access_token.kid().clone();
    assert_ne!(second.as_slice(), [third.clone()].as_slice());
    assert_eq!(rotated, [third]);
    assert_eq!(
        kids(&ring, "demo").len(),
        4,
        "the retired, the current and the next key are published"
    );

    installation.clock.advance(HOUR * 3);
    ring.advance(std::slice::from_ref(&demo), |_| {})
        .await
        .unwrap();
    assert!(
        !kids(&ring, "demo").contains(&first),
        "a retired key goes once its tokens are gone"
    );
}

#[tokio::test]
async fn a_sealed_key_does_not_open_in_another_tenants_row() {
    let installation = Installation::new().await;
    let ring = installation.ring().await;
    ring.advance(&[tenant("demo")], |_| {}).await.unwrap();
    let mut connection = installation.store.read().await.unwrap();
    let rows = signing_keys::list(&mut connection, &tenant("demo"))
        .await
        .unwrap();
    drop(connection);
    assert!(ring.open(&tenant("demo"), &rows, 1).is_ok());
    assert!(matches!(
        ring.open(&tenant("other"), &rows, 1),
        Err(KeyRingError::Open(_))
    ));
}

#[tokio::test]
async fn what_is_encrypted_to_the_published_key_opens_before_and_after_a_rotation() {
    use countersign_crypto::jose::{ContentEncryption, EncryptionKeySet, Jwe, JweRules};
    use countersign_crypto::jose::{KeyManagement, encrypt_jwt};
    let installation = Installation::new().await;
    let ring = installation.ring().await;
    let names = [tenant("demo"), tenant("other")];
    ring.advance(&names, |_| {}).await.unwrap();
    let offered = || {
        let set = EncryptionKeySet::parse(&ring.jwks(&names[0]).unwrap().body).unwrap();
        set.find(KeyManagement::EcdhEs).cloned().unwrap()
    };
    let rules = JweRules {
        key_management: &KeyManagement::ALL,
        content: &ContentEncryption::ALL,
    };
    let first = offered();
    let message = encrypt_jwt(
        &Secret::new("a.b.c".to_owned()),
        &first,
        KeyManagement::EcdhEs,
        ContentEncryption::A128Gcm,
        ring.secrets.random(),
    )
    .unwrap();
    let opens = |of: &Tenant| {
        let jwe = Jwe::parse(&message, &rules).unwrap();
        jwe.decrypt(ring.decryption_keys(of).iter()).is_ok()
    };
    assert!(opens(&names[0]));
    assert!(!opens(&names[1]), "tenants share no key");
    ring.rotate(&names[0]).await.unwrap();
    assert_ne!(offered(), first, "one key is offered, the new one");
    assert!(
        opens(&names[0]),
        "clients may still have the old one at hand"
    );
    installation.clock.advance(HOUR * 3);
    ring.advance(&names, |_| {}).await.unwrap();
    assert!(!opens(&names[0]), "not for ever");
}
