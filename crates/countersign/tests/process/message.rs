//! `message` at the command line: what goes out of one command goes into the other, and what is refused leaves nothing behind.

use crate::server::countersign;
use countersign_crypto::base64url;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

const CONTENT: &str = r#"{"order":1,"amount":"10.00"}"#;

/// Two partners in one directory: Alice signs, and Bob is sealed to and signs receipts.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        for (name, alg) in [
            ("alice", "EdDSA"),
            ("bob", "ES256"),
            ("bob-seal", "ECDH-P256"),
        ] {
            let out = desk.path(&format!("{name}.jwk"));
            let made = countersign(
                &["message", "key", "--alg", alg, "--kid", name, "--out", &out],
                "",
            );
            assert_eq!(made.status.code(), Some(0));
            std::fs::write(desk.path(&format!("{name}.jwks")), made.stdout).unwrap();
        }
        std::fs::write(desk.path("order.json"), CONTENT).unwrap();
        desk
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs `message`, with every argument that names a file of the desk made a path.
    fn run(&self, arguments: &str, input: &str) -> Output {
        let files = [
            "jwk", "jwks", "json", "jws", "jwe", "seen", "sent", "receipt", "out",
        ];
        let words: Vec<String> = arguments
            .split_whitespace()
            .map(|word| {
                let is_file = Path::new(word)
                    .extension()
                    .is_some_and(|kind| files.iter().any(|file| kind == *file));
                if is_file && !word.contains(':') {
                    self.path(word)
                } else {
                    word.to_owned()
                }
            })
            .collect();
        let mut all = vec!["message"];
        all.extend(words.iter().map(String::as_str));
        countersign(&all, input)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const PARTIES: &str = "--from https://alice.example --to https://bob.example";

fn taken(output: &Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn ended(output: &Output, code: i32, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(why), "{said} should say `{why}`");
    assert!(output.stdout.is_empty(), "nothing is given out");
}

#[test]
fn a_signed_message_is_taken_once() {
    let desk = Desk::new();
    let sign = format!("sign order.json --key alice.jwk {PARTIES} --type application/json");
    let text = taken(&desk.run(&sign, ""));
    std::fs::write(desk.path("order.jws"), &text).unwrap();
    let verify = format!("verify order.jws --keys alice.jwks {PARTIES} --seen taken.seen");
    assert_eq!(taken(&desk.run(&verify, "")), CONTENT);
    ended(&desk.run(&verify, ""), 1, "it came before");
    let again = format!("verify order.jws --keys alice.jwks {PARTIES} --again");
    assert_eq!(taken(&desk.run(&again, "")), CONTENT);
    // From a pipe, and as JSON.
    let json = format!("--json verify --keys alice.jwks {PARTIES} --again");
    let facts: Value = serde_json::from_str(&taken(&desk.run(&json, &text))).unwrap();
    assert_eq!(facts["issuer"], "https://alice.example");
    assert_eq!(facts["content_type"], "application/json");
    assert_eq!(facts["key"], "alice");
    let refused = desk.run(&format!("--json {verify}"), "");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.stdout, b"{\"refused\":\"replayed\"}\n");
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let desk = Desk::new();
    let sign = format!("sign order.json --key alice.jwk {PARTIES} --out order.jws");
    taken(&desk.run(&sign, ""));
    let before = desk.names();
    let check = |keys: &str, parties: &str, why: &str| {
        let verify = format!(
            "verify order.jws --keys {keys} {parties} --seen taken.seen --out content.out --receipt-key bob.jwk --receipt order.receipt"
        );
        ended(&desk.run(&verify, ""), 1, why);
        assert_eq!(desk.names(), before);
    };
    check("bob.jwks", PARTIES, "it names no key of the partner");
    let for_carol = "--from https://alice.example --to https://carol.example";
    check("alice.jwks", for_carol, "another receiver");
    let by_carol = "--from https://carol.example --to https://bob.example";
    check("alice.jwks", by_carol, "another party");
    std::fs::write(desk.path("order.jws"), "a.b.c").unwrap();
    check("alice.jwks", PARTIES, "not a message");
}

