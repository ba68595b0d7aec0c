//! The command line against a running process, and against nothing: what it does, what it prints where, and how it ends.

use crate::server::{Server, countersign, eventually, files_below, send};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use std::process::Output;

const CONFIGURATION: &str = r#"
[keys]
publish_ahead = "1s"
rotate_every = "30d"

[[users]]
name = "dora"
password = { file = "secrets/dora" }
"#;
const FILES: &[(&str, &str)] = &[("secrets/dora", "a declared password\n")];

/// How it ended, with what it printed on standard output and on standard error.
fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// It did what it was asked, and printed JSON alone on standard output.
fn done(output: &Output) -> Value {
    let (code, stdout, stderr) = ended(output);
    assert_eq!(code, 0, "{stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// It failed, printed nothing on standard output, and says `why`.
fn failed(output: &Output, expected: i32, why: &str) {
    let (code, stdout, stderr) = ended(output);
    assert_eq!(
        (code, stdout.as_str()),
        (expected, ""),
        "{stderr} should say `{why}`"
    );
    assert!(stderr.contains(why), "{stderr} should say `{why}`");
}

#[test]
fn people_clients_keys_and_grants_are_administered() {
    let server = Server::start(CONFIGURATION, FILES);
    let add = ["--json", "user", "add", "alice", "--password-stdin"];
    let alice = [&add[..], &["--role", "owner", "--attribute", "region=eu"]].concat();
    let added = done(&server.administer_with(&alice, "correct horse battery\n"));
    assert_eq!(added["user_id"].as_str().unwrap().len(), 32);
    let again = server.administer_with(&alice, "correct horse battery\n");
    failed(&again, 1, "there is one of this name already");
    failed(
        &server.administer_with(&add[1..], ""),
        2,
        "no password on standard input",
    );
    let disable = |name| server.administer(&["--json", "user", "disable", name]);
    assert_eq!(done(&disable("alice")), added);
    failed(&disable("nobody"), 1, "no such user");
    failed(&disable("dora"), 1, "declared in the configuration");

    let client = ["--json", "client", "add", "reports", "--secret"];
    let rest = [
        "--grant",
        "client_credentials",
        "--scope",
        "reports.read",
        "--audience",
        "https://reports.example",
    ];
    let added = done(&server.administer(&[&client[..], &rest].concat()));
    assert_eq!(added["client_id"], "reports");
    let secret = added["client_secret"].as_str().unwrap();
    assert_eq!(token_status(&server, "reports", secret), 200);
    assert_eq!(token_status(&server, "reports", &secret[1..]), 401);
    let public = server.administer(&[&["client", "add", "app", "--public"][..], &rest].concat());
    failed(&public, 2, "public client");
    let missing = ["client", "add", "app", "--jwks", "/nowhere/jwks.json"];
    failed(
        &server.administer(&[&missing[..], &rest].concat()),
        2,
        "cannot be used",
    );

    revoke_own_grants(&server, secret);
    failed(
        &server.administer(&["grant", "revoke", "00c0ffee00c0ffee"]),
        1,
        "no such grant",
    );
    failed(
        &server.administer(&["key", "rotate", "--tenant", "elsewhere"]),
        1,
        "no such tenant",
    );
    // A new installation publishes its first two keys together, so it can rotate at once.
    let rotated = done(&server.administer(&["--json", "key", "rotate"]));
    assert_eq!(rotated["kids"].as_array().unwrap().len(), 1);
    assert_eq!(token_status(&server, "reports", secret), 200);
    server.stop();
}

/// A client's own grant is not kept: it is revoked by its name alone, and its token is dead at once.
fn revoke_own_grants(server: &Server, secret: &str) {
    let json = |response: &countersign_net::ClientResponse| -> Value {
        serde_json::from_slice(&response.body).unwrap()
    };
    let own = "grant_type=client_credentials&scope=reports.read";
    let answer = ask(server, "/token", ("reports", secret), own);
    let token = json(&answer)["access_token"].as_str().unwrap().to_owned();
    let claims = countersign_crypto::base64url::decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let grant = claims["grant_id"].as_str().unwrap();
    let active = || {
        let form = format!("token={token}");
        let answer = ask(server, "/introspect", ("reports", secret), &form);
        json(&answer)["active"].as_bool().unwrap()
    };
    assert!(active());
    failed(
        &server.administer(&["grant", "revoke", grant]),
        1,
        "no such grant",
    );
    assert!(active(), "nothing was revoked");
    let revoked = server.administer(&["--json", "grant", "revoke", grant, "--of-client"]);
    assert_eq!(done(&revoked)["grant_id"], grant);
    assert!(!active());
}

/// Every way to authenticate that needs no file but one, and the switches, as they are typed.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_method_and_switch_of_a_client_is_typed() {
    let configuration = r#"
[[tenants]]
name = "default"
client_secret_post = "allowed"

[[trusted_issuers]]
name = "cluster"
profile = "kubernetes"
issuer = "https://cluster.example"
keys = { file = "cluster.json" }
uses = ["client_authentication"]
clients = [{ subject = "system:serviceaccount:batch:nightly", client = "nightly" }]

[[users]]
name = "dora"
password = { file = "secrets/dora" }
"#;
    let files = [
        FILES[0],
        (
            "cluster.json",
            r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
        ),
    ];
    let server = Server::start(configuration, &files);
    let certificates = server.data().join("ca.pem");
    let certificates = certificates.to_str().unwrap();
    let add = |id: &str, more: &[&str]| {
        let begin = [
            "--json",
            "client",
            "add",
            id,
            "--grant",
            "client_credentials",
        ];
        let rest = ["--audience", "https://a.example"];
        server.administer(&[&begin[..], more, &rest].concat())
    };
    for (id, method, secret) in [
        ("basic", &["--secret"][..], true),
        ("posted", &["--secret-post"], true),
        ("subject", &["--tls-subject", "dns:a.example"], false),
        ("own", &["--tls-certificates", certificates], false),
        ("nightly", &["--workload", "cluster"], false),
        (
            "switches",
            &[
                "--secret",
                "--access-token-format",
                "opaque",
                "--access-token-seconds",
                "60",
                "--binding",
                "required",
                "--userinfo",
                "signed",
                "--serves",
                "https://b.example",
            ],
            true,
        ),
    ] {
        let added = done(&add(id, method));
        assert_eq!(added["client_id"], id);
        assert_eq!(added["client_secret"].is_string(), secret, "{id}");
    }
    for (method, why) in [
        (&["--tls-subject", "a.example"][..], "dns:"),
        (&["--workload", "elsewhere"], "no trusted issuer"),
        (&["--tls-certificates", "/nowhere.pem"], "cannot be used"),
        (&["--secret", "--secret-post"], "cannot be used with"),
        (
            &["--secret", "--access-token-format", "paper"],
            "expected jwt or opaque",
        ),
        (&["--secret", "--encrypt-id-tokens", "RSA1_5"], "ECDH-ES"),
        (
            &["--secret", "--encrypt-id-tokens", "ECDH-ES"],
            "public key with `use` `enc`",
        ),
        (&["--secret", "--profile", "fapi2"], "private_key_jwt"),
    ] {
        failed(&add("flawed", method), 2, why);
    }
    let listed = done(&server.administer(&["--json", "session", "list", "dora"]));
    assert_eq!(listed["sessions"], serde_json::json!([]));
    let nobody = server.administer(&["session", "list", "nobody"]);
    failed(&nobody, 1, "no such user");
    let nothing = server.administer(&["session", "end", "00c0ffee00c0ffee"]);
    failed(&nothing, 1, "no such session");
    server.stop();
}

fn token_status(server: &Server, client: &str, secret: &str) -> u16 {
    let body = "grant_type=client_credentials&scope=reports.read";
    ask(server, "/token", (client, secret), body)
        .status
        .as_u16()
}

fn ask(
    server: &Server,
    path: &str,
    (client, secret): (&str, &str),
    body: &str,
) -> countersign_net::ClientResponse {
    use base64::Engine;
    let credentials =
        base64::engine::general_purpose::STANDARD.encode(format!("{client}:{secret}"));
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        format!("Basic {credentials}").parse().unwrap(),
    );
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    let url = server.url("identity", path);
    send(&server.client(), Method::POST, &url, headers, body)
}

