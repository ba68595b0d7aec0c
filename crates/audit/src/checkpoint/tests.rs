//! Checkpoints: written as C2SP says, and nothing else read.

use super::*;
use crate::note::tests::signer;

#[test]
fn a_checkpoint_is_three_lines() {
    let signer = signer("audit.example/log");
    let checkpoint = Checkpoint {
        origin: signer.verifier().origin().clone(),
        size: 70_000,
        root: Hash::empty_root(),
    };
    assert_eq!(
        checkpoint.text(),
        "audit.example/log\n70000\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    );
    let note = checkpoint.sign(&signer).unwrap();
    assert_eq!(
        Checkpoint::open(note.as_bytes(), signer.verifier()),
        Ok(checkpoint)
    );
}

#[test]
fn what_is_signed_but_no_checkpoint_is_refused() {
    let signer = signer("audit.example/log");
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let check = |text: &str, error: Option<NoteError>| {
        let note = signer.sign(text).unwrap();
        assert_eq!(
            Checkpoint::open(note.as_bytes(), signer.verifier()).err(),
            error,
            "{text:?}"
        );
    };
    check(&format!("audit.example/log\n1\n{root}\n"), None);
    check(
        &format!("audit.example/other\n1\n{root}\n"),
        Some(NoteError::Origin),
    );
    check(
        &format!("audit.example/log\n01\n{root}\n"),
        Some(NoteError::Checkpoint),
    );
    check(
        &format!("audit.example/log\n-1\n{root}\n"),
        Some(NoteError::Checkpoint),
    );
    check(
        &format!("audit.example/log\n1\n{root}\nextension\n"),
        Some(NoteError::Checkpoint),
    );
    check("audit.example/log\n1\nAAAA\n", Some(NoteError::Checkpoint));
    check("audit.example/log\n1\n", Some(NoteError::Checkpoint));
}
