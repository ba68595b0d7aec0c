//! A configuration that demands a bundle: what it takes, what it refuses, that it never goes back, and what becomes of it when its time is over.

use super::*;
use crate::config;
use crate::config::listeners::Listeners;
use crate::run::{Options, Running, run, system_clock};
use countersign_audit::Code;
use countersign_base::Duration;
use countersign_control::policy_time::{OVERDUE_MAX, Standing};
use countersign_crypto::Random;
use countersign_crypto::base64url;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::password::Cost;
use countersign_crypto::signing::{PolicyBundle, SigningKey, generate_pkcs8};
use countersign_policy::{PolicySet, defaults};
use countersign_store::audit::{find_logs, tail};
use countersign_testkit::FakeClock;

/// For so long a bundle of these tests is for use.
const FOR_USE: Duration = Duration::from_secs(600);

fn key() -> SigningKey<PolicyBundle> {
    let pkcs8 = generate_pkcs8(Algorithm::EdDsa).unwrap();
    SigningKey::from_pkcs8(Algorithm::EdDsa, "signer".parse().unwrap(), &pkcs8).unwrap()
}

/// A configuration that demands `policies.bundle`, signed by a key.
fn demanding(dir: &Path, key: &SigningKey<PolicyBundle>) -> Config {
    let public = base64url::encode(key.public_jwk().as_ed25519().unwrap());
    let text = format!("[policies]\nbundle = \"policies.bundle\"\nsigners = [\"{public}\"]\n");
    fs::write(dir.join(FILE), text).unwrap();
    config::load(dir).unwrap()
}

fn write(dir: &Path, key: &SigningKey<PolicyBundle>, version: u64) {
    write_at(dir, key, version, system_clock().now());
}

fn write_at(dir: &Path, key: &SigningKey<PolicyBundle>, version: u64, now: UnixTime) {
    let files = defaults::POLICIES.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let bundle = Bundle::new(version, now, now.plus(FOR_USE), files.into()).unwrap();
    fs::write(dir.join("policies.bundle"), bundle.seal(key).unwrap()).unwrap();
}

fn taken(config: &Config, data: &Path) -> Result<Chosen, RunError> {
    let chosen = choose(config, system_clock().now(), data)?;
    remember_version(config, chosen.term.as_ref(), data)?;
    Ok(chosen)
}

#[test]
fn only_what_a_pinned_key_signed_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let (pinned, other) = (key(), key());
    let config = demanding(dir.path(), &pinned);
    let load = || policies(&config, system_clock().now());
    assert!(load().is_err(), "there is none");
    write(dir.path(), &other, 1);
    assert!(load().is_err(), "another key");
    write(dir.path(), &pinned, 1);
    assert_eq!(
        load().unwrap().policies.digest(),
        PolicySet::load(defaults::SCHEMA, &defaults::POLICIES)
            .unwrap()
            .digest()
    );
    let path = dir.path().join("policies.bundle");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("permit", "forbid", 1)).unwrap();
    assert!(load().is_err(), "a changed file");
}

#[test]
fn a_version_that_was_passed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let key = key();
    let config = demanding(dir.path(), &key);
    for version in [7, 7, 8] {
        write(dir.path(), &key, version);
        assert!(taken(&config, data.path()).is_ok(), "{version}");
    }
    write(dir.path(), &key, 7);
    assert!(taken(&config, data.path()).is_err());
    // A memory that nobody can read is no reason to forget.
    fs::write(data.path().join(USED), "many").unwrap();
    write(dir.path(), &key, 9);
    assert!(taken(&config, data.path()).is_err());
}