#[test]
fn the_log_is_verified_proven_and_followed() {
    let server = Server::start(CONFIGURATION, FILES);
    failed(
        &server.administer(&["grant", "revoke", "00c0ffee00c0ffee"]),
        1,
        "no such grant",
    );
    let tail = ["--json", "audit", "tail", "--no-follow", "--lines", "1000"];
    let decision = eventually("the record of the decision", || {
        let (code, stdout, stderr) = ended(&server.administer(&tail));
        assert_eq!(code, 0, "{stderr}");
        let mut lines = stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["record"]["kind"] == "decision")
    });
    assert_eq!(decision["record"]["detail"]["surface"], "admin");
    let id = decision["record"]["id"].as_str().unwrap();
    let proven = done(&server.administer(&["--json", "audit", "prove", id]));
    assert_eq!(proven["record"], decision["record"]);
    assert!(proven["proof"].as_str().unwrap().contains("tlog-proof"));
    let unknown = "00000000000000000000000000000000";
    failed(
        &server.administer(&["audit", "prove", unknown]),
        1,
        "no published checkpoint covers",
    );
    let running = done(&server.administer(&["--json", "audit", "verify"]));
    assert_eq!(running["logs"][0]["holds"], true);

    let left = server.stop();
    let data = left.directory.path().join("data");
    let verify = || {
        countersign(
            &[
                "--json",
                "audit",
                "verify",
                "--data",
                data.to_str().unwrap(),
            ],
            "",
        )
    };
    let whole = done(&verify());
    assert_eq!(whole["logs"][0]["report"]["journal"]["waiting"], 0);
    let entries = files_below(&data.join("audit"))
        .into_iter()
        .find(|(path, _)| path.to_string_lossy().contains("tile/entries"));
    let (path, mut content) = entries.unwrap();
    content[40] ^= 1;
    std::fs::write(path, content).unwrap();
    let (code, stdout, stderr) = ended(&verify());
    assert_eq!(code, 1, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["logs"][0]["holds"], false);
}

