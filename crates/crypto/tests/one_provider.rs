//! One cryptographic provider: what the lock file may not name.

const LOCK: &str = include_str!("../../../Cargo.lock");

/// RUSTSEC-2023-0071: private-key operations of the `rsa` crate leak by timing. Ours go through aws-lc; nobody else brings it along.
#[test]
fn a66_the_rsa_crate_is_not_linked() {
    let locked = |name: &str| LOCK.contains(&format!("name = \"{name}\"\n"));
    assert!(
        locked("aws-lc-rs"),
        "the lock file is read as it is written"
    );
    for refused in ["rsa", "ring", "openssl-sys", "native-tls"] {
        assert!(!locked(refused), "{refused}");
    }
}
