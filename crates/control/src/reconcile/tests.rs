use super::*;
use crate::{Fabric, FabricOptions, KeyRingOptions, RootSource};
use countersign_authn::dpop::NonceUse;
use countersign_authn::{RevocationId, Revocations};
use countersign_base::{ClientId, Duration, UserId, Username};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::password::Cost;
use countersign_keys::RotationPolicy;
use countersign_policy::{PolicySet, defaults};
use countersign_store::{StoreOptions, StoreUrl};
use countersign_testkit::FakeClock;
use std::sync::Arc;

const HOUR: Duration = Duration::from_secs(3_600);

fn tenant() -> Tenant {
    "demo".parse().unwrap()
}

fn alice(password: &str) -> DeclaredUser {
    let record = UserRecord {
        id: UserId::from_bytes([0; 16]),
        tenant: tenant(),
        username: "alice".parse().unwrap(),
        password: None,
        roles: BTreeSet::new(),
        groups: BTreeSet::new(),
        attributes: std::collections::BTreeMap::new(),
        profile: countersign_oauth::Profile::default(),
        enabled: true,
        origin: Origin::Configuration,
        created: FakeClock::default().clock().now(),
    };
    DeclaredUser {
        record,
        password: Secret::new(password.to_owned()),
    }
}

fn portal() -> DeclaredClient {
    let now = FakeClock::default().clock().now();
    let mut record = ClientRecord::new(
        "portal".parse().unwrap(),
        tenant(),
        ClientAuthentication::Public,
        now,
    );
    record.origin = Origin::Configuration;
    DeclaredClient {
        record,
        secret: None,
    }
}

fn declared(users: Vec<DeclaredUser>, clients: Vec<DeclaredClient>) -> Declared {
    let tenants = vec![TenantRecord::new(
        tenant(),
        "https://id.example/t/demo".parse().unwrap(),
    )];
    Declared {
        tenants,
        groups: Vec::new(),
        users,
        clients,
        providers: Vec::new(),
        ..Declared::default()
    }
}

async fn start(data: &std::path::Path, declared: Declared) -> Arc<Fabric> {
    let clock = FakeClock::default().clock();
    let options = FabricOptions {
        data: data.to_owned(),
        store: StoreOptions::new(StoreUrl::Sqlite(data.join("state.db"))),
        clock,
        random: countersign_crypto::Random::system(),
        root: RootSource::File,
        origin: "example.com/log".parse().unwrap(),
        keys: KeyRingOptions {
            policy: RotationPolicy::new(HOUR, HOUR * 24, HOUR, HOUR).unwrap(),
            algorithms: vec![Algorithm::Es256],
        },
        hierarchy: crate::HierarchyOptions::default(),
        policies: PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap(),
        passphrase_cost: Cost::for_tests(),
        password_cost: Cost::for_tests(),
        password_threads: 1,
        declared,
        configuration: [7; 32],
        details_for: HOUR,
        foreign: Vec::new(),
        upstreams: Vec::new(),
        outside: countersign_testkit::FakeInternet::new().client(),
        nonces: NonceUse::AfterStart,
        traces: crate::TraceOptions::default(),
        progress: Box::new(|_| {}),
    };
    Fabric::start(options).await.unwrap()
}

async fn stored_user(fabric: &Fabric) -> UserRecord {
    let mut connection = fabric.store().read().await.unwrap();
    let name: Username = "alice".parse().unwrap();
    users::find_by_name(&mut connection, &tenant(), &name)
        .await
        .unwrap()
        .unwrap()
}

fn matches(
    user: &UserRecord,
    password: &str,
) -> Result<(), countersign_crypto::password::PasswordDiffers> {
    let hash = PasswordHash::parse(user.password.as_ref().unwrap().phc()).unwrap();
    hash.verify(&Secret::new(password.to_owned()))
        .map(|_matched| ())
}

#[tokio::test]
async fn what_is_declared_is_stored_once_and_followed() {
    let data = tempfile::tempdir().unwrap();
    let fabric = start(
        data.path(),
        declared(vec![alice("first password")], vec![portal()]),
    )
    .await;
    let first = stored_user(&fabric).await;
    assert!(matches(&first, "first password").is_ok());

    // The same again changes nothing; not even the salt of the password.
    let again = fabric
        .apply(
            declared(vec![alice("first password")], vec![portal()]),
            [7; 32],
        )
        .await
        .unwrap();
    assert_eq!(again, 0);
    assert_eq!(
        stored_user(&fabric).await.password.unwrap().phc(),
        first.password.as_ref().unwrap().phc()
    );
    let revoked = || {
        fabric
            .revocations()
            .not_before(RevocationId::User(first.id))
    };
    assert_eq!(revoked(), None, "the twin");

    let changed = fabric
        .apply(
            declared(vec![alice("second password")], vec![portal()]),
            [8; 32],
        )
        .await
        .unwrap();
    assert_eq!(changed, 1);
    let second = stored_user(&fabric).await;
    assert_eq!(second.id, first.id, "a person keeps their id");
    assert!(
        revoked().is_some(),
        "whoever knew the first password is out"
    );
    assert!(
        matches(&second, "second password").is_ok() && matches(&second, "first password").is_err()
    );
    fabric.stop(Code::of("test_over")).await;
}

