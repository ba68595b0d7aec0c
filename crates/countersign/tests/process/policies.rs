//! `countersign policy`: what it says of policies, cases and decisions, and how it ends.

use crate::server::{Server, countersign, eventually};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;

fn exercise() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/exercise")
}

fn said(output: &Output) -> (i32, String) {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code().unwrap(), stdout)
}

fn json_of(output: &Output) -> (i32, Value) {
    let (code, stdout) = said(output);
    let json = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
    (code, json)
}

fn test(file: &Path, more: &[&str]) -> Output {
    let (file, config) = (file.to_str().unwrap(), exercise());
    let begin = ["policy", "test", file, "--config", config.to_str().unwrap()];
    countersign(&[&begin[..], more].concat(), "")
}

#[test]
fn the_cases_of_the_exercise_hold() {
    let file = exercise().join("tests/orders.toml");
    let (code, told) = json_of(&test(&file, &["--json"]));
    assert_eq!((code, &told["failed"]), (0, &json!(0)), "{told:#}");
    // The built-in policies are not counted beside those of a configuration.
    let covered = json!([
        "billing.cedar#administrators-erase",
        "billing.cedar#own-cards",
        "orders.cedar#administrators-read",
        "orders.cedar#orders-need-their-scope",
        "orders.cedar#owner-in-region",
        "vault.cedar#billing-reads-its-own",
        "vault.cedar#platform-sets-up"
    ]);
    assert_eq!(told["coverage"]["covered"], covered);
    let (code, text) = said(&test(&file, &[]));
    assert_eq!(code, 0);
    assert!(text.contains("18 cases, 0 failed"), "{text}");
    assert!(
        text.contains("decided by 7 of 7 policies (100 %)"),
        "{text}"
    );
    assert!(
        text.contains("10 of the 10 values of 5 clauses seen (100 %)"),
        "{text}"
    );
    let whole = ["--cover", "100", "--cover-clauses", "100"];
    assert_eq!(said(&test(&file, &whole)).0, 0);

    // With the first case alone.
    let directory = tempfile::tempdir().unwrap();
    let fewer = directory.path().join("fewer.toml");
    let whole = std::fs::read_to_string(file).unwrap();
    let cases: Vec<&str> = whole.splitn(3, "[[cases]]").collect();
    std::fs::write(&fewer, format!("{}[[cases]]{}", cases[0], cases[1])).unwrap();
    let (code, text) = said(&test(&fewer, &[]));
    assert_eq!(code, 0);
    assert!(text.contains("decided by 1 of 7 policies (14 %)"), "{text}");
    assert!(
        text.contains("never    orders.cedar#administrators-read"),
        "{text}"
    );
    assert_eq!(said(&test(&fewer, &["--cover", "14"])).0, 0);
    assert_eq!(said(&test(&fewer, &["--cover", "15"])).0, 1);
    assert!(
        text.contains("2 of the 10 values of 5 clauses seen (20 %)"),
        "{text}"
    );
    assert!(
        text.contains("unseen   orders.cedar#owner-in-region, clause 1 is never false: when {"),
        "{text}"
    );
    assert_eq!(said(&test(&fewer, &["--cover-clauses", "20"])).0, 0);
    assert_eq!(said(&test(&fewer, &["--cover-clauses", "21"])).0, 1);
    let (_, told) = json_of(&test(&fewer, &["--json"]));
    let clauses = &told["coverage"]["clauses"];
    let of_orders = clauses.as_array().unwrap().iter();
    let mut of_orders =
        of_orders.filter(|clause| clause["policy"] == "orders.cedar#owner-in-region");
    let first = of_orders.next().unwrap();
    assert_eq!(
        (&first["true"], &first["false"], &first["kind"]),
        (&json!(true), &json!(false), &json!("when")),
        "{clauses:#}"
    );
}