#[test]
fn a_detached_content_is_the_one_that_was_signed() {
    let desk = Desk::new();
    let sign = format!("sign order.json --detached --key alice.jwk {PARTIES} --out order.jws");
    assert_eq!(taken(&desk.run(&sign, "")), "");
    let verify = |content: &str| {
        desk.run(
            &format!("verify order.jws --content {content} --keys alice.jwks {PARTIES} --again"),
            "",
        )
    };
    assert_eq!(taken(&verify("order.json")), CONTENT);
    std::fs::write(desk.path("other.json"), CONTENT.replace("10.00", "99.00")).unwrap();
    ended(&verify("other.json"), 1, "the signature does not hold");
}

#[test]
fn a_sealed_message_is_opened_and_receipted() {
    let desk = Desk::new();
    let seal = format!(
        "seal order.json --key alice.jwk --receiver bob-seal.jwks {PARTIES} --keep order.sent --out order.jwe"
    );
    taken(&desk.run(&seal, ""));
    let sealed = std::fs::read_to_string(desk.path("order.jwe")).unwrap();
    assert_eq!(sealed.split('.').count(), 5);
    let open = format!(
        "open order.jwe --key bob-seal.jwk --keys alice.jwks {PARTIES} --seen taken.seen --out content.out --receipt-key bob.jwk --receipt order.receipt"
    );
    taken(&desk.run(&open, ""));
    assert_eq!(
        std::fs::read_to_string(desk.path("content.out")).unwrap(),
        CONTENT
    );
    let check = "--json receipt order.receipt --sent order.sent --keys bob.jwks";
    let receipt: Value = serde_json::from_str(&taken(&desk.run(check, ""))).unwrap();
    assert_eq!(receipt["issuer"], "https://bob.example");
    // Of another message there is none.
    let other = format!(
        "seal order.json --key alice.jwk --receiver bob-seal.jwks {PARTIES} --keep other.sent --out other.jwe"
    );
    taken(&desk.run(&other, ""));
    let wrong = "receipt order.receipt --sent other.sent --keys bob.jwks";
    ended(&desk.run(wrong, ""), 1, "another message");
    let by_sender = "receipt order.receipt --sent order.sent --keys alice.jwks";
    ended(&desk.run(by_sender, ""), 1, "no key of the partner");
    // A signed message is no sealed one, and its key opens nothing.
    let wrong_key = format!("open other.jwe --key bob.jwk --keys alice.jwks {PARTIES} --again");
    ended(&desk.run(&wrong_key, ""), 2, "no private key that opens");
}

#[test]
fn an_answer_is_taken_where_it_is_due_and_nowhere_else() {
    let desk = Desk::new();
    let due = ["", "--answer", "--answer-to asked-1", "--answer-to asked-2"];
    for written in due {
        let sign = format!("sign order.json --key alice.jwk {PARTIES} {written}");
        let text = taken(&desk.run(&sign, ""));
        for expected in due {
            let verify = format!("verify --keys alice.jwks {PARTIES} --again {expected}");
            let read = desk.run(&verify, &text);
            if written == expected {
                assert_eq!(taken(&read), CONTENT);
            } else if written.is_empty() {
                ended(&read, 1, "an answer is expected");
            } else if expected.is_empty() {
                ended(&read, 1, "it is the answer to a request");
            } else {
                ended(&read, 1, "it answers another request");
            }
        }
    }
    let both = format!("verify --keys alice.jwks {PARTIES} --again --answer --answer-to a");
    ended(&desk.run(&both, ""), 2, "--answer-to");
}

#[test]
fn a_sealed_answer_names_what_was_kept_of_its_request() {
    let desk = Desk::new();
    let (ask, back) = (
        PARTIES,
        "--from https://bob.example --to https://alice.example",
    );
    let asked = ["first", "second"].map(|name| {
        let sign =
            format!("sign order.json --key alice.jwk {ask} --keep {name}.sent --out {name}.jws");
        taken(&desk.run(&sign, ""));
        let kept = std::fs::read_to_string(desk.path(&format!("{name}.sent"))).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        kept["id"].as_str().unwrap().to_owned()
    });
    let [first, second] = &asked;
    let seal = format!(
        "seal order.json --key bob.jwk --receiver bob-seal.jwks {back} --answer-to {first} --out answer.jwe"
    );
    taken(&desk.run(&seal, ""));
    let open = |more: &str| {
        let open =
            format!("open answer.jwe --key bob-seal.jwk --keys bob.jwks {back} --seen taken.seen");
        desk.run(&format!("--json {open} {more}"), "")
    };
    // What is refused is not remembered as taken.
    for (more, reason) in [("", "answer_unasked"), ("--answer", "answer_other")] {
        let refused = open(more);
        assert_eq!(refused.status.code(), Some(1));
        assert_eq!(
            refused.stdout,
            format!("{{\"refused\":\"{reason}\"}}\n").as_bytes()
        );
    }
    let swapped = open(&format!("--answer-to {second}"));
    assert_eq!(swapped.stdout, b"{\"refused\":\"answer_other\"}\n");
    let good = open(&format!("--answer-to {first}"));
    let facts: Value = serde_json::from_str(&taken(&good)).unwrap();
    assert_eq!(facts["answer_to"], first.as_str());
    let again = open(&format!("--answer-to {first}"));
    assert_eq!(again.stdout, b"{\"refused\":\"replayed\"}\n");
}

