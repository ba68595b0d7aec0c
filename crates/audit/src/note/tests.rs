//! Signed notes: the form, the key line, and every way in which one is not accepted.

use super::*;
use countersign_base::Kid;
use countersign_crypto::signing::generate_pkcs8;

pub(crate) fn signer(origin: &str) -> NoteSigner {
    let kid: Kid = "log".parse().unwrap();
    let key = SigningKey::from_pkcs8(
        Algorithm::EdDsa,
        kid,
        &generate_pkcs8(Algorithm::EdDsa).unwrap(),
    )
    .unwrap();
    NoteSigner::new(origin.parse().unwrap(), key).unwrap()
}

/// The vector of Go's `golang.org/x/mod/sumdb/note` documentation.
#[test]
fn a_note_signed_by_others_is_accepted() {
    let key =
        VerifierKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
            .unwrap();
    let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    assert!(
        key.open(note.as_bytes())
            .unwrap()
            .starts_with("If you think")
    );
    let changed = note.replace("answer", "solution");
    assert_eq!(key.open(changed.as_bytes()), Err(NoteError::Signature));
    assert_eq!(
        key.to_string(),
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    );
}

#[test]
fn only_the_known_key_counts() {
    let (ours, others) = (signer("log.example/eu"), signer("log.example/eu"));
    let note = ours.sign("text\n").unwrap();
    let key = VerifierKey::parse(&ours.verifier().to_string()).unwrap();
    assert_eq!(key.open(note.as_bytes()), Ok("text\n"));
    assert_eq!(
        others.verifier().open(note.as_bytes()),
        Err(NoteError::Unsigned)
    );
    let cosigned = format!(
        "{note}{}",
        others
            .sign("text\n")
            .unwrap()
            .rsplit_once("\n\n")
            .unwrap()
            .1
    );
    assert_eq!(
        key.open(cosigned.as_bytes()),
        Ok("text\n"),
        "an unknown key's line is passed over"
    );
    assert_eq!(others.verifier().open(cosigned.as_bytes()), Ok("text\n"));
}

#[test]
fn what_is_no_note_is_refused() {
    let signer = signer("log.example");
    let note = signer.sign("text\n").unwrap();
    let refused = [
        note.replace("\n\n", "\n"),
        note.trim_end().to_owned(),
        note.replace('\u{2014}', "-"),
        note.replace("text", "te\txt"),
        note.replace("log.example ", "log.example  "),
        format!("{note}\n"),
        String::new(),
    ];
    for text in refused {
        assert_eq!(
            signer.verifier().open(text.as_bytes()),
            Err(NoteError::Form),
            "{text:?}"
        );
    }
    assert_eq!(signer.verifier().open(b"\xff\n\n"), Err(NoteError::Form));
}

#[test]
fn a_key_line_names_its_own_key() {
    let line = signer("log.example").verifier().to_string();
    assert!(VerifierKey::parse(&line).is_ok());
    let (name, rest) = line.split_once('+').unwrap();
    let (id, key) = rest.split_once('+').unwrap();
    for other in [
        format!("{name}+00000000+{key}"),
        format!("other.example+{id}+{key}"),
        format!("{name}+{id}+"),
        format!("{name}+{id}"),
    ] {
        assert!(VerifierKey::parse(&other).is_err(), "{other}");
    }
}

#[test]
fn checkpoints_are_signed_with_ed25519_alone() {
    let kid: Kid = "log".parse().unwrap();
    let key = SigningKey::from_pkcs8(
        Algorithm::Es256,
        kid,
        &generate_pkcs8(Algorithm::Es256).unwrap(),
    )
    .unwrap();
    assert_eq!(
        NoteSigner::new("log.example".parse().unwrap(), key).err(),
        Some(NoteError::Key)
    );
}

#[test]
fn an_origin_names_a_directory_that_stays_where_it_is() {
    for good in ["localhost:8443/eu", "audit.example", "a/b/c-d_e"] {
        assert!(good.parse::<Origin>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/..",
        "a/./b",
        "a b",
        "a+b",
        "a\nb",
        "https://a\\b",
    ] {
        assert!(bad.parse::<Origin>().is_err(), "{bad}");
    }
}
