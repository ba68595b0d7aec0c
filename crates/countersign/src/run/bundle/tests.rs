//! A configuration that demands a bundle: what it takes, what it refuses, and that it never goes back.

use super::*;
use crate::config;
use crate::run::system_clock;
use countersign_base::Duration;
use countersign_crypto::base64url;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::signing::{PolicyBundle, SigningKey, generate_pkcs8};
use countersign_policy::defaults;

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
    let files = defaults::POLICIES.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let now = system_clock().now();
    let until = now.plus(Duration::from_secs(600));
    let bundle = Bundle::new(version, now, until, files.into()).unwrap();
    fs::write(dir.join("policies.bundle"), bundle.seal(key).unwrap()).unwrap();
}

#[test]
fn only_what_a_pinned_key_signed_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let (pinned, other) = (key(), key());
    let config = demanding(dir.path(), &pinned);
    let load = || crate::run::declared::policies(&config);
    assert!(load().is_err(), "there is none");
    write(dir.path(), &other, 1);
    assert!(load().is_err(), "another key");
    write(dir.path(), &pinned, 1);
    assert_eq!(
        load().unwrap().digest(),
        countersign_policy::PolicySet::load(defaults::SCHEMA, &defaults::POLICIES)
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
        assert!(check_version(&config, data.path()).is_ok(), "{version}");
        remember_version(&config, data.path()).unwrap();
    }
    write(dir.path(), &key, 7);
    assert!(check_version(&config, data.path()).is_err());
    assert!(remember_version(&config, data.path()).is_err());
    // A memory that nobody can read is no reason to forget.
    fs::write(data.path().join(USED), "many").unwrap();
    write(dir.path(), &key, 9);
    assert!(check_version(&config, data.path()).is_err());
}

#[test]
fn a_configuration_without_a_bundle_remembers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), "").unwrap();
    let config = config::load(dir.path()).unwrap();
    assert_eq!(bundle(&config).unwrap(), None);
    remember_version(&config, dir.path()).unwrap();
    assert!(!dir.path().join(USED).exists());
}
