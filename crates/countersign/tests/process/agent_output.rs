//! What the agent prints, at every level and in both forms: names, paths and statuses, and no secret (GHSA-444v-8vxr-p36h).

use crate::canary::found;
use crate::server::{Server, countersign, eventually, send};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

const PASSWORD: &str = "cnryAgentmark-7Yq2Rw0Zt";
const INNER: &str = "cnryInnermark-4Kd81Lm9";

/// A template that is rendered, and three that can't be: each mistake speaks of a value. The command prints the file.
const TEMPLATES: &str = r#"
[[agent.templates]]
name = "good"
text = '{{ secret "secret/data/app" "password" }}'
destination = "good"
command = ["/bin/cat", "good"]
[[agent.templates]]
name = "failing"
text = '{{ secret "secret/data/app" "password" | json }}'
destination = "failing"
command = ["/bin/ls", "--unknown", "failing"]
[[agent.templates]]
name = "list"
text = '{{ secret "secret/data/app" "list" }}'
destination = "list"
[[agent.templates]]
name = "decoded"
text = '{{ secret "secret/data/app" "password" | base64_decode }}'
destination = "decoded"
[[agent.templates]]
name = "field"
text = '{{ secret "secret/data/app" "passwort" }}'
destination = "field"
[[agent.templates]]
name = "refused"
text = '{{ secret "secret/data/other" "password" }}'
destination = "refused"
"#;

fn vault(server: &Server, path: &str, body: &Value) -> Value {
    let mut headers = HeaderMap::new();
    let token = server.addresses["vault_token"].as_str().unwrap();
    headers.insert("x-vault-token", token.parse().unwrap());
    let url = server.url("control", &format!("/v1/{path}"));
    let answer = send(
        &server.client(),
        Method::POST,
        &url,
        headers,
        &body.to_string(),
    );
    assert!(answer.status.is_success(), "{path}: {}", answer.status);
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

/// A role that may read one secret; gives its secret id.
fn prepared(server: &Server) -> String {
    let rules = "path \"secret/data/app\" { capabilities = [\"read\"] }";
    vault(server, "sys/policies/acl/app", &json!({ "policy": rules }));
    vault(server, "sys/auth/approle", &json!({"type": "approle"}));
    vault(
        server,
        "auth/approle/role/app",
        &json!({"token_policies": ["app"], "token_ttl": "10m"}),
    );
    vault(
        server,
        "auth/approle/role/app/role-id",
        &json!({"role_id": "app-role"}),
    );
    let data = json!({"data": {"password": PASSWORD, "list": [INNER]}});
    vault(server, "secret/data/app", &data);
    let made = vault(server, "auth/approle/role/app/secret-id", &json!({}));
    made["data"]["secret_id"].as_str().unwrap().to_owned()
}

fn write(dir: &Path, server: &Server, level: &str, secret_id: &str) {
    let (address, ca) = (&server.addresses["control"], &server.addresses["ca"]);
    let text = format!(
        "[telemetry]\nlevel = \"{level}\"\n[agent]\naddress = {address}\nca = {ca}\n\
         [agent.login.approle]\nrole_id = \"app-role\"\nsecret_id = {{ file = \"secret-id\" }}\n{TEMPLATES}"
    );
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("countersign.toml"), text).unwrap();
    std::fs::write(dir.join("secret-id"), secret_id).unwrap();
}

#[test]
fn ghsa_444v_8vxr_p36h_the_agent_prints_no_secret_at_any_level() {
    let server = Server::start("", &[]);
    let secret_id = prepared(&server);
    let home = tempfile::tempdir().unwrap();
    let marks = [PASSWORD.to_owned(), INNER.to_owned(), secret_id.clone()];
    let silent = |printed: &[u8], how: &str| {
        let text = String::from_utf8_lossy(printed);
        assert_eq!(
            found(printed, &marks),
            Vec::<String>::new(),
            "{how}: {text}"
        );
        assert!(!text.contains("hvs."), "{how}: a token: {text}");
    };
    for level in ["error", "info", "debug"] {
        for form in [&["agent"][..], &["--json", "agent"]] {
            let dir = home.path().join(format!("{level}-{}", form.len()));
            write(&dir, &server, level, &secret_id);
            let arguments = [form, &["--once", "--config", dir.to_str().unwrap()]].concat();
            let output = countersign(&arguments, "");
            let printed = [output.stdout, output.stderr].concat();
            silent(&printed, &format!("{arguments:?}"));
            let text = String::from_utf8_lossy(&printed);
            assert_eq!(
                std::fs::read_to_string(dir.join("good")).unwrap(),
                PASSWORD,
                "{text}"
            );
            for said in [
                "secret/data/other",
                "has no field",
                "is no text",
                "base64_decode",
                "/bin/ls",
            ] {
                assert!(text.contains(said), "{said} is said: {text}");
            }
            assert_eq!(
                output.status.code(),
                Some(1),
                "not all of it could be rendered: {text}"
            );
        }
    }
    // Also a secret id that is refused.
    let dir = home.path().join("refused");
    write(&dir, &server, "debug", PASSWORD);
    let output = countersign(&["agent", "--once", "--config", dir.to_str().unwrap()], "");
    silent(&[output.stdout, output.stderr].concat(), "refused");
    assert_eq!(output.status.code(), Some(1));
    stays_silent_until_it_is_ended(&server, home.path(), &secret_id, silent);
    server.stop();
}

/// One that stays, is told to read its configuration again, and ends.
fn stays_silent_until_it_is_ended(
    server: &Server,
    home: &Path,
    secret_id: &str,
    silent: impl Fn(&[u8], &str),
) {
    let dir = home.join("stays");
    write(&dir, server, "debug", secret_id);
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["agent", "--config"])
        .arg(&dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let good = dir.join("good");
    eventually("the file", || std::fs::read_to_string(&good).ok());
    let kill = |name: &str, pid: u32| {
        let status = Command::new("kill").args([name, &pid.to_string()]).status();
        assert!(status.unwrap().success());
    };
    kill("-TERM", child.id());
    let status = child.wait().unwrap();
    let mut printed = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut printed)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_end(&mut printed)
        .unwrap();
    silent(&printed, "until it is ended");
    assert!(status.success(), "{}", String::from_utf8_lossy(&printed));
}
