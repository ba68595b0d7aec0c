//! A source opens the seal that it made, and no other one's.

use super::{Source, SourceError, Token, TokenError};
use countersign_base::Secret;
use countersign_crypto::password::Cost;
use countersign_crypto::random::Random;
use countersign_keys::KekSet;
use countersign_keys::seal::{Initialized, Seal, SealPlan, initialize};
use std::path::Path;
use std::sync::Arc;

/// A token that masks what it is given, and knows its own.
struct Mask(u8);

impl Token for Mask {
    fn wrap(&self, key: &Secret<[u8; 32]>) -> Result<Vec<u8>, TokenError> {
        let masked = key.expose().iter().map(|byte| byte ^ self.0);
        Ok(masked.chain([self.0]).collect())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Secret<[u8; 32]>, TokenError> {
        let (mask, masked) = wrapped.split_last().unwrap();
        if *mask != self.0 {
            return Err(TokenError::KeyUnusable("another key".to_owned()));
        }
        let bytes: Vec<u8> = masked.iter().map(|byte| byte ^ self.0).collect();
        Ok(Secret::new(bytes.try_into().unwrap()))
    }
}

fn passphrase(text: &str) -> Source {
    Source::Passphrase {
        passphrase: Secret::new(text.to_owned()),
        cost: Cost::for_tests(),
    }
}

fn token(mask: u8) -> Source {
    Source::Pkcs11 {
        key: "vault".to_owned(),
        token: Arc::new(Mask(mask)),
    }
}

fn fixed(key: &str, byte: u8) -> Source {
    Source::Static {
        key: key.to_owned(),
        bytes: Secret::new([byte; 32]),
    }
}

fn sealed(source: &Source) -> Initialized {
    let random = Random::system();
    let (source, key) = source.create(&random).unwrap();
    let plan = SealPlan::Auto {
        source,
        key,
        recovery: None,
    };
    initialize(plan, &KekSet::generate(&random), &random).unwrap()
}

/// Whether `by` gives the key that opens what `made` sealed.
fn opens(made: &Initialized, by: &Source) -> Result<bool, SourceError> {
    let Seal::Auto { source, .. } = made.row.seal() else {
        panic!("a source sealed it");
    };
    by.open(source).map(|key| made.row.open(&key).is_ok())
}

fn sources(directory: &Path) -> [Source; 4] {
    [
        Source::File(directory.join("unseal.key")),
        passphrase("correct horse battery staple"),
        token(0x5a),
        fixed("2026", 9),
    ]
}

#[test]
fn each_source_opens_its_own_seal_and_no_other_kinds() {
    let directory = tempfile::tempdir().unwrap();
    let sources = sources(directory.path());
    for (at, source) in sources.iter().enumerate() {
        let made = sealed(source);
        for (other, by) in sources.iter().enumerate() {
            let opened = opens(&made, by);
            if at == other {
                assert!(opened.unwrap(), "{}", source.kind());
            } else {
                assert!(matches!(opened, Err(SourceError::AnotherKind { .. })));
            }
        }
    }
}

#[test]
fn another_value_of_the_same_source_opens_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = Source::File(directory.path().join("unseal.key"));
    let made = sealed(&file);
    std::fs::remove_file(directory.path().join("unseal.key")).unwrap();
    assert!(matches!(
        opens(&made, &file),
        Err(SourceError::FileMissing(_))
    ));
    let made = sealed(&passphrase("correct horse battery staple"));
    assert!(!opens(&made, &passphrase("wrong horse battery staple")).unwrap());
    let made = sealed(&fixed("2026", 9));
    assert!(!opens(&made, &fixed("2026", 8)).unwrap());
    let other = opens(&made, &fixed("2025", 9));
    assert!(matches!(other, Err(SourceError::AnotherKey { .. })));
    let made = sealed(&token(1));
    let other = opens(&made, &token(2)).unwrap_err();
    assert!(matches!(
        other,
        SourceError::Token(TokenError::KeyUnusable(_))
    ));
    assert!(!other.may_pass());
}

#[test]
fn a_file_that_others_could_read_gives_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("unseal.key");
    let file = Source::File(path.clone());
    let made = sealed(&file);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(opens(&made, &file), Err(SourceError::File(_))));
}