/// RFC 7515 §4.1.11, and what is left of it for readers who cannot be told.
#[test]
fn an_answer_is_critical_unless_it_may_be_ignored() {
    let desk = Desk::new();
    let header = |more: &str| -> Value {
        let sign = format!("sign order.json --key alice.jwk {PARTIES} {more}");
        let text = taken(&desk.run(&sign, ""));
        let part = base64url::decode(text.split('.').next().unwrap()).unwrap();
        serde_json::from_slice(&part).unwrap()
    };
    let own = header("");
    assert!(own.get("crit").is_none() && own.get("answer_to").is_none());
    let answer = header("--answer-to asked-1");
    assert_eq!(answer["crit"], json!(["answer_to"]));
    assert_eq!(answer["answer_to"], "asked-1");
    let ignorable = header("--answer-to asked-1 --ignorable");
    assert!(ignorable.get("crit").is_none());
    assert_eq!(ignorable["answer_to"], "asked-1");
    assert_eq!(header("--answer --ignorable")["answer_to"], "");
    let nothing = format!("sign order.json --key alice.jwk {PARTIES} --ignorable");
    ended(&desk.run(&nothing, ""), 2, "--answer");
}

#[test]
fn files_that_are_not_what_they_should_be_are_a_mistake_of_the_caller() {
    let desk = Desk::new();
    let check = |arguments: &str, why: &str| {
        ended(&desk.run(&format!("{arguments} {PARTIES}"), ""), 2, why);
    };
    check("sign order.json --key nothing.jwk", "cannot be read");
    check(
        "sign order.json --key alice.jwks",
        "a member of its private part is missing",
    );
    check("sign order.json --key bob-seal.jwk", "for encryption");
    check("sign nothing.json --key alice.jwk", "cannot be read");
    check("sign --key alice.jwk", "the content is empty");
    check(
        "seal order.json --key alice.jwk --receiver alice.jwks",
        "holds no key that messages can be sealed to",
    );
    check("verify --keys bob-seal.jwks --again", "holds no public key");
    // The public half is what partners get: a private one is taken for none.
    check("verify --keys alice.jwk --again", "holds no public key");
    check("verify --keys alice.jwks", "--seen");
    check(
        "verify --keys alice.jwks --again --receipt-key bob.jwk --receipt a.receipt",
        "cannot be used with",
    );
    // A key is never written over.
    let again = desk.run("key --alg EdDSA --out alice.jwk", "");
    ended(&again, 1, "cannot be written");
}

#[test]
fn a_private_key_is_its_owners_to_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(desk.path(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("alice.jwk"), 0o600);
    let public = std::fs::read_to_string(desk.path("alice.jwks")).unwrap();
    assert!(!public.contains("\"d\""));
}

#[test]
fn the_memory_of_messages_forgets_what_is_refused_for_its_age_and_nothing_else() {
    let desk = Desk::new();
    std::fs::write(desk.path("taken.seen"), "old 1\nkept 99999999999\n").unwrap();
    taken(&desk.run(
        &format!("sign order.json --key alice.jwk {PARTIES} --out order.jws"),
        "",
    ));
    let verify = format!("verify order.jws --keys alice.jwks {PARTIES} --seen taken.seen");
    taken(&desk.run(&verify, ""));
    let text = std::fs::read_to_string(desk.path("taken.seen")).unwrap();
    assert!(
        text.contains("kept 99999999999\n") && !text.contains("old"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2);
    std::fs::write(desk.path("taken.seen"), "what is this\n").unwrap();
    ended(&desk.run(&verify, ""), 2, "is no list of messages");
}
