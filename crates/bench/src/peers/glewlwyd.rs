//! Glewlwyd (Debian): one process in C, its store a SQLite file with its own defaults. It is set up as an administrator would, through its API.
//!
//! It takes part in `cc-secret-es256` alone: its access tokens are always JWTs, and it has no token exchange.

use super::keys::{pem, public_pem};
use super::process::{unpacked, version_of};
use super::{Installed, free_port, installed};
use crate::Failed;
use crate::clients::{Credential, SCOPE};
use crate::load::{Destination, exchange};
use crate::running::{Paths, Running};
use bytes::Bytes;
use countersign_crypto::jose::Algorithm;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{AccessToken, SigningKey, generate_pkcs8};
use countersign_net::tls::TrustRoots;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// Its name in the results.
pub const GLEWLWYD: &str = "glewlwyd";
/// Its one client.
pub const CLIENT: &str = "with-secret";
/// The longest that its start may take.
const READY_MAX: Duration = Duration::from_secs(20);

/// A running Glewlwyd. Dropping it kills it.
pub struct Glewlwyd {
    child: Child,
    roots: TrustRoots,
    origin: String,
    version: String,
    secret: String,
    _home: tempfile::TempDir,
}

impl Running for Glewlwyd {
    fn pid(&self) -> Result<u32, Failed> {
        self.child.id().ok_or_else(|| "the peer has ended".into())
    }

    fn destination(&self) -> Result<Destination, Failed> {
        Destination::new(&self.origin, &self.roots)
    }

    fn subject(&self) -> String {
        format!("{GLEWLWYD} {}", self.version)
    }

    fn issuer(&self) -> String {
        format!("{}/api/oidc", self.origin)
    }

    fn paths(&self) -> Paths {
        Paths {
            keys: "/api/oidc/jwks",
            token: "/api/oidc/token",
        }
    }
}