#[test]
fn without_a_server_there_is_an_answer_too() {
    let nothing = tempfile::tempdir().unwrap();
    let data = nothing.path().to_str().unwrap();
    let rotate = |data| countersign(&["key", "rotate", "--data", data], "");
    failed(
        &rotate(data),
        1,
        "start the server with this data directory",
    );
    failed(
        &countersign(&["audit", "verify", "--data", data], ""),
        1,
        "cannot be read",
    );
    // A credential of a process that has ended.
    let server = Server::start(CONFIGURATION, FILES);
    let left = server.stop();
    let data = left.directory.path().join("data");
    failed(&rotate(data.to_str().unwrap()), 1, "does not answer");
}

#[test]
fn what_is_typed_wrongly_ends_with_two() {
    for (arguments, why) in [
        (&["usr"][..], "unrecognized subcommand 'usr'"),
        (
            &["client", "add", "a", "--grant", "client_credentials"],
            "--secret",
        ),
        (
            &[
                "client",
                "add",
                "a",
                "--secret",
                "--public",
                "--grant",
                "client_credentials",
            ],
            "cannot be used with",
        ),
        (
            &["client", "add", "a", "--secret", "--grant", "password"],
            "expected authorization_code",
        ),
        (&["user", "add", "alice"], "--password-stdin"),
        (&["user", "add", "a b", "--password-stdin"], "a username"),
        (
            &[
                "user",
                "add",
                "alice",
                "--password-stdin",
                "--attribute",
                "region",
            ],
            "NAME=VALUE",
        ),
        (
            &["grant", "revoke", "17"],
            "16 lower-case hexadecimal digits",
        ),
        (
            &["audit", "prove", "17"],
            "32 lower-case hexadecimal digits",
        ),
        (&["check", "/nowhere"], "cannot be read"),
        (&["up", "--config", "/nowhere"], "cannot be read"),
    ] {
        failed(&countersign(arguments, ""), 2, why);
    }
    assert_eq!(countersign(&[], "").status.code(), Some(2));
}

/// A configuration with a mistake, where it is, and what its message must say.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "[listeners]\nidentiy = \"127.0.0.1:1\"\n",
        ":2: unknown key `identiy`",
        "the nearest known key is `identity`",
    ),
    (
        "\n[[clients]]\nid = \"a\"\ngrant = []\n",
        ":4: unknown key `grant`",
        "`grants`",
    ),
    (
        "[[clients]]\nid = \"a\"\ngrants = [\"implicit\"]\n",
        ":3: no grant `implicit`",
        "known: authorization_code",
    ),
    (
        "[[clients]]\nid = \"a b\"\n",
        ":2: expected a client id",
        "",
    ),
    (
        "[[users]]\ntenant = \"demo\"\nname = \"x\"\npassword = { env = \"P\" }\n",
        ":2: no tenant `demo`",
        "the nearest one declared is `default`",
    ),
    (
        "[[users]]\nname = \"x\"\npassword = \"hunter2\"\n",
        ":3:",
        "never stands in the configuration",
    ),
    (
        "[keys]\nretire_after = \"1h\"\n",
        ":2: `retire_after` is shorter than tokens live",
        "`2h`",
    ),
    (
        "[keys]\nrotate_every = \"soon\"\n",
        ":2: expected a span of time",
        "",
    ),
    (
        "[[clients]]\nid = \"a\"\ngrants = [\"authorization_code\"]\n",
        "client `a`",
        "at least one redirect URI",
    ),
    (
        "[[clients]]\nid = \"a\"\njwks = \"missing.json\"\n",
        "client `a`",
        "cannot be read",
    ),
    (
        "[[users]]\nname = \"x\"\npassword = { file = \"missing\" }\n",
        "missing` cannot be read",
        "",
    ),
    (
        "[audit]\norigin = \"a b\"\n",
        "`audit.origin`",
        "example.com/log",
    ),
    (
        "[policies]\ndirectory = \"policies\"\n",
        "policies: cannot be read",
        "",
    ),
    (
        "[[upstreams]]\nname = \"o\"\nurl = \"https://o.example\"\n[[routes]]\nname = \"r\"\npath = \"/{a\"\nupstream = \"o\"\naudience = \"https://o.example\"\nactions.GET = { action = \"request\" }\n",
        "countersign.toml",
        "r",
    ),
];

