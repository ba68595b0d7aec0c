//! The agent of a workload against a whole server, over real TLS: every way to sign in, rotation, renewal by a clock that is turned, a server that goes and comes, and the socket.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod started;

use countersign::agent::{Agent, AgentOptions, Happening, Progress, run_with};
use countersign::config::{self, Config};
use countersign::run::{Running, system_clock};
use countersign_audit::Code;
use countersign_base::{Clock, Kid, UnixMillis};
use countersign_crypto::Random;
use countersign_crypto::jose::{Algorithm, sign_jwt};
use countersign_crypto::signing::{ClientAssertion, SigningKey};
use countersign_crypto::x509::{IssuedCertificate, certificate_pem};
use countersign_testkit::{Caller, TestAuthority};
use http::Method;
use serde_json::{Value, json};
use started::{caller, parsed, started, url};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// The machine's time, and as much later as a test says: certificates of TLS are judged by the machine's own.
#[derive(Clone, Default)]
struct Turned(Arc<AtomicI64>);

impl Turned {
    fn clock(&self) -> Clock {
        let (system, ahead) = (system_clock(), Arc::clone(&self.0));
        Clock::from_fn(move || UnixMillis(system.millis().0 + ahead.load(Ordering::SeqCst)))
    }

    fn ahead(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

struct World {
    running: Running,
    turned: Turned,
    root: Caller,
    token: String,
    directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let turned = Turned::default();
        let config = parsed(directory.path(), "");
        let running = started(directory.path(), config, None, turned.clock()).await;
        let authority = running.fabric().authority().certificate_pem().to_owned();
        std::fs::write(directory.path().join("ca.pem"), authority).unwrap();
        let world = Self {
            root: caller(&running, None),
            token: running.vault_token().unwrap().expose().clone(),
            running,
            turned,
            directory,
        };
        let rules = "path \"secret/data/app\" { capabilities = [\"read\"] }\npath \"pki/issue/web\" { capabilities = [\"update\"] }";
        world
            .put("sys/policies/acl/app", json!({ "policy": rules }))
            .await;
        world.secret("first").await;
        world
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let target = url(self.running.bound().control.port(), &format!("/v1/{path}"));
        let headers = [("x-vault-token", self.token.as_str())];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.root.send(method, &target, &headers, body).await;
        assert!(
            answer.status.is_success(),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
        answer.json()
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        self.call(Method::POST, path, body).await
    }

    /// The accessors of tokens that agents have and that stand.
    async fn agents(&self) -> Vec<Value> {
        let listed = "auth/token/accessors?list=true";
        let listed = self.call(Method::GET, listed, Value::Null).await;
        let mut standing = Vec::new();
        for accessor in listed["data"]["keys"].as_array().unwrap() {
            let port = self.running.bound().control.port();
            let target = url(port, "/v1/auth/token/lookup-accessor");
            let headers = [("x-vault-token", self.token.as_str())];
            let body = json!({ "accessor": accessor }).to_string();
            let known = self.root.send(Method::POST, &target, &headers, body).await;
            if known.json()["data"]["path"] == "auth/approle/login" {
                standing.push(accessor.clone());
            }
        }
        standing
    }

    async fn secret(&self, password: &str) {
        self.put("secret/data/app", json!({"data": {"password": password}}))
            .await;
    }

    /// An AppRole whose tokens live ten minutes and half an hour at most; the secret id stands in a file.
    async fn approle(&self) -> &'static str {
        self.put("sys/auth/approle", json!({"type": "approle"}))
            .await;
        let role = json!({"token_policies": ["app"], "token_ttl": "10m", "token_max_ttl": "30m"});
        self.put("auth/approle/role/app", role).await;
        self.put(
            "auth/approle/role/app/role-id",
            json!({"role_id": "app-role"}),
        )
        .await;
        let made = self.put("auth/approle/role/app/secret-id", json!({})).await;
        let secret_id = made["data"]["secret_id"].as_str().unwrap();
        std::fs::write(self.path("secret-id"), secret_id).unwrap();
        "[agent.login.approle]\nrole_id = \"app-role\"\nsecret_id = { file = \"secret-id\" }\n"
    }

    /// A certificate authority whose certificates live an hour.
    async fn pki(&self) {
        self.put("sys/mounts/pki", json!({"type": "pki"})).await;
        self.put(
            "pki/root/generate/internal",
            json!({"common_name": "Root", "ttl": "8760h"}),
        )
        .await;
        let role = json!({"allowed_domains": ["example.com"], "allow_subdomains": true, "server_flag": true, "key_type": "ec", "key_bits": 256, "max_ttl": "1h"});
        self.put("pki/roles/web", role).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn config(&self, rest: &str) -> Config {
        let port = self.running.bound().control.port();
        let text = format!(
            "[agent]\naddress = \"https://localhost:{port}\"\nca = \"ca.pem\"\nrefresh = \"1m\"\n{rest}"
        );
        config::parse(self.directory.path(), Path::new("countersign.toml"), &text).unwrap()
    }

    fn agent(&self, rest: &str) -> (Agent, Told) {
        let told = Told::default();
        let options = self.options(rest, &told);
        (Agent::new(options).unwrap(), told)
    }

    fn options(&self, rest: &str, told: &Told) -> AgentOptions {
        let all = Arc::clone(&told.0);
        AgentOptions {
            config: self.config(rest),
            clock: self.turned.clock(),
            random: Random::system(),
            told: Arc::new(move |happening| all.lock().unwrap().push(happening.clone())),
        }
    }
}

/// What an agent told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Happening>>>);

impl Told {
    fn count(&self, wanted: fn(&Happening) -> bool) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|one| wanted(one))
            .count()
    }