impl Glewlwyd {
    /// Starts it on a fresh database with a certificate of its own, and sets it up.
    ///
    /// # Errors
    /// When it is not installed, is not ready in time, or refuses its configuration.
    pub async fn start(peers: &Installed, now: u64) -> Result<Self, Failed> {
        let root = std::fs::canonicalize(installed(peers, GLEWLWYD)?)?;
        let home = tempfile::tempdir_in("target")?;
        let directory = std::fs::canonicalize(home.path())?;
        let random = Random::system();
        let roots = super::certificate(&directory, &random, now)?;
        database(&root, &directory).await?;
        let port = free_port(0)?;
        std::fs::write(
            directory.join("glewlwyd.conf"),
            configuration(&root, &directory, port),
        )?;
        let mut command = program(&root);
        let log = std::fs::File::create(directory.join("log"))?;
        let child = command
            .arg("-c")
            .arg(directory.join("glewlwyd.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let mut version = program(&root);
        version.arg("-v");
        let started = Self {
            child,
            roots,
            origin: format!("https://localhost:{port}"),
            version: version_of(version).await?,
            secret: random.token().expose().clone(),
            _home: home,
        };
        started.set_up().await?;
        Ok(started)
    }

    /// Its client.
    #[must_use]
    pub fn credentials(&self) -> BTreeMap<String, Credential> {
        let secret = Credential::Secret(self.secret.clone());
        BTreeMap::from([(CLIENT.to_owned(), secret)])
    }

    /// A scope, the OpenID Connect plugin with an ES256 key, a client.
    async fn set_up(&self) -> Result<(), Failed> {
        let destination = self.destination()?;
        let mut sender = listening(&destination).await?;
        let login = json!({"username": "admin", "password": "password"});
        let answer = post(&mut sender, &destination, "/api/auth/", "", &login).await?;
        let cookie = answer.ok_or("no session")?;
        let scope =
            json!({"name": SCOPE, "display_name": SCOPE, "password_required": false, "scheme": {}});
        post(&mut sender, &destination, "/api/scope/", &cookie, &scope).await?;
        let plugin = plugin(&self.issuer())?;
        post(
            &mut sender,
            &destination,
            "/api/mod/plugin/",
            &cookie,
            &plugin,
        )
        .await?;
        let client = json!({
            "client_id": CLIENT, "name": CLIENT, "confidential": true, "enabled": true,
            "client_secret": self.secret, "password": self.secret, "token_endpoint_auth_method": ["client_secret_basic"],
            "authorization_type": ["client_credentials"], "scope": [SCOPE],
        });
        let path = "/api/client/?source=database";
        post(&mut sender, &destination, path, &cookie, &client).await?;
        Ok(())
    }
}

fn program(root: &Path) -> Command {
    unpacked(root, "usr/bin/glewlwyd")
}

/// Makes its database as its package would.
async fn database(root: &Path, directory: &Path) -> Result<(), Failed> {
    let script = root.join("usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz");
    let script = Command::new("gzip").arg("-dc").arg(script).output().await?;
    let mut shell = Command::new("sqlite3")
        .arg(directory.join("glewlwyd.db"))
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = shell.stdin.take().ok_or("no standard input")?;
    input.write_all(&script.stdout).await?;
    drop(input);
    let status = shell.wait().await?;
    if script.status.success() && status.success() && !script.stdout.is_empty() {
        Ok(())
    } else {
        Err("its database cannot be made".into())
    }
}

fn configuration(root: &Path, directory: &Path, port: u16) -> String {
    let (root, directory) = (root.display(), directory.display());
    format!(
        r#"port={port}
bind_address="127.0.0.1"
external_url="https://localhost:{port}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="ERROR"
cookie_domain="localhost"
cookie_secure=1
session_expiration=2419200
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{root}/usr/lib/glewlwyd/user"
user_middleware_module_path="{root}/usr/lib/glewlwyd/user"
client_module_path="{root}/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="{root}/usr/lib/glewlwyd/scheme"
plugin_module_path="{root}/usr/lib/glewlwyd/plugin"
use_secure_connection=true
secure_connection_key_file="{directory}/key.pem"
secure_connection_pem_file="{directory}/certificate.pem"
hash_algorithm="SHA512"
database = {{ type = "sqlite3" path = "{directory}/glewlwyd.db" }};
"#
    )
}

fn plugin(issuer: &str) -> Result<Value, Failed> {
    let secret = generate_pkcs8(Algorithm::Es256)?;
    let signing: SigningKey<AccessToken> =
        SigningKey::from_pkcs8(Algorithm::Es256, "bench".parse()?, &secret)?;
    let (key, public) = (
        pem("PRIVATE KEY", secret.expose()),
        public_pem(&signing.public_jwk().to_json())?,
    );
    Ok(
        json!({"module": "oidc", "name": "oidc", "display_name": "OIDC", "parameters": {
            "iss": issuer, "jwt-type": "ecdsa", "jwt-key-size": "256", "key": key, "cert": public,
            "access-token-duration": 3600, "refresh-token-duration": 1_209_600, "code-duration": 600, "refresh-token-rolling": false,
            "allow-non-oidc": true, "auth-type-client-enabled": true, "auth-type-code-enabled": false, "auth-type-token-enabled": false,
            "auth-type-id-token-enabled": false, "auth-type-none-enabled": false, "auth-type-password-enabled": false,
            "auth-type-device-enabled": false, "auth-type-refresh-enabled": false, "subject-type": "public",
            "allowed-scope": ["openid", SCOPE], "jwks-show": true, "request-parameter-allow": false,
        }}),
    )
}

/// Waits until it answers connections.
async fn listening(destination: &Destination) -> Result<SendRequest<Full<Bytes>>, Failed> {
    let connected = async {
        loop {
            if let Ok(sender) = destination.connect().await {
                return sender;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    Ok(tokio::time::timeout(READY_MAX, connected).await?)
}

/// Posts to its API, and gives the cookie that the answer sets.
async fn post(
    sender: &mut SendRequest<Full<Bytes>>,
    destination: &Destination,
    path: &str,
    cookie: &str,
    body: &Value,
) -> Result<Option<String>, Failed> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, destination.host())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::COOKIE, cookie)
        .body(Full::new(body.to_string().into()))?;
    let (parts, body) = exchange(sender, request).await?;
    if parts.status != StatusCode::OK {
        let said = String::from_utf8_lossy(&body);
        return Err(format!("{path}: {}: {said}", parts.status).into());
    }
    let set = parts.headers.get(header::SET_COOKIE);
    let set = set.and_then(|cookie| cookie.to_str().ok()?.split(';').next());
    Ok(set.map(str::to_owned))
}
