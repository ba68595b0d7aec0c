//! Bundles that were signed, and every way of changing one.

use super::*;
use countersign_crypto::signing::generate_pkcs8;

const NOW: UnixTime = UnixTime(1_000);

fn key() -> SigningKey<PolicyBundle> {
    let pkcs8 = generate_pkcs8(Algorithm::EdDsa).unwrap();
    SigningKey::from_pkcs8(Algorithm::EdDsa, "signer".parse().unwrap(), &pkcs8).unwrap()
}

fn pinned(key: &SigningKey<PolicyBundle>) -> VerifyingKey {
    let bytes = key.public_jwk().as_ed25519().unwrap();
    signer(&base64url::encode(bytes)).unwrap()
}

fn bundle(version: u64) -> Bundle {
    let files = [
        ("orders.cedar", "permit (principal, action, resource);"),
        ("orders.cedarschema", "entity Order { tenant: Tenant };"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    Bundle::new(version, UnixTime(900), UnixTime(1_100), files.into()).unwrap()
}

#[test]
fn what_was_signed_is_opened() {
    let key = key();
    let sealed = bundle(7).seal(&key).unwrap();
    let others = [pinned(&self::key()), pinned(&key)];
    let opened = Bundle::open(&sealed, &others, NOW).unwrap();
    assert_eq!(opened, bundle(7));
    assert_eq!(opened.policies().len(), 1);
    assert!(opened.schema().contains("entity Order"));
    crate::PolicySet::load(&opened.schema(), &opened.policies()).unwrap();
}

#[test]
fn what_nobody_pinned_signed_is_refused() {
    let (key, other) = (key(), key());
    let sealed = bundle(7).seal(&key).unwrap();
    assert_eq!(
        Bundle::open(&sealed, &[pinned(&other)], NOW),
        Err(BundleError::Signature)
    );
    assert_eq!(Bundle::open(&sealed, &[], NOW), Err(BundleError::Signature));
    assert!(signer("").is_none() && signer(&"A".repeat(44)).is_none());
}

#[test]
fn nothing_of_a_bundle_can_be_changed() {
    let key = key();
    let signers = [pinned(&key)];
    let sealed = bundle(7).seal(&key).unwrap();
    let open = |text: &str| Bundle::open(text, &signers, NOW);
    for (from, to) in [
        ("\\\"version\\\":7", "\\\"version\\\":8"),
        ("\\\"expires\\\":1100", "\\\"expires\\\":9100"),
        ("orders.cedar\\\"", "others.cedar\\\""),
    ] {
        let changed = sealed.replace(from, to);
        assert_ne!(changed, sealed, "{from}");
        assert_eq!(open(&changed), Err(BundleError::Signature), "{from}");
    }
    let policy = "permit (principal, action, resource);";
    let changed = sealed.replace(policy, &policy.replace("permit", "forbid"));
    assert_eq!(
        open(&changed),
        Err(BundleError::File("orders.cedar".to_owned()))
    );
    let more = sealed.replace(
        "\"orders.cedar\": ",
        "\"more.cedar\": \"\", \"orders.cedar\": ",
    );
    assert_eq!(open(&more), Err(BundleError::File("more.cedar".to_owned())));
    for broken in ["", "{}", "[]", &sealed.replacen('{', "{\"x\":1,", 1)] {
        assert_eq!(open(broken), Err(BundleError::Form), "{broken}");
    }
}

#[test]
fn a_bundle_has_its_time_and_goes_forward_alone() {
    let key = key();
    let signers = [pinned(&key)];
    let sealed = bundle(7).seal(&key).unwrap();
    let at = |now| Bundle::open(&sealed, &signers, UnixTime(now)).map(drop);
    assert_eq!(at(899), Err(BundleError::NotYet(900)));
    assert_eq!((at(900), at(1_099)), (Ok(()), Ok(())));
    assert_eq!(at(1_100), Err(BundleError::Expired(1_100)));
    assert_eq!(check_rollback(bundle(7).version(), 7), Ok(()));
    let back = Err(BundleError::RolledBack {
        version: 7,
        used: 8,
    });
    assert_eq!(check_rollback(bundle(7).version(), 8), back);
}

#[test]
fn a_file_is_one_name() {
    for name in [
        "../a.cedar",
        "/a.cedar",
        "a/b.cedar",
        ".a.cedar",
        "a.txt",
        "",
        "a b.cedar",
    ] {
        let files = [(name.to_owned(), String::new())].into();
        let refused = Bundle::new(1, NOW, NOW, files);
        assert_eq!(refused, Err(BundleError::File(name.to_owned())), "{name}");
    }
}
