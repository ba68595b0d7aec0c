//! The closed doors show the same certificate at each start.

use super::{CERTIFICATE_LIFETIME, Kept, RENEWED_BEFORE, certificate};
use crate::config;
use crate::run::Options;
use countersign_base::{Duration, Secret};
use countersign_crypto::Random;
use countersign_crypto::password::Cost;
use countersign_crypto::x509::{CertificateAuthority, X509Error};
use countersign_testkit::FakeClock;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn options(data: &Path, clock: &FakeClock) -> Options {
    let file = Path::new(config::FILE);
    Options {
        config: config::parse(Path::new("."), file, "").unwrap(),
        data: data.to_owned(),
        unsealed: None,
        store: None,
        password_cost: Cost::for_tests(),
        clock: clock.clock(),
        random: Random::system(),
        progress: Box::new(|_| ()),
    }
}

#[test]
fn the_authority_is_the_same_at_each_start_until_names_change_or_it_ends() {
    let data = tempfile::tempdir().unwrap();
    let clock = FakeClock::default();
    let options = options(data.path(), &clock);
    let shown = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (_tls, ca) = certificate(&options, &names).unwrap();
        std::fs::read_to_string(ca).unwrap()
    };
    let first = shown(&["vault.example", "192.0.2.1"]);
    assert_eq!(shown(&["vault.example", "192.0.2.1"]), first);
    let other = shown(&["other.example"]);
    assert_ne!(other, first);
    let nearly = CERTIFICATE_LIFETIME.as_secs() - RENEWED_BEFORE.as_secs() - 60;
    clock.advance(Duration::from_secs(nearly));
    assert_eq!(shown(&["other.example"]), other);
    clock.advance(Duration::from_secs(120));
    assert_ne!(shown(&["other.example"]), other);
}

#[test]
fn the_key_is_the_doors_alone_and_its_owners() {
    let data = tempfile::tempdir().unwrap();
    let options = options(data.path(), &FakeClock::default());
    let _made = certificate(&options, &[]).unwrap();
    let path = data.path().join("keys/sealed-door.json");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept: Kept = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let key = kept.key.replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - key.len() % 4) % 4);
    let lines: Vec<&str> = key
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}{padding}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    );
    let authority =
        CertificateAuthority::from_pem(&kept.authority, &Secret::new(key), &options.random);
    assert!(
        matches!(authority, Err(X509Error::Key)),
        "what is kept certifies nothing"
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        certificate(&options, &[]).is_err(),
        "others could have read it"
    );
}