#[test]
fn a_case_that_does_not_hold_fails_and_a_file_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cases.toml");
    let text = std::fs::read_to_string(exercise().join("tests/orders.toml")).unwrap();
    std::fs::write(
        &file,
        text.replacen("expect = \"allow\"", "expect = \"deny\"", 1),
    )
    .unwrap();
    let (code, text) = said(&test(&file, &[]));
    assert_eq!(code, 1);
    assert!(text.contains("FAILED"), "{text}");
    assert!(
        text.contains("expected deny, got allow: by orders.cedar#owner-in-region"),
        "{text}"
    );
    std::fs::write(&file, "[[cases]]\nname = \"x\"\nexpct = \"deny\"\n").unwrap();
    let refused = test(&file, &[]);
    assert_eq!(said(&refused).0, 2);
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("cases.toml:3"), "{stderr}");
    std::fs::write(&file, "").unwrap();
    assert_eq!(said(&test(&file, &[])).0, 1, "no case at all holds nothing");
}

#[test]
fn mistakes_in_a_set_are_found() {
    let (code, told) = json_of(&countersign(&["policy", "analyse", "--json"], ""));
    assert_eq!((code, &told["mistakes"]), (0, &json!(0)), "{told:#}");
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("countersign.toml", "[policies]\ndirectory = \".\"\n");
    write(
        "more.cedar",
        "@id(\"needless\")\npermit (principal is Operator, action == Action::\"administer\", resource)\nwhen { context.area == \"user\" };\n",
    );
    let dir = directory.path().to_str().unwrap();
    let (code, text) = said(&countersign(&["policy", "analyse", dir], ""));
    assert_eq!(code, 1);
    assert!(
        text.contains("mistake  `more.cedar#needless` changes nothing: wherever it is true, `administration.cedar#operator` is too"),
        "{text}"
    );
    assert!(text.contains("1 mistakes, 2 notes"), "{text}");
    write("more.cedar", "permit (");
    assert_eq!(said(&countersign(&["policy", "analyse", dir], "")).0, 2);
}

#[test]
fn a_decision_is_explained_and_asked_again() {
    let server = Server::start("", &[]);
    let tail = ["--json", "audit", "tail", "--no-follow", "--lines", "1000"];
    let _nothing = server.administer(&["grant", "revoke", "00c0ffee00c0ffee"]);
    let decision = eventually("the record of the decision", || {
        let (_, stdout) = said(&server.administer(&tail));
        let mut lines = stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["record"]["detail"]["action"] == "grant.revoke")
    });
    let event = decision["record"]["id"].as_str().unwrap();
    let explain = ["policy", "explain", event];
    let explained = eventually("the question that was kept", || {
        let (code, told) = said(&server.administer(&[&["--json"], &explain[..]].concat()));
        (code == 0).then(|| serde_json::from_str::<Value>(&told).unwrap())
    });
    assert_eq!(explained["question"]["action"], "administer");
    assert_eq!(explained["question"]["context"]["area"], "grant");
    assert_eq!(
        explained["recorded"]["policies"],
        explained["now"]["policies"]
    );
    let (code, text) = said(&server.administer(&explain));
    assert_eq!(code, 0);
    for line in [
        "decided    allowed (permitted)",
        "by         administration.cedar#operator",
        "principal  Operator::\"local\"",
        "           tenant = Tenant::\"default\"",
        "           area = \"grant\"",
        "now        the same",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let unknown = ["policy", "explain", "00000000000000000000000000000000"];
    assert_eq!(said(&server.administer(&unknown)).0, 1);

    let (code, text) = said(&server.administer(&["policy", "replay"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("0 differ"), "{text}");
    // Nothing that could be asked is no success.
    let elsewhere = server.administer(&["policy", "replay", "--tenant", "nobody"]);
    let stderr = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
    assert_eq!(said(&elsewhere).0, 1, "{stderr}");
    assert!(stderr.contains("nothing to ask"), "{stderr}");
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("countersign.toml", "[policies]\ndirectory = \".\"\n");
    write(
        "closed.cedar",
        "@id(\"nobody\")\nforbid (principal, action == Action::\"administer\", resource)\nwhen { context.area == \"grant\" };\n",
    );
    let config = directory.path().to_str().unwrap();
    let other = ["--json", "policy", "replay", "--config", config];
    let (code, told) = json_of(&server.administer(&other));
    assert_eq!(code, 1, "{told:#}");
    let differs = &told["decisions"][0];
    assert_eq!(differs["event"], event, "{told:#}");
    assert_eq!(differs["would_be"]["policies"], "closed.cedar#nobody");
    server.stop();
}