#[test]
fn a_bundle_that_is_swapped_after_it_was_checked_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let key = key();
    let config = demanding(dir.path(), &key);
    write(dir.path(), &key, 8);
    let chosen = choose(&config, system_clock().now(), data.path()).unwrap();
    // Somebody puts an earlier one, which is as well signed, in its place; or takes it away.
    write(dir.path(), &key, 3);
    let term = chosen.term.as_ref();
    remember_version(&config, term, data.path()).unwrap();
    fs::remove_file(dir.path().join("policies.bundle")).unwrap();
    assert_eq!(term.map(Term::version), Some(8));
    let remembered = fs::read_to_string(data.path().join(USED)).unwrap();
    assert_eq!(remembered.trim(), "8", "what is remembered is what is used");
    write(dir.path(), &key, 3);
    assert!(taken(&config, data.path()).is_err());
    write(dir.path(), &key, 8);
    assert!(taken(&config, data.path()).is_ok());
}

#[test]
fn a_configuration_without_a_bundle_remembers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), "").unwrap();
    let config = config::load(dir.path()).unwrap();
    let chosen = taken(&config, dir.path()).unwrap();
    assert!(chosen.term.is_none());
    assert!(!dir.path().join(USED).exists());
}

async fn running(dir: &Path, config: &Config, clock: &FakeClock) -> Result<Running, RunError> {
    let mut config = config.clone();
    config.listeners = Listeners::ephemeral();
    run(Options {
        config,
        data: dir.join("data"),
        unsealed: None,
        store: None,
        password_cost: Cost::for_tests(),
        clock: clock.clock(),
        random: Random::system(),
        progress: Box::new(|_| {}),
    })
    .await
}

/// What the log says of bundles whose time is over: the standing of each event.
fn told(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for log in find_logs(&dir.join("data/audit")).unwrap() {
        for (_, record) in tail(&log, 0).unwrap().0 {
            if record.event.kind() == "policies.overdue" {
                let record = serde_json::to_value(&record).unwrap();
                let detail = record.get("detail").unwrap();
                assert_eq!(detail.get("version").unwrap(), 7);
                let standing = detail.get("standing").unwrap().as_str().unwrap();
                found.push(standing.to_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_goes_on_by_its_bundle_for_a_day_and_then_denies_until_there_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let clock = FakeClock::default();
    let now = || clock.clock().now();
    let key = key();
    let config = demanding(dir.path(), &key);
    write_at(dir.path(), &key, 7, now());
    let process = running(dir.path(), &config, &clock).await.unwrap();
    let (time, fabric) = (process.policy_time(), process.fabric());
    let own = *fabric.policies().digest();
    assert_eq!(time.look(fabric).await, Standing::InTime);

    clock.advance(FOR_USE);
    assert_eq!(time.look(fabric).await, Standing::GoesOn);
    assert_eq!(time.look(fabric).await, Standing::GoesOn);
    assert_eq!(
        *fabric.policies().digest(),
        own,
        "the last good one decides"
    );
    let refused = process.reload(&config).await;
    assert!(
        refused.is_err(),
        "a reload takes no bundle whose time is over"
    );
    assert_eq!(*fabric.policies().digest(), own);

    clock.advance(OVERDUE_MAX);
    assert_eq!(time.look(fabric).await, Standing::Denies);
    let names: Vec<String> = fabric.policies().ids().map(ToString::to_string).collect();
    assert_eq!(names, ["bundle#overdue"], "one policy, which forbids");
    assert!(process.reload(&config).await.is_err());
    assert_eq!(time.look(fabric).await, Standing::Denies);

    // A bundle that is for use brings everything back, without a restart.
    write_at(dir.path(), &key, 8, now());
    let mut fresh = config.clone();
    fresh.listeners = Listeners::ephemeral();
    process.reload(&fresh).await.unwrap();
    assert_eq!(*fabric.policies().digest(), own);
    assert_eq!(time.look(fabric).await, Standing::InTime);
    process.stop(Code::of("test")).await;
    assert_eq!(
        told(dir.path()),
        ["goes_on", "denies"],
        "each told once an hour"
    );

    clock.advance(FOR_USE);
    let start = running(dir.path(), &config, &clock).await;
    assert!(start.is_err(), "a restart wins no time");
}