#[tokio::test]
async fn a_declared_password_follows_the_rules_of_its_tenant() {
    let data = tempfile::tempdir().unwrap();
    let first = declared(vec![alice("first password")], vec![portal()]);
    let fabric = start(data.path(), first).await;
    let leaked = |password: &str| {
        let mut changed = declared(vec![alice(password)], vec![portal()]);
        changed.breached_passwords = BreachedPasswords::read("leaked password\n");
        changed
    };
    for (refused, why) in [
        ("leaked password", PasswordRefused::Known),
        ("short", PasswordRefused::TooShort(8)),
        ("Alice123", PasswordRefused::Username),
    ] {
        let error = fabric.apply(leaked(refused), [8; 32]).await.unwrap_err();
        assert!(error.to_string().contains(&why.to_string()), "{error}");
        assert!(
            matches(&stored_user(&fabric).await, "first password").is_ok(),
            "nothing changed"
        );
    }
    fabric
        .apply(leaked("second password"), [9; 32])
        .await
        .unwrap();
    assert!(
        matches(&stored_user(&fabric).await, "second password").is_ok(),
        "the twin"
    );
    fabric.stop(Code::of("test_over")).await;
}

#[tokio::test]
async fn what_is_no_longer_declared_ends_at_once() {
    let data = tempfile::tempdir().unwrap();
    let fabric = start(
        data.path(),
        declared(vec![alice("a password")], vec![portal()]),
    )
    .await;
    let (user, client): (_, ClientId) = (stored_user(&fabric).await.id, "portal".parse().unwrap());
    assert!(
        fabric
            .directory()
            .client(&tenant(), &client)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        fabric.revocations().not_before(RevocationId::User(user)),
        None
    );

    fabric
        .apply(declared(Vec::new(), Vec::new()), [8; 32])
        .await
        .unwrap();
    assert!(!stored_user(&fabric).await.enabled);
    assert!(
        fabric
            .directory()
            .client(&tenant(), &client)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        fabric
            .revocations()
            .not_before(RevocationId::User(user))
            .is_some()
    );
    assert!(
        fabric
            .revocations()
            .not_before(RevocationId::Client(&tenant(), &client))
            .is_some()
    );
    fabric.stop(Code::of("test_over")).await;
}

#[tokio::test]
async fn what_a_script_made_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let fabric = start(data.path(), declared(Vec::new(), Vec::new())).await;
    let now = fabric.now();
    let record = ClientRecord::new(
        "scripted".parse().unwrap(),
        tenant(),
        ClientAuthentication::Public,
        now,
    );
    let event = ClientAdded {
        by: Actor::LocalAdministrator,
        client: record.id.clone(),
        method: method(&record.authentication),
    };
    let event = fabric.recorder().about_event(&tenant(), None, event);
    fabric
        .store()
        .change(
            &tenant(),
            vec![Write::AddClient(Box::new(record.clone()))],
            event,
            now,
        )
        .await
        .unwrap();
    fabric
        .apply(declared(Vec::new(), Vec::new()), [8; 32])
        .await
        .unwrap();
    assert!(
        fabric
            .directory()
            .client(&tenant(), &record.id)
            .await
            .unwrap()
            .is_some()
    );
    fabric.stop(Code::of("test_over")).await;
}

#[tokio::test]
async fn a_tenant_that_is_declared_while_running_gets_keys() {
    let data = tempfile::tempdir().unwrap();
    let fabric = start(data.path(), declared(Vec::new(), Vec::new())).await;
    let other: Tenant = "other".parse().unwrap();
    assert!(fabric.keys().signer(&other).is_none());
    let mut more = declared(Vec::new(), Vec::new());
    more.tenants.push(TenantRecord::new(
        other.clone(),
        "https://id.example/t/other".parse().unwrap(),
    ));
    fabric.apply(more, [8; 32]).await.unwrap();
    assert!(fabric.keys().signer(&other).is_some());
    fabric.stop(Code::of("test_over")).await;
}