/// Each mistake with its file, its line, and what the message must say.
#[test]
fn check_names_file_line_expectation_and_nearest_key() {
    for (text, place, help) in MISTAKES {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("countersign.toml"), text).unwrap();
        let path = dir.path().to_str().unwrap();
        let output = countersign(&["check", path], "");
        let (code, stdout, stderr) = ended(&output);
        assert_eq!((code, stdout.as_str()), (2, ""), "{text}\n{stderr}");
        assert!(
            stderr.contains("countersign.toml") || stderr.contains(path),
            "{stderr}"
        );
        assert!(stderr.contains(place), "{stderr} should say `{place}`");
        assert!(stderr.contains(help), "{stderr} should say `{help}`");
        assert!(!stderr.contains("hunter2"), "{stderr}");
        let json = countersign(&["check", path, "--json"], "");
        let report: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(
            (json.status.code(), &report["holds"]),
            (Some(2), &Value::Bool(false))
        );
        assert!(!report["errors"].as_array().unwrap().is_empty());
    }
}

#[test]
fn check_reports_every_mistake_and_what_to_look_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("countersign.toml");
    let path = dir.path().to_str().unwrap();
    let good = "[[clients]]\nid = \"batch\"\nsecret = { file = \"secret\" }\ngrants = [\"client_credentials\"]\nscopes = [\"admin\"]\naudiences = [\"https://a.example\"]\naccess_token_lifetime = \"50m\"\n";
    std::fs::write(dir.path().join("secret"), "0123456789abcdef").unwrap();
    std::fs::write(&file, good).unwrap();
    // A scope for everything is bad enough to fail; with a reason it is not.
    let (code, stdout, _) = ended(&countersign(&["check", path, "--json"], ""));
    assert_eq!(code, 1, "{stdout}");
    let accepted = format!(
        "{good}\n[[accepted]]\nmistake = \"global-scope\"\nof = \"client batch\"\nbecause = \"the service knows one scope alone\"\n"
    );
    std::fs::write(&file, accepted).unwrap();
    let report = done(&countersign(&["check", path, "--json"], ""));
    let findings = report["findings"].to_string();
    for expected in ["static-secret", "they live 50 minutes", "no-owner"] {
        assert!(findings.contains(expected), "{findings}");
    }
    assert_eq!(report["accepted"][0]["mistake"], "global-scope");
    assert_eq!(report["findings"][0]["line"], 3);
    let (code, stdout, _) = ended(&countersign(&["check", path], ""));
    assert_eq!(code, 0, "{stdout}");
    assert!(
        stdout.contains("to look at: 2 medium, 1 low; 1 accepted"),
        "{stdout}"
    );
    let bad = good
        .replace("client_credentials", "password")
        .replace("50m", "3h");
    std::fs::write(&file, bad).unwrap();
    let (code, _, stderr) = ended(&countersign(&["check", path], ""));
    assert_eq!((code, stderr.matches("error:").count()), (2, 2), "{stderr}");
}

#[test]
fn init_writes_what_check_and_up_accept() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("mine");
    let path = dir.to_str().unwrap();
    let written = done(&countersign(&["init", path, "--json"], ""));
    assert!(
        written["files"]
            .as_array()
            .unwrap()
            .contains(&"countersign.toml".into())
    );
    assert_eq!(countersign(&["check", path], "").status.code(), Some(0));
    failed(&countersign(&["init", path], ""), 2, "is there already");
    let files: Vec<(String, String)> = files_below(&dir)
        .into_iter()
        .map(|(file, content)| {
            let name = file.strip_prefix(&dir).unwrap().display().to_string();
            (name, String::from_utf8(content).unwrap())
        })
        .collect();
    let beside: Vec<(&str, &str)> = files
        .iter()
        .filter(|(name, _)| name != "countersign.toml")
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let starter = std::fs::read_to_string(dir.join("countersign.toml")).unwrap();
    Server::start(&starter, &beside).stop();
}

#[test]
fn completions_and_manual_are_printed() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, stdout, _) = ended(&countersign(&["completions", shell], ""));
        assert!(code == 0 && stdout.contains("password-stdin"), "{shell}");
    }
    let (code, stdout, _) = ended(&countersign(&["man"], ""));
    assert!(code == 0 && stdout.starts_with(".ie"), "{}", &stdout[..60]);
}