    fn text(&self) -> String {
        let all = self.0.lock().unwrap();
        all.iter().map(|one| format!("{one}\n")).collect()
    }
}

const PASSWORD: &str = "[[agent.templates]]\nname = \"app\"\ntext = 'P={{ secret \"secret/data/app\" \"password\" | env }}'\ndestination = \"app.env\"\n";

const CERTIFICATE: &str = "[[agent.templates]]\nname = \"key\"\ntext = '{{ issue \"pki/issue/web\" \"private_key\" common_name=\"www.example.com\" }}'\ndestination = \"key.pem\"\n\
    [[agent.templates]]\nname = \"certificate\"\ntext = '{{ issue \"pki/issue/web\" \"certificate\" common_name=\"www.example.com\" }}'\ndestination = \"cert.pem\"\n";

fn pem(issued: &IssuedCertificate) -> (String, String) {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode(issued.key_der.expose());
    let key = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
    (certificate_pem(&issued.chain_der[0]), key)
}

fn token(issuer: &IssuedCertificate, claims: &Value) -> String {
    let kid: Kid = "issuer".parse().unwrap();
    let key: SigningKey<ClientAssertion> =
        SigningKey::from_pkcs8(Algorithm::Es256, kid, &issuer.key_der).unwrap();
    sign_jwt(&key, claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_signs_in_in_each_way_and_has_its_secret_in_a_file_of_its_own() {
    let world = World::new().await;
    let now = world.running.fabric().now().0;
    let issuer =
        TestAuthority::new(world.running.fabric().now()).client("spiffe://ci.example/issuer");
    let (shown, key) = pem(&issuer);

    world.put("sys/auth/jwt", json!({"type": "jwt"})).await;
    world
        .put(
            "auth/jwt/config",
            json!({"jwt_validation_pubkeys": [shown], "bound_issuer": "https://ci.example"}),
        )
        .await;
    let role = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": ["app"], "token_ttl": "10m"});
    world.put("auth/jwt/role/build", role).await;
    let claims = json!({"iss": "https://ci.example", "sub": "spiffe://ci.example/build", "aud": "vault", "iat": now, "nbf": now, "exp": now + 300});
    std::fs::write(world.path("svid.jwt"), token(&issuer, &claims)).unwrap();

    world
        .put("sys/auth/kubernetes", json!({"type": "kubernetes"}))
        .await;
    world.put("auth/kubernetes/config", json!({"kubernetes_host": "https://kubernetes.example", "pem_keys": [shown], "issuer": "https://kubernetes.example", "disable_local_ca_jwt": true})).await;
    world.put("auth/kubernetes/role/app", json!({"bound_service_account_names": ["billing"], "bound_service_account_namespaces": ["shop"], "token_policies": ["app"], "audience": "vault"})).await;
    let about = json!({"namespace": "shop", "serviceaccount": {"name": "billing", "uid": "1-2-3"}});
    let claims = json!({"iss": "https://kubernetes.example", "aud": ["vault"], "sub": "system:serviceaccount:shop:billing", "iat": now, "nbf": now, "exp": now + 600, "kubernetes.io": about});
    std::fs::write(world.path("account.jwt"), token(&issuer, &claims)).unwrap();

    world.put("sys/auth/cert", json!({"type": "cert"})).await;
    world
        .put(
            "auth/cert/certs/machine",
            json!({"certificate": shown, "token_policies": ["app"]}),
        )
        .await;
    std::fs::write(world.path("client.pem"), &shown).unwrap();
    std::fs::write(world.path("client.key"), &key).unwrap();

    let approle = world.approle().await;
    for login in [
        approle,
        "[agent.login.jwt]\nrole = \"build\"\nfile = \"svid.jwt\"\n",
        "[agent.login.kubernetes]\nrole = \"app\"\nfile = \"account.jwt\"\n",
        "[agent.login.certificate]\nrole = \"machine\"\ncertificate = \"client.pem\"\nkey = \"client.key\"\n",
    ] {
        let (mut agent, told) = world.agent(&format!("{login}{PASSWORD}"));
        agent.round().await;
        assert_eq!(
            agent.progress(),
            Progress::Complete,
            "{login}{}",
            told.text()
        );
        assert_eq!(world.read("app.env"), "P=\"first\"");
        let metadata = std::fs::metadata(world.path("app.env")).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o600);
        agent.stop().await;
        std::fs::remove_file(world.path("app.env")).unwrap();
    }
    world.running.stop(Code::of("test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_reaches_the_file_and_the_application_is_told_once() {
    let world = World::new().await;
    let login = world.approle().await;
    let both = "command = [\"/bin/cp\", \"app.env\", \"seen\"]\n";
    let (mut agent, told) = world.agent(&format!("{login}{PASSWORD}{both}"));
    agent.round().await;
    assert_eq!(world.read("seen"), "P=\"first\"");
    world.secret("second \"$(id)\"").await;
    agent.round().await;
    assert_eq!(
        world.read("app.env"),
        "P=\"first\"",
        "it is read again when it is due"
    );
    world.turned.ahead(61);
    agent.round().await;
    assert_eq!(world.read("app.env"), "P=\"second \\\"\\$(id)\\\"\"");
    assert_eq!(world.read("seen"), world.read("app.env"));
    world.turned.ahead(61);
    agent.round().await;
    assert_eq!(
        told.count(|one| matches!(one, Happening::Told)),
        2,
        "{}",
        told.text()
    );
    assert_eq!(told.count(|one| matches!(one, Happening::SignedIn)), 1);

    // An agent that begins anew finds the file as it is to be, and tells nobody.
    agent.stop().await;
    let (mut again, told) = world.agent(&format!("{login}{PASSWORD}{both}"));
    again.round().await;
    assert_eq!(again.progress(), Progress::Complete);
    assert_eq!(
        told.count(|one| matches!(one, Happening::Told | Happening::Written { .. })),
        0
    );
    world.running.stop(Code::of("test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_its_key_belong_together_and_are_made_anew_at_two_thirds() {
    let world = World::new().await;
    world.pki().await;
    let login = world.approle().await;
    let (mut agent, told) = world.agent(&format!("{login}{CERTIFICATE}"));
    agent.round().await;
    assert_eq!(agent.progress(), Progress::Complete, "{}", told.text());
    let pair = || (world.read("cert.pem"), world.read("key.pem"));
    let fits = |(certificate, key): &(String, String)| {
        countersign_net::TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).is_ok()
    };
    let first = pair();
    assert!(fits(&first), "the key is the certificate's");
    world.turned.ahead(33 * 60);
    agent.round().await;
    assert_eq!(pair(), first, "before two thirds less a tenth of an hour");
    world.turned.ahead(8 * 60);
    agent.round().await;
    let second = pair();
    assert!(
        fits(&second) && second != first,
        "after two thirds: {}",
        told.text()
    );
    world.running.stop(Code::of("test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_ends_replaced_at_its_maximum_and_when_it_is_revoked() {
    let world = World::new().await;
    let login = world.approle().await;
    let (mut agent, told) = world.agent(&format!("{login}{PASSWORD}"));
    let signed_in = |told: &Told| told.count(|one| matches!(one, Happening::SignedIn));
    agent.round().await;
    for _ in 0..3 {
        world.turned.ahead(7 * 60);
        agent.round().await;
    }
    assert_eq!(
        signed_in(&told),
        1,
        "21 minutes with a token of ten: {}",
        told.text()
    );
    for _ in 0..3 {
        world.turned.ahead(6 * 60);
        agent.round().await;
    }
    assert_eq!(
        signed_in(&told),
        2,
        "no token lives longer than half an hour: {}",
        told.text()
    );
    assert_eq!(
        told.count(|one| matches!(one, Happening::NotGot { .. })),
        0,
        "{}",
        told.text()
    );

    // Somebody revokes what it has.
    for accessor in world.agents().await {
        world
            .put("auth/token/revoke-accessor", json!({"accessor": accessor}))
            .await;
    }
    world.secret("after").await;
    world.turned.ahead(61);
    agent.round().await;
    assert_eq!(
        told.count(|one| matches!(one, Happening::TokenGone)),
        1,
        "{}",
        told.text()
    );
    assert_eq!(signed_in(&told), 3);
    agent.round().await;
    assert_eq!(world.read("app.env"), "P=\"after\"", "{}", told.text());
    world.running.stop(Code::of("test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_files_stay_until_their_values_end_and_come_back_with_it() {
    let world = World::new().await;
    world.pki().await;
    let login = world.approle().await;
    let (mut agent, told) = world.agent(&format!("{login}{PASSWORD}{CERTIFICATE}"));
    agent.round().await;
    assert_eq!(agent.progress(), Progress::Complete, "{}", told.text());

    let port = world.running.bound().control.port();
    let World {
        running,
        turned,
        directory,
        ..
    } = world;
    running.stop(Code::of("test")).await;
    turned.ahead(50 * 60);
    let until = agent.round().await;
    let exists = |name: &str| directory.path().join(name).exists();
    assert!(until > turned.clock().millis());
    assert!(exists("app.env") && exists("cert.pem"), "{}", told.text());
    turned.ahead(11 * 60);
    agent.round().await;
    assert!(exists("app.env"), "a secret without an end stays");
    assert!(
        !exists("cert.pem") && !exists("key.pem"),
        "a certificate that has ended does not: {}",
        told.text()
    );
    assert_ne!(agent.progress(), Progress::Complete);

    let text = format!("[listeners]\ncontrol = \"127.0.0.1:{port}\"\n");
    let mut config = parsed(directory.path(), &text);
    config.listeners.control.set_port(port);
    // The new server's certificate is judged by the machine's own time, so both go back to it: a clock that is set back keeps nobody waiting.
    turned.0.store(0, Ordering::SeqCst);
    let running = started(directory.path(), config, None, turned.clock()).await;
    agent.round().await;
    assert!(exists("cert.pem") && exists("key.pem"), "{}", told.text());
    assert_eq!(agent.progress(), Progress::Complete, "{}", told.text());
    running.stop(Code::of("test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_safely_is_not_written_and_the_rest_is() {
    let world = World::new().await;
    let login = world.approle().await;
    std::os::unix::fs::symlink(world.path("victim"), world.path("link.env")).unwrap();
    std::fs::write(world.path("victim"), "untouched").unwrap();
    let link = "[[agent.templates]]\nname = \"link\"\ntext = '{{ secret \"secret/data/app\" \"password\" }}'\ndestination = \"link.env\"\n";
    let missing = "[[agent.templates]]\nname = \"field\"\ntext = '{{ secret \"secret/data/app\" \"passwort\" }}'\ndestination = \"field.env\"\n";
    let (mut agent, told) = world.agent(&format!("{login}{PASSWORD}{link}{missing}"));
    agent.round().await;
    assert_eq!(agent.progress(), Progress::Failed);
    assert_eq!(world.read("app.env"), "P=\"first\"");
    assert_eq!(world.read("victim"), "untouched");
    let text = told.text();
    assert!(text.contains("is a symbolic link"), "{text}");
    assert!(
        text.contains("has no field `passwort`; the nearest is `password`"),
        "{text}"
    );
    assert!(!text.contains("first"), "{text}");
    world.running.stop(Code::of("test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_end_an_agent_takes_its_token_back_and_what_it_is_told_to_remove() {
    let world = World::new().await;
    let login = world.approle().await;
    let removed = PASSWORD
        .replace("app.env", "gone.env")
        .replace("\"app\"\n", "\"gone\"\n");
    let rest = format!("{login}{PASSWORD}{removed}when_stopped = \"remove\"\n");
    let (mut agent, told) = world.agent(&rest);
    agent.round().await;
    assert_eq!(agent.progress(), Progress::Complete, "{}", told.text());
    assert_eq!(world.agents().await.len(), 1);
    agent.stop().await;
    assert_eq!(
        world.agents().await,
        Vec::<Value>::new(),
        "the token is gone"
    );
    assert!(world.path("app.env").exists() && !world.path("gone.env").exists());
    world.running.stop(Code::of("test")).await;
}

async fn asked(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_serves_what_is_rendered_and_nothing_else() {
    let world = World::new().await;
    let login = world.approle().await;
    let rest = format!("{login}{PASSWORD}[agent.socket]\npath = \"agent.sock\"\n");
    // What an agent left that ended hard.
    drop(std::os::unix::net::UnixListener::bind(world.path("agent.sock")).unwrap());
    let (mut agent, _) = world.agent(&rest);
    let socket = world.path("agent.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    assert!(
        asked(&socket, "/v1/templates/app")
            .await
            .starts_with("HTTP/1.1 404"),
        "nothing yet"
    );
    agent.round().await;
    let answer = asked(&socket, "/v1/templates/app").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("P=\"first\""),
        "{answer}"
    );
    assert!(answer.contains("cache-control: no-store"), "{answer}");
    assert!(
        asked(&socket, "/v1/templates")
            .await
            .ends_with("{\"templates\":[\"app\"]}")
    );
    for path in [
        "/v1/secret/data/app",
        "/v1/sys/health",
        "/v1/templates/other",
        "/v1/templatesapp",
        "/",
    ] {
        assert!(
            asked(&socket, path).await.starts_with("HTTP/1.1 404"),
            "{path}"
        );
    }
    agent.stop().await;
    assert!(!socket.exists(), "it goes with the agent");
    world.running.stop(Code::of("test")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_this_process_runs_until_it_is_told_and_takes_configurations_up() {
    let world = World::new().await;
    let login = world.approle().await;
    let (send, mut heard) = mpsc::unbounded_channel();
    let mut options = world.options(&format!("{login}{PASSWORD}"), &Told::default());
    options.told = Arc::new(move |happening: &Happening| _ = send.send(happening.clone()));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let (configs, received) = mpsc::channel(1);
    let running = tokio::spawn(run_with(options, async move { _ = ended.await }, received));
    let mut hears = async |wanted: fn(&Happening) -> bool| loop {
        if wanted(&heard.recv().await.unwrap()) {
            return;
        }
    };
    hears(|one| matches!(one, Happening::Written { .. })).await;
    let other = PASSWORD
        .replace("app.env", "other.env")
        .replace("\"app\"\n", "\"other\"\n");
    configs
        .send(world.config(&format!("{login}{other}")))
        .await
        .unwrap();
    hears(|one| matches!(one, Happening::Reloaded)).await;
    assert!(world.path("other.env").exists() && !world.path("app.env").exists());
    // One whose template can't be read is refused, and the one before it stays.
    let broken = PASSWORD.replace("secret \"", "secert \"");
    configs
        .send(world.config(&format!("{login}{broken}")))
        .await
        .unwrap();
    hears(|one| matches!(one, Happening::ReloadRefused { .. })).await;
    end.send(()).unwrap();
    running.await.unwrap().unwrap();
    world.running.stop(Code::of("test")).await;
}
