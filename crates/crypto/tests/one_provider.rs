//! What the lock file may not name. Which crates may be linked at all is judged by `cargo deny` (deny.toml); the lock file also
//! names optional crates that are never built, so only what may not even be an option is looked for here.

const LOCK: &str = include_str!("../../../Cargo.lock");

/// RUSTSEC-2023-0071: private-key operations of the `rsa` crate leak by timing. Ours go through aws-lc; nobody else brings it along.
#[test]
fn a66_the_rsa_crate_is_not_linked() {
    let locked = |name: &str| LOCK.contains(&format!("name = \"{name}\"\n"));
    assert!(
        locked("aws-lc-rs"),
        "the lock file is read as it is written"
    );
    assert!(!locked("rsa"));
}
